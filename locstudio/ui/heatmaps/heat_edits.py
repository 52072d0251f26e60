"""What a person says and paints of the heat of the open image, as edits on their way to the dataset."""

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QObject, Signal

from locstudio.domain.edits import Edit
from locstudio.domain.errors import UserError
from locstudio.domain.geometry import UnitBox, iou_matrix
from locstudio.domain.heat_corrections import Stroke
from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Image
from locstudio.services.heat.deciding import say
from locstudio.services.heat.new_class import say_by_name
from locstudio.services.heat.painting import corrections_on, erase, paint, region_from_heat
from locstudio.store.dataset import Dataset
from locstudio.ui.editing import Editing
from locstudio.ui.heatmaps.brush_tool import BrushKind
from locstudio.ui.heatmaps.class_rows import ClassRow

_SAME = 0.95  # IoU of a box that is there already


class HeatEdits(QObject):
    """Makes edits on the worker, of what the dataset holds by then.

    Signals:
        refused: a sentence; what was shown of the edit must be taken back.
    """

    refused = Signal(str)

    def __init__(self, dataset: Dataset, editing: Editing, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._editing = editing

    @property
    def is_idle(self) -> bool:
        """Whether every edit has come back from the worker."""
        return self._editing.is_idle

    def say(self, image: Image, row: ClassRow, presence: Presence) -> None:
        """Say whether a class is in an image; one that is not in the vocabulary comes into it."""
        if row.class_id:
            self._apply(lambda: say(self._dataset, image.id, row.class_id, presence), "That is what it says already.")
        else:
            self._apply(lambda: say_by_name(self._dataset, image.id, row.name, presence), "")

    def stroke(self, image: Image, row: ClassRow, kind: BrushKind, stroke: Stroke, checkpoint_id: str) -> None:
        """Store a stroke, or take away what it goes over."""
        evidence = kind.evidence
        if evidence is None:
            self._apply(
                lambda: erase(image, row.class_id, stroke, corrections_on(self._dataset, image.id, row.class_id)),
                "Nothing was painted here that could be erased.",
            )
            return
        self._apply(
            lambda: paint(
                image,
                row.class_id,
                evidence,
                stroke,
                new_id=self._dataset.next_correction_id(),
                checkpoint_id=checkpoint_id,
            ),
            "",
        )

    def take_box(self, image: Image, row: ClassRow, box: UnitBox) -> None:
        """Make a region of a box around heat."""

        def make() -> Edit:
            held = [
                region.box.as_tuple()
                for region in self._dataset.regions_of(image.id)
                if region.class_id == row.class_id and region.is_ground_truth
            ]
            new_14 = np.array([box.as_tuple()], np.float32)
            if held and iou_matrix(new_14, np.array(held, np.float32)).max() >= _SAME:
                raise UserError(f"This box of {row.name} is there already.")
            return region_from_heat(self._dataset, image, row.class_id, [box])

        self._apply(make, "")

    def _apply(self, make: Callable[[], Edit], nothing: str) -> None:
        def made() -> Edit | None:
            edit = make()
            if not edit.changes:
                if nothing:
                    raise UserError(nothing)
                return None
            return edit

        self._editing.apply_made(made, lambda error: self.refused.emit(str(error)))
