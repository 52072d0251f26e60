"""The phrases of what is shown, most frequent first: a click narrows the gallery to one, Ctrl to several."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from locstudio.ui import theme
from locstudio.ui.plain_text import label, shown, tip

PHRASE_ROLE = int(Qt.ItemDataRole.UserRole)
COUNT_ROLE = PHRASE_ROLE + 1
_ROW_HEIGHT = 24


class PhraseList(QWidget):
    """Shows phrases with their counts; those that are selected narrow the gallery.

    Signals:
        phrases_changed: the phrases that are selected, as a frozenset; empty for all.
    """

    phrases_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _PhraseModel(self)
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(self._model)
        self._proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._proxy.setFilterRole(PHRASE_ROLE)
        self._is_restoring = False
        self._wanted: frozenset[str] = frozenset()
        self._find = QLineEdit(self)
        self._find.setPlaceholderText("Find a phrase")
        self._find.setAccessibleName("Find a phrase in the list")
        self._find.setClearButtonEnabled(True)
        self._find.textChanged.connect(self._on_find)
        self.view = QListView(self)
        self.view.setModel(self._proxy)
        self.view.setItemDelegate(_PhraseDelegate(self.view))
        self.view.setUniformItemSizes(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setAccessibleName("Phrases of what is shown")
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.selectionModel().selectionChanged.connect(self._on_selection)
        self._title = label("Phrases", "section")
        self._all = QPushButton("All", self)
        self._all.setProperty("role", "flat")
        self._all.setAccessibleName("Show every phrase")
        self._all.clicked.connect(lambda: self.set_wanted(frozenset()))
        head = QHBoxLayout()
        head.setContentsMargins(12, 0, 8, 0)
        head.addWidget(self._title)
        head.addStretch()
        head.addWidget(self._all)
        find = QHBoxLayout()
        find.setContentsMargins(12, 0, 12, 6)
        find.addWidget(self._find)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        column.addLayout(find)
        column.addWidget(self.view, 1)
        self._show_all_button()

    @property
    def wanted(self) -> frozenset[str]:
        """The phrases that narrow the gallery; empty for all."""
        return self._wanted

    def set_phrases(self, phrases: Sequence[tuple[str, int]]) -> None:
        """Show these phrases with their counts; what was selected stays so, also where nothing of it is left."""
        counts = dict(phrases)
        rows = [(phrase, counts.pop(phrase, 0)) for phrase in sorted(self._wanted)] if self._wanted else []
        self._model.set_phrases([*(row for row in rows if row[0] not in dict(phrases)), *phrases])
        self._title.setText(f"Phrases {len(phrases):,}" if phrases else "Phrases")
        self._select()

    def set_wanted(self, phrases: frozenset[str]) -> None:
        """Narrow the gallery to these, and announce it."""
        if phrases == self._wanted:
            return
        self._wanted = phrases
        self._select()
        self._show_all_button()
        self.phrases_changed.emit(phrases)

    def _select(self) -> None:
        self._is_restoring = True
        selection = QItemSelection()
        for row in range(self._proxy.rowCount() if self._wanted else 0):
            index = self._proxy.index(row, 0)
            if index.data(PHRASE_ROLE) in self._wanted:
                selection.select(index, index)
        self.view.selectionModel().select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self._is_restoring = False

    def _on_find(self, text: str) -> None:
        self._is_restoring = True
        self._proxy.setFilterFixedString(text.strip())
        self._is_restoring = False
        self._select()

    def _on_selection(self) -> None:
        if not self._is_restoring:
            chosen = frozenset(index.data(PHRASE_ROLE) for index in self.view.selectionModel().selectedIndexes())
            if chosen != self._wanted:
                self._wanted = chosen
                self._show_all_button()
                self.phrases_changed.emit(chosen)

    def _show_all_button(self) -> None:
        policy = self._all.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._all.setSizePolicy(policy)
        self._all.setVisible(bool(self._wanted))


class _PhraseModel(QAbstractListModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._phrases: list[tuple[str, int]] = []
        self.most = 1

    def set_phrases(self, phrases: list[tuple[str, int]]) -> None:
        if phrases == self._phrases:
            return
        self.beginResetModel()
        self._phrases = phrases
        self.most = max((count for _, count in phrases), default=1) or 1
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._phrases)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._phrases):
            return None
        phrase, count = self._phrases[index.row()]
        words = shown(phrase) or "nothing said"
        if role == Qt.ItemDataRole.DisplayRole:
            return words
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(words)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{words}, {count:,}"
        if role == PHRASE_ROLE:
            return phrase
        return (count, count / self.most) if role == COUNT_ROLE else None


class _PhraseDelegate(QStyledItemDelegate):
    """A phrase on a bar that says how frequent it is, its count at the right."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: ARG002
        return QSize(60, _ROW_HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        row: QRect = option.rect.adjusted(8, 1, -8, -1)
        count, share = index.data(COUNT_ROLE)
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_chosen:
            painter.fillRect(row, QColor(look.selection))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(row, QColor(look.raised))
        if not is_chosen:
            bar = QRect(row.left(), row.top(), max(2, round(row.width() * share)) if count else 0, row.height())
            painter.fillRect(bar, QColor(theme.mixed(look.base, look.accent, 0.20)))
        if option.state & QStyle.StateFlag.State_HasFocus and option.state & QStyle.StateFlag.State_Active:
            painter.setPen(QColor(look.accent))
            painter.drawRect(row.adjusted(0, 0, -1, -1))
        painter.setPen(QColor(look.muted if not is_chosen else look.text))
        number = f"{count:,}"
        metrics = QFontMetrics(painter.font())
        right = metrics.horizontalAdvance(number) + 6
        vertical = int(Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(row.adjusted(0, 0, -6, 0), vertical | int(Qt.AlignmentFlag.AlignRight), number)
        painter.setPen(QColor(look.text if index.data(PHRASE_ROLE) else look.muted))
        line = row.adjusted(6, 0, -right - 8, 0)
        words = metrics.elidedText(index.data(), Qt.TextElideMode.ElideRight, line.width())
        painter.drawText(line, vertical | int(Qt.AlignmentFlag.AlignLeft), words)
