"""What arms are measured on beside coco_dev: mosaics of its photos, and colours.

Nothing here is ever trained on, nor was it looked at while settings were chosen.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from locstudio.jobs.assets import assets_folder
from locstudio.models.cloc import Cloc
from trainer.bundle.colours import tinted
from trainer.bundle.features import SceneSet, encoded
from trainer.bundle.photos import Photo, coco_photos
from trainer.bundle.scenes import Scene, composed, mosaics, plain
from trainer.recipes.attributes import COLOURS, named_colours

NUM_MOSAICS = 50
_NUM_TINTED = 330
_MIN_CROP_PX = 64


def dev_mosaics(model: Cloc, data: Path, folder: Path, say: Callable[[str], None]) -> SceneSet:
    """Fifty squares of four photos of coco_dev each, every photo twice, smaller than it was and among strangers."""

    made = ((square, scene) for _, square, scene in mosaics_of_dev(data, model.input_px))
    return encoded(model, made, folder / "dev-mosaics", say)


def mosaics_of_dev(data: Path, side: int) -> Iterator[tuple[int, NDArray[np.uint8], Scene]]:
    """Row, square and scene of each of them; the same every time."""
    random = np.random.default_rng(31)
    photos = list(coco_photos(data, "dev"))
    order = [*random.permutation(len(photos)), *random.permutation(len(photos))]
    for row in range(NUM_MOSAICS):
        yield row, *composed([photos[place] for place in order[row * 4 : row * 4 + 4]], side, random)


def dev_colours(model: Cloc, data: Path, folder: Path, say: Callable[[str], None]) -> SceneSet:
    """Mosaics of things of coco_dev, each tinted in a colour and called by it ("a red bus")."""

    def made() -> Iterator[tuple[NDArray[np.uint8], Scene]]:
        random = np.random.default_rng(37)
        cut = [thing for photo in coco_photos(data, "dev") for thing in _things(photo)]
        chosen = random.permutation(len(cut))[:_NUM_TINTED]
        things = [tinted(cut[row], COLOURS[place % len(COLOURS)], random) for place, row in enumerate(chosen)]
        yield from mosaics(things, model.input_px, random)

    return encoded(model, made(), folder / "dev-colours", say)


def demo_colours(model: Cloc, folder: Path, say: Callable[[str], None]) -> SceneSet:
    """The demo's pictures, with those of its regions whose phrase names one colour ("a standing grey horse")."""

    def made() -> Iterator[tuple[NDArray[np.uint8], Scene]]:
        demo = assets_folder() / "demo"
        known = json.loads((demo / "annotations.json").read_text(encoding="utf-8"))
        for image in known["images"]:
            own = [one for one in known["annotations"] if one["image_id"] == image["id"]]
            coloured = [one for one in own if len(named_colours(one["phrase"])) == 1]
            corners = [(x, y, x + w, y + h) for x, y, w, h in (one["bbox"] for one in coloured)]
            photo = Photo(
                name=image["file_name"],
                rgb=np.asarray(Image.open(demo / image["file_name"]).convert("RGB")),
                boxes_R4=np.array(corners, np.float32).reshape(-1, 4),
                phrases=tuple((one["phrase"],) for one in coloured),
            )
            if coloured:
                yield plain(photo, model.input_px)

    return encoded(model, made(), folder / "demo-colours", say)


def _things(photo: Photo) -> Iterator[Photo]:
    """What lies in each large box of a photo, as a photo of its own."""
    for (x0, y0, x1, y1), words in zip(photo.boxes_R4.astype(int), photo.phrases, strict=True):
        if min(x1 - x0, y1 - y0) >= _MIN_CROP_PX and not named_colours(words[0]):
            whole = np.array([[0, 0, x1 - x0, y1 - y0]], np.float32)
            yield Photo(name=photo.name, rgb=photo.rgb[y0:y1, x0:x1], boxes_R4=whole, phrases=(words,))
