"""Images in the order in which their heat is worth a look."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from locstudio.services.heat.book import HeatBook
from locstudio.services.heat.inconsistency import Disagreement, Inconsistency
from locstudio.services.heat.known import UNKNOWN, Known

Order = Literal["inconsistency", "score", "expected"]
ORDERS: tuple[Order, ...] = ("inconsistency", "score", "expected")


def gallery_of_class(
    book: HeatBook,
    known: Known,
    class_id: int,
    order: Order = "score",
    disagreement: Inconsistency | None = None,
) -> NDArray[np.int64]:
    """All images that a run has seen of which one class is looked at.

    ``score`` is the running average; ``expected`` lets what is not labelled come first, by its score; ``inconsistency``
    needs what ``inconsistency`` has worked out.  Images that cannot be looked at are left out, stale ones are last.

    Raises:
        ValueError: the order needs a disagreement, and there is none.
    """
    place = book.heatmaps.positions.get(class_id)
    if place is None:
        return np.zeros(0, np.int64)
    averages_N = np.array(book.heatmaps.averages_NL[:, place])
    if order == "inconsistency":
        if disagreement is None:
            raise ValueError("images are sorted by inconsistency only once it is worked out")
        values_N = disagreement.of(Disagreement.ANY, class_id)
    elif order == "expected":
        values_N = averages_N + (known.presence_NL[:, place] == UNKNOWN)
    else:
        values_N = averages_N
    ordered = np.lexsort((-averages_N, -values_N, known.is_stale_N))
    ids: NDArray[np.int64] = book.heatmaps.image_ids[ordered[known.is_shown_N[ordered]]]
    return ids
