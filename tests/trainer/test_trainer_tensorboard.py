"""Curves for TensorBoard, read again by TensorBoard itself."""

import pytest
import torch

from trainer.loop import StepMetrics
from trainer.tensorboard import TensorBoardCurves, open_curves

accumulating = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def scalars(folder):
    accumulator = accumulating.EventAccumulator(str(folder), purge_orphaned_data=True)
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def metrics(loss):
    return StepMetrics(4, torch.tensor(loss), {"clip": torch.tensor(loss / 2)}, 0.25)


def test_that_curves_are_what_tensorboard_reads(tmp_path):
    now = [0.0]
    curves = TensorBoardCurves(tmp_path, clock=lambda: now[0])
    for step in range(1, 5):
        now[0] += 0.5
        curves(step, metrics(float(step)))
    curves.evaluated(4, {"top1": 0.5})
    curves.close()
    assert scalars(tmp_path) == {
        "train/loss": [(1, 1.0), (3, 3.0)],  # once a second
        "train/clip": [(1, 0.5), (3, 1.5)],
        "train/learning_rate": [(1, 0.25), (3, 0.25)],
        "held_out/top1": [(4, 0.5)],
    }


def test_that_a_step_without_a_loss_is_left_out(tmp_path):
    curves = TensorBoardCurves(tmp_path)
    curves(1, StepMetrics(4))
    curves.close()
    assert scalars(tmp_path) == {}


def test_that_a_resumed_run_hides_what_it_does_again(tmp_path):
    for first_step, steps in ((0, (1, 2, 3)), (1, (2, 3))):
        now = [0.0]
        curves = TensorBoardCurves(tmp_path, first_step, clock=lambda now=now: now[0])
        for step in steps:
            now[0] += 2.0
            curves(step, metrics(10.0 * first_step + step))
        curves.close()
    assert scalars(tmp_path)["train/loss"] == [(1, 1.0), (2, 12.0), (3, 13.0)]


def test_that_a_run_without_tensorboard_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.tensorboard.find_spec", lambda _: None)
    said = []
    assert open_curves(tmp_path, 0, said.append) is None
    assert "pip install 'locstudio[tensorboard]'" in said[0]
    assert not (tmp_path / "tensorboard").exists()
