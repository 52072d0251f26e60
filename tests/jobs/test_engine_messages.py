"""The lines between window and engine."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locstudio.domain.errors import ProtocolError
from locstudio.jobs.engine_messages import (
    Embedded,
    EncodeBoxes,
    EncodeTexts,
    Grounded,
    Heated,
    Proposed,
    SetImage,
    path_of,
    path_text,
    read_reply,
    read_request,
    reply_line,
    request_line,
)


@given(st.binary(min_size=1, max_size=200).filter(lambda name: b"\0" not in name))
def test_that_any_file_name_comes_through_a_line(name):
    path = Path(os.fsdecode(b"/pictures/" + name))
    request = read_request(request_line(SetImage(id=1, key="1", path=path_text(path))))
    assert isinstance(request, SetImage)
    assert path_of(request.path) == path


@given(st.integers(0, 4), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_that_vectors_come_through_a_line_bit_by_bit(count, dim, seed):
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    reply = read_reply(reply_line(Embedded.of(3, vectors)))
    assert isinstance(reply, Embedded)
    assert np.array_equal(reply.array(), vectors)


def test_that_a_line_begins_with_its_kind():
    assert request_line(EncodeTexts(id=1, texts=["é"])) == '{"kind":"encode_texts","texts":["é"],"id":1}\n'.encode()


@pytest.mark.parametrize(
    "message",
    [
        Grounded(id=1, box=(0.0, 0.0, 1.0, 1.0), score=float("nan")),
        Proposed(id=1, boxes=[(0.0, 0.0, 1.0, float("inf"))], scores=[0.5]),
    ],
)
def test_that_a_reply_without_finite_numbers_is_not_sent(message):
    with pytest.raises(ProtocolError, match="no number"):
        reply_line(message)


def test_that_a_request_without_finite_numbers_is_not_sent():
    with pytest.raises(ProtocolError, match="no number"):
        request_line(EncodeBoxes(id=1, key="a", boxes=[(0.0, 0.0, float("nan"), 1.0)]))
    with pytest.raises(ProtocolError, match="no Unicode"):
        request_line(EncodeTexts(id=1, texts=["\udcff"]))
    with pytest.raises(ProtocolError, match="not finite"):
        Embedded.of(1, np.array([[np.inf]], np.float32))


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b'{"id":1}', b'{"kind":"ready"}', b'{"kind":"refused","id":"1","sentence":""}', b"\xff", b"{" * 5_000],
)
def test_that_anything_else_is_no_reply(line):
    with pytest.raises(ProtocolError):
        read_reply(line)


def test_that_bytes_that_are_not_the_promised_vectors_are_refused():
    with pytest.raises(ProtocolError, match="7 bytes are not 1 vectors of 2 numbers"):
        Embedded(id=1, vectors=b"1234567", count=1, dim=2).array()


TRANSCRIPT = Path(__file__).parents[1] / "data" / "engine_heat.txt"
"""Of a real engine on the bundled models, asked for heat: what went in begins with >, what came out with <."""


def test_that_a_recorded_talk_is_still_the_protocol_byte_for_byte():
    for line in TRANSCRIPT.read_bytes().splitlines(keepends=True):
        direction, content = line[:2], line[2:]
        again = request_line(read_request(content)) if direction == b"> " else reply_line(read_reply(content))
        assert again == content


def test_that_recorded_heat_is_a_map_for_each_class():
    replies = [read_reply(line[2:]) for line in TRANSCRIPT.read_bytes().splitlines() if line[:1] == b"<"]
    first, last = (reply for reply in replies if isinstance(reply, Heated))
    assert first.class_names == ["person", "chair"]
    assert first.array().shape == (2, 14, 14)
    assert np.array_equal(last.array(), first.array()[1:])
    assert first.scores[1] == pytest.approx(last.scores[0])
