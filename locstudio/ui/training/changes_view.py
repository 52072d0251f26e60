"""What changed from the old model to the new one: the gate, the kinds, and the worklist that is done by keys."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.services.changes import KINDS, Choice, Kind
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.plain_text import label, shown
from locstudio.ui.training.change_detail import ChangeDetail
from locstudio.ui.training.change_words import MEANINGS, ChangeItem, kind_sign, kind_word
from locstudio.ui.training.changes_model import ChangesModel
from locstudio.ui.training.changes_table import ChangesTable
from locstudio.ui.training.class_gains import ClassGain
from locstudio.ui.training.gains_table import GainsTable
from locstudio.ui.training.gate_card import GateCard, ShownGate

_NOTHING = (
    "Nothing to compare yet.\n\n"
    "After a training the new model is compared with the one in use. What it gets right that the old one did not, "
    "and what it broke, is listed here."
)

_SIDE = 96  # px of room beside a sentence that stands alone


_GAINS_WIDTH = 760  # px: wider, and a class is far from its numbers


class ChangesView(QWidget):
    """Shows one comparison at a time.

    Signals:
        choice_made: a ``ChangeItem`` and "old" or "new".
        place_wanted: a ``ChangeItem`` to open in its image.
        activate_wanted: take the new model into use; True if against the gate.
        keep_wanted: the old model stays.
        experts_wanted: a person wants to see which image went to which expert.
        compare_wanted: compare the model of the run in front with the one in use.
    """

    choice_made = Signal(object, str)
    place_wanted = Signal(object)
    activate_wanted = Signal(bool)
    keep_wanted = Signal()
    experts_wanted = Signal()
    compare_wanted = Signal()

    def __init__(
        self, crops: PictureLoader, large_crops: PictureLoader | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.model = ChangesModel(self)
        self.table = ChangesTable(self.model, crops, self)
        self.detail = ChangeDetail(large_crops or crops, self, has_own_crops=large_crops is not None)
        self.gate = GateCard(self)
        self._chips: dict[Kind, QToolButton] = {}
        self._num_left_out = 0
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self._make_nothing())
        self._pages.addWidget(self._make_body())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._pages)
        self._connect()
        self.clear()

    def _make_nothing(self) -> QWidget:
        self._nothing = label(_NOTHING, "muted")
        self._nothing.setWordWrap(True)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._nothing.setContentsMargins(_SIDE, 0, _SIDE, 0)
        self._compare = QPushButton("Compare with the model in use", self)
        self._compare.clicked.connect(self.compare_wanted)
        self._busy = QProgressBar(self)
        self._busy.setRange(0, 0)
        self._busy.setFixedWidth(220)
        self._busy.setAccessibleName("Comparing")
        page = QWidget(self)
        column = QVBoxLayout(page)
        column.setSpacing(14)
        column.addStretch(2)
        column.addWidget(self._nothing)
        for widget in (self._busy, self._compare):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        return page

    def _make_body(self) -> QWidget:
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        card = QVBoxLayout()
        card.setContentsMargins(12, 8, 12, 4)
        card.addWidget(self.gate)
        column.addLayout(card)
        column.addLayout(self._make_filters())
        split = QSplitter(Qt.Orientation.Horizontal, self)
        split.setChildrenCollapsible(False)
        split.setHandleWidth(3)
        split.addWidget(self._make_list())
        split.addWidget(self.detail)
        self.detail.setMinimumWidth(280)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setSizes([620, 380])
        column.addWidget(split, 1)
        return body

    def _make_list(self) -> QWidget:
        self._none = label("", "muted")
        self._none.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._none.setWordWrap(True)
        self._list = QStackedWidget(self)
        self._list.addWidget(self.table)
        self._list.addWidget(self._none)
        self.gains = GainsTable(self)
        self.gains.setMaximumWidth(_GAINS_WIDTH)
        self._gains_page = QWidget(self)
        page = QVBoxLayout(self._gains_page)
        page.setContentsMargins(12, 0, 12, 8)
        page.addWidget(self._make_moved())
        row = QHBoxLayout()
        row.addWidget(self.gains, 1)
        row.addStretch()
        page.addLayout(row, 1)
        self._list.addWidget(self._gains_page)
        self._list.setMinimumWidth(340)
        return self._list

    def _make_moved(self) -> QWidget:
        self._moved_bar = QWidget(self)
        self._moved_bar.setMaximumWidth(_GAINS_WIDTH)
        self._moved = label("", "", self._moved_bar)
        self._moved.setWordWrap(True)
        button = QPushButton("Show experts", self._moved_bar)
        button.setToolTip("See which image went to which expert, and which moved")
        button.clicked.connect(self.experts_wanted)
        row = QHBoxLayout(self._moved_bar)
        row.setContentsMargins(0, 0, 0, 4)
        row.addWidget(self._moved, 1)
        row.addWidget(button)
        return self._moved_bar

    def _make_filters(self) -> QHBoxLayout:
        chips = QWidget(self)
        flow = FlowLayout(chips, spacing=4)
        for kind in KINDS:
            chip = QToolButton(chips)
            chip.setCheckable(True)
            chip.setProperty("role", "chip")
            chip.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            chip.setToolTip(f"{MEANINGS[kind]}. Click to show only these.")
            flow.addWidget(chip)
            self._chips[kind] = chip
        self._held_out = QCheckBox("Held-out only", self)
        self._held_out.setToolTip("Only images that neither model has learnt from")
        self._open_only = QCheckBox("Open only", self)
        self._open_only.setToolTip("Leave out what you have already chosen")
        self._progress: QLabel = label("", "muted")
        row = QHBoxLayout()
        row.setContentsMargins(12, 4, 12, 6)
        row.setSpacing(10)
        row.addWidget(chips, 1)
        row.addWidget(self._progress)
        row.addWidget(self._open_only)
        row.addWidget(self._held_out)
        return row

    def _connect(self) -> None:
        for chip in self._chips.values():
            chip.toggled.connect(lambda _: self._filter())
        self._held_out.toggled.connect(lambda _: self._filter())
        self._open_only.toggled.connect(lambda _: self._filter())
        self.table.item_shown.connect(self.detail.set_item)
        self.table.choice_made.connect(self.choice_made)
        self.table.opened.connect(self.place_wanted)
        self.detail.choice_made.connect(self.table.choose)
        self.detail.skipped.connect(lambda: self.table.step(1))
        self.detail.open_wanted.connect(self._open_current)
        self.gate.activate_wanted.connect(self.activate_wanted)
        self.gate.keep_wanted.connect(self.keep_wanted)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys of the worklist that a chip or a button has no use for."""
        if Qt.Key(event.key()) in (Qt.Key.Key_K, Qt.Key.Key_N, Qt.Key.Key_Backspace) and self.model.rowCount():
            self.table.setFocus()
            self.table.keyPressEvent(event)
        else:
            super().keyPressEvent(event)

    # what is shown ----------------------------------------------------------------------------------------------

    def clear(self, sentence: str = "", *, can_compare: bool = False, is_busy: bool = False) -> None:
        """Say in place of a comparison why there is none; offer to make one, or show that it is being made."""
        self._nothing.setText(shown(sentence) if sentence else _NOTHING)
        self._compare.setVisible(can_compare)
        self._busy.setVisible(is_busy)
        self._pages.setCurrentIndex(0)
        self.gains.set_gains(())
        self.model.set_changes(())

    def show_changes(
        self,
        items: Sequence[ChangeItem],
        gate: ShownGate | None,
        num_left_out: int = 0,
        *,
        gains: Sequence[ClassGain] = (),
        moved: str = "",
    ) -> None:
        """Show the changes between two models, and whether the new one may be activated.

        ``num_left_out`` smaller ones are not among them.  Of models of classes ``gains`` are shown instead, and
        ``moved`` says how many images went to another expert.
        """
        self._num_left_out = num_left_out
        self.gains.set_gains(gains)
        self._moved.setText(shown(moved))
        self._moved_bar.setVisible(bool(moved))
        self.gate.set_gate(gate)
        self.model.set_changes(items)
        self._pages.setCurrentIndex(1)
        self._after_reset()

    def set_gate(self, gate: ShownGate | None) -> None:
        """Show the gate anew, as after a model was activated."""
        self.gate.set_gate(gate)

    def set_choices(self, choices: dict[str, Choice | None]) -> None:
        """Note what was chosen, or taken back."""
        self.model.set_choices(choices)
        self._say_progress()
        self.detail.set_item(self.table.current_item)

    def go_to(self, key: str) -> None:
        """Make a change the current one, if the filter shows it: an undone choice is seen where it was made."""
        row = self.model.row_of(key)
        if row is not None:
            self.table.go_to(row)

    def focus_list(self) -> None:
        """Give the keys to the worklist."""
        self.table.setFocus()

    @property
    def progress(self) -> str:
        """How far the worklist is."""
        return self._progress.text()

    def _filter(self) -> None:
        kinds = [kind for kind, chip in self._chips.items() if chip.isChecked()]
        self.model.set_filter(
            kinds, is_held_out_only=self._held_out.isChecked(), is_open_only=self._open_only.isChecked()
        )
        self._after_reset()

    def _after_reset(self) -> None:
        counts = self.model.counts()
        for kind, chip in self._chips.items():
            chip.setText(f"{kind_sign(kind)} {kind_word(kind)} {counts[kind]:,}")
            chip.setVisible(bool(counts[kind]) or chip.isChecked())
        self._say_progress()
        self.detail.setVisible(self.model.rowCount() > 0)
        for box in (self._open_only, self._held_out):
            box.setVisible(self.model.num_all > 0)
        if self.model.rowCount():
            self._list.setCurrentWidget(self.table)
            first = self.model.next_open(-1)
            self.table.go_to(0 if first is None else first)
        elif self.gains.num_gains:
            self._list.setCurrentWidget(self._gains_page)
            self.detail.set_item(None)
        else:
            self._none.setText(
                "Nothing passes this filter." if self.model.num_all else "The two models agree on everything."
            )
            self._list.setCurrentWidget(self._none)
            self.detail.set_item(None)

    def _say_progress(self) -> None:
        said = f"{self.model.num_chosen:,} of {self.model.num_all:,} chosen" if self.model.num_all else ""
        self._progress.setText(f"{said}, {self._num_left_out:,} smaller left out" if self._num_left_out else said)

    def _open_current(self) -> None:
        if self.table.current_item is not None:
            self.place_wanted.emit(self.table.current_item)
