"""The card of an exported data set: what is in it, who made it, and what it must not be taken for."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from locstudio import __version__
from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Origin, Review
from locstudio.domain.text import shown
from locstudio.interchange.writing import Embeddings, Page

NAME = "DATA_CARD.md"
_MAX_CLASSES = 50
_MAKERS = {
    Origin.HUMAN: "drawn by a person",
    Origin.IMPORTED: "imported from a file",
    Origin.MODEL: "proposed by a model",
    Origin.EDITED: "imported or proposed, then changed by a person",
}


class DataCard:
    """Counts what is written, page by page."""

    def __init__(self, names: Mapping[int, str], embeddings: Embeddings | None) -> None:
        self._names = names
        self._embeddings = embeddings
        self._regions: Counter[tuple[Origin, Review]] = Counter()
        self._classes: Counter[str] = Counter()
        self._splits: Counter[str] = Counter()
        self._captions: Counter[Origin] = Counter()
        self._labels: Counter[tuple[Origin, Presence]] = Counter()
        self._num_embedded = 0

    def add(self, page: Page, num_embedded: int) -> None:
        """Count a page."""
        self._splits[page.image.split] += 1
        self._captions.update(caption.origin for caption in page.captions)
        self._labels.update((label.origin, label.presence) for label in page.labels)
        self._regions.update((region.origin, region.review) for region in page.regions)
        self._classes.update(self._names.get(region.class_id or 0, "") for region in page.regions)
        self._num_embedded += num_embedded

    def write(self, folder: Path, layout: str) -> None:
        """Write the card into the folder of the export; ``layout`` says what its files are."""
        (folder / NAME).write_text(self._text(layout), encoding="utf-8")

    def _text(self, layout: str) -> str:
        num_regions = self._regions.total()
        lines = ["# Data card", "", f"Written by LocStudio {__version__}; read again and compared with its source.", ""]
        counts = f"{self._splits.total()} images, {num_regions} regions, {self._captions.total()} captions"
        lines += [f"{counts}, {self._labels.total()} labels of images.", ""]
        lines += ["## Who made the regions, and what a person has said of them", ""]
        lines += [f"| origin | {' | '.join(Review)} |", f"| --- {'| ---: ' * len(Review)}|"]
        for origin in Origin:
            reviewed = " | ".join(str(self._regions[origin, review]) for review in Review)
            lines.append(f"| {origin}: {_MAKERS[origin]} | {reviewed} |")
        lines += ["", "Regions that a model proposed and nobody accepted are guesses; do not measure with them.", ""]
        if self._captions:
            lines += ["Captions: " + ", ".join(f"{count} {origin}" for origin, count in sorted(self._captions.items()))]
            lines += [""]
        if self._labels:
            lines += ["## What is said of the classes of whole images", "", f"| origin | {' | '.join(Presence)} |"]
            lines += [f"| --- {'| ---: ' * len(Presence)}|"]
            for origin in Origin:
                said = " | ".join(str(self._labels[origin, presence]) for presence in Presence)
                lines.append(f"| {origin} | {said} |")
            lines += ["", "Of a class that an image says nothing of, it is not known whether it is there.", ""]
        lines += ["## Embeddings", "", self._about_embeddings(num_regions), "", "## Classes", ""]
        lines += [
            f"- {count} x {_literal(name) or '(none)'}" for name, count in self._classes.most_common(_MAX_CLASSES)
        ]
        if len(self._classes) > _MAX_CLASSES:
            lines.append(f"- and {len(self._classes) - _MAX_CLASSES} more")
        lines += ["", "## Splits", ""]
        lines += [f"- {count} x {_literal(split) or '(none)'}" for split, count in self._splits.most_common()]
        lines += [
            "",
            "## Files",
            "",
            layout,
            "",
            "Boxes are corners, x0, y0, x1, y1, of the upright image: as shares of",
        ]
        lines += ["its sides, and in pixels. Whose the pictures are, this card cannot know.", ""]
        return "\n".join(lines)

    def _about_embeddings(self, num_regions: int) -> str:
        if self._embeddings is None:
            return "None: the project has no search index of the checkpoint in use."
        return (
            f"{self._num_embedded} of {num_regions} regions, {self._embeddings.dim} values of 16 bits each, of length "
            f"one, made by the checkpoint `{self._embeddings.checkpoint_id}`. Compare them with no other checkpoint's."
        )


def _literal(text: str) -> str:
    """Text of strangers, which Markdown shall show and not follow."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>()#+-.!|&" else sign for sign in shown(text))
