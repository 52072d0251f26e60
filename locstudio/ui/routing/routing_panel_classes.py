"""The likeliest classes with their probabilities, and beside them what another expert would have said."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QListView, QSizePolicy, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from locstudio.ui import theme
from locstudio.ui.plain_text import shown, tip
from locstudio.ui.routing.routing_panel_bars import paint_bar, share_text

AnyIndex = QModelIndex | QPersistentModelIndex
ROW_ROLE = Qt.ItemDataRole.UserRole  # a ``ClassShare``
MIN_ROWS, MAX_ROWS = 5, 8
_PAD, _GAP, _BAR = 8, 6, 7
_MUCH = 0.05
"""A probability that changes by as much is told apart."""


@dataclass(frozen=True, slots=True)
class ClassShare:
    """One class: its probability, and what it would have been; None where it is not among the likeliest.

    Attributes:
        limit: What a probability that is not known lies below; ``other_limit`` likewise.
        is_first: It is the likeliest of all; ``would_be_first``: it would have been.
        is_true: The image is known to show it.
    """

    name: str
    share: float | None
    other: float | None = None
    limit: float = 0.0
    other_limit: float = 0.0
    is_compared: bool = False
    is_first: bool = False
    would_be_first: bool = False
    is_true: bool = False

    @property
    def sign(self) -> str:
        """Whether it would have been likelier or less likely by much."""
        if not self.is_compared:
            return ""
        change = (self.other or self.other_limit / 2) - (self.share or self.limit / 2)
        return "▲" if change >= _MUCH else "▼" if change <= -_MUCH else ""

    def told(self) -> str:
        """The row in words."""
        now = f"{self.share:.3f}" if self.share is not None else f"below {self.limit:.3f}"
        known = ", as labelled" if self.is_true else ""
        if not self.is_compared:
            return f"{shown(self.name)}{known}, {now}"
        then = f"{self.other:.3f}" if self.other is not None else f"below {self.other_limit:.3f}"
        first = ", would have been the prediction" if self.would_be_first and not self.is_first else ""
        return f"{shown(self.name)}{known}, {now}, would have been {then}{first}"


def compared(
    real: Sequence[tuple[str, float]], other: Sequence[tuple[str, float]] | None, truth: Sequence[str] = ()
) -> tuple[ClassShare, ...]:
    """The likeliest classes of one prediction or of two, those with the largest probability in either first."""
    known = {name.casefold() for name in truth}
    shares, others = dict(real), dict(other or ())
    names = sorted({**shares, **others}, key=lambda name: -max(shares.get(name, 0.0), others.get(name, 0.0)))
    first = real[0][0] if real else ""
    would_be = other[0][0] if other else ""
    return tuple(
        ClassShare(
            name=name,
            share=shares.get(name),
            other=others.get(name),
            limit=real[-1][1] if real else 0.0,
            other_limit=other[-1][1] if other else 0.0,
            is_compared=other is not None,
            is_first=name == first,
            would_be_first=name == would_be,
            is_true=name.casefold() in known,
        )
        for name in names[:MAX_ROWS]
    )


class ClassBars(QListView):
    """Shows classes with one bar each, or two: solid as it was, hatched as it would have been."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._num_rows = MIN_ROWS
        self._all: tuple[ClassShare, ...] = ()
        self.rows = _Rows(self)
        self.setModel(self.rows)
        self.setItemDelegate(_ClassDelegate(self))
        self.setAccessibleName("Likeliest classes")
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QListView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_rows(())
        theme.notifier.changed.connect(self.viewport().update)

    def set_rows(self, rows: Sequence[ClassShare]) -> None:
        """Show these; the list is as high as so many may be, so that nothing jumps while somebody compares."""
        self._all = tuple(rows)
        self.rows.set_rows(self._all[: self._num_rows])
        self.setFixedHeight(self._num_rows * row_height(self.fontMetrics()) + 2)

    def set_num_rows(self, num_rows: int) -> None:
        """Make room for so many classes."""
        if num_rows != self._num_rows:
            self._num_rows = num_rows
            self.set_rows(self._all)


def row_height(metrics: QFontMetrics) -> int:
    """Of one class."""
    return metrics.height() + 8


class _Rows(QAbstractListModel):
    """Frozen rows."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.all: tuple[ClassShare, ...] = ()

    def set_rows(self, rows: Sequence[ClassShare]) -> None:
        """List these."""
        self.beginResetModel()
        self.all = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        """One row for each class."""
        return 0 if parent.isValid() else len(self.all)

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The name as text; the row itself under ``ROW_ROLE``."""
        if not index.isValid():
            return None
        row = self.all[index.row()]
        if role == ROW_ROLE:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(row.name)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return row.told()
        return tip(row.told()) if role == Qt.ItemDataRole.ToolTipRole else None


class _ClassDelegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: AnyIndex) -> QSize:  # noqa: ARG002 - all rows are alike
        return QSize(120, row_height(option.fontMetrics))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        look = theme.current()
        row: ClassShare = index.data(ROW_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        inner = QRectF(option.rect).adjusted(_PAD, 0, -_PAD, 0)
        font = QFont(option.font)
        font.setBold(row.would_be_first if row.is_compared else row.is_first)
        numbers = numbers_of(row)
        sample = "<0.01 → <0.01 ▲" if row.is_compared else "<0.01"
        numbers_width = QFontMetrics(option.font).horizontalAdvance(sample) + 6
        number = QRectF(inner.right() - numbers_width, inner.top(), numbers_width, inner.height())
        bar_width = max((number.left() - inner.left()) * 0.42, 24)
        bar = QRectF(number.left() - _GAP - bar_width, inner.top(), bar_width, inner.height())
        name = QRectF(inner.left(), inner.top(), bar.left() - _GAP - inner.left(), inner.height())
        painter.setFont(font)
        painter.setPen(QColor(look.text))
        words = f"{'◇ ' if row.is_true else ''}{shown(row.name)}"
        painter.drawText(
            name,
            int(Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine),
            QFontMetrics(font).elidedText(words, Qt.TextElideMode.ElideRight, round(name.width())),
        )
        _paint_bars(painter, bar, row)
        painter.setPen(QColor(look.text))
        painter.drawText(number, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight), numbers)
        painter.restore()


def numbers_of(row: ClassShare) -> str:
    """The numbers of a row: as it was, and as it would have been."""
    now = share_text(row.share) if row.share is not None else _below(row.limit)
    if not row.is_compared:
        return now
    then = share_text(row.other) if row.other is not None else _below(row.other_limit)
    return f"{now} → {then} {row.sign or ' '}".rstrip()


def _below(limit: float) -> str:
    return f"<{limit:.2f}" if limit >= 0.005 else "<0.01"


def _paint_bars(painter: QPainter, room: QRectF, row: ClassShare) -> None:
    middle = room.center().y()
    if not row.is_compared:
        bar = QRectF(room.left(), middle - _BAR / 2, room.width(), _BAR)
        paint_bar(painter, bar, row.share or 0.0, is_strong=row.is_first)
        return
    upper = QRectF(room.left(), middle - _BAR, room.width(), _BAR - 1)
    paint_bar(painter, upper, row.share or 0.0, is_strong=row.is_first)
    look = theme.current()
    lower = QRectF(room.left(), middle + 1, room.width() * min(max(row.other or 0.0, 0.0), 1.0), _BAR - 1)
    if lower.width() > 0:
        painter.setPen(QPen(QColor(look.text), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(lower.adjusted(0.5, 0.5, -0.5, -0.5))
        painter.fillRect(lower, QBrush(QColor(look.text), Qt.BrushStyle.BDiagPattern))
