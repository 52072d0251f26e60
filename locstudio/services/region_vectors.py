"""The embeddings that a project's index has of its regions, for an export."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import CheckpointMismatch, StaleIndex
from locstudio.domain.regions import Region
from locstudio.index.region_index import RegionIndex
from locstudio.services.promotion import active_id
from locstudio.store.dataset import Dataset

_SAME_BOX = 1e-6


class RegionVectors:
    """Embeddings of the checkpoint in use, read from the index and never made."""

    def __init__(self, index: RegionIndex) -> None:
        self._index = index

    @classmethod
    def open(cls, dataset: Dataset) -> "RegionVectors | None":
        """Those of the dataset's project; None when it has no index of the checkpoint in use."""
        if dataset.project is None:
            return None
        with suppress(StaleIndex, CheckpointMismatch):
            return cls(RegionIndex.open(dataset.project.index, active_id(dataset)))
        return None

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint that made them."""
        return self._index.checkpoint_id

    @property
    def dim(self) -> int:
        """Values of each."""
        return self._index.dim

    def of(self, regions: Sequence[Region]) -> tuple[NDArray[np.bool_], NDArray[np.float16]]:
        """Which regions have one, and the vectors of these, each of length one.

        A vector that was made for another box than the region has now does not count.
        """
        rows = [self._index.row_of_region(region.id) for region in regions]
        has_R = np.array([row is not None for row in rows], bool)
        known_K = np.array([row for row in rows if row is not None], np.int64)
        boxes_K4 = np.array([region.box.as_tuple() for region, has in zip(regions, has_R, strict=True) if has])
        distance_K = np.abs(self._index.describe(known_K).boxes - boxes_K4.reshape(-1, 4)).max(axis=1, initial=0)
        is_same_K = distance_K <= _SAME_BOX
        has_R[has_R] = is_same_K
        return has_R, self._index.vectors(known_K[is_same_K]).astype(np.float16)
