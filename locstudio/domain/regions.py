"""What a collection holds: images, regions, classes, captions.  Identities are positive integers given by the store."""

from dataclasses import dataclass
from enum import StrEnum

from locstudio.domain.geometry import UnitBox

HELD_OUT_SPLITS = ("val", "validation", "dev", "test")
"""Splits that are measured and never learnt from, the first one that has ground truth before the others."""


class Review(StrEnum):
    """What a person has said of a region."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Origin(StrEnum):
    """Who made a value first.  ``EDITED`` is an imported or proposed value that a person has changed since."""

    HUMAN = "human"
    IMPORTED = "imported"
    MODEL = "model"
    EDITED = "edited"


class Problem(StrEnum):
    """Why an image cannot be used as it is; ``NONE`` for a sound one."""

    NONE = ""
    MISSING = "missing"
    CHANGED = "changed"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class Image:
    """One picture file of the collection.  ``width`` and ``height`` are upright pixels (0 when unreadable).

    ``path`` is relative to its root, with forward slashes; bytes that are no UTF-8 are surrogate-escaped.
    ``note`` is the sentence that explains ``problem``.  ``sha256`` is empty until the content has been hashed.
    """

    id: int
    root_id: int
    path: str
    width: int
    height: int
    sha256: str = ""
    size_bytes: int = 0
    mtime_ns: int = 0
    format: str = ""
    problem: Problem = Problem.NONE
    note: str = ""
    is_verified: bool = False
    split: str = ""

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Region:
    """A box in an image, with or without phrase, class and mask.

    ``mask`` is a COCO segmentation as JSON text (polygons or RLE), kept as it came.  ``caption_span`` is a half-open
    character range of the caption ``caption_id``.  ``source`` names the importer or checkpoint that made the region.
    ``external_id`` is the region's identity in the file it came from.
    """

    id: int
    image_id: int
    box: UnitBox
    phrase: str = ""
    class_id: int | None = None
    review: Review = Review.PENDING
    origin: Origin = Origin.HUMAN
    score: float | None = None
    source: str = ""
    external_id: str = ""
    caption_id: int | None = None
    caption_span: tuple[int, int] | None = None
    mask: str | None = None
    is_crowd: bool = False
    is_locked: bool = False

    @property
    def is_ground_truth(self) -> bool:
        """Whether it counts as true: not rejected, no crowd, and accepted if a model proposed it."""
        if self.review is Review.REJECTED or self.is_crowd:
            return False
        return self.origin is not Origin.MODEL or self.review is Review.ACCEPTED


@dataclass(frozen=True, slots=True)
class LabelClass:
    """An entry of the fixed vocabulary.  Never deleted, only retired; ``color`` is ``#rrggbb``."""

    id: int
    name: str
    color: str
    is_retired: bool = False
    superclass_id: int | None = None
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class Superclass:
    """A group of classes that one expert looks at.  Never deleted, only retired; ``color`` is ``#rrggbb``."""

    id: int
    name: str
    color: str = "#808080"
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence about an image."""

    id: int
    image_id: int
    text: str
    origin: Origin = Origin.IMPORTED
    source: str = ""
    external_id: str = ""
