"""Shapes of heat: the outline of what is hotter than a threshold, and the boxes around it.

Everything is in the ``unit`` frame of the upright image.  Between the middles of the cells heat is bilinear, towards
the edges of the image it stays as it is; this is also how it is drawn.

Axes: W = side of a heatmap, S = side of the finer grid, E = edges of outlines, P = points of an outline.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import UnitBox

Heat = NDArray[np.uint8] | NDArray[np.float32]
_FINE = 4
_MIN_AREA = 1e-4
_ANY_HEAT = 1e-3
_TOP, _RIGHT, _BOTTOM, _LEFT = range(4)
_SEGMENTS = {
    1: ((_TOP, _LEFT),),
    2: ((_RIGHT, _TOP),),
    3: ((_RIGHT, _LEFT),),
    4: ((_BOTTOM, _RIGHT),),
    5: ((_TOP, _LEFT), (_BOTTOM, _RIGHT)),
    6: ((_BOTTOM, _TOP),),
    7: ((_BOTTOM, _LEFT),),
    8: ((_LEFT, _BOTTOM),),
    9: ((_TOP, _BOTTOM),),
    10: ((_RIGHT, _TOP), (_LEFT, _BOTTOM)),
    11: ((_RIGHT, _BOTTOM),),
    12: ((_LEFT, _RIGHT),),
    13: ((_TOP, _RIGHT),),
    14: ((_LEFT, _TOP),),
    # Of two corners that face each other, joined through a hot middle.
    21: ((_TOP, _RIGHT), (_BOTTOM, _LEFT)),
    26: ((_LEFT, _TOP), (_RIGHT, _BOTTOM)),
}
"""From which side of a square of four values to which its outline runs, heat on its right; by the corners that are hot
(1 top left, 2 top right, 4 bottom right, 8 bottom left)."""
_SIDES = np.array([(_SEGMENTS.get(case, ((0, 0),)) * 2)[:2] for case in range(32)])
"""The same for all cases at once, (32, 2, 2): a single segment is there twice."""


def contours(map_WW: Heat, threshold: float) -> list[NDArray[np.float64]]:
    """Outlines of what is at least as hot as the threshold, largest first.

    Args:
        map_WW: A heatmap, 255 being certainty.
        threshold: In [0, 255]; 0 outlines what has any heat.

    Returns:
        Closed polygons (P, 2) of x and y without their first point again; those around heat have the heat on their
        right as y points down (positive shoelace area), those around holes have it negative.
    """
    fine_SS, places_S = _finer(map_WW)
    outlines = [(abs(area_of(one)), one) for one in _traced(fine_SS - max(threshold, _ANY_HEAT), places_S)]
    outlines.sort(key=lambda pair: -pair[0])
    return [outline for area, outline in outlines if area >= _MIN_AREA]


def heat_boxes(map_WW: Heat, threshold: float) -> list[UnitBox]:
    """Boxes around what is at least as hot as the threshold, one for each connected piece, largest piece first."""
    return boxes_of(contours(map_WW, threshold))


def box_at(map_WW: Heat, threshold: float, at: tuple[float, float]) -> UnitBox | None:
    """The box around the connected piece of heat that holds a point; None where the point is colder."""
    for outline in reversed(contours(map_WW, threshold)):
        if area_of(outline) > 0 and _is_inside(outline, at):
            return boxes_of([outline])[0]
    return None


def box_of_peak(map_WW: Heat, share: float = 0.5) -> UnitBox | None:
    """The box around the hottest place, as far as it is at least ``share`` of the peak; None where all is cold."""
    (x, y), peak = peak_of(map_WW)
    return box_at(map_WW, share * peak, (x, y)) if peak > 0 else None


def peak_of(map_WW: Heat) -> tuple[tuple[float, float], float]:
    """Where the middle of the hottest cell is, x and y, and how hot it is."""
    row, column = divmod(int(np.argmax(map_WW)), map_WW.shape[1])
    return ((column + 0.5) / map_WW.shape[1], (row + 0.5) / map_WW.shape[0]), float(map_WW[row, column])


def value_at(map_WW: Heat, x: float, y: float) -> float:
    """How hot it is at a point, between the cells as it is drawn."""
    side = len(map_WW)
    column, row = min(max(x * side - 0.5, 0), side - 1), min(max(y * side - 0.5, 0), side - 1)
    left, top = min(int(column), max(side - 2, 0)), min(int(row), max(side - 2, 0))
    part_22 = np.asarray(map_WW[top : top + 2, left : left + 2], np.float64)
    by_row = part_22[:, 0] + (part_22[:, -1] - part_22[:, 0]) * (column - left)
    return float(by_row[0] + (by_row[-1] - by_row[0]) * (row - top))


def percentile(map_WW: Heat, value: float) -> float:
    """The share of the cells that are no hotter than a value, in percent."""
    return 100.0 * float(np.count_nonzero(np.asarray(map_WW, np.float64) <= value)) / map_WW.size


def area_of(outline_P2: NDArray[np.float64]) -> float:
    """The area inside an outline as a share of the image; negative for a hole."""
    x, y = outline_P2.T
    closing = x[-1] * y[0] - y[-1] * x[0]
    return float(x[:-1] @ y[1:] - y[:-1] @ x[1:] + closing) / 2


def boxes_of(outlines: Iterable[NDArray[np.float64]]) -> list[UnitBox]:
    """Boxes around outlines that ``contours`` has found, in their order; holes have none."""
    boxes = []
    for outline in outlines:
        if area_of(outline) <= 0:
            continue
        (x0, y0), (x1, y1) = outline.min(0).tolist(), outline.max(0).tolist()
        boxes.append(UnitBox(max(x0, 0.0), max(y0, 0.0), min(x1, 1.0), min(y1, 1.0)))
    return boxes


def _is_inside(outline_P2: NDArray[np.float64], at: tuple[float, float]) -> bool:
    """Even-odd rule, along the line to the right of the point."""
    (x, y), other_P2 = at, np.roll(outline_P2, -1, axis=0)
    is_across = (outline_P2[:, 1] > y) != (other_P2[:, 1] > y)
    one, other = outline_P2[is_across], other_P2[is_across]
    crossings = one[:, 0] + (y - one[:, 1]) / (other[:, 1] - one[:, 1]) * (other[:, 0] - one[:, 0])
    return bool(np.count_nonzero(crossings > x) % 2)


def _finer(map_WW: Heat) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heat between the cells on a grid with the image's edges and the middles of all cells, and that grid's places."""
    side = len(map_WW)
    places_S = np.linspace(0, 1, side * _FINE + 1)
    at_S = np.clip(places_S * side - 0.5, 0, side - 1)
    low_S = np.minimum(at_S.astype(np.int64), max(side - 2, 0))
    share_S = at_S - low_S
    high_S = np.minimum(low_S + 1, side - 1)
    heat_WW = np.asarray(map_WW, np.float64)
    rows_SW = heat_WW[low_S] * (1 - share_S)[:, None] + heat_WW[high_S] * share_S[:, None]
    return rows_SW[:, low_S] * (1 - share_S) + rows_SW[:, high_S] * share_S, places_S


