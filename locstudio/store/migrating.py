"""Bringing an older dataset to the newest schema, in one transaction, after a backup.

Alembic is imported only when there is something to do: it is slow to import, and most projects are current.
"""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from locstudio import __version__
from locstudio.domain.errors import StorageFailed
from locstudio.store.connections import make_engine, schema_version
from locstudio.store.schema import APPLICATION_ID, SCHEMA_VERSION
from locstudio.store.settings import write_setting

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(path: Path, back_up: Callable[[], object]) -> bool:
    """Migrate the dataset at ``path`` when its schema is older than this program's.

    Args:
        path: The dataset's file, which nobody else writes.
        back_up: Called before anything is changed.

    Returns:
        Whether there was something to do.

    Raises:
        StorageFailed: the schema could not be brought up; the file is as it was.
    """
    engine = make_engine(path, "write")
    try:
        with engine.connect() as connection:
            if schema_version(connection) >= SCHEMA_VERSION:
                return False
        back_up()
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # Tables are rebuilt by dropping the old one, which must not be taken for the removal of its rows.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        with engine.begin() as connection:
            run_revisions(connection)
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
                raise StorageFailed(
                    f"The project could not be brought to the new schema: {len(broken)} rows refer to nothing. "
                    f"It is unchanged; run `locstudio check` with the version that made it."
                )
        return True
    finally:
        engine.dispose()


def run_revisions(connection: Connection) -> None:
    """Run all Alembic revisions that the database has not seen, on a connection in a transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA_VERSION}")
    write_setting(connection, "written_by", __version__)
