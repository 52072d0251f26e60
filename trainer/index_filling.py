"""The index that a run makes: written beside its final name, resumable, and complete once renamed.

    results/index.partial/ -> results/index/     RegionIndex and Vocabulary, and
        images.jsonl                             one line per finished image: its id and the key of its content

``images.jsonl`` tells a resumed run what is done, and a later run whose images have not changed since.
"""

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import CheckpointMismatch, StaleIndex
from locstudio.domain.geometry import BoxArray
from locstudio.domain.regions import Region
from locstudio.index.region_index import RegionIndex
from locstudio.index.rows import PROPOSAL
from locstudio.index.vocabulary import Vocabulary
from locstudio.jobs.run_folder import sync_folder

IMAGES_NAME = "images.jsonl"
COMMIT_EVERY = 64

Vectors = NDArray[np.float32]


class _ImageLine(msgspec.Struct, frozen=True):
    id: int
    key: str


class KnownRows:
    """Rows of an index of the same checkpoint, for images whose content has not changed."""

    def __init__(self, folder: Path, checkpoint_id: str) -> None:
        """Open the index, or stand for an empty one if there is none that can be used."""
        self._index: RegionIndex | None = None
        self._vocabulary: Vocabulary | None = None
        with contextlib.suppress(StaleIndex, CheckpointMismatch):
            self._index = RegionIndex.open(folder, checkpoint_id)
            self._vocabulary = Vocabulary.open(folder, checkpoint_id)
        self._keys = _read_keys(folder) if self._index else {}

    def rows_of(self, image_id: int, key: str, regions: Sequence[Region]) -> tuple[Vectors, BoxArray, Vectors] | None:
        """Vectors of the regions in their order, boxes of the proposals and their vectors; None if anything is new."""
        if self._index is None or self._keys.get(image_id) != key:
            return None
        found = self._index.rows_of_image(image_id)
        row_of = {int(region): at for at, region in enumerate(found.region_ids) if found.kinds[at] != PROPOSAL}
        places = [row_of.get(region.id, -1) for region in regions]
        if -1 in places:
            return None
        boxes_R4 = np.array([region.box.as_tuple() for region in regions], np.float32).reshape(-1, 4)
        if not np.allclose(found.boxes[places], boxes_R4, rtol=0, atol=1e-6):
            return None
        proposals = np.flatnonzero(found.kinds == PROPOSAL)
        return (
            self._index.vectors(found.rows[places]),
            found.boxes[proposals],
            self._index.vectors(found.rows[proposals]),
        )

    def vectors_of(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of those texts that are known."""
        if self._vocabulary is None:
            return {}
        found = {text: self._vocabulary.vector_of(text) for text in texts}
        return {text: vector for text, vector in found.items() if vector is not None}

    def close(self) -> None:
        """Let go of the files."""
        if self._index is not None:
            self._index.close()


class IndexFilling:
    """Writes an index image by image; what was not committed when a run died is done again."""

    def __init__(self, results: Path, checkpoint_id: str, dim: int) -> None:
        self._results = results
        self._partial = results / "index.partial"
        self._checkpoint_id = checkpoint_id
        self._dim = dim
        try:
            self._index = RegionIndex.open(self._partial, checkpoint_id)
        except (StaleIndex, CheckpointMismatch):
            _remove(self._partial)
            self._index = RegionIndex.create(self._partial, checkpoint_id, dim)
        self._done = _read_keys(self._partial)
        self._lines: list[bytes] = []
        self._batch = contextlib.ExitStack()
        self._batch.enter_context(self._index.batch())

    def is_done(self, image_id: int) -> bool:
        """True if an earlier part of the run has finished the image."""
        return image_id in self._done

    def put(
        self,
        image_id: int,
        key: str,
        regions: Sequence[Region],
        vectors_RD: Vectors,
        proposal_boxes_P4: BoxArray,
        proposals_PD: Vectors,
    ) -> None:
        """Write all that the index holds of one image."""
        boxes_R4 = np.array([region.box.as_tuple() for region in regions], np.float64).reshape(-1, 4)
        if len(regions):
            self._index.put_regions([region.id for region in regions], [image_id] * len(regions), boxes_R4, vectors_RD)
        if len(proposal_boxes_P4):
            self._index.put_proposals([image_id] * len(proposal_boxes_P4), proposal_boxes_P4, proposals_PD)
        self._lines.append(msgspec.json.encode(_ImageLine(image_id, key)) + b"\n")
        if len(self._lines) >= COMMIT_EVERY:
            self.commit()

    def commit(self) -> None:
        """Make durable what was put: first the rows, then the word that their images are done."""
        self._batch.close()
        with open(self._partial / IMAGES_NAME, "ab") as file:
            file.write(b"".join(self._lines))
            file.flush()
            os.fsync(file.fileno())
        self._lines.clear()
        self._batch.enter_context(self._index.batch())

    def finish(self, texts: Sequence[str], vectors_VD: Vectors) -> Path:
        """Add the vocabulary, give the folder its final name and return it."""
        self.commit()
        self.close()
        vocabulary = Vocabulary.create(self._partial, self._checkpoint_id, self._dim)
        vocabulary.add(texts, vectors_VD)
        folder = self._results / "index"
        _remove(folder)
        os.replace(self._partial, folder)
        sync_folder(self._results)
        return folder

    def close(self) -> None:
        """Let go of the files; what was put stays."""
        self._batch.close()
        self._index.close()


def _read_keys(folder: Path) -> dict[int, str]:
    """The finished images of an index and the keys of their contents; a line cut off by a crash does not count."""
    keys: dict[int, str] = {}
    with contextlib.suppress(OSError, msgspec.MsgspecError), open(folder / IMAGES_NAME, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                entry = msgspec.json.decode(line, type=_ImageLine)
                keys[entry.id] = entry.key
    return keys


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
