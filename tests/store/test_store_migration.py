"""Datasets of every older schema: backed up, brought up, and nothing in them lost.

``tests/data/schema_N.sqlite`` is a dataset as the last LocStudio with schema N wrote it.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from locstudio.domain.regions import Review
from locstudio.store import schema
from locstudio.store.backup import backups_of
from locstudio.store.connections import connect
from locstudio.store.dataset import Dataset, open_snapshot
from locstudio.store.project import Project, create_project

DATA = Path(__file__).resolve().parents[1] / "data"
OLDER = [DATA / f"schema_{version}.sqlite" for version in range(1, schema.SCHEMA_VERSION)]


def project_from(fixture: Path, folder: Path) -> Project:
    project = create_project(folder / "project")
    shutil.copyfile(fixture, project.dataset_path)
    return project


def counts_and_content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table that the file has, but for what a migration writes of itself."""
    connection = connect(path, "read")
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%_words%' AND name <> 'sqlite_stat1'"
    )
    tables = [name for (name,) in connection.execute(names).fetchall() if name != "alembic_version"]
    rows = {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in tables}
    connection.close()
    return rows


def test_that_a_dataset_of_every_older_schema_is_kept():
    assert all(path.is_file() for path in OLDER)


@pytest.mark.parametrize("fixture", OLDER, ids=lambda path: path.stem)
def test_row_23_that_an_older_dataset_is_backed_up_and_brought_up_with_every_row(fixture: Path, tmp_path: Path):
    project = project_from(fixture, tmp_path)
    before = counts_and_content(project.dataset_path)
    with Dataset.open(project) as dataset:
        assert dataset.integrity() == []  # replays the log of edits
        assert dataset.undo() is not None
        assert dataset.redo() is not None
        dataset.ingest_events("run", [(0, "note", None, "{}")])
    after = counts_and_content(project.dataset_path)
    for name in before.keys() - {"setting", "sqlite_sequence"}:
        # New columns come last; undo and redo have each added a line to the log, and a run has said something.
        width = len(before[name][0]) if before[name] else 0
        if name == "change_choice":
            width -= 1  # the time, which redo has renewed
        kept = [row[:width] for row in after[name]]
        assert all(row[:width] in kept for row in before[name]), name
        assert len(after[name]) == len(before[name]) + {"edit": 2, "run_event": 1}.get(name, 0), name
    (backup,) = [backup for backup in backups_of(project) if backup.reason == "migration"]
    assert counts_and_content(backup.path) == before
    with Dataset.open(project):
        pass
    assert len([backup for backup in backups_of(project) if backup.reason == "migration"]) == 1


def test_row_23_that_schema_1_reads_as_it_did(tmp_path: Path):
    with Dataset.open(project_from(DATA / "schema_1.sqlite", tmp_path)) as dataset:
        assert (dataset.count_images(), dataset.count_regions(), len(dataset.classes())) == (6, 20, 2)
        assert dataset.regions_of(1)[0].phrase == "a brown dog"
        assert {region.review for region in dataset.region_page()} == {Review.ACCEPTED, Review.PENDING}
        assert len(dataset.regions_with_words("bicycle")) == 9
        (run,) = dataset.runs()
        assert (run.status, run.revision, run.snapshot_sha256, run.parent_run) == ("done", 7, "", "")
        active = dataset.active_checkpoint()
        assert active is not None
        assert (active.id, active.parent_id, active.note) == ("cloc-0123456789abcdef", "cloc-fedcba9876543210", "")
        assert dataset.get_setting("gallery.size") == "192"
        assert dataset.corrections_since(-1) > 0
        assert dataset.corrections_since(0) == 0


def test_that_the_snapshot_of_an_older_run_is_read_as_it_is(tmp_path: Path):
    snapshot = tmp_path / "snapshot.sqlite"
    shutil.copyfile(DATA / "schema_1.sqlite", snapshot)
    content = snapshot.read_bytes()
    with open_snapshot(snapshot) as frozen:
        assert (frozen.count_images(), frozen.count_regions()) == (6, 20)
    assert snapshot.read_bytes() == content


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Connection
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
left = [int(sys.argv[2])]
real = Connection.exec_driver_sql, Connection.execute
def counted(call):
    def instead(self, *args, **kwargs):
        if "alembic" in sys.modules:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return call(self, *args, **kwargs)
    return instead
Connection.exec_driver_sql, Connection.execute = map(counted, real)
Dataset.open(Project(Path(sys.argv[1]))).close()
"""


@pytest.mark.parametrize("statement", [1, 4, 8, 12, 1000])
def test_row_24_that_a_migration_killed_at_any_statement_is_made_at_the_next_opening(tmp_path: Path, statement: int):
    project = project_from(DATA / "schema_1.sqlite", tmp_path)
    before = counts_and_content(project.dataset_path)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, os.fspath(project.path), str(statement)], capture_output=True, text=True
    )
    assert done.returncode == (0 if statement == 1000 else -signal.SIGKILL), done.stderr
    with Dataset.open(project) as dataset:
        assert dataset.integrity() == []
    after = counts_and_content(project.dataset_path)
    assert [row[:19] for row in after["region"]] == before["region"]
    assert [len(after[name]) for name in before] == [len(rows) for rows in before.values()]
    backups = [backup for backup in backups_of(project) if backup.reason == "migration"]
    assert counts_and_content(backups[-1].path) == before
