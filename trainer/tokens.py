"""Tokens of images on disk: a frozen tower is run once per image, however many epochs follow.

    cache/tokens/<checkpoint id>/<key>.npy     float16, (N, D)

The engine reads and writes the same files.  The folder is a cache: deletable at any time, and a file that cannot be
read is made again.
"""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.regions import Image, Problem

MAX_REMEMBERED_BYTES = 2 << 30


def token_key(image: Image, path: Path) -> str:
    """Name of an image's tokens: its content hash, or place, size and time of its file while it has none.

    An image whose file has changed since it was hashed goes by its file.

    Raises:
        OSError: there is no hash and no file.
    """
    if image.sha256 and image.problem is Problem.NONE:
        return image.sha256
    status = path.stat()
    identity = f"{path}\0{status.st_size}\0{status.st_mtime_ns}"
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()


class TokenCache:
    """Tokens of one model by key, on disk and, up to a limit, in memory."""

    def __init__(self, folder: Path, shape: tuple[int, int], *, max_remembered_bytes: int | None = None) -> None:
        self._folder = folder
        self._shape = shape
        self._folder.mkdir(parents=True, exist_ok=True)
        self._remembered: dict[str, NDArray[np.float16]] = {}
        self._bytes_left = MAX_REMEMBERED_BYTES if max_remembered_bytes is None else max_remembered_bytes

    def has(self, key: str) -> bool:
        """True if the tokens are there."""
        return key in self._remembered or self._file(key).exists()

    def get(self, key: str) -> NDArray[np.float16] | None:
        """The tokens, or None if they are not there, not readable or not of the model's shape."""
        known = self._remembered.get(key)
        if known is not None:
            return known
        try:
            tokens = np.load(self._file(key), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if tokens.shape != self._shape or tokens.dtype != np.float16:
            return None
        self._remember(key, tokens)
        return tokens

    def put(self, key: str, tokens_ND: NDArray[np.float16]) -> None:
        """Keep the tokens; a reader sees the whole file or none."""
        partial = self._folder / f"{key}.{secrets.token_hex(4)}.partial"
        with open(partial, "wb") as file:
            np.save(file, tokens_ND, allow_pickle=False)
        os.replace(partial, self._file(key))
        self._remember(key, tokens_ND)

    def share_with(self, folder: Path) -> None:
        """Let the tokens stand under another checkpoint's id too, one whose tower is the same; takes no space."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in self._folder.glob("*.npy"):
            with contextlib.suppress(OSError):
                os.link(file, folder / file.name)

    def _remember(self, key: str, tokens: NDArray[np.float16]) -> None:
        if tokens.nbytes <= self._bytes_left:
            self._bytes_left -= tokens.nbytes
            self._remembered[key] = tokens

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.npy"