def _traced(value_SS: NDArray[np.float64], places_S: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Outlines of what is not below zero (marching squares, Lorensen and Cline 1987 in the plane)."""
    # Outside of the image all is cold, so that every outline is closed.
    inner_SS, value_SS = value_SS, np.full((len(value_SS) + 2, len(value_SS) + 2), -256.0)
    value_SS[1:-1, 1:-1] = inner_SS
    places_S = np.concatenate([[0.0], places_S, [1.0]])
    is_hot_SS = value_SS >= 0
    corners = is_hot_SS.view(np.uint8)
    cases = corners[:-1, :-1] + 2 * corners[:-1, 1:] + 4 * corners[1:, 1:] + 8 * corners[1:, :-1]
    middles = (value_SS[:-1, :-1] + value_SS[:-1, 1:] + value_SS[1:, 1:] + value_SS[1:, :-1]) >= 0
    cases |= (((cases == 5) | (cases == 10)) & middles).view(np.uint8) << 4
    num = len(value_SS)
    rows, columns = np.nonzero((cases > 0) & (cases != 15))
    # Edge 2k goes right from value k, edge 2k + 1 goes down: see _crossing.
    edges_of_side = np.array([0, 3, 2 * num, 1])
    edges_E4 = 2 * (rows * num + columns)[:, None] + edges_of_side[_SIDES[cases[rows, columns]]].reshape(len(rows), 4)
    begins, ends = edges_E4[:, ::2].ravel().tolist(), edges_E4[:, 1::2].ravel().tolist()
    return _linked(dict(zip(begins, ends, strict=True)), value_SS, places_S)


def _linked(
    next_of: dict[int, int], value_SS: NDArray[np.float64], places_S: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    edges: list[int] = []
    starts = []
    while next_of:
        first, following = next_of.popitem()
        starts.append(len(edges))
        edges.append(first)
        while following != first:
            edges.append(following)
            following = next_of.pop(following)
    loops = np.split(_crossing(np.array(edges, np.int64), value_SS, places_S), starts[1:])
    return [outline for loop in loops if len(outline := _without_straight(loop)) > 2]


def _crossing(
    edges_E: NDArray[np.int64], value_SS: NDArray[np.float64], places_S: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where edges of the grid meet the outline, (E, 2): edge 2k goes right from value k, edge 2k + 1 goes down."""
    rows, columns = np.divmod(edges_E // 2, len(value_SS))
    down = edges_E % 2
    other_rows, other_columns = rows + down, columns + 1 - down
    one, other = value_SS[rows, columns], value_SS[other_rows, other_columns]
    share_E = one / (one - other)
    x = places_S[columns] + (places_S[other_columns] - places_S[columns]) * share_E
    y = places_S[rows] + (places_S[other_rows] - places_S[rows]) * share_E
    return np.stack([x, y], axis=1)


def _without_straight(outline_P2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without points that are there twice or lie on the line between their neighbours."""
    outline_P2 = outline_P2[np.abs(_steps_to(outline_P2)).max(axis=1) > 1e-9]
    before = _steps_to(outline_P2)
    after = np.concatenate((before[1:], before[:1]))
    return outline_P2[np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-12]


def _steps_to(outline_P2: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the point before to each point; without ``np.roll``, which is most of what an outline would cost."""
    return outline_P2 - np.concatenate((outline_P2[-1:], outline_P2[:-1]))
