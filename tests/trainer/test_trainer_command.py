"""The real trainer by command line: train, compare, take the result into use, go back."""

import json

import pytest

from locstudio.cli import main
from locstudio.index.region_index import RegionIndex
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.heatmaps import Heatmaps, heatmaps_folder
from locstudio.services.registry import registry
from locstudio.store.dataset import Dataset
from locstudio.store.records import CheckpointRow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_that_a_training_is_compared_and_taken_into_use_and_can_be_gone_back_from(paint, tiny_checkpoint, capsysbinary):
    painted = paint(6, splits=("train", "train", "val"))
    old = checkpoint_info(tiny_checkpoint)
    painted.dataset.record_checkpoint(CheckpointRow(old.id, "cloc", "tiny", str(tiny_checkpoint)))
    painted.dataset.activate_checkpoint(old.id)
    painted.dataset.close()
    path = str(painted.project.path)

    words = ["train", path, "--model", "cloc", "--steps", "4", "--device", "cpu", "--adopt", "force", "--json"]
    assert main(words) == 0
    document = json.loads(capsysbinary.readouterr().out)
    # Four steps prove nothing; that both were measured on what was held out is the point.
    assert {side: values["of"] for side, values in document["metrics"].items()} == {
        "old": "held out",
        "new": "held out",
    }
    assert {check["name"] for check in document["gate"]["checks"]} >= {"loads"}
    assert document["gate"]["old"] == old.id
    assert (document["is_adopted"], document["is_embedded"]) == (True, True)
    with Dataset.open(painted.project) as dataset:
        active = dataset.active_checkpoint()
        assert (active.id, active.parent_id, active.run_id) == (document["checkpoint"], old.id, document["run"])
        assert len(RegionIndex.open(painted.project.index, active.id)) == document["rows"] > 0

    assert main(["activate", path, "tiny", "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["checkpoint"] == old.id
    with Dataset.open(painted.project) as dataset:
        entries = {entry.id: entry for entry in registry(painted.project, dataset)}
    assert entries[old.id].is_active
    assert entries[document["checkpoint"]].is_indexed


def test_that_a_training_of_classes_is_compared_and_taken_into_use_with_its_heatmaps(
    label, tiny_classifier, capsysbinary
):
    labelled = label(9, splits=("train", "train", "val"))
    old = checkpoint_info(tiny_classifier)
    labelled.dataset.record_checkpoint(CheckpointRow(old.id, "consistency", "tiny", str(tiny_classifier)))
    labelled.dataset.activate_checkpoint(old.id)
    labelled.dataset.close()
    path = str(labelled.project.path)

    words = ["train", path, "--model", "consistency", "--epochs", "2", "--device", "cpu", "--adopt", "force", "--json"]
    assert main(words) == 0
    document = json.loads(capsysbinary.readouterr().out)
    assert {side: values["of"] for side, values in document["metrics"].items()} == {
        "old": "held out",
        "new": "held out",
    }
    assert [check["name"] for check in document["gate"]["checks"]][:3] == ["loads", "answers", "metric"]
    with Dataset.open(labelled.project) as dataset:
        active = dataset.active_checkpoint("consistency")
        assert (active.id, active.parent_id, active.run_id) == (document["checkpoint"], old.id, document["run"])
        assert dataset.active_checkpoint() is None
    heat = Heatmaps.open(heatmaps_folder(labelled.project.runs / document["run"] / "results"))
    assert (heat.header.epoch, heat.header.class_names) == (2, ("red", "green", "blue", "yellow"))

    assert main(["activate", path, "tiny", "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out) == {"checkpoint": old.id, "model": "consistency"}
