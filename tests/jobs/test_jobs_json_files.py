"""JSON that a stranger may have written: whatever it is, it is refused in words, at once and in little memory."""

import os

import msgspec
import pytest

from locstudio.domain.errors import BadInput, ProtocolError
from locstudio.jobs import json_files
from locstudio.jobs.configs import Evaluation, RunConfig
from locstudio.jobs.json_files import read_json
from locstudio.jobs.messages import from_line
from locstudio.jobs.predictions import read_gate
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import read_mark
from locstudio.jobs.training_files import best_file, read_best

DEEP = b'{"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.fixture
def folder(tmp_path):
    config = RunConfig(kind="evaluate", checkpoint="/c", evaluate=Evaluation(task="regions"))
    return RunFolder.create(tmp_path / "runs", config)


def test_that_a_document_is_read(tmp_path):
    (tmp_path / "numbers.json").write_text("[1, 2]")
    assert read_json(tmp_path / "numbers.json", list[int]) == [1, 2]


@pytest.mark.parametrize("content", [DEEP, b'{"pid":"\xff"}', b'{"\xff":1}', b'{"kind":"note","text":"\xff"}'])
def test_that_nesting_without_end_and_damaged_words_are_refused_by_every_reader(folder, content):
    (folder.path / "state.json").write_bytes(content)
    assert read_mark(folder) is None
    with pytest.raises(ProtocolError):
        from_line(content)
    for path, read in ((best_file(folder), lambda: read_best(folder)), (folder.path / "config.json", folder.config)):
        path.write_bytes(content)
        with pytest.raises(BadInput):
            read()
    (folder.results / "gate.json").write_bytes(content)
    with pytest.raises(BadInput):
        read_gate(folder.results)


def test_that_a_document_larger_than_any_of_ours_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(json_files, "MAX_JSON_BYTES", 10)
    (tmp_path / "large.json").write_text("[" + "1," * 10 + "1]")
    with pytest.raises(msgspec.DecodeError, match="larger"):
        read_json(tmp_path / "large.json", list[int])


def test_that_a_pipe_is_not_waited_for(folder):
    os.unlink(folder.path / "config.json")
    os.mkfifo(folder.path / "config.json")
    with pytest.raises(BadInput, match="is no file"):
        folder.config()
