"""What is above the gallery of the heatmaps page: how much is listed, how strong heat is, and the order."""

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QPushButton, QSlider, QToolButton, QWidget

from locstudio.ui.heatmaps.page_table import HeatOrder
from locstudio.ui.heatmaps.page_tile import HeatInk
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label

ORDER_WORDS = {
    HeatOrder.TURNS: "In turns",
    HeatOrder.SCORE: "Score",
    HeatOrder.AVERAGE: "Average",
    HeatOrder.AGREEMENT: "Agreement",
    HeatOrder.OWN: "Heat of its own",
    HeatOrder.INCONSISTENCY: "Inconsistency",
    HeatOrder.NAME: "Name",
}
ORDER_HINTS = {
    HeatOrder.TURNS: (
        "The surest of every class, then the second of every class: what is sure over all is mostly of few classes,\n"
        "and a model learns more from answers to all. Measured with 600 answers: mAP +0.06, by score none"
    ),
    HeatOrder.SCORE: "What is most likely there, first",
    HeatOrder.AVERAGE: "The running average of its scores alone, without what the heat says",
    HeatOrder.AGREEMENT: "How far score and heat have been the same over the last epochs",
    HeatOrder.OWN: "How much of the heat lies where no known class has any",
    HeatOrder.INCONSISTENCY: "Where heat, labels and boxes disagree or never come to rest, first",
    HeatOrder.NAME: "As classes and images come in the project",
}


class HeatFilters(QFrame):
    """Shows counts, strength of heat and order, and emits what a person changes.

    Signals:
        order_changed: a ``HeatOrder``.
        ink_changed: how opaque heat is to be, and whether it is shown.
        tidy_wanted: make the view anew, without what has been decided.
    """

    order_changed = Signal(object)
    ink_changed = Signal(float, bool)
    tidy_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._order = HeatOrder.SCORE
        self._orders: dict[HeatOrder, QAction] = {}
        self._count = label("", "heading", self)
        self._chosen = label("", "muted", self)
        self._tidy = QPushButton("Tidy", self)
        self._tidy.setProperty("role", "flat")
        self._tidy.setToolTip("Take what has been decided out of the view (F5)")
        self._tidy.setAccessibleName("Tidy: take what has been decided out of the view")
        self._tidy.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._tidy.clicked.connect(self.tidy_wanted)
        self._tidy.hide()
        self._heat = QToolButton(self)
        self._heat.setText("Heat")
        self._heat.setCheckable(True)
        self._heat.setProperty("role", "button")
        self._heat.setToolTip("Show heat on the tiles (E; hold it to peek)")
        self._heat.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._heat.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._heat.clicked.connect(self._on_ink)
        drawn.follow(self._heat, "eye")
        self._opacity = QSlider(Qt.Orientation.Horizontal, self)
        self._opacity.setRange(10, 100)
        self._opacity.setPageStep(10)
        self._opacity.setFixedWidth(90)
        self._opacity.setAccessibleName("Opacity of heat")
        self._opacity.setToolTip("Opacity of heat ([ and ])")
        self._opacity.valueChanged.connect(lambda _: self.ink_changed.emit(self._opacity.value() / 100, True))
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self._sort = QToolButton(self)
        self._sort.setProperty("role", "button")
        self._sort.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._sort.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._sort.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._sort.setMenu(self._menu)
        drawn.follow(self._sort, "sort")
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 6, 8, 6)
        row.setSpacing(8)
        row.addWidget(self._count)
        row.addWidget(self._chosen)
        row.addWidget(self._tidy)
        row.addStretch(1)
        row.addWidget(self._heat)
        row.addWidget(self._opacity)
        row.addSpacing(4)
        row.addWidget(self._sort)
        self.set_orders(tuple(HeatOrder), HeatOrder.SCORE)

    @property
    def order(self) -> HeatOrder:
        """What the rows are sorted by."""
        return self._order

    @property
    def count_words(self) -> str:
        """What is said of the number of rows."""
        return self._count.text()

    def set_orders(self, orders: Sequence[HeatOrder], order: HeatOrder) -> None:
        """Offer these orders; one of them holds now."""
        self._menu.clear()
        self._orders = {}
        group = QActionGroup(self._menu)
        for offered in orders:
            action = self._menu.addAction(ORDER_WORDS[offered])
            action.setCheckable(True)
            action.setToolTip(ORDER_HINTS[offered])
            action.triggered.connect(lambda _=False, chosen=offered: self._choose(chosen))
            group.addAction(action)
            self._orders[offered] = action
        self._show(order)

    def _choose(self, order: HeatOrder) -> None:
        self._show(order)
        self.order_changed.emit(order)

    def _show(self, order: HeatOrder) -> None:
        self._order = order
        self._orders[order].setChecked(True)
        self._sort.setText(f"Sort: {ORDER_WORDS[order].lower()}")
        self._sort.setToolTip(f"Sort: {ORDER_WORDS[order].lower()}. {ORDER_HINTS[order]}.")
        self._sort.setAccessibleName(f"Sort: {ORDER_WORDS[order]}")

    def set_num_shown(self, words: str, num_done: int) -> None:
        """Say how much is listed, and offer to tidy where some of it is decided."""
        self._count.setText(words)
        self._tidy.setVisible(num_done > 0)
        self._tidy.setText(f"Tidy {num_done:,} decided" if num_done else "Tidy")

    def set_num_chosen(self, count: int) -> None:
        """Say how many tiles are selected, where it is more than the current one."""
        self._chosen.setText(f"{count:,} selected" if count > 1 else "")

    @property
    def chosen_words(self) -> str:
        """What is said of the selection."""
        return self._chosen.text()

    def show_ink(self, ink: HeatInk) -> None:
        """Show how strong heat is without announcing it."""
        self._heat.setChecked(ink.is_on)
        with QSignalBlocker(self._opacity):
            self._opacity.setValue(round(100 * ink.opacity))

    def _on_ink(self) -> None:
        self.ink_changed.emit(self._opacity.value() / 100, self._heat.isChecked())
