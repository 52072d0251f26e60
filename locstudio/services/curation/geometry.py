"""Boxes that are rarely meant, found by rules, and the one-click fix of each.

    SLIVER     far longer than wide                                          fix: reject
    TINY       smaller than a thing can be told from                         fix: reject
    NESTED     inside another box of the same name                           fix: reject it, keep the larger
    OUTSIDE    ends just before the border that it was meant to reach        fix: clamp it to the border
    DUPLICATE  drawn twice under the same name                               fix: reject the worse

Of a pair, what a person drew or accepted is better than what nobody has decided, and then the higher score.
Axes: N = rows of the pool.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from locstudio.services.curation.overlaps import Rows, pairs_of_equals
from locstudio.services.curation.table import ACCEPTED, EDITED, HUMAN, REJECTED, Pool


class Rule(StrEnum):
    """What may be wrong with a box."""

    SLIVER = "sliver"
    TINY = "tiny"
    NESTED = "nested"
    OUTSIDE = "outside"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class GeometrySettings:
    """From where on a rule is broken.

    Attributes:
        max_aspect: Long side by short side, in pixels.
        min_side_px: Shorter side, in pixels.
        nested_share: Share of the smaller box that lies in the larger.
        border_px: How far from the border a side counts as meant to lie on it.
        duplicate_iou: Overlap of two drawings of one thing.
    """

    max_aspect: float = 10.0
    min_side_px: float = 8.0
    nested_share: float = 0.9
    border_px: float = 2.0
    duplicate_iou: float = 0.8


DEFAULTS = GeometrySettings()


def rows_breaking(
    pool: Pool, rule: Rule, settings: GeometrySettings = DEFAULTS, among: NDArray[np.bool_] | None = None
) -> Rows:
    """Rows that break a rule and are not rejected; of a pair, the one that its fix rejects.

    ``among``: only these rows count, also as the other of a pair, (N,).
    """
    return np.flatnonzero(is_breaking(pool, rule, settings, among))


def is_breaking(
    pool: Pool, rule: Rule, settings: GeometrySettings = DEFAULTS, among: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """``rows_breaking`` as a mask, (N,)."""
    counts: NDArray[np.bool_] = pool.is_there & (pool.reviews != REJECTED)
    if among is not None:
        counts &= among
    if rule in (Rule.NESTED, Rule.DUPLICATE):
        return _worse_of_pairs(pool, rule, settings, counts)
    is_odd: NDArray[np.bool_] = pool.remember(("boxes",), (rule, settings), lambda: _odd(pool, rule, settings))
    counts &= is_odd
    return counts


def _odd(pool: Pool, rule: Rule, settings: GeometrySettings) -> NDArray[np.bool_]:
    """Boxes that break a rule by themselves; none of an image whose size is not known."""
    sides = pool.sides_of(np.arange(len(pool))).astype(np.float32)
    is_known = (sides > 0).all(axis=1)
    lengths = (pool.boxes[:, 2:] - pool.boxes[:, :2]) * sides
    long, short = lengths.max(axis=1), lengths.min(axis=1)
    if rule is Rule.SLIVER:
        return np.asarray(is_known & (long > settings.max_aspect * short))
    if rule is Rule.TINY:
        return np.asarray(is_known & (short < settings.min_side_px))
    gaps = np.concatenate([pool.boxes[:, :2] * sides, (1 - pool.boxes[:, 2:]) * sides], axis=1)
    return np.asarray(is_known & ((gaps > 0) & (gaps <= settings.border_px)).any(axis=1))


def _worse_of_pairs(pool: Pool, rule: Rule, settings: GeometrySettings, counts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found = np.zeros(len(pool), bool)
    if rule is Rule.NESTED:
        columns = ("boxes", "image_ids", "phrase_rows", "class_ids")
        inner, outer = pool.remember(columns, (rule, settings), lambda: _nested(pool, settings))
        found[inner[counts[inner] & counts[outer]]] = True
        return found
    first = int(np.searchsorted(pool.edges.ious, np.float32(settings.duplicate_iou), "right"))
    one, other = pool.edges.better[first:], pool.edges.worse[first:]
    is_same = counts[one] & counts[other] & _have_same_name(pool, one, other)
    one, other = one[is_same], other[is_same]
    standing = _standing(pool)
    found[np.where(standing[other] > standing[one], one, other)] = True
    return found


def _standing(pool: Pool) -> NDArray[np.int8]:
    """How much a person stands behind a row: 2 for what she drew or changed, 1 for what she accepted."""
    is_own = (pool.origins == HUMAN) | (pool.origins == EDITED)
    return np.where(is_own, 2, np.where(pool.reviews == ACCEPTED, 1, 0)).astype(np.int8)


def _have_same_name(pool: Pool, one: NDArray[np.integer], other: NDArray[np.integer]) -> NDArray[np.bool_]:
    same_phrase = (pool.phrase_rows[one] == pool.phrase_rows[other]) & (pool.phrase_rows[one] != 0)
    same_class = (pool.class_ids[one] == pool.class_ids[other]) & (pool.class_ids[one] != 0)
    return np.asarray(same_phrase | same_class)


def _nested(pool: Pool, settings: GeometrySettings) -> tuple[Rows, Rows]:
    """Pairs of one image and one name of which the first lies in the second, and is no second drawing of it."""
    _, images = np.unique(pool.image_ids, return_inverse=True)
    inner, outer = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for names in (pool.phrase_rows.astype(np.int64), pool.class_ids):
        named = np.flatnonzero(names != 0)
        _, codes = np.unique(names[named], return_inverse=True)
        keys = images[named] * (int(codes.max(initial=0)) + 1) + codes
        for one, other in pairs_of_equals(keys):
            small, large = _nested_pairs(pool, named[one], named[other], settings)
            inner.append(small)
            outer.append(large)
    return np.concatenate(inner), np.concatenate(outer)


def _nested_pairs(pool: Pool, one: Rows, other: Rows, settings: GeometrySettings) -> tuple[Rows, Rows]:
    a, b = pool.boxes[one], pool.boxes[other]
    overlap = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(axis=1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    smaller = np.minimum(area_a, area_b)
    is_inside = overlap >= settings.nested_share * smaller
    is_other = overlap <= settings.duplicate_iou * (area_a + area_b - overlap)
    keep = np.flatnonzero(is_inside & is_other)
    is_a = area_a[keep] <= area_b[keep]
    return np.where(is_a, one[keep], other[keep]), np.where(is_a, other[keep], one[keep])
