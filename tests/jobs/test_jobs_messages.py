"""Messages survive the wire, and nothing else does."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locstudio.domain.errors import ProtocolError
from locstudio.jobs import messages
from locstudio.jobs.configs import Embedding, RunConfig
from locstudio.jobs.messages import Evaluated, Note, Progress, from_line, to_line
from locstudio.jobs.run_folder import EventLog, RunFolder

finite = st.floats(allow_nan=False, allow_infinity=False)
sequence = st.integers(0, 2**53)
shares = st.dictionaries(st.text(max_size=20), finite, max_size=5)
any_message = st.one_of(
    st.builds(
        messages.Started,
        sequence=sequence,
        device=st.text(),
        num_images=sequence,
        num_regions=sequence,
        num_steps=sequence,
        first_step=sequence,
    ),
    st.builds(
        Progress,
        sequence=sequence,
        step=sequence,
        num_steps=sequence,
        images_per_second=finite,
        seconds_left=finite,
        loss=st.none() | finite,
        parts=shares,
    ),
    st.builds(Evaluated, sequence=sequence, step=sequence, metrics=shares),
    st.builds(messages.Saved, sequence=sequence, step=sequence, path=st.text()),
    st.builds(Note, sequence=sequence, text=st.text()),
    st.builds(messages.Heartbeat, sequence=sequence),
    st.builds(messages.Finished, sequence=sequence, was_stopped=st.booleans()),
    st.builds(messages.Failed, sequence=sequence, sentence=st.text(), exit_status=st.integers(0, 255)),
)


@given(any_message)
def test_that_a_message_is_read_as_it_was_written_in_one_line(message):
    line = to_line(message)
    assert line.count(b"\n") == 1
    assert line.startswith(b'{"kind":')
    assert from_line(line) == message


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_that_a_number_json_cannot_hold_is_refused_before_it_is_written(loss):
    with pytest.raises(ProtocolError, match="not finite"):
        to_line(Progress(sequence=0, step=1, num_steps=2, images_per_second=1.0, seconds_left=1.0, loss=loss))
    with pytest.raises(ProtocolError, match="not finite"):
        to_line(Evaluated(sequence=0, step=1, metrics={"top1": loss}))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"Loading weights...\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b'{"sequence":0}\n',
        b'{"kind":"boom","sequence":0}\n',
        b'{"kind":"note","sequence":0}\n',
        b'{"kind":"note","sequence":0,"text":"a","more":1}\n',
        b'{"kind":"note","sequence":"0","text":"a"}\n',
        b'{"kind":"evaluated","sequence":0,"step":1,"metrics":{"top1":NaN}}\n',
        b'{"kind":"heartbeat","sequence":0}{"kind":"heartbeat","sequence":1}\n',
        b"\xff\xfe\n",
    ],
)
def test_that_a_line_which_is_not_one_message_is_a_protocol_error(line):
    with pytest.raises(ProtocolError):
        from_line(line)


@given(st.binary(max_size=200))
def test_that_arbitrary_bytes_are_a_message_or_a_protocol_error(noise):
    with contextlib.suppress(ProtocolError):
        from_line(noise)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "runs", RunConfig(kind="embed", checkpoint="/c", embed=Embedding()))


def note(number):
    return Note(sequence=number, text=f"note {number}")


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_that_a_last_line_cut_off_by_a_crash_is_left_out_and_then_repaired(folder, cut):
    log = EventLog(folder)
    for number in range(3):
        log.append(note(number))
    log.close()
    whole = folder.events.read_bytes()
    folder.events.write_bytes(whole[:-cut])
    assert list(folder.read_events()) == [note(0), note(1)]

    again = EventLog(folder)
    assert again.next_sequence == 2
    again.append(note(2))
    again.close()
    assert folder.events.read_bytes() == whole


def test_that_the_last_event_of_a_damaged_file_is_the_last_readable_one(folder):
    folder.events.write_bytes(to_line(note(0)) + b"\x00\x00garbage\n" + to_line(note(1)))
    assert folder.last_event() == note(0)
    with pytest.raises(ProtocolError):
        list(folder.read_events())


def test_that_a_configuration_is_read_as_it_was_written(folder):
    assert folder.config() == RunConfig(kind="embed", checkpoint="/c", embed=Embedding())


def test_that_messages_are_appended_to_no_file_that_a_link_leads_to(tmp_path):
    folder = RunFolder.create(tmp_path / "runs", RunConfig(kind="embed", checkpoint="/c", embed=Embedding()))
    (tmp_path / "diary").write_text("dear diary")
    folder.events.symlink_to(tmp_path / "diary")
    with pytest.raises(OSError, match="symbolic links"):
        EventLog(folder)
    assert (tmp_path / "diary").read_text() == "dear diary"
