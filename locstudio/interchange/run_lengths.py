"""Run lengths read the other way: COCO counts a mask down its columns, CVAT and Label Studio along its lines.

A mask is painted in narrow stripes and never whole, so a few runs that claim a huge picture cost no memory.
Axes: S = strokes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.interchange.masks import BadMask

MAX_STROKES = 2_000_000
MAX_CELLS = 1 << 27
"""Of the smallest rectangle around a mask that is turned."""
_STRIPE_CELLS = 1 << 21

_Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """What run lengths cover: on line ``lines[s]`` the cells from ``begins[s]`` up to ``ends[s]``, in order."""

    lines_S: _Places
    begins_S: _Places
    ends_S: _Places

    def moved(self, lines: int, along: int) -> "Strokes":
        """The same, so many lines further and so many cells further along each."""
        return Strokes(self.lines_S + lines, self.begins_S + along, self.ends_S + along)


def strokes_of(runs: Sequence[int], length: int) -> Strokes:
    """The strokes of run lengths that start with zeros, on lines of ``length`` cells.

    Raises:
        BadMask: they cover nothing, or are too many.
    """
    ends = np.cumsum(np.asarray(runs, np.int64))
    first_R, last_R = ends[0::2][: len(ends) // 2], ends[1::2]
    is_there = last_R > first_R
    first_R, last_R = first_R[is_there], last_R[is_there]
    if not len(first_R):
        raise BadMask("the segmentation covers nothing")
    first_line_R = first_R // length
    num_R = (last_R - 1) // length - first_line_R + 1
    if num_R.sum() > MAX_STROKES:
        raise BadMask("the mask is too large")
    of_S = np.repeat(np.arange(len(num_R)), num_R)
    lines_S = first_line_R[of_S] + np.arange(len(of_S)) - np.repeat(np.cumsum(num_R) - num_R, num_R)
    begins_S = np.maximum(first_R[of_S] - lines_S * length, 0)
    ends_S = np.minimum(last_R[of_S] - lines_S * length, length)
    return Strokes(lines_S, begins_S, ends_S)


def runs_of(strokes: Strokes, num_lines: int, length: int) -> list[int]:
    """The run lengths of strokes in a picture of ``num_lines`` lines of ``length`` cells, starting with zeros."""
    begins = strokes.lines_S * length + strokes.begins_S
    ends = strokes.lines_S * length + strokes.ends_S
    is_new = np.append(True, begins[1:] > ends[:-1])  # one that touches the last goes on with it
    begins, ends = begins[is_new], ends[np.append(is_new[1:], True)]
    edges = np.concatenate([[0], np.stack([begins, ends], axis=1).reshape(-1), [num_lines * length]])
    runs: list[int] = np.diff(edges).tolist()
    return runs if runs[-1] else runs[:-1]


def turned(strokes: Strokes) -> Strokes:
    """The same cells as strokes across the lines: columns of a mask that came in lines, and the other way round.

    Raises:
        BadMask: the mask is too large to be turned.
    """
    top, left = int(strokes.lines_S.min()), int(strokes.begins_S.min())
    height, width = int(strokes.lines_S.max()) - top + 1, int(strokes.ends_S.max()) - left
    if height * width > MAX_CELLS:
        raise BadMask("the mask is too large")
    step = max(1, _STRIPE_CELLS // height)
    parts = [
        _turned_stripe(strokes.moved(-top, -left - at), height, min(step, width - at), at)
        for at in range(0, width, step)
    ]
    lines, begins, ends = (np.concatenate([part[place] for part in parts]) for place in range(3))
    return Strokes(lines, begins, ends).moved(left, top)


def _turned_stripe(strokes: Strokes, height: int, width: int, at: int) -> tuple[_Places, _Places, _Places]:
    begins_S, ends_S = np.clip(strokes.begins_S, 0, width), np.clip(strokes.ends_S, 0, width)
    is_here = ends_S > begins_S
    lines_S, begins_S, ends_S = strokes.lines_S[is_here], begins_S[is_here], ends_S[is_here]
    change = np.zeros((height + 2, width + 1), np.int8)  # with an empty line above and below
    change[lines_S + 1, begins_S] += 1
    change[lines_S + 1, ends_S] -= 1
    painted = np.cumsum(change[:, :width], axis=1, dtype=np.int8)
    edges = np.diff(painted, axis=0).T
    columns, begins = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return columns + at, begins, ends
