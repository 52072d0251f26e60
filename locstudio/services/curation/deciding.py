"""Decisions of a person about rows of the pool, as edits made of what the dataset holds by then.

A raw proposal becomes a region by the very edit that decides it, and is raw again when the edit is undone.  Accepted
and rejected regions of a model stay a model's; a box or name that a person has changed makes it ``EDITED``.  An edit
without changes means that there was nothing to do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.edits import Edit
from locstudio.domain.geometry import UnitBox
from locstudio.domain.phrase_rules import classes_by_name, taken_for
from locstudio.domain.regions import Region, Review
from locstudio.services.curation.drafting import Draft, drafts, edit_of
from locstudio.services.curation.table import Pool
from locstudio.store.dataset import Dataset

Chosen = Iterable[int] | NDArray[np.int64]


def accept(dataset: Dataset, pool: Pool, rows: Chosen) -> Edit:
    """Say that rows are right."""
    return _reviewed(dataset, pool, rows, Review.ACCEPTED, "Accept")


def reject(dataset: Dataset, pool: Pool, rows: Chosen) -> Edit:
    """Say that rows are wrong; they stay, so that the same is not proposed again."""
    return _reviewed(dataset, pool, rows, Review.REJECTED, "Reject")


def to_pending(dataset: Dataset, pool: Pool, rows: Chosen) -> Edit:
    """Take back what was said of regions; raw proposals stay raw."""
    held = [draft for draft in drafts(dataset, pool, rows) if draft.held is not None]
    pairs = [(draft, draft.reviewed(Review.PENDING)) for draft in held]
    return edit_of(_titled("Take back", _num_changed(pairs)), pairs)


def take_in(dataset: Dataset, pool: Pool, rows: Chosen) -> Edit:
    """Make pending regions of raw proposals, for work on the canvas or for export."""
    new = [(draft, draft.region) for draft in drafts(dataset, pool, rows) if draft.held is None]
    return edit_of(_titled("Take in", len(new)), new)


def relabel(
    dataset: Dataset,
    pool: Pool,
    rows: Chosen,
    phrase: str | None = None,
    class_id: int | None = None,
    *,
    review: Review | None = Review.ACCEPTED,
    title: str = "",
) -> Edit:
    """Give rows another phrase or class, and accept them so.

    Locked regions keep their words.  A class that only came with the old phrase goes with it: see ``taken_for``.

    Args:
        dataset: Where they are, or shall be.
        pool: What ``rows`` are rows of.
        rows: What to relabel.
        phrase: The new phrase; None leaves what is there.
        class_id: The new class, 0 for none; None leaves what is there, or takes what the new phrase stands for.
        review: What is said of them by that; None leaves what was said.
        title: Of the undo step.
    """
    rules, named = dataset.phrase_rules(), classes_by_name(dataset.classes())
    class_of = cache(lambda words: taken_for(rules, named, words)[1])
    pairs = []
    for draft in drafts(dataset, pool, rows):
        region = draft.region
        if not region.is_locked:
            is_of_words = phrase is not None and region.class_id == class_of(region.phrase)
            new_class = (class_of(phrase) or 0) if class_id is None and is_of_words else class_id
            pairs.append((draft, relabelled(region, phrase, new_class, review)))
    return edit_of(title or _titled("Relabel", _num_changed(pairs)), pairs)


def move_boxes(
    dataset: Dataset, pool: Pool, boxes: Mapping[int, UnitBox], *, review: Review | None = Review.ACCEPTED
) -> Edit:
    """Give rows other boxes, by row, and accept them so.  Locked regions keep their place."""
    pairs = [
        (draft, _reviewed_as(replace(draft.region, box=boxes[draft.row]), review))
        for draft in drafts(dataset, pool, boxes)
        if not draft.region.is_locked
    ]
    return edit_of(_titled("Move", _num_changed(pairs)), pairs)


def relabelled(region: Region, phrase: str | None, class_id: int | None, review: Review | None = None) -> Region:
    """A region with another phrase, class or review; a phrase that its caption lacks points to no place in it."""
    new: dict[str, Any] = {}  # put in at once: thousands are relabelled together
    if phrase is not None and phrase != region.phrase:
        new |= {"phrase": phrase, "caption_id": None, "caption_span": None}
    if class_id is not None:
        new["class_id"] = class_id or None
    if review is not None:
        new["review"] = review
    return replace(region, **new) if new else region


def _reviewed_as(region: Region, review: Review | None) -> Region:
    return region if review is None or region.review is review else replace(region, review=review)


def _reviewed(dataset: Dataset, pool: Pool, rows: Chosen, review: Review, verb: str) -> Edit:
    pairs = [(draft, draft.reviewed(review)) for draft in drafts(dataset, pool, rows)]
    return edit_of(_titled(verb, _num_changed(pairs)), pairs)


def _num_changed(pairs: Iterable[tuple[Draft, Region]]) -> int:
    return sum(region != draft.held for draft, region in pairs)


def _titled(verb: str, count: int) -> str:
    return f"{verb} box" if count == 1 else f"{verb} {count} boxes"
