"""How a training's routing came about.  Axes: T = epochs, R = routers, E = experts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.services.routing.book import RoutingBook
from locstudio.services.routing.experts import DEAD_SHARE


@dataclass(frozen=True, slots=True, eq=False)
class LoadHistory:
    """Epoch by epoch; empty for a run that has only routed.

    Attributes:
        epochs: Their numbers, (T,).
        load: Share of the images (of tokens: of the tokens) that each expert took first, (T, R, E).
        dead: Experts of the book's router that took hardly any, int64 (T,).
        entropy: How evenly that router spread the images, 1 for evenly, 0 for all to one, (T,).
        margin: Mean margin, (T,).
        router_accuracy: How often the router found the superclass, of held-out images; NaN where not known, (T,).
        top1: How often the likeliest class was right, likewise, (T,).
    """

    epochs: NDArray[np.int64]
    load: NDArray[np.float32]
    dead: NDArray[np.int64]
    entropy: NDArray[np.float32]
    margin: NDArray[np.float32]
    router_accuracy: NDArray[np.float32]
    top1: NDArray[np.float32]


def load_history(book: RoutingBook) -> LoadHistory:
    """The history in the header of a table; epochs of another shape are left out."""
    shape = (book.num_routers, book.num_experts)
    entries = [each for each in book.table.header.epochs if np.shape(each.load) == shape]
    load_TRE = np.array([each.load for each in entries], np.float32).reshape(-1, *shape)
    of_router_TE = load_TRE[:, book.router]
    return LoadHistory(
        epochs=np.array([each.epoch for each in entries], np.int64),
        load=load_TRE,
        dead=num_dead(of_router_TE),
        entropy=evenness(of_router_TE),
        margin=np.array([each.margin for each in entries], np.float32),
        router_accuracy=_numbers([each.router_accuracy for each in entries]),
        top1=_numbers([each.top1 for each in entries]),
    )


def num_dead(load_TE: NDArray[np.floating]) -> NDArray[np.int64]:
    """How many experts take less than a tenth of their even share, (T,)."""
    num_experts = load_TE.shape[1]
    return (
        np.count_nonzero(load_TE * num_experts < DEAD_SHARE, axis=1) if num_experts > 1 else np.zeros(len(load_TE), int)
    )


def evenness(load_TE: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy of the load as a share of the largest possible one, (T,); 1 where there is a single expert."""
    num_experts = load_TE.shape[1]
    if num_experts < 2:
        return np.ones(len(load_TE), np.float32)
    shares = load_TE / np.maximum(load_TE.sum(axis=1, keepdims=True), 1e-12)
    terms = shares * np.log(np.maximum(shares, 1e-12))
    found: NDArray[np.float32] = (-terms.sum(axis=1) / np.log(num_experts)).astype(np.float32)
    return found


def _numbers(values: list[float | None]) -> NDArray[np.float32]:
    return np.array([np.nan if value is None else value for value in values], np.float32)
