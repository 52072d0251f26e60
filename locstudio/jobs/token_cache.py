"""Tokens of images on disk: the tower runs once per image, for the engine and the trainer together.

    cache/tokens/<checkpoint id>/<key>.npy     float16, (N, C)

The folder is a cache: deletable at any time, and what cannot be read is made again.
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
    """Tokens of one checkpoint by key, on disk and, up to a limit, in memory.  A disk that refuses only costs time.

    Args:
        folder: Made when the first tokens come.
        shape: (N, C) of the model; tokens of another shape do not count.
        max_bytes: When the files take more, those used longest ago go first; None for no limit.
        max_remembered_bytes: How much is kept in memory beside the files.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, int], *, max_bytes: int | None = MAX_BYTES, max_remembered_bytes: int = 0
    ) -> None:
        self._folder = folder
        self._shape = shape
        self._max_bytes = max_bytes
        self._num_bytes: int | None = None
        self._remembered: dict[str, NDArray[np.float16]] = {}
        self._bytes_left = max_remembered_bytes

    def has(self, key: str) -> bool:
        """True if the tokens are there."""
        return key in self._remembered or self._file(key).exists()

    def get(self, key: str) -> NDArray[np.float16] | None:
        """The tokens, or None when they are not there, not readable or not of the model's shape."""
        known = self._remembered.get(key)
        if known is not None:
            return known
        file = self._file(key)
        try:
            tokens: NDArray[np.float16] = np.load(file, allow_pickle=False)
            os.utime(file)
        except (OSError, ValueError, EOFError):
            return None
        if tokens.shape != self._shape or tokens.dtype != np.float16:
            return None
        self._remember(key, tokens)
        return tokens

    def put(self, key: str, tokens_NC: NDArray[np.float16]) -> None:
        """Keep the tokens; a reader sees the whole file or none."""
        self._remember(key, tokens_NC)
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
        if self._max_bytes is not None:
            self._make_room(tokens_NC.nbytes, self._max_bytes)

    def share_with(self, folder: Path) -> None:
        """Let the tokens stand under another checkpoint's id too, one whose tower is the same; takes no space."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in self._folder.glob("*.npy"):
            with contextlib.suppress(OSError):
                os.link(file, folder / file.name)

    def _make_room(self, added: int, max_bytes: int) -> None:
        if self._num_bytes is not None and self._num_bytes + added <= max_bytes:
            self._num_bytes += added
            return
        with os.scandir(self._folder) as entries:
            files = sorted((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in entries)
        self._num_bytes = sum(size for _, size, _ in files)
        for _, size, path in files[:-1]:
            if self._num_bytes <= max_bytes:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            self._num_bytes -= size

    def _remember(self, key: str, tokens: NDArray[np.float16]) -> None:
        if tokens.nbytes <= self._bytes_left:
            self._bytes_left -= tokens.nbytes
            self._remembered[key] = tokens

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.npy"
