"""Runs that go on: what is new of them, how they are asked to stop, and what is taken into the project."""

import numpy as np
import pytest

from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.jobs.messages import Evaluated, Finished, Heartbeat, Note, Progress, Started, Waiting, to_line
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import RunState, claim_run, stop_file, stop_wish
from locstudio.jobs.run_tail import RunTail
from locstudio.services.curves import CurveReader, read_curves
from locstudio.services.run_control import stop_after_epoch, stop_after_step
from locstudio.services.run_events import ingest
from locstudio.services.runs import describe_run
from locstudio.services.runs_of import run_row
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project


@pytest.fixture
def project(tmp_path):
    return create_project(tmp_path / "project")


@pytest.fixture
def folder(project):
    return RunFolder.create(project.runs, RunConfig(kind="cloc", checkpoint="/c", cloc=ClocTraining(), title="Dogs"))


@pytest.fixture
def say(folder):
    """Appends messages to the run's events."""

    def append(*makes):
        log = EventLog(folder)
        for kind, fields in makes:
            log.append(kind(sequence=log.next_sequence, **fields))
        log.close()

    return append


def progress(step, loss=1.0, **more):
    return Progress, {
        "step": step,
        "num_steps": 100,
        "images_per_second": 8.0,
        "seconds_left": 50.0,
        "loss": loss,
    } | more


def started(first_step=0):
    return Started, {"device": "CPU", "num_images": 4, "num_regions": 8, "num_steps": 100, "first_step": first_step}


def write_raw(folder, *lines: bytes):
    with open(folder.events, "ab") as file:
        file.write(b"".join(lines))


def test_that_each_look_finds_only_what_is_new(folder, say):
    tail = RunTail(folder)
    assert tail.read() == []
    say((Note, {"text": "one"}))
    assert tail.read() == [Note(sequence=0, text="one")]
    assert tail.read() == []
    say((Note, {"text": "two"}), (Heartbeat, {}))
    assert tail.read() == [Note(sequence=1, text="two"), Heartbeat(sequence=2)]
    assert tail.sequence == 2


def test_that_a_line_is_read_once_it_is_whole(folder):
    tail = RunTail(folder)
    line = to_line(Note(sequence=0, text="half"))
    write_raw(folder, line[:9])
    assert tail.read() == []
    write_raw(folder, line[9:])
    assert tail.read() == [Note(sequence=0, text="half")]


def test_that_messages_that_come_twice_or_late_are_left_out_and_nonsense_is_counted(folder):
    lines = [to_line(Note(sequence=number, text=str(number))) for number in range(4)]
    write_raw(folder, lines[0], lines[2], lines[1], lines[2], b"Loading weights\n", lines[3])
    tail = RunTail(folder)
    assert [message.sequence for message in tail.read()] == [0, 2, 3]
    assert tail.num_unreadable == 1


def test_that_a_file_written_anew_is_read_from_its_beginning_without_saying_anything_twice(folder):
    lines = [to_line(Note(sequence=number, text=str(number))) for number in range(3)]
    write_raw(folder, *lines[:2])
    tail = RunTail(folder)
    tail.read()
    folder.events.unlink()
    write_raw(folder, *lines)
    assert [message.sequence for message in tail.read()] == [2]


def test_that_a_long_file_can_be_read_in_parts(folder):
    num_lines = 9_000
    write_raw(folder, *(to_line(Note(sequence=number, text="x" * 40)) for number in range(num_lines)))
    tail = RunTail(folder)
    parts = [tail.read(in_parts=True)]
    while tail.has_more:
        parts.append(tail.read(in_parts=True))
    assert len(parts) > 2
    assert [message.sequence for part in parts for message in part] == list(range(num_lines))


def test_that_a_line_without_end_is_not_kept_and_what_follows_is_read(folder, monkeypatch):
    monkeypatch.setattr("locstudio.jobs.run_tail._BLOCK_BYTES", 64)
    monkeypatch.setattr("locstudio.jobs.run_tail.MAX_LINE_BYTES", 256)
    before, after = (to_line(Note(sequence=number, text=str(number))) for number in range(2))
    longest = []
    taken = RunTail._taken
    monkeypatch.setattr(RunTail, "_taken", lambda tail, lines: longest.extend(map(len, lines)) or taken(tail, lines))
    write_raw(folder, before, b"[" * 10_000, b"\n", after)
    tail = RunTail(folder)
    assert [message.sequence for message in tail.read()] == [0, 1]
    assert tail.num_unreadable == 1
    assert max(longest) <= 256 + 64


