"""Which image of the dataset an annotation file means, and how its pixels map to that image."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from locstudio.domain.edits import ImageChange
from locstudio.domain.picture_names import PICTURE_SUFFIXES
from locstudio.domain.regions import Image
from locstudio.domain.text import shown
from locstudio.interchange.paths import inside, is_relative
from locstudio.interchange.report import ImportReport, Outcome, RowNote
from locstudio.interchange.rows import ImageRow, Key
from locstudio.media.scan import ScannedFile, describe, scan_folder
from locstudio.services.image_roots import FilePlace, ImageRoots
from locstudio.store.dataset import Dataset, ImageFilter

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Place:
    """An image of the dataset, its upright size in pixels, and the factors from the file's pixels to these."""

    image_id: int
    width: int
    height: int
    scale_x: float = 1.0
    scale_y: float = 1.0


_Wanted = tuple[ImageRow, FilePlace]


class ImagePlaces:
    """Finds the images of an annotation file; new ones are put into the dataset.

    ``places`` holds the images that may be annotated, ``refusals`` the reason for each that may not; ``splits`` puts
    images that belong to none into the splits that the file says.
    """

    def __init__(self, dataset: Dataset, image_root: Path, report: ImportReport, *, rescale: bool) -> None:
        self._dataset = dataset
        self._image_root = os.path.realpath(image_root)
        self._report = report
        self._rescale = rescale
        self._roots = ImageRoots(dataset)
        self.places: dict[Key, Place] = {}
        self.refusals: dict[Key, str] = {}
        self.splits: list[ImageChange] = []
        self.num_other_size = 0
        self._rows_at: dict[tuple[int, str], list[_Wanted]] = {}
        self._stems: dict[str, str] | None = None
        self._known_stems: dict[str, list[Image]] | None = None

    def find(
        self, images: Iterable[ImageRow], progress: Callable[[int], None], is_cancelled: Callable[[], bool]
    ) -> None:
        """Find all of them; ``progress`` is called with how many are done."""
        batch: list[_Wanted] = []
        for number, row in enumerate(images):
            if is_cancelled():
                return
            wanted = self._wanted(row)
            if wanted is not None:
                batch.append(wanted)
                self._rows_at.setdefault((wanted[1].root_id, wanted[1].path), []).append(wanted)
            if len(batch) >= _BATCH:
                self._settle(batch)
                batch = []
                progress(number + 1)
        self._settle(batch)
        self._refuse_mistaken()

    def _refuse_mistaken(self) -> None:
        """Of several names that were found at one picture, refuse those that only end like it."""
        reason = "its file is not in the image folder, and several names end like one that is"
        for rows in self._rows_at.values():
            if len({row.file_name for row, _ in rows}) == 1:
                continue
            for row, place in rows:
                if row.key in self.places and not _is_named(row, place):
                    del self.places[row.key]
                    self._refuse(row, reason, row.file_name)

    def _wanted(self, row: ImageRow) -> _Wanted | None:
        found = self._beside(row)
        path = inside(self._image_root, row.file_name)
        if found is None and path is None:
            self._refuse(row, "its file_name leads out of the image folder", row.file_name)
            return None
        if found is None and path is not None:
            whole = f"{os.path.basename(row.folder)}/{path}" if row.folder else path
            found = next((name for end in _endings(whole) if (name := self._file(end, row.is_stem))), None)
        if found is not None:
            return self._in_folder(row, found)
        known = self._known(row, path or "")
        if len(known) == 1:
            return row, self._roots.place(os.path.realpath(self._dataset.image_file(known[0])))
        self._refuse(row, "its file is not in the image folder", row.file_name)
        return None

    def _beside(self, row: ImageRow) -> str | None:
        """The file's path in the image folder, when it lies where the format says that its name starts."""
        if not row.folder or not is_relative(row.file_name):
            return None
        place = os.path.relpath(os.path.realpath(row.folder), self._image_root)
        path = inside(self._image_root, os.path.join(place, row.file_name.replace("\\", "/")))
        return None if path is None else self._file(path, row.is_stem)

    def _file(self, path: str, is_stem: bool) -> str | None:
        """The path of a file that is in the image folder; a stem means the one picture that has it."""
        if is_stem:
            if self._stems is None:
                self._stems = _stems_in(self._image_root)
            path = self._stems.get(path, "")
        # A path that was looked at may begin with "a:", which in a file would be an address.
        is_here = inside(self._image_root, f"./{path}") is not None and os.path.isfile(
            os.path.join(self._image_root, path)
        )
        return path if is_here else None

    def _known(self, row: ImageRow, path: str) -> list[Image]:
        if not row.is_stem:
            found = self._dataset.images_named(path, 2)
            return [image for image in found if image.path == path or image.name == path.rsplit("/", 1)[-1]]
        if self._known_stems is None:
            self._known_stems = _known_stems(self._dataset)
        stems = self._known_stems
        return next((stems[end] for end in _endings(path) if end in stems), [])

    def _in_folder(self, row: ImageRow, path: str) -> _Wanted:
        file = os.path.join(self._image_root, path)
        try:
            return row, self._roots.place(file)
        except LookupError:
            self._roots.add(Path(self._image_root))
            return row, self._roots.place(file)

    def _settle(self, batch: list[_Wanted]) -> None:
        by_root: dict[int, list[_Wanted]] = {}
        for wanted in batch:
            by_root.setdefault(wanted[1].root_id, []).append(wanted)
        for root_id, rows in by_root.items():
            known = self._dataset.images_at(root_id, [place.path for _, place in rows])
            self._report.num_images_known += len(known)
            new = {place.path: _described(place) for _, place in rows if place.path not in known}
            ids = self._dataset.add_images(list(new.values()))
            self._report.num_images_added += len(ids)
            found = {path: (image.id, image) for path, image in known.items()}
            found |= {path: (key, image) for (path, image), key in zip(new.items(), ids, strict=True)}
            for row, place in rows:
                image_id, image = found[place.path]
                self._place(row, image_id, image)
                if row.split and not image.split and row.key in self.places:
                    stored = replace(image, id=image_id)
                    self.splits.append(ImageChange(stored, replace(stored, split=row.split)))

    def _place(self, row: ImageRow, image_id: int, image: Image) -> None:
        if not image.width:
            self._refuse(row, "its picture cannot be read", image.note)
            return
        said, real = (row.width, row.height), (image.width, image.height)
        if row.is_unit:
            self.places[row.key] = Place(image_id, *real, *real)
        elif said in ((0, 0), real):
            self.places[row.key] = Place(image_id, *real)
        elif self._rescale:
            self.places[row.key] = Place(image_id, *real, real[0] / said[0], real[1] / said[1])
        else:
            self.num_other_size += 1
            detail = f"{shown(image.path)} is {real[0]} x {real[1]}, the file says {said[0]} x {said[1]}"
            if said == real[::-1]:
                detail += "; it may have been annotated before it was turned upright"
            self._refuse(row, "its picture has another size than the file says", detail)

    def _refuse(self, row: ImageRow, reason: str, detail: str) -> None:
        self.refusals[row.key] = f"its image was left out: {reason}"
        self._report.note(RowNote("images", row.row, str(row.key), Outcome.DROPPED, reason, detail))


