"""The flow of the experts' page: routing of a run, views of it, and the images of what is chosen in them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from locstudio.domain.edits import ClassChange, Edit, SuperclassChange
from locstudio.services.routing.runs import RoutingRun
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.background import DatasetWorker, LatestOnly
from locstudio.ui.editing import Editing, images_of
from locstudio.ui.routing import page_reading as reading
from locstudio.ui.routing.page import ExpertPage
from locstudio.ui.routing.page_cells import TileCells
from locstudio.ui.routing.page_commands import VIEWS, ExpertCommand
from locstudio.ui.routing.page_grid import ImageOrder
from locstudio.ui.routing.page_matrix import ShownMatrix
from locstudio.ui.routing.page_mending import ExpertMending
from locstudio.ui.routing.page_reading import (
    Compared,
    Images,
    NoRouting,
    OfCell,
    OfExpert,
    OfMove,
    RoutingBase,
    Scope,
)
from locstudio.ui.routing.page_telling import say_nothing
from locstudio.ui.routing.page_watching import RunWatch

_ANEW_MS = 700
_READING = "Reading the routing…"


class ExpertReviewing(QObject):
    """Reads routing and shows it in five views.

    Signals:
        shown: another view, or other images of the same, are shown.
        superclasses_wanted: the view of the superclasses is to be shown.
        open_wanted: an image to be opened in the collection.
        said: a sentence for the status line.
    """

    shown = Signal()
    superclasses_wanted = Signal()
    open_wanted = Signal(int)
    said = Signal(str)

    def __init__(
        self,
        project: Project,
        dataset: Dataset,
        editing: Editing,
        page: ExpertPage,
        cells: TileCells,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._project = project
        self._dataset = dataset
        self._editing = editing
        self._page = page
        self._cells = cells
        self._reads = DatasetWorker(self)
        self._images, self._matrices, self._drifts = LatestOnly(self), LatestOnly(self), LatestOnly(self)
        self._images.arrived.connect(self._put_images)
        self._matrices.arrived.connect(self._put_matrix)
        self._drifts.arrived.connect(self._put_drift)
        for door in (self._images, self._matrices):
            door.failed.connect(lambda error: self.said.emit(str(error)))
        self._drifts.failed.connect(lambda error: page.drift.say(str(error)))
        self.base: RoutingBase | None = None
        self.compared: Compared | None = None
        self.run_id = ""
        self._router = 0
        self._older_id = ""
        self._kind = "truth"
        self._order = ImageOrder.SURE
        self._scopes: dict[ExpertCommand, Scope] = {}
        self._go_to = 0
        self._wanted_expert: int | None = None
        self._watch = RunWatch(project, dataset, self._reads, page, self)
        self._watch.went_on.connect(lambda: self.read())
        self._watch.listed.connect(self._on_runs)
        self._watch.failed.connect(self.said)
        self._anew = QTimer(self, interval=_ANEW_MS, singleShot=True)
        self._anew.timeout.connect(self._read_anew)
        self.mending = ExpertMending(dataset, editing, page, self)
        self.mending.said.connect(self.said)
        self._connect()

    def _connect(self) -> None:
        page = self._page
        page.command_wanted.connect(self.run)
        page.gallery.order_changed.connect(self._on_order)
        page.gallery.set_can_edit(not self._dataset.is_read_only)
        page.head.run_wanted.connect(self.read)
        page.head.router_wanted.connect(self._on_router)
        page.head.set_can_train(not self._dataset.is_read_only, can_route=False)
        page.cards.expert_chosen.connect(self.choose_expert)
        page.load.expert_chosen.connect(lambda expert: self._choose(OfExpert(expert, self._order)))
        page.matrix.kind_wanted.connect(self._on_kind)
        page.matrix.cell_opened.connect(self._on_cell)
        page.drift.older_wanted.connect(self._on_older)
        page.drift.cell_opened.connect(self._on_move)
        self._editing.applied.connect(self._on_applied)
        self._cells.failed.connect(self.said)
        page.set_view(ExpertCommand.EXPERTS)

    # routing ----------------------------------------------------------------------------------------------------

    def read(self, run_id: str = "") -> None:
        """Read routing anew: of this run, else of the one that is shown, else of the newest."""
        if run_id and run_id != self.run_id:
            self._router = 0
        self.run_id = run_id or self.run_id
        if self.base is None:
            self._page.show_empty(True)
            self._page.empty.say("", _READING)
        self._reads.ask(
            reading.read_base,
            self._project,
            self._dataset,
            self.run_id,
            self._router,
            on_result=self._on_read,
            on_error=self._on_unreadable,
        )

    def _on_read(self, found: RoutingBase | NoRouting) -> None:
        page = self._page
        if isinstance(found, NoRouting):
            self._say_nothing(found)
            return
        book = found.book
        is_other = self.base is None or self.base.book.run.id != book.run.id
        self.run_id, self._router = book.run.id, book.router
        self._watch.follow(book)
        self.base, self.compared = found, None
        page.head.set_runs(found.runs, self.run_id)
        page.head.set_routers(book.table.header.layers if book.num_routers > 1 else (), book.router)
        tile = page.gallery.grid.current
        go_to = tile.image_id if tile is not None and not is_other else 0
        page.model.set_book(book, found.classes)
        must_focus = page.is_empty and page.has_keys  # the keys were with what has said that it is read
        page.show_empty(False)
        if is_other:
            self._scopes = {}
            self._kind = "truth" if found.has_labels else "predicted"
        if self._older_id in ("", self.run_id) or self._older_id not in {run.id for run in found.runs}:
            self._older_id = reading.run_before(found.runs, self.run_id)
        self._show_base()
        expert, self._wanted_expert = self._wanted_expert, None
        if expert is not None:
            self._choose(OfExpert(expert, self._order))
        self.show_view(page.view, go_to)
        if must_focus:
            page.focus_view()

    def _show_base(self) -> None:
        """Show what is said of the whole."""
        base, page = self.base, self._page
        assert base is not None
        page.head.set_words(base.words())
        page.head.set_can_train(not self._dataset.is_read_only, can_route=base.can_route)
        page.cards.set_cards(base.cards)
        page.load.set_history(base.book.expert_names, base.history, base.book.router)
        page.drift.set_runs(base.runs, self.run_id, self._older_id)
        page.show_gallery()

    def _say_nothing(self, found: NoRouting) -> None:
        self.base, self.compared, self.run_id = None, None, ""
        self._watch.follow(None)
        page = self._page
        page.head.set_runs(found.runs, "")
        page.head.set_routers((), 0)
        page.head.set_words("")
        page.head.set_can_train(not self._dataset.is_read_only, can_route=found.can_route)
        page.model.set_book(None, {})
        must_focus = page.has_keys  # what has the keys may be gone with the words that were there
        page.show_empty(True)
        say_nothing(page, found, is_read_only=self._dataset.is_read_only)
        if must_focus:
            page.focus_view()

    def _on_unreadable(self, error: Exception) -> None:
        self.said.emit(str(error))
        if self.base is None:
            self._page.show_empty(True)
            self._page.empty.say("The routing cannot be read", str(error))

    def _on_runs(self, runs: tuple[RoutingRun, ...]) -> None:
        """Offer runs that have come, gone, or got further meanwhile."""
        if self.base is not None and runs != self.base.runs:
            self.base = replace(self.base, runs=runs)
            self._page.head.set_runs(runs, self.run_id)
            self._older_id = self._older_id or reading.run_before(runs, self.run_id)
            self._page.drift.set_runs(runs, self.run_id, self._older_id)
            self._page.show_gallery()

    def _on_router(self, router: int) -> None:
        if router >= 0 and router != self._router:
            self._router = router
            self.read()

    # views ------------------------------------------------------------------------------------------------------

    def show_view(self, view: ExpertCommand, go_to: int = 0) -> None:
        """Show one of the views, with the images that were chosen in it; this one is current, if it is among them."""
        page, base = self._page, self.base
        if view is ExpertCommand.SUPERCLASSES:
            self.superclasses_wanted.emit()
        page.set_view(view)
        page.show_empty(base is None)
        if base is None:
            return
        if view is ExpertCommand.MATRIX:
            self._matrices.submit(reading.read_matrix, base, self._kind)
        if view is ExpertCommand.DRIFT:
            self._compare()
        if view is ExpertCommand.EXPERTS:
            self._scopes.setdefault(view, OfExpert(self._first_expert(base), self._order))
        self._build(self._scopes.get(view), go_to)

    def _first_expert(self, base: RoutingBase) -> int:
        """The one that is marked, if it takes images of this run, else the first that does."""
        expert = self._page.cards.chosen
        if expert < len(base.cards) and base.cards[expert].num_images:
            return expert
        return next((card.expert for card in base.cards if card.num_images), 0)

    def show_expert(self, expert: int, run_id: str = "") -> None:
        """Show the images of an expert, counted from 0, as this run has them."""
        if self.base is None or (run_id and run_id != self.run_id):
            self._page.set_view(ExpertCommand.EXPERTS)
            self._wanted_expert = expert
            self.read(run_id)
        else:
            self.choose_expert(expert)

    def choose_expert(self, expert: int) -> None:
        """Show the images of an expert of the run that is shown."""
        base = self.base
        if base is not None and 0 <= expert < len(base.cards):
            self._choose(OfExpert(expert, self._order))
            self.show_view(ExpertCommand.EXPERTS)

    def _choose(self, scope: OfExpert) -> None:
        self._scopes[ExpertCommand.EXPERTS] = scope
        self._page.cards.set_chosen(scope.expert)
        self._page.load.load.mark(scope.expert)

    def _build(self, scope: Scope | None, go_to: int = 0) -> None:
        """Read the images of what was chosen; then this image is current, if it is among them."""
        base, gallery = self.base, self._page.gallery
        self._go_to = go_to
        if base is None or scope is None or (isinstance(scope, OfMove) and self.compared is None):
            self._images.forget()
            gallery.show_order(None)
            gallery.set_words("", "")
            self._page.model.set_images(base.book.table.image_ids[:0] if base is not None else np.empty(0, np.int64))
            gallery.grid.set_empty_text("Open a cell at the left: its images are shown here.")
            return
        gallery.show_order(None if isinstance(scope, OfMove) else scope.order)
        self._images.submit(reading.read_images, base, scope, self.compared)

    def _put_images(self, found: Images) -> None:
        base = self.base
        is_other = base is None or base.book.table is not found.base.book.table or base.book.router != self._router
        if is_other or found.scope != self._scopes.get(self._page.view):
            return
        page = self._page
        page.gallery.set_words(found.title, found.details)
        page.model.set_images(found.image_ids, found.notes)
        place = page.model.place_of_image(self._go_to) if self._go_to else -1
        page.gallery.grid.go_to(max(place, 0), is_remembered=False)
        is_dead = isinstance(found.scope, OfExpert)
        nothing = "This expert takes no image: it is dead." if is_dead else "No image is in this cell."
        page.gallery.grid.set_empty_text(nothing)
        self.shown.emit()

    # matrix and drift -------------------------------------------------------------------------------------------

    def _on_kind(self, kind: str) -> None:
        self._kind = kind
        if self.base is not None:
            self._scopes.pop(ExpertCommand.MATRIX, None)
            self.show_view(ExpertCommand.MATRIX)

    def _put_matrix(self, found: ShownMatrix) -> None:
        if self.base is not None and found.kind == self._kind:
            self._page.matrix.set_matrix(found)
            self.shown.emit()

    def _on_cell(self, kind: str, row: int, expert: int) -> None:
        held = self._scopes.get(ExpertCommand.MATRIX)
        order = held.order if isinstance(held, OfCell) else ImageOrder.MISMATCH
        self._scopes[ExpertCommand.MATRIX] = scope = OfCell(kind, row, expert, order)
        self._build(scope)

    def _on_older(self, older_id: str) -> None:
        self._older_id, self.compared = older_id, None
        self._compare()

    def _compare(self) -> None:
        base = self.base
        if base is not None and self._older_id:
            self._drifts.submit(reading.read_drift, self._project, self._dataset, base, self._older_id)

    def _put_drift(self, found: Compared) -> None:
        if self.base is None or (found.newer_id, found.older_id) != (self.run_id, self._older_id):
            return
        self.compared = found
        self._page.drift.set_drift(found.drift, found.old_names, found.new_names)
        held = self._scopes.get(ExpertCommand.DRIFT)
        if not isinstance(held, OfMove) or held.older_id != found.older_id:
            held = OfMove(found.older_id, -1, -1)
        self._scopes[ExpertCommand.DRIFT] = held
        if self._page.view is ExpertCommand.DRIFT:
            self._build(held)
        self.shown.emit()

    def _on_move(self, old: int, new: int) -> None:
        self._scopes[ExpertCommand.DRIFT] = scope = OfMove(self._older_id, old, new)
        self._build(scope)

    # wishes -----------------------------------------------------------------------------------------------------

    def run(self, command: ExpertCommand) -> None:
        """Do what a command of the page means."""
        page = self._page
        tile = page.gallery.grid.current
        acts: dict[ExpertCommand, Callable[[], None]] = {
            ExpertCommand.NEXT: lambda: page.cards.step(1),
            ExpertCommand.PREVIOUS: lambda: page.cards.step(-1),
            ExpertCommand.ORDER: page.gallery.next_order,
            ExpertCommand.TIDY: self.read,
            ExpertCommand.RELABEL: lambda: self.mending.ask_class(self.base),
            ExpertCommand.DENY: self.mending.deny,
        }
        if command in VIEWS:
            self.show_view(command)
            page.focus_view()
        elif command is ExpertCommand.OPEN:
            if tile is not None:
                self.open_wanted.emit(tile.image_id)
        else:
            acts[command]()

    def _on_order(self, order: ImageOrder) -> None:
        view = self._page.view
        scope = self._scopes.get(view)
        if isinstance(scope, OfExpert | OfCell):
            if isinstance(scope, OfExpert):
                self._order = order
            self._scopes[view] = scope = replace(scope, order=order)
            self._build(scope)

    # edits ------------------------------------------------------------------------------------------------------

    def _on_applied(self, edit: Edit) -> None:
        """Something was said of images, here, elsewhere, or by undo."""
        if self.base is None:
            return
        touched = images_of(edit)
        if touched:
            self._cells.forget(touched)
            self._page.model.mark(touched)
        if touched or any(isinstance(change, ClassChange | SuperclassChange) for change in edit.changes):
            self._anew.start()

    def _read_anew(self) -> None:
        """The same table beside what the dataset says now; the rows of the gallery stay where they are."""
        base = self.base
        if base is None:
            return
        self._reads.ask(
            lambda: reading.base_of(base.runs, base.book.read_anew(), self._dataset, can_route=base.can_route),
            on_result=lambda found: self._on_anew(base, found),
            on_error=lambda error: self.said.emit(str(error)),
        )

    def _on_anew(self, before: RoutingBase, found: RoutingBase) -> None:
        if self.base is None or self.base.book is not before.book:
            return
        self.base = replace(found, runs=self.base.runs)
        self._page.model.set_book_anew(found.book)
        self._page.model.set_classes(found.classes)
        self._show_base()
        if self._page.view is ExpertCommand.MATRIX:
            self._matrices.submit(reading.read_matrix, found, self._kind)

    def close(self) -> None:
        """Wait for what is being read; nothing arrives any more."""
        self._watch.close()
        self._anew.stop()
        self.base = None
        for door in (self._images, self._matrices, self._drifts):
            door.close()
        self._reads.close()
