"""A closer look: the image as a whole, and four overlapping parts of it, each enlarged to the model's whole square.

Not in the paper.  A thing of a token's size has no token of its own; in an enlarged part it has several.

On the 100 photos of coco_dev (793 boxes), by one run each of ``locstudio propose PROJECT --phrases "person,bicycle,…"
--boxes 300 --detector own`` and ``closer``, the 80 names of COCO: recall is of the 100 surest raw proposals of an image
of which none overlaps another by more than 0.6, by sides in pixels of the files; AP50 of each name's own, at 0.5.

    detector   recall@100   below 32 px   to 96 px   above   AP50    CPU s an image
    own        0.473        0.205         0.602      0.877   0.203   0.3, tokens at hand
    closer     0.533        0.307         0.649      0.865   0.197   2.3

It finds half as many small things again (recall by 0.060 higher, 0.031 to 0.092 by resampling of the photos), and names
no better for it: it is for a person who looks for small things, and no gain for others.  CPU seconds are of the whole
run, its start included.

Axes: P = boxes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray
from locstudio.media.square import square_of
from locstudio.models.cloc import Cloc, PreparedImage
from trainer.vesl.detector import Found, OwnDetector
from trainer.vesl.scene import Scene

SHARE = 0.6
"""Of each side that a part shows: neighbours share a fifth, so that what one cuts the other has whole."""
_CUT_PX = 2.0
"""A box that ends this near to where a part was cut out probably goes on beyond it."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of an image: its pixel rectangle within ``rgb``, and what lies in it."""

    left: int
    top: int
    rgb: NDArray[np.uint8]

    def scene(self, whole: Scene, prepared: PreparedImage) -> Scene:
        """The part as an image of its own."""
        height, width = self.rgb.shape[:2]
        return Scene(replace(whole.image, width=width, height=height), whole.path, prepared)


class CloserDetector:
    """Our own detector on the whole image and on its parts.

    Phrases and scores are those of the part that shows a box; embeddings are made of the whole image, like those of all
    other regions.
    """

    min_score = 0.0

    def __init__(self, own: OwnDetector, model: Cloc) -> None:
        self._own = own
        self._model = model
        self.words = f"{own.words}, with a closer look"

    def detect(self, scene: Scene, phrases: Sequence[str]) -> Found:
        """Boxes of the whole and of its parts; where they coincide, all of them."""
        found = [self._own.detect(scene, phrases)]
        if phrases:
            rgb = scene.pixels(round(self._model.input_px / SHARE))
            found += [self._detect_in(part, scene, phrases, rgb.shape[:2]) for part in parts_of(rgb)]
        return Found(
            np.concatenate([each.boxes_P4 for each in found]),
            np.concatenate([each.phrase_P for each in found]),
            np.concatenate([each.score_P for each in found]),
            np.concatenate([each.objectness_P for each in found]),
        )

    def _detect_in(self, part: Part, scene: Scene, phrases: Sequence[str], size: tuple[int, int]) -> Found:
        found = self._own.detect(part.scene(scene, self._prepared(part)), phrases)
        boxes_P4, is_whole_P = in_whole(found.boxes_P4, part, size)
        return Found(
            boxes_P4[is_whole_P],
            found.phrase_P[is_whole_P],
            found.score_P[is_whole_P],
            found.objectness_P[is_whole_P],
        )

    @torch.inference_mode()
    def _prepared(self, part: Part) -> PreparedImage:
        square, _ = square_of(part.rgb, self._model.input_px)
        pixels = self._model.preprocess(square).to(self._model.device)
        tokens = self._model.encode_image(pixels[None])[0].half()  # rounded like all tokens
        return self._model.prepare(tokens, pixels if self._model.crop_project is not None else None)


def parts_of(rgb: NDArray[np.uint8]) -> Iterator[Part]:
    """The four parts in the corners of a picture (H, W, 3); fewer where a side is a single pixel."""
    height, width = rgb.shape[:2]
    part_height, part_width = max(1, round(height * SHARE)), max(1, round(width * SHARE))
    for top in dict.fromkeys((0, height - part_height)):
        for left in dict.fromkeys((0, width - part_width)):
            yield Part(left, top, rgb[top : top + part_height, left : left + part_width])


def in_whole(boxes_P4: BoxArray, part: Part, size: tuple[int, int]) -> tuple[BoxArray, NDArray[np.bool_]]:
    """Boxes of a part in the ``unit`` frame of the image, and which of them the part does not cut.

    ``size`` is the image's height and width, in the pixels that the part was cut from.
    """
    height, width = size
    part_height, part_width = part.rgb.shape[:2]
    x0, y0, x1, y1 = (boxes_P4 * np.array([part_width, part_height] * 2, np.float32)).T
    is_cut_P = (x0 < _CUT_PX) & (part.left > 0)
    is_cut_P |= (y0 < _CUT_PX) & (part.top > 0)
    is_cut_P |= (x1 > part_width - _CUT_PX) & (part.left + part_width < width)
    is_cut_P |= (y1 > part_height - _CUT_PX) & (part.top + part_height < height)
    px_P4 = np.stack([x0 + part.left, y0 + part.top, x1 + part.left, y1 + part.top], axis=1)
    unit_P4: BoxArray = np.clip(px_P4 / np.array([width, height] * 2, np.float32), 0.0, 1.0).astype(np.float32)
    return unit_P4, ~is_cut_P
