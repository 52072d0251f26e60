"""A dataset: everything a person did in a project.  The door for every write.

Every edit is a committed transaction; there is no "save".  Reads are in ``view``.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sqlalchemy import Connection, func, insert, select, update

from locstudio.domain.edits import Edit
from locstudio.domain.errors import StorageFailed
from locstudio.domain.regions import Image
from locstudio.store import schema
from locstudio.store.backup import make_backup
from locstudio.store.connections import (
    Access,
    damage_named,
    ensure_journal,
    failures_named,
    make_engine,
    refuse_foreign_file,
    refuse_unknown_schema,
    schema_version,
)
from locstudio.store.daily import DailyBackup
from locstudio.store.edit_log import HistoryEntry, go_to_step, record_edit, redo_step, undo_step
from locstudio.store.filters import Facets, ImageFilter
from locstudio.store.image_list_writing import put_images
from locstudio.store.integrity import problems_of
from locstudio.store.making import make_dataset
from locstudio.store.migrating import migrate
from locstudio.store.ownership import Ownership
from locstudio.store.project import Project
from locstudio.store.records import CheckpointRow, RunRow, SavedSearch
from locstudio.store.remembering import DatasetMemory
from locstudio.store.rows import ImageRoot
from locstudio.store.settings import read_revision
from locstudio.store.snapshot import SnapshotInfo, write_snapshot
from locstudio.store.words import word_index_problems
from locstudio.store.writer import Writer

__all__ = [
    "CheckpointRow",
    "Dataset",
    "Facets",
    "HistoryEntry",
    "ImageFilter",
    "ImageRoot",
    "RunRow",
    "SavedSearch",
    "SnapshotInfo",
    "open_snapshot",
]

T = TypeVar("T")
_CHUNK = 5000


class Dataset(DatasetMemory):
    """A project's dataset, open.  Use as a context manager, or ``close`` it."""

    def __init__(
        self,
        path: Path,
        *,
        project: Project | None = None,
        ownership: Ownership | None = None,
        roots: Mapping[int, str] | None = None,
    ) -> None:
        self.path = path
        self.project = project
        self._ownership = ownership
        self._access: Access = _reading_access(path, is_snapshot=project is None)
        self._writer = Writer(path) if ownership else None
        self._daily: DailyBackup | None = None
        super().__init__(make_engine(path, self._access, num_connections=4), dict(roots or {}))
        with self._read() as connection, damage_named():
            revision = read_revision(connection)
            self._next_ids = {name: itertools.count(last + 1) for name, last in _last_ids(connection).items()}
        if self._writer:
            self._writer.revision = revision

    @classmethod
    def create(cls, project: Project) -> "Dataset":
        """Make the dataset of a new project and open it.

        Raises:
            DatasetInUse: another process has the project open.
            StorageFailed: there is one already, or it cannot be written.
        """
        ownership = Ownership(project)
        try:
            with failures_named("The dataset was not made"):
                make_dataset(project.dataset_path)
            return cls(project.dataset_path, project=project, ownership=ownership)
        except BaseException:
            ownership.release()
            raise

    @classmethod
    def open(cls, project: Project, *, read_only: bool = False) -> "Dataset":
        """Open a project's dataset; one process may write, any number may read.

        An older schema is brought up, after a backup.  The first to write on a day makes the daily backup, beside
        the work.

        Raises:
            NotAProject: the file is none of ours.
            BadInput: there are triggers or views in it that LocStudio did not make.
            TooNew: a newer LocStudio wrote it.
            DatasetInUse: another process writes it.
            StorageFailed: it cannot be read, or written, or is damaged.
        """
        path = project.dataset_path
        refuse_foreign_file(path)
        if read_only:
            _refuse_unfit(path)
            return cls(path, project=project)
        ownership = Ownership(project)
        try:
            _refuse_unfit(path, oldest=0)
            with failures_named("Not opened"):
                ensure_journal(path)
                migrate(path, lambda: make_backup(project, "migration"))
            dataset = cls(path, project=project, ownership=ownership)
        except BaseException:
            ownership.release()
            raise
        dataset._daily = DailyBackup(project)
        return dataset

    def close(self) -> None:
        """Finish what is queued, and let others write."""
        if self._daily:
            self._daily.stop()
        if self._writer:
            self._writer.drain()
        self._readers.dispose()
        if self._writer:
            self._writer.close()
        if self._ownership:
            self._ownership.release()

    def __enter__(self) -> "Dataset":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_read_only(self) -> bool:
        """Whether edits are refused."""
        return self._writer is None

    def _writing(self) -> Writer:
        if self._writer is None:
            raise StorageFailed("Not saved: this project is open read-only.")
        return self._writer

    def _write(self, work: Callable[[Connection], T], *, is_counted: bool = True) -> T:
        return self._writing().run(work, is_counted=is_counted)

    def revision(self) -> int:
        """How many writes the dataset has seen; grows with each."""
        return self._writer.revision if self._writer else super().revision()

    # Images

    def add_root(self, path: Path) -> ImageRoot:
        """Take a folder of images into the dataset; the same folder twice is one root."""
        absolute = os.path.abspath(path)
        table = schema.image_root
        known = {root.path: root for root in self.roots()}
        if absolute in known:
            return known[absolute]

        def work(connection: Connection) -> int:
            key = connection.execute(insert(table).values(path=absolute)).inserted_primary_key
            assert key is not None
            return int(key[0])

        return ImageRoot(self._write(work), absolute)

    def relink_root(self, root_id: int, path: Path) -> None:
        """Say where a root's folder is now."""
        table = schema.image_root
        absolute = os.path.abspath(path)
        self._write(lambda c: c.execute(update(table).where(table.c.id == root_id).values(path=absolute)))
        self._root_paths = {}

    def add_images(self, images: Sequence[Image]) -> list[int]:
        """Put images into the dataset, or refresh them, by root and path; the identities given are ignored.

        What a person said of an image (verified, split) stays.  Goes in pieces, each a transaction.

        Returns:
            The identity of every image, in the order given.
        """
        keys: list[int] = []
        for start in range(0, len(images), _CHUNK):
            piece = images[start : start + _CHUNK]
            keys += self._write(lambda c, piece=piece: put_images(c, piece, self._next_ids["image"]))  # type: ignore[misc]  # the default binds the loop's value
        return keys

    # Edits

    def next_region_id(self) -> int:
        """An identity for a new region, never given before."""
        return next(self._next_ids["region"])

    def next_caption_id(self) -> int:
        """An identity for a new caption, never given before."""
        return next(self._next_ids["caption"])

    def next_class_id(self) -> int:
        """An identity for a new class, never given before."""
        return next(self._next_ids["label_class"])

    def next_superclass_id(self) -> int:
        """An identity for a new superclass, never given before."""
        return next(self._next_ids["superclass"])

    def next_correction_id(self) -> int:
        """An identity for something new that is painted on a heatmap, never given before."""
        return next(self._next_ids["heatmap_correction"])

    def apply(self, edit: Edit, *, actor: str = "human", group: str = "") -> Edit:
        """Apply an edit in one transaction, log included, and wait until it is on disk.

        Edits of one ``group`` that follow each other are one undo step.

        Returns:
            The inverse.

        Raises:
            EditConflict: a ``before`` is not what the dataset holds.
            StorageFailed: nothing was saved; the sentence says why.
        """
        return self.apply_async(edit, actor=actor, group=group).result()

    def apply_async(self, edit: Edit, *, actor: str = "human", group: str = "") -> "Future[Edit]":
        """``apply`` without waiting."""
        return self._writing().submit(lambda connection: record_edit(connection, edit, actor, group))

    def undo(self) -> Edit | None:
        """Take the newest step back.  Returns what was applied, None when there is nothing to undo."""
        return self._write(undo_step)

    def redo(self) -> Edit | None:
        """Apply the oldest undone step again.  Returns what was applied, None when there is nothing to redo."""
        return self._write(redo_step)

    def go_to(self, history_id: int) -> Edit | None:
        """Undo or redo until this entry of the history is the newest that is done; 0 undoes everything.

        Returns what was applied, in one piece, or None when the dataset stands there already.
        """
        return self._write(lambda connection: go_to_step(connection, history_id))

    # The whole

    def snapshot(self, target: Path) -> SnapshotInfo:
        """Write everything a run may learn from into one file, all of one revision; edits queued before are in it.

        Raises:
            StorageFailed: there is no room, or ``target`` exists.
        """
        self._drain()
        return write_snapshot(self.path, target, self._access)

    def backup(self, reason: str = "manual") -> Path:
        """Copy the dataset into the project's backups, checked.

        Raises:
            StorageFailed: there is no room, or this is a snapshot.
        """
        if self.project is None:
            raise StorageFailed("A snapshot needs no backup: it never changes.")
        self._drain()
        return make_backup(self.project, reason)

    def integrity(self, *, with_replay: bool = True) -> list[str]:
        """Sentences about everything that is wrong with the dataset; empty when nothing is.

        ``with_replay`` also applies the whole log of edits to nothing and compares the outcome.
        """
        self._drain()
        # WORKAROUND for FTS5 (SQLite 3.53): the check of a connection that has read a word index before believes what
        # it remembers of it, and takes what the writer has written since for damage.  A new one remembers nothing.
        reader = make_engine(self.path, self._access)
        try:
            with failures_named("Not read"), reader.begin() as connection:
                found = problems_of(connection, with_replay=with_replay and self.project is not None)
        finally:
            reader.dispose()
        if self._writer and not found:
            found = self._writer.run_outside(word_index_problems)
        return found

    def _drain(self) -> None:
        if self._writer:
            self._writer.run_outside(lambda _: None)


