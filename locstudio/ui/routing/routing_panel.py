"""The panel of experts: who took the open image and how surely, what was predicted, and what others would have said."""

from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from locstudio.services.routing.found import FoundRouting
from locstudio.services.routing.runs import RoutingRun
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.plain_text import action_text, label, shown
from locstudio.ui.routing import routing_panel_words as words
from locstudio.ui.routing.routing_panel_bars import ExpertBars, ExpertRow, GroupRow
from locstudio.ui.routing.routing_panel_classes import MAX_ROWS, MIN_ROWS, ClassBars, compared
from locstudio.ui.routing.routing_panel_reading import ReadRouting

_LEGEND = "✓ took it   ○ computed too   ◇ expert of its class"
_HIGH = 800
_ASK = "Choose another expert to see what it would have said."


class RoutingPanel(QFrame):
    """Shows what it is given.

    Signals:
        run_chosen: identity of a run, "" for whichever is newest.
        expert_chosen: an expert that is asked about.
        gallery_wanted: an expert whose images are to be seen on the page of experts.
        filter_wanted: an expert whose images alone the collection is to show.
        train_wanted: train experts.
        route_wanted: ask the model in use about every image of the collection.
    """

    run_chosen = Signal(str)
    expert_chosen = Signal(int)
    gallery_wanted = Signal(int)
    filter_wanted = Signal(int)
    train_wanted = Signal()
    route_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._told: tuple[tuple[RoutingRun, ...], str, str] | None = None
        self._read: ReadRouting | None = None
        self._asked, self._is_chosen = 0, False
        self.runs = QComboBox(self)
        self.runs.setAccessibleName("Run whose routing is shown")
        self.runs.setMinimumContentsLength(12)
        self.runs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.runs.activated.connect(lambda place: self.run_chosen.emit(str(self.runs.itemData(place))))
        self._note = _wrapped("muted")
        self._title = _wrapped("heading")
        self._verdict, self._truth = _wrapped(), _wrapped()
        self.experts = ExpertBars(self)
        self.experts.expert_chosen.connect(self._on_chosen)
        self.experts.expert_opened.connect(self._on_opened)
        self._legend = _wrapped("muted")
        self._prediction = label("Prediction", "section", self)
        self._what_if = _wrapped("muted")
        self.classes = ClassBars(self)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self._make_full())
        self._stack.addWidget(self._make_empty())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._stack, 1)
        self._order_keys()
        self.show_nothing("")

    def _order_keys(self) -> None:
        """Tab goes from top to bottom; in the order in which they were made it left out the runs and the buttons."""
        parts = (self.runs, self.experts, self.classes, self._gallery, self._filter, self._route, self._train)
        for one, other in pairwise((*parts, self._empty_train)):
            self.setTabOrder(one, other)

    def _make_full(self) -> QWidget:
        page = QWidget(self)
        top = QVBoxLayout()
        top.setContentsMargins(10, 8, 10, 4)
        top.setSpacing(4)
        top.addWidget(self.runs)
        for said in (self._note, self._title, self._verdict, self._truth):
            top.addWidget(said)
        below = QVBoxLayout()
        below.setContentsMargins(10, 4, 10, 4)
        below.setSpacing(4)
        line = QFrame(page)
        line.setProperty("role", "line")
        below.addWidget(self._legend)
        below.addWidget(line)
        below.addWidget(self._prediction)
        below.addWidget(self._what_if)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self.experts, 1)
        column.addLayout(below)
        column.addWidget(self.classes)
        column.addWidget(self._make_foot())
        return page

    def _make_foot(self) -> QWidget:
        foot = QFrame(self)
        foot.setProperty("role", "foot")
        self._gallery = _flat("Its images", "Show the images of this expert on the page of experts (Enter)")
        self._gallery.clicked.connect(lambda: self.gallery_wanted.emit(self._asked))
        self._filter = _flat("Only these", "Show only the images of this expert in the collection")
        self._filter.clicked.connect(lambda: self.filter_wanted.emit(self._asked))
        self._route = _flat("Route the collection…", "Ask the model about every image, to sort and filter by experts")
        self._route.clicked.connect(self.route_wanted)
        self._train = _flat("Train experts…", "Train experts on the classes of this project")
        self._train.clicked.connect(self.train_wanted)
        row = FlowLayout()
        for button in (self._gallery, self._filter, self._route, self._train):
            row.addWidget(button)
        column = QVBoxLayout(foot)
        column.setContentsMargins(4, 2, 4, 2)
        column.addLayout(row)
        return foot

    def _make_empty(self) -> QWidget:
        page = QWidget(self)
        self._empty = _wrapped("muted")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._empty_train = QPushButton("Train experts…", page)
        self._empty_train.clicked.connect(self.train_wanted)
        column = QVBoxLayout(page)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(12)
        column.addStretch(1)
        column.addWidget(self._empty)
        column.addWidget(self._empty_train, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(2)
        return page

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A high panel has room for more classes."""
        super().resizeEvent(event)
        self.classes.set_num_rows(MAX_ROWS if event.size().height() > _HIGH else MIN_ROWS)

    # What is shown

    @property
    def asked(self) -> int:
        """The expert that is asked about, counted from 0."""
        return self._asked

    def show_nothing(self, sentence: str, *, can_train: bool = False) -> None:
        """Show one sentence in place of experts, and whether training is what helps."""
        self._read = None
        self._empty.setText(sentence)
        self._empty_train.setVisible(can_train)
        self._stack.setCurrentIndex(1)

    def show_read(self, read: ReadRouting) -> None:
        """Show the routing of an image; without one, why there is none."""
        found = read.found
        self._set_runs(read)
        if found is None or not found.experts_R:
            self.show_nothing(words.why_none(read), can_train=read.model is None and not read.problem)
            return
        is_other_image = self._read is None or self._read.image.id != read.image.id
        self._read = read
        if is_other_image or not self._is_chosen or self._asked >= len(found.expert_names):
            self._asked, self._is_chosen = found.expert, False
        self._say(found, read)
        self._show_experts(found, read)
        self._show_classes(found, read)
        self._show_foot(read)
        self._stack.setCurrentIndex(0)

    def _say(self, found: FoundRouting, read: ReadRouting) -> None:
        note, is_warning = words.note_of(read)
        _say(self._note, note, "danger" if is_warning else "muted")
        self._title.setText(f"Expert {shown(found.expert_names[found.expert], 80)}")
        self._verdict.setText(words.verdict(found))
        truth, is_mismatch = words.truth_words(found, read.truth)
        _say(self._truth, truth, "danger" if is_mismatch else "muted")

    def _show_experts(self, found: FoundRouting, read: ReadRouting) -> None:
        current = self.experts.current
        router = current.router if current is not None and current.router < len(found.probabilities_RE) else 0
        self.experts.set_rows(expert_rows(found, read.truth), (router, self._asked))
        self._legend.setText(_LEGEND if any(len(each) > 1 for each in found.experts_R) else _legend_of_one(found, read))

    def _show_classes(self, found: FoundRouting, read: ReadRouting) -> None:
        is_other = self._asked != found.expert
        if is_other and found.what_if_E:
            self.classes.set_rows(compared(found.classes, found.what_if_E[self._asked], read.truth))
            self._prediction.setText(f"Prediction, and with expert {self._asked + 1}")
            self._what_if.setText(words.changed_words(found, self._asked))
            self._what_if.setProperty("role", "")
        else:
            self.classes.set_rows(compared(found.classes, None, read.truth))
            self._prediction.setText("Prediction")
            self._what_if.setText(words.why_no_what_if(read) or _ASK)
            self._what_if.setProperty("role", "muted")
        _repolish(self._what_if)

    def _show_foot(self, read: ReadRouting) -> None:
        has_table = read.run is not None
        is_own = read.model is None or read.model.is_of_run
        self._gallery.setVisible(has_table)
        self._filter.setVisible(has_table)
        self._route.setVisible(not read.is_in_table or read.is_stale)
        self._train.setVisible(not has_table and not is_own)
        number = f"expert {self._asked + 1}"
        self._gallery.setText(f"Images of {number}")
        self._gallery.setAccessibleName(f"Show the images of {number} on the page of experts")
        self._filter.setAccessibleName(f"Show only the images of {number} in the collection")

    def _set_runs(self, read: ReadRouting) -> None:
        """Offer the runs, newest first; without one, name the model that is asked."""
        fallback = read.model.info.name if read.model is not None else ""
        told = (read.runs, read.run.id if read.run is not None else "", fallback)
        if told == self._told:
            return  # a list that is open stays open
        self._told = told
        with QSignalBlocker(self.runs):
            self.runs.clear()
            for run in read.runs:
                self.runs.addItem(action_text(words.run_words(run)), run.id)
            if not read.runs:
                self.runs.addItem(action_text(fallback), "")
            self.runs.setCurrentIndex(max(self.runs.findData(told[1]), 0))
        self.runs.setEnabled(len(read.runs) > 1)

    # What a person does

    def _on_chosen(self, expert: int) -> None:
        self._asked, self._is_chosen = expert, True
        read = self._read
        if read is not None and read.found is not None:
            self._show_classes(read.found, read)
            self._show_foot(read)
        self.expert_chosen.emit(expert)

    def _on_opened(self, expert: int) -> None:
        if self._read is not None and self._read.run is not None:
            self.gallery_wanted.emit(expert)


def expert_rows(found: FoundRouting, truth: Sequence[str]) -> list[ExpertRow | GroupRow]:
    """The bars of each router under its title, experts in the order of their numbers."""
    homes = found.homes_of(truth)
    rows: list[ExpertRow | GroupRow] = []
    for router, (shares, chosen) in enumerate(zip(found.probabilities_RE, found.experts_R, strict=True)):
        rows.append(GroupRow(words.group_title(found, router), words.group_hint(found)))
        for expert, share in enumerate(shares):
            others = [other for number, other in enumerate(shares) if number != expert]
            rows.append(
                ExpertRow(
                    router=router,
                    expert=expert,
                    name=found.expert_names[expert],
                    share=share,
                    rank=chosen.index(expert) if expert in chosen else -1,
                    next_share=max(others, default=0.0),
                    is_home=expert in homes,
                )
            )
    return rows


def _legend_of_one(found: FoundRouting, read: ReadRouting) -> str:
    return "✓ took it   ◇ expert of its class" if found.homes_of(read.truth) else "✓ took it"


def _wrapped(role: str = "") -> QLabel:
    made = label("", role)
    made.setWordWrap(True)
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return made


def _flat(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setProperty("role", "flat")
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _say(target: QLabel, text: str, role: str) -> None:
    target.setText(text)
    target.setVisible(bool(text))
    target.setProperty("role", role)
    _repolish(target)


def _repolish(target: QLabel) -> None:
    target.style().unpolish(target)
    target.style().polish(target)
