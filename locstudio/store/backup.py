"""Backups of a dataset: made by SQLite's own copying, checked, and pruned.

Kept are the newest 7 daily ones, one for each of 4 weeks before them, and every other kind: those made before a
migration or a restore, and by hand.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.store.connections import connect, failures_named, make_engine, refuse_foreign_file, refuse_unknown_schema
from locstudio.store.files import copy_database, quick_check, sync_folder
from locstudio.store.ownership import Ownership
from locstudio.store.project import Project
from locstudio.store.sqlite_library import sqlite_module

DAILY = "daily"
NUM_DAILY = 7
NUM_WEEKLY = 4

_STAMP = "%Y%m%dT%H%M%S%fZ"
_NAME = re.compile(r"(?P<stamp>\d{8}T\d{12}Z)-(?P<reason>[a-z0-9-]+)\.sqlite")


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup on disk.  ``at`` is UTC."""

    path: Path
    at: datetime
    reason: str
    size_bytes: int


def backups_of(project: Project) -> list[Backup]:
    """The project's backups, newest first."""
    found = []
    for path in project.backups.glob("*.sqlite") if project.backups.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            at = datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC)
            found.append(Backup(path, at, match["reason"], path.stat().st_size))
    return sorted(found, key=lambda backup: backup.at, reverse=True)


def make_backup(project: Project, reason: str, *, should_stop: Callable[[], bool] = lambda: False) -> Path:
    """Copy the dataset as it is now into ``backups``, check the copy, and prune older daily ones.

    Raises:
        ValueError: the reason is not made of lower-case letters, digits and hyphens.
        StorageFailed: there is no room, or the copy is damaged.
        CopyStopped: ``should_stop`` said so.
    """
    if not re.fullmatch(r"[a-z0-9-]+", reason):
        raise ValueError(f"a backup's reason is lower-case letters, digits and hyphens, not {reason!r}")
    try:
        project.backups.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"{project.backups} cannot be written: {error.strerror}.") from error
    target = project.backups / f"{datetime.now(UTC).strftime(_STAMP)}-{reason}.sqlite"
    copy_database(project.dataset_path, target, should_stop=should_stop)
    for backup in superfluous(backups_of(project)):
        backup.path.unlink(missing_ok=True)
    return target


def is_daily_due(project: Project) -> bool:
    """Whether no daily backup was made today (UTC)."""
    today = datetime.now(UTC).date()
    return not any(backup.reason == DAILY and backup.at.date() == today for backup in backups_of(project))


def superfluous(backups: list[Backup]) -> list[Backup]:
    """The daily backups that neither the last days nor the last weeks need."""
    daily = sorted((b for b in backups if b.reason == DAILY), key=lambda b: b.at, reverse=True)
    newest_of_week: dict[tuple[int, int], Backup] = {}
    for backup in daily[NUM_DAILY:]:
        year, week, _ = backup.at.isocalendar()
        newest_of_week.setdefault((year, week), backup)
    kept = list(newest_of_week.values())[:NUM_WEEKLY]
    return [backup for backup in daily[NUM_DAILY:] if backup not in kept]


def restore(project: Project, backup: Path) -> Path | None:
    """Put a backup in the dataset's place.  The project must be closed.

    What stood there is kept: as a backup when it can be read, else as it is, under another name.

    Returns:
        Where the replaced dataset is now; None when there was none.

    Raises:
        DatasetInUse: the project is open.
        BadInput: the backup is damaged or no dataset.
    """
    ownership = Ownership(project)
    try:
        with failures_named("Not restored"):
            _refuse_unsound(backup)
        kept = _keep_replaced(project)
        # The log of the replaced file must never meet the restored one.
        for suffix in ("-wal", "-shm", "-journal"):
            project.dataset_path.with_name(project.dataset_path.name + suffix).unlink(missing_ok=True)
        copy_database(backup, project.dataset_path, access="frozen")
        return kept
    finally:
        ownership.release()


def _refuse_unsound(backup: Path) -> None:
    refuse_foreign_file(backup)
    engine = make_engine(backup, "frozen")
    try:
        with engine.connect() as connection:
            refuse_unknown_schema(connection, backup)
    finally:
        engine.dispose()
    connection = connect(backup, "frozen")
    try:
        if problems := quick_check(connection):
            raise BadInput(f"This backup is damaged ({problems[0]}); choose another.")
    finally:
        connection.close()


def _keep_replaced(project: Project) -> Path | None:
    path = project.dataset_path
    if not path.exists():
        return None
    try:
        kept = make_backup(project, "before-restore")
        connection = connect(path, "write")
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
        return kept
    except (StorageFailed, sqlite_module().Error):
        stamp = datetime.now(UTC).strftime(_STAMP)
        kept = project.backups / f"{stamp}-damaged.sqlite"
        for suffix in ("-wal", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(kept.with_name(kept.name + suffix))
        sync_folder(project.backups)
        return kept
