"""How sure a run is of what it was told, as a scale for what it was not told.  Axes: M = pairs of image and class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.jobs.heatmaps import Heatmaps
from locstudio.services.heat.maps import maps_at

_MAX_TOLD = 20_000
_MIN_TOLD = 20
_SHARED_SHARE = 0.25
_LEVELS = np.linspace(0, 1, 21)


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Takes heat, the root of running average and peak, to the share of what is labelled that is no surer.

    How hot a labelled class is depends on the recipe: with a strong consistency term hardly any average is above 0.3.
    The scale is a straight line between each twentieth of the labelled pairs, and from nothing to the first.
    """

    heat: NDArray[np.float64]

    @classmethod
    def of(cls, heatmaps: Heatmaps) -> "Scale":
        """The scale of a run, of at most 20,000 pairs that it was told; heat itself where it was told hardly any."""
        rows, places = np.nonzero(np.asarray(heatmaps.labels_NL) == 1)
        step = max(1, -(-len(rows) // _MAX_TOLD))
        rows, places = rows[::step], places[::step]
        maps_MWW, has_map_M = maps_at(heatmaps, rows, places)
        rows, places, maps_MWW = rows[has_map_M], places[has_map_M], maps_MWW[has_map_M]
        if len(rows) < _MIN_TOLD:
            return cls(_LEVELS)
        averages_M = np.clip(np.nan_to_num(np.asarray(heatmaps.averages_NL)[rows, places]), 0, 1)
        told = np.quantile(heat_of(averages_M, maps_MWW), _LEVELS[1:])
        # Rising everywhere, so that every score has one heat.
        return cls(np.maximum.accumulate(np.concatenate([[0.0], told])) + 1e-6 * np.arange(len(_LEVELS)))

    def score(self, heat_M: NDArray[np.float32]) -> NDArray[np.float32]:
        """The share of what is labelled that is no hotter, in [0, 1]."""
        return np.interp(heat_M, self.heat, _LEVELS).astype(np.float32)

    def heat_at(self, score: float) -> np.float32:
        """The heat that has a score."""
        return np.float32(np.interp(score, _LEVELS, self.heat))


def heat_of(averages_M: NDArray[np.float32], maps_MWW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Root of running average and peak, in [0, 1]."""
    peaks_M = maps_MWW.max(axis=(1, 2), initial=0).astype(np.float32) / np.float32(255)
    return np.array(np.sqrt(averages_M * peaks_M), np.float32)


def own_heat_of(
    averages_M: NDArray[np.float32], maps_MWW: NDArray[np.uint8], owns_M: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Heat, less where it is not the class's own."""
    return np.array(heat_of(averages_M, maps_MWW) * (_SHARED_SHARE + (1 - _SHARED_SHARE) * owns_M), np.float32)


def owns_of(maps_MWW: NDArray[np.uint8], known_MWW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much of the heat of each map is not that of known classes too, (M,).

    What counts is where a class is at least half as hot as at its peak: there is its place.
    """
    half_M = (maps_MWW.max(axis=(1, 2), initial=0).astype(np.int64) + 1) // 2
    hot_MWW = np.where(maps_MWW >= half_M.astype(np.uint8)[:, None, None], maps_MWW, 0)
    whole_M = np.maximum(hot_MWW.sum(axis=(1, 2), dtype=np.float32), 1)
    shared_M = np.minimum(hot_MWW, known_MWW).sum(axis=(1, 2), dtype=np.float32)
    return np.array(1 - shared_M / whole_M, np.float32)
