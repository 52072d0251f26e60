"""What the mask head is trained on: prompts drawn for regions of a scene, with the mask each one means.

Axes: B = prompts, K = points of a prompt, S = side of a window's mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstudio.models.mask_head import (
    MASK_SIDE,
    NEGATIVE,
    NO_POINT,
    POSITIVE,
    ImageMaps,
    Prompts,
    WindowMaps,
    sample_windows,
    to_window,
    windows_around,
)
from trainer.bundle.mask_scenes import MaskScene, MaskScenes

Kind = Literal["box", "points", "both"]
KINDS: tuple[Kind, ...] = ("box", "points", "both")
KIND_SHARES = (0.65, 0.2, 0.15)
MAX_POINTS = 3
_EXACT_SHARE = 0.3
_JITTER = 0.06  # of a side, one standard deviation
_MOST_JITTER = 0.15
_FITTING_SHARE = 0.8  # of windows around points, those of a size that suits the thing


@dataclass(frozen=True, slots=True, eq=False)
class MaskBatch:
    """Windows with prompts, the true mask (B, S, S) in each, and how many of a window's cells it has in all (B,).

    ``seen_BSS`` is zero where the window leaves the picture.
    """

    maps: WindowMaps
    prompts: Prompts
    truth_BSS: Tensor
    seen_BSS: Tensor
    cells_B: Tensor


def draw_prompts(
    scenes: MaskScenes, rows: NDArray[np.int64], kind: Kind, per_scene: int, random: np.random.Generator
) -> list[MaskBatch]:
    """Prompts of one kind for at most ``per_scene`` regions of each scene that has masks."""
    parts = [_of_scene(scenes.scenes[row], scenes.maps(int(row)), kind, per_scene, random) for row in rows]
    return [part for part in parts if part is not None]


def joined_batches(parts: Sequence[MaskBatch]) -> MaskBatch:
    """Batches of the same kind as one.

    Raises:
        ValueError: there are none.
    """
    if not parts:
        raise ValueError("none of these scenes has a mask")

    def together(name: str, of: str) -> Tensor:
        return torch.cat([getattr(getattr(part, of), name) for part in parts])

    has_points, has_boxes = parts[0].prompts.points_BK2 is not None, parts[0].prompts.boxes_B4 is not None
    return MaskBatch(
        WindowMaps(**{name: together(name, "maps") for name in ("coarse", "middle", "fine", "rgb", "sides_B2")}),
        Prompts(
            together("points_BK2", "prompts") if has_points else None,
            together("labels_BK", "prompts") if has_points else None,
            together("boxes_B4", "prompts") if has_boxes else None,
        ),
        torch.cat([part.truth_BSS for part in parts]),
        torch.cat([part.seen_BSS for part in parts]),
        torch.cat([part.cells_B for part in parts]),
    )


def _of_scene(
    scene: MaskScene, maps: ImageMaps, kind: Kind, per_scene: int, random: np.random.Generator
) -> MaskBatch | None:
    if not scene.masks:
        return None
    chosen = random.permutation(len(scene.masks))[:per_scene]
    is_flipped = bool(random.random() < 0.5)
    boxes_B4 = np.stack([_jittered(scene.boxes_R4[row], random) for row in chosen])
    if kind == "box":
        boxes = torch.from_numpy(boxes_B4)
        windows = windows_around(boxes)
        asked = Prompts(None, None, to_window(boxes.view(-1, 2, 2), windows).view(-1, 4))
        return _batch(scene, maps, chosen, windows, asked, is_flipped=is_flipped)
    side = len(maps.rgb[0, 0])
    drawn = [_points(scene, int(row), side, random) for row in chosen]
    kept = [(place, points) for place, points in enumerate(drawn) if points is not None]
    if not kept:
        return None
    places, clicks = [place for place, _ in kept], [points for _, points in kept]
    chosen, boxes_B4 = chosen[places], boxes_B4[places]
    points_BK2 = torch.from_numpy(np.stack([points for points, _ in clicks]))
    labels_BK = torch.from_numpy(np.stack([labels for _, labels in clicks]))
    inside: Tensor | None = None
    if kind == "both":
        boxes = torch.from_numpy(boxes_B4)
        windows = windows_around(boxes)
        inside = to_window(boxes.view(-1, 2, 2), windows).view(-1, 4)
    else:
        around = [
            _window_of_points(scene.boxes_R4[row], points, labels, random)
            for row, (points, labels) in zip(chosen, clicks, strict=True)
        ]
        windows = torch.from_numpy(np.stack(around))
    asked = Prompts(to_window(points_BK2, windows), labels_BK, inside)
    return _batch(scene, maps, chosen, windows, asked, is_flipped=is_flipped)


def _batch(
    scene: MaskScene,
    maps: ImageMaps,
    chosen: NDArray[np.int64],
    windows_B4: Tensor,
    asked: Prompts,
    *,
    is_flipped: bool,
) -> MaskBatch:
    side_px = maps.rgb.shape[-1]
    truths, seens, cells = [], [], []
    for row, window in zip(chosen, windows_B4.numpy().astype(np.float64) * side_px, strict=True):
        offset = np.array([scene.left, scene.top] * 2)
        x0, y0, x1, y1 = ((window - offset) / scene.scale).tolist()
        seen = _seen((x0, y0, x1, y1), scene.part)
        truths.append(scene.masks[row].seen_in((x0, y0, x1, y1), (MASK_SIDE, MASK_SIDE)) & seen)
        seens.append(seen)
        cells.append(scene.areas_R[row] / ((x1 - x0) * (y1 - y0)) * MASK_SIDE**2)
    truth, seen_BSS = torch.from_numpy(np.stack(truths)), torch.from_numpy(np.stack(seens))
    if is_flipped:
        truth, seen_BSS = truth.flip(2), seen_BSS.flip(2)
        asked = _flipped(asked)
    return MaskBatch(
        sample_windows(maps, windows_B4, is_flipped=is_flipped),
        asked,
        truth.float(),
        seen_BSS.float(),
        torch.tensor(cells, dtype=torch.float32),
    )


def _flipped(asked: Prompts) -> Prompts:
    points, boxes = asked.points_BK2, asked.boxes_B4
    if points is not None:
        points = torch.stack([1 - points[..., 0], points[..., 1]], dim=-1)
    if boxes is not None:
        boxes = torch.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], dim=1)
    return Prompts(points, asked.labels_BK, boxes)


def _seen(window: tuple[float, float, float, float], part: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = window
    steps = (np.arange(MASK_SIDE) + 0.5) / MASK_SIDE
    across, down = x0 + (x1 - x0) * steps, y0 + (y1 - y0) * steps
    is_across = (across >= part[0]) & (across <= part[2])
    is_down = (down >= part[1]) & (down <= part[3])
    return is_down[:, None] & is_across[None, :]


def _jittered(box_4: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    if random.random() < _EXACT_SHARE:
        return box_4
    sides = np.tile(box_4[2:] - box_4[:2], 2)
    moved = box_4 + sides * np.clip(random.normal(0, _JITTER, 4), -_MOST_JITTER, _MOST_JITTER)
    return moved.astype(np.float32)


def _points(
    scene: MaskScene, row: int, side_px: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
    """Points in the ``square`` frame with their labels, padded to ``MAX_POINTS``; the first is inside the thing."""
    box = scene.boxes_R4[row]
    window = windows_around(torch.from_numpy(box[None]), 1.3).numpy()[0]
    offset = np.array([scene.left, scene.top] * 2)
    x0, y0, x1, y1 = ((window.astype(np.float64) * side_px - offset) / scene.scale).tolist()
    inside = scene.masks[row].seen_in((x0, y0, x1, y1), (MASK_SIDE, MASK_SIDE)) & _seen((x0, y0, x1, y1), scene.part)
    places = np.argwhere(inside), np.argwhere(~inside)
    if not len(places[0]):
        return None
    points, labels = np.zeros((MAX_POINTS, 2), np.float32), np.full(MAX_POINTS, NO_POINT)
    for number in range(int(random.integers(1, MAX_POINTS + 1))):
        is_inside = number == 0 or random.random() < 0.5 or not len(places[1])
        found = _well_inside(places[0], inside, random) if is_inside else places[1][random.integers(len(places[1]))]
        down, across = (found + 0.5) / MASK_SIDE
        points[number] = window[:2] + (window[2:] - window[:2]) * np.array([across, down])
        labels[number] = POSITIVE if is_inside else NEGATIVE
    return points, labels


def _well_inside(
    places: NDArray[np.int64], inside: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.int64]:
    """A person clicks into a thing, not on its edge: of a few places the one with most of the thing around it."""
    few = places[random.integers(len(places), size=4)]
    around = [inside[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5].sum() for y, x in few]
    best: NDArray[np.int64] = few[int(np.argmax(around))]
    return best


def _window_of_points(
    box_4: NDArray[np.float32], points_K2: NDArray[np.float32], labels_K: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.float32]:
    """A square window around the points, in most draws of a size that suits the thing."""
    longest = float((box_4[2:] - box_4[:2]).max())
    if random.random() < _FITTING_SHARE:
        share = random.uniform(0.25, 0.9)
    else:
        share = float(np.exp(random.uniform(np.log(0.08), np.log(2.5))))
    used = points_K2[labels_K != NO_POINT]
    centre = points_K2[labels_K == POSITIVE].mean(axis=0)
    side = max(longest / share, 2.2 * float(np.abs(used - centre).max()))
    return np.concatenate([centre - side / 2, centre + side / 2]).astype(np.float32)
