"""Masks of pixels: run lengths, outlines, tight boxes.

A mask is a bool array (height, width) over the upright image.  As data it is COCO's run lengths: columns from left to
right, counts beginning with zeros, in COCO's string of six bits a character.  Run lengths are exact, polygons would
have to leave out holes; so what a model makes is kept as run lengths.  Outlines are for the eye alone.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import UnitBox

Mask = NDArray[np.bool_]
Outline = NDArray[np.float64]
"""Corners (N, 2) of a closed polygon, x and y in pixels; where polygons of a mask overlap, they cut each other out."""

MAX_PIXELS = 1 << 30
_MAX_OUTLINE_SIDE = 768


def mask_as_runs(mask_HW: Mask) -> str:
    """COCO's run lengths of a mask as JSON text, as ``Region.mask`` holds them."""
    height, width = mask_HW.shape
    flat = mask_HW.T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    if flat.size and flat[0]:
        counts.insert(0, 0)
    return json.dumps({"size": [height, width], "counts": _compressed(counts)}, separators=(",", ":"))


def mask_of_runs(counts: Sequence[int], width: int, height: int) -> Mask:
    """The mask of run lengths.

    Raises:
        ValueError: they do not fill the size, or no picture has this size.
    """
    num_pixels = sum(counts)
    if not counts or min(counts) < 0 or num_pixels != width * height or num_pixels > MAX_PIXELS:
        raise ValueError(f"run lengths of {num_pixels} pixels for {width} x {height}")
    lengths = np.asarray(counts, np.int64)
    bits = np.repeat(np.arange(lengths.size) % 2 == 1, lengths)
    mask: Mask = bits.reshape(width, height).T
    return mask


def counts_of(counts: str | Sequence[int]) -> list[int]:
    """Run lengths as numbers, from COCO's string or as they are.

    Raises:
        ValueError: the string ends in the middle or holds a character that is no number.
    """
    if not isinstance(counts, str):
        return list(counts)
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("the run lengths are no valid string")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value, shift = 0, 0
    if shift:
        raise ValueError("the run lengths end in the middle")
    return runs


def tight_box(mask_HW: Mask) -> UnitBox | None:
    """The smallest box around a mask; None where it is empty."""
    rows, columns = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    if not rows.size:
        return None
    height, width = mask_HW.shape
    return UnitBox(
        float(columns[0] / width), float(rows[0] / height), float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )  # fmt: skip


def outlines_of_text(text: str) -> list[Outline]:
    """Outlines of a ``Region.mask`` in pixels of the image; of a damaged one none.

    A mask larger than a screen is outlined on every second, third … pixel: nobody sees more of it.
    """
    try:
        segmentation: Any = json.loads(text)
        if isinstance(segmentation, list):
            return [np.array(polygon, np.float64).reshape(-1, 2) for polygon in segmentation]
        height, width = segmentation["size"]
        return outlines_of(mask_of_runs(counts_of(segmentation["counts"]), width, height))
    except (ValueError, KeyError, TypeError):
        return []


def outlines_of(mask_HW: Mask) -> list[Outline]:
    """Polygons along the edges of a mask's pixels, its holes among them.

    Every corner of the mask has one partner on its line and one in its column; going from partner to partner, across
    and down in turn, leads around a part of the mask.
    """
    rows, columns = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    if not rows.size:
        return []
    top, left = int(rows[0]), int(columns[0])
    part = mask_HW[top : rows[-1] + 1, left : columns[-1] + 1]
    step = -(-max(part.shape) // _MAX_OUTLINE_SIDE)
    padded = np.pad(part[::step, ::step], 1).astype(np.int8)
    four = padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]
    is_touch = (four == 2) & (padded[:-1, :-1] == padded[1:, 1:])  # two pixels meet at a corner: two corners in one
    y, x = np.nonzero((four % 2 == 1) | is_touch)
    repeats = np.where(is_touch[y, x], 2, 1)
    y, x = np.repeat(y, repeats), np.repeat(x, repeats)
    across, down = _partners(np.lexsort((x, y))), _partners(np.lexsort((y, x)))
    corners = np.stack([x, y], axis=1).astype(np.float64) * step + np.array([left, top])
    outlines: list[Outline] = []
    is_visited = [False] * len(corners)
    for begin in range(len(corners)):
        here, around = begin, []
        while not is_visited[here]:
            is_visited[here] = is_visited[across[here]] = True
            around += [here, across[here]]
            here = down[across[here]]
        if around:
            outlines.append(corners[around])
    return outlines


def _partners(order: NDArray[np.int64]) -> list[int]:
    partners = np.empty(len(order), np.int64)
    partners[order[0::2]], partners[order[1::2]] = order[1::2], order[0::2]
    found: list[int] = partners.tolist()
    return found


def _compressed(counts: Sequence[int]) -> str:
    """COCO's string: from the fourth run on differences to the last but one, five bits a character, low bits first."""
    characters: list[str] = []
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        is_more = True
        while is_more:
            bits = value & 31
            value >>= 5
            is_more = value != (-1 if bits & 16 else 0)
            characters.append(chr((bits | 32 if is_more else bits) + 48))
    return "".join(characters)