def open_snapshot(path: Path, roots: Mapping[int, str] | None = None) -> Dataset:
    """Open a snapshot for reading, also an older one.  ``roots`` says where image roots are on this machine.

    Raises:
        NotAProject: the file is no snapshot.
        TooNew: a newer LocStudio wrote it.
    """
    refuse_foreign_file(path)
    _refuse_unfit(path, oldest=schema.OLDEST_SNAPSHOT, is_snapshot=True)
    return Dataset(path, roots=roots)


def _reading_access(path: Path, *, is_snapshot: bool) -> Access:
    # A write-ahead log needs its two side files even to read; where they cannot be made only a frozen look is possible.
    has_side_files = all(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-shm"))
    can_read = has_side_files or os.access(path.parent, os.W_OK)
    return "read" if can_read and not is_snapshot else "frozen"


def _refuse_unfit(path: Path, *, oldest: int = schema.SCHEMA_VERSION, is_snapshot: bool = False) -> None:
    engine = make_engine(path, _reading_access(path, is_snapshot=is_snapshot))
    try:
        with failures_named("Not opened"), engine.begin() as connection:
            refuse_unknown_schema(connection, path)
            if (version := schema_version(connection)) < oldest:
                raise StorageFailed(
                    f"{path} has the older schema {version}. Open the project once for writing, to bring it up."
                )
    finally:
        engine.dispose()


def _last_ids(connection: Connection) -> dict[str, int]:
    """The highest identity ever given in each table: SQLite keeps it when the row is gone."""
    content = (schema.image, schema.region, schema.caption, schema.heatmap_correction)
    tables = (*content, schema.label_class, schema.superclass)
    last = {table.name: 0 for table in tables}
    for name in last:
        last[name] = connection.execute(select(func.max(schema.metadata.tables[name].c.id))).scalar() or 0
    for name, value in connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence"):
        if name in last:
            last[name] = max(last[name], int(value))
    return last
