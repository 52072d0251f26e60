"""Where an item comes from: the words of its caption, what found it and how surely, and every edit since."""

from dataclasses import dataclass

import numpy as np

from locstudio.domain.edits import found_again
from locstudio.domain.regions import Caption, Origin, Region
from locstudio.domain.text import shown
from locstudio.jobs.raw_proposals import RawCaption
from locstudio.services.curation.table import Pool, Supply, key_of, source_of
from locstudio.store.dataset import Dataset
from locstudio.store.imported import captions_from
from locstudio.store.region_history import RegionEdit


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One edit of a region.  ``at`` is UTC, ISO 8601; ``what`` says what it changed: "accepted, “a cat” → “a dog”"."""

    at: str
    actor: str
    title: str
    what: str
    is_undone: bool


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where one item comes from.

    Attributes:
        key: Its key in the pool.
        origin: Whose it is.
        caption: The caption that its phrase was read from; empty for none.
        caption_id: That caption in the dataset; None for one that only the run holds.
        caption_origin: Who wrote the caption.
        span: Where the phrase stands in it, a half-open range of characters.
        beside: Other items that were read from the same caption: their keys and spans.
        proposed: The phrase that the run has proposed, before rules and people.
        run: The run's id; empty for what no run has proposed.
        run_title: What the run is called.
        run_at_ms: When it began, in milliseconds since 1970.
        detector: What found the box, in words.
        captioner: What wrote the caption, in words; empty for none.
        checkpoint_id: What made its vector.
        score: How sure the detector was of the phrase.
        objectness: How sure it was that there is a thing at all.
        source: Where else it comes from, such as an imported file.
        history: Every edit that touched it, oldest first.
    """

    key: str
    origin: Origin
    caption: str = ""
    caption_id: int | None = None
    caption_origin: Origin | None = None
    span: tuple[int, int] | None = None
    beside: tuple[tuple[str, tuple[int, int]], ...] = ()
    proposed: str = ""
    run: str = ""
    run_title: str = ""
    run_at_ms: int = 0
    detector: str = ""
    captioner: str = ""
    checkpoint_id: str = ""
    score: float | None = None
    objectness: float | None = None
    source: str = ""
    history: tuple[HistoryLine, ...] = ()


def provenance(dataset: Dataset, pool: Pool, row: int) -> Provenance:
    """Where a row of the pool comes from, as the dataset knows it now; for a worker.

    A region whose phrase a person has changed still tells the words that its box was found by.
    """
    region_id = int(pool.region_ids[row])
    region = next(iter(dataset.regions([region_id])), None) if region_id else None
    known: dict[str, object] = {"source": region.source if region else "", "score": _number(float(pool.scores[row]))}
    if region is not None:
        known["history"] = tuple(_line(edit) for edit in dataset.edits_of_region(region.id))
    run_row = int(pool.run_rows[row])
    if run_row >= 0:
        known |= _of_run(pool.supplies[run_row], int(pool.raw_rows[row]))
    known |= _of_caption(dataset, pool, row, region)
    return Provenance(key_of(pool, row), tuple(Origin)[pool.origins[row]], **known)  # type: ignore[arg-type]  # fields by name


def _of_run(supply: Supply, number: int) -> dict[str, object]:
    proposals = supply.proposals
    return {
        "run": supply.id,
        "run_title": supply.title,
        "run_at_ms": supply.at_ms,
        "detector": proposals.manifest.detector,
        "captioner": proposals.manifest.captioner,
        "checkpoint_id": proposals.manifest.checkpoint_id,
        "proposed": proposals.phrases[int(proposals.phrase_rows[number])],
        "score": float(proposals.scores[number]),
        "objectness": float(proposals.objectness[number]),
    }


