"""Rows of the pool as regions: those that the dataset holds, and what raw proposals would become in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.edits import CaptionChange, Change, Edit, RegionChange, found_again, touched
from locstudio.domain.geometry import UnitBox
from locstudio.domain.phrase_rules import classes_by_name, taken_for
from locstudio.domain.regions import Caption, Origin, Region, Review
from locstudio.services.curation.table import Pool, Supply, source_of
from locstudio.store.dataset import Dataset
from locstudio.store.imported import captions_from, regions_from


@dataclass(frozen=True, slots=True)
class Draft:
    """A row: the region that the dataset holds (None while it holds none), and the region to begin with.

    ``caption`` is one that has to come into the dataset with it.
    """

    row: int
    held: Region | None
    region: Region
    caption: Caption | None = None

    def reviewed(self, review: Review) -> Region:
        """The region with this said of it."""
        return self.region if self.region.review is review else replace(self.region, review=review)


def drafts(dataset: Dataset, pool: Pool, rows: Iterable[int] | NDArray[np.int64]) -> list[Draft]:
    """The rows as the dataset holds them now; what is gone meanwhile is left out.

    A raw proposal that somebody has decided since the pool was read is the region that it has become.
    """
    wanted = np.unique(np.asarray(list(rows), np.int64))
    region_ids = pool.region_ids[wanted]
    row_of = dict(zip(region_ids.tolist(), wanted.tolist(), strict=True))
    held = dataset.regions(region_ids[region_ids != 0].tolist())
    found = [Draft(row_of[region.id], region, region) for region in held]
    raw = wanted[(region_ids == 0) & (wanted < pool.num_raw)]
    for run_row, supply in enumerate(pool.supplies):
        of_run = raw[pool.run_rows[raw] == run_row]
        if len(of_run):
            found += _raw_drafts(dataset, pool, supply, of_run)
    return found


def edit_of(title: str, pairs: Sequence[tuple[Draft, Region]], *, is_by_hand: bool = True) -> Edit:
    """The edit that makes regions of drafts; ``is_by_hand``: another box or name is a person's correction.

    A draft that is as the dataset holds it changes nothing.
    """
    captions = {draft.caption.id: draft.caption for draft, _ in pairs if draft.caption is not None}
    changes: list[Change] = [CaptionChange(None, caption) for caption in captions.values()]
    for draft, region in pairs:
        after = touched(draft.region, region) if is_by_hand else region
        if after != draft.held:
            changes.append(RegionChange(draft.held, after))
    return Edit(title, tuple(changes))


def _raw_drafts(dataset: Dataset, pool: Pool, supply: Supply, rows: NDArray[np.int64]) -> list[Draft]:
    source = source_of(supply.id)
    row_of = {str(number): int(row) for row, number in zip(rows, pool.raw_rows[rows].tolist(), strict=True)}
    held = {region.external_id: region for region in regions_from(dataset, source, list(row_of))}
    new = [(row, int(number)) for number, row in row_of.items() if number not in held]
    captions = _Captions(dataset, supply, [number for _, number in new])
    names = _names(dataset, supply, np.array([number for _, number in new], np.int64))
    made = [_raw_draft(dataset, pool, *at, name, captions) for at, name in zip(new, names, strict=True)]
    return [Draft(row_of[number], region, region) for number, region in held.items()] + made


def _names(dataset: Dataset, supply: Supply, numbers: NDArray[np.int64]) -> list[tuple[str, int | None]]:
    """What proposals are taken for, phrase and class, by the rules and classes that the dataset holds now."""
    rules, named = dataset.phrase_rules(), classes_by_name(dataset.classes())
    phrase_rows, at = np.unique(supply.proposals.phrase_rows[numbers], return_inverse=True)
    names = [taken_for(rules, named, supply.proposals.phrases[row]) for row in phrase_rows.tolist()]
    return [names[place] for place in at.tolist()]


def _raw_draft(
    dataset: Dataset, pool: Pool, row: int, number: int, name: tuple[str, int | None], captions: "_Captions"
) -> Draft:
    phrase, class_id = name
    score = float(pool.scores[row])
    caption, span, is_new = captions.of(number)
    region = Region(
        id=dataset.next_region_id(),
        image_id=int(pool.image_ids[row]),
        box=UnitBox(*pool.boxes[row].tolist()),
        phrase=phrase,
        class_id=class_id,
        review=Review.PENDING,
        origin=Origin.MODEL,
        score=None if np.isnan(score) else score,
        source=source_of(captions.supply.id),
        external_id=str(number),
        caption_id=caption.id if caption else None,
        caption_span=span,
    )
    return Draft(row, None, region, caption if is_new else None)


@dataclass(slots=True)
class _Captions:
    """The captions that a run's proposals come from: the dataset's own, and those that the run's captioner has made."""

    dataset: Dataset
    supply: Supply
    numbers: Sequence[int]
    _places: dict[int, list[int]] = field(init=False)
    _known: dict[int, Caption] = field(init=False)
    _made: dict[str, Caption] = field(init=False)
    _new: dict[int, Caption] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        proposals, numbers = self.supply.proposals, np.array(self.numbers, np.int64)
        caption_rows = np.asarray(proposals.caption_rows[numbers])
        columns = (caption_rows, proposals.image_ids[numbers], *proposals.spans[numbers].T)
        self._places = dict(zip(self.numbers, np.stack(columns, axis=1).tolist(), strict=True))
        asked = [proposals.captions[row] for row in np.unique(caption_rows[caption_rows >= 0])]
        known = self.dataset.captions([caption.id for caption in asked if caption.id > 0])
        self._known = {caption.id: caption for caption in known}
        images = sorted({caption.image_id for caption in asked if caption.id == 0})
        made = captions_from(self.dataset, source_of(self.supply.id), images)
        self._made = {caption.external_id: caption for caption in made}

    def of(self, number: int) -> tuple[Caption | None, tuple[int, int] | None, bool]:
        """The caption of a proposal, where its phrase stands in it, and whether the dataset lacks the caption."""
        row, image_id, start, end = self._places[number]
        if row < 0:
            return None, None, False
        said = self.supply.proposals.captions[row]
        if said.image_id != image_id:  # a stranger's file may say anything
            return None, None, False
        if said.id > 0:
            caption, is_new = self._known.get(said.id), False
        else:
            caption = self._made.get(str(row)) or self._new.get(row)
            is_new = str(row) not in self._made
            if caption is None:
                source = source_of(self.supply.id)
                key = self.dataset.next_caption_id()
                caption = self._new[row] = Caption(key, image_id, said.text, Origin.MODEL, source, str(row))
        if caption is None or caption.image_id != image_id:
            return None, None, False
        span = found_again(said.text, (start, end), caption.text) if start < end <= len(said.text) else None
        return caption, span, is_new
