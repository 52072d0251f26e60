"""Finding picture files in a folder, and describing them."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from locstudio.domain.picture_names import PICTURE_SUFFIXES
from locstudio.domain.regions import Image, Problem
from locstudio.domain.text import shown
from locstudio.media.decode import examine
from locstudio.media.files import READABLE, ImageProblem, is_picture_start, open_regular
from locstudio.media.hashing import content_sha256

_REFUSED_SUFFIXES = frozenset(
    {".svg", ".svgz", ".eps", ".ps", ".fits", ".fit", ".psd", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".ico"}
    | {".icns", ".tga", ".dds", ".xcf", ".exr", ".hdr", ".pcx", ".ppm", ".pgm", ".pbm", ".raw", ".dng", ".cr2"}
    | {".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
)


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """A file that is or claims to be a picture; ``path_relative`` has forward slashes and surrogate-escaped bytes."""

    path_relative: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in the folder that is left alone, and the sentence that says why."""

    path: str
    reason: str


def scan_folder(
    root: Path, *, follow_links_out: bool = False, is_cancelled: Callable[[], bool] = lambda: False
) -> Iterator[ScannedFile | Skipped]:
    """Walk a folder and its subfolders; each folder's files by name with numbers in order, then its subfolders.

    Nothing is opened but files without a suffix, to see what they are.  Hidden files and folders are passed over.
    Links to folders are followed only with ``follow_links_out``, links to files only when they stay inside the root.
    The walk ends early, without an error, once ``is_cancelled`` says so.

    Raises:
        ImageProblem: the root itself is no folder or cannot be read.
    """
    if not root.is_dir():
        raise ImageProblem(Problem.MISSING, f"{shown(str(root))} is not a folder.")
    walk = _Walk(os.path.realpath(root), follow_links_out, is_cancelled)
    yield from walk.files()


def describe(root_path: Path, scanned: ScannedFile, root_id: int, *, with_hash: bool = True) -> Image:
    """What the collection keeps of a scanned file: size, true format, problem and note; identity 0, not yet stored.

    Never raises for a bad file: an unreadable picture is an `Image` without size, with its problem and sentence.
    """
    path = root_path / scanned.path_relative
    image = Image(0, root_id, scanned.path_relative, 0, 0, "", scanned.size_bytes, scanned.mtime_ns)
    try:
        if with_hash:
            image = replace(image, sha256=content_sha256(path))
        header, damage = examine(path)
    except ImageProblem as error:
        return replace(image, problem=error.problem, note=str(error))
    problem = Problem.DAMAGED if damage else Problem.NONE
    image = replace(image, width=header.width, height=header.height, format=header.format)
    return replace(image, problem=problem, note=damage or header.note)


class _Walk:
    def __init__(self, root: str, follow_links_out: bool, is_cancelled: Callable[[], bool]) -> None:
        self._root = root
        self._follow_links_out = follow_links_out
        self._is_cancelled = is_cancelled
        self._seen: set[tuple[int, int]] = set()

    def files(self) -> Iterator[ScannedFile | Skipped]:
        waiting = [""]
        while waiting and not self._is_cancelled():
            folder = waiting.pop()
            try:
                status = os.stat(self._absolute(folder))
                if (status.st_dev, status.st_ino) in self._seen:
                    yield Skipped(folder, f"{shown(folder)} leads back to a folder that is in the list already.")
                    continue
                self._seen.add((status.st_dev, status.st_ino))
                entries = self._entries(folder)
            except OSError as error:
                yield Skipped(folder, f"The folder {shown(folder or self._root)} cannot be read: {_reason(error)}.")
                continue
            subfolders = []
            for entry in entries:
                if self._is_cancelled():
                    return
                relative = f"{folder}/{entry.name}" if folder else entry.name
                is_folder, found = self._look_at(entry, relative)
                if is_folder:
                    subfolders.append(relative)
                elif found is not None:
                    yield found
            waiting.extend(reversed(subfolders))

    def _absolute(self, relative: str) -> str:
        return os.path.join(self._root, relative) if relative else self._root

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        keyed = []
        with os.scandir(self._absolute(folder)) as entries:
            for number, entry in enumerate(entries):
                if number % 1000 == 0 and self._is_cancelled():
                    return []
                if not entry.name.startswith("."):
                    keyed.append((_natural_key(entry.name), entry.name, entry))
        keyed.sort(key=lambda item: item[:2])
        return [entry for _, _, entry in keyed]

    def _look_at(self, entry: os.DirEntry[str], relative: str) -> tuple[bool, ScannedFile | Skipped | None]:
        """Whether it is a folder to go into; else what to say of it, or None for what is no concern of ours."""
        suffix = os.path.splitext(entry.name)[1].lower()
        try:
            if entry.is_dir(follow_symlinks=False):
                return True, None
            if entry.is_symlink():
                return self._look_at_link(entry, relative, suffix)
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            return False, Skipped(relative, f"{shown(relative)} cannot be read: {_reason(error)}.")
        return False, self._judged(entry.path, relative, suffix, status)

    def _look_at_link(
        self, entry: os.DirEntry[str], relative: str, suffix: str
    ) -> tuple[bool, ScannedFile | Skipped | None]:
        target = os.path.realpath(entry.path)
        is_inside = target == self._root or target.startswith(self._root.rstrip(os.sep) + os.sep)
        if not is_inside and not self._follow_links_out:
            if entry.is_dir() or suffix in PICTURE_SUFFIXES:
                return False, Skipped(relative, f"{shown(relative)} is a link that leads out of the folder.")
            return False, None
        if entry.is_dir():
            if is_inside:
                reason = f"{shown(relative)} is a link to a folder that is in the list already."
                return False, Skipped(relative, reason)
            return True, None
        return False, self._judged(entry.path, relative, suffix, os.stat(entry.path))

    def _judged(self, path: str, relative: str, suffix: str, status: os.stat_result) -> ScannedFile | Skipped | None:
        if suffix in _REFUSED_SUFFIXES:
            reason = f"{shown(relative)} is a {suffix[1:].upper()} file; LocStudio reads {READABLE}."
            return Skipped(relative, reason)
        is_regular = stat.S_ISREG(status.st_mode)
        if suffix not in PICTURE_SUFFIXES and not (suffix == "" and is_regular and _starts_as_picture(path)):
            return None
        if not is_regular:
            return Skipped(relative, f"{shown(relative)} is not an ordinary file.")
        return ScannedFile(relative, status.st_size, status.st_mtime_ns)


def _natural_key(name: str) -> str:
    return re.sub(r"\d+", lambda digits: digits.group().zfill(20), name.casefold())


def _starts_as_picture(path: str) -> bool:
    try:
        with open_regular(Path(path)) as file:
            return is_picture_start(file.read(32))
    except (ImageProblem, OSError):
        return False


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
