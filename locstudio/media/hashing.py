"""The identity of a file's content."""

import hashlib
from pathlib import Path

from locstudio.domain.regions import Problem
from locstudio.domain.text import shown
from locstudio.media.files import ImageProblem, open_regular


def content_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal.

    Raises:
        ImageProblem: the file is missing, empty, no regular file, or cannot be read to its end.
    """
    with open_regular(path) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # has readinto
        except OSError as error:
            sentence = f"{shown(path.name)} cannot be read to its end: {error.strerror}."
            raise ImageProblem(Problem.UNREADABLE, sentence) from error
