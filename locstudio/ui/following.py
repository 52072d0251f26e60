"""Keeping the index in step with edits: what moved is embedded at once, what was deleted is found no more."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
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
        self._num_open = 0
        self._is_in_doubt = False
        engine.embedded.connect(self._on_embedded)
        engine.refused.connect(self._on_refused)

    def set_service(self, service: SearchService | None) -> None:
        """Follow with this index; what it has missed is caught up with.  A read-only project is not followed."""
        self._service = service = None if self._dataset.is_read_only else service
        self._waiting.clear()
        self._regions.clear()
        self._phrases.clear()
        self._is_in_doubt = False
        if service is not None:
            self._ask(service, lambda: self._missed(service))

    def follow(self, edit: Edit) -> None:
        """Follow an edit that is on disk."""
        if (service := self._service) is not None:
            self._ask(service, lambda: service.on_edit(edit))

    def learn(self, phrases: Sequence[str]) -> None:
        """Give the vocabulary vectors of phrases that it does not know; ``followed`` tells when some are there."""
        if self._service is not None:
            for start in range(0, len(phrases), _TEXTS_AT_ONCE):
                texts = list(phrases[start : start + _TEXTS_AT_ONCE])
                self._phrases[self._engine.encode_texts(texts)] = texts

    def close(self) -> None:
        """Note that the index holds everything, if it does, so that the next start need not compare the two."""
        service, self._service = self._service, None
        is_open = self._waiting or self._regions or self._phrases or self._num_open
        if service is not None and not is_open and not self._is_in_doubt:
            with suppress(OSError):
                self._note.write_text(self._mark_of(service), "ascii")

    def _missed(self, service: SearchService) -> Follow:
        """On the worker: what the index has missed; nothing is compared where the note says that it was in step."""
        with suppress(OSError, ValueError):
            if self._note.read_text("ascii") == self._mark_of(service):
                return Follow((), (), ())
        return service.reconcile()

    @property
    def _note(self) -> Path:
        assert self._dataset.project is not None
        return self._dataset.project.cache / "index_in_step"

    def _mark_of(self, service: SearchService) -> str:
        return f"{service.index.checkpoint_id} {len(service.index)} {self._dataset.revision()}"

    def _ask(self, service: SearchService, what: Callable[[], Follow]) -> None:
        self._num_open += 1
        self._work.ask(what, on_result=partial(self._on_follow, service), on_error=self._on_error)

    def _on_error(self, error: Exception) -> None:
        self._num_open -= 1
        self._is_in_doubt = True
        self.failed.emit(str(error))

    def _on_follow(self, service: SearchService, follow: Follow) -> None:
        self._num_open -= 1
        if service is not self._service:
            return
        if len(follow.regions) > MAX_AT_ONCE:
            self._is_in_doubt = True
            self.too_much.emit(len(follow.regions))
            return
        by_image: dict[int, list[Region]] = defaultdict(list)
        for region in follow.regions:
            by_image[region.image_id].append(region)
        if by_image:
            self._num_open += 1
            self._work.ask(
                self._files_of, list(by_image), on_result=partial(self._embed, by_image), on_error=self._on_error
            )
        self.learn(follow.phrases)
        if not by_image and not follow.phrases:
            self.followed.emit()

    def _files_of(self, image_ids: Sequence[int]) -> dict[int, tuple[Path, str]]:
        return {
            image.id: (self._dataset.image_file(image), image.sha256)
            for image in self._dataset.images(image_ids)
            if not image.problem
        }

    def _embed(self, by_image: dict[int, list[Region]], files: dict[int, tuple[Path, str]]) -> None:
        self._num_open -= 1
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
        self._send_next()
        self._num_open += 1
        if regions:
            self._work.ask(service.put_regions, regions, vectors, on_result=self._on_put, on_error=self._on_error)
        else:
            add = service.vocabulary.add
            self._work.ask(add, phrases or [], vectors, on_result=self._on_put, on_error=self._on_error)

    def _on_put(self, _: object) -> None:
        self._num_open -= 1
        self.followed.emit()

    def _on_refused(self, number: int, sentence: str) -> None:
        if self._regions.pop(number, None) or self._phrases.pop(number, None):
            self._is_in_doubt = True
            self.failed.emit(sentence)
            self._send_next()
