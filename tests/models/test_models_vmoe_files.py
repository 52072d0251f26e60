"""Checkpoints of Mobile V-MoEs: upcycled and going on from others; what is no sound one is refused with a sentence."""

import json
import shutil
import sys
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from locstudio.domain.errors import BadInput, CheckpointMismatch, StorageFailed, TooNew
from locstudio.jobs.checkpoint_folder import checkpoint_id, checkpoint_info, file_sha256
from locstudio.models.consistency_files import load_consistency
from locstudio.models.mobile_vmoe_files import expert_sources, load_vmoe, new_vmoe, save_vmoe

sys.path.insert(0, str(Path(__file__).parent))
from vmoes import CLASSES, SUPERCLASS_OF, SUPERCLASSES, pictures, tiny_config, tiny_vmoe


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    save_vmoe(tiny_vmoe("superclass"), folder, card="# Tiny\n", metrics={"top1": 0.5}, parent="vmoe-0")
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


# Upcycled, and going on


@pytest.mark.parametrize("mode", ["superclass", "image", "token", "random", "oracle"])
def test_that_a_model_begins_as_the_dense_twin_of_which_it_was_made(mode):
    twin, images = tiny_vmoe("dense"), pictures(5)
    expected = twin(images).logits_BL
    for changes in ({"renormalises": True, "num_active": 2}, {"has_shared_expert": True}):
        model = new_vmoe(tiny_config(mode, **changes), dense=twin)
        torch.testing.assert_close(model(images).logits_BL, expected, rtol=1e-4, atol=1e-5)
    # The paper's gate is a probability, so here the experts begin with less to say.
    model = new_vmoe(tiny_config(mode), dense=twin)
    for expert in range(3):
        assert torch.equal(model.layers[2].experts.enter_weight[expert], twin.layers[2].mlp.enter.weight)
        assert torch.equal(model.layers[2].experts.leave_bias[expert], twin.layers[2].mlp.leave.bias)


def test_that_going_on_with_the_same_model_changes_nothing():
    base, images = tiny_vmoe("superclass", num_active=2, has_shared_expert=True), pictures(5)
    model = new_vmoe(base.config, base=base)
    torch.testing.assert_close(model(images).logits_BL, base(images).logits_BL)
    assert not model.training
    assert model.id == ""


def test_that_classes_are_matched_by_name():
    base = tiny_vmoe("superclass")
    classes = ("zebra", "tram", "bus", "cat")
    config = tiny_config("superclass", classes=classes, superclass_of=(2, 0, 0, 1))
    model = new_vmoe(config, base=base)
    old, new = base(pictures(3)), model(pictures(3))
    torch.testing.assert_close(new.logits_BL[:, [0, 2, 3]], old.logits_BL[:, [5, 1, 2]])
    assert new.logits_BL[:, 1].abs().max() == 0
    assert torch.equal(new.experts_BRk, old.experts_BRk)


def test_that_experts_are_matched_by_name_then_by_classes_then_by_number():
    base = tiny_config("superclass")
    renamed = tiny_config(
        "superclass",
        superclasses=("animals", "pets", "vehicles", "none"),
        superclass_of=(2, 2, 1, 1, 0, 0),
        num_experts=4,
    )
    assert expert_sources(renamed, base) == [2, 1, 0, 0]  # okapi and zebra, the name, the name, number 3 of 3
    assert expert_sources(tiny_config("image", num_experts=5), base) == [0, 1, 2, 0, 1]
    model, other = new_vmoe(renamed, base=tiny_vmoe("superclass")), tiny_vmoe("superclass")
    assert torch.equal(model.layers[1].experts.enter_weight, other.layers[1].experts.enter_weight[[2, 1, 0, 0]])
    assert torch.equal(model.router.weight, other.router.weight[[2, 1, 0, 0]])


def test_that_layers_may_get_and_lose_experts():
    base = tiny_vmoe("image", num_moe_layers=1)
    more = new_vmoe(tiny_config("image", num_moe_layers=2), base=base)
    assert torch.equal(more.layers[1].experts.leave_weight[2], base.layers[1].mlp.leave.weight)
    assert torch.equal(more.layers[2].experts.leave_weight, base.layers[2].experts.leave_weight)
    dense = new_vmoe(tiny_config("dense"), base=base)
    torch.testing.assert_close(dense.layers[2].mlp.enter.weight, base.layers[2].experts.enter_weight.mean(dim=0))
    shared = new_vmoe(tiny_config("image", num_moe_layers=1, has_shared_expert=True), base=base)
    torch.testing.assert_close(shared(pictures(2)).logits_BL, base(pictures(2)).logits_BL)
    back = new_vmoe(tiny_config("dense"), base=new_vmoe(tiny_config(has_shared_expert=True), dense=tiny_vmoe("dense")))
    torch.testing.assert_close(back(pictures(2)).logits_BL, tiny_vmoe("dense")(pictures(2)).logits_BL)


