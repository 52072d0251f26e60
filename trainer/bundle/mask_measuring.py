"""How well masks lie on true ones, beside the plain box and the ellipse inscribed in it.  Axes: R = regions."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.domain.geometry import Letterbox, UnitBox
from locstudio.models.mask_segmenter import HeadSegmenter, MaskableImage
from locstudio.models.segmenter import MaskPrompt, PointPrompt
from trainer.bundle.mask_scenes import MaskScenes, TrueMask

SMALL_AREA, LARGE_AREA = 32.0**2, 96.0**2
SIZES = ("all", "small", "medium", "large")
RIVALS = ("mask", "box", "ellipse", "click", "box and click")
COCO_LONG_SIDE = 640.0
"""COCO's sizes are of photos whose long side is 640; the photos here are smaller."""

_CLICK_GRID = 48


@dataclass(slots=True)
class MaskScores:
    """Overlap (R,) of every region with its truth by rival, the area of each, and what the head expected of itself."""

    overlaps: dict[str, list[float]] = field(default_factory=lambda: {rival: [] for rival in RIVALS})
    areas: list[float] = field(default_factory=list)
    expected: list[float] = field(default_factory=list)

    def mean(self, rival: str, size: str = "all") -> float:
        """Mean overlap of one rival over the regions of a size."""
        is_size = self._is_size(size)
        return float(np.array(self.overlaps[rival])[is_size].mean()) if is_size.any() else float("nan")

    def count(self, size: str) -> int:
        """Regions of a size."""
        return int(self._is_size(size).sum())

    def _is_size(self, size: str) -> NDArray[np.bool_]:
        areas = np.array(self.areas)
        low = {"all": 0.0, "small": 0.0, "medium": SMALL_AREA, "large": LARGE_AREA}[size]
        high = {"all": np.inf, "small": SMALL_AREA, "medium": LARGE_AREA, "large": np.inf}[size]
        return (areas >= low) & (areas < high)


@torch.inference_mode()
def measured(segmenter: HeadSegmenter, scenes: MaskScenes, rows: NDArray[np.int64]) -> MaskScores:
    """Masks as the studio makes them, compared in the photo's own pixels; rows are scenes of whole photos.

    Prompts are the annotation's box, one click well inside the true mask, or both.
    """
    scores = MaskScores()
    for row in rows:
        scene = scenes.scenes[row]
        width, height = round(scene.part[2]), round(scene.part[3])
        prepared = MaskableImage(scenes.maps(int(row)), Letterbox(width, height))
        boxes = [
            UnitBox.from_pixels(x0, y0, x1, y1, width, height) for x0, y0, x1, y1 in (mask.box for mask in scene.masks)
        ]
        clicks = [_click(mask, width, height) for mask in scene.masks]
        prompts = {
            "mask": [MaskPrompt(box) for box in boxes],
            "click": [MaskPrompt(None, (click,)) for click in clicks],
            "box and click": [MaskPrompt(box, (click,)) for box, click in zip(boxes, clicks, strict=True)],
        }
        found = {rival: segmenter.segment(prepared, asked) for rival, asked in prompts.items()}
        for place, mask in enumerate(scene.masks):
            truth = mask.seen_in((0, 0, width, height), (width, height))
            shown = {rival: masks[place].mask_HW for rival, masks in found.items()}
            shown["box"], shown["ellipse"] = _plain_rivals(mask.box, width, height)
            for rival, mask_HW in shown.items():
                scores.overlaps[rival].append(_overlap(mask_HW, truth))
            scores.areas.append(float(scene.areas_R[place]) * (COCO_LONG_SIDE / max(width, height)) ** 2)
            scores.expected.append(found["mask"][place].expected_overlap)
    return scores


def _click(mask: TrueMask, width: int, height: int) -> PointPrompt:
    """Where a person would click: the place inside the mask with most of it around."""
    x0, y0, x1, y1 = mask.box
    inside = mask.seen_in((x0, y0, x1, y1), (_CLICK_GRID, _CLICK_GRID)).astype(np.float64)
    reach = _CLICK_GRID // 6
    sums = np.pad(inside, reach).cumsum(axis=0).cumsum(axis=1)
    sums = np.pad(sums, ((1, 0), (1, 0)))
    side = 2 * reach + 1
    around = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    down, across = np.unravel_index(np.argmax(np.where(inside > 0, around, -1.0)), inside.shape)
    x = x0 + (across + 0.5) / _CLICK_GRID * (x1 - x0)
    y = y0 + (down + 0.5) / _CLICK_GRID * (y1 - y0)
    return PointPrompt(min(1.0, max(0.0, x / width)), min(1.0, max(0.0, y / height)))


def _plain_rivals(
    box: tuple[float, float, float, float], width: int, height: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    x, y = np.arange(width)[None, :] + 0.5, np.arange(height)[:, None] + 0.5
    x0, y0, x1, y1 = box
    in_box = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    radius_x, radius_y = max((x1 - x0) / 2, 0.5), max((y1 - y0) / 2, 0.5)
    in_ellipse = ((x - (x0 + x1) / 2) / radius_x) ** 2 + ((y - (y0 + y1) / 2) / radius_y) ** 2 <= 1
    return in_box, in_ellipse


def _overlap(shown: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(shown | truth)
    return float(np.count_nonzero(shown & truth) / union) if union else 0.0
