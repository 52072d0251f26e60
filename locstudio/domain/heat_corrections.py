"""Where a person has painted a class into a heatmap, or out of it.

Axes: G = side of the heatmap's grid, P = points of a stroke.  A stroke is a round brush drawn along points of the unit
frame; its radius is a share of the image's longer side, so the brush is round in the picture whatever its shape.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 20_000
_FINE = 4


class Evidence(StrEnum):
    """What a stroke says: the class is here, or it is not."""

    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Stroke:
    """One movement of the brush.

    Raises:
        ValueError: no point, too many, one that is not finite, or a radius that is not in (0, 1].
    """

    points: tuple[tuple[float, float], ...]
    radius: float

    def __post_init__(self) -> None:
        if not 1 <= len(self.points) <= MAX_POINTS:
            raise ValueError(f"a stroke has 1 to {MAX_POINTS:,} points, not {len(self.points)}")
        if not all(math.isfinite(x) and math.isfinite(y) for x, y in self.points):
            raise ValueError("a stroke has a point that is no number")
        if not 0 < self.radius <= 1:
            raise ValueError(f"a brush has a radius in (0, 1], not {self.radius}")


@dataclass(frozen=True, slots=True)
class HeatCorrection:
    """Strokes of one kind on the heatmap of one class of one image.

    ``checkpoint_id`` names the model whose heat the person saw, ``at`` the moment (UTC, ISO 8601).  Of corrections that
    overlap, the one with the higher identity is the later and wins.
    """

    id: int
    image_id: int
    class_id: int
    kind: Evidence
    strokes: tuple[Stroke, ...]
    checkpoint_id: str = ""
    at: str = ""


def strokes_to_text(strokes: Iterable[Stroke]) -> str:
    """Strokes as the JSON that the dataset keeps; coordinates to a hundred-thousandth."""
    return json.dumps(
        [
            {
                "radius": max(round(stroke.radius, 5), 1e-5),
                "points": [[round(x, 5), round(y, 5)] for x, y in stroke.points],
            }
            for stroke in strokes
        ],
        separators=(",", ":"),
    )


def strokes_from_text(text: str) -> tuple[Stroke, ...]:
    """The strokes that ``strokes_to_text`` wrote.

    Raises:
        ValueError: this is something else.
    """
    try:
        return tuple(
            Stroke(tuple((float(x), float(y)) for x, y in stroke["points"]), float(stroke["radius"]))
            for stroke in json.loads(text)
        )
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"these are no strokes: {error}") from error


def coverage(strokes: Sequence[Stroke], grid: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """How much of each cell of a heatmap the strokes cover, float32 (G, G) in [0, 1].

    Args:
        strokes: What was painted.
        grid: Side of the heatmap.
        size: Width and height of the image in pixels, for the brush is round there.
    """
    fine = grid * _FINE
    width, height = max(size[0], 1), max(size[1], 1)
    longer = max(width, height)
    middle_F = (np.arange(fine) + 0.5) / fine
    x_11F = middle_F[None, :] * (width / longer)
    y_1F1 = middle_F[:, None] * (height / longer)
    covered_FF = np.zeros((fine, fine), bool)
    for stroke in strokes:
        points_P2 = np.asarray(stroke.points, np.float64) * (width / longer, height / longer)
        # Half the diagonal of a fine cell: a brush smaller than that still marks the cells that it passes.
        radius = max(stroke.radius, 0.7072 / fine)
        ends_P2 = points_P2[1:] if len(points_P2) > 1 else points_P2
        for (ax, ay), (bx, by) in zip(points_P2[: len(ends_P2)], ends_P2, strict=True):
            along = (bx - ax) ** 2 + (by - ay) ** 2
            share_FF = ((x_11F - ax) * (bx - ax) + (y_1F1 - ay) * (by - ay)) / along if along else 0.0
            share_FF = np.clip(share_FF, 0.0, 1.0)
            distance_FF = (x_11F - ax - share_FF * (bx - ax)) ** 2 + (y_1F1 - ay - share_FF * (by - ay)) ** 2
            covered_FF |= distance_FF <= radius**2
    covered_GG: NDArray[np.float32] = covered_FF.reshape(grid, _FINE, grid, _FINE).mean(axis=(1, 3), dtype=np.float32)
    return covered_GG


def painted(
    corrections: Iterable[HeatCorrection], grid: int, size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the corrections of one class of one image say, cell by cell.

    Returns:
        The value a cell should have (1 where evidence was painted in, 0 where it was painted out), and how far that was
        painted at all in [0, 1], both float32 (G, G).
    """
    value_GG = np.zeros((grid, grid), np.float32)
    weight_GG = np.zeros((grid, grid), np.float32)
    for correction in sorted(corrections, key=lambda one: one.id):
        new_GG = coverage(correction.strokes, grid, size)
        wanted = 1.0 if correction.kind is Evidence.ADD else 0.0
        whole_GG = np.maximum(weight_GG * (1 - new_GG) + new_GG, 1e-6)
        value_GG = (value_GG * weight_GG * (1 - new_GG) + wanted * new_GG) / whole_GG
        weight_GG = np.maximum(weight_GG, new_GG)
    return value_GG.astype(np.float32), weight_GG


def corrected(
    heat_GG: NDArray[np.uint8], corrections: Sequence[HeatCorrection], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """A heatmap with what was painted over it, uint8 (G, G), where 255 is certainty."""
    if not corrections:
        return heat_GG
    value_GG, weight_GG = painted(corrections, len(heat_GG), size)
    mixed_GG = heat_GG * (1 - weight_GG) + 255 * value_GG * weight_GG
    return np.rint(mixed_GG).astype(np.uint8)
