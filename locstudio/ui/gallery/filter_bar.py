"""What narrows the gallery down: words, and one chip for every kind of condition, with counts."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from locstudio.domain.regions import LabelClass, Origin, Problem, Review
from locstudio.services.heat.disagreeing import HeatWish
from locstudio.services.heat.inconsistency import Disagreement
from locstudio.services.routing.wishes import SMALL_MARGIN, RoutingCounts, RoutingWish, WishOrder
from locstudio.services.routing.words import taken_from
from locstudio.store.filters import Facets, ImageFilter
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.gallery.choice_chip import ChoiceChip
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label

_TYPING_PAUSE_MS = 200

REVIEW_WORDS = {Review.PENDING: "To review", Review.ACCEPTED: "Accepted", Review.REJECTED: "Rejected"}
ORIGIN_WORDS = {
    Origin.HUMAN: "Drawn by hand",
    Origin.IMPORTED: "Imported",
    Origin.MODEL: "Proposed by a model",
    Origin.EDITED: "Edited",
}


HEAT_WORDS = {
    Disagreement.ANY: "Heat disagrees",
    Disagreement.MISSING: "Expected, no label",
    Disagreement.LABELS: "Against labels",
    Disagreement.REGIONS: "Against boxes",
    Disagreement.RESTLESS: "Restless heat",
}
MISMATCH, UNSURE = "mismatch", "unsure"
ROUTING_WORDS = {MISMATCH: "Expert mismatch", UNSURE: "Small margin"}
_HINT = "Also expert:3, margin<0.2 and mismatch:yes among the words"
HEAT_ORDER = "heat"
ROUTING_ORDERS: dict[WishOrder, str] = {
    "margin": "By margin, unsure first",
    "mismatch": "By mismatch, surest first",
    "another": "Surely another class first",
    "expert": "Expert by expert",
}


class FilterBar(QFrame):
    """Makes an ``ImageFilter`` out of what a person ticks and types; where there is heat or routing, a wish of each.

    Signals:
        filter_changed: the new filter; typing is announced after a short pause.
        heat_changed: what is wanted of heat is another, the filter is the same.
        routing_changed: what is wanted of routing is another, filter and heat are the same.
    """

    filter_changed = Signal(object)
    heat_changed = Signal(object)
    routing_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._filter = ImageFilter()
        self._heat_wish = HeatWish()
        self._routing_wish = RoutingWish()
        self._num_heated = 0
        self._counts: RoutingCounts | None = None
        self._words = QLineEdit(self)
        self._words.setPlaceholderText("Filter by name, phrase or caption")
        self._words.setAccessibleName("Filter images by words")
        self._words.setClearButtonEnabled(True)
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
        self._problem = ChoiceChip("Problem", self)
        self._verified = ChoiceChip("Verified", self, is_exclusive=True)
        self._heat = ChoiceChip("Heat", self, is_exclusive=True)
        self._expert = ChoiceChip("Expert", self)
        self._routing = ChoiceChip("Routing", self)
        self._order = ChoiceChip("Sort", self, is_exclusive=True)
        named = (self._review, self._origin, self._class, self._problem, self._verified)
        self._chips = (*named, self._heat, self._expert, self._routing, self._order)
        chips = FlowLayout()
        for chip in self._chips:
            chip.changed.connect(self._announce)
            chips.addWidget(chip)

        self._count = label("", "heading", self)
        self._clear = QPushButton("Clear filter", self)
        self._clear.setProperty("role", "flat")
        self._clear.clicked.connect(self.clear)
        self._clear.hide()
        foot = QHBoxLayout()
        foot.addWidget(self._count)
        foot.addStretch()
        foot.addWidget(self._clear)

        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 4)
        column.setSpacing(8)
        column.addWidget(self._words)
        column.addLayout(chips)
        column.addLayout(foot)
        self.set_facets(Facets(0, 0, 0), [])
        self.set_heat({}, 0)
        self.set_routing(None)

    @property
    def filter(self) -> ImageFilter:
        """The filter as it was last announced."""
        return self._filter

    def set_facets(self, facets: Facets, classes: Iterable[LabelClass]) -> None:
        """Show how many images meet each condition; ticks stay as they are."""
        self._review.set_choices([(r, REVIEW_WORDS[r], facets.reviews.get(r, 0)) for r in Review])
        self._origin.set_choices([(o, ORIGIN_WORDS[o], facets.origins.get(o, 0)) for o in Origin])
        names = {entry.id: entry.name for entry in classes}
        counted = sorted(((n, names[key], key) for key, n in facets.classes.items() if key in names), reverse=True)
        self._class.set_choices([(key, name, n) for n, name, key in counted])
        problems = [(p, p.capitalize(), facets.problems[p]) for p in Problem if p and facets.problems.get(p)]
        self._problem.set_choices(problems)
        num_open = facets.num_images - facets.num_verified
        self._verified.set_choices([(True, "Verified", facets.num_verified), (False, "Not verified", num_open)])

    @property
    def heat(self) -> HeatWish:
        """What is wanted of heat, as it was last announced."""
        return self._heat_wish

    def set_heat(self, counts: Mapping[Disagreement, int], num_images: int) -> None:
        """Show how many of the images that a run has seen disagree much in each way; nothing where there is no heat."""
        self._heat.set_choices([(kind, words, counts.get(kind, 0)) for kind, words in HEAT_WORDS.items()])
        self._num_heated = num_images
        self._offer_orders()

    @property
    def routing(self) -> RoutingWish:
        """What is wanted of routing, as it was last announced."""
        return self._routing_wish

    def set_routing(self, counts: RoutingCounts | None) -> None:
        """Show how many images each expert took, and how many look wrong; nothing where none were routed."""
        self._counts = counts
        self._words.setToolTip(_HINT if counts is not None else "")
        experts = zip(counts.names, counts.experts, strict=True) if counts is not None else ()
        self._expert.set_choices([(expert, f"Expert {name}", n) for expert, (name, n) in enumerate(experts)])
        found = {MISMATCH: counts.num_mismatched, UNSURE: counts.num_unsure} if counts is not None else {}
        self._routing.set_choices([(kind, words, found.get(kind, 0)) for kind, words in ROUTING_WORDS.items()])
        self._offer_orders()

    def _offer_orders(self) -> None:
        num_routed = self._counts.num_images if self._counts is not None else 0
        heat = (HEAT_ORDER, "By disagreement", self._num_heated)
        self._order.set_choices([heat, *((order, words, num_routed) for order, words in ROUTING_ORDERS.items())])

    def set_count(self, num_shown: int, num_all: int) -> None:
        """Say how many images pass."""
        word = "image" if num_all == 1 else "images"
        if num_shown == num_all:
            self._count.setText(f"{num_all:,} {word}")
        else:
            self._count.setText(f"{num_shown:,} of {num_all:,} {word}")

    def clear(self) -> None:
        """Let every image pass."""
        with QSignalBlocker(self._words):
            self._words.clear()
        for chip in self._chips:
            chip.clear()
        self._announce()

    def set_class(self, class_id: int) -> None:
        """Let only images with a region of this class pass, whatever else was chosen."""
        for chip in self._chips:
            chip.clear()
        self._class.tick(class_id)
        self._announce()

    def set_expert(self, expert: int) -> None:
        """Let only images pass that this expert took, counted from 0, whatever else was chosen."""
        with QSignalBlocker(self._words):
            self._words.clear()
        for chip in self._chips:
            chip.clear()
        self._expert.tick(expert)
        self._announce()

    def _announce(self) -> None:
        self._pause.stop()
        verified = self._verified.ticked()
        words, typed = self._words.text().strip(), RoutingWish()
        if self._counts is not None:
            words, typed = taken_from(words, len(self._counts.experts))
        wanted = replace(
            self._filter,
            reviews=frozenset(self._review.ticked()),
            origins=frozenset(self._origin.ticked()),
            class_ids=frozenset(self._class.ticked()),
            problems=frozenset(self._problem.ticked()),
            is_verified=verified[0] if verified else None,
            words=words,
        )
        kinds, orders, doubts = self._heat.ticked(), self._order.ticked(), self._routing.ticked()
        heat = HeatWish(kinds[0] if kinds else None, HEAT_ORDER in orders)
        routing = RoutingWish(
            experts=frozenset(self._expert.ticked()) | typed.experts,
            has_mismatch=MISMATCH in doubts or typed.has_mismatch,
            max_margin=SMALL_MARGIN if UNSURE in doubts and typed.max_margin is None else typed.max_margin,
            order=orders[0] if orders and orders[0] in ROUTING_ORDERS else "",
        )
        self._clear.setVisible(bool(heat) or bool(routing) or wanted != ImageFilter(order=wanted.order))
        is_other_heat, is_other_routing = heat != self._heat_wish, routing != self._routing_wish
        self._heat_wish, self._routing_wish = heat, routing
        if wanted != self._filter:
            self._filter = wanted
            self.filter_changed.emit(wanted)
        elif is_other_heat:
            self.heat_changed.emit(heat)
        elif is_other_routing:
            self.routing_changed.emit(routing)
