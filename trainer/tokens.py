"""Which cached tokens belong to an image of a snapshot."""

from pathlib import Path

from locstudio.domain.regions import Image, Problem
from locstudio.jobs.token_cache import token_key

MAX_REMEMBERED_BYTES = 2 << 30


def key_of(image: Image, path: Path) -> str:
    """Name of the image's tokens; an image whose file has changed since it was hashed goes by its file.

    Raises:
        OSError: there is no hash and no file.
    """
    return token_key(path, image.sha256 if image.problem is Problem.NONE else "")
