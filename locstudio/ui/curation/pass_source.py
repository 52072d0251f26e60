"""What a canvas pass asks of whoever holds the pool."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from locstudio.domain.edits import Edit
from locstudio.domain.regions import Region, Review
from locstudio.services.curation.deciding import relabelled

TAKE_IN = "Take in proposals"
"""The title of the edit that makes raw proposals of an image pending regions; no step of a person's."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """What a region may be: a phrase, a class, or both, and how likely, in [0, 1].

    ``class_id`` is 0 for no class; None leaves what is there.
    """

    text: str
    class_id: int | None
    score: float


class PassSource(Protocol):
    """What a pass asks of whoever holds the pool.  All of it is quick, except ``suggestions`` (called on a worker)."""

    def pending_images(self) -> Sequence[int]:
        """Images in which something waits for review, the most valuable first."""

    def take_in(self, image_id: int) -> Callable[[], Edit | None] | None:
        """What makes the edit that turns an image's raw proposals into pending regions; None where there are none."""

    def in_order(self, regions: Sequence[Region]) -> Sequence[int]:
        """Identities of these regions in the order in which they are asked about."""

    def suggestions(self, region: Region) -> Sequence[Suggested]:
        """What else a region may be, the likeliest first."""


def taken(region: Region, suggested: Suggested) -> Region:
    """A region as it is when a suggestion is taken: named so, and accepted."""
    return replace(relabelled(region, suggested.text, suggested.class_id), review=Review.ACCEPTED)
