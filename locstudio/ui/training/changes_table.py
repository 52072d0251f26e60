"""The worklist on the screen: a crop with both boxes, what the two models say, and the keys that choose."""

from PySide6.QtCore import QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QPen, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from locstudio.domain.geometry import UnitBox
from locstudio.services.changes import Choice
from locstudio.ui import theme
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import shown
from locstudio.ui.search.context import inside
from locstudio.ui.training.change_words import ChangeItem, chosen_word, kind_color, kind_sign, kind_word
from locstudio.ui.training.changes_model import CHANGE_ROLE, AnyIndex, ChangeColumn, ChangesModel

ROW_HEIGHT = 54
_LEFT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
_RIGHT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
OLD_INK, NEW_INK = "#f2b84b", "#6ea8fe"
"""Of the old and the new model's boxes, on any picture; the old one is dashed besides."""

CHOICE_KEYS: dict[Qt.Key, Choice] = {
    Qt.Key.Key_K: "old",
    Qt.Key.Key_Left: "old",
    Qt.Key.Key_N: "new",
    Qt.Key.Key_Right: "new",
}


class ChangesTable(QTableView):
    """One change a row.

    Signals:
        item_shown: the ``ChangeItem`` of the row that became current, None when there is none.
        choice_made: the ``ChangeItem`` and "old" or "new"; K and Left keep the old, N and Right take the new.
        opened: the ``ChangeItem`` to see in its image (Enter, double click).
    """

    item_shown = Signal(object)
    choice_made = Signal(object, str)
    opened = Signal(object)

    def __init__(self, model: ChangesModel, crops: PictureLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._changes = model
        self._crops = crops
        self.setModel(model)
        self.setItemDelegate(_ChangeDelegate(crops, self))
        self.setAccessibleName("What changed; K keeps the old, N takes the new, Space skips, Backspace goes back")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self._lay_out_columns()
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._open_menu)
        self.doubleClicked.connect(lambda index: self.opened.emit(index.data(CHANGE_ROLE)))
        self.verticalScrollBar().valueChanged.connect(self._forget_hidden)
        crops.arrived.connect(self.viewport().update)
        theme.notifier.changed.connect(self.viewport().update)

    def _lay_out_columns(self) -> None:
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(30)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        widths = {
            ChangeColumn.PICTURE: 76,
            ChangeColumn.KIND: self.fontMetrics().horizontalAdvance("✗ Vanished") + 26,
            ChangeColumn.SIZE: self.fontMetrics().horizontalAdvance("100 % ▾") + 16,
            ChangeColumn.CHOICE: self.fontMetrics().horizontalAdvance("← new taken") + 20,
        }
        for column, width in widths.items():
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            self.setColumnWidth(column, width)
        self.setSortingEnabled(True)
        header.setSortIndicatorShown(False)
        self.sortByColumn(ChangeColumn.SIZE, Qt.SortOrder.DescendingOrder)

    # walking and choosing ---------------------------------------------------------------------------------------

    @property
    def current_item(self) -> ChangeItem | None:
        """The change of the current row."""
        index = self.currentIndex()
        return self._changes.item(index.row()) if index.isValid() else None

    def go_to(self, row: int) -> None:
        """Make a row the current one and bring it into sight."""
        if 0 <= row < self._changes.rowCount():
            self.setCurrentIndex(self._changes.index(row, ChangeColumn.KIND))

    def choose(self, choice: Choice) -> None:
        """Choose of the current change, and go on to the next one that is open."""
        item = self.current_item
        if item is not None:
            row = self.currentIndex().row()
            self.choice_made.emit(item, choice)
            following = self._changes.next_open(row)
            if following is not None:
                self.go_to(following)

    def step(self, rows: int) -> None:
        """Go on, or back, without choosing."""
        self.go_to(self.currentIndex().row() + rows)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        is_plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if is_plain and key in CHOICE_KEYS:
            self.choose(CHOICE_KEYS[key])
        elif is_plain and key in (Qt.Key.Key_Space, Qt.Key.Key_Backspace):
            self.step(1 if key == Qt.Key.Key_Space else -1)
        elif is_plain and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if self.current_item is not None:
                self.opened.emit(self.current_item)
        else:
            super().keyPressEvent(event)

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        super().currentChanged(current, previous)
        if current.row() != previous.row() or not current.isValid():
            self.item_shown.emit(current.data(CHANGE_ROLE) if current.isValid() else None)

    def _open_menu(self, where: QPoint) -> None:
        index = self.indexAt(where)
        if not index.isValid():
            return
        item: ChangeItem = index.data(CHANGE_ROLE)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Keep the old\tK").triggered.connect(lambda: self.choose("old"))
        menu.addAction("Take the new\tN").triggered.connect(lambda: self.choose("new"))
        menu.addSeparator()
        menu.addAction("Open the image\tEnter").triggered.connect(lambda: self.opened.emit(item))
        menu.popup(self.viewport().mapToGlobal(where))

    # sight ------------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out what it is where the names of the two models would have no room."""
        super().resizeEvent(event)
        self.setColumnHidden(ChangeColumn.SIZE, event.size().width() < 520)
        self.setColumnHidden(ChangeColumn.TRUTH, event.size().width() < 600)

    def _forget_hidden(self) -> None:
        first, last = self.rowAt(0), self.rowAt(self.viewport().height() - 1)
        last = self._changes.rowCount() - 1 if last < 0 else last
        if first >= 0:
            current = [self.current_item] if self.current_item else []
            self._crops.keep_only(item.crop_key for item in [*self._changes.items[first : last + 1], *current])


