"""What the models see in the drawn region: the expert that takes it, its classes, and the heat inside of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, QStringListModel, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QListView,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.ui import theme
from locstudio.ui.plain_text import label, shown, tip

NUM_ROWS = 3
_ROW_HEIGHT = 21
_WAITING = "…"


@dataclass(frozen=True, slots=True)
class Bar:
    """A name with a share of 1.  ``number`` is how the share is written, ``told`` the whole in words."""

    name: str
    share: float
    number: str
    told: str
    key: int = 0
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What one model says of the region: a title, bars, and a sentence; where there are no bars, why."""

    title: str
    bars: tuple[Bar, ...] = ()
    sentence: str = ""


class RegionLook(QFrame):
    """Shows what it is given, under a line that folds it away.

    Signals:
        expert_chosen: an expert, counted from 0.
        class_chosen: identity of a class whose heat is to be seen; 0 for one that the project does not have.
    """

    expert_chosen = Signal(int)
    class_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._routing, self._heat = Seen("Experts"), Seen("Heat inside")
        self._fold = QToolButton(self)
        self._fold.setProperty("role", "fold")
        self._fold.setCheckable(True)
        self._fold.setChecked(True)
        self._fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._fold.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._fold.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._fold.toggled.connect(self._show)
        self._classes = _wrapped()
        self._titles = (label("", "section", self), label("", "section", self))
        for title in self._titles:
            title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.experts, self.heat = _Bars("Experts of the region", self), _Bars("Heat inside the region", self)
        self._whys = (_wrapped(), _wrapped())
        self.experts.chosen.connect(self.expert_chosen)
        self.heat.chosen.connect(self.class_chosen)
        self._body = QWidget(self)
        body = QVBoxLayout(self._body)
        body.setContentsMargins(12, 0, 12, 6)
        body.setSpacing(4)
        body.addWidget(self._classes)
        columns = QHBoxLayout()
        columns.setSpacing(12)
        body.addLayout(columns)
        for parts in zip(self._titles, (self.experts, self.heat), self._whys, strict=True):
            column = QVBoxLayout()
            column.setSpacing(2)
            for widget in parts:
                column.addWidget(widget)
            column.addStretch()
            columns.addLayout(column, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(2)
        whole.addWidget(self._fold)
        whole.addWidget(self._body)
        self._show()

    @property
    def is_open(self) -> bool:
        """Whether it is unfolded."""
        return self._fold.isChecked()

    def set_open(self, is_open: bool) -> None:
        """Unfold it, or fold it away."""
        self._fold.setChecked(is_open)

    @property
    def routing_seen(self) -> Seen:
        """What is shown of the experts."""
        return self._routing

    @property
    def heat_seen(self) -> Seen:
        """What is shown of the heat."""
        return self._heat

    def wait(self) -> None:
        """Another region is on its way: what is shown is of the one before, and pale."""
        self._body.setEnabled(False)

    def set_routing(self, seen: Seen, classes: str = "") -> None:
        """Show the experts of the region, and the likeliest classes in a sentence."""
        self._routing = seen
        self._classes.setText(classes)
        self._body.setEnabled(True)
        self._show()

    def set_heat(self, seen: Seen) -> None:
        """Show which classes are hot in the region."""
        self._heat = seen
        self._body.setEnabled(True)
        self._show()

    def _show(self) -> None:
        is_open = self._fold.isChecked()
        self._body.setVisible(is_open)
        self._fold.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        summary = self._summary()
        self._fold.setText("Experts and heat of this region" if is_open or not summary else summary)
        self._fold.setAccessibleName(f"Experts and heat of this region, {'shown' if is_open else 'hidden'}. {summary}")
        self._fold.setToolTip("" if is_open else tip(summary))
        self._classes.setVisible(bool(self._classes.text()))
        for seen, title, bars, why in zip(
            (self._routing, self._heat), self._titles, (self.experts, self.heat), self._whys, strict=True
        ):
            title.setText(shown(seen.title))
            title.setToolTip(tip(seen.title))
            bars.set_bars(seen.bars)
            bars.setVisible(bool(seen.bars))
            why.setText(seen.sentence)
            why.setVisible(bool(seen.sentence))

    def _summary(self) -> str:
        """The whole in a line."""
        first = [bar for bar in self._routing.bars if bar.is_first]
        experts = [f"Expert {first[0].name} {first[0].number}"] if first else []
        hot = [f"{bar.name} {bar.number}" for bar in self._heat.bars[:1]]
        return " · ".join(shown(part, 40) for part in [*experts, *(f"hot: {each}" for each in hot)])


class _Bars(QListView):
    """A few names, each over the bar of its share."""

    chosen = Signal(int)

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.bars: tuple[Bar, ...] = ()
        self._model = _Words(self)
        self.setModel(self._model)
        self.setItemDelegate(_BarDelegate(self))
        self.setAccessibleName(name)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.clicked.connect(self._choose)
        self.activated.connect(self._choose)
        theme.notifier.changed.connect(self.viewport().update)

    def set_bars(self, bars: Sequence[Bar]) -> None:
        """Show these."""
        self.bars = tuple(bars)
        self._model.setStringList([shown(bar.told) for bar in bars])
        self.setFixedHeight(_ROW_HEIGHT * len(self.bars) + 2)

    def _choose(self, index: QModelIndex) -> None:
        self.chosen.emit(self.bars[index.row()].key)


class _Words(QStringListModel):
    """What is told of each bar, also as a tool tip."""

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The words of a row."""
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(str(super().data(index, Qt.ItemDataRole.DisplayRole)))
        return super().data(index, role)


class _BarDelegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: ARG002 - all rows are alike
        return QSize(60, _ROW_HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look, bars = theme.current(), self.parent()
        assert isinstance(bars, _Bars)
        bar = bars.bars[index.row()]
        rect: QRect = option.rect
        inner = QRectF(rect).adjusted(0, 1, 0, -2)
        filled = QRectF(inner)
        filled.setWidth(max(2.0, inner.width() * min(max(bar.share, 0.0), 1.0)))
        is_pointed = bool(option.state & (QStyle.StateFlag.State_MouseOver | QStyle.StateFlag.State_HasFocus))
        is_pale = not bool(option.state & QStyle.StateFlag.State_Enabled)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.mixed(look.base, look.text, 0.05)))
        painter.drawRoundedRect(inner, 3, 3)
        strength = 0.5 if is_pointed else 0.36 if bar.is_first else 0.22
        painter.setBrush(QColor(theme.mixed(look.base, look.accent, strength / 2 if is_pale else strength)))
        painter.drawRoundedRect(filled, 3, 3)
        font = QFont(option.font)
        font.setBold(bar.is_first)
        painter.setFont(font)
        painter.setPen(QColor(look.muted if is_pale else look.text))
        metrics = painter.fontMetrics()
        words = inner.adjusted(6, 0, -metrics.horizontalAdvance(bar.number) - 10, 0)
        text = metrics.elidedText(shown(bar.name), Qt.TextElideMode.ElideRight, round(words.width()))
        painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
        side = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        painter.drawText(inner.adjusted(0, 0, -5, 0), side, bar.number)


def _wrapped() -> QLabel:
    made = label("", "muted")
    made.setWordWrap(True)
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return made
