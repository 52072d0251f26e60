"""What images show, and what a model with experts took them for.  Axes: N = images, C = classes."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, TooNew
from locstudio.jobs.routing import has_routing, read_routing


@dataclass(frozen=True, slots=True, eq=False)
class ImageConfusion:
    """The images that were measured, and the classes that any of them shows or was taken for.

    Attributes:
        names: Of the classes.
        counts_CC: Images, by what they show and what they were taken for.
        image_ids: (N,).
        truth_N, named_N: Positions in ``names``.
        scores_N: Of what they were taken for.
    """

    names: tuple[str, ...]
    counts_CC: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    truth_N: NDArray[np.int64]
    named_N: NDArray[np.int64]
    scores_N: NDArray[np.float32]

    def images_in_cell(self, row: int, column: int) -> tuple[list[int], dict[int, float]]:
        """The images of a cell, the surest first, and their scores."""
        rows = np.flatnonzero((self.truth_N == row) & (self.named_N == column))
        rows = rows[np.argsort(-self.scores_N[rows], kind="stable")]
        image_ids = self.image_ids[rows].tolist()
        return image_ids, dict(zip(image_ids, self.scores_N[rows].tolist(), strict=True))


def read_image_confusion(place: Path) -> ImageConfusion | None:
    """What was taken for what in an evaluation; None where only a routing could tell, and there is none.

    ``place`` is where the results of the classes are: the routing lies beside them, or in the folder of a comparison.
    """
    for results in (place, place.parent):
        if has_routing(results):
            with suppress(BadInput, TooNew):
                return _confusion(results)
    return None


def _confusion(results: Path) -> ImageConfusion:
    table = read_routing(results)
    is_known = (table.truth >= 0) & (table.predicted >= 0)
    truth, named = table.truth[is_known].astype(np.int64), table.predicted[is_known].astype(np.int64)
    used = np.union1d(truth, named)
    truth_N, named_N = np.searchsorted(used, truth), np.searchsorted(used, named)
    counts = np.bincount(truth_N * len(used) + named_N, minlength=len(used) ** 2).reshape(len(used), len(used))
    return ImageConfusion(
        names=tuple(table.header.class_names[place] for place in used.tolist()),
        counts_CC=counts.astype(np.int64),
        image_ids=table.image_ids[is_known],
        truth_N=truth_N,
        named_N=named_N,
        scores_N=table.scores[is_known].astype(np.float32),
    )