class _ChangeDelegate(QStyledItemDelegate):
    def __init__(self, crops: PictureLoader, parent: ChangesTable) -> None:
        super().__init__(parent)
        self._crops = crops

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        look, rect = theme.current(), QRect(option.rect)
        item: ChangeItem = index.data(CHANGE_ROLE)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(look.selection))
        column, change = ChangeColumn(index.column()), item.change
        painter.setPen(QPen(QColor(theme.mixed(look.base, look.border, 0.6)), 1))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        inner = rect.adjusted(6, 4, -6, -4)
        ink = look.muted if item.chosen else look.text
        if column == ChangeColumn.PICTURE:
            paint_crop(painter, rect.adjusted(4, 3, -4, -4), item, self._crops)
        elif column == ChangeColumn.KIND:
            _two_lines(
                painter,
                inner,
                (f"{kind_sign(change.kind)} {kind_word(change.kind)}", kind_color(change.kind)),
                ("held out" if change.is_held_out else "", look.muted),
                is_bold=True,
            )
        elif column in (ChangeColumn.WAS, ChangeColumn.NOW):
            is_old = column == ChangeColumn.WAS
            name = change.old_name if is_old else change.new_name
            score = change.old_score if is_old else change.new_score
            second = "" if score is None else f"{score:.2f}"
            _two_lines(painter, inner, (name or "nothing", ink if name else look.muted), (second, look.muted))
        elif column == ChangeColumn.TRUTH:
            note = "changed since" if change.is_outdated else ""
            _two_lines(painter, inner, (change.truth or "–", ink), (note, look.warning))
        elif column == ChangeColumn.SIZE:
            painter.setPen(QColor(look.muted))
            painter.drawText(inner, _RIGHT, f"{100 * change.size:.0f} %")
        else:
            _paint_choice(painter, inner, item)


def paint_crop(painter: QPainter, area: QRect, item: ChangeItem, crops: PictureLoader) -> None:
    """The part of the image that shows a change, with the old box dashed and the new one drawn through."""
    width = (item.view.x1 - item.view.x0) * max(item.image.width, 1)
    height = (item.view.y1 - item.view.y0) * max(item.image.height, 1)
    scale = min(area.width() / width, area.height() / height)
    target = QRect(0, 0, max(1, round(width * scale)), max(1, round(height * scale)))
    target.moveCenter(area.center())
    look = theme.current()
    crop: QPixmap | None = crops.picture(item.crop_key)
    if crop is not None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(target, crop)
    else:
        painter.fillRect(target, QColor(look.raised))
        if crops.failure(item.crop_key):
            painter.drawPixmap(area.center().x() - 10, area.center().y() - 10, drawn.pixmap("missing", 20, look.muted))
    change = item.change
    is_same = change.new_box == change.box and change.kind != "new"
    weight = 2.0 if target.width() > 120 else 1.5
    if change.kind != "new":
        _paint_box(painter, QRectF(target), item, change.box, OLD_INK if not is_same else NEW_INK, weight, not is_same)
    if change.new_box is not None and not is_same:
        _paint_box(painter, QRectF(target), item, change.new_box, NEW_INK, weight, is_dashed=False)


def _paint_box(
    painter: QPainter, area: QRectF, item: ChangeItem, unit: UnitBox, ink: str, weight: float, is_dashed: bool
) -> None:
    x0, y0, x1, y1 = inside(unit, item.view)
    width, height = area.width(), area.height()
    box = QRectF(area.left() + x0 * width, area.top() + y0 * height, (x1 - x0) * width, (y1 - y0) * height)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(8, 12, 20, 190), weight + 2))
    painter.drawRect(box)
    pen = QPen(QColor(ink), weight)
    if is_dashed:
        pen.setDashPattern([3, 2])
    painter.setPen(pen)
    painter.drawRect(box)


def _two_lines(
    painter: QPainter, area: QRect, first: tuple[str, str], second: tuple[str, str], *, is_bold: bool = False
) -> None:
    """A text over a smaller one, each with its colour; the first alone in the middle."""
    font, small = QFont(QApplication.font()), QFont(QApplication.font())
    font.setWeight(QFont.Weight.DemiBold if is_bold else QFont.Weight.Normal)
    small.setPointSizeF(max(7.5, small.pointSizeF() - 1))
    height = QFontMetrics(font).height() + 1
    top = area.top() + (area.height() - height * (2 if second[0] else 1)) // 2
    for text, ink, used, line in ((*first, font, 0), (*second, small, 1)):
        if text:
            painter.setFont(used)
            painter.setPen(QColor(ink))
            words = painter.fontMetrics().elidedText(shown(text), Qt.TextElideMode.ElideRight, area.width())
            painter.drawText(QRect(area.left(), top + line * height, area.width(), height), _LEFT, words)


def _paint_choice(painter: QPainter, area: QRect, item: ChangeItem) -> None:
    look = theme.current()
    painter.setFont(QApplication.font())
    if item.chosen is None:
        return
    painter.setPen(QColor(look.accent if item.chosen == "new" else look.warning))
    word = chosen_word(item.chosen)
    painter.drawText(area, _LEFT, f"→ {word}" if item.chosen == "new" else f"← {word}")
