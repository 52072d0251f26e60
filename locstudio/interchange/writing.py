"""What an export is given to write, and what a format can hold of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Caption, Image, LabelClass, Region
from locstudio.interchange.rows import clean


@dataclass(frozen=True, slots=True)
class Page:
    """An image that is exported, with everything on it that is exported too, oldest first, its labels by class.

    ``file_name`` starts from the folder that all images of the export have in common, with forward slashes.
    """

    image: Image
    file_name: str
    regions: tuple[Region, ...] = ()
    captions: tuple[Caption, ...] = ()
    labels: tuple[ImageLabel, ...] = ()


class Embeddings(Protocol):
    """Embeddings of regions, all of one checkpoint.  Axes: R = regions, K = those that have one, D = ``dim``."""

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint that made them."""
        ...

    @property
    def dim(self) -> int:
        """Values of each."""
        ...

    def of(self, regions: Sequence[Region]) -> tuple[NDArray[np.bool_], NDArray[np.float16]]:
        """Which regions have one, (R,), and the vectors of these, each of length one, (K, D)."""
        ...


class Contents(Protocol):
    """What is exported.  Every iterator begins anew at each call, and goes by the images' identities."""

    @property
    def classes(self) -> Sequence[LabelClass]:
        """The vocabulary, oldest first."""
        ...

    @property
    def superclasses(self) -> Mapping[int, str]:
        """The name of each class's superclass, by the class's identity; classes that have none are left out."""
        ...

    @property
    def image_root(self) -> str:
        """The folder that file names start from, absolute."""
        ...

    @property
    def embeddings(self) -> Embeddings | None:
        """Embeddings of the regions, where there are any."""
        ...

    @property
    def has_labels(self) -> bool:
        """Whether something is said of any image as a whole."""
        ...

    def images(self) -> Iterator[Page]:
        """The images alone, without what is on them."""
        ...

    def pages(self) -> Iterator[Page]:
        """The images with what is on them."""
        ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """A page as a format will give it back, or None when it cannot hold the image; ``lost`` says what it leaves out."""

    page: Page | None
    lost: tuple[str, ...] = ()


Writer = Callable[[Contents, Path], None]
"""Writes an export to a path at which nothing is yet: a file, or a folder that it makes."""

Check = Callable[[Contents, Path], str]
"""Compares what an export holds beside its rows; says what differs first, or ""."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carries:
    """What a format can hold; what it cannot is left out and counted.

    An export is compared with what was read of it in just these points.  ``polygons`` and ``runs`` are the two kinds of
    masks.  Without ``classless`` a region needs a class, without ``crowds`` it must be a single thing.  Without
    ``reviews`` only accepted regions go out, unless the person asks for others.  Without ``empty_images`` an image on
    which nothing is exported is left out, unless a person has verified it: the format would say that nothing is there.
    With ``all_classes`` the vocabulary is listed, also classes that no region has; with ``superclasses`` it says which
    superclass each has.
    Corners may differ by ``tolerance_px`` and ``tolerance_share`` of the image's longer side; ``precision`` says so to
    a person.  Without ``regions`` it holds none; ``labels`` are those of whole images.  ``text`` is what becomes of a
    phrase, a name or a caption.  With ``spans`` a region tells in which caption its phrase stands, and where.  What
    these words cannot say is said by ``fit``, which is given a page and the names of the classes.
    """

    ids: bool = False
    classless: bool = False
    phrases: bool = False
    captions: bool = False
    polygons: bool = False
    runs: bool = False
    crowds: bool = False
    scores: bool = False
    reviews: bool = False
    origins: bool = False
    sizes: bool = False
    all_classes: bool = False
    superclasses: bool = False
    spans: bool = False
    regions: bool = True
    labels: bool = False
    empty_images: bool = False
    tolerance_px: float = 1e-5
    tolerance_share: float = 0.0
    precision: str = ""
    text: Callable[[str], str] = clean
    fit: Callable[[Page, Mapping[int, str]], Fitted] | None = None
