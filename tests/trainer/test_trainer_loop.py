"""The loop, its hooks, what it says, and how it is asked to stop."""

import contextlib
import io
import os

import pytest
import torch

from locstudio.jobs.configs import Embedding, RunConfig
from locstudio.jobs.messages import Evaluated, Heartbeat, Progress, Saved, from_line
from locstudio.jobs.run_folder import EventLog, RunFolder
from trainer.hooks import EvaluateEvery, ReportProgress, SaveCheckpoints
from trainer.loop import StepMetrics, run_loop
from trainer.reporting import Reporter
from trainer.stop import StopRequest


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "runs", RunConfig(kind="embed", checkpoint="/c", embed=Embedding()))


@pytest.fixture
def reporter(folder):
    log = EventLog(folder)
    yield Reporter(log, None)
    log.close()


def test_that_every_hook_sees_every_step_after_it_was_done():
    seen = []
    end = run_loop(
        "abc",
        lambda batch: seen.append(batch) or StepMetrics(1),
        [lambda step, _: seen.append(("first", step)), lambda step, _: seen.append(("second", step))],
        should_stop=lambda: False,
        first_step=7,
    )
    assert seen[:3] == ["a", ("first", 8), ("second", 8)]
    assert (end.step, end.was_stopped) == (10, False)


def test_that_a_wish_to_stop_is_heard_before_the_next_step():
    done = []
    end = run_loop(range(9), lambda batch: done.append(batch) or StepMetrics(1), [], should_stop=lambda: len(done) == 2)
    assert done == [0, 1]
    assert (end.step, end.was_stopped) == (2, True)


def test_that_progress_is_said_at_most_twice_a_second_and_always_at_the_end(folder, reporter):
    now = [0.0]
    hook = ReportProgress(reporter, 100, clock=lambda: now[0])
    for step in range(1, 101):
        now[0] += 0.125
        hook(step, StepMetrics(4, torch.tensor(float(step)), {"clip": torch.tensor(0.5)}))
    said = [message for message in folder.read_events() if isinstance(message, Progress)]
    assert len(said) == 25  # 12.5 seconds
    assert (said[-1].step, said[-1].loss, said[-1].parts) == (100, 100.0, {"clip": 0.5})
    assert said[-1].images_per_second == pytest.approx(32)  # 4 images every eighth of a second
    assert said[9].seconds_left == pytest.approx((100 - said[9].step) / 8, abs=0.05)  # 8 steps a second
    assert said[-1].seconds_left == 0


def test_that_the_end_is_saved_once_even_when_it_falls_on_a_saving_step(folder, reporter):
    saved = []
    hook = SaveCheckpoints(
        reporter, folder, lambda step, keep: saved.append(step) or folder.checkpoints / f"step_{step}", 5
    )
    for step in range(1, 11):
        hook(step, StepMetrics(1))
    hook.save_now(10)
    assert saved == [5, 10]
    assert [m.path for m in folder.read_events() if isinstance(m, Saved)] == [
        "checkpoints/step_5",
        "checkpoints/step_10",
    ]


def test_that_a_run_that_went_back_saves_again_what_it_does_again(folder, reporter):
    saved = []
    hook = SaveCheckpoints(
        reporter, folder, lambda step, keep: saved.append(step) or folder.checkpoints / f"step_{step}", 2
    )
    for step in (1, 2, 3, 4):
        hook(step, StepMetrics(1))
    hook.go_back(2)  # the checkpoint of step 4 was damaged
    for step in (3, 4):
        hook(step, StepMetrics(1))
    assert saved == [2, 4, 4]


def test_that_an_evaluation_comes_every_so_often_and_at_the_end_and_is_silent_about_nothing(folder, reporter):
    found = [{}, {"top1": 0.5}, {"top1": 0.6}]
    hook = EvaluateEvery(reporter, lambda: found.pop(0), 2, num_steps=5)
    for step in range(1, 6):
        hook(step, StepMetrics(1))
    said = [(message.step, message.metrics) for message in folder.read_events() if isinstance(message, Evaluated)]
    assert said == [(4, {"top1": 0.5}), (5, {"top1": 0.6})]


def test_that_every_message_is_in_the_file_and_on_the_pipe(folder):
    pipe = io.BytesIO()
    log = EventLog(folder)
    reporter = Reporter(log, pipe)
    reporter.started(device="CPU, 2 cores", num_images=1, num_regions=2, num_steps=3)
    reporter.note("One image was left out.")
    reporter.finished(was_stopped=False)
    log.close()
    assert pipe.getvalue() == folder.events.read_bytes()
    assert [message.sequence for message in folder.read_events()] == [0, 1, 2]


def test_that_a_listener_who_went_away_does_not_end_the_run(folder):
    reading, writing = os.pipe()
    os.close(reading)
    log = EventLog(folder)
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        reporter = Reporter(log, pipe)
        reporter.note("Nobody listens.")
        reporter.finished(was_stopped=False)
    log.close()
    assert len(list(folder.read_events())) == 2


def test_that_notes_are_limited(folder, reporter):
    for number in range(1000):
        reporter.note(f"image {number} cannot be read")
    texts = [message.text for message in folder.read_events()]
    assert len(texts) == 200
    assert texts[-1] == "More notes like the ones before are left out."


def test_that_a_silent_run_says_that_it_lives(folder, reporter, monkeypatch):
    reporter.alive()
    assert list(folder.read_events()) == []
    monkeypatch.setattr("trainer.reporting.HEARTBEAT_SECONDS", 0.0)
    reporter.alive()
    assert [type(message) for message in folder.read_events()] == [Heartbeat]


def test_that_the_lines_on_the_pipe_are_messages(folder):
    pipe = io.BytesIO()
    log = EventLog(folder)
    Reporter(log, pipe).failed("The disk is full.", 5)
    log.close()
    assert from_line(pipe.getvalue()).exit_status == 5


@pytest.fixture
def stdin():
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@pytest.mark.parametrize(
    ("written", "stops"), [(b"stop\n", True), (b"  stop \n", True), (b"stop", False), (b"go\n", False)]
)
def test_that_only_a_whole_line_that_says_stop_is_a_wish_to_stop(tmp_path, stdin, written, stops):
    reading, writing = stdin
    request = StopRequest(tmp_path / "stop", reading)
    assert not request()
    os.write(writing, written)
    assert request() is stops


def test_that_a_line_in_two_pieces_is_one_line(tmp_path, stdin):
    reading, writing = stdin
    request = StopRequest(tmp_path / "stop", reading)
    os.write(writing, b"st")
    assert not request()
    os.write(writing, b"op\n")
    assert request()


def test_that_the_end_of_stdin_does_not_stop_a_run_but_a_file_still_does(tmp_path, stdin):
    reading, writing = stdin
    os.close(writing)
    request = StopRequest(tmp_path / "stop", reading)
    assert not request()
    assert not request()
    (tmp_path / "stop").touch()
    assert request()
    (tmp_path / "stop").unlink()
    assert request()  # asked once, asked for good
