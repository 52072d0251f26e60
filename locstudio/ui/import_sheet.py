"""The sheet that takes annotations in: from where, in which format, with images from where, and as what."""

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from locstudio.domain.regions import Review
from locstudio.interchange.formats import FORMATS, Format, guess_format
from locstudio.services.importing import ImportOptions, default_image_root
from locstudio.ui.background import LatestOnly
from locstudio.ui.plain_text import label
from locstudio.ui.training.preset_card import PresetCard
from locstudio.ui.transfer_sheet import TransferSheet


@dataclass(frozen=True, slots=True)
class ImportChoice:
    """What to import, and how."""

    path: Path
    image_root: Path
    format: str
    options: ImportOptions


class ImportSheet(TransferSheet):
    """Lets a person choose, and emits one wish.

    Signals:
        start_wanted: the ``ImportChoice``; the sheet closes itself.
        guessed: the sheet has looked at the file or folder that is named, and says what it looks like.
    """

    start_wanted = Signal(object)
    guessed = Signal()

    def __init__(self, path: Path | None = None, parent: QWidget | None = None) -> None:
        super().__init__(
            "Import annotations",
            "Regions, classes, captions and labels of a file or folder; or folders of images that are named like their "
            "classes. What you have corrected here is never overwritten, and one undo takes all of it back.",
            "A report says what came in and what did not.",
            "Import",
            parent,
        )
        self._problem_of_path = ""
        self._has_own_images = False
        self._looking = LatestOnly(self)
        self._looking.arrived.connect(self._on_guessed)
        self._looking.failed.connect(self._on_not_read)
        self._path = _line("File or folder of annotations", self)
        self._format = QComboBox(self)
        self._format.setAccessibleName("Format")
        self._format.addItem("Choose a format", "")
        for kind in FORMATS.values():
            if not kind.is_out_only:
                self._format.addItem(kind.title, kind.name)
        self._images = _line("Folder of the images", self)
        self.add_row(
            "From", self._path, _button("File…", self, self._ask_file), _button("Folder…", self, self._ask_folder)
        )
        self.add_row("Format", self._format)
        self._guess: QLabel = self.add_words()
        self.add_row("Images", self._images, _button("Folder…", self, self._ask_images))
        self.column.addSpacing(4)
        self.column.addWidget(label("The regions are", "section", self))
        self.column.addLayout(self._make_reviews())
        self._rescale = QCheckBox("Scale what was made on images of another size", self)
        self._create = QCheckBox("Make classes for numbers that have no name", self)
        self._group = QCheckBox("Take a COCO file's supercategories as superclasses, for classes that have none", self)
        for box in (self._rescale, self._create, self._group):
            self.column.addWidget(box)
        self.finish()
        self._path.setFocus()  # where Return starts
        self._path.textChanged.connect(self._on_path_changed)
        self._images.textEdited.connect(self._on_images_edited)
        self._images.textChanged.connect(self._show)
        self._format.currentIndexChanged.connect(self._show)
        self.start.clicked.connect(self._on_start)
        self._path.setText(str(path or ""))
        self._show()

    def _make_reviews(self) -> QHBoxLayout:
        self._reviews = QButtonGroup(self)
        self._accepted = PresetCard("Accepted", "People have drawn or checked them", "", self)
        self._pending = PresetCard("Pending", "A model has made them, and they are to be looked at", "", self)
        row = QHBoxLayout()
        row.setSpacing(8)
        for card in (self._accepted, self._pending):
            self._reviews.addButton(card.button)
            row.addWidget(card, 1)
        self._accepted.button.setChecked(True)
        return row

    @property
    def choice(self) -> ImportChoice:
        """What the person has chosen so far."""
        review = Review.ACCEPTED if self._accepted.button.isChecked() else Review.PENDING
        options = ImportOptions(
            review=review,
            rescale=self._rescale.isChecked(),
            create_classes=self._create.isChecked(),
            group_classes=self._group.isChecked(),
        )
        path = Path(self._path.text())
        images = Path(self._images.text()) if self._images.text() else default_image_root(path)
        return ImportChoice(path, images, self._format.currentData(), options)

    def _ask_file(self) -> None:
        suffixes = sorted(
            {f"*{suffix}" for kind in FORMATS.values() if not kind.is_out_only for suffix in kind.suffixes}
        )
        wanted = f"Annotations ({' '.join(suffixes)});;All files (*)"
        file, _ = QFileDialog.getOpenFileName(self, "File of annotations", self._path.text(), wanted)
        if file:
            self._path.setText(file)

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of annotations", self._path.text())
        if folder:
            self._path.setText(folder)

    def _ask_images(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder that the file names start from", self._images.text())
        if folder:
            self._has_own_images = True
            self._images.setText(folder)

    def _on_images_edited(self) -> None:
        self._has_own_images = bool(self._images.text())

    def _on_path_changed(self) -> None:
        self._problem_of_path = ""
        self._guess.setText("")
        self._format.setCurrentIndex(0)
        if self._path.text():
            self._looking.submit(_look_at, Path(self._path.text()))
        self._show()

    def _on_guessed(self, found: tuple[Format | None, Path]) -> None:
        kind, images = found
        self._format.setCurrentIndex(self._format.findData(kind.name) if kind else 0)
        self._guess.setText(_words_for(kind))
        if not self._has_own_images:
            self._images.setText(str(images))
        self._show()
        self.guessed.emit()

    def _on_not_read(self, error: Exception) -> None:
        self._problem_of_path = str(error)
        self._show()
        self.guessed.emit()

    def _show(self) -> None:
        self._guess.setVisible(bool(self._guess.text()))
        if not self._path.text():
            self.show_problem("Choose a file or folder.", is_said=False)
        elif self._problem_of_path:
            self.show_problem(self._problem_of_path)
        else:
            self.show_problem("" if self._format.currentData() else "Choose a format.", is_said=False)
        kind = FORMATS.get(self._format.currentData())
        for card in (self._accepted, self._pending):
            card.setEnabled(kind is None or kind.carries.regions)
        self._group.setEnabled(kind is None or kind.carries.superclasses)

    def _on_start(self) -> None:
        self.start_wanted.emit(self.choice)
        self.accept()


def _words_for(kind: Format | None) -> str:
    if kind is None:
        return "Looks like no format that is known here."
    if kind.name == "folders":
        return f"Looks like {kind.title.lower()}: the images of each folder have the class that it is called."
    return f"Looks like {kind.title}."


def _look_at(path: Path) -> tuple[Format | None, Path]:
    """On a worker: the format that a path seems to be in, and where its images may lie."""
    return guess_format(path, is_named=True), default_image_root(path)


def _line(name: str, parent: QWidget) -> QLineEdit:
    line = QLineEdit(parent)
    line.setAccessibleName(name)
    line.setPlaceholderText(name)
    return line


def _button(text: str, parent: QWidget, act: object) -> QPushButton:
    button = QPushButton(text, parent)
    button.setAutoDefault(False)
    button.clicked.connect(act)
    return button
