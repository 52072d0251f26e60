"""Taking in the captions that a person has already: beside her images, and inside of them."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from locstudio.domain.edits import CaptionChange, Edit
from locstudio.domain.regions import Caption, Image, Origin
from locstudio.domain.text import counted, shown
from locstudio.media.embedded_text import Written, embedded_texts, texts_beside
from locstudio.services.import_known import Memory
from locstudio.store.dataset import Dataset, ImageFilter
from locstudio.store.imported import captions_from

CaptionSource = Literal["sidecar", "metadata"]
SOURCES: tuple[CaptionSource, ...] = ("sidecar", "metadata")
IMAGES_PER_EDIT = 500
"""All edits are one undo step."""

_MAX_NOTES = 1000
_PAGE = 200


@dataclass(slots=True)
class CaptionReport:
    """What was taken in.  ``notes`` hold the first thousand sentences on what was ignored, ``num_notes`` counts all."""

    num_images: int = 0
    num_added: int = 0
    num_known: int = 0
    num_updated: int = 0
    num_kept: int = 0
    num_notes: int = 0
    is_cancelled: bool = False
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Count a sentence, and list it while there is room."""
        self.num_notes += 1
        if len(self.notes) < _MAX_NOTES:
            self.notes.append(sentence)

    def to_text(self) -> str:
        """The report for a person."""
        lines = [
            f"{counted(self.num_images, 'image')} looked at{', stopped early' if self.is_cancelled else ''}",
            f"  captions  {self.num_added} new, {self.num_known} known, {self.num_updated} brought up to date, "
            f"{self.num_kept} left as you have made them",
        ]
        lines += [f"    {note}" for note in self.notes[:20]]
        if self.num_notes > 20:
            lines.append(f"    … and {self.num_notes - 20} more")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON document."""
        counts = {name: getattr(self, name) for name in self.__slots__ if name.startswith("num_")}
        return {**counts, "is_cancelled": self.is_cancelled, "notes": [shown(note, 400) for note in self.notes]}


def take_captions_in(
    dataset: Dataset,
    sources: Sequence[CaptionSource] = SOURCES,
    *,
    image_ids: Sequence[int] | None = None,
    progress: Callable[[int, int], object] = lambda *_: None,
    cancel: Callable[[], bool] = lambda: False,
) -> CaptionReport:
    """Put the captions beside and inside the images into the dataset, all in one undo step.

    Again, it adds nothing.  A file that says something new changes its caption, unless a person has edited or deleted
    that since: hers stays.  What an image has as a caption already, whoever said it, is not added a second time.

    Args:
        dataset: Where to.
        sources: ``sidecar`` are files beside the images, ``metadata`` EXIF, IPTC and XMP.
        image_ids: Only of these images.
        progress: Called with images done, and how many there are.
        cancel: Ends it after the images at hand; what is in stays.

    Raises:
        StorageFailed: the dataset cannot be written.
    """
    taking = _Taking(dataset, sources)
    total = dataset.count_images(ImageFilter()) if image_ids is None else len(image_ids)
    images = _images(dataset, image_ids)
    try:
        while batch := list(islice(images, IMAGES_PER_EDIT)):
            taking.take(batch)
            progress(taking.report.num_images, total)
            if cancel():
                taking.report.is_cancelled = taking.report.num_images < total
                break
    finally:
        taking.save()
    return taking.report


class _Taking:
    def __init__(self, dataset: Dataset, sources: Sequence[CaptionSource]) -> None:
        self._dataset = dataset
        self._memories = {source: Memory(dataset, source) for source in sources}
        self._roots = {root.id: Path(root.path) for root in dataset.roots()}
        self._group = f"captions-{secrets.token_hex(6)}"
        self.report = CaptionReport()

    def take(self, images: Sequence[Image]) -> None:
        changes: list[CaptionChange] = []
        seen: dict[CaptionSource, list[str]] = {source: [] for source in self._memories}
        ids = [image.id for image in images]
        known: dict[str, dict[tuple[int, str], Caption]] = {
            source: {(row.image_id, row.external_id): row for row in captions_from(self._dataset, source, ids)}
            for source in self._memories
        }
        for image in images:
            said = {caption.text.strip() for caption in self._dataset.captions_of(image.id)}
            for source in self._memories:
                written = self._written(image, source)
                if written.note:
                    self.report.note(written.note)
                for key, text in written.texts.items():
                    seen[source].append(f"c{image.id}:{key}")
                    changes += self._change(image, source, key, text, known[source].get((image.id, key)), said)
        self.report.num_images += len(images)
        if changes:
            self._dataset.apply(Edit("Take in captions", tuple(changes)), actor="import", group=self._group)
        for source, names in seen.items():
            self._memories[source].remember(names)

    def _written(self, image: Image, source: CaptionSource) -> Written:
        root = self._roots[image.root_id]
        path = root / image.path
        return texts_beside(path, root) if source == "sidecar" else embedded_texts(path)

    def _change(
        self, image: Image, source: CaptionSource, key: str, text: str, old: Caption | None, said: set[str]
    ) -> list[CaptionChange]:
        """What becomes of one text; ``said`` are the captions that the image has, and is added to."""
        was_here = self._memories[source].was_here(f"c{image.id}:{key}")
        if text in said:
            self.report.num_known += 1
            return []
        if old is None and was_here:
            self.report.num_kept += 1
            return []
        if old is not None and old.origin is not Origin.IMPORTED:
            self.report.num_kept += 1
            return []
        said.add(text)
        if old is not None:
            self.report.num_updated += 1
            return [CaptionChange(old, Caption(old.id, image.id, text, Origin.IMPORTED, source, key))]
        self.report.num_added += 1
        return [
            CaptionChange(None, Caption(self._dataset.next_caption_id(), image.id, text, Origin.IMPORTED, source, key))
        ]

    def save(self) -> None:
        for memory in self._memories.values():
            memory.save()


def _images(dataset: Dataset, image_ids: Sequence[int] | None) -> Iterator[Image]:
    if image_ids is not None:
        yield from dataset.images(image_ids)
        return
    last, wanted = 0, ImageFilter(order="id")
    while page := dataset.image_page(wanted, after_id=last, limit=_PAGE):
        yield from page
        last = page[-1].id
