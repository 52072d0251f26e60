"""Everything of curation beside the gallery of crops, built together: sheets, provenance, the canvas pass.

This is where their signals meet; nothing here decides more than whom to tell.
"""

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from locstudio.domain.phrase_rules import classes_by_name, taken_for
from locstudio.domain.regions import Region
from locstudio.index.vocabulary import Vocabulary
from locstudio.services.curation.pool import Pool, key_of, row_of_key
from locstudio.services.curation.suggestions import suggestions
from locstudio.services.search import SearchService
from locstudio.ui.curation.alike import AlikeFlow
from locstudio.ui.curation.canvas_pass import CanvasPass
from locstudio.ui.curation.commands import CurationCommand
from locstudio.ui.curation.curating import Curating
from locstudio.ui.curation.curation_page import CurationPage
from locstudio.ui.curation.geometry_flow import GeometryFlow
from locstudio.ui.curation.pass_bar import PassBar
from locstudio.ui.curation.pass_source import Suggested
from locstudio.ui.curation.phrase_flow import PhraseFlow
from locstudio.ui.curation.pool_source import PoolSource, row_of_region
from locstudio.ui.curation.provenance_flow import ProvenanceFlow
from locstudio.ui.curation.provenance_panel import ProvenancePanel
from locstudio.ui.desk import Desk
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.opening import Place
from locstudio.ui.search.hits_model import HitItem


class Sheets(QObject):
    """The sheets of an open project's curation.

    Signals:
        place_wanted: a ``Place`` to be shown in the collection.
        collection_wanted: the collection is to come to the front, for the canvas pass.
        propose_again_wanted: identity of an image whose caption was edited.
        said: a sentence for the status line.
    """

    place_wanted = Signal(object)
    collection_wanted = Signal()
    propose_again_wanted = Signal(int)
    said = Signal(str)

    def __init__(
        self,
        collection: Desk,
        curating: Curating,
        page: CurationPage,
        crops: PictureLoader,
        window: QWidget,
        parent: QObject | None = None,
    ) -> None:
        """``window`` is what sheets belong to."""
        super().__init__(parent)
        dataset, editing = collection.opened.dataset, collection.editing
        self._dataset = dataset
        self._curating = curating
        self._page = page
        self._window = window
        self._service: SearchService | None = None
        self._corrected: tuple[int, Pool] | None = None
        self.alike = AlikeFlow(dataset, curating, crops, window, self)
        self.geometry = GeometryFlow(dataset, curating, crops, self)
        self.phrases = PhraseFlow(dataset, curating, editing, self._vocabulary, self)
        self.provenance = ProvenanceFlow(dataset, curating, editing, ProvenancePanel(page.detail, has_name=False), self)
        self.bar = PassBar()
        collection.workspace.set_canvas_bar(self.bar)
        self.canvas_pass = CanvasPass(
            collection.canvas,
            collection.browsing,
            collection.opening,
            editing,
            self.bar,
            PoolSource(dataset, curating, self._suggest),
            self,
        )
        self._connect()

    def _connect(self) -> None:
        for part in (self.alike, self.geometry, self.phrases, self.provenance, self.canvas_pass):
            part.said.connect(self.said)
        for flow in (self.alike, self.geometry):
            flow.place_wanted.connect(lambda hit: self.place_wanted.emit(_place(hit)))
        self.canvas_pass.toggled.connect(lambda is_on: self.collection_wanted.emit() if is_on else None)
        self.canvas_pass.corrected.connect(self._on_corrected)
        self._curating.pool_changed.connect(self._on_pool_changed)
        self.provenance.item_wanted.connect(self._go_to)
        self.provenance.propose_again_wanted.connect(self.propose_again_wanted)
        page = self._page
        page.detail.add_below(self.provenance.panel)
        page.grid.current_changed.connect(lambda crop: self.provenance.show_item(crop.item.key if crop else ""))

    def set_service(self, service: SearchService | None) -> None:
        """Take the words of this index."""
        self._service = service

    def run(self, command: CurationCommand) -> bool:
        """Do what the page asks for; False where it is none of a sheet's."""
        acts: dict[CurationCommand, Callable[[], None]] = {
            CurationCommand.ALIKE: self._ask_alike,
            CurationCommand.PHRASES: partial(self.phrases.open, self._window),
            CurationCommand.GEOMETRY: partial(self.geometry.open, self._window),
            CurationCommand.CANVAS: self._start_pass,
        }
        act = acts.get(command)
        if act is not None:
            act()
        return act is not None

    def close(self) -> None:
        """Close what is open, and wait for what is being read."""
        for part in (self.alike, self.geometry, self.phrases, self.provenance, self.canvas_pass):
            part.close()

    def _ask_alike(self) -> None:
        crop = self._page.grid.current
        if crop is not None:
            self.alike.ask(crop.item.row)

    def _on_corrected(self, old: Region, new: Region) -> None:
        """A box was named right in the canvas pass: its identical mistakes are looked for when that is on disk."""
        pool = self._curating.pool
        row = row_of_region(pool, old) if pool is not None else -1
        is_named = (old.phrase, old.class_id) != (new.phrase, new.class_id)
        self._corrected = (row, pool) if pool is not None and row >= 0 and is_named else None

    def _on_pool_changed(self, pool: Pool) -> None:
        if self._corrected is None:
            return
        row, before = self._corrected
        if row >= len(pool) or key_of(pool, row) != key_of(before, row):  # read anew: it is another row now
            self._corrected = None
            return
        is_other = any(getattr(before, name)[row] != getattr(pool, name)[row] for name in ("phrase_rows", "class_ids"))
        if is_other:
            self._corrected = None
            self.alike.follow(row, before)

    def _start_pass(self) -> None:
        if self._dataset.is_read_only:
            self.said.emit("This project is open read-only, so nothing can be decided.")
        else:
            self.canvas_pass.start()

    def _go_to(self, key: str) -> None:
        """Make an item of the gallery the current one; one that it does not show is shown in its image."""
        pool = self._curating.pool
        row = row_of_key(pool, key) if pool is not None else None
        if pool is None or row is None:
            return
        place = self._page.model.place_of(row)
        if place >= 0:
            self._page.grid.go_to(place)
        else:
            self.said.emit("The box of this phrase does not pass the filter.")

    def _vocabulary(self) -> Vocabulary | None:
        return self._service.vocabulary if self._service is not None else None

    def _suggest(self, pool: Pool, row: int) -> Sequence[Suggested]:
        vectors, measures = self._curating.measuring.vectors, self._curating.measures
        if vectors is None or measures is None or len(measures.outlier) < len(pool):
            return ()  # what was drawn just now is still being measured
        found = suggestions(pool, row, vectors, self._vocabulary(), self._dataset.classes())
        words = pool.phrases[pool.phrase_rows[row]]
        _, of_words = taken_for(pool.rules, classes_by_name(pool.classes.values()), words)
        # A class that only came with these words goes with them; one that a person gave stays.
        otherwise = 0 if of_words == pool.class_ids[row] else None
        return [Suggested(each.text, each.class_id or otherwise, each.score) for each in found]


def _place(hit: HitItem) -> Place:
    return Place(hit.image.id, hit.box, hit.phrase, hit.region_id)