def _of_caption(dataset: Dataset, pool: Pool, row: int, region: Region | None) -> dict[str, object]:
    """The caption as the dataset holds it, else as the run has read or made it."""
    caption_id = (region.caption_id or 0) if region is not None else int(pool.caption_ids[row])
    caption = next(iter(dataset.captions([caption_id])), None) if caption_id else None
    span = region.caption_span if region is not None else None
    run_row, number = int(pool.run_rows[row]), int(pool.raw_rows[row])
    caption_row = int(pool.supplies[run_row].proposals.caption_rows[number]) if run_row >= 0 else -1
    said = pool.supplies[run_row].proposals.captions[caption_row] if caption_row >= 0 else None
    if said is not None and said.image_id == pool.image_ids[row]:
        # A region whose phrase is another now has left its caption, but it was found by it.
        caption = caption or _in_dataset(dataset, pool.supplies[run_row], said, caption_row)
        start, end = pool.supplies[run_row].proposals.spans[number].tolist()
        if span is None and start < end:
            span = found_again(said.text, (start, end), caption.text if caption else said.text)
    if caption is None and (said is None or said.image_id != pool.image_ids[row]):
        return {}
    told = caption or said
    assert told is not None
    return {
        "caption": told.text,
        "caption_id": caption.id if caption else None,
        "caption_origin": told.origin,
        "span": span,
        "beside": _beside(pool, row, caption_id, caption_row, said.text if said else told.text, told.text),
    }


def _in_dataset(dataset: Dataset, supply: Supply, said: RawCaption, caption_row: int) -> Caption | None:
    if said.id:
        found = dataset.captions([said.id])
    else:
        made = captions_from(dataset, source_of(supply.id), [said.image_id])
        found = [caption for caption in made if caption.external_id == str(caption_row)]
    return next((caption for caption in found if caption.image_id == said.image_id), None)


def _beside(
    pool: Pool, row: int, caption_id: int, caption_row: int, said: str, told: str
) -> tuple[tuple[str, tuple[int, int]], ...]:
    """The other items of a caption; those that are raw speak of it as it was ``said`` to their run."""
    rows = np.flatnonzero(pool.is_there & (pool.image_ids == pool.image_ids[row]) & (pool.spans[:, 0] >= 0))
    is_same = (pool.caption_ids[rows] == caption_id) & (caption_id != 0)
    if caption_row >= 0:
        run_row = int(pool.run_rows[row])
        of_run = np.flatnonzero(pool.run_rows[rows] == run_row)
        caption_rows = np.asarray(pool.supplies[run_row].proposals.caption_rows)[pool.raw_rows[rows[of_run]]]
        is_same[of_run] |= caption_rows == caption_row
    found = []
    for other in rows[is_same & (rows != row)].tolist():
        start, end = pool.spans[other].tolist()
        span = found_again(said, (start, end), told) if pool.region_ids[other] == 0 else (start, end)
        if span is not None:
            found.append((key_of(pool, other), span))
    return tuple(found)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _line(edit: RegionEdit) -> HistoryLine:
    return HistoryLine(edit.at, edit.actor, edit.title, _what(edit.before, edit.after), edit.kind == "undone")


def _what(before: Region | None, after: Region | None) -> str:
    """What an edit changed, in words."""
    if after is None:
        return "deleted"
    if before is None:
        return f"{after.review}, “{shown(after.phrase)}”" if after.phrase else str(after.review)
    parts = [str(after.review)] if after.review is not before.review else []
    if after.phrase != before.phrase:
        parts.append(f"“{shown(before.phrase)}” → “{shown(after.phrase)}”")
    if after.class_id != before.class_id:
        parts.append("another class" if after.class_id else "no class")
    if after.box != before.box:
        parts.append("another box")
    if after.mask != before.mask and after.box == before.box:
        parts.append("another mask" if after.mask else "no mask")
    if after.is_locked != before.is_locked:
        parts.append("locked" if after.is_locked else "unlocked")
    if after.caption_span != before.caption_span and not parts:
        parts.append("its caption was edited")
    return ", ".join(parts)
