"""What is above the gallery: words, one chip for every kind of condition, the order, and how many items are shown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from locstudio.domain.regions import LabelClass, Origin, Review
from locstudio.services.curation.geometry import Rule
from locstudio.services.curation.view import Order, Wish
from locstudio.services.routing.wishes import SMALL_MARGIN, RoutingCounts, RoutingWish
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.gallery.choice_chip import ChoiceChip
from locstudio.ui.gallery.filter_bar import MISMATCH, ORIGIN_WORDS, REVIEW_WORDS, ROUTING_WORDS, UNSURE
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label

_TYPING_PAUSE_MS = 200

ORDER_WORDS = {
    Order.VALUE: "Value",
    Order.SCORE: "Score",
    Order.SIZE: "Size",
    Order.TIME: "Time",
    Order.OUTLIER: "Outlier",
    Order.LIKENESS: "Likeness",
    Order.DISAGREEMENT: "Disagreement",
    Order.HEAT: "Heat",
    Order.MARGIN: "Margin",
    Order.MISMATCH: "Expert mismatch",
    Order.ANOTHER: "Surely another class",
    Order.IMAGE: "Image",
}
ORDER_HINTS = {
    Order.VALUE: "What a decision teaches most, first",
    Order.SCORE: "How sure the model is",
    Order.SIZE: "How much of its image the box covers",
    Order.TIME: "When it came into the project",
    Order.OUTLIER: "What looks least like the others of its phrase, first",
    Order.LIKENESS: "What looks most like the pinned crop, first",
    Order.DISAGREEMENT: "Where the phrase fits the picture worse than another, first",
    Order.HEAT: "Where the heat of its class contradicts labels and boxes, first",
    Order.MARGIN: "Where the router was least sure which expert takes the image, first",
    Order.MISMATCH: "Images of another expert than that of their class, the surest first",
    Order.ANOTHER: "Images that the model with experts surely takes for another class, first",
    Order.IMAGE: "Image by image",
}
RULE_WORDS = {
    Rule.SLIVER: "Slivers",
    Rule.TINY: "Tiny",
    Rule.NESTED: "Nested",
    Rule.OUTSIDE: "Outside the image",
    Rule.DUPLICATE: "Duplicates",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items of the pool meet each condition."""

    reviews: Mapping[Review, int] = field(default_factory=dict)
    origins: Mapping[Origin, int] = field(default_factory=dict)
    classes: Mapping[int, int] = field(default_factory=dict)
    rules: Mapping[Rule, int] = field(default_factory=dict)


