"""A collection of images: making one from folders, taking folders in, and keeping up with what happens to the files.

Image folders are only ever read.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import platformdirs

from locstudio.domain.edits import Edit, ImageChange
from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Image, Problem
from locstudio.domain.text import counted, shown
from locstudio.media.scan import ScannedFile, Skipped, describe, scan_folder
from locstudio.services.image_roots import FilePlace, ImageRoots
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project, create_project

_BATCH = 500

Progress = Callable[[int, int], None]
Cancel = Callable[[], bool]


@dataclass(slots=True)
class AddReport:
    """What came of taking folders in.  ``added`` counts images with a problem too; ``problems`` says how many of each.

    ``known`` were in the dataset before, ``relinked`` are known images found again under another name, ``duplicates``
    are added images whose content the dataset has already.
    """

    added: int = 0
    known: int = 0
    relinked: int = 0
    duplicates: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    flagged: list[Skipped] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    is_cancelled: bool = False

    def to_text(self) -> str:
        """The report for a person."""
        words = [f"{counted(self.added, 'image')} added", f"{self.known} known"]
        words += [f"{counted(len(self.skipped), 'file')} skipped"]
        words += [f"{self.relinked} found again under another name"] if self.relinked else []
        words += [f"{self.duplicates} with the same content as another"] if self.duplicates else []
        words += [f"{count} {problem}" for problem, count in self.problems.items()]
        lines = [", ".join(words) + (" (stopped early)." if self.is_cancelled else ".")]
        lines += [f"  {item.reason}" for item in [*self.flagged, *self.skipped][:20]]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON document."""
        return {
            "added": self.added,
            "known": self.known,
            "relinked": self.relinked,
            "duplicates": self.duplicates,
            "problems": dict(self.problems),
            "flagged": [{"path": shown(item.path, 4096), "reason": item.reason} for item in self.flagged],
            "skipped": [{"path": shown(item.path, 4096), "reason": item.reason} for item in self.skipped],
            "is_cancelled": self.is_cancelled,
        }


def project_for_images(folder: Path) -> Path:
    """Where the project of an image folder lies when nobody says otherwise: in the person's data, never beside images.

    The same folder always has the same project.
    """
    real = os.path.realpath(folder)
    digest = hashlib.sha256(os.fsencode(real)).hexdigest()[:8]
    name = "".join(c if c.isalnum() or c in "-_. " else "_" for c in os.path.basename(real))[:60].strip(" .")
    return platformdirs.user_data_path("locstudio") / "projects" / f"{name or 'images'}-{digest}"


