"""Searching: from a box or words, through the engine and the index, to the hits in the panel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.services.search import SearchService, parse_query
from locstudio.store.filters import ImageFilter
from locstudio.store.view import DatasetView
from locstudio.ui.background import LatestOnly
from locstudio.ui.engine_client import EngineClient
from locstudio.ui.search.hits_model import HitItem
from locstudio.ui.search.search_panel import SearchPanel, ShownResult

_TOP, _TOP_PREVIEW = 120, 40
_NUM_PHRASES = 6
_MAX_HISTORY = 20
_NO_INDEX = "This collection is not indexed yet, so there is nothing to search in. Choose “Index now” above."
_WAITING = {
    "loading": "The model is still loading. The search begins by itself when it is ready.",
    "failed": "The model could not be started; press Retry at the top right to try again.",
    "off": "There is no model to search with.",
}
_ONLY_NEGATIVE = "Say what to look for, not only what to leave out."

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Query:
    """What a person looks for: words, or a box of an image (with the region it is, if it is one).

    A preview is a box on its way under the mouse.  With ``wanted`` only images that pass this filter are searched.
    """

    title: str
    text: str = ""
    image: Image | None = None
    box: UnitBox | None = None
    region_id: int | None = None
    is_preview: bool = False
    wanted: ImageFilter | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    query: Query
    result: ShownResult
    phrases: list[tuple[str, float]]
    num_places: int
    seconds: float


class Searching(QObject):
    """Keeps one query at a time, and its hits.

    Signals:
        grounded: a ``UnitBox`` of the open image, the words, and their cosine.
        searched: a ``Query`` whose final hits are shown.
        begun: a ``Query`` that is looked for from now on, previews too; None where the query was cleared.
        rested: a ``Query`` of a box that rests: its hits are shown, or there is nothing to search in.
        said: a sentence.
    """

    grounded = Signal(object, str, float)
    searched = Signal(object)
    begun = Signal(object)
    rested = Signal(object)
    said = Signal(str)

    def __init__(
        self,
        dataset: DatasetView,
        engine: EngineClient,
        file_of: Callable[[Image], Path],
        panel: SearchPanel,
        crop: Callable[[UnitBox], QImage],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._engine = engine
        self._file_of = file_of
        self._panel = panel
        self._crop = crop
        self._service: SearchService | None = None
        self._image: Image | None = None
        self._query: Query | None = None
        self._picture = QImage()
        self._filter = ImageFilter()
        self._is_filtered = False
        self._asked: dict[int, Query] = {}
        self._grounding: dict[int, str] = {}
        self._history: list[tuple[Query, QImage]] = []
        self._latest = LatestOnly(self, follow=True)
        self._latest.arrived.connect(self._on_answer)
        self._latest.failed.connect(lambda error: self._refuse(str(error)))
        engine.embedded.connect(self._on_embedded)
        engine.grounded.connect(self._on_grounded)
        engine.refused.connect(self._on_refused)
        panel.more_wanted.connect(self.more_like_hit)
        panel.ground_wanted.connect(self.ground)
        panel.clear_wanted.connect(self.clear)
        panel.scope_changed.connect(self._on_scope_changed)
        panel.history_chosen.connect(self._on_history_chosen)

    @property
    def query(self) -> Query | None:
        """What is looked for."""
        return self._query

    @property
    def can_search(self) -> bool:
        """Whether there is an index to search in."""
        return self._service is not None

    def set_service(self, service: SearchService | None) -> None:
        """Search in this index from now on, or in none."""
        self._service = service
        if self._query is None:
            self._panel.clear()

    def set_image(self, image: Image) -> None:
        """Let the engine know the open image; its tokens are made or found while the person looks at it."""
        if self._image is None or image.id != self._image.id:
            self._open_in_engine(image)
        self._image = image

    def set_filter(self, wanted: ImageFilter) -> None:
        """Take the gallery's filter; a search that is bound to it is made again."""
        self._filter = wanted
        self._panel.offer_scope(wanted != ImageFilter(order=wanted.order))
        if self._is_filtered:
            self._again()

    def _on_scope_changed(self, is_filtered: bool) -> None:
        self._is_filtered = is_filtered
        self._again()

    def _again(self) -> None:
        if self._query is not None and not self._query.is_preview:
            self._begin(self._query, self._picture)

    def drag_box(self, box: UnitBox, region_id: int) -> None:
        """Follow a box under the mouse."""
        if self._image is not None and self._service is not None:
            self._ask_box(self._box_query(self._image, box, region_id, is_preview=True), self._crop(box))

    def search_box(self, box: UnitBox, region_id: int = 0) -> None:
        """Search for what is inside a box of the open image."""
        if self._image is not None:
            self._ask_box(self._box_query(self._image, box, region_id), self._crop(box))

    def search_words(self, text: str) -> None:
        """Search for words; no words clear a search for words."""
        if not text.strip():
            if self._query is not None and self._query.text:
                self.clear()
            return
        self._begin(Query(title=text, text=text), QImage())

    def more_like_region(self, region: Region) -> None:
        """Search for what resembles a region of the open image."""
        if self._image is not None:
            title = f"More like “{region.phrase}”" if region.phrase else f"More like a region of {self._image.name}"
            query = Query(title, image=self._image, box=region.box, region_id=region.id)
            self._ask_box(query, self._crop(region.box))

    def more_like_hit(self, hit: HitItem) -> None:
        """Search for what resembles a hit, in whatever image it is."""
        title = f"More like “{hit.phrase}”" if hit.phrase else f"More like a box of {hit.image.name}"
        query = Query(title, image=hit.image, box=hit.box, region_id=hit.region_id)
        is_open = self._image is not None and hit.image.id == self._image.id
        if not is_open:
            self._open_in_engine(hit.image)
        self._ask_box(query, self._crop(hit.box) if is_open else QImage())

    def ground(self) -> None:
        """Mark where the words of the query are in the open image."""
        text = parse_query(self._query.text).positive if self._query else ""
        if text and self._image is not None:
            self._grounding[self._engine.ground_text(str(self._image.id), text)] = text
        elif not text:
            self.said.emit("Type the words to find in this image first.")

    def clear(self) -> None:
        """Forget the query."""
        self._query = None
        self._asked.clear()
        self._latest.forget()
        self._panel.clear()
        self.begun.emit(None)

    def close(self) -> None:
        """Wait for the search that runs."""
        self._latest.close()

    # asking -----------------------------------------------------------------------------------------------------

    def _box_query(self, image: Image, box: UnitBox, region_id: int, *, is_preview: bool = False) -> Query:
        what = "Region" if region_id else "Search box"
        return Query(f"{what} in {image.name}", "", image, box, region_id or None, is_preview)

    def _ask_box(self, query: Query, picture: QImage) -> None:
        self._begin(query, picture)

    def _begin(self, query: Query, picture: QImage) -> None:
        query = replace(query, wanted=self._filter if self._is_filtered else None)
        self._query, self._picture = query, picture
        self._panel.set_query(query.title, "", picture, can_ground=bool(query.text))
        self.begun.emit(query)
        if self._service is None:
            self._panel.set_hint(_NO_INDEX)
            self._rest()
            return
        if not query.is_preview:
            self._remember(query, picture)
        if self._engine.state.phase != "ready":
            self._panel.set_hint(_WAITING.get(self._engine.state.phase, ""))
        self._panel.set_busy(self._engine.state.phase in ("ready", "loading"))
        number = self._send(query)
        if number:
            self._asked[number] = query

    def _send(self, query: Query) -> int:
        if query.text:
            parsed = parse_query(query.text)
            if not parsed.positive:
                self._refuse(_ONLY_NEGATIVE)
                return 0
            return self._engine.encode_texts([parsed.positive, *parsed.negatives])
        assert query.image is not None
        assert query.box is not None
        return self._engine.encode_boxes(str(query.image.id), [query.box], is_preview=query.is_preview)

    def _open_in_engine(self, image: Image) -> None:
        self._engine.set_image(str(image.id), self._file_of(image), image.sha256)

    def _remember(self, query: Query, picture: QImage) -> None:
        kept = [entry for entry in self._history if entry[0] != query]
        if kept and query.text and kept[0][0].text and query.text.startswith(kept[0][0].text):
            kept = kept[1:]  # the same words on their way, not another query
        self._history = [(query, picture), *kept][:_MAX_HISTORY]
        self._panel.set_history([entry[0].title for entry in self._history])

    def _on_history_chosen(self, number: int) -> None:
        query, picture = self._history[number]
        if query.image is not None:
            self._open_in_engine(query.image)
        self._begin(query, picture)

    # answers ----------------------------------------------------------------------------------------------------

    def _on_embedded(self, number: int, vectors_RD: Vectors) -> None:
        query = self._asked.pop(number, None)
        if query is None or self._service is None or not self._is_wanted(query):
            return
        self._latest.submit(answer, self._service, self._dataset, query, vectors_RD)

    def _is_wanted(self, query: Query) -> bool:
        """Whether an answer still belongs to what is looked for: a box on its way answers for the box at rest."""
        if self._query is None:
            return False
        return replace(query, is_preview=False, box=None) == replace(self._query, is_preview=False, box=None)

    def _on_answer(self, found: _Answer) -> None:
        if not self._is_wanted(found.query) or self._query is None:
            return
        is_final = found.query == self._query
        where = "Among the filtered images" if found.query.wanted else f"Among {found.num_places:,} places"
        self._panel.set_detail(f"{where}, in {found.seconds * 1000:.0f} ms")
        self._panel.set_phrases(found.phrases)
        self._panel.show_result(found.result)
        if is_final:
            self._panel.set_busy(False)
            if not found.query.is_preview:
                self.searched.emit(found.query)
                self._rest()

    def _rest(self) -> None:
        if self._query is not None and self._query.box is not None and not self._query.is_preview:
            self.rested.emit(self._query)

    def _on_grounded(self, number: int, box: UnitBox, score: float) -> None:
        text = self._grounding.pop(number, None)
        if text is not None:
            self.grounded.emit(box, text, score)

    def _on_refused(self, number: int, sentence: str) -> None:
        query = self._asked.pop(number, None)
        if query is not None and query == self._query:
            self._refuse(sentence)
        elif self._grounding.pop(number, None) is not None:
            self.said.emit(sentence)

    def _refuse(self, sentence: str) -> None:
        self._panel.set_busy(False)
        self._panel.set_hint(sentence)
        self._rest()


def answer(service: SearchService, dataset: DatasetView, query: Query, vectors_RD: Vectors) -> _Answer:
    """Search, and read what the tiles of the hits show.  Runs on a worker."""
    vector, negatives = vectors_RD[0], list(vectors_RD[1:])
    place = (query.image.id, query.box) if query.image is not None and query.box is not None else None
    found = service.hits_for(
        vector,
        negatives=negatives,
        top=_TOP_PREVIEW if query.is_preview else _TOP,
        wanted=query.wanted,
        exclude_region=query.region_id,
        own_place=place,
    )
    images = {image.id: image for image in dataset.images(sorted({hit.image_id for hit in found.hits}))}
    hits = tuple(
        HitItem.of(images[hit.image_id], hit.box, hit.score, hit.phrase, hit.region_id)
        for hit in found.hits
        if hit.image_id in images
    )
    edges = found.histogram.edges
    result = ShownResult(hits, found.cut, found.histogram.counts, edges[0], edges[-1])
    phrases: Sequence[Any] = service.phrases_for(vector, _NUM_PHRASES, negatives=negatives)
    return _Answer(query, result, list(phrases), len(service.index), found.seconds)
