"""The files of an index.  Two of them only ever grow; the manifest decides how much of them counts.

``vectors.f16``     float16, one row of ``dim`` values per embedding, L2-normalised
``rows.bin``        one record of ``ROW`` per embedding: what the vector is of
``tombstones.bin``  int64 row numbers that are no longer valid, in the order they died
``manifest.json``   replaced whole at every commit, after the other three are on disk

So a write that is cut off at any moment leaves the state of the last commit: what lies behind the counts of the
manifest is ignored by readers and overwritten by the next writer.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import CheckpointMismatch, StaleIndex, StorageFailed, TooNew
from locstudio.index.rows import ROW

FORMAT_VERSION = 1
MAX_DIM = 65_536
_VECTORS, _ROWS, _TOMBSTONES, _MANIFEST = "vectors.f16", "rows.bin", "tombstones.bin", "manifest.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an index holds.  ``count`` includes the rows that ``num_tombstones`` have taken out."""

    format_version: int
    checkpoint_id: str
    dim: int
    count: int = 0
    num_tombstones: int = 0


class IndexFiles:
    """Append-only storage of one index folder.  One writer; readers see the last commit."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self._manifest = manifest
        self._handles: dict[str, int] = {}
        self._vectors: NDArray[np.float16] = np.empty((0, manifest.dim), np.float16)

    @classmethod
    def create(cls, folder: Path, checkpoint_id: str, dim: int) -> "IndexFiles":
        """An empty index in a folder that holds none.

        Raises:
            ValueError: ``dim`` is out of range, or there is an index already.
            StorageFailed: the folder cannot be written.
        """
        if not 0 < dim <= MAX_DIM:
            raise ValueError(f"dim must lie in 1..{MAX_DIM}, not {dim}")
        if (folder / _MANIFEST).exists():
            raise ValueError(f"{folder} holds an index already")
        files = cls(folder, Manifest(format_version=FORMAT_VERSION, checkpoint_id=checkpoint_id, dim=dim))
        with _storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name in (_VECTORS, _ROWS, _TOMBSTONES):
                (folder / name).write_bytes(b"")
        files.commit()
        return files

    @classmethod
    def open(cls, folder: Path, checkpoint_id: str) -> "IndexFiles":
        """An existing index of this checkpoint.  Nothing is written before the first ``append``.

        Raises:
            StaleIndex: there is no index, or its files are damaged.
            CheckpointMismatch: it holds embeddings of another checkpoint.
            TooNew: a newer LocStudio wrote it.
        """
        manifest = _read_manifest(folder)
        check_checkpoint(manifest.checkpoint_id, checkpoint_id)
        files = cls(folder, manifest)
        for name, expected in files._sizes(manifest.count, manifest.num_tombstones).items():
            if not (folder / name).is_file() or (folder / name).stat().st_size < expected:
                raise _damaged(folder, f"{name} is shorter than it was")
        return files

    @property
    def manifest(self) -> Manifest:
        """What is in the files, including what has been appended but not committed."""
        return self._manifest

    @property
    def vectors_ND(self) -> NDArray[np.float16]:
        """All vectors, mapped from disk; rows never change once they are written."""
        if len(self._vectors) != self._manifest.count:
            shape = (self._manifest.count, self._manifest.dim)
            self._vectors = np.asarray(np.memmap(self._folder / _VECTORS, np.float16, "r", shape=shape))
        return self._vectors

    def read_rows(self) -> NDArray[np.void]:
        """A copy of all records of ``ROW``.

        Raises:
            StaleIndex: a record cannot be: an unknown kind, or a box that is none.
        """
        rows = np.fromfile(self._folder / _ROWS, ROW, self._manifest.count)
        box = rows["box"]
        is_box = ((box >= 0) & (box <= 1)).all(axis=1) & (box[:, 0] < box[:, 2]) & (box[:, 1] < box[:, 3])
        if not bool((is_box & (rows["kind"] <= 1)).all()):
            raise _damaged(self._folder, f"{_ROWS} holds rows that cannot be")
        return rows

    def read_tombstones(self) -> NDArray[np.int64]:
        """The dead rows.

        Raises:
            StaleIndex: a row number is out of range.
        """
        dead = np.fromfile(self._folder / _TOMBSTONES, "<i8", self._manifest.num_tombstones)
        if dead.size and not (dead.min() >= 0 and dead.max() < self._manifest.count):
            raise _damaged(self._folder, f"{_TOMBSTONES} names rows that are not there")
        return dead.astype(np.int64)

    def append(self, vectors_ND: NDArray[np.float16], rows_N: NDArray[np.void], dead: NDArray[np.int64]) -> None:
        """Write new rows and tombstones behind what is there; they count after ``commit``.

        Raises:
            StorageFailed: the disk refused; nothing of it counts.
        """
        count, num_tombstones = self._manifest.count, self._manifest.num_tombstones
        start = self._sizes(count, num_tombstones)
        with _storage_errors(self._folder):
            self._write(_VECTORS, vectors_ND.tobytes(), start[_VECTORS])
            self._write(_ROWS, rows_N.tobytes(), start[_ROWS])
            self._write(_TOMBSTONES, dead.astype("<i8").tobytes(), start[_TOMBSTONES])
        self._manifest = msgspec.structs.replace(
            self._manifest, count=count + len(rows_N), num_tombstones=num_tombstones + len(dead)
        )

    def commit(self) -> None:
        """Make everything appended so far durable and let it count.

        Raises:
            StorageFailed: the disk refused; on disk the state of the last commit stands.
        """
        with _storage_errors(self._folder):
            for handle in self._handles.values():
                os.fsync(handle)
            write_whole(self._folder / _MANIFEST, msgspec.json.format(msgspec.json.encode(self._manifest)) + b"\n")

    def close(self) -> None:
        """Let go of the files."""
        for handle in self._handles.values():
            os.close(handle)
        self._handles.clear()

    def _write(self, name: str, content: bytes, offset: int) -> None:
        if not content:
            return
        if name not in self._handles:
            self._handles[name] = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        handle = self._handles[name]
        os.ftruncate(handle, offset)
        view = memoryview(content)
        while view:
            written = os.pwrite(handle, view, offset)
            view, offset = view[written:], offset + written

    def _sizes(self, count: int, num_tombstones: int) -> dict[str, int]:
        return {
            _VECTORS: count * self._manifest.dim * 2,
            _ROWS: count * ROW.itemsize,
            _TOMBSTONES: num_tombstones * 8,
        }


def check_checkpoint(held: str, wanted: str) -> None:
    """Refuse embeddings of another checkpoint.

    Raises:
        CheckpointMismatch: the two ids differ; the sentence names both.
    """
    if held != wanted:
        raise CheckpointMismatch(
            f"This index holds embeddings of {held}; the project now uses {wanted}. "
            "Embed the collection again, or go back to the other checkpoint."
        )


def checkpoint_of_index(folder: Path) -> str:
    """The checkpoint whose embeddings this folder holds; empty where there is no index that can be read."""
    try:
        return _read_manifest(folder).checkpoint_id
    except (StaleIndex, TooNew):
        return ""


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file so that a reader, or a machine that loses power, sees the old content or the new one."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_manifest(folder: Path) -> Manifest:
    path = folder / _MANIFEST
    if not path.is_file():
        raise StaleIndex(f"There is no search index in {folder} yet. Embed the collection first.")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(folder, f"{_MANIFEST} cannot be read ({error})") from error
    if manifest.format_version > FORMAT_VERSION:
        raise TooNew(
            f"The search index in {folder} was written by a newer LocStudio (format {manifest.format_version})."
        )
    if not 0 < manifest.dim <= MAX_DIM or manifest.count < 0 or manifest.num_tombstones < 0:
        raise _damaged(folder, f"{_MANIFEST} holds numbers that cannot be")
    return manifest


def _damaged(folder: Path, what: str) -> StaleIndex:
    return StaleIndex(f"The search index in {folder} is damaged: {what}. Embed the collection again to rebuild it.")


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"The search index in {folder} could not be written: {error.strerror or error}.") from error
