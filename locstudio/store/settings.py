"""Small values of a dataset by name: its revision, and what the window remembers of this project."""

from sqlalchemy import Connection, text

from locstudio.store.connections import damage_named

REVISION = "revision"

_BUMP = text(
    "INSERT INTO setting (key, value) VALUES ('revision', '1') "
    "ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(setting.value AS INTEGER) + 1 AS TEXT) RETURNING value"
)
_READ = text("SELECT value FROM setting WHERE key = :key")
_WRITE = text(
    "INSERT INTO setting (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


def bump_revision(connection: Connection) -> int:
    """Count one more write, and return the new count."""
    return int(connection.execute(_BUMP).scalar_one())


def read_revision(connection: Connection) -> int:
    """How many writes the dataset has seen."""
    with damage_named():
        return int(read_setting(connection, REVISION, "0"))


def read_setting(connection: Connection, key: str, default: str) -> str:
    """The value under a key."""
    found = connection.execute(_READ, {"key": key}).scalar()
    return default if found is None else str(found)


def write_setting(connection: Connection, key: str, value: str) -> None:
    """Put a value under a key."""
    connection.execute(_WRITE, {"key": key, "value": value})
