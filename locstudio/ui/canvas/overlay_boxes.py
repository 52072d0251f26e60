"""The boxes of one image as arrays, in the order in which they are painted and stepped through."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import smallest_containing
from locstudio.domain.regions import Region, Review
from locstudio.ui.canvas.view import View

_REVIEWS = {review: place for place, review in enumerate(Review)}


def boxes_in_px(regions: Sequence[Region], width: int, height: int) -> NDArray[np.float64]:
    """Boxes of the regions in image pixels, shape (N, 4), XYXY."""
    unit = np.array([region.box.as_tuple() for region in regions], np.float64).reshape(-1, 4)
    px: NDArray[np.float64] = unit * np.array([width, height, width, height], np.float64)
    return px


@dataclass(frozen=True, slots=True)
class BoxArrays:
    """Regions beside their boxes in image pixels; row ``i`` of ``boxes_px`` is the box of ``regions[i]``.

    ``rows`` finds the row of an identity; rows of equal ``looks`` have the same class and review.
    """

    regions: tuple[Region, ...]
    boxes_px: NDArray[np.float64]
    rows: dict[int, int]
    looks: NDArray[np.int64]

    @classmethod
    def of(cls, regions: Sequence[Region], width: int, height: int) -> "BoxArrays":
        """Arrays for the regions of an image of this size."""
        return cls(
            tuple(regions),
            boxes_in_px(regions, width, height),
            {region.id: row for row, region in enumerate(regions)},
            np.array([(r.class_id or 0) * len(_REVIEWS) + _REVIEWS[r.review] for r in regions], np.int64),
        )

    def at(self, px_x: float, px_y: float, tolerance: float) -> int | None:
        """Row of the smallest box under a point; one missed by ``tolerance`` pixels counts if none does."""
        row = smallest_containing(self.boxes_px, px_x, px_y)  # type: ignore[arg-type]  # compares only: any float will do
        if row is None and len(self.boxes_px):
            wider = self.boxes_px + np.array([-tolerance, -tolerance, tolerance, tolerance])
            row = smallest_containing(wider, px_x, px_y)
        return row

    def inside(self, x0: float, y0: float, x1: float, y1: float) -> list[int]:
        """Identities of the regions whose boxes lie wholly in a rectangle of image pixels."""
        b = self.boxes_px
        mask = (b[:, 0] >= x0) & (b[:, 1] >= y0) & (b[:, 2] <= x1) & (b[:, 3] <= y1)
        return [self.regions[row].id for row in np.flatnonzero(mask)]

    def visible_rows(self, view: View, width: float, height: float) -> NDArray[np.int64]:
        """Rows whose boxes touch what a widget of this size shows."""
        x0, y0, x1, y1 = view.visible_px(width, height)
        b = self.boxes_px
        mask = (b[:, 2] >= x0) & (b[:, 0] <= x1) & (b[:, 3] >= y0) & (b[:, 1] <= y1)
        return np.flatnonzero(mask)
