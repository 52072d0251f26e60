"""The sheet that starts a VESL run: in which images, what to look for, and who describes and who finds."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.domain.text import counted
from locstudio.jobs.configs import CaptionerName, DetectorName, Vesl
from locstudio.ui import theme
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label, shown
from locstudio.ui.training.preset_card import PresetCard

_WIDTH = 640
_CAPTIONERS: dict[CaptionerName, str] = {
    "own": "Nobody: look for the class names there",
    "classes": "A plain sentence of the classes that are found",
    "coca": "CoCa (open_clip)",
    "blip": "BLIP (transformers)",
    "florence2": "Florence-2 (transformers)",
}
_DETECTORS: dict[DetectorName, str] = {
    "own": "The model in use",
    "closer": "The model in use, with a closer look (five times as long)",
    "owlv2": "OWLv2 (transformers)",
    "grounding_dino": "Grounding DINO (transformers)",
}
_OURS = ("own", "closer", "classes")
_MODEL_HINT = "Folder with its weights, or its hub tag"


@dataclass(frozen=True, slots=True)
class ProposeMaterial:
    """What there is to propose for.  ``open_name`` is the name of the open image, ``open_id`` 0 where none is open."""

    num_images: int = 0
    num_captioned: int = 0
    num_classes: int = 0
    selected_ids: tuple[int, ...] = ()
    open_id: int = 0
    open_name: str = ""


class ProposeSheet(QDialog):
    """Lets a person choose, and emits one wish.

    Signals:
        start_wanted: the ``Vesl`` to run; the sheet closes itself.
    """

    start_wanted = Signal(object)

    def __init__(
        self,
        material: ProposeMaterial,
        problem_of: Callable[[Vesl], str] = lambda _: "",
        parent: QWidget | None = None,
    ) -> None:
        """``problem_of`` says in a sentence why a choice cannot be run here; empty where it can."""
        super().__init__(parent)
        self.setWindowTitle("Propose regions")
        self.setAccessibleName("Propose regions")
        self._material = material
        self._problem_of = problem_of
        self._start = QPushButton("Propose", self)
        self._start.setProperty("role", "primary")
        self._start.setDefault(True)
        self._start.clicked.connect(self._on_start)
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 16)
        column.setSpacing(10)
        column.addWidget(label("Propose regions", "title", self))
        words = label("A model looks for what is said about each image. You accept or reject what it finds.", "muted")
        words.setWordWrap(True)
        column.addWidget(words)
        column.addSpacing(4)
        column.addWidget(label("In which images", "section", self))
        column.addLayout(self._make_images())
        column.addSpacing(4)
        column.addWidget(label("What to look for", "section", self))
        column.addLayout(self._make_phrases())
        column.addWidget(self._words)
        column.addSpacing(4)
        column.addLayout(self._make_models())
        column.addWidget(self._make_problem())
        column.addStretch()
        column.addLayout(self._make_buttons())
        column.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)  # the height follows the words, see event
        self.setFixedWidth(_WIDTH)
        theme.notifier.changed.connect(self._draw_sign)
        self._draw_sign()
        self._on_changed()

    # building ---------------------------------------------------------------------------------------------------

    def _make_images(self) -> QHBoxLayout:
        material = self._material
        self._images = QButtonGroup(self)
        self._all = PresetCard("All", "Every image of the project", f"{material.num_images:,}", self)
        self._selected = PresetCard(
            "Selected", "What is selected in the collection", f"{len(material.selected_ids):,}", self
        )
        name = shown(material.open_name, 24) or "No image is open"
        self._open = PresetCard("Open image", name, "1" if material.open_id else "0", self)
        self._selected.setEnabled(len(material.selected_ids) > 0)
        self._open.setEnabled(material.open_id > 0)
        first = self._selected if len(material.selected_ids) > 1 else self._all
        return self._make_cards(self._images, (self._all, self._selected, self._open), first)

    def _make_phrases(self) -> QHBoxLayout:
        material = self._material
        self._sources = QButtonGroup(self)
        captioned = "all have one" if material.num_captioned == material.num_images else f"{material.num_captioned:,}"
        self._captions = PresetCard("Captions", "The phrases of each image's captions", captioned, self)
        self._names = PresetCard("Classes", "The names of the project's classes", f"{material.num_classes:,}", self)
        self._typed = PresetCard("Words", "What you type, in every image", "", self)
        self._words = QLineEdit(self)
        self._words.setPlaceholderText("a brown dog, a red car, traffic light")
        self._words.setAccessibleName("Words to look for, with commas between")
        self._words.textChanged.connect(self._on_changed)
        self._words.hide()
        self._names.setEnabled(material.num_classes > 0)
        first = self._captions if material.num_captioned else self._names if material.num_classes else self._typed
        return self._make_cards(self._sources, (self._captions, self._names, self._typed), first)

    def _make_cards(self, group: QButtonGroup, cards: tuple[PresetCard, ...], first: PresetCard) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        for card in cards:
            group.addButton(card.button)
            row.addWidget(card, 1)
        first.button.setChecked(True)
        for card in cards:
            card.button.toggled.connect(lambda is_on: self._on_changed() if is_on else None)
        return row

    def _make_models(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        self._captioner = _combo("Who describes an image without a caption", _CAPTIONERS, self)
        self._captioner_model = _model_line("Weights of the captioner", self)
        self._detector = _combo("Who finds the boxes", _DETECTORS, self)
        self._detector_model = _model_line("Weights of the detector", self)
        self._captioner_label = label("Without a caption", "muted", self)
        for row, (words, combo, line) in enumerate(
            (
                (self._captioner_label, self._captioner, self._captioner_model),
                (label("Finds the boxes", "muted", self), self._detector, self._detector_model),
            )
        ):
            grid.addWidget(words, 2 * row, 0)
            grid.addWidget(combo, 2 * row, 1)
            grid.addWidget(line, 2 * row + 1, 1)
            combo.currentIndexChanged.connect(self._on_changed)
            line.textChanged.connect(self._on_changed)
        return grid

    def _make_problem(self) -> QWidget:
        self._problem_box = QFrame(self)
        self._problem_box.setProperty("role", "bar")
        self._sign = label("", "", self._problem_box)
        self._problem = label("", "", self._problem_box)
        self._problem.setWordWrap(True)
        row = QHBoxLayout(self._problem_box)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(10)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._problem, 1)
        return self._problem_box

    def _make_buttons(self) -> QHBoxLayout:
        promise = label("Go on meanwhile, or close the window: it is found again.", "muted", self)
        promise.setWordWrap(True)
        cancel = QPushButton("Cancel", self)
        cancel.clicked.connect(self.reject)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(promise, 1)
        row.addWidget(cancel)
        row.addWidget(self._start)
        return row

    # what is chosen ---------------------------------------------------------------------------------------------

    @property
    def choice(self) -> Vesl:
        """What the person has chosen so far."""
        material = self._material
        if self._selected.button.isChecked():
            image_ids = material.selected_ids
        else:
            image_ids = (material.open_id,) if self._open.button.isChecked() else ()
        has_captions = self._captions.button.isChecked()
        typed = tuple(dict.fromkeys(filter(None, (" ".join(part.split()) for part in self._words.text().split(",")))))
        return Vesl(
            image_ids=image_ids,
            captioner=self._captioner.currentData() if has_captions else "own",
            captioner_model=_source(self._captioner_model) if has_captions else "",
            detector=self._detector.currentData(),
            detector_model=_source(self._detector_model),
            phrases=typed if self._typed.button.isChecked() else (),
            has_class_names=self._names.button.isChecked(),
        )

    @property
    def problem(self) -> str:
        """Why it cannot be started; empty where it can."""
        return "" if self._problem_box.isHidden() else self._problem.text()

    @property
    def can_start(self) -> bool:
        """Whether nothing speaks against it."""
        return self._start.isEnabled()

    def _on_changed(self) -> None:
        is_typed = self._typed.button.isChecked()
        self._words.setVisible(is_typed)
        if is_typed and self.isVisible() and not self._words.text():
            self._words.setFocus()
        is_asked = self._captions.button.isChecked() and self._material.num_captioned < self._material.num_images
        self._captioner_label.setVisible(is_asked)
        self._captioner.setVisible(is_asked)
        self._captioner_model.setVisible(is_asked and self._captioner.currentData() not in _OURS)
        self._detector_model.setVisible(self._detector.currentData() not in _OURS)
        problem = self._missing() or self._problem_of(self.choice)
        self._problem.setText(shown(problem, 400))
        self._problem_box.setVisible(bool(problem) and not (is_typed and not self._words.text()))
        self._start.setEnabled(not problem)
        chosen = len(self.choice.image_ids) or self._material.num_images
        self._start.setText(f"Propose in {counted(chosen, 'image')}")

    def _missing(self) -> str:
        if self._material.num_images == 0:
            return "The project has no images yet."
        if self._typed.button.isChecked() and not self.choice.phrases:
            return "Type what to look for."
        choice = self.choice
        for who, model in ((choice.detector, choice.detector_model), (choice.captioner, choice.captioner_model)):
            if who not in _OURS and not model:
                name = (_DETECTORS | _CAPTIONERS)[who]
                return f"{name} needs its weights: name their folder, or the tag that the hub has them under."
        return ""

    def _draw_sign(self) -> None:
        self._sign.setPixmap(drawn.pixmap("warning", 18, theme.current().warning))

    def _on_start(self) -> None:
        self.start_wanted.emit(self.choice)
        self.accept()

    def event(self, event: QEvent) -> bool:
        """The sheet is as high as what it says, and shrinks with it."""
        is_laid_out = event.type() == QEvent.Type.LayoutRequest  # asked before: another event may end the sheet
        is_done = super().event(event)
        if is_laid_out:
            self.resize(_WIDTH, self._column.totalHeightForWidth(_WIDTH))
        return is_done


def _combo(name: str, choices: Mapping[Any, str], parent: QWidget) -> QComboBox:
    combo = QComboBox(parent)
    combo.setAccessibleName(name)
    for value, words in choices.items():
        combo.addItem(words, value)
    return combo


def _source(line: QLineEdit) -> str:
    """A folder, written out in full, or a tag."""
    return os.path.expanduser(line.text().strip())


def _model_line(name: str, parent: QWidget) -> QLineEdit:
    line = QLineEdit(parent)
    line.setAccessibleName(name)
    line.setPlaceholderText(_MODEL_HINT)
    return line
