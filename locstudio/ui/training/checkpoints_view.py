"""The registry of checkpoints: which one is in use, what each is worth, and two of them side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QInputDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QTableView,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.services.registry import CheckpointEntry
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label, shown
from locstudio.ui.training.checkpoints_model import AnyIndex, CheckpointColumn, CheckpointsModel
from locstudio.ui.training.crops_view import CropsPane
from locstudio.ui.training.diff_view import DiffLine, DiffView


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """What is said of one checkpoint besides its row: sentences, and its card as it is."""

    sentences: Sequence[str]
    card: str


class CheckpointsView(QWidget):
    """Shows the registry.

    Signals:
        checkpoint_chosen: id of the checkpoint in front.
        against_chosen: id of the checkpoint in front, id of the one it is compared with.
        activate_wanted: id of the checkpoint to take into use.
        compare_wanted: ids of an old and a new checkpoint whose differences region by region are wanted.
        rename_wanted: id, new name.
        note_wanted: id, new note.
        delete_wanted: id of the checkpoint whose files are to be removed; a person has confirmed it.
        edited_wanted: kind of edited regions that are to be shown.
        place_wanted: a ``HitItem`` to open in its image.
    """

    checkpoint_chosen = Signal(str)
    against_chosen = Signal(str, str)
    activate_wanted = Signal(str)
    compare_wanted = Signal(str, str)
    rename_wanted = Signal(str, str)
    note_wanted = Signal(str, str)
    delete_wanted = Signal(str)
    edited_wanted = Signal(str)
    place_wanted = Signal(object)

    def __init__(
        self,
        crops: PictureLoader,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.model = CheckpointsModel(self)
        self.table = _Registry(self.model, self)
        self.diff = DiffView(self)
        self.edited = CropsPane(crops, self)
        self.edited.hide()
        self._card = QPlainTextEdit(self)
        self._card.setReadOnly(True)
        self._card.setAccessibleName("Card of the checkpoint")
        self._is_busy = False
        split = QSplitter(Qt.Orientation.Horizontal, self)
        split.setChildrenCollapsible(False)
        split.setHandleWidth(3)
        split.addWidget(self.table)
        split.addWidget(self._make_detail())
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setSizes([560, 440])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(split)
        self._connect()

    def _make_detail(self) -> QWidget:
        self._name = label("", "heading")
        self._name.setWordWrap(True)
        self._facts = label("", "muted")
        self._facts.setWordWrap(True)
        self._activate = QPushButton("Activate", self)
        self._more = QToolButton(self)
        drawn.follow(self._more, "menu")
        self._more.setToolTip("Rename, note, remove files")
        self._more.setAccessibleName("More about this checkpoint")
        self._more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._more.setMenu(self._make_menu())
        title = QHBoxLayout()
        title.setSpacing(8)
        title.addWidget(self._name, 1)
        title.addWidget(self._activate)
        title.addWidget(self._more)
        head = QVBoxLayout()
        head.setContentsMargins(12, 10, 12, 8)
        head.setSpacing(6)
        head.addLayout(title)
        head.addWidget(self._facts)
        self._tabs = QTabWidget(self)
        self._tabs.setDocumentMode(True)
        self._tabs.setAccessibleName("About this checkpoint")
        self._tabs.addTab(self._make_comparison(), "Compare")
        self._tabs.addTab(self._card, "Card")
        detail = QWidget(self)
        detail.setMinimumWidth(320)
        column = QVBoxLayout(detail)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self._tabs, 1)
        return detail

    def _make_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.addAction("Rename…").triggered.connect(self._ask_name)
        menu.addAction("Note…").triggered.connect(self._ask_note)
        menu.addSeparator()
        self._delete = menu.addAction("Remove its files…")
        self._delete.triggered.connect(self._ask_delete)
        return menu

    def _make_comparison(self) -> QWidget:
        self._against = QComboBox(self)
        self._against.setAccessibleName("Compare with")
        self._against.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._against.setMinimumContentsLength(12)
        self._compare = QPushButton("Compare", self)
        self._compare.setToolTip("Find out what each of the two gets right and wrong: a run in the background")
        row = QHBoxLayout()
        row.setContentsMargins(12, 8, 12, 6)
        row.setSpacing(8)
        row.addWidget(label("against", "muted"))
        row.addWidget(self._against, 1)
        row.addWidget(self._compare)
        split = QSplitter(Qt.Orientation.Vertical, self)
        split.setChildrenCollapsible(False)
        split.setHandleWidth(3)
        split.addWidget(self.diff)
        split.addWidget(self.edited)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        page = QWidget(self)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(split, 1)
        return page

    def _connect(self) -> None:
        self.table.entry_chosen.connect(self._on_chosen)
        self._activate.clicked.connect(self._on_activate)
        self._against.activated.connect(lambda _: self._announce_against())
        self._compare.clicked.connect(self._on_compare)
        self.diff.edited_wanted.connect(self.edited_wanted)
        self.edited.opened.connect(self.place_wanted)

    # what is shown ----------------------------------------------------------------------------------------------

    def set_entries(self, entries: Sequence[CheckpointEntry]) -> None:
        """Show these checkpoints; the one in front stays in front, else the newest is."""
        before, against = self.current, self.against
        self.model.set_entries(entries)
        row = max(0, self.model.row_of(before.id)) if before else 0
        if entries:
            self.table.setCurrentIndex(self.model.index(row, CheckpointColumn.NAME))
        if before and self.current and before.id == self.current.id and self._against.findData(against) >= 0:
            self._against.setCurrentIndex(self._against.findData(against))
            self._announce_against()

    def show_facts(self, facts: CheckpointFacts) -> None:
        """Show what is known of the checkpoint in front."""
        self._facts.setText("\n".join(map(shown, facts.sentences)))
        self._facts.setVisible(bool(facts.sentences))
        self._card.setPlainText(facts.card)

    def show_diff(self, lines: Sequence[DiffLine], old_name: str, new_name: str) -> None:
        """Show the comparison of the checkpoint in front with the one chosen against it."""
        self.edited.hide()
        self.diff.set_lines(lines, old_name, new_name)

    def set_busy(self, is_busy: bool) -> None:
        """While a model is being taken into use, no other can be."""
        self._is_busy = is_busy
        self._show_buttons()

    @property
    def current(self) -> CheckpointEntry | None:
        """The checkpoint in front."""
        row = self.table.currentIndex().row()
        return self.model.entries[row] if 0 <= row < len(self.model.entries) else None

    @property
    def against(self) -> str:
        """Id of the checkpoint that the one in front is compared with; empty for none."""
        return self._against.currentData() or ""

    def show_tab(self, number: int) -> None:
        """Show the comparison (0) or the card (1)."""
        self._tabs.setCurrentIndex(number)

    def _on_chosen(self, entry: CheckpointEntry) -> None:
        self._name.setText(shown(self.model.name_of(entry.id)))
        with QSignalBlocker(self._against):
            self._against.clear()
            others = [other for other in self.model.entries if other.id != entry.id and other.model == entry.model]
            for other in others:
                self._against.addItem(
                    shown(self.model.name_of(other.id)) + (" (in use)" if other.is_active else ""), other.id
                )
            active = next((other.id for other in others if other.is_active), "")
            wanted = active or entry.parent_id
            self._against.setCurrentIndex(max(0, self._against.findData(wanted)) if others else -1)
        self._show_buttons()
        self.checkpoint_chosen.emit(entry.id)
        self._announce_against()

    def _show_buttons(self) -> None:
        entry = self.current
        if entry is None:
            return
        self._activate.setText("In use" if entry.is_active else "Roll back to this" if entry.was_used else "Activate")
        self._activate.setEnabled(not entry.is_active and entry.is_present and not self._is_busy)
        self._activate.setToolTip("" if entry.is_present else "Its files were removed")
        self._compare.setEnabled(self._against.count() > 0 and entry.is_present)
        self._compare.setText("Region by region" if entry.model == "cloc" else "Class by class")
        self._delete.setEnabled(entry.is_present and not entry.is_active and not entry.is_bundled)

    def _announce_against(self) -> None:
        if self.current is not None:
            self.against_chosen.emit(self.current.id, self.against)

    def _on_activate(self) -> None:
        if self.current is not None:
            self.activate_wanted.emit(self.current.id)

    def _on_compare(self) -> None:
        if self.current is not None and self.against:
            self.compare_wanted.emit(self.against, self.current.id)

    def _ask_name(self) -> None:
        entry = self.current
        if entry is not None:
            text, is_given = QInputDialog.getText(
                self, "Rename", "Name of the checkpoint", QLineEdit.EchoMode.Normal, entry.name
            )
            if is_given and text.strip():
                self.rename_wanted.emit(entry.id, text.strip())

    def _ask_note(self) -> None:
        entry = self.current
        if entry is not None:
            text, is_given = QInputDialog.getMultiLineText(self, "Note", "What should be remembered of it", entry.note)
            if is_given:
                self.note_wanted.emit(entry.id, text.strip())

    def _ask_delete(self) -> None:
        entry = self.current
        if entry is None:
            return
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Remove files")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(f"Remove the files of {shown(self.model.name_of(entry.id))}?")
        box.setInformativeText("Its weights and its index are gone for good. What it measured stays in the list.")
        remove = box.addButton("Remove", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.exec()
        if box.clickedButton() is remove:
            self.delete_wanted.emit(entry.id)


class _Registry(QTableView):
    entry_chosen = Signal(object)

    def __init__(self, model: CheckpointsModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._entries = model
        self.setModel(model)
        self.setAccessibleName("Checkpoints")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(340)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 14)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(24)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(CheckpointColumn.NAME, QHeaderView.ResizeMode.Stretch)
        samples = ("● ", "", "regions", "24 Nov 02:40", "(56.0 %)", "(56.0 %)", "100.0 %", "a checkpoint", "0a1b2c3d")
        bold = QFont(self.font())  # as the rows of what is in use
        bold.setWeight(QFont.Weight.DemiBold)
        metrics = QFontMetrics(bold)
        for column, sample in enumerate(samples):
            if sample:
                self.setColumnWidth(column, metrics.horizontalAdvance(sample) + 20)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out data, then parent, then boxes where the name would have no room."""
        super().resizeEvent(event)
        for column in (CheckpointColumn.DATA, CheckpointColumn.PARENT, CheckpointColumn.HIT50):
            self.setColumnHidden(column, False)
        left = self.viewport().width() - self.fontMetrics().averageCharWidth() * 18
        left -= sum(self.columnWidth(c) for c in CheckpointColumn if c != CheckpointColumn.NAME)
        for column in (CheckpointColumn.DATA, CheckpointColumn.PARENT, CheckpointColumn.HIT50):
            if left < 0:
                left += self.columnWidth(column)
                self.setColumnHidden(column, True)

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        super().currentChanged(current, previous)
        if current.isValid() and current.row() != previous.row():
            self.entry_chosen.emit(self._entries.entries[current.row()])
