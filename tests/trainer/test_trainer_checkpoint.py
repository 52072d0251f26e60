"""A resumed run stands where it stood; a damaged checkpoint is refused before anything is changed."""

import json
import shutil

import pytest
import torch
from torch import nn

from locstudio.domain.errors import BadInput, CheckpointMismatch
from trainer.checkpoint import restore_step, save_step, step_folders
from trainer.optim import make_optimizer


def write_model(folder):
    folder.mkdir()
    (folder / "config.json").write_text("{}")


def new_model(width=4):
    torch.manual_seed(width)
    module = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 1))
    module[2].weight.requires_grad_(False)
    return module, make_optimizer(module, learning_rate=0.1, weight_decay=0.1)


def train(module, optimizer, num_steps):
    for _ in range(num_steps):
        optimizer.zero_grad()
        module(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


@pytest.fixture
def saved(tmp_path):
    module, optimizer = new_model()
    train(module, optimizer, 3)
    return save_step(tmp_path, 3, module, optimizer, write_model)


def test_that_training_goes_on_bitwise_as_if_it_had_not_been_broken_off(tmp_path):
    module, optimizer = new_model()
    train(module, optimizer, 3)
    folder = save_step(tmp_path, 3, module, optimizer, write_model)
    train(module, optimizer, 5)

    other, other_optimizer = new_model()
    torch.manual_seed(99)
    train(other, other_optimizer, 1)
    assert restore_step(folder, other, other_optimizer).step == 3
    train(other, other_optimizer, 5)
    assert_same(state(other), state(module))


def test_that_what_wants_no_gradient_is_not_stored_twice(saved):
    from safetensors import safe_open

    with safe_open(saved / "resume" / "state.safetensors", "pt") as file:
        names = set(file.keys())
    assert "model.0.weight" in names
    assert "model.1.running_mean" in names
    assert "model.2.weight" not in names


def test_that_a_checkpoint_holds_data_and_no_code(saved):
    assert sorted(path.name for path in (saved / "resume").iterdir()) == ["state.json", "state.safetensors"]
    json.loads((saved / "resume" / "state.json").read_text())


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone", "no state", "foreign state"])
def test_that_a_damaged_checkpoint_is_refused_and_leaves_the_model_alone(saved, damage):
    weights, settings = saved / "resume" / "state.safetensors", saved / "resume" / "state.json"
    content = weights.read_bytes()
    if damage == "flip":
        middle = len(content) // 2
        weights.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "cut":
        weights.write_bytes(content[:-100])
    elif damage == "empty":
        weights.write_bytes(b"")
    elif damage == "gone":
        weights.unlink()
    elif damage == "no state":
        settings.unlink()
    else:
        settings.write_text('{"format_version": 1}')
    module, optimizer = new_model()
    before = state(module)
    with pytest.raises(BadInput, match="The checkpoint step_3 "):
        restore_step(saved, module, optimizer)
    assert_same(state(module), before)


def test_that_the_state_of_another_model_is_refused(saved):
    module, optimizer = new_model(width=5)
    before = state(module)
    with pytest.raises(CheckpointMismatch, match="other layers"):
        restore_step(saved, module, optimizer)
    assert_same(state(module), before)


def test_that_a_save_which_fails_leaves_the_older_checkpoint_and_no_remains(saved, tmp_path):
    module, optimizer = new_model()

    def fail(folder):
        write_model(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        save_step(tmp_path, 4, module, optimizer, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["step_3"]
    restore_step(saved, module, optimizer)


def test_that_an_unfinished_folder_is_no_checkpoint(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "step_7.partial")
    assert step_folders(tmp_path) == [saved]


def test_that_what_a_killed_process_left_half_written_goes_with_the_next_checkpoint(saved, tmp_path):
    for name in ("step_9.partial", "step_9.partial.1a2b3c4d.partial"):
        (tmp_path / name).mkdir()
    module, optimizer = new_model()
    save_step(tmp_path, 4, module, optimizer, write_model)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_3", "step_4"]


def test_that_the_two_newest_checkpoints_are_kept_in_the_order_of_steps(tmp_path):
    module, optimizer = new_model()
    for step in (5, 50, 100, 9):
        save_step(tmp_path, step, module, optimizer, write_model)
    assert [path.name for path in step_folders(tmp_path)] == ["step_100", "step_50"]
