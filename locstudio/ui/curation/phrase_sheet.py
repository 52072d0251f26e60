"""Phrases and what they mean: which class each is mapped to, and which of them mean the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QCompleter,
    QDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from locstudio.domain.regions import LabelClass
from locstudio.domain.text import counted
from locstudio.ui.curation.phrase_tables import PhraseTable, SynonymTable
from locstudio.ui.curation.phrases_model import PhraseLine, PhrasesModel
from locstudio.ui.curation.synonyms_model import SynonymGroup, SynonymsModel
from locstudio.ui.plain_text import label

_SIZE = QSize(920, 640)
_FILTER_PAUSE_MS = 120
_NUM_DIGITS = 9
_NO_SYNONYMS = "No two phrases are so alike that they may mean the same."
_SYNONYMS_HINT = (
    "Space ticks a phrase; ticked phrases become the one in bold. Enter makes another the one that is kept, "
    "G ticks the whole group."
)


@dataclass(frozen=True, slots=True)
class PhraseWishes:
    """What a person wants done, in one step.

    Attributes:
        classes: Phrases with the class they are mapped to, None for no class.
        merges: Phrases with the phrase they become.
    """

    classes: Mapping[str, int | None] = field(default_factory=dict)
    merges: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.classes or self.merges)

    def sentence(self) -> str:
        """What would happen, in words."""
        parts = [
            f"{counted(len(self.classes), 'phrase')} mapped anew" if self.classes else "",
            f"{counted(len(self.merges), 'phrase')} merged" if self.merges else "",
        ]
        said = ", ".join(part for part in parts if part)
        return f"{said}. Nothing is changed before you apply it." if said else ""


class PhraseSheet(QDialog):
    """Shows phrases and groups of synonyms, lets a person choose, and emits one wish.

    Signals:
        apply_wanted: the ``PhraseWishes``; the sheet closes itself.
        phrase_shown: a phrase whose regions a person wants to see; the sheet stays.
    """

    apply_wanted = Signal(object)
    phrase_shown = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Phrases")
        self.setAccessibleName("Phrases and classes")
        self._classes: tuple[LabelClass, ...] = ()
        self.phrases = PhrasesModel(self)
        self.synonyms = SynonymsModel(self)
        self._title = label("", "muted", self)
        self._tabs = QTabWidget(self)
        self._tabs.setDocumentMode(True)
        self._tabs.setAccessibleName("Map or merge")
        self._tabs.addTab(self._make_map(), "Map to classes")
        self._tabs.addTab(self._make_merge(), "Merge synonyms")
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(8)
        column.addWidget(label("Phrases", "title", self))
        column.addWidget(self._title)
        column.addWidget(self._tabs, 1)
        column.addLayout(self._make_buttons())
        self.resize(_SIZE)
        for model in (self.phrases, self.synonyms):
            model.dataChanged.connect(self._say)
            model.modelReset.connect(self._say)
        self._say()

    # building ---------------------------------------------------------------------------------------------------

    def _make_map(self) -> QWidget:
        page = QWidget(self)
        self.words = QLineEdit(page)
        self.words.setPlaceholderText("Filter by words")
        self.words.setAccessibleName("Filter phrases by words")
        self.words.setClearButtonEnabled(True)
        self.unmapped = QCheckBox("Without a class only", page)
        self._pause = QTimer(self, interval=_FILTER_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._filter)
        self.words.textChanged.connect(lambda _: self._pause.start())
        self.unmapped.toggled.connect(lambda _: self._filter())
        self.table = PhraseTable(self.phrases, page)
        self.table.digit_pressed.connect(self._on_digit)
        self.table.class_wanted.connect(self._focus_class)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._say_selected())
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(self.words, 1)
        top.addWidget(self.unmapped)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 10, 0, 4)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(self.table, 1)
        column.addLayout(self._make_class_row(page))
        return page

    def _make_class_row(self, page: QWidget) -> QHBoxLayout:
        self._selected = label("", "muted", page)
        self.class_line = QLineEdit(page)
        self.class_line.setPlaceholderText("Class")
        self.class_line.setAccessibleName("Class for the selected phrases")
        self.class_line.setFixedWidth(220)
        self.class_line.returnPressed.connect(self._on_class_entered)
        self.class_line.textChanged.connect(lambda _: self._say_selected())
        self._map = QPushButton("Map", page)
        self._map.setToolTip("Map the selected phrases to this class (Enter)")
        self._map.setAutoDefault(False)
        self._map.clicked.connect(self._on_class_entered)
        self._unmap = QPushButton("No class", page)
        self._unmap.setToolTip("Take the class away from the selected phrases (Delete)")
        self._unmap.setAutoDefault(False)
        self._unmap.clicked.connect(lambda: self.choose(None))
        self.table.unmap_wanted.connect(lambda: self.choose(None))
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._selected, 1)
        row.addWidget(self.class_line)
        row.addWidget(self._map)
        row.addWidget(self._unmap)
        return row

    def _make_merge(self) -> QWidget:
        page = QWidget(self)
        self.synonym_table = SynonymTable(self.synonyms, page)
        self._merge_hint = label(_NO_SYNONYMS, "muted", page)
        self._merge_hint.setWordWrap(True)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 10, 0, 4)
        column.setSpacing(8)
        column.addWidget(self.synonym_table, 1)
        column.addWidget(self._merge_hint)
        return page

    def _make_buttons(self) -> QHBoxLayout:
        self._count = label("", "muted", self)
        cancel = QPushButton("Cancel", self)
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        self._apply = QPushButton("Apply", self)
        self._apply.setProperty("role", "primary")
        self._apply.setAutoDefault(False)  # Enter belongs to the line and the table; Ctrl+Enter applies
        self._apply.setToolTip("One step, which Ctrl+Z takes back (Ctrl+Enter)")
        self._apply.clicked.connect(self._on_apply)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._count, 1)
        row.addWidget(cancel)
        row.addWidget(self._apply)
        return row

    # what is shown ----------------------------------------------------------------------------------------------

    def show_phrases(
        self, lines: Sequence[PhraseLine], classes: Sequence[LabelClass], groups: Sequence[SynonymGroup]
    ) -> None:
        """Show the phrases of the pool, and those that may mean the same."""
        self._classes = tuple(known for known in classes if not known.is_retired)
        names = [known.name for known in self._classes]
        completer = QCompleter(names, self.class_line)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        popup = completer.popup()
        assert popup is not None
        popup.setAccessibleName("Classes")
        popup.setProperty("role", "popup")
        completer.activated.connect(self._on_completed)
        self.class_line.setCompleter(completer)
        self.phrases.set_lines(lines, classes)
        self.synonyms.set_groups(groups)
        self._tabs.setTabText(1, f"Merge synonyms {len(groups):,}" if groups else "Merge synonyms")
        self._merge_hint.setText(_SYNONYMS_HINT if groups else _NO_SYNONYMS)
        self.table.go_to(0)
        self.synonym_table.go_to(0)
        self.table.setFocus()

    @property
    def wishes(self) -> PhraseWishes:
        """What the person has chosen so far."""
        return PhraseWishes(dict(self.phrases.chosen), dict(self.synonyms.merges()))

    @property
    def sentence(self) -> str:
        """What the sheet says would happen."""
        return self._count.text()

    def show_merge(self) -> None:
        """Bring the synonyms to the front."""
        self._tabs.setCurrentIndex(1)
        self.synonym_table.setFocus()

    def choose(self, class_id: int | None) -> None:
        """Map the selected phrases to a class, or to none."""
        self.phrases.choose(self.table.selected_phrases, class_id)

    def _filter(self) -> None:
        self.phrases.set_filter(self.words.text(), is_unmapped_only=self.unmapped.isChecked())
        self.table.go_to(0)

    def _say(self) -> None:
        total, mapped = self.phrases.num_all, self.phrases.num_mapped
        said = f"{counted(total, 'phrase')}, {mapped:,} mapped to a class."
        self._title.setText(said if total else "No phrases yet: propose on some images first.")
        wishes = self.wishes
        self._count.setText(wishes.sentence())
        self._apply.setEnabled(bool(wishes))
        self._say_selected()

    def _say_selected(self) -> None:
        num = len(self.table.selected_phrases)
        digits = min(len(self._classes), _NUM_DIGITS)
        hint = f"; 1–{digits} map to the first classes" if digits > 1 else ""
        self._selected.setText(f"{counted(num, 'phrase')} selected{hint}" if num else "Select phrases to map them")
        self._map.setEnabled(num > 0 and self._class_written() is not None)
        self._unmap.setEnabled(num > 0)

    def _class_written(self) -> LabelClass | None:
        """The class whose name is in the line."""
        text = self.class_line.text().strip().casefold()
        return next((known for known in self._classes if known.name.casefold() == text), None)

    # wishes -----------------------------------------------------------------------------------------------------

    def _focus_class(self) -> None:
        self.class_line.setFocus()
        self.class_line.selectAll()

    def _on_digit(self, digit: int) -> None:
        if digit <= min(len(self._classes), _NUM_DIGITS):
            self.choose(self._classes[digit - 1].id)

    def _on_completed(self, name: str) -> None:
        self.class_line.setText(name)
        self._on_class_entered()

    def _on_class_entered(self) -> None:
        known = self._class_written()
        if known is None:  # what was begun, completed
            completer = self.class_line.completer()
            completer.setCompletionPrefix(self.class_line.text().strip())
            name = completer.currentCompletion() if self.class_line.text().strip() else ""
            known = next((each for each in self._classes if name and each.name == name), None)
        if known is not None:
            self.class_line.setText(known.name)
            self.choose(known.id)
            self.table.setFocus()

    def _on_apply(self) -> None:
        wishes = self.wishes
        if wishes:
            self.accept()
            self.apply_wanted.emit(wishes)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter applies; a lone Enter belongs to the table and the line."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self._on_apply()
            return
        super().keyPressEvent(event)
