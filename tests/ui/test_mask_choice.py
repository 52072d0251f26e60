"""A person's own Segment Anything checkpoint: chosen once, used in every project, forgotten when its file is gone."""

import pytest
from PySide6.QtWidgets import QFileDialog


@pytest.fixture
def checkpoint(tmp_path):
    file = tmp_path / "sam_vit_b.pth"
    file.write_bytes(b"weights")
    return file


@pytest.fixture
def answer(monkeypatch):
    """What the person chooses in the file dialog."""
    return lambda file: monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))


def test_that_a_chosen_checkpoint_makes_the_masks_and_is_remembered(studio, desk, checkpoint, answer, sample, qtbot):
    answer(checkpoint)
    studio.window.actions_by_name["choose_sam"].trigger()
    assert desk.engine.sam == checkpoint
    assert "sam_vit_b.pth" in studio.window.status.currentMessage()
    studio.close_project()
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.open_path(sample.project.path)
    assert studio.desk.engine.sam == checkpoint
    studio.window.actions_by_name["bundled_masks"].trigger()
    assert studio.desk.engine.sam is None
    assert studio.preferences.sam == ""


def test_that_a_dialog_without_an_answer_changes_nothing(studio, desk, answer):
    answer("")
    studio.window.actions_by_name["choose_sam"].trigger()
    assert desk.engine.sam is None


def test_that_a_checkpoint_whose_file_is_gone_is_not_used(studio, sample, checkpoint, qtbot):
    studio.preferences.sam = str(checkpoint)
    checkpoint.unlink()
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.open_path(sample.project.path)
    assert studio.desk.engine.sam is None
