"""Where a region comes from: the words of its caption, what found it, and every edit of a person since."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListView,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from locstudio.ui import theme
from locstudio.ui.curation.caption_view import CaptionView, PhraseAt
from locstudio.ui.plain_text import label, shown, tip

AnyIndex = QModelIndex | QPersistentModelIndex

_NOTHING = "Select a region to see where it comes from."
_NO_CAPTION = "No caption: nobody read this phrase from a sentence."
_ROW = 40
_MAX_ROWS = 6


@dataclass(frozen=True, slots=True)
class Step:
    """One edit of a region: when, in words, and what it changed."""

    when: str
    what: str


@dataclass(frozen=True, slots=True)
class ShownProvenance:
    """Where one region comes from.

    Attributes:
        name: Its phrase, else its class.
        origin: Who made it, in a word: "Proposed, then edited".
        image_id: Its image.
        caption_id: The caption it was read from, in the dataset; 0 where it has none, or one that only its run knows.
        caption: The caption's text; empty for none.
        phrases: Phrases of the caption that have boxes.
        facts: What is known beside, as names and values: detector, score, run.
        steps: Each edit that touched it, newest first.
        can_edit: Whether the caption can be changed.
    """

    name: str
    origin: str
    image_id: int
    caption_id: int = 0
    caption: str = ""
    phrases: tuple[PhraseAt, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    steps: tuple[Step, ...] = field(default=())
    can_edit: bool = True


class StepsModel(QAbstractListModel):
    """The edits of a region, newest first."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._steps: tuple[Step, ...] = ()

    def set_steps(self, steps: Sequence[Step]) -> None:
        """Show these."""
        self.beginResetModel()
        self._steps = tuple(steps)
        self.endResetModel()

    def step(self, row: int) -> Step:
        """The edit in a row."""
        return self._steps[row]

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        return 0 if parent.isValid() else len(self._steps)

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or not 0 <= index.row() < len(self._steps):
            return None
        step = self._steps[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(step.what)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(f"{step.what} · {step.when}")
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{shown(step.what)}, {step.when}"
        return None


class _StepDelegate(QStyledItemDelegate):
    """What was done, above when."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        look = theme.current()
        model = index.model()
        assert isinstance(model, StepsModel)
        step, rect = model.step(index.row()), option.rect
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(look.selection))
        line = rect.left() + 6
        painter.fillRect(QRect(line, rect.top(), 1, rect.height()), QColor(look.border))
        painter.setBrush(QColor(look.accent if index.row() == 0 else look.muted))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.drawEllipse(QRect(line - 3, rect.top() + 8, 7, 7))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        words = rect.adjusted(20, 2, -4, -2)
        for text, ink, top in ((step.what, look.text, 0), (step.when, look.muted, words.height() // 2)):
            painter.setPen(QColor(ink))
            cut = painter.fontMetrics().elidedText(shown(text), Qt.TextElideMode.ElideRight, words.width())
            place = QRect(words.left(), words.top() + top, words.width(), words.height() // 2)
            painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), cut)

    def sizeHint(self, _option: QStyleOptionViewItem, _index: AnyIndex) -> QSize:
        return QSize(120, _ROW)


class ProvenancePanel(QFrame):
    """Shows one region's origin at a time.

    Signals:
        item_wanted: the key of another box of the same caption, to be selected.
        caption_saved: identity of the caption in the dataset and its new text.
    """

    item_wanted = Signal(str)
    caption_saved = Signal(int, str)

    def __init__(self, parent: QWidget | None = None, *, has_name: bool = True) -> None:
        """``has_name``: say which region it is; beside a pane that says so, nobody needs to read it twice."""
        super().__init__(parent)
        self._has_name = has_name
        self.setAccessibleName("Where the region comes from")
        self._shown: ShownProvenance | None = None
        self._hint = label(_NOTHING, "muted", self)
        self._hint.setWordWrap(True)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint.setContentsMargins(24, 24, 24, 48)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self._hint)
        self._pages.addWidget(self._make_body())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._pages)

    # building ---------------------------------------------------------------------------------------------------

    def _make_body(self) -> QWidget:
        body = QWidget(self)
        column = QVBoxLayout(body)
        side = 12 if self._has_name else 0  # a pane around it has its own margins
        column.setContentsMargins(side, 12 if self._has_name else 4, max(side, 6), 12)
        column.setSpacing(6)
        self._name = label("", "heading", body)
        self._origin = label("", "muted", body)
        for words in (self._name, self._origin):
            words.setWordWrap(True)
            words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            column.addWidget(words)
        column.addLayout(self._make_caption(body))
        self._facts_title = label("Made by", "section", body)
        column.addSpacing(8)
        column.addWidget(self._facts_title)
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(12)
        self._facts.setVerticalSpacing(4)
        self._facts.setColumnStretch(1, 1)
        column.addLayout(self._facts)
        column.addSpacing(8)
        self._steps_title = label("History", "section", body)
        column.addWidget(self._steps_title)
        self._steps = StepsModel(self)
        self._list = QListView(body)
        self._list.setModel(self._steps)
        self._list.setItemDelegate(_StepDelegate(self._list))
        self._list.setUniformItemSizes(True)
        self._list.setFrameShape(QFrame.Shape.NoFrame)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setAccessibleName("History of the region")
        column.addWidget(self._list)
        self._no_steps = label("Nobody has touched it yet.", "muted", body)
        column.addWidget(self._no_steps)
        column.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidget(body)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setAccessibleName("Origin")
        return scroll

    def _make_caption(self, body: QWidget) -> QVBoxLayout:
        self.caption = CaptionView(body)
        self.caption.phrase_chosen.connect(self.item_wanted)
        self.caption.saved.connect(self._on_saved)
        self.caption.editing_changed.connect(self._on_editing_changed)
        self._edit = QPushButton("Edit", body)
        self._edit.setProperty("role", "flat")
        self._edit.setAccessibleName("Edit the caption")
        self._edit.setToolTip("Edit the caption (F2 in it, or a double click)")
        self._edit.clicked.connect(self.caption.edit)
        self._save = QPushButton("Save and propose again", body)
        self._save.setProperty("role", "primary")
        self._save.setToolTip("Save the caption; only phrases and boxes of this image are made anew (Ctrl+Enter)")
        self._save.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # else the caption would lose the focus, and so save itself
        self._save.clicked.connect(self.caption.save)
        self._cancel = QPushButton("Cancel", body)
        self._cancel.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._cancel.setToolTip("Forget what was typed (Esc)")
        self._cancel.clicked.connect(self.caption.cancel)
        head = QHBoxLayout()
        head.addWidget(label("Caption", "section", body), 1)
        head.addWidget(self._edit)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self._cancel)
        buttons.addWidget(self._save)
        self._no_caption = label(_NO_CAPTION, "muted", body)
        self._no_caption.setWordWrap(True)
        column = QVBoxLayout()
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.caption)
        column.addWidget(self._no_caption)
        column.addLayout(buttons)
        self._on_editing_changed(False)
        return column

    # what is shown ----------------------------------------------------------------------------------------------

    @property
    def shown_now(self) -> ShownProvenance | None:
        """What is on the screen."""
        return self._shown

    @property
    def is_editing(self) -> bool:
        """Whether the caption is being edited; then nothing else should be shown in its place."""
        return self.caption.is_editing

    def clear(self, sentence: str = "") -> None:
        """Show that no region is chosen, or why there is nothing to say."""
        self._shown = None
        self._hint.setText(shown(sentence) if sentence else _NOTHING)
        self._pages.setCurrentIndex(0)

    def show_provenance(self, provenance: ShownProvenance) -> None:
        """Show where a region comes from."""
        self._shown = provenance
        self._name.setText(shown(provenance.name) or "No phrase")
        self._name.setVisible(self._has_name)
        self._origin.setText(shown(provenance.origin))
        has_caption = bool(provenance.caption)
        self.caption.setVisible(has_caption)
        self.caption.set_caption(provenance.caption, provenance.phrases)
        self._no_caption.setVisible(not has_caption)
        self._edit.setVisible(has_caption and provenance.can_edit)
        self._show_facts(provenance.facts)
        self._steps.set_steps(provenance.steps)
        self._list.setVisible(bool(provenance.steps))
        self._list.setFixedHeight(_ROW * min(len(provenance.steps), _MAX_ROWS) + 2)
        self._no_steps.setVisible(not provenance.steps)
        self._pages.setCurrentIndex(1)

    def fact(self, name: str) -> str:
        """What the panel says under a name; empty where it does not say it."""
        return dict(self._shown.facts).get(name, "") if self._shown else ""

    def _show_facts(self, facts: Sequence[tuple[str, str]]) -> None:
        while self._facts.count():
            item = self._facts.takeAt(0)
            widget = item.widget() if item else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for row, (name, value) in enumerate(facts):
            words: QLabel = label(shown(value), "", self)
            words.setWordWrap(True)
            words.setToolTip(tip(value))
            words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            self._facts.addWidget(label(name, "muted", self), row, 0, Qt.AlignmentFlag.AlignTop)
            self._facts.addWidget(words, row, 1)
        self._facts_title.setVisible(bool(facts))

    def _on_editing_changed(self, is_editing: bool) -> None:
        self._save.setVisible(is_editing)
        self._cancel.setVisible(is_editing)
        self._edit.setEnabled(not is_editing)

    def _on_saved(self, text: str) -> None:
        if self._shown is not None:
            self.caption_saved.emit(self._shown.caption_id, text)
