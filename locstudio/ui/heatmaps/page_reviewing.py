"""The flow of the heatmaps page: heat of a run, views of it, and the way between them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal

from locstudio.domain.edits import CorrectionChange, Edit, ImageChange, LabelChange
from locstudio.services.heat.known import UNKNOWN
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.background import DatasetWorker, LatestOnly
from locstudio.ui.browsing import load_items
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.gallery_model import GalleryItem
from locstudio.ui.heatmaps import page_reading as reading
from locstudio.ui.heatmaps.page import HeatPage
from locstudio.ui.heatmaps.page_cells import HeatCells
from locstudio.ui.heatmaps.page_classes import ALL
from locstudio.ui.heatmaps.page_commands import HeatCommand
from locstudio.ui.heatmaps.page_deciding import HeatDeciding
from locstudio.ui.heatmaps.page_detail import Facts
from locstudio.ui.heatmaps.page_model import HeatTile
from locstudio.ui.heatmaps.page_reading import HeatBase, NoHeat
from locstudio.ui.heatmaps.page_table import HeatOrder, HeatTable, HeatView
from locstudio.ui.heatmaps.page_telling import list_classes, say_no_heat, tell, why_empty
from locstudio.ui.heatmaps.page_wish import ORDERS, Wish

_MAX_FOLLOWED = 200
_LOOK_MS = 4_000
_READING = "Reading the heat…"

Pair = tuple[int, int]
"""An image and a class."""


@dataclass(frozen=True, slots=True, eq=False)
class _Built:
    base: HeatBase
    wish: Wish
    table: HeatTable
    go_to: Pair | None


class HeatReviewing(QObject):
    """Reads heat and shows it in three views.

    Signals:
        shown: another view, or another table of the same, is shown.
        open_wanted: an image, and the class whose heat is to be seen there.
        said: a sentence for the status line.
    """

    shown = Signal()
    open_wanted = Signal(int, int)
    said = Signal(str)

    def __init__(
        self,
        project: Project,
        dataset: Dataset,
        editing: Editing,
        page: HeatPage,
        cells: HeatCells,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._project = project
        self._dataset = dataset
        self._page = page
        self._cells = cells
        self._reads = DatasetWorker(self)
        self._views = LatestOnly(self)
        self._views.arrived.connect(self._put)
        self._facts = LatestOnly(self)
        self._facts.arrived.connect(self._on_facts)
        for door in (self._views, self._facts):
            door.failed.connect(lambda error: self.said.emit(str(error)))
        self.deciding = HeatDeciding(dataset, editing, page, self._reads, self)
        self.deciding.said.connect(self.said)
        self.deciding.decided.connect(self._on_decided)
        self.deciding.followed.connect(self._on_followed)
        self.wish = Wish()
        self.run_id = ""
        self._told: Pair | None = None
        self._is_reading = False
        self._looks = QTimer(self, interval=_LOOK_MS)
        self._looks.timeout.connect(self._look)
        self._connect()

    def _connect(self) -> None:
        page = self._page
        page.command_wanted.connect(self.run)
        page.classes.class_chosen.connect(self._on_class_chosen)
        page.classes.min_score_changed.connect(self._on_min_score)
        page.filters.order_changed.connect(self._on_order)
        page.images.image_chosen.connect(lambda image_id: self.show_image(image_id))
        page.images_model.items_wanted.connect(self._read_items)
        page.grid.current_changed.connect(self._on_current)
        page.detail.epoch_chosen.connect(self._read_facts)
        page.head.run_wanted.connect(self.read)
        page.classes.set_min_score(self.wish.min_score)
        page.set_view(self.wish.view)
        self._cells.failed.connect(self.said)

    @property
    def base(self) -> HeatBase | None:
        """The heat that is shown, once it is read."""
        return self.deciding.base

    # heat -------------------------------------------------------------------------------------------------------

    def read(self, run_id: str = "") -> None:
        """Read heat anew: of this run, else of the one that is shown, else of the newest."""
        self.run_id = run_id or self.run_id
        self._is_reading = True
        if self.base is None and not self._looks.isActive():
            self._page.show_empty(True)
            self._page.empty.say("", _READING)
        num_edits = self.deciding.num_edits
        self._reads.ask(
            reading.read_base,
            self._project,
            self._dataset,
            self.run_id,
            on_result=lambda found: self._on_read(found, num_edits),
            on_error=self._on_unreadable,
        )

    def _on_read(self, found: HeatBase | NoHeat, num_edits: int) -> None:
        if self.deciding.is_busy or num_edits != self.deciding.num_edits:
            self.read()  # something was said meanwhile; what was read knows nothing of it
            return
        self._is_reading = False
        self._looks.start()
        page = self._page
        self.run_id = found.book.run.id if isinstance(found, HeatBase) else ""
        page.head.set_runs(found.runs, self.run_id)
        page.show_empty(isinstance(found, NoHeat))
        if isinstance(found, NoHeat):
            self.deciding.set_base(None)
            self._cells.set_reader(None)
            say_no_heat(page, found)
            return
        is_first = self.base is None
        self.deciding.set_base(found)
        self._cells.set_reader(lambda keys: reading.read_cells(found.book, self._dataset, keys))
        page.model.set_classes(found.classes)
        if is_first or not sum(page.model.num_said()):
            self.build()

    def _on_unreadable(self, error: Exception) -> None:
        self._is_reading = False
        self.said.emit(str(error))
        if self.base is None:
            self._page.show_empty(True)
            self._page.empty.say("The heat cannot be read", str(error))

    def _look(self) -> None:
        """Read heat again when the training has come further, while the page is seen."""
        base = self.base
        if self._is_reading or self.deciding.is_busy or not self._page.isVisible():
            return
        if base is None or base.book.heatmaps.is_newer():
            self.read()

    # views ------------------------------------------------------------------------------------------------------

    def build(self, go_to: Pair | None = None) -> None:
        """Make the table of the view anew; then this image and class is current, if it is among them."""
        base = self.base
        if base is not None:
            self._views.submit(_build, base, self.wish, self._dataset, go_to)

    def _put(self, built: _Built) -> None:
        base = self.base
        if base is None or built.base.book is not base.book or built.wish.scope != self.wish.scope:
            return
        self.deciding.base = replace(base, disagreement=built.base.disagreement)
        page, wish = self._page, self.wish
        page.set_view(wish.view)
        page.filters.set_orders(ORDERS[wish.view], wish.order)
        table = built.table.with_presence(self.deciding.base.presence_of(built.table))
        if wish.view is HeatView.ONE_IMAGE:
            ids = reading.images_of_run(self.deciding.base)
            if not np.array_equal(ids, page.images_model.ids):
                page.images_model.set_ids(ids)
            page.images.show_image(wish.image_id)
        self._show_rows(table, built.go_to)
        self.shown.emit()

    def _show_rows(self, table: HeatTable, go_to: Pair | None = None) -> None:
        """Show the rows of a table that meet the wish; those that are decided are left out of what is expected."""
        page, wish = self._page, self.wish
        is_expected = wish.view is HeatView.EXPECTED
        only = frozenset({wish.only}) if is_expected and wish.only != ALL else frozenset()
        rows = table.rows_of(only, wish.min_score if is_expected else 0.0, wish.order)
        if is_expected:
            rows = rows[table.presence[rows] == UNKNOWN]
        page.model.set_rows(table, rows, is_cut=is_expected, is_of_images=wish.view is HeatView.ONE_CLASS)
        place = page.model.place_of(table.place_of(*go_to)) if go_to is not None else -1
        page.grid.go_to(max(place, 0), is_remembered=False)
        page.grid.set_empty_text(why_empty(table, wish))
        self._tell()

    def _tell(self) -> None:
        base = self.base
        if base is not None:
            if self.wish.view is not HeatView.ONE_IMAGE:
                list_classes(self._page, base, self.wish)
            tell(self._page, base, self.wish)

    def _on_decided(self) -> None:
        if self.base is not None:
            tell(self._page, self.base, self.wish)
            if not self.deciding.is_busy:
                self._read_facts(None)

    # wishes -----------------------------------------------------------------------------------------------------

    def run(self, command: HeatCommand) -> None:
        """Do what a command of the page means."""
        tile = self._page.grid.current
        match command:
            case HeatCommand.EXPECTED:
                self._change(replace(self.wish, view=HeatView.EXPECTED), _pair(tile))
            case HeatCommand.ONE_CLASS:
                self.show_class(tile.class_id if tile is not None else 0, _pair(tile))
            case HeatCommand.ONE_IMAGE:
                self.show_image(tile.image_id if tile is not None else 0, _pair(tile))
            case HeatCommand.NEXT | HeatCommand.PREVIOUS:
                pane = self._page.images if self.wish.view is HeatView.ONE_IMAGE else self._page.classes
                pane.step(1 if command is HeatCommand.NEXT else -1)
            case HeatCommand.TIDY:
                self.tidy()
            case HeatCommand.OPEN if tile is not None:
                self.open_wanted.emit(tile.image_id, tile.class_id)

    def show_class(self, class_id: int = 0, go_to: Pair | None = None) -> None:
        """Show one class in all images; 0 for the one that was shown last, or the first."""
        base = self.base
        if base is not None:
            known = base.book.heatmaps.positions
            class_id = class_id or self.wish.class_id or next(iter(known), 0)
            self._change(replace(self.wish, view=HeatView.ONE_CLASS, class_id=class_id), go_to)

    def show_image(self, image_id: int = 0, go_to: Pair | None = None) -> None:
        """Show all classes of one image; 0 for the one that was shown last, or the one that disagrees most."""
        base = self.base
        if base is not None:
            ids = base.book.heatmaps.image_ids
            image_id = image_id or self.wish.image_id or (int(ids[0]) if len(ids) else 0)
            self._change(replace(self.wish, view=HeatView.ONE_IMAGE, image_id=image_id), go_to)

    def tidy(self) -> None:
        """Make the view anew: what is decided leaves what is expected, and disagreement is measured again."""
        if self.base is None:
            return
        if self.wish.view is HeatView.EXPECTED:
            tile = self._page.grid.current
            self._show_rows(self._page.model.table, _pair(tile))
        else:
            self.deciding.base = replace(self.base, disagreement=None)
            self.build(_pair(self._page.grid.current))

    def _change(self, wish: Wish, go_to: Pair | None = None) -> None:
        is_other = wish.scope != self.wish.scope
        self.wish = wish
        self._page.head.set_view(wish.view)
        if is_other:
            self.build(go_to)

    def _on_class_chosen(self, class_id: int) -> None:
        if self.wish.view is HeatView.EXPECTED:
            self.wish = replace(self.wish, only=class_id)
            self._show_rows(self._page.model.table)
        else:
            self.show_class(class_id)

    def _on_min_score(self, score: float) -> None:
        self.wish = replace(self.wish, min_score=score)
        if self.base is not None and self.wish.view is HeatView.EXPECTED:
            self._show_rows(self._page.model.table, _pair(self._page.grid.current))

    def _on_order(self, order: HeatOrder) -> None:
        wish = replace(self.wish, orders={**self.wish.orders, self.wish.view: order})
        is_other, self.wish = wish.scope != self.wish.scope, wish
        if is_other:
            self.build()
        elif self.base is not None:
            self._show_rows(self._page.model.table)

    # facts ------------------------------------------------------------------------------------------------------

    def _on_current(self, tile: HeatTile | None) -> None:
        if tile is not None and _pair(tile) != self._told:
            self._told = _pair(tile)
            self._read_facts(None)
        elif tile is None:
            self._told = None

    def _read_facts(self, epoch: int | None) -> None:
        base, pair = self.base, self._told
        if base is not None and pair is not None:
            book, dataset = base.book, self._dataset
            self._facts.submit(lambda: (pair, reading.read_facts(book, dataset, *pair, epoch)))

    def _on_facts(self, found: tuple[Pair, Facts]) -> None:
        pair, facts = found
        if pair == self._told:
            self._page.detail.set_facts(facts)

    def _read_items(self, image_ids: NDArray[np.int64]) -> None:
        self._reads.ask(load_items, self._dataset, image_ids.tolist(), on_result=self._on_items)

    def _on_items(self, items: list[GalleryItem]) -> None:
        self._page.images_model.put_items(items)
        self._on_decided()

    def _on_followed(self, edits: list[Edit]) -> None:
        """Something was changed elsewhere, as by undo: show heat that was painted over, and go to what was said."""
        painted = {image_id for edit in edits for image_id in _painted_in(edit)}
        if painted:
            self._cells.forget(painted)
            self._page.grid.viewport().update()
            self._read_facts(None)
        pairs = [pair for edit in edits for pair in _pairs_of(edit)]
        if not pairs or not self._page.isVisible():
            return
        model = self._page.model
        positions = [model.table.place_of(*pair) for pair in pairs[:_MAX_FOLLOWED]]
        places = [place for position in positions if (place := model.place_of(position)) >= 0]
        if places:
            self._page.grid.go_to(min(places))
        elif self.wish.view is HeatView.EXPECTED:
            is_open = [position >= 0 and model.table.presence[position] == UNKNOWN for position in positions]
            if any(is_open):
                self._show_rows(model.table, pairs[is_open.index(True)])
            elif -1 in positions:
                self.build(pairs[0])

    def close(self) -> None:
        """Wait for what is being read; nothing arrives any more."""
        self._looks.stop()
        self.deciding.set_base(None)
        self._views.close()
        self._facts.close()
        self._reads.close()


def _build(base: HeatBase, wish: Wish, dataset: Dataset, go_to: Pair | None) -> _Built:
    """On a worker: the table of a view."""
    if wish.view is not HeatView.EXPECTED and base.disagreement is None:
        base = reading.with_disagreement(base, dataset)
    match wish.view:
        case HeatView.EXPECTED:
            table = reading.expected_table(base, wish.order)
        case HeatView.ONE_CLASS:
            table = reading.class_table(base, wish.class_id)
        case HeatView.ONE_IMAGE:
            table = reading.image_table(base, wish.image_id)
    return _Built(base, wish, table, go_to)


def _pair(tile: HeatTile | None) -> Pair | None:
    return None if tile is None else (tile.image_id, tile.class_id)


def _pairs_of(edit: Edit) -> list[Pair]:
    """The images and classes of which an edit says something."""
    labels = [change.after or change.before for change in edit.changes if isinstance(change, LabelChange)]
    return [(label.image_id, label.class_id) for label in labels if label is not None]


def _painted_in(edit: Edit) -> set[int]:
    """The images whose heat an edit has painted over, or whose file is another one."""
    found = {change.after.id for change in edit.changes if isinstance(change, ImageChange)}
    painted = [change.after or change.before for change in edit.changes if isinstance(change, CorrectionChange)]
    return found | {correction.image_id for correction in painted if correction is not None}
