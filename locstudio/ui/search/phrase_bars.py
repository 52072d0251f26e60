"""Phrases of the collection ranked for a box, each with the bar of its score."""

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, QStringListModel, Qt, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QListView, QSizePolicy, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from locstudio.ui import theme
from locstudio.ui.plain_text import shown

_ROW_HEIGHT = 24
_MAX_ROWS = 6


class PhraseBars(QListView):
    """The best phrases, best first.

    Signals:
        phrase_chosen: a phrase that a person clicked or confirmed with Enter.
    """

    phrase_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._phrases: tuple[tuple[str, float], ...] = ()
        self._model = QStringListModel(self)
        self.setModel(self._model)
        self.setItemDelegate(_BarDelegate(self))
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.setAccessibleName("Best-matching phrases of the collection")
        self.setToolTip("Click a phrase to search for its words")
        self.clicked.connect(self._choose)
        self.activated.connect(self._choose)
        theme.notifier.changed.connect(self.viewport().update)

    def set_phrases(self, phrases: Sequence[tuple[str, float]]) -> None:
        """Show phrases with their scores, best first."""
        self._phrases = tuple(phrases)
        self._model.setStringList([f"{shown(phrase)}, score {score:.2f}" for phrase, score in phrases])
        self.setFixedHeight(_ROW_HEIGHT * min(len(self._phrases), _MAX_ROWS) + 2)

    @property
    def phrases(self) -> tuple[tuple[str, float], ...]:
        """What is shown."""
        return self._phrases

    def _choose(self, index: QModelIndex) -> None:
        self.phrase_chosen.emit(self._phrases[index.row()][0])


class _BarDelegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: ARG002 - all rows are alike
        return QSize(80, _ROW_HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        bars = self.parent()
        assert isinstance(bars, PhraseBars)
        phrase, score = bars.phrases[index.row()]
        best = max(bars.phrases[0][1], 1e-6)
        rect: QRect = option.rect
        inner = QRectF(rect).adjusted(8, 2, -8, -2)
        bar = QRectF(inner)
        bar.setWidth(max(2.0, inner.width() * min(max(score / best, 0.0), 1.0)))
        is_pointed = bool(option.state & (QStyle.StateFlag.State_MouseOver | QStyle.StateFlag.State_HasFocus))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.mixed(look.base, look.accent, 0.38 if is_pointed else 0.22)))
        painter.drawRoundedRect(bar, 3, 3)
        painter.setPen(QColor(look.text))
        number = f"{score:.2f}"
        number_width = painter.fontMetrics().horizontalAdvance("0.00") + 10
        words = inner.adjusted(7, 0, -number_width, 0)
        text = painter.fontMetrics().elidedText(shown(phrase), Qt.TextElideMode.ElideRight, round(words.width()))
        painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
        painter.setPen(QColor(look.muted))
        side = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        painter.drawText(inner.adjusted(0, 0, -5, 0), side, number)
