"""A training by two processes, started as the app starts it: what it leaves is what one process leaves."""

import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from locstudio.index.region_index import RegionIndex
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.messages import Evaluated, Finished, Started
from locstudio.jobs.training_files import read_best
from locstudio.services import runs
from trainer.__main__ import work
from trainer.checkpoint import step_folders

sys.path.insert(0, str(Path(__file__).parent))
from shared_runs import new_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def files_of(folder):
    """Every file of the run folder by its path, without those of the leading process."""
    return {
        path.relative_to(folder.path).as_posix()
        for path in folder.path.rglob("*")
        if path.is_file() and path.name not in ("state.json", "log.txt")
    }


def state_of(folder):
    return load_file(step_folders(folder.checkpoints)[0] / "resume" / "state.safetensors")


def test_that_two_processes_leave_the_folder_and_the_weights_that_one_leaves(paint, tiny_checkpoint):
    painted = paint(11, splits=("train", "train", "val"))
    alone, shared = (new_run(painted, tiny_checkpoint, num_processes=number) for number in (1, 2))
    assert work(alone, None, lambda: False) == 0
    seen = []
    last = runs.run_and_wait(shared, seen.append)
    assert isinstance(last, Finished), shared.log.read_text()
    assert seen == list(shared.read_events())
    assert [message.sequence for message in seen] == list(range(len(seen)))
    assert files_of(shared) == files_of(alone)

    one, two, begun = state_of(alone), state_of(shared), load_file(tiny_checkpoint / "weights.safetensors")
    assert one.keys() == two.keys()
    learnt = {name: name.removeprefix("model.") for name in one if name.startswith("model.")}
    moved = {name: (one[name] - begun[own]).abs().max() for name, own in learnt.items()}
    assert max(moved.values()) > 1e-4
    for name, distance in moved.items():
        assert (two[name] - one[name]).abs().max() <= 1e-5 + 0.02 * distance, name

    assert [m.device.rpartition(", ")[2] for m in seen if isinstance(m, Started)] == ["2 processes"]
    expected = [message for message in alone.read_events() if isinstance(message, Evaluated)]
    measured = [message for message in seen if isinstance(message, Evaluated)]
    assert [message.step for message in measured] == [message.step for message in expected] == [0, 3, 6]
    for found, wanted in zip(measured, expected, strict=True):
        assert found.metrics == pytest.approx(wanted.metrics, abs=1e-3)
    index = RegionIndex.open(shared.results / "index", checkpoint_info(shared.path / read_best(shared).path).id)
    assert len(index.region_ids()) == 22
