"""The picture with everything on it, and the editor of phrases over it."""

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QWidget

from locstudio.domain.regions import LabelClass
from locstudio.ui.canvas.heat_view import HeatView
from locstudio.ui.canvas.phrase_editor import PhraseEditor


class PhraseView(HeatView):
    """Opens the phrase editor at the box that it is about."""

    def __init__(self, allocate_id: Callable[[], int], parent: QWidget | None = None) -> None:
        super().__init__(allocate_id, parent)
        self.phrase_editor = PhraseEditor(self)
        self.phrase_editor.accepted.connect(self._on_phrase_accepted)
        self._phrase_ids: tuple[int, ...] = ()

    def set_classes(self, classes: Sequence[LabelClass]) -> None:
        """Take the vocabulary: names, colours, and what the digits mean."""
        super().set_classes(classes)
        self.phrase_editor.set_classes(classes)

    def set_phrases(self, phrases: Sequence[tuple[str, int]]) -> None:
        """Take the collection's phrases with the number of their uses, for completion."""
        self.phrase_editor.set_phrases(phrases)

    def flush(self) -> None:
        """Ask at once for what is typed or nudged; call it before the project is closed."""
        self.phrase_editor.leave()
        self.editor.flush()

    def edit_phrase(self) -> None:
        """Open the phrase editor at the box that was selected last."""
        self.editor.flush()
        regions = self.editor.selected_regions
        if not regions or self.is_hidden:
            return
        self.select(self.selection)  # into sight
        self._phrase_ids = self.editor.selected
        last = regions[-1]
        self.phrase_editor.open_at(self.screen_rect(last.id), last.phrase, last.class_id, self.editor.last_phrase)

    def _on_phrase_accepted(self, phrase: str, class_id: int | None) -> None:
        # Meant for the boxes that it was opened for, whatever has been selected since.
        self.editor.relabel(phrase, class_id, self._phrase_ids)
