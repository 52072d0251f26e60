"""The graph of superclasses to look at: zoom, what is chosen, what is under the mouse, in words too."""

import math
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QHelpEvent, QPainter, QPaintEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QToolTip, QWidget

from locstudio.ui import theme
from locstudio.ui.plain_text import tip
from locstudio.ui.routing.superclass_ground import Ground
from locstudio.ui.routing.superclass_paint import Marks, edges_shown, paint_graph
from locstudio.ui.routing.superclass_picture import GraphPicture
from locstudio.ui.routing.superclass_scene import GraphScene
from locstudio.ui.routing.superclass_words import area_sentence, class_sentence, edge_sentence

_STEP = 1.2
_SMALLEST, _LARGEST, _AT_FIRST = 0.08, 3.0, 1.6
_MARGIN = 18


class SuperclassGraph(QWidget):
    """Shows a ``GraphPicture``, and marks what is chosen in it.

    Signals:
        chosen_changed: ids of the classes that are chosen, the newest last.
    """

    chosen_changed = Signal(tuple)

    def __init__(self, parent: QWidget | None = None, *, follows: bool = True) -> None:
        """``follows`` lets the confusions of what is chosen stand out; else only what is chosen does."""
        super().__init__(parent)
        self._scene: GraphScene | None = None
        self._ground: Ground | None = None
        self._offset = QPointF(0, 0)
        self._scale = 1.0
        self._is_fitted = True
        self._chosen: tuple[int, ...] = ()
        self._marks = Marks(follows=follows)
        self._chosen_edge: tuple[int, int] | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(260, 200)
        self.setAccessibleName("Graph of superclasses")
        theme.notifier.changed.connect(self.update)

    # what is shown ----------------------------------------------------------------------------------------------

    def set_picture(self, picture: GraphPicture | None, *, is_new: bool = False) -> None:
        """Show this; ``is_new`` is another run, shown as a whole."""
        self._marks = Marks(has_keys=self.hasFocus(), follows=self._marks.follows)
        known = set(picture.graph.class_ids.tolist()) if picture is not None else set()
        self._chosen = tuple(class_id for class_id in self._chosen if class_id in known)
        self._set_scene(None if picture is None else GraphScene(picture, self._scale))
        if is_new or (self._is_fitted and not self._is_all_in_sight()):
            self.fit()
        self._mark_chosen()

    def _set_scene(self, scene: GraphScene | None) -> None:
        self._scene = scene
        self._ground = Ground(scene) if scene is not None else None

    def _is_all_in_sight(self) -> bool:
        if self._scene is None:
            return True
        bounds = QRectF(*(length * self._scale for length in self._scene.picture.layout.bounds()))
        return QRectF(self.rect()).contains(bounds.translated(self._offset))

    @property
    def picture(self) -> GraphPicture | None:
        """What is shown."""
        return self._scene.picture if self._scene is not None else None

    @property
    def scale(self) -> float:
        """Pixels of the screen for a pixel of the picture."""
        return self._scale

    @property
    def scene(self) -> GraphScene | None:
        """Where its parts lie."""
        return self._scene

    @property
    def chosen(self) -> tuple[int, ...]:
        """The classes that are chosen, the newest last."""
        return self._chosen

    @property
    def marks(self) -> Marks:
        """What is looked at, chosen and dragged."""
        return self._marks

    def choose(self, class_ids: tuple[int, ...], *, is_told: bool = False, is_shown: bool = False) -> None:
        """Choose these classes; ``is_shown`` brings the newest into sight."""
        self._chosen, self._chosen_edge = class_ids, None
        self._marks = replace(self._marks, area=None, edge=None)
        self._mark_chosen()
        if is_shown and class_ids:
            self.show_class(class_ids[-1])
        if is_told:
            self.chosen_changed.emit(class_ids)

    def choose_area(self, key: int | None) -> None:
        """Mark a superclass, and no class."""
        self._chosen, self._chosen_edge = (), None
        self._mark_chosen()
        self._marks = replace(self._marks, area=key, edge=None)
        self.update()

    def choose_edge(self, first_id: int, second_id: int) -> None:
        """Mark a confusion, and no class."""
        self._chosen, self._chosen_edge = (), (first_id, second_id)
        self._marks = replace(self._marks, area=None)
        self._mark_chosen()

    def _mark_chosen(self) -> None:
        current = self._chosen[-1] if self._chosen else None
        edge = self._edge_of(self._chosen_edge)
        self._marks = replace(self._marks, chosen=frozenset(self._chosen), current=current, edge=edge)
        if current is not None and self.picture is not None:
            self.setAccessibleDescription(class_sentence(self.picture, current))
        self.update()

    def _edge_of(self, pair: tuple[int, int] | None) -> int | None:
        if pair is None or self._scene is None:
            return None
        edges, graph = self._scene.picture.edges, self._scene.picture.graph
        places = {graph.position(pair[0]), graph.position(pair[1])}
        ends = zip(edges.first.tolist(), edges.second.tolist(), strict=True)
        return next((number for number, each in enumerate(ends) if set(each) == places), None)

    # zoom -------------------------------------------------------------------------------------------------------

    def fit(self, most: float = _AT_FIRST) -> None:
        """Show everything, at no more than this zoom."""
        self._is_fitted = True
        if self._scene is None:
            return
        left, top, width, height = self._scene.picture.layout.bounds()
        room_x, room_y = max(40, self.width() - 2 * _MARGIN), max(40, self.height() - 2 * _MARGIN)
        self._set_scale(min(room_x / width, room_y / height, most))
        center = QPointF(left + width / 2, top + height / 2) * self._scale
        self._offset = QPointF(self.width() / 2, self.height() / 2) - center
        self.update()

    def zoom(self, factor: float, at: QPointF | None = None) -> None:
        """Come closer or go farther; the point ``at``, else the middle, stays where it is."""
        if self._scene is None:
            return
        at = at if at is not None else QPointF(self.width() / 2, self.height() / 2)
        fixed = (at - self._offset) / self._scale
        self._set_scale(self._scale * factor)
        self._offset = at - fixed * self._scale
        self._is_fitted = False
        self.update()

    def _set_scale(self, scale: float) -> None:
        assert self._scene is not None
        scale = min(max(scale, _SMALLEST), _LARGEST)
        if scale != self._scene.scale or self._scale != scale:
            self._scale = scale
            self._set_scene(GraphScene(self._scene.picture, scale))

    def show_class(self, class_id: int) -> None:
        """Bring a class into sight, if it is not."""
        if self._scene is None or self._scene.picture.graph.position(class_id) < 0:
            return
        rect = self._scene.class_rect(self._scene.picture.graph.position(class_id)).translated(self._offset)
        if not QRectF(self.rect()).adjusted(8, 8, -8, -8).contains(rect):
            self._offset += QPointF(self.width() / 2, self.height() / 2) - rect.center()
            self._is_fitted = False
            self.update()

    def below(self, class_id: int) -> QPoint:
        """The point right under a class, in the widget."""
        if self._scene is None or self._scene.picture.graph.position(class_id) < 0:
            return self.rect().center()
        rect = self._scene.class_rect(self._scene.picture.graph.position(class_id)).translated(self._offset)
        return rect.bottomLeft().toPoint() + QPoint(4, 3)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._is_fitted:
            self.fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        turned = event.angleDelta().y()
        if turned:
            self.zoom(_STEP ** (turned / 120), event.position())
        event.accept()

    # under the mouse, and under the keys ------------------------------------------------------------------------

    def _titled_at(self, at: QPointF) -> int | None:
        assert self._scene is not None
        key = self._scene.area_at(at)
        return key if key is not None and self._scene.title_rect(key).contains(at) else None

    def _hover(self, at: QPointF) -> None:
        assert self._scene is not None
        place = self._scene.class_at(at)
        hovered = int(self._scene.picture.graph.class_ids[place]) if place is not None else None
        edge = None
        if place is None and self._titled_at(at) is None:
            edge = self._scene.edge_at(at, edges_shown(self._scene, self._marks))
        is_hand = place is not None or edge is not None or self._titled_at(at) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if is_hand else Qt.CursorShape.ArrowCursor)
        edge = edge if edge is not None else self._edge_of(self._chosen_edge)
        if (hovered, edge) != (self._marks.hovered, self._marks.edge):
            self._marks = replace(self._marks, hovered=hovered, edge=edge)
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._marks = replace(self._marks, hovered=None, edge=self._edge_of(self._chosen_edge))
        self.update()
        super().leaveEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.sentence_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), tip(text), self) if text else QToolTip.hideText()
            return True
        return super().event(event)

    def sentence_at(self, point: QPointF) -> str:
        """What lies under a point of the widget, in words."""
        if self._scene is None:
            return ""
        at, picture = point - self._offset, self._scene.picture
        place = self._scene.class_at(at)
        if place is not None:
            return class_sentence(picture, int(picture.graph.class_ids[place]))
        key = self._titled_at(at)
        edge = self._scene.edge_at(at, edges_shown(self._scene, self._marks)) if key is None else None
        if edge is not None:
            return edge_sentence(picture, edge)
        return area_sentence(picture, key) if key is not None else ""

    def _step(self, right: int, down: int, *, adds: bool) -> None:
        """Go to the nearest class in a direction."""
        assert self._scene is not None
        graph, centers = self._scene.picture.graph, self._scene.centers_L2
        if not len(graph):
            return
        current = graph.position(self._chosen[-1]) if self._chosen else -1
        if current < 0:
            middle = np.array([self.width() / 2 - self._offset.x(), self.height() / 2 - self._offset.y()])
            nearest = int(np.argmin(np.hypot(*(centers - middle).T)))
        else:
            off = centers - centers[current]
            along, aside = off @ [right, down], np.abs(off @ [down, right])
            far = np.where(along > 1, along + 2.5 * aside, math.inf)
            nearest = int(np.argmin(far))
            if not np.isfinite(far[nearest]):
                return
        class_id = int(graph.class_ids[nearest])
        kept = tuple(each for each in self._chosen if each != class_id) if adds else ()
        self.choose((*kept, class_id), is_told=True, is_shown=True)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._marks = replace(self._marks, has_keys=True)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._marks = replace(self._marks, has_keys=False)
        self.update()

    # paint ------------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.current().base))
        if self._scene is not None and self._ground is not None:
            painter.translate(self._offset)
            paint_graph(painter, self._scene, self._ground, self._marks, QRectF(self.rect()).translated(-self._offset))
