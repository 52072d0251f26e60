"""The routing of a project's images, for whoever filters or sorts by it.  Axis: N = images asked for, in their order.

Worked out when it is first asked for, and anew once an edit or an epoch has made it another.
"""

import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import UserError
from locstudio.jobs.routing import routing_mark
from locstudio.services.routing.book import NO_ONE, RoutingBook
from locstudio.services.routing.runs import chosen_folder
from locstudio.store.project import Project
from locstudio.store.view import DatasetView

SMALL_MARGIN = 0.2
"""Below this a router is called unsure."""

WishOrder = Literal["", "margin", "mismatch", "another", "expert"]


@dataclass(frozen=True, slots=True)
class RoutingWish:
    """Images a person wants to see for their routing.

    Attributes:
        experts: Only images whose first choice is one of these; all where empty.
        has_mismatch: Only images that belong to another expert, by what they show.
        max_margin: Only images with a smaller margin.
        order: The least sure first; those that belong elsewhere first, the surest before the others; those whose
            likeliest class is none that they show first, the most probable before the others, then the rest by rising
            probability; by expert, in each by falling margin.
    """

    experts: frozenset[int] = frozenset()
    has_mismatch: bool = False
    max_margin: float | None = None
    order: WishOrder = ""

    def __bool__(self) -> bool:
        return bool(self.experts or self.has_mismatch or self.max_margin is not None or self.order)

    @property
    def is_filter(self) -> bool:
        """Whether it leaves images out."""
        return bool(self.experts or self.has_mismatch or self.max_margin is not None)


@dataclass(frozen=True, slots=True)
class RoutingCounts:
    """What there is to choose from: images of each expert, which belong to another, whose margin is small, and all."""

    experts: tuple[int, ...]
    names: tuple[str, ...]
    num_mismatched: int
    num_unsure: int
    num_images: int


@dataclass(frozen=True, slots=True, eq=False)
class RoutingsOf:
    """The routing of some images; an image whose file is another one by now counts as not routed.

    Attributes:
        experts: First choices, -1 where not routed, int16 (N,).
        margins: NaN where not routed, float32 (N,).
        mismatch: It belongs to another expert, by what it shows, bool (N,).
        other: How surely it is said to show another class, NaN where not routed or where none is known, float32 (N,);
            see ``RoutingBook.other_N``.
    """

    experts: NDArray[np.int16]
    margins: NDArray[np.float32]
    mismatch: NDArray[np.bool_]
    other: NDArray[np.float32]

    def meets(self, wish: RoutingWish) -> NDArray[np.bool_]:
        """Which of the images a wish lets pass, (N,)."""
        passes = np.ones(len(self.experts), np.bool_)
        if wish.experts:
            passes &= np.isin(self.experts, list(wish.experts))
        if wish.has_mismatch:
            passes &= self.mismatch
        if wish.max_margin is not None:
            passes &= np.nan_to_num(self.margins, nan=np.inf) < np.float32(wish.max_margin)
        return passes

    def told(self, row: int) -> str:
        """A few characters for a tile: the expert, from 1, and its margin; "≠" where it belongs to another expert."""
        if row >= len(self.experts) or self.experts[row] == NO_ONE:
            return ""
        sign = "≠ " if self.mismatch[row] else ""
        return f"{sign}{self.experts[row] + 1} · {self.margins[row]:.2f}"

    def sentence(self, row: int) -> str:
        """The same in words."""
        if row >= len(self.experts) or self.experts[row] == NO_ONE:
            return ""
        other = ", which is not that of its class" if self.mismatch[row] else ""
        return f"expert {self.experts[row] + 1}{other}, margin {self.margins[row]:.2f}"

    def counted(self, names: tuple[str, ...], is_counted: NDArray[np.bool_]) -> RoutingCounts:
        """What there is to choose from among the images that count, (N,)."""
        is_known = (self.experts != NO_ONE) & is_counted
        experts = np.bincount(self.experts[is_known], minlength=len(names))
        return RoutingCounts(
            experts=tuple(experts.tolist()),
            names=names,
            num_mismatched=int((self.mismatch & is_known).sum()),
            num_unsure=int((self.margins[is_known] < np.float32(SMALL_MARGIN)).sum()),
            num_images=int(is_known.sum()),
        )

    def ordered(self, order: WishOrder) -> NDArray[np.int64]:
        """What sorts the images, (N,); those not routed last, else as they were."""
        is_unknown = self.experts == NO_ONE
        margins = np.nan_to_num(self.margins, nan=0.0)
        if order == "margin":
            return np.lexsort((margins, is_unknown))
        if order == "mismatch":
            return np.lexsort((np.where(self.mismatch, -margins, 0), ~self.mismatch, is_unknown))
        if order == "another":
            return np.lexsort((-self.other, is_unknown))
        if order == "expert":
            return np.lexsort((-margins, self.experts, is_unknown))
        return np.arange(len(self.experts))


class Routings:
    """The newest routing of a project; may be asked on any thread."""

    def __init__(self, project: Project, dataset: DatasetView) -> None:
        self._project = project
        self._dataset = dataset
        self._guard = threading.Lock()
        self._key: tuple[str, tuple[int, int], int] = ("", (0, 0), -1)
        self._book: RoutingBook | None = None

    def read(self) -> RoutingBook | None:
        """The routing as it is now; None where no run has routed the images, or none can be read."""
        with self._guard:
            try:
                results = chosen_folder(self._project).results
                key = results.parent.name, routing_mark(results), self._dataset.revision()
                if self._book is None or key[:2] != self._key[:2]:
                    self._book = RoutingBook.open(self._project, self._dataset)
                elif key != self._key:
                    self._book = self._book.read_anew()
            except UserError:
                self._book = None
                return None
            self._key = key
            return self._book

    def counts(self) -> RoutingCounts | None:
        """How many images there are of each expert and of each kind; None where no run has routed them."""
        book = self.read()
        if book is None:
            return None
        return self._of_rows(book, np.arange(book.num_images)).counted(book.expert_names, book.is_shown_N)

    def of_images(self, image_ids: NDArray[np.int64]) -> RoutingsOf:
        """The routing of these images, in their order."""
        book = self.read()
        if book is None:
            num = len(image_ids)
            none = np.full(num, np.nan, np.float32)
            return RoutingsOf(np.full(num, NO_ONE, np.int16), none, np.zeros(num, np.bool_), none)
        return self._of_rows(book, book.rows_of(image_ids))

    def chosen(self, image_ids: NDArray[np.int64], wish: RoutingWish) -> NDArray[np.int64]:
        """Of these images those that meet a wish, in its order, else in theirs."""
        if not wish:
            return image_ids
        found = self.of_images(image_ids)
        order = found.ordered(wish.order)
        return image_ids[order[found.meets(wish)[order]]] if wish.is_filter else image_ids[order]

    @staticmethod
    def _of_rows(book: RoutingBook, rows: NDArray[np.int64]) -> RoutingsOf:
        experts = np.append(np.where(book.is_stale_N, np.int16(NO_ONE), book.experts_N), np.int16(NO_ONE))
        margins = np.append(np.where(book.is_stale_N, np.float32(np.nan), book.margins_N), np.float32(np.nan))
        mismatch = np.append(book.mismatch_N & ~book.is_stale_N, False)
        other = np.append(np.where(book.is_stale_N, np.float32(np.nan), book.other_N), np.float32(np.nan))
        return RoutingsOf(experts[rows], margins[rows], mismatch[rows], other[rows])
