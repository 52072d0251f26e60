"""Which SQLite this is, and whether its write-ahead log can be trusted.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when two connections write and checkpoint at the same moment; fixed in
3.51.3, with back-ports 3.50.7 and 3.44.6 (https://sqlite.org/wal.html#walresetbug).  ``pysqlite3`` carries a sound one.
"""

from types import ModuleType
from typing import cast

from pysqlite3 import dbapi2

Version = tuple[int, int, int]


def sqlite_module() -> ModuleType:
    """The DB-API module of the SQLite that LocStudio brings along."""
    return cast(ModuleType, dbapi2)


def sqlite_version() -> Version:
    """The version of the library in use."""
    return cast(Version, tuple(dbapi2.sqlite_version_info))


def has_wal_reset_bug(version: Version) -> bool:
    """Whether this version can corrupt a database in WAL mode."""
    if version < (3, 7, 0) or version >= (3, 51, 3):
        return False
    return not ((3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0))


def journal_mode(version: Version | None = None) -> str:
    """``wal`` where it is safe, else ``delete``."""
    return "delete" if has_wal_reset_bug(version or sqlite_version()) else "wal"


def sqlite_verdict() -> str:
    """One sentence for ``locstudio doctor``."""
    version = sqlite_version()
    name = "SQLite " + ".".join(str(part) for part in version)
    if has_wal_reset_bug(version):
        return f"{name} has the WAL-reset bug; projects are kept in the slower DELETE journal. Install pysqlite3."
    return f"{name}, write-ahead log, every commit on disk"
