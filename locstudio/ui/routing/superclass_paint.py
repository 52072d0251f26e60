"""Paints a graph of superclasses: areas with names, confusions as bows, classes as framed names or dots."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QApplication

from locstudio.services.routing.graph_layout import WITHOUT
from locstudio.ui import theme
from locstudio.ui.plain_text import shown
from locstudio.ui.routing.superclass_ground import Ground, edges_at_rest, hue_of, paint_area_marks, paint_edges
from locstudio.ui.routing.superclass_scene import GraphScene
from locstudio.ui.routing.superclass_words import percent

_MIDDLE = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextSingleLine)
_LEFT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextSingleLine)


@dataclass(frozen=True, slots=True)
class Marks:
    """What is looked at, chosen and dragged.

    Attributes:
        chosen: Classes, by id.
        current: The class that keys act on; it has a ring while the graph has the keys.
        hovered: The class under the mouse.
        edge: The edge under the mouse, or chosen.
        area: The superclass that is chosen.
        dragged: Classes in hand; they are pale where they were.
        target: The superclass under what is in hand.
        landing: Slots of the target that they would take.
        has_keys: The graph has the keys.
        follows: Confusions of what is chosen stand out too; else only what is chosen does.
    """

    chosen: frozenset[int] = frozenset()
    current: int | None = None
    hovered: int | None = None
    edge: int | None = None
    area: int | None = None
    dragged: tuple[int, ...] = ()
    target: int | None = None
    landing: tuple[int, ...] = field(default=())
    has_keys: bool = False
    follows: bool = True


def focus_of(scene: GraphScene, marks: Marks) -> NDArray[np.int64]:
    """Positions of the classes whose confusions stand out: that under the mouse, else those chosen."""
    graph = scene.picture.graph
    ids = [marks.hovered] if marks.hovered is not None else sorted(marks.chosen) if marks.follows else []
    if marks.dragged:
        ids = list(marks.dragged)
    places = [graph.position(class_id) for class_id in ids if class_id is not None]
    return np.array([place for place in places if place >= 0], np.int64)


def edges_shown(scene: GraphScene, marks: Marks) -> NDArray[np.int64]:
    """The edges that are painted: those at rest, and those of what stands out."""
    own = [marks.edge] if marks.edge is not None else []
    return np.unique(np.concatenate([edges_at_rest(scene), scene.edges_of(focus_of(scene, marks)), own])).astype(
        np.int64
    )


def paint_graph(painter: QPainter, scene: GraphScene, ground: Ground, marks: Marks, seen: QRectF) -> None:
    """Paint what of the picture lies in ``seen``, in pixels of the picture at its zoom."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    focus = focus_of(scene, marks)
    near = _near(scene, focus, marks)
    ground.paint(painter, seen, is_pale=near is not None)
    paint_area_marks(painter, scene, marks.target, marks.landing, marks.area)
    own = set(scene.edges_of(focus).tolist()) | ({marks.edge} if marks.edge is not None else set())
    paint_edges(painter, scene, np.array(sorted(own, reverse=True), np.int64), seen, stands_out=True)
    _paint_classes(painter, scene, marks, near, seen)
    if not scene.has_pills:
        _paint_labels(painter, scene, marks, near, seen)
    for number, group in enumerate(scene.picture.groups):
        if group.key in scene.picture.layout.areas and scene.area_rect(group.key).intersects(seen):
            _paint_title(painter, scene, group.key, number, marks)
    if len(focus) == 1 and not marks.dragged:
        _paint_badges(painter, scene, int(focus[0]))


def _near(scene: GraphScene, focus: NDArray[np.int64], marks: Marks) -> NDArray[np.bool_] | None:
    """The classes that stay strong while some stand out; None while none does."""
    edges = scene.picture.edges
    near = np.zeros(len(scene.picture.graph), bool)
    if not marks.chosen and not marks.dragged and marks.edge is None:
        return None  # what is under the mouse alone stands out by its edges: a graph that flickers is hard to read
    if not len(focus) and marks.edge is None:
        near[[place for place in map(scene.picture.graph.position, marks.chosen) if place >= 0]] = True
        return near
    if marks.edge is not None:
        near[[edges.first[marks.edge], edges.second[marks.edge]]] = True
    if len(focus):
        near[focus] = True
        own = scene.edges_of(focus)
        near[edges.first[own]] = True
        near[edges.second[own]] = True
    return near


# areas --------------------------------------------------------------------------------------------------------------


