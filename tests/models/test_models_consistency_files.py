"""Multi-label checkpoint folders: what is no sound one is refused before it is loaded, with a sentence."""

import json
import shutil

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from locstudio.domain.errors import BadInput, CheckpointMismatch, StorageFailed, TooNew
from locstudio.jobs.checkpoint_folder import checkpoint_id, checkpoint_info, file_sha256
from locstudio.models.checkpoint import load_checkpoint, save_checkpoint
from locstudio.models.consistency_files import (
    backbone_classifier,
    load_consistency,
    new_consistency,
    save_consistency,
)

CLASSES = ("bicycle", "bus", "zebra")


@pytest.fixture(scope="module")
def make_classifier():
    def make(**changes):
        torch.manual_seed(0)
        config = backbone_classifier("test_resnet", name="tiny", classes=CLASSES, width=24)
        model = new_consistency(msgspec.structs.replace(config, **{"hidden": 16, **changes}))
        with torch.no_grad():
            model.head.weight.normal_()
        return model

    return make


@pytest.fixture(scope="module")
def saved(make_classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    save_consistency(make_classifier(), folder, card="# Tiny\n", metrics={"map": 0.5}, parent="consistency-0")
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


def forge(folder, **changes):
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    reseal(folder)


def test_that_what_was_saved_is_loaded(folder, make_classifier):
    model, origin = load_consistency(folder), make_classifier()
    for key, tensor in model.state_dict().items():
        is_kept = key.startswith("backbone.") and tensor.ndim < 2
        expected = origin.state_dict()[key]
        torch.testing.assert_close(
            tensor, expected if is_kept or not expected.is_floating_point() else expected.half(), check_dtype=False
        )
    assert model.config == origin.config
    assert model.id == checkpoint_info(folder).id
    assert not model.training


def test_that_it_is_known_without_loading_it(folder):
    info = checkpoint_info(folder)
    assert (info.model, info.classes, info.name, info.dim) == ("consistency", CLASSES, "tiny", 0)
    assert (info.token_grid, info.token_width, info.input_px, info.tower) == (5, 24, 160, "test_resnet")
    assert (info.parent, info.metrics) == ("consistency-0", {"map": 0.5})
    assert info.id.startswith("consistency-")
    assert len(info.id) == len("consistency-") + 16


def test_that_statistics_too_large_for_half_precision_are_kept(tmp_path, make_classifier):
    model = make_classifier()
    variance = next(key for key in model.state_dict() if key.endswith("running_var"))
    model.state_dict()[variance][0] = 1e6
    save_consistency(model, tmp_path / "wide", card="", metrics={})
    assert load_consistency(tmp_path / "wide").state_dict()[variance][0].item() == 1e6


def test_that_the_id_names_the_weights_and_not_the_folder(folder, tmp_path, make_classifier):
    again = save_consistency(make_classifier(), tmp_path / "elsewhere", card="another card", metrics={})
    other = make_classifier()
    other.head.bias.data += 1
    assert save_consistency(other, tmp_path / "other", card="", metrics={}) != again
    renamed = make_classifier(classes=("bicycle", "bus", "okapi"))
    assert save_consistency(renamed, tmp_path / "renamed", card="", metrics={}) != again


def test_that_neither_kind_of_model_is_taken_for_the_other(folder, tmp_path, make_tiny):
    with pytest.raises(CheckpointMismatch, match="names the classes of images; here one is needed that names regions"):
        load_checkpoint(folder)
    save_checkpoint(make_tiny(), tmp_path / "regions", card="", metrics={})
    with pytest.raises(CheckpointMismatch, match="names regions; here one is needed that names the classes of images"):
        load_consistency(tmp_path / "regions")


@pytest.mark.parametrize("harm", ["truncate", "empty", "flip", "remove"])
@pytest.mark.parametrize("name", ["weights.safetensors", "config.json", "metrics.json"])
def test_that_a_damaged_file_is_refused_by_name(folder, harm, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    if harm == "remove":
        path.unlink()
    elif harm == "flip":
        content[-4] ^= 4
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2] if harm == "truncate" else b"")
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        load_consistency(folder)


