"""Where the parts of a graph of superclasses lie on the screen at one zoom, and what is under a point.

Positions are pixels from the picture's own corner; whoever paints moves them by how far the view is shifted.
Axes: L = classes, M = edges, P = points of an edge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QFontMetricsF
from PySide6.QtWidgets import QApplication

from locstudio.services.routing.graph_layout import HEAD, PAD, ROW_HEIGHT, WITHOUT
from locstudio.ui.plain_text import shown
from locstudio.ui.routing.superclass_picture import GraphPicture

Floats = NDArray[np.float64]
Rect = tuple[float, float, float, float]
"""Left, top, right and bottom."""

_PILLS_FROM = 13.5  # px a row; lower rows are dots with some names
_LEAST_SLOT = 42.0
_POINTS = (7.0, 13.0)
_TITLE_POINTS = (8.5, 15.0)
_NUM_STEPS = 13
_BEND = 0.13
_EDGE_REACH = 6.0
_DOT_REACH = 9.0
_BESIDE = 5.0
_PLATES = 4  # names an area


@dataclass(frozen=True, slots=True)
class Label:
    """A name beside a dot, and where it stands; on a plate where other dots lie under it."""

    place: int
    rect: QRectF
    has_plate: bool = False


class GraphScene:
    """A picture at a zoom."""

    def __init__(self, picture: GraphPicture, scale: float) -> None:
        self.picture = picture
        self.scale = scale
        base = QApplication.font()
        self.font = QFont(base)
        self.font.setPointSizeF(min(max(base.pointSizeF() * scale, _POINTS[0]), _POINTS[1]))
        self.title_font = QFont(base)
        self.title_font.setPointSizeF(min(max(1.08 * base.pointSizeF() * scale, _TITLE_POINTS[0]), _TITLE_POINTS[1]))
        self.title_font.setWeight(QFont.Weight.DemiBold)
        self.metrics, self.title_metrics = QFontMetricsF(self.font), QFontMetricsF(self.title_font)
        areas = picture.layout.areas
        self.slot_px = scale * min((area.slot_width for area in areas.values()), default=100.0)
        self.has_pills = ROW_HEIGHT * scale >= _PILLS_FROM and self.slot_px >= _LEAST_SLOT
        self.centers_L2: Floats = picture.centers() * scale
        names = [shown(name) for name in picture.graph.names]
        self.sizes_L2 = self._sizes(names)
        self.names = self._fitting(names)
        self.points_MP2 = self._edge_points()
        self.is_within_M = self._within()
        self.labels = [] if self.has_pills else self._labels()

    # sizes ------------------------------------------------------------------------------------------------------

    @property
    def pill_height(self) -> float:
        """Of a name with its frame."""
        return min(self.metrics.height() + 5, 0.84 * ROW_HEIGHT * self.scale)

    @property
    def dot_radius(self) -> float:
        """Of a class whose name has no frame."""
        return min(max(5.0 * self.scale, 2.0), 5.0)

    def _sizes(self, names: list[str]) -> Floats:
        if not self.has_pills:
            return np.full((len(names), 2), 2 * self.dot_radius)
        most = self.slot_px - 6
        pulls, ids = self.picture.pulls, self.picture.graph.class_ids.tolist()
        mark = self.metrics.horizontalAdvance(" ↗")
        widths = [
            self.metrics.horizontalAdvance(name) + (mark if class_id in pulls else 0) + 14
            for name, class_id in zip(names, ids, strict=True)
        ]
        return np.array([(min(max(width, 26.0), most), self.pill_height) for width in widths]).reshape(-1, 2)

    def _fitting(self, names: list[str]) -> list[str]:
        """The names, cut short where their frame is too narrow; a class that pulls elsewhere ends in an arrow."""
        if not self.has_pills:
            return names
        fitting = []
        for place, (name, class_id) in enumerate(zip(names, self.picture.graph.class_ids.tolist(), strict=True)):
            mark = " ↗" if class_id in self.picture.pulls else ""
            room = self.sizes_L2[place, 0] - 8 - (self.metrics.horizontalAdvance(mark) if mark else 0)
            fitting.append(self.metrics.elidedText(name, Qt.TextElideMode.ElideRight, room) + mark)
        return fitting

    def area_rect(self, key: int) -> QRectF:
        """Where a superclass lies."""
        area = self.picture.layout.areas[key]
        return QRectF(area.x * self.scale, area.y * self.scale, area.width * self.scale, area.height * self.scale)

    def title_rect(self, key: int) -> QRectF:
        """Where its name stands."""
        area = self.area_rect(key)
        height = max(self.title_metrics.height() + 4, HEAD * self.scale)
        side = max(6.0, PAD * self.scale * 0.8)
        return QRectF(area.left() + side, area.top(), area.width() - 2 * side, height)

    def class_rect(self, place: int) -> QRectF:
        """Where a class lies, by its position."""
        (x, y), (width, height) = self.centers_L2[place].tolist(), self.sizes_L2[place].tolist()
        return QRectF(x - width / 2, y - height / 2, width, height)

    @property
    def corner(self) -> float:
        """Radius of the corners of an area."""
        return min(14.0, max(5.0, 12 * self.scale))

    def slot_rect(self, key: int, slot: int) -> QRectF:
        """Where a slot of an area lies, as large as a class in it."""
        x, y = self.picture.layout.areas[key].slot_center(slot)
        width = self.slot_px - 8 if self.has_pills else 3 * self.dot_radius
        height = self.pill_height if self.has_pills else 3 * self.dot_radius
        return QRectF(x * self.scale - width / 2, y * self.scale - height / 2, width, height)

    # edges ------------------------------------------------------------------------------------------------------

    def _edge_points(self) -> Floats:
        """Points along each edge, a bow that does not run through what lies between its ends; (M, P, 2)."""
        edges = self.picture.edges
        start_M2, end_M2 = self.centers_L2[edges.first], self.centers_L2[edges.second]
        along_M2 = end_M2 - start_M2
        across_M2 = np.stack([-along_M2[:, 1], along_M2[:, 0]], axis=1)
        control_M2 = (start_M2 + end_M2) / 2 + _BEND * across_M2
        t_P = np.linspace(0, 1, _NUM_STEPS)[None, :, None]
        points: Floats = (
            (1 - t_P) ** 2 * start_M2[:, None] + 2 * t_P * (1 - t_P) * control_M2[:, None] + t_P**2 * end_M2[:, None]
        )
        return points

    def _within(self) -> NDArray[np.bool_]:
        edges, groups_L = self.picture.edges, self.picture.graph.groups_of(self.picture.group_of)
        first, second = groups_L[edges.first], groups_L[edges.second]
        within: NDArray[np.bool_] = (first == second) & (first != WITHOUT)
        return within

    def edges_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The edges that touch any of these classes."""
        edges = self.picture.edges
        return np.flatnonzero(np.isin(edges.first, places) | np.isin(edges.second, places))

    # names beside dots ------------------------------------------------------------------------------------------

    def _labels(self) -> list[Label]:
        """Names that fit beside their dots without touching another name, the most confused first.

        Neither do they touch another dot; where that leaves a superclass with hardly a name, a few lie on a plate.
        """
        graph = self.picture.graph
        order = np.argsort(-graph.strengths_LL.sum(axis=1), kind="stable").tolist()
        key_of = [self.picture.layout.slots[class_id][0] for class_id in graph.class_ids.tolist()]
        taken: list[Rect] = []
        found: dict[int, Label] = {}
        count = dict.fromkeys(self.picture.layout.areas, 0)
        for has_plate in (False, True):
            for place in order:
                if place in found or (has_plate and count[key_of[place]] >= _PLATES):
                    continue
                rect = self._room_for(place, key_of[place], taken, covers_dots=has_plate)
                if rect is not None:
                    taken.append(rect)
                    count[key_of[place]] += 1
                    box = QRectF(rect[0], rect[1], rect[2] - rect[0], rect[3] - rect[1])
                    found[place] = Label(place, box, has_plate)
        return list(found.values())

    def _room_for(self, place: int, key: int, taken: list[Rect], *, covers_dots: bool) -> Rect | None:
        """A free rectangle on the right or the left of a dot, inside its area and under the area's name."""
        x, y = self.centers_L2[place].tolist()
        room, top = self.area_rect(key), self.title_rect(key).bottom() - 3
        width, height = self.metrics.horizontalAdvance(self.names[place]) + 2, self.metrics.height() - 2
        for left in (x + self.dot_radius + 2, x - self.dot_radius - 2 - width):
            rect = (left, y - height / 2, left + width, y + height / 2)
            is_inside = room.left() + 2 <= rect[0] and rect[2] <= room.right() - 2
            is_inside &= rect[1] >= top and rect[3] <= room.bottom()
            if is_inside and self._is_free(rect, taken) and (covers_dots or self._has_no_dot(rect, place)):
                return rect
        return None

    def _is_free(self, rect: Rect, taken: list[Rect]) -> bool:
        if not taken:
            return True
        left, top, right, bottom = rect
        all_N4 = np.array(taken)
        is_hit_N = (all_N4[:, 0] < right + _BESIDE) & (all_N4[:, 2] > left - _BESIDE)
        is_hit_N &= (all_N4[:, 1] < bottom) & (all_N4[:, 3] > top)
        return not bool(is_hit_N.any())

    def _has_no_dot(self, rect: Rect, own: int) -> bool:
        left, top, right, bottom = rect
        x_L, y_L, reach = self.centers_L2[:, 0], self.centers_L2[:, 1], self.dot_radius + 1
        is_in_L = (x_L > left - reach) & (x_L < right + reach) & (y_L > top - reach + 3) & (y_L < bottom + reach - 3)
        is_in_L[own] = False
        return not bool(is_in_L.any())

    # under a point ----------------------------------------------------------------------------------------------

    def class_at(self, point: QPointF) -> int | None:
        """The position of the class under a point."""
        if not len(self.centers_L2):
            return None
        off_L2 = np.abs(self.centers_L2 - [point.x(), point.y()])
        if self.has_pills:
            hit = np.flatnonzero((off_L2 <= self.sizes_L2 / 2 + 1).all(axis=1))
            return int(hit[0]) if len(hit) else None
        for label in self.labels:
            if label.rect.contains(point):
                return label.place
        far_L = np.hypot(off_L2[:, 0], off_L2[:, 1])
        nearest = int(np.argmin(far_L))
        return nearest if far_L[nearest] <= _DOT_REACH else None

    def edge_at(self, point: QPointF, among: NDArray[np.int64]) -> int | None:
        """The edge under a point, of those that are painted."""
        if not len(among):
            return None
        points = self.points_MP2[among]
        start, end = points[:, :-1], points[:, 1:]
        along = end - start
        length = np.maximum((along**2).sum(axis=2), 1e-9)
        at = np.array([point.x(), point.y()])
        t = np.clip(((at - start) * along).sum(axis=2) / length, 0, 1)
        far = np.hypot(*(at - (start + t[:, :, None] * along)).transpose(2, 0, 1)).min(axis=1)
        nearest = int(np.argmin(far))
        return int(among[nearest]) if far[nearest] <= _EDGE_REACH else None

    def area_at(self, point: QPointF) -> int | None:
        """The superclass under a point."""
        for key in self.picture.layout.areas:
            if self.area_rect(key).contains(point):
                return key
        return None