def test_that_a_model_of_other_sizes_is_named_with_what_differs():
    with pytest.raises(CheckpointMismatch, match=r"wide does not fit tiny: width is 32, not 16\. Choose"):
        new_vmoe(tiny_config(), base=new_vmoe(tiny_config(name="wide", width=32)))
    with pytest.raises(ValueError, match="dense twin has no experts"):
        new_vmoe(tiny_config(), dense=tiny_vmoe())


IMPOSSIBLE = [
    ({"width": 10**9}, "impossible sizes, 1,000,000,000 for tokens"),
    ({"width": 0}, "impossible sizes"),
    ({"depth": 10**6}, "impossible sizes"),
    ({"num_experts": 10**6}, "impossible sizes"),
    ({"mlp_ratio": 1e9}, "impossible sizes"),
    ({"mlp_ratio": -1.0}, "impossible sizes"),
    ({"grid": 1000}, "impossible sizes"),
    ({"input_px": -1}, "impossible sizes"),
    ({"classes": (), "superclass_of": ()}, "impossible sizes, 0 for classes"),
    ({"heads": 3}, "3 heads do not share 16 numbers"),
    ({"num_active": 4}, "4 of 3 experts cannot compute"),
    ({"num_moe_layers": 3}, "of 3 layers 1 to 2 can have experts, not 3"),
    ({"num_moe_layers": 0}, "of 3 layers 1 to 2 can have experts, not 0"),
    ({"routing": "dense", "num_moe_layers": 2}, "without experts it has 2 layers of them"),
    ({"patch": 7}, "4 patches of 7 px do not fill 32 px"),
    ({"stem": "conv", "patch": 6, "input_px": 24}, "no patches of 6 px"),
    ({"stem": "backbone", "stem_width": 0}, "impossible sizes"),
    ({"dropout": 1.0}, "leaves out 1.0"),
    ({"drop_path": -0.5}, "leaves out"),
    ({"classes": ("bus", "bus", "cat", "dog", "okapi", "zebra")}, "names a class twice, or not at all"),
    ({"superclasses": ("a", "a", "c")}, "names a superclass twice"),
    ({"superclasses": ("a", " ", "c")}, "names a superclass twice, or not at all"),
    ({"superclasses": ("a", "b")}, "2 superclasses for 3 experts"),
    ({"superclass_of": (0, 1)}, "superclasses for 2 of 6 classes"),
    ({"superclass_of": (0, 0, 1, 1, 2, 3)}, "a superclass that is not there"),
    ({"superclass_of": (0, 0, 1, 1, 2, -1)}, "a superclass that is not there"),
]


@pytest.mark.parametrize(("changes", "sentence"), IMPOSSIBLE)
def test_that_a_model_that_cannot_be_is_neither_made_nor_loaded(folder, changes, sentence):
    with pytest.raises(BadInput, match=f"The model tiny cannot be built: .*{sentence}"):
        new_vmoe(tiny_config(**({"routing": "superclass"} | changes)))
    forge(folder, **changes)
    with pytest.raises(BadInput, match=f"The checkpoint tiny is of no model: .*{sentence}"):
        load_vmoe(folder)


# Folders


def test_that_what_was_saved_is_loaded(folder):
    model, origin = load_vmoe(folder), tiny_vmoe("superclass")
    for key, tensor in origin.state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], tensor.half(), check_dtype=False)
    assert model.config == origin.config
    assert model.id == checkpoint_info(folder).id
    assert not model.training
    kept = load_file(folder / "weights.safetensors")
    assert {key for key, tensor in kept.items() if tensor.dtype != torch.float16} == {"stem.bias"}


def test_that_statistics_of_convolutions_are_kept_as_they_are(tmp_path):
    model = tiny_vmoe(stem="conv").train()
    model(pictures(4))
    variance = next(key for key in model.state_dict() if key.endswith("running_var"))
    model.state_dict()[variance][0] = 1e6  # too large for half precision
    save_vmoe(model, tmp_path / "conv", card="", metrics={})
    assert torch.equal(load_vmoe(tmp_path / "conv").state_dict()[variance], model.state_dict()[variance])


def test_that_it_is_known_without_loading_it(folder):
    info = checkpoint_info(folder)
    assert (info.model, info.classes, info.name, info.num_experts) == ("vmoe", CLASSES, "tiny", 3)
    assert (info.superclasses, info.superclass_of) == (SUPERCLASSES, SUPERCLASS_OF)
    assert (info.parent, info.metrics, info.tower) == ("vmoe-0", {"top1": 0.5}, "patch 8")
    assert info.id.startswith("vmoe-")


