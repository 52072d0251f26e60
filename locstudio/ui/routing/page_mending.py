"""Labels that are put right in the gallery of an expert: another class, or none, in one undo step."""

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject, Signal

from locstudio.domain.edits import Edit
from locstudio.domain.errors import UserError
from locstudio.domain.image_labels import Presence
from locstudio.services.heat.deciding import say_of_many
from locstudio.services.image_classes import say_instead, shown_now
from locstudio.store.dataset import Dataset
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.working_model import Rows
from locstudio.ui.routing.class_picker import ClassPicker
from locstudio.ui.routing.page import ExpertPage
from locstudio.ui.routing.page_reading import RoutingBase
from locstudio.ui.routing.page_telling import choices_for

_READ_ONLY = "This project is open read-only: look and sort, but labels are refused."


class ExpertMending(QObject):
    """Asks for a class and says it of the images that are chosen.

    Signals:
        said: a sentence for the status line.
    """

    said = Signal(str)

    def __init__(self, dataset: Dataset, editing: Editing, page: ExpertPage, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._editing = editing
        self._page = page
        self._picker: ClassPicker | None = None

    def ask_class(self, base: RoutingBase | None) -> None:
        """Open the sheet on which the class of what is chosen is said."""
        page = self._page
        chosen = page.gallery.grid.chosen()
        if base is None or not len(chosen) or self._is_refused():
            return
        choices = choices_for(base, chosen)
        if not choices:
            self.said.emit("This project has no classes yet.")
            return
        told = self._told(chosen)  # now: rows may be others when the sheet is closed
        picker = self._picker = ClassPicker(choices, len(chosen), page.window())
        picker.chosen.connect(lambda class_id: self._relabel(told, class_id))
        picker.finished.connect(picker.deleteLater)
        picker.open()

    @property
    def picker(self) -> ClassPicker | None:
        """The sheet that was opened last."""
        return self._picker

    def _relabel(self, told: Mapping[int, int], class_id: int) -> None:
        """Say that images show this class instead of what they are said to show by then."""
        self._mend(
            lambda: say_instead(self._dataset, shown_now(self._dataset, told), class_id),
            "That is what they say already.",
        )

    def deny(self) -> None:
        """Say that what is chosen does not show the class that it is said to show."""
        chosen = self._page.gallery.grid.chosen()
        if not len(chosen) or self._is_refused():
            return
        told = self._told(chosen)

        def make() -> Edit:
            pairs = [pair for pair in shown_now(self._dataset, told).items() if pair[1]]
            if not pairs:
                raise UserError("Nothing is said of it that could be denied; change its class instead.")
            return say_of_many(self._dataset, pairs, Presence.NEGATIVE)

        self._mend(make, "It has boxes of the class: change its class instead, or delete them in the collection.")

    def _told(self, positions: Rows) -> dict[int, int]:
        """For each image the class that its tile shows, 0 for none."""
        model = self._page.model
        classes = [model.told_class(int(position)) for position in positions]
        return dict(zip(model.image_ids(positions), classes, strict=True))

    def _is_refused(self) -> bool:
        if self._dataset.is_read_only:
            self.said.emit(_READ_ONLY)
        return self._dataset.is_read_only

    def _mend(self, make: Callable[[], Edit], nothing: str) -> None:
        def made() -> Edit:
            edit = make()
            if not edit.changes:
                raise UserError(nothing)
            return edit

        self._editing.apply_made(made, lambda error: self.said.emit(str(error)))
        self._page.gallery.grid.advance()
