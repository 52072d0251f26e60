"""Keeping the index in step with edits: what moved is embedded at once, what was deleted is found no more."""

from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from locstudio.domain.edits import Edit
from locstudio.domain.regions import Region
from locstudio.services.search import Follow, SearchService
from locstudio.store.dataset import Dataset
from locstudio.ui.background import DatasetWorker
from locstudio.ui.engine_client import EngineClient

MAX_AT_ONCE = 5000  # regions; more than this is the work of a run
_TEXTS_AT_ONCE = 256


class Following(QObject):
    """Sends what an edit has changed to the engine, and its vectors to the index.

    Signals:
        progressed: how many images wait for their new vectors.
        followed: the index holds what it was asked to take.
        too_much: so many regions changed that the collection should be indexed anew.
        failed: a sentence.
    """

    progressed = Signal(int)
    followed = Signal()
    too_much = Signal(int)
    failed = Signal(str)

    def __init__(
        self, dataset: Dataset, engine: EngineClient, work: DatasetWorker, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._engine = engine
        self._work = work
        self._service: SearchService | None = None
        self._waiting: deque[tuple[int, Path, str, list[Region]]] = deque()
        self._regions: dict[int, list[Region]] = {}
        self._phrases: dict[int, list[str]] = {}
        engine.embedded.connect(self._on_embedded)
        engine.refused.connect(self._on_refused)

    def set_service(self, service: SearchService | None) -> None:
        """Follow with this index; what it has missed is caught up with.  A read-only project is not followed."""
        self._service = service = None if self._dataset.is_read_only else service
        self._waiting.clear()
        self._regions.clear()
        self._phrases.clear()
        if service is not None:
            self._ask(service.reconcile)

    def follow(self, edit: Edit) -> None:
        """Follow an edit that is on disk."""
        if self._service is not None:
            service = self._service
            self._ask(lambda: service.on_edit(edit))

    def _ask(self, what: object) -> None:
        self._work.ask(what, on_result=self._on_follow, on_error=lambda e: self.failed.emit(str(e)))  # type: ignore[arg-type]  # a method of the service

    def _on_follow(self, follow: Follow) -> None:
        if len(follow.regions) > MAX_AT_ONCE:
            self.too_much.emit(len(follow.regions))
            return
        by_image: dict[int, list[Region]] = defaultdict(list)
        for region in follow.regions:
            by_image[region.image_id].append(region)
        if by_image:
            self._work.ask(self._files_of, list(by_image), on_result=lambda files: self._embed(by_image, files))
        for start in range(0, len(follow.phrases), _TEXTS_AT_ONCE):
            texts = list(follow.phrases[start : start + _TEXTS_AT_ONCE])
            self._phrases[self._engine.encode_texts(texts)] = texts
        if not by_image and not follow.phrases:
            self.followed.emit()

    def _files_of(self, image_ids: Sequence[int]) -> dict[int, tuple[Path, str]]:
        return {
            image.id: (self._dataset.image_file(image), image.sha256)
            for image in self._dataset.images(image_ids)
            if not image.problem
        }

    def _embed(self, by_image: dict[int, list[Region]], files: dict[int, tuple[Path, str]]) -> None:
        self._waiting += [(image_id, file, sha256, by_image[image_id]) for image_id, (file, sha256) in files.items()]
        self._send_next()

    def _send_next(self) -> None:
        """One image at a time, so that what a person asks meanwhile is answered in between."""
        self.progressed.emit(len(self._waiting) + len(self._regions))
        if self._waiting and not self._regions:
            image_id, file, sha256, regions = self._waiting.popleft()
            self._engine.set_image(str(image_id), file, sha256)
            number = self._engine.encode_boxes(str(image_id), [region.box for region in regions])
            self._regions[number] = regions

    def _on_embedded(self, number: int, vectors: NDArray[np.float32]) -> None:
        service = self._service
        regions, phrases = self._regions.pop(number, None), self._phrases.pop(number, None)
        if service is None or (regions is None and phrases is None):
            return
        put = (
            (lambda: service.put_regions(regions, vectors))
            if regions
            else (lambda: service.vocabulary.add(phrases or [], vectors))
        )
        self._send_next()
        self._work.ask(put, on_result=lambda _: self.followed.emit(), on_error=lambda e: self.failed.emit(str(e)))

    def _on_refused(self, number: int, sentence: str) -> None:
        if self._regions.pop(number, None) or self._phrases.pop(number, None):
            self.failed.emit(sentence)
            self._send_next()
