"""Connections to a dataset's file: how they are opened, what is refused, and what their failures are called."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.pool import QueuePool

from locstudio import __version__
from locstudio.domain.errors import BadInput, EditConflict, NotAProject, StorageFailed, TooNew
from locstudio.store.schema import APPLICATION_ID, SCHEMA_VERSION
from locstudio.store.sqlite_library import journal_mode, sqlite_module
from locstudio.store.words import STATEMENTS, WORD_TABLES

Access = Literal["write", "read", "frozen"]

_MAGIC = b"SQLite format 3\x00"
_OPENING = {"write": "mode=rw", "read": "mode=ro", "frozen": "mode=ro&immutable=1"}
BUSY_TIMEOUT_MS = 5000


def connect(path: Path, access: Access) -> Any:
    """A bare DB-API connection.  ``frozen`` is for files that nobody writes: it makes no lock and no side file."""
    module = sqlite_module()
    address = "file:" + quote(os.fsencode(os.path.abspath(path))) + "?" + _OPENING[access]
    connection = module.connect(
        address, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000
    )
    for pragma in (
        "trusted_schema=OFF",  # what a stranger's schema calls must be harmless
        "foreign_keys=ON",
        "synchronous=FULL",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "cell_size_check=ON",
        "cache_size=-32768",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def ensure_journal(path: Path) -> None:
    """Put the file into the journal mode that this SQLite library can be trusted with.

    A backup that was put back comes without a write-ahead log.  While others read the file it stays as it is.
    """
    connection = connect(path, "write")
    try:
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute(f"PRAGMA journal_mode={journal_mode()}")
    except sqlite_module().OperationalError as error:
        if "locked" not in str(error):
            raise
    finally:
        connection.close()


def make_engine(path: Path, access: Access, *, num_connections: int = 1) -> Engine:
    """An engine whose transactions begin at once: ``IMMEDIATE`` for the writer, a steady view for readers."""
    engine = create_engine(
        "sqlite://",
        module=sqlite_module(),
        creator=lambda: connect(path, access),
        poolclass=QueuePool,
        pool_size=num_connections,
        max_overflow=0 if access == "write" else 16,
        pool_reset_on_return="rollback",
    )
    begin = "BEGIN IMMEDIATE" if access == "write" else "BEGIN"

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(begin)

    return engine


def refuse_foreign_file(path: Path) -> None:
    """Look at the first bytes of the file before SQLite does.

    Raises:
        NotAProject: it is not a dataset of LocStudio.
        StorageFailed: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            header = file.read(100)
    except FileNotFoundError as error:
        raise NotAProject(f"{path.parent} is not a LocStudio project: it holds no {path.name}.") from error
    except OSError as error:
        raise StorageFailed(f"{path} cannot be read: {error.strerror}.") from error
    if not header:
        raise NotAProject(f"{path} is not a LocStudio project: the file is empty.")
    if not header.startswith(_MAGIC):
        raise NotAProject(f"{path} is not a LocStudio project: it is no SQLite file.")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise NotAProject(f"{path} is not a LocStudio project: it is another program's SQLite file.")


def refuse_unknown_schema(connection: Connection, path: Path) -> None:
    """Refuse what a newer LocStudio wrote, and programs inside the file that LocStudio did not put there.

    Raises:
        TooNew: the schema is newer than this program.
        BadInput: there is a trigger, view or virtual table that is not ours.
    """
    version = schema_version(connection)
    if version > SCHEMA_VERSION:
        raise TooNew(
            f"This project has schema {version}; LocStudio {__version__} knows schema {SCHEMA_VERSION}. "
            f"Open it with a newer LocStudio."
        )
    shadows = {f"{name}_{part}" for name in WORD_TABLES for part in ("data", "idx", "docsize", "config", "content")}
    for kind, name, statement in connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master"):
        if name in shadows and kind == "table":
            continue
        is_virtual = str(statement or "").upper().lstrip().startswith("CREATE VIRTUAL")
        if (kind in ("trigger", "view") or is_virtual) and STATEMENTS.get(name) != statement:
            raise BadInput(
                f"{path} holds the {kind} {name!r}, which LocStudio did not make. It was not opened, "
                f"because it could change data behind your back."
            )


def schema_version(connection: Connection) -> int:
    """The schema that the file has; 0 before the first migration."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


@contextmanager
def failures_named(what: str = "Not saved") -> Iterator[None]:
    """Turn what SQLite and the system say into our own errors, with a sentence.

    Raises:
        EditConflict: a change refers to something that is not there, or breaks a rule of the schema.
        StorageFailed: the disk is full, read-only or broken, or the file is damaged.
    """
    try:
        yield
    except IntegrityError as error:
        raise EditConflict(f"{what}: the change does not fit the dataset ({error.orig}).") from error
    except DatabaseError as error:
        raise StorageFailed(f"{what}: {_reason(str(error.orig))}") from error
    except sqlite_module().Error as error:
        raise StorageFailed(f"{what}: {_reason(str(error))}") from error
    except UnicodeDecodeError as error:  # SQLite's own words about a damaged schema are damaged too
        raise StorageFailed(f"{what}: {_reason('malformed')}") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StorageFailed(f"{what}: {_reason('full') if full else error.strerror or error}.") from error


@contextmanager
def damage_named() -> Iterator[None]:
    """Around the reading of values that only LocStudio writes: what they cannot be tells of a damaged file.

    Raises:
        StorageFailed: a value has the wrong type, or is none of those that there are.
    """
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise StorageFailed(
            f"The dataset is damaged: a value cannot be read ({error}). Restore one of the project's backups."
        ) from error


def _reason(said: str) -> str:
    lowered = said.lower()
    if "full" in lowered:
        return "the disk is full. Free some space and try again; what was saved before is safe."
    if "locked" in lowered or "busy" in lowered:
        return "another program holds the dataset's file. Close it and try again."
    if "readonly" in lowered or "read-only" in lowered:
        return "the dataset is read-only."
    if "malformed" in lowered or "not a database" in lowered or "decode" in lowered or "corrupt" in lowered:
        return f"the dataset's file is damaged ({said}). Restore one of the project's backups."
    if "unable to open" in lowered:
        return "the dataset's file cannot be opened; is the folder there and yours?"
    if "disk i/o" in lowered:
        return "the disk reported an error; what was saved before is read again."
    return f"the dataset's file refused it ({said})."
