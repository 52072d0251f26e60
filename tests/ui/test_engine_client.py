"""The window's end of the engine, against an engine without a model."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from locstudio.domain.geometry import UnitBox
from locstudio.ui.engine_client import EngineClient

BOX = UnitBox(0.125, 0.25, 0.5, 0.75)
FAKE = Path(__file__).with_name("fake_engine.py")


class Record:
    """Everything a client has said."""

    def __init__(self, client: EngineClient) -> None:
        self.states: list[tuple[str, str]] = []
        self.ended: list[tuple[str, int]] = []
        self.values: dict[int, object] = {}
        client.state_changed.connect(lambda state: self.states.append((state.phase, state.text)))
        client.refused.connect(lambda number, sentence: self._take("refused", number, sentence))
        client.image_set.connect(lambda number, image: self._take("image_set", number, image))
        client.embedded.connect(lambda number, vectors: self._take("embedded", number, vectors))
        client.grounded.connect(lambda number, box, score: self._take("grounded", number, (box, score)))
        client.proposed.connect(lambda number, boxes, scores: self._take("proposed", number, (boxes, scores)))

    def _take(self, kind: str, number: int, value: object) -> None:
        self.ended.append((kind, number))
        self.values[number] = value


@pytest.fixture
def make_client(qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(FAKE.parents[2]))
    clients: list[EngineClient] = []

    def make(behaviour: str = "well", **options) -> tuple[EngineClient, Record]:
        options = {"command": (sys.executable, str(FAKE)), "restart_delays_ms": (1, 1, 1)} | options
        client = EngineClient(tmp_path / behaviour, tmp_path, **options)
        clients.append(client)
        return client, Record(client)

    yield make
    for client in clients:
        client.stop()


def test_that_loading_is_shown_before_ready(make_client, qtbot):
    client, record = make_client()
    client.start()
    qtbot.waitUntil(lambda: client.state.phase == "ready", timeout=10_000)
    assert record.states == [("loading", "Starting the models"), ("loading", "Loading fake"), ("ready", "fake on CPU")]
    assert client.state.ready is not None
    assert client.state.ready.dim == 4


def test_that_requests_made_at_once_are_answered_in_order(make_client, qtbot):
    client, record = make_client()
    client.start()
    numbers = [
        client.set_image("a", Path("/pictures/a.jpg")),
        client.encode_boxes("a", [BOX]),
        client.encode_texts(["cat"]),
        client.encode_image("a"),
        client.ground_text("a", "a cat"),
        client.propose("a", 3),
        client.encode_boxes("never opened", [BOX]),
    ]
    qtbot.waitUntil(lambda: client.num_pending == 0, timeout=10_000)
    kinds = ["image_set", "embedded", "embedded", "embedded", "grounded", "proposed", "refused"]
    assert record.ended == list(zip(kinds, numbers, strict=True))
    assert np.array_equal(record.values[numbers[1]], [BOX.as_tuple()])
    assert record.values[numbers[4]] == (UnitBox(0.1, 0.2, 0.3, 0.4), 0.5)
    boxes, scores = record.values[numbers[5]]
    assert boxes == [UnitBox(0, 0, 0.5, 0.5)]
    assert scores.tolist() == [0.75]


def test_that_a_superseded_preview_ends_silently(make_client, qtbot):
    client, record = make_client()
    client.start()
    client.set_image("a", Path("/a.jpg"))
    client.encode_boxes("a", [UnitBox(0.5, 0, 1, 1)], is_preview=True)
    last = client.encode_boxes("a", [BOX])
    qtbot.waitUntil(lambda: client.num_pending == 0, timeout=10_000)
    assert [kind for kind, _ in record.ended] == ["image_set", "embedded"]
    assert record.ended[-1] == ("embedded", last)


def test_that_a_killed_engine_is_started_again_and_the_open_image_with_it(make_client, qtbot):
    client, record = make_client()
    client.start()
    client.set_image("a", Path("/a.jpg"))
    qtbot.waitUntil(lambda: client.num_pending == 0 and client.state.phase == "ready", timeout=10_000)
    first = client.process_id
    os.kill(first, signal.SIGKILL)
    qtbot.waitUntil(lambda: client.state.phase == "loading", timeout=10_000)
    number = client.encode_boxes("a", [BOX])
    qtbot.waitUntil(lambda: client.num_pending == 0, timeout=10_000)
    assert record.ended[-1] == ("embedded", number)
    assert client.process_id != first
    assert ("loading", "Restarting the models") in record.states


def test_that_what_was_asked_of_the_dead_engine_is_answered_by_the_next(make_client, qtbot):
    client, record = make_client()
    client.start()
    numbers = [client.encode_texts([text]) for text in ("cat", "die once", "dog")]
    qtbot.waitUntil(lambda: client.num_pending == 0, timeout=10_000)
    assert record.ended == [("embedded", number) for number in numbers]


def test_that_a_request_that_kills_the_engine_twice_is_refused_and_the_others_live(make_client, qtbot):
    client, record = make_client()
    client.start()
    deadly, harmless = client.encode_texts(["die"]), client.encode_texts(["dog"])
    qtbot.waitUntil(lambda: client.num_pending == 0, timeout=20_000)
    assert record.ended == [("refused", deadly), ("embedded", harmless)]
    assert client.state.phase == "ready"


def test_that_an_engine_that_always_dies_fails_with_its_last_words_and_can_be_retried(make_client, qtbot, tmp_path):
    client, record = make_client("dies at start")
    client.start()
    number = client.encode_texts(["cat"])
    qtbot.waitUntil(lambda: client.state.phase == "failed", timeout=20_000)
    assert client.state.text == (
        "The model process ended 4 times in a minute (signal 9). Its last words: no memory left"
    )
    assert record.ended == [("refused", number)]
    late = client.encode_texts(["dog"])
    qtbot.waitUntil(lambda: ("refused", late) in record.ended, timeout=5_000)
    assert (tmp_path / "starts").read_text() == "xxxx"
    client.retry()
    assert client.state.phase == "loading"


def test_that_one_early_death_is_hidden_from_the_asker(make_client, qtbot):
    client, record = make_client("dies at first start")
    client.start()
    number = client.encode_texts(["cat"])
    qtbot.waitUntil(lambda: client.num_pending == 0, timeout=10_000)
    assert record.ended == [("embedded", number)]


def test_that_a_damaged_checkpoint_is_not_tried_again(make_client, qtbot, tmp_path):
    client, _ = make_client("damaged")
    client.start()
    qtbot.waitUntil(lambda: client.state.phase == "failed", timeout=10_000)
    assert client.state.text == "The checkpoint is damaged: weights.safetensors is cut off."
    qtbot.waitUntil(lambda: client.process_id == 0, timeout=10_000)
    qtbot.wait(50)
    assert (tmp_path / "starts").read_text() == "x"


def test_that_an_engine_that_babbles_is_replaced(make_client, qtbot):
    client, record = make_client()
    client.start()
    number = client.encode_texts(["babble"])
    qtbot.waitUntil(lambda: client.num_pending == 0, timeout=10_000)
    assert record.ended == [("embedded", number)]


def test_that_a_program_that_is_not_there_is_a_sentence(make_client, qtbot):
    client, _ = make_client(command=("/nowhere/python",))
    client.start()
    qtbot.waitUntil(lambda: client.state.phase == "failed", timeout=10_000)
    assert client.state.text.startswith("The model process could not be started")


def test_that_after_stop_nothing_is_heard_and_nothing_runs(make_client, qtbot):
    client, record = make_client()
    client.start()
    qtbot.waitUntil(lambda: client.state.phase == "ready", timeout=10_000)
    client.encode_texts(["cat"])
    client.stop()
    qtbot.wait(20)
    assert record.ended == []
    assert client.process_id == 0
    assert client.state.phase == "off"