def _paint_title(painter: QPainter, scene: GraphScene, key: int, number: int, marks: Marks) -> None:
    group = scene.picture.group(key)
    if group is None:
        return
    look, rect, metrics = theme.current(), scene.title_rect(key), scene.title_metrics
    mark = max(7.0, 0.6 * metrics.ascent())
    hue = hue_of(scene.picture, key, number)
    painter.setPen(QPen(QColor(theme.mixed(hue, look.text, 0.35)), 1))
    painter.setBrush(QColor(hue) if key != WITHOUT else Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(QRectF(rect.left(), rect.center().y() - mark / 2, mark, mark), 2, 2)
    count = f"{len(group.class_ids)}"
    count_width = metrics.horizontalAdvance(count) + 4
    room = rect.adjusted(mark + 6, 0, -count_width, 0)
    painter.setFont(scene.title_font)
    painter.setPen(QColor(look.accent if marks.area == key else look.text))
    text = metrics.elidedText(shown(group.name), Qt.TextElideMode.ElideRight, room.width())
    _haloed(painter, room, text, scene.title_font, theme.mixed(look.base, hue, 0.085), _LEFT)
    font = QFont(scene.title_font)
    font.setWeight(QFont.Weight.Normal)
    painter.setFont(font)
    painter.setPen(QColor(look.muted))
    painter.drawText(rect, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight), count)


def _haloed(painter: QPainter, room: QRectF, text: str, font: QFont, ground: str, flags: int) -> None:
    """Text that can be read on lines: a soft plate of the ground's colour lies under it."""
    plate = QRectF(room)
    plate.setWidth(min(room.width(), QFontMetricsF(font).horizontalAdvance(text) + 2))
    height = QFontMetricsF(font).height()
    plate.setTop(room.center().y() - height / 2)
    plate.setHeight(height)
    color = QColor(ground)
    color.setAlpha(215)
    painter.fillRect(plate, color)
    painter.drawText(room, flags, text)


# classes ------------------------------------------------------------------------------------------------------------


