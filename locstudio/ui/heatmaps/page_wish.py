"""What a person wants to see on the heatmaps page."""

from dataclasses import dataclass, field

from locstudio.services.heat.worklist import MIN_SCORE
from locstudio.ui.heatmaps.page_classes import ALL
from locstudio.ui.heatmaps.page_table import HeatOrder, HeatView

ORDERS = {
    HeatView.EXPECTED: (
        HeatOrder.TURNS,
        HeatOrder.SCORE,
        HeatOrder.AVERAGE,
        HeatOrder.AGREEMENT,
        HeatOrder.OWN,
        HeatOrder.NAME,
    ),
    HeatView.ONE_CLASS: (HeatOrder.INCONSISTENCY, HeatOrder.SCORE, HeatOrder.NAME),
    HeatView.ONE_IMAGE: (HeatOrder.SCORE, HeatOrder.INCONSISTENCY, HeatOrder.NAME),
}
"""What each view can be sorted by; the first is what it begins with."""


def _first_orders() -> dict[HeatView, HeatOrder]:
    return {view: orders[0] for view, orders in ORDERS.items()}


@dataclass(frozen=True, slots=True)
class Wish:
    """A view, and what of it.

    Attributes:
        only: Of what is expected, only this class; ``ALL`` for every one.
        class_id: The class of ``ONE_CLASS``.
        image_id: The image of ``ONE_IMAGE``.
        orders: Of each view.
    """

    view: HeatView = HeatView.EXPECTED
    only: int = ALL
    class_id: int = 0
    image_id: int = 0
    min_score: float = MIN_SCORE
    orders: dict[HeatView, HeatOrder] = field(default_factory=_first_orders)

    @property
    def order(self) -> HeatOrder:
        """Of the view that is shown."""
        return self.orders[self.view]

    @property
    def scope(self) -> tuple[HeatView, int, bool]:
        """What another table is needed for; which rows are expected first is also which of very many are listed."""
        of_view = {HeatView.EXPECTED: ALL, HeatView.ONE_CLASS: self.class_id, HeatView.ONE_IMAGE: self.image_id}
        return self.view, of_view[self.view], self.order is HeatOrder.TURNS