def test_that_a_backbone_of_its_own_is_kept_and_the_packaged_one_is_not(tmp_path):
    config = tiny_config(stem="backbone", backbone="test_resnet", input_px=64, patch=0, grid=2, stem_width=96)
    model = new_vmoe(config)
    variance = next(key for key in model.state_dict() if key.endswith("running_var"))
    model.state_dict()[variance][0] = 1e6  # too large for half precision
    save_vmoe(model, tmp_path / "own", card="", metrics={})
    assert load_vmoe(tmp_path / "own").state_dict()[variance][0].item() == 1e6
    packaged = msgspec.structs.replace(config, backbone="locstudio-lite")
    save_vmoe(new_vmoe(packaged), tmp_path / "lite", card="", metrics={})
    assert (tmp_path / "lite" / "weights.safetensors").stat().st_size < 50_000
    assert load_vmoe(tmp_path / "lite")(torch.randn(1, 96, 2, 2)).logits_BL.shape == (1, 6)


def test_that_neither_kind_of_model_is_taken_for_the_other(folder, tmp_path):
    with pytest.raises(CheckpointMismatch, match="routes images to experts; here one is needed that names the classes"):
        load_consistency(folder)
    forge(folder, model="consistency")
    with pytest.raises((BadInput, CheckpointMismatch)):
        load_vmoe(folder)


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
        load_vmoe(folder)


def test_that_a_newer_format_asks_for_an_update(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(TooNew, match="Update LocStudio"):
        load_vmoe(folder)


def test_that_other_weights_than_the_configuration_says_are_refused_with_what_differs(folder):
    forge(folder, classes=CLASSES[:5], superclass_of=SUPERCLASS_OF[:5])
    with pytest.raises(CheckpointMismatch, match=r"5 classes, 3 experts.*head\.bias is \(6,\), not \(5,\)"):
        load_vmoe(folder)


@pytest.mark.parametrize("changes", [{"width": 4096}, {"depth": 60}, {"classes": [str(n) for n in range(9999)]}])
def test_that_a_model_larger_than_its_file_is_not_built(folder, changes, monkeypatch):
    forge(folder, **changes, **({"superclass_of": [0] * 9999} if "classes" in changes else {}))
    monkeypatch.setattr("locstudio.models.mobile_vmoe_files.MobileVmoe", lambda _: pytest.fail("was built"))
    with pytest.raises(BadInput, match=r"impossible sizes"):
        load_vmoe(folder)


@pytest.mark.parametrize("changes", [{"flux": 1}, {"routing": "lottery"}, {"classes": [1, 2, 3]}, {"width": "wide"}])
def test_that_a_configuration_unknown_here_is_another_model(folder, changes):
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    reseal(folder)
    with pytest.raises((CheckpointMismatch, BadInput), match=r"unknown here|cannot be read"):
        load_vmoe(folder)


@pytest.mark.parametrize("backbone", ["hf-hub:someone/else", "local-dir:/tmp", "nobody"])
def test_that_a_backbone_that_would_be_fetched_or_is_unknown_is_refused(tmp_path, backbone):
    config = tiny_config(stem="backbone", patch=0, stem_width=8)
    save_vmoe(new_vmoe(config), tmp_path / "tiny", card="", metrics={})
    forge(tmp_path / "tiny", backbone=backbone)
    with pytest.raises(BadInput, match="timm knows no model"):
        load_vmoe(tmp_path / "tiny")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_that_numbers_that_are_not_finite_are_neither_loaded_nor_saved(folder, value, tmp_path):
    state = load_file(folder / "weights.safetensors")
    state["router.weight"][1, 0] = value
    save_file(state, folder / "weights.safetensors")
    reseal(folder)
    with pytest.raises(BadInput, match=r"not finite.*router\.weight"):
        load_vmoe(folder)
    model = tiny_vmoe()
    model.head.bias.data[0] = value
    with pytest.raises(BadInput, match="not finite"):
        save_vmoe(model, tmp_path / "broken", card="", metrics={})
    assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize("writes", ["manifest", "weights"])
def test_that_a_full_disk_leaves_the_older_checkpoint(folder, monkeypatch, writes):
    before = checkpoint_info(folder).id

    def full(*_):
        raise OSError(28, "No space left on device")

    if writes == "manifest":
        monkeypatch.setattr("locstudio.jobs.checkpoint_folder.write_whole", full)
    else:
        monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(StorageFailed, match="No space left"):
        save_vmoe(tiny_vmoe("superclass", seed=1), folder, card="", metrics={})
    assert checkpoint_info(folder).id == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_that_saving_over_a_checkpoint_replaces_it_whole(folder):
    identity = save_vmoe(tiny_vmoe("superclass", seed=1), folder, card="new", metrics={})
    assert checkpoint_info(folder).id == identity
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