def test_that_numbers_no_database_holds_make_a_line_unreadable(project, folder):
    with Dataset.create(project) as dataset:
        write_raw(folder, b'{"kind":"heartbeat","sequence":%d}\n' % 2**80, to_line(Heartbeat(sequence=3)))
        write_raw(folder, b'{"kind":"saved","sequence":4,"path":"x","step":%d}\n' % 2**80)
        assert ingest(project, dataset, folder) == 1
        assert [event.sequence for event in dataset.events_of(folder.id)] == [3]
    assert run_row(folder).status == describe_run(folder).state == RunState.INTERRUPTED


def test_that_a_wish_for_the_step_is_not_weakened_by_one_for_the_epoch(folder):
    stop_after_epoch(folder)
    assert stop_wish(stop_file(folder)) == "epoch"
    stop_after_step(folder)
    stop_after_epoch(folder)
    assert stop_wish(stop_file(folder)) == "step"


def test_that_a_summary_says_where_a_run_stands_after_each_word(folder, say):
    assert describe_run(folder).state is RunState.QUEUED
    claim_run(folder, "queued")
    say((Waiting, {"behind": "another"}))
    row = describe_run(folder)
    assert (row.state, row.behind, row.has_process, row.title) == (RunState.QUEUED, "another", True, "Dogs")
    claim_run(folder)
    say(started(), progress(25), (Evaluated, {"step": 25, "metrics": {"macc": 0.5}}))
    row = describe_run(folder)
    assert (row.state, row.share, row.seconds_left, row.metrics) == (RunState.RUNNING, 0.25, 50.0, {"macc": 0.5})
    say((Finished, {}))
    (folder.path / "state.json").unlink()
    row = describe_run(folder)
    assert (row.state, row.has_process, row.can_resume) == (RunState.DONE, False, False)


def test_that_a_second_look_reads_nothing_again(folder, say, monkeypatch):
    say(started(), progress(25))
    before = describe_run(folder)
    reads = []
    original = RunTail._taken
    monkeypatch.setattr(RunTail, "_taken", lambda tail, lines: reads.extend(lines) or original(tail, lines))
    assert describe_run(folder) == before
    assert reads == []


def test_that_curves_are_what_was_reported_with_gaps_where_nothing_was(folder, say):
    reader = CurveReader(folder)
    say(started(), progress(0, None), progress(2, 3.0, parts={"region": 2.0}), progress(4, 2.0, learning_rate=0.1))
    curves = read_curves(reader)
    np.testing.assert_array_equal(curves.step, [2, 4])
    np.testing.assert_array_equal(curves.loss, [3.0, 2.0])
    np.testing.assert_array_equal(curves.parts["region"], [2.0, np.nan])
    np.testing.assert_array_equal(curves.learning_rate, [np.nan, 0.1])
    np.testing.assert_allclose(curves.seconds_per_step, [50 / 98, 50 / 96])
    say((Evaluated, {"step": 4, "metrics": {"macc": 0.25}}))
    steps, values = read_curves(reader).evaluated["macc"]
    assert (steps.tolist(), values.tolist()) == ([4], [0.25])


def test_that_steps_done_twice_count_once_as_they_were_done_last(folder, say):
    evaluated = (Evaluated, {"step": 4, "metrics": {"macc": 0.1}})
    say(started(), progress(2, 3.0), progress(4, 9.0), evaluated, started(2), progress(4, 2.0))
    curves = read_curves(folder)
    assert (curves.step.tolist(), curves.loss.tolist(), curves.evaluated) == ([2, 4], [3.0, 2.0], {})


def test_that_a_table_of_curves_has_a_row_for_every_step_and_blanks_for_nothing(folder, say):
    say(started(), progress(2, 3.0, parts={"a": 0.5}), (Evaluated, {"step": 3, "metrics": {"macc": 0.25}}))
    header, *rows = read_curves(folder).to_csv().splitlines()
    assert header == "step,loss,a,learning_rate,seconds_per_step,macc"
    assert rows == ["2,3,0.5,,0.510204,", "3,,,,,0.25"]


def test_that_messages_are_taken_into_the_project_once(project, folder, say):
    with Dataset.create(project) as dataset:
        say(started(), progress(2))
        assert ingest(project, dataset, folder) == 2
        assert ingest(project, dataset, folder) == 0
        say((Finished, {}))
        assert ingest(project, dataset, folder) == 1
        revision = dataset.revision()
    with Dataset.open(project) as dataset:
        assert ingest(project, dataset, folder) == 0
        assert [(event.kind, event.step) for event in dataset.events_of(folder.id)] == [
            ("started", None),
            ("progress", 2),
            ("finished", None),
        ]
        assert dataset.revision() == revision