class FilterRow(QFrame):
    """Makes conditions and an order out of what a person ticks and types; the thresholds are not its own.

    Signals:
        wish_changed: a ``Wish`` with the new conditions; typing is announced after a short pause.
        tidy_wanted: make the view anew, without what has been decided.
    """

    wish_changed = Signal(object)
    tidy_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._wish = Wish()
        self._words = QLineEdit(self)
        self._words.setPlaceholderText("Filter by words")
        self._words.setAccessibleName("Filter items by words of their phrase")
        self._words.setClearButtonEnabled(True)
        self._words.setMinimumWidth(110)
        self._words.setMaximumWidth(220)
        lens = QAction(self._words)
        drawn.follow(lens, "filter")
        self._words.addAction(lens, QLineEdit.ActionPosition.LeadingPosition)
        self._pause = QTimer(self, interval=_TYPING_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._announce)
        self._words.textChanged.connect(lambda: self._pause.start())
        self._words.returnPressed.connect(self._announce)
        self._review = ChoiceChip("Review", self)
        self._origin = ChoiceChip("Origin", self)
        self._class = ChoiceChip("Class", self)
        self._rule = ChoiceChip("Geometry", self)
        self._expert = ChoiceChip("Expert", self)
        self._routing = ChoiceChip("Routing", self)
        self._chips = (self._review, self._origin, self._class, self._rule, self._expert, self._routing)
        chips = QWidget(self)
        flow = FlowLayout(chips)
        for chip in self._chips:
            chip.changed.connect(self._announce)
            flow.addWidget(chip)
        self._sort = self._make_sort()
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self._words, 1)
        top.addWidget(chips, 3)
        top.addWidget(self._sort)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 4)
        column.setSpacing(6)
        column.addLayout(top)
        column.addLayout(self._make_foot())
        self.set_routing(None)
        self.set_wish(self._wish)

    def _make_sort(self) -> QToolButton:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        group = QActionGroup(menu)
        self._orders: dict[Order, QAction] = {}
        for order, words in ORDER_WORDS.items():
            key = {Order.OUTLIER: "\tO", Order.LIKENESS: "\tM"}.get(order, "")
            action = menu.addAction(f"{words}{key}")
            action.setCheckable(True)
            action.setToolTip(ORDER_HINTS[order])
            action.triggered.connect(lambda _=False, chosen=order: self._set_order(chosen))
            group.addAction(action)
            self._orders[order] = action
        menu.addSeparator()
        self._reversed = menu.addAction("The other way round")
        self._reversed.setCheckable(True)
        self._reversed.triggered.connect(lambda is_on: self._change(replace(self._wish, is_descending=not is_on)))
        button = QToolButton(self)
        button.setProperty("role", "button")
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setMenu(menu)
        drawn.follow(button, "sort")
        return button

    def _make_foot(self) -> QHBoxLayout:
        self._count = label("", "heading", self)
        self._chosen = label("", "muted", self)
        self._tidy = QPushButton("Tidy", self)
        self._tidy.setProperty("role", "flat")
        self._tidy.setToolTip("Take what has been decided out of the view (F5)")
        self._tidy.setAccessibleName("Tidy: take what has been decided out of the view")
        self._tidy.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._tidy.clicked.connect(self.tidy_wanted)
        self._clear = QPushButton("Clear filter", self)
        self._clear.setProperty("role", "flat")
        self._clear.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._clear.clicked.connect(self.clear)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._count)
        foot.addWidget(self._chosen)
        foot.addStretch()
        foot.addWidget(self._clear)
        foot.addWidget(self._tidy)
        for button in (self._tidy, self._clear):
            button.hide()
        foot.addStrut(self._tidy.sizeHint().height())  # as high without them
        return foot

    # what is shown ----------------------------------------------------------------------------------------------

    @property
    def wish(self) -> Wish:
        """The conditions and the order as they were last announced or given."""
        return self._wish

    def set_wish(self, wish: Wish) -> None:
        """Show these conditions without announcing them."""
        self._wish = wish
        for chip, values in (
            (self._review, [review for review in Review if review in wish.reviews]),
            (self._origin, [origin for origin in Origin if origin in wish.origins]),
            (self._class, sorted(wish.class_ids)),
            (self._rule, [rule for rule in Rule if rule in wish.rules]),
            (self._expert, sorted(wish.routing.experts)),
            (self._routing, _doubts_of(wish.routing)),
        ):
            chip.clear()
            for value in values:
                chip.tick(value)
        with QSignalBlocker(self._words):
            self._words.setText(wish.words)
        self._show_order()
        self._clear.setVisible(self._is_narrowed())

    def set_counts(self, counts: Counts, classes: Iterable[LabelClass]) -> None:
        """Show how many items meet each condition; ticks stay as they are."""
        self._review.set_choices([(r, REVIEW_WORDS[r], counts.reviews.get(r, 0)) for r in Review])
        self._origin.set_choices([(o, ORIGIN_WORDS[o], counts.origins.get(o, 0)) for o in Origin])
        names = {entry.id: entry.name for entry in classes}
        counted = sorted(((n, names[key], key) for key, n in counts.classes.items() if key in names), reverse=True)
        self._class.set_choices([(key, name, n) for n, name, key in counted])
        self._rule.set_choices([(rule, RULE_WORDS[rule], counts.rules.get(rule, 0)) for rule in Rule])

    def set_routing(self, counts: RoutingCounts | None) -> None:
        """Show how many items are in images of each expert, and in images that look wrong; nothing without routing."""
        experts = zip(counts.names, counts.experts, strict=True) if counts is not None else ()
        self._expert.set_choices([(expert, f"Expert {name}", n) for expert, (name, n) in enumerate(experts)])
        found = {MISMATCH: counts.num_mismatched, UNSURE: counts.num_unsure} if counts is not None else {}
        self._routing.set_choices([(kind, words, found.get(kind, 0)) for kind, words in ROUTING_WORDS.items()])

    def set_num_shown(self, num_shown: int, num_all: int, num_done: int) -> None:
        """Say how many items are in the gallery, of how many, and offer to tidy where some are decided."""
        word = "item" if num_all == 1 else "items"
        text = f"{num_all:,} {word}" if num_shown == num_all else f"{num_shown:,} of {num_all:,} {word}"
        self._count.setText(text)
        self._tidy.setVisible(num_done > 0)
        self._tidy.setText(f"Tidy {num_done:,} decided" if num_done else "Tidy")

    def set_num_chosen(self, count: int) -> None:
        """Say how many items are selected, where it is more than the current one."""
        self._chosen.setText(f"{count:,} selected" if count > 1 else "")

    @property
    def count_words(self) -> str:
        """What is said of the number of items."""
        return self._count.text()

    @property
    def chosen_words(self) -> str:
        """What is said of the selection."""
        return self._chosen.text()

    def choices(self) -> Sequence[ChoiceChip]:
        """The chips: review, origin, class, geometry, expert, routing."""
        return self._chips

    # wishes -----------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Show everything that is still to be reviewed."""
        with QSignalBlocker(self._words):
            self._words.clear()
        for chip in self._chips:
            chip.clear()
        self._review.tick(Review.PENDING)
        self._announce()

    def set_order(self, order: Order) -> None:
        """Sort so, best first, and announce it."""
        self._change(replace(self._wish, order=order, is_descending=True))

    def _set_order(self, order: Order) -> None:
        self._change(replace(self._wish, order=order))

    def _announce(self) -> None:
        self._pause.stop()
        doubts = self._routing.ticked()
        wish = replace(
            self._wish,
            reviews=frozenset(self._review.ticked()),
            origins=frozenset(self._origin.ticked()),
            class_ids=frozenset(self._class.ticked()),
            rules=frozenset(self._rule.ticked()),
            routing=RoutingWish(
                experts=frozenset(self._expert.ticked()),
                has_mismatch=MISMATCH in doubts,
                max_margin=SMALL_MARGIN if UNSURE in doubts else None,
            ),
            words=self._words.text().strip(),
        )
        self._change(wish)

    def _change(self, wish: Wish) -> None:
        is_other = wish != self._wish
        self._wish = wish
        self._show_order()
        self._clear.setVisible(self._is_narrowed())
        if is_other:
            self.wish_changed.emit(wish)

    def _is_narrowed(self) -> bool:
        wish = self._wish
        conditions = (wish.origins, wish.class_ids, wish.rules, wish.routing, wish.words)
        return any(conditions) or wish.reviews != Wish().reviews

    def _show_order(self) -> None:
        wish = self._wish
        self._orders[wish.order].setChecked(True)
        self._reversed.setChecked(not wish.is_descending)
        arrow = "" if wish.is_descending else " ↑"
        self._sort.setText(f"Sort: {ORDER_WORDS[wish.order].lower()}{arrow}")
        self._sort.setToolTip(f"Sorted by {ORDER_WORDS[wish.order].lower()}. {ORDER_HINTS[wish.order]}.")
        self._sort.setAccessibleName(f"Sort by: {ORDER_WORDS[wish.order]}{', reversed' if arrow else ''}")


def _doubts_of(wish: RoutingWish) -> list[str]:
    """What is ticked of the chip of routing."""
    doubts = {MISMATCH: wish.has_mismatch, UNSURE: wish.max_margin is not None}
    return [kind for kind, is_ticked in doubts.items() if is_ticked]
