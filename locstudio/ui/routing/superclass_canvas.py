"""The graph of superclasses to look at and to work on: zoom, move about, choose, drag a class to where it belongs."""

from dataclasses import replace

from PySide6.QtCore import QPoint, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QApplication, QWidget

from locstudio.services.routing.graph_layout import WITHOUT
from locstudio.services.routing.graph_moving import landing_slots
from locstudio.ui import theme
from locstudio.ui.routing.superclass_commands import SuperclassCommand, command_for
from locstudio.ui.routing.superclass_graph import SuperclassGraph
from locstudio.ui.routing.superclass_hand import Hand
from locstudio.ui.routing.superclass_naming import NameField
from locstudio.ui.routing.superclass_paint import edges_shown, paint_in_hand
from locstudio.ui.routing.superclass_picture import NEW, GraphPicture
from locstudio.ui.routing.superclass_words import drop_sentence

_MOVES = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
_RIM, _PAN_PX, _PAN_MS = 26, 14, 30
_NEW_WORDS = "Drop here: a new superclass"


class SuperclassCanvas(SuperclassGraph):
    """Shows a ``GraphPicture``.  It changes nothing itself: what a person does here are wishes.

    Signals:
        area_chosen: the key of a superclass whose name was clicked.
        edge_chosen: the ids of two classes whose confusion was clicked.
        move_wanted: ids of classes, and the key of the superclass they were dropped on (``NEW`` for a new one).
        merge_wanted: the key of a superclass that was dropped, and of that it was dropped on.
        name_wanted: the key of a superclass, and the name it shall have.
        command_wanted: a ``SuperclassCommand``.
        menu_wanted: where on the screen.
    """

    area_chosen = Signal(int)
    edge_chosen = Signal(int, int)
    move_wanted = Signal(tuple, int)
    merge_wanted = Signal(int, int)
    name_wanted = Signal(int, str)
    command_wanted = Signal(object)
    menu_wanted = Signal(QPoint)

    def __init__(self, parent: QWidget | None = None, *, can_edit: bool = True) -> None:
        super().__init__(parent, follows=can_edit)
        self._can_edit = can_edit
        self._hand = Hand()
        self._name = NameField(self)
        self._name.named.connect(self.name_wanted)
        self._pan = QTimer(self, interval=_PAN_MS)  # while something is held at the rim
        self._pan.timeout.connect(self._on_pan)

    def set_picture(self, picture: GraphPicture | None, *, is_new: bool = False) -> None:
        """Show this, with nothing in hand; ``is_new`` is another run, shown as a whole."""
        self._hand = Hand()
        self._pan.stop()
        self._name.leave()
        super().set_picture(picture, is_new=is_new)

    def zoom(self, factor: float, at: QPointF | None = None) -> None:
        """Come closer or go farther; a name that is being typed is left as it was."""
        self._name.leave()
        super().zoom(factor, at)

    def edit_name(self, key: int) -> None:
        """Let a person name a superclass where it stands."""
        group = self.picture.group(key) if self.picture is not None else None
        if self._scene is None or group is None or key == WITHOUT or not self._can_edit:
            return
        rect = self._scene.title_rect(key).translated(self._offset)
        if not QRectF(self.rect()).contains(rect):
            self._offset += QPointF(self.width() / 2, self.height() / 2) - rect.center()
            rect = self._scene.title_rect(key).translated(self._offset)
            self._is_fitted = False
            self.update()
        self._name.edit(key, group.name, rect)

    # mouse ------------------------------------------------------------------------------------------------------

    def _at(self, event: QMouseEvent) -> QPointF:
        return event.position() - self._offset

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._name.commit()
        if self._scene is None:
            return
        is_pan = event.button() is Qt.MouseButton.MiddleButton
        if event.button() is not Qt.MouseButton.LeftButton and not is_pan:
            return
        adds = bool(event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier))
        at = self._at(event)
        place = None if is_pan else self._scene.class_at(at)
        if place is not None:
            self._press_class(int(self._scene.picture.graph.class_ids[place]), event.position(), adds=adds)
            return
        key = None if is_pan else self._titled_at(at)
        edge = None if is_pan or key is not None else self._scene.edge_at(at, edges_shown(self._scene, self._marks))
        if key is not None:
            self.choose_area(key)
            self.area_chosen.emit(key)
            if key != WITHOUT:
                self._hand = Hand(start=event.position(), area=key)
        elif edge is not None:
            edges, graph = self._scene.picture.edges, self._scene.picture.graph
            pair = int(graph.class_ids[edges.first[edge]]), int(graph.class_ids[edges.second[edge]])
            self.choose_edge(*pair)
            self.edge_chosen.emit(*pair)
        elif adds:
            self._hand = Hand(start=event.position(), has_band=True)
        else:
            self._hand = Hand(start=event.position(), pans=self._offset)

    def _press_class(self, class_id: int, at: QPointF, *, adds: bool) -> None:
        if adds and class_id in self._chosen:
            self.choose(tuple(each for each in self._chosen if each != class_id), is_told=True)
            return
        if class_id not in self._chosen:
            self.choose((*self._chosen, class_id) if adds else (class_id,), is_told=True)
            self._hand = Hand(start=at, class_ids=self._chosen)
        else:
            self.choose((*(each for each in self._chosen if each != class_id), class_id), is_told=True)
            self._hand = Hand(start=at, class_ids=self._chosen, was_chosen=class_id)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._scene is None:
            return
        hand = self._hand
        if hand.start is None:
            self._hover(self._at(event))
            return
        far = (event.position() - hand.start).manhattanLength() >= QApplication.startDragDistance()
        if not hand.is_dragging and not far:
            return
        start = hand.start
        self._hand = hand = replace(hand, is_dragging=True, at=event.position())
        if hand.pans is not None:
            self._offset = hand.pans + (event.position() - start)
            self._is_fitted = False
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif (hand.class_ids or hand.area is not None) and self._can_edit:
            self._drag_over(event.position())
        self.update()

    def _drag_over(self, at: QPointF) -> None:
        assert self._scene is not None
        hand, picture = self._hand, self._scene.picture
        target: int | None = NEW if hand.class_ids and self._new_rect().contains(at) else None
        if target is None:
            target = self._scene.area_at(at - self._offset)
        groups = picture.group_of
        homes = {groups.get(class_id, WITHOUT) for class_id in hand.class_ids} if hand.class_ids else {hand.area}
        is_home = homes == {target}
        if (hand.area is not None and target == WITHOUT) or (is_home and target != NEW):
            target = None
        if target != self._marks.target or not self._marks.dragged:
            area = picture.layout.areas.get(target) if target is not None else None
            moving = hand.class_ids or self._members(hand.area)
            landing = landing_slots(picture.layout, picture.graph, area.group, moving) if area is not None else ()
            words = drop_sentence(picture, moving, target, hand.area)
            self._hand = replace(hand, words=words)
            self._marks = replace(self._marks, dragged=moving, target=target, landing=landing, hovered=None)
        self.setCursor(Qt.CursorShape.ForbiddenCursor if target is None else Qt.CursorShape.DragMoveCursor)

        self._pan.start() if self._towards(at) != QPointF(0, 0) else self._pan.stop()

    def _towards(self, at: QPointF) -> QPointF:
        """Where the picture goes while something is held at this point; nowhere away from the rim."""

        def step(place: float, length: int) -> float:
            return float(_PAN_PX if place < _RIM else -_PAN_PX if place > length - _RIM else 0)

        return QPointF(step(at.x(), self.width()), step(at.y(), self.height()))

    def _on_pan(self) -> None:
        """Bring what lies outside into sight under what is in hand."""
        if not self._hand.is_dragging or not self._marks.dragged or self._is_all_in_sight():
            self._pan.stop()
            return
        self._offset += self._towards(self._hand.at)
        self._is_fitted = False
        self._drag_over(self._hand.at)
        self.update()

    def _members(self, key: int | None) -> tuple[int, ...]:
        group = self.picture.group(key) if self.picture is not None and key is not None else None
        return group.class_ids if group is not None else ()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        hand, target = self._hand, self._marks.target
        self._let_go()
        if hand.start is None or self._scene is None:
            return
        if not hand.is_dragging:
            if hand.was_chosen is not None:
                self.choose((hand.was_chosen,), is_told=True)
            elif hand.pans is not None and event.button() is Qt.MouseButton.LeftButton:
                self.choose((), is_told=True)
        elif hand.has_band:
            self._choose_in(QRectF(hand.start, event.position()).normalized())
        elif target is not None and hand.area is not None:
            self.merge_wanted.emit(hand.area, target)
        elif target is not None and hand.class_ids:
            self.move_wanted.emit(hand.class_ids, target)

    def _choose_in(self, band: QRectF) -> None:
        assert self._scene is not None
        ids = self._scene.picture.graph.class_ids.tolist()
        moved = band.translated(-self._offset)
        inside = [
            class_id for place, class_id in enumerate(ids) if moved.contains(self._scene.class_rect(place).center())
        ]
        self.choose((*self._chosen, *(each for each in inside if each not in self._chosen)), is_told=True)

    def _let_go(self) -> None:
        self._hand = Hand()
        self._pan.stop()
        self._marks = replace(self._marks, dragged=(), target=None, landing=())
        self.unsetCursor()
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self._scene is None or event.button() is not Qt.MouseButton.LeftButton:
            return
        key = self._titled_at(self._at(event))
        if self._scene.class_at(self._at(event)) is not None:
            self.command_wanted.emit(SuperclassCommand.IMAGES)
        elif key is not None:
            self._hand = Hand()
            self.edit_name(key)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self._scene is None or not self._can_edit:
            return
        at = QPointF(event.pos()) - self._offset
        if event.reason() is QContextMenuEvent.Reason.Mouse:
            place, key = self._scene.class_at(at), self._scene.area_at(at)
            if place is not None:
                class_id = int(self._scene.picture.graph.class_ids[place])
                if class_id not in self._chosen:
                    self.choose((class_id,), is_told=True)
            elif key is not None:
                self.choose_area(key)
                self.area_chosen.emit(key)
        self.menu_wanted.emit(event.globalPos())

    # keys -------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows go from class to class, Space chooses several, Esc lets go; the rest are commands."""
        move = _MOVES.get(Qt.Key(event.key()))
        if self._scene is None:
            super().keyPressEvent(event)
        elif event.key() == Qt.Key.Key_Escape and (self._hand.start is not None or self._chosen or self._marks.area):
            was_dragging = self._hand.start is not None
            self._let_go()
            if not was_dragging:
                self.choose((), is_told=True)
        elif move is not None and not event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self._step(*move, adds=bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        elif (command := command_for(event)) is not None:
            self.command_wanted.emit(command)
        else:
            super().keyPressEvent(event)

    # paint ------------------------------------------------------------------------------------------------------

    def _new_rect(self) -> QRectF:
        """Where a class can be dropped to make a superclass of its own."""
        width = min(300.0, self.width() - 40.0)
        return QRectF((self.width() - width) / 2, self.height() - 66.0, width, 52.0)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._scene is None:
            return
        look, painter = theme.current(), QPainter(self)
        hand = self._hand
        if hand.is_dragging and hand.has_band and hand.start is not None:
            band = QRectF(hand.start, hand.at).normalized()
            fill = QColor(look.accent)
            fill.setAlpha(40)
            painter.setPen(QPen(QColor(look.accent), 1))
            painter.setBrush(fill)
            painter.drawRect(band)
        elif hand.is_dragging and self._marks.dragged and self._can_edit:
            if hand.class_ids:
                self._paint_new(painter)
            paint_in_hand(painter, self._scene, self._marks.dragged, hand.at, hand.words, QRectF(self.rect()))

    def _paint_new(self, painter: QPainter) -> None:
        look, rect = theme.current(), self._new_rect()
        is_target = self._marks.target == NEW
        painter.setPen(QPen(QColor(look.accent if is_target else look.muted), 1.6, Qt.PenStyle.DashLine))
        painter.setBrush(QColor(look.selection if is_target else look.raised))
        painter.drawRoundedRect(rect, 10, 10)
        painter.setPen(QColor(look.text))
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), _NEW_WORDS)