def _described(place: FilePlace) -> Image:
    status = place.file.stat()
    scanned = ScannedFile(place.path, status.st_size, status.st_mtime_ns)
    return describe(Path(place.root_path), scanned, place.root_id)


def _endings(path: str) -> Iterator[str]:
    """The path, and what is left of it as its first folders are taken away: they may be those of another machine."""
    parts = path.split("/")
    for first in range(len(parts)):
        yield "/".join(parts[first:])


def _is_named(row: ImageRow, place: FilePlace) -> bool:
    """Whether a picture lies under the whole name that the file has for it."""
    file = place.file.as_posix()
    name = os.path.normpath(row.file_name.replace("\\", "/"))
    return f"/{_stem_of(file) if row.is_stem else file}".endswith(f"/{name}")


def _stem_of(path: str) -> str:
    return os.path.splitext(path)[0]


def _stems_in(folder: str) -> dict[str, str]:
    """The pictures of a folder by their paths without suffix; a stem that two of them have is nobody's."""
    found: dict[str, str] = {}
    twice = set()
    for scanned in scan_folder(Path(folder)):
        path = scanned.path_relative if isinstance(scanned, ScannedFile) else ""
        if os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES:
            stem = _stem_of(path)
            if stem in found:
                twice.add(stem)
            found[stem] = path
    return {stem: path for stem, path in found.items() if stem not in twice}


def _known_stems(dataset: Dataset) -> dict[str, list[Image]]:
    """The dataset's images by their paths without suffix, and by every ending of these."""
    found: dict[str, list[Image]] = {}
    after = 0
    while page := dataset.image_page(ImageFilter(order="id"), after, 1000):
        after = page[-1].id
        for image in page:
            for end in _endings(_stem_of(image.path)):
                found.setdefault(end, []).append(image)
    return found
