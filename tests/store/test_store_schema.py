"""The schema: what it refuses by itself, and that the revisions lead to it."""

import math
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex, CreateTable

from locstudio.domain.regions import Origin, Review
from locstudio.store import schema
from locstudio.store.backup import backups_of
from locstudio.store.connections import connect, make_engine
from locstudio.store.dataset import Dataset
from locstudio.store.filters import state_bit, state_bits
from locstudio.store.making import make_dataset
from locstudio.store.migrating import run_revisions
from locstudio.store.sqlite_library import has_wal_reset_bug, journal_mode, sqlite_verdict, sqlite_version
from locstudio.store.words import is_word_table


def migrated(path: Path):
    path.touch()
    engine = make_engine(path, "write")
    with engine.begin() as connection:
        run_revisions(connection)
    return engine


def normalised(path: Path) -> dict[str, list[str]]:
    """Every table, index and trigger of a file; constraints in any order."""
    connection = connect(path, "read")
    found = {
        name: sorted(" ".join(statement.split()).replace(" ,", ",").split(", "))
        for name, statement in connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    }
    connection.close()
    for name in ("alembic_version",):
        found[name] = []
    return {name: sorted(part.strip(" ()") for part in parts) for name, parts in found.items()}


def test_that_the_revisions_lead_from_nothing_to_the_metadata(tmp_path: Path):
    engine = migrated(tmp_path / "migrated.sqlite")
    with engine.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": lambda _, name, kind, *__: not is_word_table(name or "")}
        )
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_that_a_migrated_file_and_a_new_one_are_alike(tmp_path: Path):
    migrated(tmp_path / "migrated.sqlite").dispose()
    make_dataset(tmp_path / "made.sqlite")
    old, new = normalised(tmp_path / "migrated.sqlite"), normalised(tmp_path / "made.sqlite")
    assert old.keys() == new.keys()
    for name in new:
        assert sorted(" ".join(old[name]).split()) == sorted(" ".join(new[name]).split()), name


def test_that_an_older_schema_is_backed_up_and_brought_up_when_opened(project):
    Dataset.create(project).close()
    connection = connect(project.dataset_path, "write")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA foreign_keys=OFF")
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    names = [name for (name,) in connection.execute(tables).fetchall()]
    for name in [n for n in names if n.endswith("_words")] + [n for n in names if not is_word_table(n)]:
        connection.execute(f"DROP TABLE {name}")
    connection.execute("PRAGMA user_version=0")
    connection.close()
    with Dataset.open(project) as dataset:
        assert dataset.add_root(project.path).id == 1
        assert dataset.integrity() == []
    assert "migration" in [backup.reason for backup in backups_of(project)]


def test_that_the_file_tells_what_it_is(dataset: Dataset, project):
    header = project.dataset_path.read_bytes()[:100]
    assert header[68:72] == b"LocS"
    assert int.from_bytes(header[60:64], "big") == schema.SCHEMA_VERSION


GOOD = {"image_id": 1, "x0": 0.1, "y0": 0.1, "x1": 0.5, "y1": 0.5}


@pytest.mark.parametrize(
    "bad",
    [
        {"x0": -0.1},
        {"x1": 1.1},
        {"y1": math.nan},
        {"y1": math.inf},
        {"x0": 0.6},
        {"y0": 0.5},
        {"score": math.inf},
        {"review": "maybe"},
        {"origin": ""},
        {"span_start": 3},
        {"phrase": None},
        {"image_id": None},
    ],
)
def test_that_the_database_itself_refuses_a_region_that_cannot_be(dataset: Dataset, bad: dict[str, object]):
    with pytest.raises(IntegrityError), dataset._writer._engine.begin() as connection:
        connection.execute(insert(schema.region).values(GOOD | bad))
    assert dataset.count_regions() == 0


def test_that_the_schema_can_be_said_to_postgresql():
    dialect = postgresql.dialect()
    for table in schema.metadata.sorted_tables:
        said = str(CreateTable(table).compile(dialect=dialect))
        assert "AUTOINCREMENT" not in said
        if "id" in table.c and isinstance(table.c.id.type, type(schema.BigKey)):
            assert "BIGSERIAL" in said
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))


def test_that_every_pair_of_review_and_origin_has_a_bit_of_its_own():
    bits = [state_bit(review, origin) for review in Review for origin in Origin]
    assert sum(bits) == 2 ** len(bits) - 1 == state_bits(frozenset(), frozenset())


@pytest.mark.parametrize(
    ("version", "has_bug"),
    [
        ((3, 6, 23), False),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
    ],
)
def test_that_versions_which_can_corrupt_a_write_ahead_log_get_the_slower_journal(version, has_bug):
    assert has_wal_reset_bug(version) == has_bug
    assert journal_mode(version) == ("delete" if has_bug else "wal")


def test_that_the_library_in_use_is_a_sound_one(dataset: Dataset):
    assert not has_wal_reset_bug(sqlite_version())
    assert "write-ahead log" in sqlite_verdict()
    with dataset._readers.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    assert dataset._writer.run_outside(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar()) == 2
    assert dataset._writer.run_outside(lambda c: c.exec_driver_sql("PRAGMA foreign_keys").scalar()) == 1
    assert dataset._writer.run_outside(lambda c: c.exec_driver_sql("PRAGMA trusted_schema").scalar()) == 0
