"""How many images of each class, or superclass, went to each expert.  Axis: E = experts.

Rows are sorted so that what belongs to one expert lies together: by the home of the class, then by falling number.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from locstudio.services.routing.book import NO_ONE, RoutingBook
from locstudio.services.routing.experts import Order, ordered

MatrixKind = Literal["truth", "predicted", "superclass"]
NOT_KNOWN = "no class it knows"


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Counts of images.

    Attributes:
        kind: What the rows are: classes by what the images show now, classes by what the model took them for, or
            superclasses of what they show.
        row_names: Of each row.
        row_ids: Positions of the classes or superclasses in the header; -1 for the images of which none is known,
            which have a last row where there are any.
        homes: The expert that each row belongs to, -1 for none.
        expert_names: Of each column.
        counts: Images, int64 (rows, E).
        shares: Of a row's images, float32 (rows, E); zeros where it has none.
    """

    kind: MatrixKind
    row_names: tuple[str, ...]
    row_ids: tuple[int, ...]
    homes: tuple[int, ...]
    expert_names: tuple[str, ...]
    counts: NDArray[np.int64]
    shares: NDArray[np.float32]


def class_matrix(book: RoutingBook, of: Literal["truth", "predicted"] = "truth") -> Matrix:
    """Classes by experts: by what the images show now, or by what the model took them for."""
    return _matrix(book, of, book.table.header.class_names, book.class_homes)


def superclass_matrix(book: RoutingBook) -> Matrix:
    """Superclasses of what the images show by experts; without a row where no superclasses are known."""
    return _matrix(book, "superclass", book.group_names, book.homes)


def images_of_cell(
    book: RoutingBook, row: int | None, expert: int | None, kind: MatrixKind = "truth", order: Order = "mismatch"
) -> NDArray[np.int64]:
    """The images of a cell, without those that cannot be looked at.

    Args:
        book: The book of the matrix.
        row: One of ``Matrix.row_ids``; None for a whole column.
        expert: None for a whole row.
        kind: The matrix's.
        order: As in ``images_of_expert``.
    """
    is_meant_N = book.is_shown_N & ~book.is_stale_N
    if row is not None:
        is_meant_N = is_meant_N & (_groups(book, kind) == row)
    if expert is not None:
        is_meant_N = is_meant_N & (book.experts_N == expert)
    rows = np.flatnonzero(is_meant_N)
    return book.table.image_ids[rows[ordered(book, rows, order)]]


def _matrix(book: RoutingBook, kind: MatrixKind, names: tuple[str, ...], homes: NDArray[np.int16]) -> Matrix:
    num_rows, num_experts = len(names), book.num_experts
    is_meant_N = ~book.is_stale_N
    groups_N = _groups(book, kind)[is_meant_N].astype(np.int64)
    keys = np.where(groups_N >= 0, groups_N, num_rows) * num_experts + book.experts_N[is_meant_N]
    counts = np.bincount(keys, minlength=(num_rows + 1) * num_experts).reshape(num_rows + 1, num_experts)
    first = np.where(homes == NO_ONE, num_experts, homes)
    order = np.lexsort((-counts[:num_rows].sum(axis=1), first))
    row_ids = [int(position) for position in order]
    if counts[num_rows].any() and num_rows:
        row_ids.append(NO_ONE)
    counts = counts[row_ids] if row_ids else counts[:0]
    totals = counts.sum(axis=1, keepdims=True)
    return Matrix(
        kind=kind,
        row_names=tuple(names[position] if position >= 0 else NOT_KNOWN for position in row_ids),
        row_ids=tuple(row_ids),
        homes=tuple(int(homes[position]) if position >= 0 else NO_ONE for position in row_ids),
        expert_names=book.expert_names,
        counts=counts,
        shares=(counts / np.maximum(totals, 1)).astype(np.float32),
    )


def _groups(book: RoutingBook, kind: MatrixKind) -> NDArray[np.integer]:
    if kind == "superclass":
        return book.groups_N
    return book.table.predicted if kind == "predicted" else book.truth_N