def new_project(
    path: Path,
    image_folders: list[Path],
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> AddReport:
    """Make a project at ``path`` and take the folders in.

    Raises:
        BadInput: a folder is not there, or the project would lie inside one (pictures made by the project would be
            taken for images of the collection).
        StorageFailed: there is a project already, or it cannot be written.
    """
    for folder in image_folders:
        if not folder.is_dir():
            raise BadInput(f"{shown(str(folder))} is not a folder.")
        real, own = os.path.realpath(folder), os.path.realpath(path)
        between = os.path.relpath(own, real).split(os.sep)
        if between[0] != os.pardir and not any(part.startswith(".") for part in between if part != "."):
            raise BadInput(f"Choose a place for the project outside of its image folder {shown(str(folder))}.")
    report = AddReport()
    with Dataset.create(create_project(path)) as dataset:
        for folder in image_folders:
            add_folder(dataset, folder, progress=progress, cancel=cancel, report=report)
    return report


def open_images(folder: Path, *, progress: Progress | None = None, cancel: Cancel | None = None) -> Project:
    """The project of an image folder at its usual place; made, with the folder's images, at the first call."""
    path = project_for_images(folder)
    project = Project(path)
    if not project.dataset_path.is_file():
        new_project(path, [folder], progress=progress, cancel=cancel)
    return project


def add_folder(
    dataset: Dataset,
    folder: Path,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    report: AddReport | None = None,
) -> AddReport:
    """Take the pictures of a folder into the dataset; what is there already stays as it is.

    A picture that is no picture, is damaged or too large comes in with its problem, so that nothing is lost silently.
    A file that a known image has been renamed to becomes that image again.

    Args:
        progress: called with the images looked at so far, and 0 (nobody knows how many there are).
        report: add to this one.

    Raises:
        BadInput: the folder is not there.
        StorageFailed: the dataset cannot be written.
    """
    report = report if report is not None else AddReport()
    is_cancelled = cancel or (lambda: False)
    roots = ImageRoots(dataset)
    if folder.is_dir():
        roots.add(folder)
    found = _pictures(folder, roots, report, is_cancelled)
    contents = _Contents(dataset)
    while batch := list(islice(found, _BATCH)):
        _add_batch(dataset, batch, contents, report, is_cancelled)
        if progress:
            progress(report.added + report.known + report.relinked, 0)
    report.is_cancelled = is_cancelled()
    return report


_Found = tuple[FilePlace, ScannedFile]


def _pictures(folder: Path, roots: ImageRoots, report: AddReport, is_cancelled: Cancel) -> Iterator[_Found]:
    real = os.path.realpath(folder)
    for item in scan_folder(folder, is_cancelled=is_cancelled):
        if isinstance(item, Skipped):
            report.skipped.append(item)
        else:
            place = roots.place(os.path.join(real, item.path_relative))
            yield place, replace(item, path_relative=place.path)


def _add_batch(
    dataset: Dataset, batch: list[_Found], contents: "_Contents", report: AddReport, is_cancelled: Cancel
) -> None:
    by_root: dict[int, list[_Found]] = {}
    for found in batch:
        by_root.setdefault(found[0].root_id, []).append(found)
    for root_id, rows in by_root.items():
        known = dataset.images_at(root_id, [place.path for place, _ in rows])
        report.known += len(known)
        new: list[Image] = []
        for place, scanned in rows:
            if place.path in known:
                continue
            if is_cancelled():
                break
            image = describe(Path(place.root_path), scanned, root_id)
            if contents.relink(image):
                report.relinked += 1
                continue
            report.duplicates += contents.is_known(image)
            new.append(image)
            if image.problem:
                report.problems[str(image.problem)] += 1
                report.flagged.append(Skipped(image.path, image.note))
        dataset.add_images(new)
        report.added += len(new)


class _Contents:
    """Which contents the dataset has, asked once each: a thousand blank frames are one content."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._lost: dict[str, list[Image]] = {}
        self._known: set[str] = set()

    def _ask(self, sha256: str) -> None:
        if sha256 not in self._lost:
            same = self._dataset.images_with_content(sha256)
            self._lost[sha256] = [image for image in same if not os.path.lexists(self._dataset.image_file(image))]
            if same:
                self._known.add(sha256)

    def is_known(self, image: Image) -> bool:
        """Whether another image has this content; this one is remembered."""
        if not image.sha256:
            return False
        self._ask(image.sha256)
        was_known = image.sha256 in self._known
        self._known.add(image.sha256)
        return was_known

    def relink(self, found: Image) -> bool:
        """Give a file that is new to the dataset to an image whose content it is and whose own file is gone, if any.

        The image keeps its regions and everything a person said of it; the change is an undo step.
        """
        if not found.sha256:
            return False
        self._ask(found.sha256)
        if not self._lost[found.sha256]:
            return False
        old = self._lost[found.sha256].pop(0)
        new = replace(
            old,
            root_id=found.root_id,
            path=found.path,
            size_bytes=found.size_bytes,
            mtime_ns=found.mtime_ns,
            problem=found.problem,
            note=found.note,
        )
        self._dataset.apply(Edit("Find renamed image", (ImageChange(old, new),)), actor="refresh")
        return True


@dataclass(slots=True)
class RefreshReport:
    """What has happened to the files since the last look, in images; ``returned`` were missing or changed before.

    ``updated`` were replaced while nothing was drawn on them; ``new_files`` are not in the dataset yet.
    """

    checked: int = 0
    missing: int = 0
    changed: int = 0
    updated: int = 0
    returned: int = 0
    relinked: int = 0
    new_files: int = 0
    is_cancelled: bool = False

    def to_text(self) -> str:
        """The report for a person."""
        counts = {
            "missing": self.missing,
            "replaced by other pictures": self.changed,
            "brought up to date": self.updated,
            "back again": self.returned,
            "found again under another name": self.relinked,
            "new in the folders": self.new_files,
        }
        words = [f"{count} {what}" for what, count in counts.items() if count]
        return (
            f"{counted(self.checked, 'image')} checked: " + (", ".join(words) if words else "nothing has changed") + "."
        )


def refresh(dataset: Dataset, *, progress: Progress | None = None, cancel: Cancel | None = None) -> RefreshReport:
    """Look at every file again: missing, replaced, back, renamed.

    Only files whose size or date differ are read.  A replaced picture that has regions or captions is marked
    `Problem.CHANGED` and keeps the identity of its old content, so that it is sound again when the old file returns,
    or when a person says that the new one is meant (`accept_changed`).
    """
    report = RefreshReport()
    is_cancelled = cancel or (lambda: False)
    ids = dataset.image_ids()
    has_missing = False
    for start in range(0, len(ids), _BATCH):
        if is_cancelled():
            report.is_cancelled = True
            return report
        images = dataset.images([int(key) for key in ids[start : start + _BATCH]])
        seen = [(image, _as_it_is_now(dataset, image, report)) for image in images]
        has_missing = has_missing or any(now.problem is Problem.MISSING for _, now in seen)
        dataset.add_images([now for image, now in seen if now != image])
        report.checked += len(images)
        if progress:
            progress(report.checked, len(ids))
    _look_for_new_files(dataset, report, is_cancelled, may_relink=has_missing)
    report.missing -= report.relinked
    return report


def accept_changed(dataset: Dataset, image_ids: list[int]) -> None:
    """Say that the pictures that replaced these images are the ones meant; their regions count again."""
    dataset.add_images([_described(dataset, image) for image in dataset.images(image_ids)])


def _as_it_is_now(dataset: Dataset, image: Image, report: RefreshReport) -> Image:
    file = dataset.image_file(image)
    try:
        status = os.stat(file)
    except (FileNotFoundError, NotADirectoryError):
        report.missing += 1
        return replace(image, problem=Problem.MISSING, note=f"{shown(image.name)} is missing.")
    except OSError as error:
        sentence = f"{shown(image.name)} cannot be looked at: {(error.strerror or 'unknown error').lower()}."
        return replace(image, problem=Problem.UNREADABLE, note=sentence)
    is_untouched = (status.st_size, status.st_mtime_ns) == (image.size_bytes, image.mtime_ns)
    if is_untouched and image.problem not in (Problem.MISSING, Problem.CHANGED):
        return image
    now = _described(dataset, image)
    if not image.sha256 or now.sha256 == image.sha256:
        report.returned += image.problem in (Problem.MISSING, Problem.CHANGED)
        return now
    if not dataset.regions_of(image.id) and not dataset.captions_of(image.id):
        report.updated += 1
        return now
    report.changed += 1
    return replace(
        image,
        problem=Problem.CHANGED,
        note=f"{shown(image.name)} was replaced by another picture since its regions were drawn.",
    )


def _described(dataset: Dataset, image: Image) -> Image:
    file = dataset.image_file(image)
    status = os.stat(file)
    now = describe(
        file.parents[image.path.count("/")], ScannedFile(image.path, status.st_size, status.st_mtime_ns), image.root_id
    )
    return replace(now, id=image.id, is_verified=image.is_verified, split=image.split)


def _look_for_new_files(dataset: Dataset, report: RefreshReport, is_cancelled: Cancel, *, may_relink: bool) -> None:
    roots, contents = ImageRoots(dataset), _Contents(dataset)
    for root in dataset.roots():
        if not os.path.isdir(root.path):
            continue
        found = _pictures(Path(root.path), roots, AddReport(), is_cancelled)
        while batch := list(islice(found, _BATCH)):
            known = dataset.images_at(root.id, [place.path for place, _ in batch])
            for place, scanned in batch:
                if place.root_id != root.id or place.path in known:
                    continue
                if may_relink and contents.relink(describe(Path(place.root_path), scanned, place.root_id)):
                    report.relinked += 1
                else:
                    report.new_files += 1
