"""The two tables of the phrase sheet: phrases with their classes, and groups of synonyms."""

from PySide6.QtCore import QItemSelectionModel, QPoint, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from locstudio.ui import theme
from locstudio.ui.canvas.commands import digit_of
from locstudio.ui.curation.phrases_model import AnyIndex, PhraseColumn, PhrasesModel
from locstudio.ui.curation.synonyms_model import STARTS_GROUP_ROLE, SynonymColumn, SynonymsModel


class _Table(QTableView):
    """A table of whole rows, whose first column gets the room that is left."""

    def __init__(self, model: PhrasesModel | SynonymsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setModel(model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(28)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def go_to(self, row: int) -> None:
        """Make a row the current and only selected one, if there is such a row."""
        if 0 <= row < self.model().rowCount():
            index = self.model().index(row, 0)
            command = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
            self.selectionModel().setCurrentIndex(index, command)
            self.scrollTo(index)


class PhraseTable(_Table):
    """Phrases, several of which can be selected.

    Signals:
        digit_pressed: a digit from 1 to 9.
        class_wanted: the person wants to write a class (Enter).
        unmap_wanted: take the class away (Delete).
    """

    digit_pressed = Signal(int)
    class_wanted = Signal()
    unmap_wanted = Signal()

    def __init__(self, model: PhrasesModel, parent: QWidget | None = None) -> None:
        super().__init__(model, parent)
        self._model = model
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setAccessibleName("Phrases; digits map to the first classes, Enter writes a class")
        self.setSortingEnabled(True)
        header = self.horizontalHeader()
        header.setSortIndicatorShown(False)
        header.setSortIndicator(PhraseColumn.COUNT, Qt.SortOrder.DescendingOrder)
        letter = self.fontMetrics().averageCharWidth()
        for column in range(PhraseColumn.COUNT, PhraseColumn.CLASS):
            self.setColumnWidth(column, letter * 12)
        self.setColumnWidth(PhraseColumn.CLASS, letter * 26)

    @property
    def selected_phrases(self) -> list[str]:
        """The phrases that are selected."""
        chosen = self.selectionModel().selection()
        parts = [chosen.at(number) for number in range(chosen.size())]
        return [self._model.line(row).phrase for part in parts for row in range(part.top(), part.bottom() + 1)]

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where it is narrow, what was decided gives way to the phrase."""
        is_narrow = event.size().width() < self.fontMetrics().averageCharWidth() * 90
        for column in (PhraseColumn.ACCEPTED, PhraseColumn.REJECTED):
            self.setColumnHidden(column, is_narrow)
        super().resizeEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Digits, Enter and Delete; the table's own keys for the rest."""
        digit = digit_of(event)
        if digit is not None:
            self.digit_pressed.emit(digit)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self.class_wanted.emit()
        elif event.key() == Qt.Key.Key_Delete:
            self.unmap_wanted.emit()
        else:
            super().keyPressEvent(event)


class SynonymTable(_Table):
    """Groups of synonyms below each other, a line between them."""

    def __init__(self, model: SynonymsModel, parent: QWidget | None = None) -> None:
        super().__init__(model, parent)
        self._model = model
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAccessibleName("Synonyms; Space ticks, Enter keeps, G ticks the group")
        self.setItemDelegate(_GroupDelegate(self))
        letter = self.fontMetrics().averageCharWidth()
        self.setColumnWidth(SynonymColumn.COUNT, letter * 12)
        self.setColumnWidth(SynonymColumn.LIKENESS, letter * 13)
        self.setColumnWidth(SynonymColumn.BECOMES, letter * 34)
        self.doubleClicked.connect(lambda index: model.keep(index.row()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space ticks, Enter keeps, G ticks the group."""
        row = self.currentIndex().row()
        if row < 0 or event.modifiers():
            super().keyPressEvent(event)
        elif event.key() == Qt.Key.Key_Space:
            self._model.tick(row, not self._model.is_ticked(row))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._model.keep(row)
        elif event.key() == Qt.Key.Key_G:
            self._model.tick_group(row)
        else:
            super().keyPressEvent(event)


class _GroupDelegate(QStyledItemDelegate):
    """Draws a line above the first phrase of a group."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        super().paint(painter, option, index)
        if index.data(STARTS_GROUP_ROLE):
            rect = option.rect
            painter.setPen(QPen(QColor(theme.current().border), 1))
            painter.drawLine(rect.topLeft(), rect.topLeft() + QPoint(rect.width(), 0))
