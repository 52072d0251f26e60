"""The ground of a graph of superclasses: areas and the confusions between classes, painted once for each zoom.

A bow with soft edges costs more than all names together, so the ground is kept as a picture while the view is moved
about and the mouse goes over it.
"""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPixmap

from locstudio.services.routing.graph_layout import WITHOUT
from locstudio.ui import theme
from locstudio.ui.routing.superclass_picture import GraphPicture, group_color
from locstudio.ui.routing.superclass_scene import GraphScene

_MOST_ACROSS = 60  # edges between superclasses that are painted while no class is looked at
_WIDEST = 8.0
_MOST_PIXELS = 12_000_000
_AROUND = 4


class Ground:
    """Paints areas and edges of a scene, from a picture where that is not too large."""

    def __init__(self, scene: GraphScene) -> None:
        self._scene = scene
        self._kept: dict[tuple[str, bool, float], QPixmap] = {}

    def paint(self, painter: QPainter, seen: QRectF, *, is_pale: bool) -> None:
        """Paint what lies in ``seen``; ``is_pale`` steps back behind what stands out."""
        left, top, width, height = (length * self._scene.scale for length in self._scene.picture.layout.bounds())
        whole = QRectF(left - _AROUND, top - _AROUND, width + 2 * _AROUND, height + 2 * _AROUND)
        ratio = painter.device().devicePixelRatioF()
        if whole.width() * whole.height() * ratio * ratio > _MOST_PIXELS:
            _paint_ground(painter, self._scene, seen, is_pale=is_pale)
            return
        key = (theme.current().name, is_pale, ratio)
        if key not in self._kept:
            made = QPixmap(round(whole.width() * ratio), round(whole.height() * ratio))
            made.setDevicePixelRatio(ratio)
            made.fill(Qt.GlobalColor.transparent)
            inner = QPainter(made)
            inner.setRenderHint(QPainter.RenderHint.Antialiasing)
            inner.translate(-whole.topLeft())
            _paint_ground(inner, self._scene, whole, is_pale=is_pale)
            inner.end()
            self._kept[key] = made
        painter.drawPixmap(whole.topLeft(), self._kept[key])


def _paint_ground(painter: QPainter, scene: GraphScene, seen: QRectF, *, is_pale: bool) -> None:
    for number, group in enumerate(scene.picture.groups):
        if group.key in scene.picture.layout.areas and scene.area_rect(group.key).intersects(seen):
            _paint_area(painter, scene, group.key, number)
    share = (1.0 if scene.has_pills else 0.5) * (0.35 if is_pale else 1.0)
    paint_edges(painter, scene, edges_at_rest(scene)[::-1], seen, share=share)


def hue_of(picture: GraphPicture, key: int, number: int) -> str:
    """The colour of a superclass, such that it can be told from the ground in this theme."""
    group = picture.group(key)
    look = theme.current()
    if group is None or key == WITHOUT:
        return look.muted
    hue = group_color(group.color, number)
    return theme.mixed(hue, look.text, 0.25) if theme.contrast(hue, look.base) < 2.2 else hue


def _paint_area(painter: QPainter, scene: GraphScene, key: int, number: int) -> None:
    look, hue = theme.current(), hue_of(scene.picture, key, number)
    line = Qt.PenStyle.DashLine if key == WITHOUT or scene.picture.is_suggestion else Qt.PenStyle.SolidLine
    painter.setPen(QPen(QColor(theme.mixed(look.base, hue, 0.5)), 1.1, line))
    painter.setBrush(QColor(theme.mixed(look.base, hue, 0.085)))
    painter.drawRoundedRect(scene.area_rect(key), scene.corner, scene.corner)


def paint_area_marks(
    painter: QPainter, scene: GraphScene, target: int | None, landing: tuple[int, ...], area: int | None
) -> None:
    """Frame the superclass that is chosen, and that under what is in hand, with the slots that it would take."""
    look = theme.current()
    areas = scene.picture.layout.areas
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if area is not None and area in areas:
        painter.setPen(QPen(QColor(look.accent), 2.2))
        painter.drawRoundedRect(scene.area_rect(area), scene.corner, scene.corner)
    if target is None or target not in areas:
        return
    fill = QColor(look.accent)
    fill.setAlpha(38)
    painter.setPen(QPen(QColor(look.accent), 2.6))
    painter.setBrush(fill)
    painter.drawRoundedRect(scene.area_rect(target), scene.corner, scene.corner)
    painter.setPen(QPen(QColor(look.accent), 1.4, Qt.PenStyle.DashLine))
    painter.setBrush(QColor(theme.mixed(look.base, look.accent, 0.25)))
    for slot in landing:
        box = scene.slot_rect(target, slot)
        painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)


def edges_at_rest(scene: GraphScene) -> NDArray[np.int64]:
    """The edges that are painted while nothing is looked at: all within superclasses, the strongest between them."""
    across = np.flatnonzero(~scene.is_within_M)[:_MOST_ACROSS]
    return np.sort(np.concatenate([np.flatnonzero(scene.is_within_M), across]))


def edge_width(strength: float, scale: float) -> float:
    """How wide a confusion is painted: by its share, the same in every picture."""
    return min(_WIDEST, (0.9 + 15.0 * strength) * min(max(scale, 0.5), 1.3))


def paint_edges(
    painter: QPainter,
    scene: GraphScene,
    numbers: NDArray[np.int64],
    seen: QRectF,
    *,
    share: float = 1.0,
    stands_out: bool = False,
) -> None:
    """Paint edges in this order; those between superclasses are broken lines.

    Args:
        painter: In pixels of the picture at its zoom.
        scene: Where the edges lie.
        numbers: Of the edges.
        seen: Edges outside are left out.
        share: How strong they are, of as strong as they can be.
        stands_out: In the colour of what is looked at.
    """
    look, strengths = theme.current(), scene.picture.edges.strengths
    low, high = scene.points_MP2[numbers].min(axis=1), scene.points_MP2[numbers].max(axis=1)
    is_seen = (low[:, 0] < seen.right()) & (high[:, 0] > seen.left())
    is_seen &= (low[:, 1] < seen.bottom()) & (high[:, 1] > seen.top())
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for number in numbers[is_seen].tolist():
        strength, is_within = float(strengths[number]), bool(scene.is_within_M[number])
        color = QColor(look.accent if stands_out else look.text)
        if not stands_out:
            alpha = 85 + 320 * strength if is_within else 60 + 240 * strength
            color.setAlpha(round(min(alpha, 190) * share))
        style = Qt.PenStyle.SolidLine if is_within else Qt.PenStyle.DashLine
        width = edge_width(strength, scene.scale)
        painter.setPen(QPen(color, width, style, Qt.PenCapStyle.FlatCap))
        painter.drawPath(_path(scene, number))


def _path(scene: GraphScene, number: int) -> QPainterPath:
    points = scene.points_MP2[number]
    start, middle, end = points[0], points[len(points) // 2], points[-1]
    control = 2 * middle - (start + end) / 2
    path = QPainterPath(QPointF(*start.tolist()))
    path.quadTo(QPointF(*control.tolist()), QPointF(*end.tolist()))
    return path
