"""The engine as a process: what it answers, and when it ends."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from locstudio.jobs.engine_messages import (
    Embedded,
    EncodeBoxes,
    EncodeImage,
    EncodeTexts,
    Failed,
    Grounded,
    GroundText,
    ImageSet,
    Loading,
    Propose,
    Proposed,
    Quit,
    Refused,
    SetImage,
    Superseded,
    path_text,
)

REPOSITORY = Path(__file__).resolve().parents[2]
LEFT = (0.0, 0.0, 0.4, 1.0)


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    return False


def wait_until_gone(pid: int, seconds: float) -> float:
    started = time.monotonic()
    while alive(pid) and time.monotonic() - started < seconds:
        time.sleep(0.01)
    return time.monotonic() - started


def set_image(engine, path, key="picture", request_id=1):
    engine.send(SetImage(id=request_id, key=key, path=path_text(path)))
    return engine.reply()


def test_that_every_kind_of_request_is_answered_by_its_reply(engine, picture):
    image = set_image(engine, picture)
    assert isinstance(image, ImageSet)
    assert (image.width, image.height) == (96, 48)
    engine.send(
        EncodeBoxes(id=2, key="picture", boxes=[LEFT, LEFT]),
        EncodeImage(id=3, key="picture"),
        EncodeTexts(id=4, texts=["a cat", "a dog", "a cat"]),
        GroundText(id=5, key="picture", text="a cat"),
        Propose(id=6, key="picture", limit=3),
    )
    boxes, whole, texts, grounded, proposed = (engine.reply() for _ in range(5))
    assert isinstance(boxes, Embedded)
    assert isinstance(whole, Embedded)
    assert isinstance(texts, Embedded)
    assert isinstance(grounded, Grounded)
    assert isinstance(proposed, Proposed)
    assert [reply.id for reply in (boxes, whole, texts, grounded, proposed)] == [2, 3, 4, 5, 6]
    assert boxes.array().shape == (2, 64)
    assert np.linalg.norm(texts.array(), axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert len(proposed.boxes) == len(proposed.scores) <= 3


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b"this is no JSON\n", 0),
        (b'{"kind":"dance","id":7}\n', 7),
        (b'{"kind":"encode_texts","id":8,"texts":"not a list"}\n', 8),
        (b'{"kind":"encode_texts","id":9,"texts":[],"surprise":1}\n', 9),
        (b"\xff\xfe\x00\n", 0),
    ],
)
def test_that_a_wrong_line_is_refused_and_the_engine_goes_on(engine, line, request_id):
    engine.send_bytes(line)
    refused = engine.reply()
    assert isinstance(refused, Refused)
    assert refused.id == request_id
    engine.send(EncodeTexts(id=10, texts=["still here"]))
    assert isinstance(engine.reply(), Embedded)


def test_that_what_cannot_be_answered_is_refused_with_a_sentence(engine, picture, tmp_path):
    (tmp_path / "text.jpg").write_text("<html>")
    engine.send(
        SetImage(id=1, key="text", path=path_text(tmp_path / "text.jpg")),
        EncodeBoxes(id=2, key="never opened", boxes=[LEFT]),
        EncodeBoxes(id=3, key="picture", boxes=[(0.5, 0.5, 0.5, 0.9)]),
    )
    replies = [engine.reply() for _ in range(3)]
    assert all(isinstance(reply, Refused) for reply in replies)
    assert "Open the image again" in replies[1].sentence
    assert "no area" in replies[2].sentence


def test_that_only_the_newest_preview_of_an_image_is_embedded(engine, picture):
    set_image(engine, picture)
    requests = [EncodeBoxes(id=number, key="picture", boxes=[LEFT], is_preview=True) for number in range(100, 120)]
    engine.send(*requests, EncodeTexts(id=120, texts=["after"]))
    replies = [engine.reply() for _ in range(21)]
    assert [reply.id for reply in replies] == list(range(100, 121))
    kinds = [type(reply) for reply in replies]
    assert kinds[-2:] == [Embedded, Embedded]
    # What the first read of the pipe held may have been answered before the others came.
    assert kinds[:-2].count(Superseded) >= 17


def test_that_a_released_box_is_never_superseded(engine, picture):
    set_image(engine, picture)
    engine.send(
        EncodeBoxes(id=1, key="picture", boxes=[LEFT]),
        EncodeBoxes(id=2, key="picture", boxes=[LEFT], is_preview=True),
        EncodeBoxes(id=3, key="picture", boxes=[LEFT]),
    )
    assert isinstance(engine.reply(), Embedded)
    assert isinstance(engine.reply(), Superseded | Embedded)
    assert isinstance(engine.reply(), Embedded)


def test_that_an_image_paged_over_can_still_be_asked_for_boxes(engine, picture):
    engine.send(
        SetImage(id=1, key="passed", path=path_text(picture)),
        SetImage(id=2, key="shown", path=path_text(picture)),
        EncodeBoxes(id=3, key="passed", boxes=[LEFT]),
    )
    replies = [engine.reply() for _ in range(3)]
    assert isinstance(replies[0], Superseded | ImageSet)
    assert isinstance(replies[1], ImageSet)
    assert isinstance(replies[2], Embedded)


def test_that_loading_is_said_before_ready_and_the_end_of_stdin_ends_the_engine(start_engine, tiny_checkpoint):
    engine = start_engine("--checkpoint", str(tiny_checkpoint))
    first = engine.reply()
    assert isinstance(first, Loading)
    ready = engine.until_ready()
    assert (ready.name, ready.dim) == ("tiny", 64)
    assert ready.checkpoint_id.startswith("cloc-")
    engine.process.stdin.close()
    assert wait_until_gone(engine.process.pid, 2) < 2
    assert engine.process.wait() == 0


def test_that_requests_sent_before_the_model_is_loaded_are_answered_and_quit_ends_it(start_engine, tiny_checkpoint):
    engine = start_engine("--checkpoint", str(tiny_checkpoint))
    engine.send(EncodeTexts(id=1, texts=["early"]), Quit(id=2))
    engine.until_ready()
    assert isinstance(engine.reply(), Embedded)
    assert engine.process.wait(timeout=5) == 0


def test_that_a_damaged_checkpoint_is_a_last_sentence_and_an_exit_status(start_engine, tmp_path):
    (tmp_path / "empty").mkdir()
    engine = start_engine("--checkpoint", str(tmp_path / "empty"))
    while isinstance(reply := engine.reply(), Loading):
        pass
    assert isinstance(reply, Failed)
    assert reply.exit_status == 4
    assert engine.process.wait(timeout=5) == 4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PDEATHSIG is Linux's")
def test_that_the_engine_is_gone_when_its_parent_is_killed_though_stdin_stays_open(tiny_checkpoint):
    """Both ends of the pipes are kept open here, so only the death signal can end it."""
    requests_read, requests_write = os.pipe()
    parent_code = (
        "import subprocess, sys, os, time\n"
        "p = subprocess.Popen([sys.executable, '-m', 'locstudio.engine', '--checkpoint', sys.argv[1],"
        " '--parent-pid', str(os.getpid())], stdin=int(sys.argv[2]), stdout=subprocess.PIPE)\n"
        "while b'ready' not in (line := p.stdout.readline()): assert line\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_code, str(tiny_checkpoint), str(requests_read)],
        pass_fds=[requests_read],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert wait_until_gone(pid, 2) < 2
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        os.close(requests_read)
        os.close(requests_write)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PDEATHSIG is Linux's")
def test_that_an_engine_whose_parent_has_gone_already_does_not_start(start_engine, tiny_checkpoint):
    engine = start_engine("--checkpoint", str(tiny_checkpoint), "--parent-pid", "1")
    assert engine.process.wait(timeout=10) == -signal.SIGTERM


def test_that_what_a_library_prints_is_log_and_not_protocol():
    code = (
        "from locstudio.engine.process import claim_pipes\n"
        "import os\n"
        "_, replies = claim_pipes()\n"
        "print('from Python')\n"
        "os.write(1, b'from C\\n')\n"
        "assert os.read(0, 1) == b''\n"
        "os.write(replies, b'protocol\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"x", capture_output=True, cwd=REPOSITORY, check=True)
    assert done.stdout == b"protocol\n"
    assert b"from Python" in done.stderr
    assert b"from C" in done.stderr