def _paint_classes(
    painter: QPainter, scene: GraphScene, marks: Marks, near: NDArray[np.bool_] | None, seen: QRectF
) -> None:
    graph, look = scene.picture.graph, theme.current()
    ink, faint = look.text, theme.mixed(look.text, look.base, 0.28)
    bold = QFont(scene.font)
    bold.setWeight(QFont.Weight.DemiBold)
    for place, class_id in enumerate(graph.class_ids.tolist()):
        rect = scene.class_rect(place)
        if not rect.intersects(seen):
            continue
        is_pale = class_id in marks.dragged or (near is not None and not near[place])
        is_known = bool(graph.totals_L[place] > 0)
        is_chosen = class_id in marks.chosen
        is_hovered = class_id == marks.hovered
        _paint_shape(painter, rect, is_chosen=is_chosen, is_hovered=is_hovered, is_known=is_known, is_pale=is_pale)
        if scene.has_pills:
            painter.setFont(bold if is_chosen else scene.font)
            painter.setPen(QColor(ink if not is_pale else faint))
            text = scene.names[place]
            if is_chosen:
                text = QFontMetricsF(bold).elidedText(text, Qt.TextElideMode.ElideRight, rect.width() - 5)
            painter.drawText(rect, _MIDDLE, text)
        if class_id == marks.current and marks.has_keys:
            ring = rect.adjusted(-3, -3, 3, 3)
            painter.setPen(QPen(QColor(theme.current().accent), 1.4, Qt.PenStyle.DotLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(ring, ring.height() / 2, ring.height() / 2)


def _paint_shape(
    painter: QPainter, rect: QRectF, *, is_chosen: bool, is_hovered: bool, is_known: bool, is_pale: bool
) -> None:
    look = theme.current()
    edge = look.accent if is_chosen else look.text if is_hovered else theme.mixed(look.border, look.muted, 0.45)
    ground = look.selection if is_chosen else look.hover if is_hovered else look.raised
    if is_pale:
        edge, ground = theme.mixed(edge, look.base, 0.4), theme.mixed(ground, look.base, 0.4)
    style = Qt.PenStyle.SolidLine if is_known else Qt.PenStyle.DotLine
    painter.setPen(QPen(QColor(edge), 1.8 if is_chosen else 1.0, style))
    painter.setBrush(QColor(ground))
    painter.drawRoundedRect(rect, rect.height() / 2, rect.height() / 2)


def _paint_labels(
    painter: QPainter, scene: GraphScene, marks: Marks, near: NDArray[np.bool_] | None, seen: QRectF
) -> None:
    """Names beside dots; those that stand out are painted even where they cover others that do not."""
    look = theme.current()
    loud = _loud(scene, marks, near)
    painter.setFont(scene.font)
    for label in scene.labels:
        if label.place in loud or not label.rect.intersects(seen):
            continue
        is_pale = near is not None and not near[label.place]
        if label.has_plate:
            veil = QColor(look.base)
            veil.setAlpha(200)
            painter.fillRect(label.rect, veil)
        painter.setPen(QColor(theme.mixed(look.text, look.base, 0.35) if is_pale else look.text))
        painter.drawText(label.rect, _LEFT, scene.names[label.place])
    placed: list[QRectF] = []
    for place in loud:
        rect = scene.class_rect(place)
        width, height = scene.metrics.horizontalAdvance(scene.names[place]) + 6, scene.metrics.height()
        plate = QRectF(rect.right() + 3, rect.center().y() - height / 2, width, height)
        if any(plate.intersects(other) for other in placed):
            continue
        placed.append(plate)
        painter.setPen(QPen(QColor(look.border), 1))
        painter.setBrush(QColor(look.raised))
        painter.drawRoundedRect(plate, 3, 3)
        painter.setPen(QColor(look.text))
        painter.drawText(plate, _MIDDLE, scene.names[place])


def _loud(scene: GraphScene, marks: Marks, near: NDArray[np.bool_] | None) -> list[int]:
    graph = scene.picture.graph
    ids = set(marks.chosen) | {marks.hovered, marks.current if marks.has_keys else None}
    loud = {graph.position(class_id) for class_id in ids if class_id is not None} - {-1}
    if near is not None and near.sum() <= 14 and marks.follows:
        loud |= set(np.flatnonzero(near).tolist())
    return sorted(loud)


def _paint_badges(painter: QPainter, scene: GraphScene, focus: int) -> None:
    """At each class that the one looked at is confused with: the larger share, with the way it goes."""
    look, graph = theme.current(), scene.picture.graph
    edges, own = scene.picture.edges, scene.edges_of(np.array([focus], np.int64))
    font = QFont(QApplication.font())
    font.setPointSizeF(max(7.0, scene.font.pointSizeF() - 1))
    font.setWeight(QFont.Weight.DemiBold)
    metrics = QFontMetricsF(font)
    painter.setFont(font)
    for number in own.tolist():
        other = int(edges.second[number] if edges.first[number] == focus else edges.first[number])
        text = way_and_share(float(graph.shares_LL[focus, other]), float(graph.shares_LL[other, focus]))
        rect = scene.class_rect(other)
        badge = QRectF(0, 0, metrics.horizontalAdvance(text) + 8, metrics.height())
        badge.moveCenter(rect.center())
        if scene.has_pills and _is_right_free(scene, other):
            badge.moveLeft(rect.right() - 4)
        else:
            badge.moveRight(rect.left() + (4 if scene.has_pills else -2))
        painter.setPen(QPen(QColor(look.base), 1))
        painter.setBrush(QColor(look.accent))
        painter.drawRoundedRect(badge, 4, 4)
        painter.setPen(QColor(look.accent_text))
        painter.drawText(badge, _MIDDLE, text)


def _is_right_free(scene: GraphScene, place: int) -> bool:
    """Whether a class has more room on its right than on its left, up to the next one of its row."""
    off_L2 = scene.centers_L2 - scene.centers_L2[place]
    is_in_row_L = np.abs(off_L2[:, 1]) < scene.sizes_L2[place, 1]
    gaps_L = np.abs(off_L2[:, 0]) - (scene.sizes_L2[:, 0] + scene.sizes_L2[place, 0]) / 2
    right = gaps_L[is_in_row_L & (off_L2[:, 0] > 0)].min(initial=1e6)
    left = gaps_L[is_in_row_L & (off_L2[:, 0] < 0)].min(initial=1e6)
    return bool(right >= left)


def way_and_share(taken_for: float, mistaken: float) -> str:
    """The larger of two shares: "→ 31 %" where the class is taken for the other, "← 31 %" where the other is for it."""
    arrow, share = ("→", taken_for) if taken_for >= mistaken else ("←", mistaken)
    return f"{arrow} {percent(share)}"


def paint_in_hand(
    painter: QPainter, scene: GraphScene, class_ids: tuple[int, ...], at: QPointF, words: str, within: QRectF
) -> None:
    """What is dragged, at the mouse, with what letting go would do; pixels of the widget, whose rectangle is given."""
    look, graph = theme.current(), scene.picture.graph
    font = QFont(QApplication.font())
    painter.setFont(font)
    metrics = QFontMetricsF(font)
    known = [place for place in map(graph.position, class_ids[:3]) if place >= 0]
    lines = [metrics.elidedText(shown(graph.names[place]), Qt.TextElideMode.ElideRight, 202) for place in known]
    lines += [f"and {len(class_ids) - 3} more"] if len(class_ids) > 3 else []
    line_height, gap = metrics.height() + 6, 3.0
    height = len(lines) * (line_height + gap) + (metrics.height() + 12 if words else 0)
    width = max([metrics.horizontalAdvance(line) for line in (*lines, words)], default=0.0) + 18
    left = min(at.x() + 12, within.right() - width - 4)
    top = at.y() + 14 if at.y() + 14 + height < within.bottom() else at.y() - 10 - height
    for line in lines:
        box = QRectF(left, top, metrics.horizontalAdvance(line) + 18, line_height)
        painter.setPen(QPen(QColor(look.accent), 1.4))
        painter.setBrush(QColor(look.selection))
        painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
        painter.setPen(QColor(look.text))
        painter.drawText(box, _MIDDLE, line)
        top = box.bottom() + gap
    if words:
        box = QRectF(left, top + 2, metrics.horizontalAdvance(words) + 16, metrics.height() + 8)
        painter.setPen(QPen(QColor(look.border), 1))
        painter.setBrush(QColor(look.raised))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(QColor(look.text))
        painter.drawText(box, _MIDDLE, words)
