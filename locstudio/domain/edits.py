"""Edits as data.  An edit is a list of (before, after) pairs; its inverse swaps and reverses them.

``before`` is None for something new, ``after`` is None for something removed.  Applying an edit whose ``before`` is no
longer what the dataset holds raises ``EditConflict``, so an edit never overwrites what it has not seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from locstudio.domain.regions import Caption, Image, LabelClass, Origin, Region


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


Change = RegionChange | ImageChange | ClassChange | CaptionChange | ChoiceChange


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
    opinion_only = replace(new, review=old.review, is_locked=old.is_locked) == old
    if opinion_only or new.origin in (Origin.HUMAN, Origin.EDITED):
        return new
    return replace(new, origin=Origin.EDITED)
