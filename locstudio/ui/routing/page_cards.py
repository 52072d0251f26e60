"""The experts, one card each: how many images it takes, which classes, how sure the router is, what is odd of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from locstudio.domain.text import counted
from locstudio.ui import theme
from locstudio.ui.heatmaps.page_commands import is_move
from locstudio.ui.plain_text import label, shown, tip

_ROLE = int(Qt.ItemDataRole.UserRole)
_ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)
_PADDING = 10
_BAR = 7
_GAP = 4


@dataclass(frozen=True, slots=True)
class ExpertCard:
    """An expert as its card shows it.

    Attributes:
        expert: Counted from 0; ``name`` has its number from 1 on.
        share: Of all images, in [0, 1]; ``even`` is what each expert had if all had the same.
        classes: Names of the classes that it takes most of, with their numbers.
        is_predicted: The classes are what the model takes its images for, since nobody has said what they show.
        state: What is odd of it, in words: "takes no image", "takes 2.3 times its share"; empty else.
        margin: Mean margin of its images; None where it has none.
        top1: Share of its images whose class the model names right; None where no class is known.
    """

    expert: int
    name: str
    num_images: int
    share: float
    even: float
    classes: tuple[tuple[str, int], ...] = ()
    margin: float | None = None
    num_mismatched: int = 0
    top1: float | None = None
    state: str = ""
    is_warning: bool = False
    is_predicted: bool = False

    @property
    def title(self) -> str:
        """What the card is called: number and superclass, or that it is an expert where it has none."""
        return self.name if " · " in self.name else f"Expert {self.name}"

    def load_words(self) -> str:
        """How much it takes."""
        return f"{self.num_images:,} · {self.share:.0%}"

    def class_words(self) -> str:
        """What it takes most."""
        words = ", ".join(f"{name} {count:,}" for name, count in self.classes)
        if not words:
            return "no labelled image" if self.num_images else "no image"
        return f"predicted: {words}" if self.is_predicted else words

    def fact_words(self) -> str:
        """What is measured of it."""
        parts = [
            "" if self.margin is None else f"margin {self.margin:.2f}",
            f"{self.num_mismatched:,} mismatched" if self.num_mismatched else "",
            "" if self.top1 is None else f"top 1 {self.top1:.0%}",
        ]
        return " · ".join(part for part in parts if part)

    def sentence(self) -> str:
        """The card in words."""
        parts = [
            f"Expert {self.name}",
            self.state,
            f"{counted(self.num_images, 'image')}, {self.share:.0%} of all",
            self.class_words(),
            self.fact_words(),
        ]
        return ": ".join(parts[:1]) + ": " + "; ".join(part for part in parts[1:] if part)


class ExpertCards(QFrame):
    """Shows the experts; one of them is chosen.

    Signals:
        expert_chosen: the number of an expert, from 0.
    """

    expert_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(240)
        self._model = _CardModel(self)
        self._chosen = 0
        self._title = label("Experts", "section")
        self._hint = label("", "muted")
        self.view = _CardView(self)
        self.view.setModel(self._model)
        self.view.setItemDelegate(_CardDelegate(self.view))
        self.view.setUniformItemSizes(True)
        self.view.setAccessibleName("Experts")
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.selectionModel().currentChanged.connect(self._on_current)
        head = QHBoxLayout()
        head.setContentsMargins(12, 10, 12, 6)
        head.addWidget(self._title)
        head.addStretch()
        head.addWidget(self._hint)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self.view, 1)

    def set_cards(self, cards: Sequence[ExpertCard]) -> None:
        """Show these experts; the one that was chosen stays so."""
        with QSignalBlocker(self.view.selectionModel()):
            self._model.set_cards(tuple(cards))
        self._title.setText(f"Experts {len(cards)}" if cards else "Experts")
        self._hint.setText(f"even share {cards[0].even:.0%}" if cards else "")
        self.set_chosen(min(self._chosen, max(len(cards) - 1, 0)))

    @property
    def cards(self) -> tuple[ExpertCard, ...]:
        """What is shown."""
        return self._model.cards

    @property
    def chosen(self) -> int:
        """The number of the chosen expert, from 0."""
        return self._chosen

    def set_chosen(self, expert: int) -> None:
        """Mark an expert without announcing it."""
        self._chosen = expert
        if 0 <= expert < len(self._model.cards):
            index = self._model.index(expert, 0)
            with QSignalBlocker(self.view.selectionModel()):
                flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
                self.view.selectionModel().setCurrentIndex(index, flag)
            self.view.scrollTo(index)
        self.view.viewport().update()

    def step(self, by: int) -> None:
        """Choose the next expert (1), or the one before (-1)."""
        row = self.view.currentIndex().row() + by
        if 0 <= row < self._model.rowCount():
            self.view.setCurrentIndex(self._model.index(row, 0))

    def _on_current(self, current: QModelIndex, _previous: QModelIndex) -> None:
        card: ExpertCard | None = current.data(_ROLE) if current.isValid() else None
        self.view.viewport().update()
        if card is not None and card.expert != self._chosen:
            self._chosen = card.expert
            self.expert_chosen.emit(card.expert)


class _CardView(QListView):
    """Takes the keys that move in it and no others: letters and digits are the page's."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if is_move(event):
            super().keyPressEvent(event)
        else:
            event.ignore()


