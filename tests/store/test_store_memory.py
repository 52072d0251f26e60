"""What a dataset remembers of runs: their events, and corrections that a model never saw."""

import pytest

from locstudio.domain.edits import add_regions
from locstudio.domain.errors import StorageFailed
from locstudio.store.dataset import CheckpointRow, Dataset, RunRow


def test_that_events_are_taken_in_once_by_run_and_sequence(dataset: Dataset):
    events = [(0, "started", 0, '{"a": 1}'), (1, "progress", 5, "{}"), (2, "note", None, "{}")]
    assert dataset.last_sequence_of("run") == -1
    assert dataset.ingest_events("run", events[:2]) == 2
    assert dataset.ingest_events("run", events) == 1
    assert dataset.ingest_events("run", [(0, "other", 9, "changed")]) == 0
    assert dataset.ingest_events("run", []) == 0
    assert dataset.ingest_events("another", events[:1]) == 1
    assert dataset.events_of("run") == events
    assert dataset.events_of("run", "progress") == [events[1]]
    assert dataset.events_of("nobody") == []
    assert dataset.last_sequence_of("run") == 2


def test_that_events_of_a_run_do_not_count_as_a_change_of_the_dataset(dataset: Dataset):
    revision = dataset.revision()
    dataset.ingest_events("run", [(0, "note", None, "{}")])
    assert dataset.revision() == revision
    dataset.close()
    with Dataset.open(dataset.project, read_only=True) as again:
        assert again.revision() == revision
        with pytest.raises(StorageFailed, match="read-only"):
            again.ingest_events("run", [(1, "note", None, "{}")])


def test_that_what_neither_travels_with_a_snapshot_nor_is_lost_is_said_of_a_run(dataset: Dataset):
    run = RunRow("run-1", "cloc", revision=4, snapshot_sha256="ab", code_version="0.2", parent_run="run-0")
    dataset.record_run(run)
    checkpoint = CheckpointRow("cloc-1", "cloc", "one", "runs/1", snapshot_sha256="ab", note="good", gate="{}")
    dataset.record_checkpoint(checkpoint)
    (kept,) = dataset.runs()
    assert (kept.revision, kept.snapshot_sha256, kept.code_version, kept.parent_run) == (4, "ab", "0.2", "run-0")
    (row,) = dataset.checkpoints()
    assert (row.snapshot_sha256, row.note, row.gate, row.is_active) == ("ab", "good", "{}", False)


def test_row_85_that_corrections_newer_than_a_snapshot_are_counted(dataset: Dataset, make_region):
    first, second = make_region(), make_region()
    dataset.apply(add_regions([first]))
    revision = dataset.revision()
    assert dataset.corrections_since(revision) == 0
    dataset.apply(add_regions([second, make_region()]))
    dataset.apply(add_regions([make_region()]), actor="import")
    assert dataset.corrections_since(revision) == 2
    dataset.undo()
    dataset.undo()
    assert dataset.corrections_since(revision) == 0
    dataset.undo()
    assert dataset.corrections_since(revision) == 1  # what the snapshot holds was taken back
    dataset.redo()
    assert dataset.corrections_since(revision) == 0
    assert dataset.corrections_since(-1) == 1
