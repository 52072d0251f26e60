"""Tokens of images on disk, so that the tower runs once per image.

    cache/tokens/<checkpoint id>/<key>.npy     float16, (N, C)

The trainer reads and writes the same files.  The folder is a cache: deletable at any time, limited in size, and what
cannot be read is made again.
"""

import contextlib
import hashlib
import logging
import os
import secrets
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 4 << 30
_log = logging.getLogger(__name__)


def token_key(path: Path, sha256: str = "") -> str:
    """Name of an image's tokens: its content hash, or place, size and time of its file while it has none.

    Raises:
        OSError: there is no hash and no file.
    """
    if sha256:
        return sha256
    status = path.stat()
    identity = f"{path}\0{status.st_size}\0{status.st_mtime_ns}"
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()


class TokenCache:
    """Least recently used tokens go first when ``max_bytes`` is reached.  A disk that refuses only costs time."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._num_bytes: int | None = None

    def get(self, key: str, shape: tuple[int, int]) -> NDArray[np.float16] | None:
        """The tokens, or None when they are not there, not readable or not of this shape."""
        file = self._file(key)
        try:
            tokens = np.load(file, allow_pickle=False)
            os.utime(file)
        except (OSError, ValueError, EOFError):
            return None
        return tokens if tokens.dtype == np.float16 and tokens.shape == shape else None

    def put(self, key: str, tokens_NC: NDArray[np.float16]) -> None:
        """Keep the tokens; a reader sees the whole file or none."""
        partial = self._folder / f"{key}.{secrets.token_hex(4)}.partial"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with open(partial, "wb") as file:
                np.save(file, tokens_NC, allow_pickle=False)
            os.replace(partial, self._file(key))
        except OSError as error:
            _log.warning("tokens were not kept: %s", error)
            with contextlib.suppress(OSError):
                partial.unlink()
            return
        self._make_room(tokens_NC.nbytes)

    def _make_room(self, added: int) -> None:
        if self._num_bytes is not None and self._num_bytes + added <= self._max_bytes:
            self._num_bytes += added
            return
        with os.scandir(self._folder) as entries:
            files = sorted((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in entries)
        self._num_bytes = sum(size for _, size, _ in files)
        for _, size, path in files[:-1]:
            if self._num_bytes <= self._max_bytes:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            self._num_bytes -= size

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.npy"
