"""How a table of rows against experts is painted: names of experts above, numbers on shades below."""

from functools import lru_cache

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen
from PySide6.QtWidgets import (
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from locstudio.ui import theme
from locstudio.ui.routing.cross_model import CrossModel

_WIDE = 74  # px: a column from which on a name of two lines is read
_UPRIGHT = 92  # px: height of a turned name


class ExpertHeader(QHeaderView):
    """The number of an expert below its name, which is turned where columns are narrow; an arrow where it sorts."""

    def __init__(self, parent: QTableView) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._table = parent
        model = parent.model()
        assert isinstance(model, CrossModel)
        self._cells = model
        self.setSectionsClickable(True)
        self.setHighlightSections(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMinimumSectionSize(40)
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def sizeHint(self) -> QSize:
        line = self.fontMetrics().height()
        width = super().sizeHint().width()
        if not any(" · " in name for name in self._cells.cross.column_names):
            return QSize(width, line + 12)
        return QSize(width, line + 14 + (_UPRIGHT if self._is_upright() else 2 * line))

    def _is_upright(self) -> bool:
        """Whether names are turned, since the columns are too narrow for them."""
        return self.count() > 0 and self.sectionSize(0) < _WIDE

    def paintSection(self, painter: QPainter, rect: QRect, logical: int) -> None:
        look = theme.current()
        painter.save()
        painter.fillRect(rect, QColor(look.window))
        index = self._table.currentIndex()
        is_marked = index.isValid() and index.column() == logical
        text = str(self._cells.headerData(logical, Qt.Orientation.Horizontal) or "")
        number, _, name = text.partition(" · ")
        if self._cells.order == logical:
            number += " ▾" if self._cells.is_falling else " ▴"
        area = rect.adjusted(3, 5, -3, -6)
        bold = QFont(self.font())
        bold.setWeight(QFont.Weight.DemiBold)
        line = self.fontMetrics().height()
        self._paint_name(painter, area.adjusted(0, 0, 0, -line), name, is_marked=is_marked)
        painter.setFont(bold)
        painter.setPen(QColor(look.text))
        middle = int(Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignHCenter)
        painter.drawText(area, middle, number)
        painter.setPen(QColor(look.accent if is_marked else look.border))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        painter.restore()

    def _paint_name(self, painter: QPainter, area: QRect, name: str, *, is_marked: bool) -> None:
        look = theme.current()
        painter.setFont(QFont(self.font()))
        painter.setPen(QColor(look.text if is_marked else look.muted))
        line = painter.fontMetrics().height()
        if not self._is_upright():
            below = QRect(area)
            for part in _two_lines(painter, name, area.width()):
                painter.drawText(below, int(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter), part)
                below.translate(0, line)
            return
        painter.save()
        painter.translate(area.center().x() + 1, area.bottom() - 3)
        painter.rotate(-90)
        lines = _two_lines(painter, name, area.height() - 4)
        box = QRect(0, -(line * len(lines)) // 2, area.height() - 4, line)
        for part in lines:
            painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), part)
            box.translate(0, line - 1)
        painter.restore()


class RowHeader(QHeaderView):
    """The names of the rows, cut where they are long; the marked one stands out."""

    def __init__(self, parent: QTableView) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self._table = parent
        model = parent.model()
        assert isinstance(model, CrossModel)
        self._cells = model

    def paintSection(self, painter: QPainter, rect: QRect, logical: int) -> None:
        look = theme.current()
        painter.save()
        index = self._table.currentIndex()
        is_marked = index.isValid() and index.row() == logical
        painter.fillRect(rect, QColor(theme.mixed(look.base, look.accent, 0.13) if is_marked else look.window))
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold if is_marked else QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor(look.text))
        text = str(self._cells.headerData(logical, Qt.Orientation.Vertical) or "")
        room = rect.adjusted(8, 0, -8, 0)
        words = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), words)
        painter.setPen(QColor(look.border))
        painter.drawLine(rect.topRight(), rect.bottomRight())
        painter.restore()


def _two_lines(painter: QPainter, text: str, width: int) -> list[str]:
    """Words in at most two lines, the second cut where there are more."""
    metrics = painter.fontMetrics()
    first, words = "", text.split()
    while words and metrics.horizontalAdvance(f"{first} {words[0]}".strip()) <= width:
        first = f"{first} {words.pop(0)}".strip()
    if not first and words:  # one long word
        first = words.pop(0)
    lines = [first, " ".join(words)]
    return [metrics.elidedText(line, Qt.TextElideMode.ElideRight, width) for line in lines if line]


class CellDelegate(QStyledItemDelegate):
    """A number on a shade of its share of the row; outlined where the row belongs, or framed where the keys are."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        model = index.model()
        assert isinstance(model, CrossModel)
        row, column = int(model.rows[index.row()]), index.column()
        rect: QRect = option.rect
        cell = rect.adjusted(1, 1, -1, -1)
        is_expert = column < len(model.cross.column_names)
        home = model.cross.home_of(row)
        share = float(model.shares[row, column]) if is_expert else 0.0
        is_quiet = model.cross.is_move and column == home  # what has stayed is no news
        if is_expert:
            shown = 0.0 if is_quiet or not share else max(round(share, 2), 0.01)
            painter.fillRect(cell, QColor(shade_of(look, shown)))
        painter.setFont(option.font)
        painter.setPen(QColor(look.text if share and not is_quiet else look.muted))
        painter.drawText(cell, int(Qt.AlignmentFlag.AlignCenter), model.text(row, column))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if is_expert and column == home:
            pen = QPen(QColor(look.text if share else look.muted), 1)
            if not share:
                pen.setDashPattern([2, 2])
            painter.setPen(pen)
            painter.drawRect(cell.adjusted(0, 0, -1, -1))
        table = self.parent()
        assert isinstance(table, QTableView)
        if index == table.currentIndex():
            has_focus = bool(option.state & QStyle.StateFlag.State_Active) and table.hasFocus()
            painter.setPen(QPen(QColor(look.accent if has_focus else look.outline), 2))
            painter.drawRect(rect.adjusted(1, 1, -1, -1))


@lru_cache(maxsize=512)
def shade_of(look: theme.Theme, share: float) -> str:
    """The colour behind the number of a cell; text of the theme is read on all of them."""
    return theme.mixed(look.base, look.accent, 0.06 + 0.47 * share**0.7) if share > 0 else look.base
