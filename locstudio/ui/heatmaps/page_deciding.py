"""Decisions of the heatmaps page on their way to the dataset and back, and what the dataset says since.

A decision is shown at once and the next tile is current before the edit is on disk; if the dataset refuses it, the
tile is as it was.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PySide6.QtCore import QObject, Signal

from locstudio.domain.edits import Edit
from locstudio.domain.errors import UserError
from locstudio.services.heat.known import PRESENCES
from locstudio.store.dataset import Dataset
from locstudio.ui.background import DatasetWorker
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.working_model import Rows
from locstudio.ui.heatmaps.page import HeatPage
from locstudio.ui.heatmaps.page_reading import HeatBase, edit_of
from locstudio.ui.heatmaps.page_table import HeatTable

_READ_ONLY = "This project is open read-only: look and sort, but labels are refused."


@dataclass(slots=True, eq=False)
class _Decision:
    """One decision that is not on disk yet: what is shown as decided, and the edit, once the worker has made it."""

    table: HeatTable
    positions: Rows
    edit: Edit | None = None


class _NothingToDo(UserError):
    """The dataset says so already."""


class HeatDeciding(QObject):
    """Says what a person decides, and keeps up with every edit, wherever it comes from.

    Signals:
        decided: something is shown as decided, or no longer.
        followed: edits of elsewhere that ``base`` knows of now, a list.
        said: a sentence for the status line.
    """

    decided = Signal()
    followed = Signal(list)
    said = Signal(str)

    def __init__(
        self, dataset: Dataset, editing: Editing, page: HeatPage, reads: DatasetWorker, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._editing = editing
        self._page = page
        self._reads = reads
        self._in_flight: deque[_Decision] = deque()
        self._to_follow: list[Edit] = []
        self._own: list[_Decision] = []
        self._is_following = False
        self.base: HeatBase | None = None
        self.num_edits = 0
        page.grid.decided.connect(self.decide)
        editing.applied.connect(self._on_applied)

    @property
    def is_busy(self) -> bool:
        """Whether a decision is on its way, or edits are not followed yet."""
        return bool(self._in_flight) or self._is_following

    def set_base(self, base: HeatBase | None) -> None:
        """Speak of this heat from now on; it knows of every edit so far."""
        self.base = base
        self._to_follow = []

    def decide(self, positions: Rows, code: int) -> None:
        """Say this of rows of the table, show it at once, and go on."""
        base, table = self.base, self._page.model.table
        if base is None or not len(positions):
            return
        if self._dataset.is_read_only:
            self.said.emit(_READ_ONLY)
            return
        decision = _Decision(table, positions)
        self._in_flight.append(decision)
        self._page.model.mark(positions, code)
        self._page.grid.advance()
        self.decided.emit()
        checkpoint_id = base.book.checkpoint_id

        def make() -> Edit:
            edit = edit_of(self._dataset, table, positions, PRESENCES[code], checkpoint_id)
            if not edit.changes:
                raise _NothingToDo("That is so already.")
            decision.edit = edit
            return edit

        self._editing.apply_made(make, partial(self._on_refused, decision))

    def _on_refused(self, decision: _Decision, error: Exception) -> None:
        self._in_flight.remove(decision)
        self._unmark([decision])
        self.decided.emit()
        if not isinstance(error, _NothingToDo):
            self.said.emit(str(error))

    def _on_applied(self, edit: Edit) -> None:
        self.num_edits += 1
        if self.base is not None:
            self._to_follow.append(edit)
            self._follow_next()

    def _follow_next(self) -> None:
        """Learn what the dataset says since these edits; others wait meanwhile, so that none is overtaken."""
        base = self.base
        if self._is_following or not self._to_follow or base is None:
            return
        edits, self._to_follow = self._to_follow, []
        self._is_following = True
        self._reads.ask(
            _after,
            base,
            edits,
            self._dataset,
            on_result=lambda found: self._on_followed(base, found, edits),
            on_error=self._on_lost,
        )

    def _on_followed(self, before: HeatBase, found: HeatBase, edits: list[Edit]) -> None:
        self._is_following = False
        if self.base is not None and self.base.book is before.book:
            self.base = HeatBase(found.runs, found.classes, found.book, found.known, self.base.disagreement)
            model = self._page.model
            model.set_table(model.table.with_presence(self.base.presence_of(model.table)))
        own = [decision for decision in self._in_flight if any(decision.edit is edit for edit in edits)]
        for decision in own:
            self._in_flight.remove(decision)
        self._unmark(own)
        self.decided.emit()
        others = [edit for edit in edits if not any(decision.edit is edit for decision in own)]
        if others:
            self.followed.emit(others)
        self._follow_next()

    def _on_lost(self, error: Exception) -> None:
        self._is_following = False
        self.said.emit(str(error))
        self._follow_next()

    def _unmark(self, decisions: Sequence[_Decision]) -> None:
        """Show these as the table has them, unless something else is on its way for them."""
        shown = self._page.model.table.image_ids
        for decision in decisions:
            if decision.table.image_ids is shown:
                others = [other.positions for other in self._in_flight if other.table.image_ids is shown]
                still = np.concatenate(others) if others else np.empty(0, np.int64)
                self._page.model.unmark(np.setdiff1d(decision.positions, still))


def _after(base: HeatBase, edits: list[Edit], dataset: Dataset) -> HeatBase:
    for edit in edits:
        base = base.after(edit, dataset)
    return base
