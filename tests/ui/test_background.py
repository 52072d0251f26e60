"""What the two thread doors of the window promise."""

import threading

import pytest
from PySide6.QtCore import QThread

from locstudio.ui.background import DatasetWorker, LatestOnly


@pytest.fixture
def latest(qtbot):
    latest = LatestOnly()
    yield latest
    latest.close()


@pytest.fixture
def worker(qtbot):
    worker = DatasetWorker()
    yield worker
    worker.close()


def test_that_only_the_newest_of_many_results_arrives(latest, qtbot):
    gate = threading.Event()
    calls: list[int] = []

    def work(value: int) -> int:
        gate.wait(5)
        calls.append(value)
        return value

    arrived: list[int] = []
    latest.arrived.connect(arrived.append)
    with qtbot.waitSignal(latest.arrived, timeout=5_000):
        for value in range(50):
            latest.submit(work, value)
        gate.set()
    qtbot.waitUntil(lambda: not latest.is_busy)
    assert arrived == [49]
    assert calls == [0, 49]


def test_that_a_following_drag_shows_what_was_computed_on_its_way(qtbot):
    latest = LatestOnly(follow=True)
    gate = threading.Event()
    arrived: list[int] = []
    latest.arrived.connect(arrived.append)
    for value in range(3):
        latest.submit(lambda value=value: gate.wait(5) and value)
    gate.set()
    qtbot.waitUntil(lambda: arrived == [0, 2], timeout=5_000)
    latest.close()


def test_that_nothing_arrives_of_what_was_forgotten(latest, qtbot):
    gate = threading.Event()
    arrived: list[str] = []
    latest.arrived.connect(arrived.append)
    latest.submit(lambda: gate.wait(5) and "old")
    latest.forget()
    gate.set()
    with qtbot.waitSignal(latest.arrived, timeout=5_000):
        latest.submit(lambda: "new")
    assert arrived == ["new"]


def test_that_an_exception_is_delivered_and_the_next_call_still_runs(latest, qtbot):
    def fail() -> None:
        raise ValueError("no such box")

    with qtbot.waitSignal(latest.failed, timeout=5_000) as failed:
        latest.submit(fail)
    assert str(failed.args[0]) == "no such box"
    with qtbot.waitSignal(latest.arrived, timeout=5_000) as arrived:
        latest.submit(lambda: 7)
    assert arrived.args[0] == 7


def test_that_work_runs_off_the_windows_thread_and_results_arrive_on_it(latest, worker, qtbot):
    here = threading.get_ident()
    delivered_on: list[int] = []
    latest.arrived.connect(lambda _: delivered_on.append(threading.get_ident()))
    with qtbot.waitSignal(latest.arrived, timeout=5_000) as arrived:
        latest.submit(threading.get_ident)
    assert arrived.args[0] != here
    worker.ask(threading.get_ident, on_result=lambda _: delivered_on.append(threading.get_ident()))
    qtbot.waitUntil(lambda: len(delivered_on) == 2, timeout=5_000)
    assert delivered_on == [here, here]


def test_that_dataset_calls_run_one_after_another_on_one_thread_and_are_answered_in_order(worker, qtbot):
    threads: set[int] = set()

    def work(value: int) -> int:
        threads.add(int(threading.get_ident()))
        QThread.usleep(100)
        return value

    answers: list[tuple[int, int]] = []
    worker.answered.connect(lambda number, value: answers.append((number, value)))
    numbers = [worker.ask(work, value) for value in range(20)]
    qtbot.waitUntil(lambda: len(answers) == 20, timeout=5_000)
    assert answers == list(zip(numbers, range(20), strict=True))
    assert len(threads) == 1
    assert worker.num_pending == 0


def test_that_a_failing_dataset_call_reaches_its_own_handler_and_the_signal(worker, qtbot):
    errors: list[Exception] = []
    with qtbot.waitSignal(worker.failed, timeout=5_000) as failed:
        number = worker.ask(lambda: 1 / 0, on_error=errors.append)
    assert failed.args[0] == number
    assert isinstance(errors[0], ZeroDivisionError)
    assert failed.args[1] is errors[0]


def test_that_closing_runs_what_was_asked_but_delivers_nothing(qtbot):
    worker = DatasetWorker()
    done: list[int] = []
    delivered: list[object] = []
    worker.answered.connect(lambda *args: delivered.append(args))
    for value in range(5):
        worker.ask(done.append, value)
    worker.close()
    qtbot.wait(20)
    assert done == [0, 1, 2, 3, 4]
    assert delivered == []
