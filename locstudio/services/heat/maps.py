"""Many heatmaps at once.  Axes: N = images of the run, L = its classes, M = pairs of both, W = side of a map."""

import numpy as np
from numpy.typing import NDArray

from locstudio.jobs.heatmaps import Heatmaps
from locstudio.services.heat.known import POSITIVE

Maps = NDArray[np.uint8]
Rows = NDArray[np.int64]


def maps_at(heatmaps: Heatmaps, rows: Rows, places: Rows, epoch: int | None = None) -> tuple[Maps, NDArray[np.bool_]]:
    """The heatmap of each pair, uint8 (M, W, W), zeros where none is kept, and whether one is kept, bool (M,).

    Raises:
        BadInput: the key frame is damaged.
        LookupError: there is no key frame of this epoch.
    """
    if epoch is None:
        maps_NKWW, slots_NK = np.asarray(heatmaps.maps_NKWW), heatmaps.slots_NK
    else:
        keys_NTWW, slots_NK = heatmaps.key_frame(epoch)
        maps_NKWW = np.asarray(keys_NTWW)
    if slots_NK is None:
        return maps_NKWW[rows, places], np.ones(len(rows), np.bool_)
    is_here_MK = np.asarray(slots_NK)[rows] == places[:, None]
    has_map_M = is_here_MK.any(axis=1)
    found_MWW = maps_NKWW[rows, is_here_MK.argmax(axis=1)] if is_here_MK.shape[1] else _none(heatmaps, len(rows))
    found_MWW[~has_map_M] = 0
    return found_MWW, has_map_M


def known_heat(heatmaps: Heatmaps, presence_NL: NDArray[np.int8], rows: Rows) -> Maps:
    """For each row the hottest of the classes that are known to be in the image, cell by cell, uint8 (M, W, W)."""
    images, back = np.unique(rows, return_inverse=True)
    at, places = np.nonzero(presence_NL[images] == POSITIVE)
    hottest_MWW = _none(heatmaps, len(images))
    if len(at):
        maps_MWW, _ = maps_at(heatmaps, images[at], places)
        firsts = np.flatnonzero(np.diff(at, prepend=-1))
        hottest_MWW[at[firsts]] = np.maximum.reduceat(maps_MWW, firsts, axis=0)
    return hottest_MWW[back]


def _none(heatmaps: Heatmaps, count: int) -> Maps:
    return np.zeros((count, heatmaps.header.grid, heatmaps.header.grid), np.uint8)
