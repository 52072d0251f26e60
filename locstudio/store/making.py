"""A new, empty dataset file, complete when it has its name."""

from pathlib import Path

from sqlalchemy import Connection, text

from locstudio import __version__
from locstudio.domain.errors import StorageFailed
from locstudio.store.connections import ensure_journal, make_engine
from locstudio.store.files import replaced_when_whole
from locstudio.store.schema import APPLICATION_ID, HEAD_REVISION, SCHEMA_VERSION, metadata
from locstudio.store.settings import write_setting
from locstudio.store.words import create_word_indexes


def make_dataset(path: Path) -> None:
    """Make an empty dataset.

    Raises:
        StorageFailed: the file is there already.
    """
    if path.exists():
        raise StorageFailed(f"{path} is there already.")
    with replaced_when_whole(path) as partial:
        partial.touch()
        engine = make_engine(partial, "write")
        try:
            with engine.begin() as connection:
                fill_schema(connection)
                create_word_indexes(connection)
        finally:
            engine.dispose()
        ensure_journal(partial)


def fill_schema(connection: Connection) -> None:
    """All tables of the newest schema, with the marks that tell the file from others."""
    connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA_VERSION}")
    metadata.create_all(connection)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": HEAD_REVISION})
    write_setting(connection, "written_by", __version__)