class _CardModel(QAbstractListModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.cards: tuple[ExpertCard, ...] = ()

    def set_cards(self, cards: tuple[ExpertCard, ...]) -> None:
        self.beginResetModel()
        self.cards = cards
        self.endResetModel()

    @property
    def most(self) -> float:
        """What a full bar stands for: the largest share, at least twice the even one."""
        return max((max(card.share, 2 * card.even) for card in self.cards), default=1.0) or 1.0

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.cards)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self.cards):
            return None
        card = self.cards[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return shown(card.title)
            case Qt.ItemDataRole.ToolTipRole:
                return tip(card.sentence())
            case _ if role == _ACCESSIBLE:
                return shown(card.sentence(), 400)
            case _:
                return card if role == _ROLE else None


class _CardDelegate(QStyledItemDelegate):
    """Four lines: name and load, a bar with a mark at the even share, classes, and what is measured or odd."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: ARG002
        line = option.fontMetrics.height()
        return QSize(120, 3 * line + _BAR + 3 * _GAP + 2 * _PADDING)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        card: ExpertCard = index.data(_ROLE)
        area: QRect = option.rect.adjusted(8, 3, -8, -3)
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        is_over = bool(option.state & QStyle.StateFlag.State_MouseOver)
        states = QStyle.StateFlag.State_HasFocus, QStyle.StateFlag.State_Active
        has_focus = all(bool(option.state & state) for state in states)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(QPen(QColor(look.accent if is_chosen else look.border), 2 if is_chosen and has_focus else 1))
        painter.setBrush(QColor(look.selection if is_chosen else look.hover if is_over else look.raised))
        painter.drawRoundedRect(area, 5, 5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        metrics = QFontMetrics(option.font)
        line = QRect(area.left() + _PADDING, area.top() + _PADDING - 2, area.width() - 2 * _PADDING, metrics.height())
        self._paint_name(painter, line, card, option.font)
        line.translate(0, metrics.height() + _GAP)
        model = index.model()
        most = model.most if isinstance(model, _CardModel) else 1.0
        _paint_bar(painter, QRect(line.left(), line.top(), line.width(), _BAR), card, most, is_chosen=is_chosen)
        line.translate(0, _BAR + _GAP)
        painter.setPen(QColor(look.text if is_chosen else look.muted))
        _draw(painter, line, card.class_words())
        line.translate(0, metrics.height() + _GAP - 1)
        self._paint_facts(painter, line, card, is_chosen=is_chosen)

    def _paint_name(self, painter: QPainter, line: QRect, card: ExpertCard, font: QFont) -> None:
        look = theme.current()
        bold = QFont(font)
        bold.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        words = card.load_words()
        width = painter.fontMetrics().horizontalAdvance(words) + 8
        painter.setPen(QColor(look.text))
        painter.drawText(line, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), words)
        painter.setFont(bold)
        _draw(painter, line.adjusted(0, 0, -width, 0), shown(card.title))
        painter.setFont(font)

    def _paint_facts(self, painter: QPainter, line: QRect, card: ExpertCard, *, is_chosen: bool) -> None:
        look = theme.current()
        left = line
        if card.state:
            bold = QFont(painter.font())
            bold.setWeight(QFont.Weight.DemiBold)
            plain = painter.font()
            painter.setFont(bold)
            painter.setPen(QColor(look.warning if card.is_warning else look.text))
            _draw(painter, line, card.state)
            left = line.adjusted(min(painter.fontMetrics().horizontalAdvance(card.state) + 8, line.width()), 0, 0, 0)
            painter.setFont(plain)
        painter.setPen(QColor(look.text if is_chosen else look.muted))
        words = card.fact_words()
        _draw(painter, left, f"· {words}" if card.state and words else words)


def _paint_bar(painter: QPainter, bar: QRect, card: ExpertCard, most: float, *, is_chosen: bool) -> None:
    """How much it takes, with a mark at the even share."""
    look = theme.current()
    painter.fillRect(bar, QColor(theme.mixed(look.selection if is_chosen else look.raised, look.text, 0.12)))
    filled = QRect(bar.left(), bar.top(), round(bar.width() * card.share / most), bar.height())
    painter.fillRect(filled, QColor(look.accent))
    mark = bar.left() + round(bar.width() * card.even / most)
    painter.fillRect(QRect(mark - 1, bar.top() - 2, 2, bar.height() + 4), QColor(look.text))


def _draw(painter: QPainter, line: QRect, words: str) -> None:
    text = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, max(0, line.width()))
    painter.drawText(line, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), text)
