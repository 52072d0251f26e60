"""The collection's own phrases with their embeddings, for ranking them beside a box.  Axes: V = phrases, D = width."""

import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from locstudio.domain.errors import StaleIndex, StorageFailed, TooNew
from locstudio.index.files import FORMAT_VERSION, MAX_DIM, check_checkpoint, write_whole
from locstudio.index.nearest import best, unit_rows, unit_vector
from locstudio.index.rows import checked_vectors, grown


class _Contents(msgspec.Struct, frozen=True, kw_only=True):
    format_version: int
    checkpoint_id: str
    dim: int
    texts: list[str]


class Vocabulary:
    """Texts and their vectors, of one checkpoint.  May be used from several threads; one process writes.

    ``vocabulary.f16`` only grows, ``vocabulary.json`` is replaced whole and decides how many rows count.
    """

    def __init__(self, folder: Path, checkpoint_id: str, dim: int, texts: Sequence[str], vectors: ArrayLike) -> None:
        """Use ``create`` or ``open``."""
        self._folder = folder
        self._lock = threading.Lock()
        self.checkpoint_id = checkpoint_id
        self.dim = dim
        self._texts = list(texts)
        self._position = {text: position for position, text in enumerate(self._texts)}
        self._vectors_VD = unit_rows(np.asarray(vectors).reshape(-1, dim))

    @classmethod
    def create(cls, folder: Path, checkpoint_id: str, dim: int) -> "Vocabulary":
        """An empty vocabulary, in place of one that may be there.

        Raises:
            StorageFailed: the folder cannot be written.
        """
        vocabulary = cls(folder, checkpoint_id, dim, [], np.empty((0, dim), np.float32))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error
        vocabulary._write(0, b"")
        return vocabulary

    @classmethod
    def open(cls, folder: Path, checkpoint_id: str) -> "Vocabulary":
        """The vocabulary in ``folder``.

        Raises:
            CheckpointMismatch: it was embedded by another checkpoint.
            StaleIndex: there is none, or it is damaged.
            TooNew: a newer LocStudio wrote it.
        """
        try:
            contents = msgspec.json.decode((folder / "vocabulary.json").read_bytes(), type=_Contents)
            if contents.format_version > FORMAT_VERSION:
                raise TooNew(f"A newer LocStudio wrote the vocabulary in {folder} (format {contents.format_version}).")
            check_checkpoint(contents.checkpoint_id, checkpoint_id)
            if not 0 < contents.dim <= MAX_DIM:
                raise ValueError(f"vectors of {contents.dim} values")
            num = len(contents.texts) * contents.dim
            values = np.fromfile(folder / "vocabulary.f16", np.float16, num)
            if len(values) < num:
                raise ValueError("vocabulary.f16 is shorter than it was")
        except (OSError, ValueError, RecursionError) as error:
            raise StaleIndex(
                f"The vocabulary in {folder} is missing or damaged ({error}). Embed the collection again to rebuild it."
            ) from error
        return cls(folder, contents.checkpoint_id, contents.dim, contents.texts, values)

    @property
    def texts(self) -> tuple[str, ...]:
        """All phrases, in the order they were added."""
        with self._lock:
            return tuple(self._texts)

    @property
    def vectors_VD(self) -> NDArray[np.float32]:
        """The vectors of all phrases, in the same order."""
        with self._lock:
            return self._vectors_VD[: len(self._texts)].copy()

    def __len__(self) -> int:
        return len(self._texts)

    def missing(self, texts: Iterable[str]) -> list[str]:
        """Those of the texts that have no vector yet, each once."""
        return [text for text in dict.fromkeys(texts) if text not in self._position]

    def add(self, texts: Sequence[str], vectors_VD: ArrayLike) -> None:
        """Add phrases; one that is there already keeps its vector.

        Raises:
            ValueError: the two differ in length, or a vector is not finite or zero.
            StorageFailed: the disk refused; nothing was added.
        """
        vectors = checked_vectors(vectors_VD, len(texts), self.dim)
        with self._lock:
            new = {text: row for row, text in enumerate(texts) if text not in self._position}
            if not new:
                return
            rows = vectors[list(new.values())]
            before = len(self._texts)
            self._texts.extend(new)
            try:
                self._write(before * self.dim * 2, rows.tobytes())
            except StorageFailed:
                del self._texts[before:]
                raise
            self._vectors_VD = grown(self._vectors_VD, before, before + len(rows))
            self._vectors_VD[before : before + len(rows)] = unit_rows(rows)
            self._position.update({text: before + offset for offset, text in enumerate(new)})

    def vector_of(self, text: str) -> NDArray[np.float32] | None:
        """The vector of a phrase, or None when it is not in the vocabulary."""
        with self._lock:
            position = self._position.get(text)
            return None if position is None else self._vectors_VD[position].copy()

    def nearest(self, query_D: ArrayLike, top: int, *, negatives: Sequence[ArrayLike] = ()) -> list[tuple[str, float]]:
        """The phrases nearest to a vector with their cosines, best first; those nearer to a negative are left out."""
        query = unit_vector(query_D, self.dim)
        unwanted = [unit_vector(negative, self.dim) for negative in negatives]
        with self._lock:
            vectors_VD = self._vectors_VD[: len(self._texts)]
            scores = vectors_VD @ query
            ranked = scores.copy()
            for negative in unwanted:
                ranked[vectors_VD @ negative > scores] = -np.inf
            chosen = [position for position in best(ranked, top).tolist() if np.isfinite(ranked[position])]
            return [(self._texts[position], float(scores[position])) for position in chosen]

    def _write(self, offset: int, content: bytes) -> None:
        contents = _Contents(
            format_version=FORMAT_VERSION, checkpoint_id=self.checkpoint_id, dim=self.dim, texts=self._texts
        )
        try:
            with open(self._folder / "vocabulary.f16", "r+b" if offset else "wb") as file:
                file.truncate(offset)
                file.seek(offset)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            write_whole(self._folder / "vocabulary.json", msgspec.json.encode(contents))
        except OSError as error:
            raise _unwritable(self._folder, error) from error


def _unwritable(folder: Path, error: OSError) -> StorageFailed:
    return StorageFailed(f"The vocabulary in {folder} could not be written: {error.strerror or error}.")
