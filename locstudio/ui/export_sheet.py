"""The sheet that writes annotations out: in which format, what it holds, which regions, and where to."""

import os
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QFileDialog, QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from locstudio.domain.regions import Review
from locstudio.domain.text import shown
from locstudio.interchange.formats import FORMATS, Format
from locstudio.ui.plain_text import label
from locstudio.ui.transfer_sheet import TransferSheet

_REVIEWS = {
    Review.ACCEPTED: "Accepted",
    Review.PENDING: "Pending",
    Review.REJECTED: "Rejected",
}


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """Where to export to, and what."""

    destination: Path
    format: str
    reviews: frozenset[Review]


class ExportSheet(TransferSheet):
    """Lets a person choose, and emits one wish.

    Signals:
        start_wanted: the ``ExportChoice``; the sheet closes itself.
    """

    start_wanted = Signal(object)

    def __init__(self, folder: Path, stem: str, parent: QWidget | None = None) -> None:
        """``folder`` and ``stem`` are where an export goes, and what it is called, until the person says otherwise."""
        super().__init__(
            "Export annotations",
            "Regions, classes, captions and labels as files for other programs. Images are referred to, and stay where "
            "they are.",
            "It is read again and compared before it is done.",
            "Export",
            parent,
        )
        self._folder, self._stem = folder, stem
        self._is_named = False
        self._format = QComboBox(self)
        self._format.setAccessibleName("Format")
        for kind in FORMATS.values():
            if kind.writer is not None:
                self._format.addItem(kind.title, kind.name)
        self._format.setCurrentIndex(self._format.findData("coco"))
        self._to = QLineEdit(self)
        self._to.setAccessibleName("File or folder to write")
        choose = QPushButton("Choose…", self)
        choose.setAutoDefault(False)
        choose.clicked.connect(self._ask_destination)
        self.add_row("Format", self._format)
        self._holds: QLabel = self.add_words()
        self.add_row("To", self._to, choose)
        self.column.addSpacing(4)
        self.column.addWidget(label("Which regions", "section", self))
        self.column.addLayout(self._make_reviews())
        self.finish()
        self._to.setFocus()  # where Return starts
        self._format.currentIndexChanged.connect(self._on_format_changed)
        self._to.textEdited.connect(self._on_named)
        self._to.textChanged.connect(self._show)
        self.start.clicked.connect(self._on_start)
        self._on_format_changed()

    def _make_reviews(self) -> QHBoxLayout:
        self._reviews: dict[Review, QCheckBox] = {}
        row = QHBoxLayout()
        row.setSpacing(16)
        for review, words in _REVIEWS.items():
            box = self._reviews[review] = QCheckBox(words, self)
            box.toggled.connect(self._show)
            row.addWidget(box)
        row.addStretch()
        return row

    @property
    def kind(self) -> Format:
        """The format that is chosen."""
        return FORMATS[self._format.currentData()]

    @property
    def choice(self) -> ExportChoice:
        """What the person has chosen so far."""
        reviews = frozenset(review for review, box in self._reviews.items() if box.isChecked())
        return ExportChoice(Path(self._to.text().strip()), self.kind.name, reviews)

    def _ask_destination(self) -> None:
        kind = self.kind
        wanted = "" if kind.is_folder else f"{kind.title} ({' '.join(f'*{suffix}' for suffix in kind.suffixes)})"
        title = f"Name of the new {'folder' if kind.is_folder else 'file'}"
        # Qt would ask whether to overwrite, which is never done.
        options = QFileDialog.Option.DontConfirmOverwrite
        name, _ = QFileDialog.getSaveFileName(self, title, self._to.text(), wanted, options=options)
        if name:
            self._is_named = True
            self._to.setText(name)

    def _on_named(self) -> None:
        self._is_named = bool(self._to.text())

    def _on_format_changed(self) -> None:
        kind = self.kind
        self._holds.setText(holds(kind))
        for review, box in self._reviews.items():
            box.setChecked(review is Review.ACCEPTED or (review is Review.PENDING and kind.carries.reviews))
            box.setEnabled(kind.carries.regions)
        if not self._is_named:
            self._to.setText(str(_free(self._folder, self._stem, kind)))
        self._show()

    def _show(self) -> None:
        text = self._to.text().strip()
        problem, is_said = "", True
        if not text:
            problem, is_said = "Choose a name.", False
        elif os.path.lexists(text):
            problem = f"{shown(text)} is there already; an export never overwrites. Choose another name."
        elif not Path(text).absolute().parent.is_dir():
            problem = f"There is no folder {shown(str(Path(text).absolute().parent))}."
        elif self.kind.carries.regions and not self.choice.reviews:
            problem = "Choose which regions."
        self.show_problem(problem, is_said=is_said)

    def _on_start(self) -> None:
        self.start_wanted.emit(self.choice)
        self.accept()


def holds(kind: Format) -> str:
    """What a format holds, and what it leaves out, in two sentences."""
    carries = kind.carries
    parts = {
        "boxes": carries.regions,
        "classes": True,
        "labels of images": carries.labels,
        "phrases": carries.phrases,
        "captions": carries.captions,
        "masks": carries.polygons,
        "scores": carries.scores,
        "reviews": carries.reviews,
        "who made what": carries.origins,
    }
    kept = [name for name, is_held in parts.items() if is_held]
    lost = [name for name, is_held in parts.items() if not is_held]
    words = f"{'A folder' if kind.is_folder else 'One file'} with {_listed(kept)}."
    return f"{words} Left out: {_listed(lost)}." if lost else words


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _free(folder: Path, stem: str, kind: Format) -> Path:
    """A name that nothing has yet."""
    suffix = "" if kind.is_folder else kind.suffixes[0]
    path, number = folder / f"{stem}-{kind.name}{suffix}", 2
    while os.path.lexists(path):
        path, number = folder / f"{stem}-{kind.name}-{number}{suffix}", number + 1
    return path
