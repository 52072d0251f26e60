"""A brush over a heatmap: where it went, and what the heat looks like meanwhile.

Axes: G = side of the heatmap.  Positions are in the unit frame, the radius is a share of the image's longer side.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.heat_corrections import MAX_POINTS, Evidence, Stroke, coverage

DEFAULT_RADIUS = 0.05
MIN_RADIUS, MAX_RADIUS = 0.005, 0.4
_STEP = 1.25
_SPACING = 0.15  # of the radius: a point nearer to the last one says nothing new

Point = tuple[float, float]


class BrushKind(StrEnum):
    """What the brush does."""

    ADD = "add"
    REMOVE = "remove"
    ERASE = "erase"

    @property
    def opposite(self) -> "BrushKind":
        """What the other mouse button does; erasing has no opposite."""
        return {BrushKind.ADD: BrushKind.REMOVE, BrushKind.REMOVE: BrushKind.ADD}.get(self, self)

    @property
    def evidence(self) -> Evidence | None:
        """What a stroke of it says; nothing for one that erases."""
        return None if self is BrushKind.ERASE else Evidence(self.value)


@dataclass(slots=True)
class BrushTool:
    """The brush and the stroke that goes on.

    Attributes:
        kind: What the stroke that goes on does.
        size: Width and height of the image in pixels.
        points: Where it went; empty while no stroke goes on.
    """

    radius: float = DEFAULT_RADIUS
    kind: BrushKind = BrushKind.ADD
    size: tuple[int, int] = (1, 1)
    points: list[Point] = field(default_factory=list)
    _covered_GG: NDArray[np.float32] | None = None
    _num_covered: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether a stroke goes on."""
        return bool(self.points)

    def resize(self, steps: float) -> None:
        """Make the brush larger or, with negative steps, smaller."""
        self.radius = min(max(self.radius * _STEP**steps, MIN_RADIUS), MAX_RADIUS)

    def press(self, kind: BrushKind, at: Point, size: tuple[int, int]) -> None:
        """Begin a stroke."""
        self.cancel()
        self.kind, self.size = kind, size
        self.points = [_inside(at)]

    def move(self, at: Point) -> bool:
        """Carry the stroke on; whether it has become longer."""
        at = _inside(at)
        longer = max(self.size)
        dx = (at[0] - self.points[-1][0]) * self.size[0] / longer
        dy = (at[1] - self.points[-1][1]) * self.size[1] / longer
        if np.hypot(dx, dy) < _SPACING * self.radius or len(self.points) >= MAX_POINTS:
            return False
        self.points.append(at)
        return True

    def release(self) -> Stroke:
        """End the stroke."""
        stroke = Stroke(tuple(self.points), self.radius)
        self.cancel()
        return stroke

    def cancel(self) -> bool:
        """Forget the stroke; whether there was one."""
        was_busy = self.is_busy
        self.points, self._covered_GG, self._num_covered = [], None, 0
        return was_busy

    def preview(self, map_GG: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The heatmap as the stroke so far makes it.  Only what is new of the stroke is worked out."""
        evidence = self.kind.evidence
        if not self.points or evidence is None:
            return map_GG
        if self._covered_GG is None or len(self._covered_GG) != len(map_GG):
            self._covered_GG, self._num_covered = np.zeros(map_GG.shape, np.float32), 0
        new = tuple(self.points[max(self._num_covered - 1, 0) :])
        self._num_covered = len(self.points)
        self._covered_GG = np.maximum(self._covered_GG, coverage([Stroke(new, self.radius)], len(map_GG), self.size))
        wanted = 255 if evidence is Evidence.ADD else 0
        mixed_GG = map_GG + (wanted - map_GG.astype(np.float32)) * self._covered_GG
        return np.rint(mixed_GG).astype(np.uint8)


def _inside(at: Point) -> Point:
    return min(max(at[0], 0.0), 1.0), min(max(at[1], 0.0), 1.0)
