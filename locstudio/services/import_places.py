"""Which image of the dataset an annotation file means, and how its pixels map to that image."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from locstudio.domain.regions import Image
from locstudio.domain.text import shown
from locstudio.interchange.coco import CocoImage, Key
from locstudio.interchange.paths import inside
from locstudio.interchange.report import ImportReport, Outcome, RowNote
from locstudio.media.scan import ScannedFile, describe
from locstudio.services.image_roots import FilePlace, ImageRoots
from locstudio.store.dataset import Dataset

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Place:
    """An image of the dataset, its upright size in pixels, and the factors from the file's pixels to these."""

    image_id: int
    width: int
    height: int
    scale_x: float = 1.0
    scale_y: float = 1.0


_Wanted = tuple[CocoImage, FilePlace]


class ImagePlaces:
    """Finds the images of an annotation file; new ones are put into the dataset.

    ``places`` holds the images that may be annotated, ``refusals`` the reason for each that may not.
    """

    def __init__(self, dataset: Dataset, image_root: Path, report: ImportReport, *, rescale: bool) -> None:
        self._dataset = dataset
        self._image_root = os.path.realpath(image_root)
        self._report = report
        self._rescale = rescale
        self._roots = ImageRoots(dataset)
        self.places: dict[Key, Place] = {}
        self.refusals: dict[Key, str] = {}
        self.num_other_size = 0

    def find(
        self, images: Iterable[CocoImage], progress: Callable[[int], None], is_cancelled: Callable[[], bool]
    ) -> None:
        """Find all of them; ``progress`` is called with how many are done."""
        batch: list[_Wanted] = []
        for number, coco in enumerate(images):
            if is_cancelled():
                return
            wanted = self._wanted(coco)
            if wanted is not None:
                batch.append(wanted)
            if len(batch) >= _BATCH:
                self._settle(batch)
                batch = []
                progress(number + 1)
        self._settle(batch)

    def _wanted(self, coco: CocoImage) -> _Wanted | None:
        path = inside(self._image_root, coco.file_name)
        if path is None:
            self._refuse(coco, "its file_name leads out of the image folder", coco.file_name)
            return None
        base = path.rsplit("/", 1)[-1]
        for candidate in (path, base):
            if os.path.isfile(os.path.join(self._image_root, candidate)):
                return self._in_folder(coco, candidate)
        known = [image for image in self._dataset.images_named(path, 2) if image.path == path or image.name == base]
        if len(known) == 1:
            return coco, self._roots.place(os.path.realpath(self._dataset.image_file(known[0])))
        self._refuse(coco, "its file is not in the image folder", coco.file_name)
        return None

    def _in_folder(self, coco: CocoImage, path: str) -> _Wanted:
        file = os.path.join(self._image_root, path)
        try:
            return coco, self._roots.place(file)
        except LookupError:
            self._roots.add(Path(self._image_root))
            return coco, self._roots.place(file)

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
            for coco, place in rows:
                self._place(coco, *found[place.path])

    def _place(self, coco: CocoImage, image_id: int, image: Image) -> None:
        if not image.width:
            self._refuse(coco, "its picture cannot be read", image.note)
            return
        said, real = (coco.width, coco.height), (image.width, image.height)
        if said in ((0, 0), real):
            self.places[coco.key] = Place(image_id, *real)
        elif self._rescale:
            self.places[coco.key] = Place(image_id, *real, real[0] / said[0], real[1] / said[1])
        else:
            self.num_other_size += 1
            detail = f"{shown(image.path)} is {real[0]} x {real[1]}, the file says {said[0]} x {said[1]}"
            if said == real[::-1]:
                detail += "; it may have been annotated before it was turned upright"
            self._refuse(coco, "its picture has another size than the file says", detail)

    def _refuse(self, coco: CocoImage, reason: str, detail: str) -> None:
        self.refusals[coco.key] = f"its image was left out: {reason}"
        self._report.note(RowNote("images", coco.row, str(coco.key), Outcome.DROPPED, reason, detail))


def _described(place: FilePlace) -> Image:
    status = place.file.stat()
    scanned = ScannedFile(place.path, status.st_size, status.st_mtime_ns)
    return describe(Path(place.root_path), scanned, place.root_id)
