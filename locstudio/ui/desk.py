"""One open project in the window: its widgets and flows, built together and closed together.

This is where the signals of a project's panels meet; nothing here decides more than whom to tell.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QPixmap

from locstudio.domain.edits import Edit
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Problem, Region
from locstudio.services.heat.disagreeing import Disagreeing
from locstudio.services.routing.wishes import Routings
from locstudio.ui.background import DatasetWorker
from locstudio.ui.browsing import Browsing
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.history_panel import HistoryPanel
from locstudio.ui.canvas.region_table import RegionTable
from locstudio.ui.editing import Editing, images_of, phrases_of
from locstudio.ui.engine_client import EngineClient
from locstudio.ui.following import Following
from locstudio.ui.gallery.filter_bar import FilterBar
from locstudio.ui.gallery.gallery_model import GalleryModel
from locstudio.ui.gallery.gallery_view import GalleryView
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.heatmaps.heat_bar import HeatBar
from locstudio.ui.heatmaps.heat_edits import HeatEdits
from locstudio.ui.heatmaps.heat_panel import HeatPanel
from locstudio.ui.heatmaps.heat_reading import HeatReader
from locstudio.ui.heatmaps.heat_source import HeatSource
from locstudio.ui.heatmaps.heating import Heating
from locstudio.ui.masking import Masking
from locstudio.ui.opening import Opening, Place
from locstudio.ui.pictures import Pictures
from locstudio.ui.project_loading import OpenedProject
from locstudio.ui.region_looking import RegionLooking
from locstudio.ui.routing.routing_panel import RoutingPanel
from locstudio.ui.routing.routing_panel_asking import RoutingAsker
from locstudio.ui.routing.routing_panel_flow import ImageRouting
from locstudio.ui.routing.routing_panel_reading import RoutingReader
from locstudio.ui.routing.routing_panel_source import RoutingSource
from locstudio.ui.search.hits_model import HIT_ROLE, HitItem
from locstudio.ui.search.search_panel import SearchPanel
from locstudio.ui.searching import Query, Searching
from locstudio.ui.workspace import Panel, Workspace

_FACETS_PAUSE_MS = 1500
_PHRASES = 5000


class Desk(QObject):
    """Everything of an open project.

    Signals:
        said: a sentence for the status line.
        title_changed: name of the open image, its number among those shown, and how many are shown.
        not_saved: a sentence; edits wait until ``editing.retry``.
        box_measured: width and height in pixels of the box in hand, or None.
        phrases_read: phrases of the collection with their counts, most used first.
    """

    said = Signal(str)
    title_changed = Signal(str, int, int)
    not_saved = Signal(str)
    box_measured = Signal(object)
    phrases_read = Signal(list)

    def __init__(self, opened: OpenedProject, engine: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.opened = opened
        self.engine = engine
        dataset = opened.dataset
        self.reads, self.edits, self.work = (DatasetWorker(self) for _ in range(3))
        self.pictures = Pictures(dataset, opened.thumbnails)
        self.thumbnails = PictureLoader(self.pictures.thumbnail, parent=self)
        self.crops = PictureLoader(self.pictures.crop, max_bytes=96 * 2**20, parent=self)
        self._build_widgets()
        self.disagreeing = Disagreeing(opened.project, dataset)
        self.routings = Routings(opened.project, dataset)
        shown = (self._model, self.gallery, self.filter_bar)
        self.browsing = Browsing(dataset, self.reads, *shown, self.disagreeing, self.routings, self)
        self.opening = Opening(dataset, self.reads, self.pictures, self.canvas, self)
        self.editing = Editing(dataset, self.edits, self)
        self.following = Following(dataset, engine, self.work, self)
        self.searching = Searching(dataset, engine, opened.files.file_of, self.search, self.opening.crop, self)
        self.masking = Masking(engine, self.canvas, self)
        self.masking.said.connect(self.said)
        self.asker = RoutingAsker(engine, self)
        self.heat = self._make_heat()
        self.routing = self._make_routing()
        self._facets = QTimer(self, interval=_FACETS_PAUSE_MS, singleShot=True)
        self._facets.timeout.connect(self.browsing.forget_facets)
        self._known_phrases: frozenset[str] = frozenset()
        self._connect_browsing()
        self._connect_editing()
        self._connect_searching()

    def _build_widgets(self) -> None:
        self._model = GalleryModel(self)
        self.gallery = GalleryView(self._model, self.thumbnails)
        self.filter_bar = FilterBar()
        self.canvas = CanvasView(self.opened.dataset.next_region_id)
        self.regions = RegionTable()
        self.history = HistoryPanel()
        self.search = SearchPanel(self.crops, self._thumbnail_of)
        self.heat_panel, self.heat_bar = HeatPanel(), HeatBar()
        self.routing_panel = RoutingPanel()
        self.workspace = Workspace(
            filter_bar=self.filter_bar,
            gallery=self.gallery,
            canvas=self.canvas,
            search=self.search,
            regions=self.regions,
            history=self.history,
            heat=self.heat_panel,
            heat_bar=self.heat_bar,
            experts=self.routing_panel,
        )

    def _make_heat(self) -> Heating:
        dataset = self.opened.dataset
        source = HeatSource(HeatReader(self.opened.project, dataset), self.engine, self)
        self.looking = self._make_looking(source)
        edits = HeatEdits(dataset, self.editing, self)
        can_edit = not dataset.is_read_only
        heat = Heating(source, edits, self.canvas, self.heat_panel, self.heat_bar, self, can_edit=can_edit)
        heat.said.connect(self.said)
        heat.switched.connect(self.workspace.tools.mark_heat)
        self.workspace.panel_shown.connect(lambda panel: heat.set_watched(panel is Panel.HEAT))
        return heat

    def _make_looking(self, source: HeatSource) -> RegionLooking:
        """Readers of its own: each is read by one thread."""
        known = (self.opened.project, self.opened.dataset)
        readers = RoutingReader(*known), HeatReader(*known)
        looking = RegionLooking(*readers, source, self.asker, self.engine, self.search.look, self)
        looking.failed.connect(self.said)
        return looking

    def _make_routing(self) -> ImageRouting:
        source = RoutingSource(RoutingReader(self.opened.project, self.opened.dataset), self.asker, self)
        routing = ImageRouting(source, self.routing_panel, self)
        routing.said.connect(self.said)
        routing.filter_wanted.connect(self.filter_bar.set_expert)
        routing.refreshed.connect(self.looking.forget_models)
        self.workspace.panel_shown.connect(lambda panel: routing.set_watched(panel is Panel.EXPERTS))
        return routing

    def _thumbnail_of(self, image_id: int) -> QPixmap | None:
        return self.thumbnails.picture(image_id)

    def _connect_browsing(self) -> None:
        self.browsing.image_opened.connect(self._on_image_opened)
        self.browsing.listed.connect(lambda *_: self._tell_title())
        self.browsing.failed.connect(self.said)
        for take in (self.canvas.set_classes, self.regions.set_classes):
            self.browsing.classes_known.connect(take)
        self.opening.regions_shown.connect(self._on_regions_shown)
        self.opening.problem_found.connect(self._on_problem_found)
        self.opening.failed.connect(self.said)

    def _connect_editing(self) -> None:
        canvas, editing = self.canvas, self.editing
        canvas.edit_requested.connect(editing.apply)
        canvas.verified_requested.connect(self.verify_and_next)
        canvas.notice.connect(self.said)
        canvas.selection_changed.connect(self.regions.select)
        canvas.selection_changed.connect(self._measure_selection)
        self.regions.selection_changed.connect(canvas.select)
        self.regions.command_requested.connect(canvas.run)
        self.regions.class_requested.connect(canvas.editor.choose_class)
        self.history.go_to_requested.connect(editing.go_to)
        editing.history_read.connect(self.history.set_steps)
        editing.regions_read.connect(self.opening.show_regions)
        editing.image_wanted.connect(self.browsing.open_image)
        editing.applied.connect(self._on_applied)
        editing.said.connect(self.said)
        editing.not_saved.connect(self.not_saved)
        self.following.failed.connect(self.said)

    def _connect_searching(self) -> None:
        canvas, searching = self.canvas, self.searching
        canvas.box_dragging.connect(self._on_box_dragging)
        canvas.box_released.connect(self._on_box_released)
        canvas.query_box_cleared.connect(searching.clear)
        self.search.clear_wanted.connect(lambda: canvas.set_query_box(None))
        self.search.hit_chosen.connect(self._on_hit_chosen)
        self.filter_bar.filter_changed.connect(searching.set_filter)
        searching.begun.connect(self._on_search_begun)
        searching.rested.connect(lambda query: self.looking.look_at(query.image, query.box))
        self.search.look.class_chosen.connect(self._on_hot_class)
        self.search.look.expert_chosen.connect(lambda _: self.workspace.show_panel(Panel.EXPERTS))
        searching.grounded.connect(self._on_grounded)
        searching.said.connect(self.said)

    # wishes -----------------------------------------------------------------------------------------------------

    def start(self, image_id: int = 0) -> None:
        """Read the collection and open an image."""
        self.browsing.start(image_id)
        self.editing.read_history()
        self._read_phrases()

    def refresh(self) -> None:
        """Read the collection again, after files came in."""

        def read() -> None:
            self.opened.files.read()

        self.reads.ask(read, on_result=lambda _: self.browsing.refresh())
        self.opening.read_regions()
        self.editing.read_history()
        self._read_phrases()

    def _read_phrases(self) -> None:
        self.work.ask(self.opened.dataset.phrases, _PHRASES, on_result=self._on_phrases)

    def _on_phrases(self, phrases: list[tuple[str, int]]) -> None:
        self._known_phrases = frozenset(phrase for phrase, _ in phrases)
        self.canvas.set_phrases(phrases)
        self.phrases_read.emit(phrases)

    def verify_and_next(self) -> None:
        """Say that the open image has been checked, and go on."""
        self.canvas.flush()
        if self.browsing.image is not None:
            self.editing.verify(self.browsing.image)
            self.browsing.step(1)

    def undo(self) -> None:
        """Take the newest edit back."""
        self.canvas.flush()
        self.editing.undo()

    def redo(self) -> None:
        """Do the newest undone edit again."""
        self.canvas.flush()
        self.editing.redo()

    def more(self) -> None:
        """Search for what resembles the hit that has the focus, the selected region, or the search box."""
        hits = self.search.hits_view
        hit = hits.currentIndex().data(HIT_ROLE)
        selected = self.canvas.editor.selected_regions
        self.workspace.show_panel(Panel.SEARCH)
        if hits.hasFocus() and hit is not None:
            self.searching.more_like_hit(hit)
        elif selected:
            self.searching.more_like_region(selected[-1])
        elif self.canvas.query_box is not None:
            self.searching.search_box(self.canvas.query_box)
        else:
            self.said.emit("Select a region or a hit first, then press M.")

    def search_words(self, text: str) -> None:
        """Search for words."""
        if text:
            self.workspace.show_panel(Panel.SEARCH)
        self.searching.search_words(text)

    def change_model(self, checkpoint: Path) -> None:
        """Use another checkpoint from now on."""
        self.opened = replace(self.opened, checkpoint=checkpoint)
        self.engine.change_checkpoint(checkpoint)

    def show_place(self, place: Place) -> None:
        """Open the image of a place, and mark it there."""
        self.opening.show_place(place)
        if self.browsing.image is None or self.browsing.image.id != place.image_id:
            self.browsing.open_image(place.image_id)

    def close(self) -> None:
        """Put every edit on disk and let go of everything; the engine is ended."""
        self.canvas.flush()
        self._facets.stop()
        if self.editing.is_idle:
            self.following.close()
        self.edits.close()
        self.engine.stop()
        closers: tuple[Callable[[], None], ...] = (
            self.searching.close,
            self.heat.close,
            self.routing.close,
            self.looking.close,
            self.opening.close,
            self.browsing.close,
            self.thumbnails.close,
            self.crops.close,
            self.reads.close,
            self.work.close,
            self.opened.close,
        )
        for close in closers:
            close()

    # facts ------------------------------------------------------------------------------------------------------

    def _on_image_opened(self, image: Image) -> None:
        self.opening.open(image)
        self.editing.set_image(image)
        self.searching.set_image(image)
        self.masking.set_image(image)
        self.heat.set_image(image)
        self.routing.set_image(image)
        self._tell_title()

    def _tell_title(self) -> None:
        image = self.browsing.image
        self.title_changed.emit(image.name if image else "", *self.browsing.place)

    def _on_regions_shown(self, regions: list[Region]) -> None:
        self.regions.set_regions(regions, self.canvas.image_size)
        self.regions.select(self.canvas.selection)
        self.workspace.set_num_regions(len(regions))
        self._measure_selection(self.canvas.selection)

    def _on_problem_found(self, image: Image, problem: Problem, sentence: str) -> None:
        self.thumbnails.forget(image.id)
        self.said.emit(sentence)
        dataset = self.opened.dataset
        if image.problem != problem and not dataset.is_read_only:
            self.edits.ask(
                dataset.add_images,
                [replace(image, problem=problem, note=sentence)],
                on_result=lambda _: self.browsing.refresh_images([image.id]),
            )

    def _on_applied(self, edit: Edit) -> None:
        self.browsing.refresh_images(sorted(images_of(edit)))
        self.following.follow(edit)
        self.heat.on_applied(edit)
        self.routing.on_applied(edit)
        self._facets.start()
        if not phrases_of(edit) <= self._known_phrases:
            self._read_phrases()

    def _on_box_dragging(self, box: UnitBox, region_id: int) -> None:
        self._measure(box)
        if region_id == 0 or self.workspace.panel is Panel.SEARCH:
            self.looking.wait()
            self.searching.drag_box(box, region_id)

    def _on_box_released(self, box: UnitBox, region_id: int) -> None:
        self._measure(box)
        if region_id == 0:
            self.workspace.show_panel(Panel.SEARCH)
        if self.workspace.panel is Panel.SEARCH:
            self.searching.search_box(box, region_id)

    def _measure_selection(self, ids: list[int]) -> None:
        regions = self.canvas.editor.selected_regions
        self._measure(regions[-1].box if ids and regions else None)

    def _measure(self, box: UnitBox | None) -> None:
        if box is None:
            self.box_measured.emit(None)
            return
        x0, y0, x1, y1 = box.to_pixels(*self.canvas.image_size)
        self.box_measured.emit((x1 - x0, y1 - y0))

    def _on_search_begun(self, query: Query | None) -> None:
        """A box is looked at once it rests; words have no place to look at."""
        if query is None or query.box is None:
            self.looking.clear()
        else:
            self.looking.wait()

    def _on_hot_class(self, class_id: int) -> None:
        """Show the heat of a class over the image that the region is in."""
        place = self.looking.place
        if place is None or not class_id:
            return
        if self.browsing.image is None or self.browsing.image.id != place.image.id:
            self.browsing.open_image(place.image.id)
        self.heat.show_class(class_id)

    def _on_hit_chosen(self, hit: HitItem) -> None:
        text = f"{hit.phrase} {hit.score:.2f}".strip()
        self.show_place(Place(hit.image.id, hit.box, text, hit.region_id))

    def _on_grounded(self, box: UnitBox, text: str, score: float) -> None:
        image = self.browsing.image
        if image is not None:
            self.opening.show_place(Place(image.id, box, f"{text} {score:.2f}"))
            self.said.emit(f"“{text}” is most likely here, score {score:.2f}.")
