"""Which raw proposals show what a region of the same name shows already.  Axes: N = rows of the pool."""

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import iou_pairs
from locstudio.services.curation.overlaps import Rows, meeting
from locstudio.services.curation.table import Pool

SAME_THING_IOU = 0.7
"""Above this, a raw proposal and a region of the same phrase or class are two drawings of one thing."""


def covered(pool: Pool, rows: Rows) -> NDArray[np.bool_]:
    """Which of these rows, that must be all of their images, are raw proposals that a region covers, (len(rows),).

    A region covers what has its phrase or its class by name, also a rejected one: what was refused is not asked again.
    """
    is_region = pool.region_ids[rows] != 0
    may_be = ~is_region & (rows < pool.num_raw)
    found = np.zeros(len(rows), bool)
    if not is_region.any() or not may_be.any():
        return found
    phrase_codes, class_codes = _codes(pool, rows)
    _, images = np.unique(pool.image_ids[rows], return_inverse=True)
    width = int(max(phrase_codes.max(), class_codes.max())) + 1
    for raw_codes in (phrase_codes, class_codes):
        for codes in (phrase_codes, class_codes):
            asked = np.flatnonzero(may_be & (raw_codes >= 0))
            known = np.flatnonzero(is_region & (codes >= 0))
            if not len(asked) or not len(known):
                continue
            a, b = meeting(images[asked] * width + raw_codes[asked], images[known] * width + codes[known])
            a, b = asked[a], known[b]
            found[a[iou_pairs(pool.boxes[rows[a]], pool.boxes[rows[b]]) > SAME_THING_IOU]] = True
    return found


def _codes(pool: Pool, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the rows' phrases and classes, equal where the names are; -1 for no name."""
    code_of: dict[str, int] = {"": -1}
    phrase_rows, at = np.unique(pool.phrase_rows[rows], return_inverse=True)
    codes = [_code(code_of, pool.phrases[row]) for row in phrase_rows.tolist()]
    class_ids, class_at = np.unique(pool.class_ids[rows], return_inverse=True)
    class_codes = [_code(code_of, pool.class_name(key) if key else "") for key in class_ids.tolist()]
    return np.array(codes, np.int64)[at], np.array(class_codes, np.int64)[class_at]


def _code(code_of: dict[str, int], name: str) -> int:
    return code_of.setdefault(name.strip().casefold(), len(code_of))
