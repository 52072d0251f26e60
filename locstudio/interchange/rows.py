"""What every annotation file says, whatever its format: images, classes and what is on them as checked values."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Origin, Review
from locstudio.interchange.masks import PixelBox
from locstudio.interchange.report import ImportReport

_T = TypeVar("_T")

Key = int | str
"""An identity inside a file.  ``1`` and ``"1"`` are the same where the format says so."""

Progress = Callable[[int, int], None]
"""Called with what is done and what there is."""

MAX_NAME = 1000
MAX_TEXT = 20_000
FAR = 1e9
"""No coordinate in pixels lies further out."""

_UNSTORABLE = re.compile("[\ud800-\udfff\0]")
REVIEWS = {str(review): review for review in Review}
ORIGINS = {str(origin): origin for origin in Origin}
PRESENCES = {str(presence): presence for presence in Presence}


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image that a file names.  ``width`` and ``height`` are 0 where the file does not say.

    ``folder`` is where ``file_name`` starts when the format says so, an absolute path; like the name it is a wish, and
    only what lies inside the folder of images that the person has named is ever looked at.  With ``is_stem`` the name
    lacks its suffix, because the format matches pictures without it.  With ``is_unit`` its regions stand in shares of
    the picture's sides instead of pixels.  ``split`` is the part of the collection that it is said to belong to.
    """

    row: int
    key: Key
    file_name: str
    width: int = 0
    height: int = 0
    folder: str = ""
    is_stem: bool = False
    is_unit: bool = False
    split: str = ""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class that a file names.  ``is_no_class`` marks the one under which an export lists regions without a class.

    ``superclass`` is the group that the file puts it into; empty where it names none.
    """

    key: Key
    name: str
    is_no_class: bool = False
    superclass: str = ""


@dataclass(frozen=True, slots=True)
class RegionRow:
    """A region, its box in pixels of the picture as the file knows it (see `ImageRow`); not yet cut at its edges.

    ``row`` counts from 0 within its file.  ``external_id`` is the row's identity as text, unique within what is
    imported and the same at every reading.  ``segmentation`` is checked, as it came, and ``mask`` its JSON text.
    ``phrase`` is None where the row has none, so that the class speaks for it; ``review`` and ``origin`` are None where
    the format or the row does not say.  ``caption`` is the ``external_id`` of a caption of the same image, given
    before, in which the phrase stands at the characters of ``span``, half-open.
    """

    row: int
    external_id: str
    image_key: Key
    class_key: Key | None
    box: PixelBox
    segmentation: Any = None
    mask: str | None = None
    is_crowd: bool = False
    score: float | None = None
    phrase: str | None = None
    review: Review | None = None
    origin: Origin | None = None
    caption: str | None = None
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class CaptionRow:
    """A sentence about an image.  ``table`` is the part of the file that it stands in; ``origin`` as a region's."""

    row: int
    table: str
    external_id: str
    image_key: Key
    text: str
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class LabelRow:
    """What is said of one class of an image as a whole; which two these are is its identity.

    ``origin`` as a region's; ``score`` in [0, 1] is a model's.
    """

    row: int
    table: str
    image_key: Key
    class_key: Key
    presence: Presence = Presence.POSITIVE
    origin: Origin | None = None
    score: float | None = None


AnyRow = RegionRow | CaptionRow | LabelRow


@dataclass(slots=True)
class Tables:
    """Images and classes of a file.  Keys that stand for two different things are in ``ambiguous_*`` only."""

    images: dict[Key, ImageRow] = field(default_factory=dict)
    ambiguous_images: set[Key] = field(default_factory=set)
    classes: dict[Key, ClassRow] = field(default_factory=dict)
    ambiguous_classes: set[Key] = field(default_factory=set)
    is_class_key_a_position: bool = False
    """Whether a class is known by its place in a list, so that another list gives the same rows another meaning."""


class BadRow(ValueError):
    """A row that cannot be used: the reason, the same for all rows like it, and what is special of this one."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class AnnotationFile(Protocol):
    """A file or folder of annotations, read twice from front to back.  What is wrong with a row goes to the report."""

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None = None) -> None: ...

    def tables(self) -> Tables:
        """Images and classes; asked for first.

        Raises:
            BadInput: it is no file of this format, or broken as a whole.
        """
        ...

    def rows(self) -> Iterator[AnyRow]:
        """What is sound in itself, regions, captions or labels of one image one after another where they can be.

        Raises:
            BadInput: the file is broken from here on; rows before that have been given.
        """
        ...


def clean(text: str) -> str:
    """Text without the characters that no database and no display can hold (half surrogates, NUL)."""
    return text if text.isprintable() else _UNSTORABLE.sub("\ufffd", text)


def chosen(values: Mapping[str, _T], name: Any) -> _T | None:
    """The value of this name; None where a file names another, or says something that is no name at all."""
    return values.get(name) if isinstance(name, str) else None


def score_of(raw: Any) -> float | None:
    """A share in [0, 1]; None for what is none."""
    return float(raw) if type(raw) in (int, float) and 0 <= raw <= 1 else None


def brief(key: Any) -> str:
    """An identity of a file for a note, as it came; "" for what is none."""
    return str(key)[:64] if isinstance(key, str) or (type(key) is int and abs(key) < 10**60) else ""


def pixel_box(x0: float, y0: float, x1: float, y1: float) -> PixelBox:
    """Corners as they came, checked.

    Raises:
        BadRow: they are not finite, or no box.
    """
    if not (abs(x0) < FAR and abs(y0) < FAR and abs(x1) < FAR and abs(y1) < FAR):  # NaN compares false
        raise BadRow("its box is not finite")
    if x1 <= x0 or y1 <= y0:
        raise BadRow("its box has no area", f"{x1 - x0:g} x {y1 - y0:g}")
    return float(x0), float(y0), float(x1), float(y1)