def test_that_a_newer_format_asks_for_an_update(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(TooNew, match="Update LocStudio"):
        load_consistency(folder)


def test_that_other_weights_than_the_configuration_says_are_refused_with_what_differs(folder):
    forge(folder, classes=["bicycle", "bus"])
    with pytest.raises(CheckpointMismatch, match=r"2 classes.*head\.bias is \(3,\), not \(2,\)"):
        load_consistency(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": 10**9},
        {"hidden": 16_000},
        {"width": 0},
        {"grid": 1000},
        {"cell_grid": -1},
        {"input_px": 10**6},
        {"token_width": 10**9},
        {"classes": []},
    ],
)
def test_that_impossible_sizes_are_refused_before_anything_is_built(folder, changes):
    forge(folder, **changes)
    with pytest.raises(BadInput, match="impossible sizes"):
        load_consistency(folder)


@pytest.mark.parametrize("classes", [["bus", "bus", "zebra"], ["bus", " ", "zebra"]])
def test_that_a_class_without_a_name_of_its_own_is_refused(folder, classes):
    forge(folder, classes=classes)
    with pytest.raises(BadInput, match="names a class twice, or not at all"):
        load_consistency(folder)


@pytest.mark.parametrize("changes", [{"boost": 0.0}, {"boost": -3.0}, {"dropout": 1.0}])
def test_that_numbers_without_a_meaning_are_refused(folder, changes):
    forge(folder, **changes)
    with pytest.raises(BadInput, match="boost"):
        load_consistency(folder)


@pytest.mark.parametrize("backbone", ["hf-hub:someone/else", "local-dir:/tmp", "nobody"])
def test_that_a_backbone_that_would_be_fetched_or_is_unknown_is_refused(folder, backbone):
    forge(folder, backbone=backbone)
    with pytest.raises(BadInput, match="timm knows no model"):
        load_consistency(folder)


@pytest.mark.parametrize("changes", [{"flux": 1}, {"pools": "medians"}, {"trains": "nothing"}, {"classes": [1, 2, 3]}])
def test_that_a_configuration_unknown_here_is_another_model(folder, changes):
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    reseal(folder)
    with pytest.raises((CheckpointMismatch, BadInput), match=r"unknown here|cannot be read"):
        load_consistency(folder)


def test_that_a_kind_of_model_unknown_here_is_refused(folder):
    config = json.loads((folder / "config.json").read_text()) | {"model": "oracle"}
    (folder / "config.json").write_text(json.dumps(config))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"]["config.json"] = file_sha256(folder / "config.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="oracle"):
        checkpoint_info(folder)


def test_that_a_foreign_tower_is_refused(folder):
    forge(folder, tower={"model": "ViT-B-16", "width": 768, "num_tokens": 197})
    with pytest.raises(BadInput, match="ViT-B-16"):
        load_consistency(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_that_numbers_that_are_not_finite_are_refused(folder, value):
    state = load_file(folder / "weights.safetensors")
    state["head.bias"][1] = value
    save_file(state, folder / "weights.safetensors")
    reseal(folder)
    with pytest.raises(BadInput, match=r"not finite.*head"):
        load_consistency(folder)


def test_that_a_model_that_is_not_finite_is_not_saved_and_leaves_nothing(tmp_path, make_classifier):
    model = make_classifier()
    model.head.bias.data[0] = float("nan")
    with pytest.raises(BadInput, match="not finite"):
        save_consistency(model, tmp_path / "broken", card="", metrics={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writes", ["manifest", "weights"])
def test_that_a_full_disk_leaves_the_older_checkpoint(folder, make_classifier, monkeypatch, writes):
    before = checkpoint_info(folder).id

    def full(*_):
        raise OSError(28, "No space left on device")

    if writes == "manifest":
        monkeypatch.setattr("locstudio.jobs.checkpoint_folder.write_whole", full)
    else:
        monkeypatch.setattr("pathlib.Path.write_bytes", full)
    other = make_classifier()
    other.head.bias.data += 1
    with pytest.raises(StorageFailed, match="No space left"):
        save_consistency(other, folder, card="", metrics={})
    assert checkpoint_info(folder).id == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_that_saving_over_a_checkpoint_replaces_it_whole(folder, make_classifier):
    other = make_classifier()
    other.head.bias.data += 1
    identity = save_consistency(other, folder, card="new", metrics={})
    assert checkpoint_info(folder).id == identity
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
