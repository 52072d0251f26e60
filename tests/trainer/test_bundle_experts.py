"""The bundled model with experts, and the command that makes it and the tables of its claims."""

import io
import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from locstudio.jobs.assets import assets_folder, bundled_checkpoint
from locstudio.media.square import load_stretched
from locstudio.models.mobile_vmoe_files import load_vmoe
from trainer.bundle import experts, experts_card, experts_names
from trainer.bundle.experts_arms import CELLS_COMPONENTS, TABLES
from trainer.bundle.experts_fitting import latency_ms
from trainer.bundle.experts_photos import (
    Cells,
    Components,
    Pixels,
    fit_components,
    hierarchy_groups,
    last_of_each,
    tower_cells,
    training_photos,
    validation_photos,
)

CLASSES = tuple(experts_names.WORD_OF)[::16]  # 13 of the 200
PER_CLASS = 22


@pytest.fixture(scope="module")
def bundled():
    return load_vmoe(bundled_checkpoint("vmoe"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The development data in small: a colour for each class."""
    folder = tmp_path_factory.mktemp("data")
    wnids = [f"n{place:08d}" for place in range(len(CLASSES))]
    classes = [{"wnid": wnid, "name": name} for wnid, name in zip(wnids, CLASSES, strict=True)]
    val = {f"val_{row}.JPEG": {"wnid": wnids[row % len(CLASSES)]} for row in range(26)}
    (folder / "tiny_imagenet.json").write_text(json.dumps({"classes": classes, "val": val}))
    lines = {wnid: {"super": {"5": f"a{row // 9}", "6": f"b{row // 4}", "7": wnid}} for row, wnid in enumerate(wnids)}
    (folder / "hierarchy.json").write_text(json.dumps({"classes": lines}))
    with tarfile.open(folder / "tiny_imagenet.tar.gz", "w:gz", compresslevel=1) as archive:
        for number in range(PER_CLASS):
            for label, wnid in enumerate(wnids):
                add(archive, f"{wnid}/{wnid}_{number:03d}.JPEG", label)
    with tarfile.open(folder / "tiny_imagenet_val_a.tar", "w") as archive:
        for row in range(26):
            add(archive, f"val_{row}.JPEG", row % len(CLASSES))
    return folder


def add(archive, name, label):
    content = io.BytesIO()
    Image.new("RGB", (64, 64), (18 * label, 255 - 18 * label, 90)).save(content, "JPEG")
    member = tarfile.TarInfo(name)
    member.size = content.tell()
    content.seek(0)
    archive.addfile(member, content)


def test_that_the_bundled_model_knows_200_classes_and_fits_in_4_mb(bundled):
    config = bundled.config
    assert (len(set(config.classes)), config.num_experts, len(set(config.superclasses))) == (200, 10, 10)
    assert {"golden retriever", "seashore", "jellyfish"} <= set(config.classes)
    weights = bundled_checkpoint("vmoe") / "weights.safetensors"
    assert weights.stat().st_size <= 4_000_000
    assert "non-commercial" in (bundled_checkpoint("vmoe") / "card.md").read_text(encoding="utf-8")
    assert "| dense |" in (bundled_checkpoint("vmoe") / "claims.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("photo", "class_names"),
    [
        ("desert_01", {"Arabian camel"}),
        ("ice_01", {"king penguin"}),
        ("pond_01", {"goose", "albatross"}),
        ("storm_01", {"sports car", "convertible", "beach wagon"}),
        ("table_01", {"orange", "lemon"}),
    ],
)
def test_that_the_bundled_model_names_photos_of_the_demo(bundled, photo, class_names):
    square = load_stretched(assets_folder() / "demo" / "images" / f"{photo}.jpg", bundled.input_px)
    with torch.inference_mode():
        routed = bundled(bundled.cells(bundled.preprocess(square)[None]))
    assert bundled.config.classes[int(routed.logits_BL.argmax())] in class_names
    assert routed.router_BRE.sum(dim=2).item() == pytest.approx(1.0, abs=1e-5)


def test_that_the_command_runs_in_small_goes_on_and_writes_a_checkpoint(data, tmp_path, monkeypatch):
    first = Components(torch.eye(1752)[:CELLS_COMPONENTS], torch.zeros(CELLS_COMPONENTS))
    monkeypatch.setattr(experts, "fit_components", lambda cells, count: first)
    monkeypatch.setattr(experts, "latency_ms", lambda model, photos, count, repeats: latency_ms(model, photos, 1, 1))
    random = np.random.default_rng(0)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for name, count in (("train", PER_CLASS * len(CLASSES)), ("val", 26)):
        np.save(scratch / f"{name}_cells.npy", random.normal(size=(count, 49, 1752)).astype(np.float16))
    call = ["--data", str(data), "--out", str(tmp_path / "lite"), "--scratch", str(scratch), "--scale", "0.002"]
    assert experts.main([*call, "--table", "main", "--seed", "0"]) == 0
    assert experts.main([*call, "--table", "sweep", "--seed", "0", "--arm", "dense", "taught", "token"]) == 0
    assert experts.main([*call, "--table", "cells", "--seed", "0", "--arm", "dense", "superclass", "upcycled"]) == 0
    runs = [json.loads(line) for line in (scratch / "results.jsonl").read_text().splitlines()]
    assert [run["arm"] for run in runs[:5]] == list(TABLES["main"].arms)
    costs = [run["macs"] - run["router_macs"] for run in runs[:5]]
    assert len(set(costs)) == 1
    assert all(0 <= run["top1"] <= 1 and run["ms_1"] > 0 for run in runs)
    # Nothing is begun any more within a budget of nothing, and what is finished is kept and shipped.
    assert experts.main([*call, "--budget", "1e-9"]) == 0
    assert len((scratch / "results.jsonl").read_text().splitlines()) == len(runs)
    model = load_vmoe(tmp_path / "lite")
    assert model.config.classes == CLASSES
    with torch.inference_mode():
        assert model(torch.zeros(2, 1752, 7, 7)).logits_BL.shape == (2, len(CLASSES))


def test_that_photos_are_read_and_shown_a_little_different_every_time(data):
    photos, test = training_photos(data, 3), validation_photos(data, 5)
    assert (len(photos), len(test)) == (3 * len(CLASSES), 5)
    assert photos.labels_S.tolist() == sorted(photos.labels_S.tolist())
    assert last_of_each(photos.labels_S.numpy(), 1).sum() == len(CLASSES)
    draw = torch.Generator().manual_seed(0)
    ramp = Pixels(torch.arange(64, dtype=torch.uint8)[None, None, :, None].expand(1, 64, 64, 3), torch.tensor([0]))
    views = torch.cat([ramp.views(torch.tensor([0]), draw) for _ in range(20)])
    assert views.shape == (20, 3, 64, 64)
    assert views.amax() <= ramp.plain(torch.tensor([0])).amax()
    assert len({round(float(view.sum())) for view in views}) > 5
    cells = Cells(torch.arange(8.0).reshape(1, 4, 2).half(), torch.tensor([0]))
    assert cells.plain(torch.tensor([0])).shape == (1, 2, 2, 2)


def test_that_cells_are_computed_once_and_components_say_the_same(data, tmp_path):
    photos = validation_photos(data, 2)
    path = tmp_path / "cells.npy"
    cells = tower_cells(photos, path, lambda _: None)
    assert cells.shape == (2, 49, 1752)
    assert tower_cells(photos.part(np.array([0])), path, lambda _: None).shape == (2, 49, 1752)
    random = np.random.default_rng(0).normal(size=(6, 9, 12)).astype(np.float16)
    found = fit_components(random, 4).of(torch.from_numpy(random))
    assert found.shape == (6, 9, 4)
    assert found.mean(dim=(0, 1)).abs().max() < 0.05
    assert found.var(dim=(0, 1)).mean() == pytest.approx(1.0, abs=0.1)


def test_that_superclasses_of_wordnet_are_joined_and_split_to_their_number(data):
    group_of = hierarchy_groups(data, 3, 5)
    assert len(group_of) == len(CLASSES)
    assert sorted(set(group_of)) == [0, 1, 2]
    assert max(group_of.count(group) for group in range(3)) <= 5


def test_that_groups_have_names_of_words():
    classes = ("tabby", "lion", "tabby", "goose", "pizza")
    names = experts_names.group_names((0, 0, 1, 1, 2), classes)
    assert names == ("cats", "cats, birds", "food")
    assert len(experts_names.WORD_OF) == 200


def test_that_tables_say_what_holds_and_what_is_missing():
    def run(arm, seed, top1):
        return {"table": "main", "arm": arm, "seed": seed, "num_passes": TABLES["main"].num_passes, "top1": top1}

    rest = {"top5": 0.2, "train_top1": 0.1, "macs": 3e6, "params": 1e5, "active_params": 1e5, "ms_1": 1.0, "ms_64": 9.0}
    runs = [
        run(arm, seed, top1) | rest | {"cpu_s": 60.0}
        for arm, top1 in (("dense", 0.1), ("random", 0.12))
        for seed in (0, 1)
    ]
    text = experts_card.claims_table(runs)
    assert (
        "| random expert for each image above dense | **holds**, 2 of 2 seeds | +2.00 (+2.00 / +2.00) | 0.85 |" in text
    )
    assert "inside the noise" not in text.split("##")[2]
    assert "dense (2 of 3 seeds)" in text
    assert "10.00 / 10.00" in experts_card.docstring_table(runs)
