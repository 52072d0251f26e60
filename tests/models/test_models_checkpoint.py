"""Rows 69 to 72 of the fault matrix: what is no sound checkpoint is refused before it is loaded, with a sentence."""

import json
import os
import pickle
import shutil

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from locstudio.domain.errors import BadInput, CheckpointMismatch, TooNew
from locstudio.jobs.checkpoint_folder import (
    CheckpointInfo,
    checkpoint_id,
    checkpoint_info,
    file_sha256,
    weights_header,
)
from locstudio.models.checkpoint import load_checkpoint, save_checkpoint
from locstudio.models.weights import packaged_text_folder, read_weights


@pytest.fixture(scope="module")
def saved(make_tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    save_checkpoint(make_tiny(), folder, card="# Tiny\n", metrics={"top1": 0.5}, parent="cloc-0")
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "tiny")


def reseal(folder):
    """Make the manifest agree with files changed by hand, as someone who forges a checkpoint would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"] = {name: file_sha256(folder / name) for name in manifest["sha256"]}
    manifest["id"] = checkpoint_id(folder)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_that_what_was_saved_is_loaded_in_half_precision(folder, make_tiny):
    model, origin = load_checkpoint(folder), make_tiny()
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, origin.state_dict()[key].half().float())
    assert model.id == checkpoint_info(folder).id
    assert not model.training


def test_that_a_checkpoint_is_known_without_loading_it(folder):
    info = checkpoint_info(folder)
    assert info == CheckpointInfo(
        id=info.id,
        name="tiny",
        dim=32,
        token_grid=4,
        token_width=64,
        input_px=64,
        format_version=1,
        tower="tiny-vit",
        parent="cloc-0",
        metrics={"top1": 0.5},
    )
    assert info.id.startswith("cloc-")
    assert len(info.id) == len("cloc-") + 16


def test_that_the_id_names_the_weights_and_not_the_folder(folder, tmp_path, make_tiny):
    again = save_checkpoint(make_tiny(), tmp_path / "elsewhere", card="another card", metrics={})
    assert again == checkpoint_info(folder).id
    other = make_tiny()
    other.logit_scale.data += 1
    assert save_checkpoint(other, tmp_path / "other", card="", metrics={}) != again


def test_that_saving_over_a_checkpoint_replaces_it_whole(folder, make_tiny):
    other = make_tiny()
    other.logit_scale.data += 1
    identity = save_checkpoint(other, folder, card="new", metrics={})
    assert checkpoint_info(folder).id == identity
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("harm", ["truncate", "empty", "flip", "remove"])
@pytest.mark.parametrize("name", ["weights.safetensors", "config.json"])
def test_that_a_damaged_file_is_refused_by_name(folder, harm, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    if harm == "remove":
        path.unlink()
    elif harm == "flip":
        content[-7] ^= 4
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2] if harm == "truncate" else b"")
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        load_checkpoint(folder)


def test_that_a_folder_that_is_none_is_said_to_be_none(tmp_path):
    with pytest.raises(BadInput, match="not a complete checkpoint"):
        checkpoint_info(tmp_path)


def test_that_a_newer_format_asks_for_an_update(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(TooNew, match="Update LocStudio"):
        load_checkpoint(folder)


def test_that_another_architecture_in_the_weights_is_refused_with_both_named(folder):
    config = json.loads((folder / "config.json").read_text())
    config["dim"] = 48
    (folder / "config.json").write_text(json.dumps(config))
    reseal(folder)
    with pytest.raises(CheckpointMismatch, match=r"dim 48.*is \(32.*not \(48"):
        load_checkpoint(folder)


def test_that_embeddings_of_two_checkpoints_never_meet(folder):
    info = checkpoint_info(folder)
    info.require_same_model(info)
    other = CheckpointInfo("cloc-1", "older", 16, 4, 64, 64, 1, "tiny-vit", "", {})
    with pytest.raises(CheckpointMismatch, match=r"older.*16 numbers.*Embed the project again"):
        other.require_same_model(info)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_that_numbers_that_are_not_finite_are_refused(folder, value):
    state = load_file(folder / "weights.safetensors")
    state["image_project.bias"][3] = value
    save_file(state, folder / "weights.safetensors")
    reseal(folder)
    with pytest.raises(BadInput, match=r"not finite.*image_project"):
        load_checkpoint(folder)


def test_that_a_model_that_is_not_finite_is_not_saved(tmp_path, make_tiny):
    model = make_tiny()
    model.image_project.bias.data[0] = 1e6  # finite, but not in half precision
    with pytest.raises(BadInput, match="not finite"):
        save_checkpoint(model, tmp_path / "broken", card="", metrics={})
    assert list(tmp_path.iterdir()) == []


def test_that_a_billion_dimensions_are_refused_before_they_are_built(folder):
    config = json.loads((folder / "config.json").read_text())
    config["token_width"] = 10**9
    (folder / "config.json").write_text(json.dumps(config))
    reseal(folder)
    with pytest.raises(BadInput, match="impossible sizes"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "header", [b"", b"\xff" * 8, (10**6).to_bytes(8, "little") + b"{}", b"\x02" + b"\0" * 7 + b"[]"]
)
def test_that_a_broken_header_is_refused(tmp_path, header):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(header)
    with pytest.raises(BadInput, match="no readable safetensors"):
        weights_header(path)


def test_that_a_promise_of_more_data_than_there_is_is_refused(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(BadInput, match="promised"):
        weights_header(path)


class Hostile:
    """Unpickled the unsafe way, this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("way", ["torch", "pickle", "inside"])
def test_that_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path, way):
    proof, path = tmp_path / "ran", tmp_path / "weights.pt"
    if way == "pickle":
        path.write_bytes(pickle.dumps(Hostile(proof)))
    else:
        torch.save(Hostile(proof) if way == "torch" else {"state_dict": {"a": Hostile(proof)}}, path)
    with pytest.raises(BadInput, match="was not opened"):
        read_weights(path)
    assert not proof.exists()


def test_that_a_file_with_more_than_tensors_is_refused(tmp_path):
    torch.save({"a": torch.zeros(1), "epoch": 3}, tmp_path / "more.pt")
    with pytest.raises(BadInput, match="no file of plain tensors"):
        read_weights(tmp_path / "more.pt")


def test_that_a_changed_package_is_refused(monkeypatch):
    monkeypatch.setattr("locstudio.models.weights.MINILM_SHA256", {"config.json": "0" * 64})
    with pytest.raises(BadInput, match=r"config\.json is not the one LocStudio knows"):
        packaged_text_folder()


def test_that_a_configuration_with_an_unknown_field_is_another_model(folder):
    config = msgspec.json.decode((folder / "config.json").read_bytes())
    config["flux"] = 1
    (folder / "config.json").write_bytes(msgspec.json.encode(config))
    reseal(folder)
    with pytest.raises(CheckpointMismatch, match="unknown field `flux`"):
        load_checkpoint(folder)
