"""Edits as data.  An edit is a list of (before, after) pairs; its inverse swaps and reverses them.

``before`` is None for something new, ``after`` is None for something removed.  Applying an edit whose ``before`` is no
longer what the dataset holds raises ``EditConflict``, so an edit never overwrites what it has not seen.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from operator import attrgetter

from locstudio.domain.heat_corrections import HeatCorrection
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.phrase_rules import PhraseRule
from locstudio.domain.regions import Caption, Image, LabelClass, Origin, Region, Superclass


@dataclass(frozen=True, slots=True)
class RegionChange:
    """One region, before and after.  The identity of a new region is chosen by whoever makes the edit."""

    before: Region | None
    after: Region | None


@dataclass(frozen=True, slots=True)
class ImageChange:
    """An image's own fields (verified, split, problem, path) before and after."""

    before: Image
    after: Image


@dataclass(frozen=True, slots=True)
class ClassChange:
    """An entry of the vocabulary before and after."""

    before: LabelClass | None
    after: LabelClass | None


@dataclass(frozen=True, slots=True)
class SuperclassChange:
    """A superclass before and after; which classes belong to it is theirs to say (``ClassChange``)."""

    before: Superclass | None
    after: Superclass | None


@dataclass(frozen=True, slots=True)
class CaptionChange:
    """A caption before and after."""

    before: Caption | None
    after: Caption | None


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Of one difference between two checkpoints (``key`` names it), which of the two a person prefers: old or new."""

    old_id: str
    new_id: str
    key: str
    chosen: str


@dataclass(frozen=True, slots=True)
class ChoiceChange:
    """A choice between two checkpoints before and after; so a choice is undone together with what it did."""

    before: ModelChoice | None
    after: ModelChoice | None


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What a phrase is taken for before and after; None where it stands for itself."""

    before: PhraseRule | None
    after: PhraseRule | None


@dataclass(frozen=True, slots=True)
class LabelChange:
    """What is said of a class of an image before and after; None where nothing is said."""

    before: ImageLabel | None
    after: ImageLabel | None


@dataclass(frozen=True, slots=True)
class CorrectionChange:
    """What was painted on a heatmap before and after."""

    before: HeatCorrection | None
    after: HeatCorrection | None


_content_of = attrgetter(*(field.name for field in fields(Region) if field.name not in ("review", "is_locked")))
"""What a region says, without what is said of it."""
Change = (
    RegionChange
    | ImageChange
    | ClassChange
    | SuperclassChange
    | CaptionChange
    | ChoiceChange
    | RuleChange
    | LabelChange
    | CorrectionChange
)


@dataclass(frozen=True, slots=True)
class Edit:
    """Something a person did, in one undo step.  ``title`` is shown in the history: "Move box"."""

    title: str
    changes: tuple[Change, ...]

    def inverse(self) -> "Edit":
        """The edit that takes this one back, under the same title."""
        return Edit(self.title, tuple(_swapped(change) for change in reversed(self.changes)))


def _swapped(change: Change) -> Change:
    return replace(change, before=change.after, after=change.before)  # type: ignore[arg-type]  # each swaps its own pair


def add_regions(regions: Iterable[Region], title: str = "Add box") -> Edit:
    """Put new regions, with identities already chosen, into the dataset."""
    return Edit(title, tuple(RegionChange(None, region) for region in regions))


def delete_regions(regions: Iterable[Region], title: str = "Delete box") -> Edit:
    """Take regions out of the dataset."""
    return Edit(title, tuple(RegionChange(region, None) for region in regions))


def change_regions(pairs: Iterable[tuple[Region, Region]], title: str) -> Edit:
    """Replace regions by what a person made of them, as ``touched`` leaves them."""
    return Edit(title, tuple(RegionChange(old, touched(old, new)) for old, new in pairs if old != new))


def touched(old: Region, new: Region) -> Region:
    """``new`` as a person's hand leaves it: content of a machine's region becomes ``EDITED``.

    A mask outlines what was in the box, so another box drops it, unless a new mask came with the box; the inverse of
    the edit brings it back.  Review and lock alone are opinions about a region, not changes of it.
    """
    if new.box != old.box and new.mask == old.mask:
        new = replace(new, mask=None)
    if new.origin in (Origin.HUMAN, Origin.EDITED) or _content_of(new) == _content_of(old):
        return new
    return replace(new, origin=Origin.EDITED)


def reworded(caption: Caption, text: str, regions: Iterable[Region], title: str = "Edit caption") -> Edit:
    """Another text for a caption, as a person's hand leaves it: one that was imported or generated becomes ``EDITED``.

    A region that pointed at words of the caption points at the same words of the new text, at those nearest to their
    old place where they occur more than once, and at none where they are gone.  The region itself is no other.
    """
    if text == caption.text:
        return Edit(title, ())
    origin = caption.origin if caption.origin is Origin.HUMAN else Origin.EDITED
    changes: list[Change] = [CaptionChange(caption, replace(caption, text=text, origin=origin))]
    for region in regions:
        if region.caption_id == caption.id and region.caption_span is not None:
            span = found_again(caption.text, region.caption_span, text)
            if span != region.caption_span:
                changes.append(RegionChange(region, replace(region, caption_span=span)))
    return Edit(title, tuple(changes))


def found_again(old_text: str, span: tuple[int, int], text: str) -> tuple[int, int] | None:
    """Where the words that ``span`` marks in ``old_text`` stand in ``text``: whole, and nearest to their old place."""
    start, end = span
    words = old_text[start:end]
    if not words:
        return None
    if text[start:end] == words:
        return span
    places = [match.start() for match in re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text)]
    if not places:
        return None
    nearest = min(places, key=lambda place: abs(place - start))
    return nearest, nearest + len(words)
