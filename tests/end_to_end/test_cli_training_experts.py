"""train --model vmoe, adopt, compare, runs, checkpoints, route and evaluate --task classes by command line.

A script stands in for the trainer and leaves what a trainer leaves.
"""

import json

import pytest

from locstudio.cli import main
from locstudio.domain.edits import ClassChange, Edit, LabelChange
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Image, LabelClass
from locstudio.services import runs
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

STAND_IN = """
import json, os, sys
from pathlib import Path
import msgspec, numpy as np
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.class_results import ClassPrecision, ClassResults, write_class_results
from locstudio.jobs.confusions import Confusion, ConfusionHeader, write_confusion
from locstudio.jobs.messages import *
from locstudio.jobs.predictions import Gate, GateCheck, write_gate
from locstudio.jobs.routing import RoutingHeader, RoutingTable, write_routing
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import claim_run
from locstudio.jobs.vmoe_config import VmoeConfig

folder = RunFolder(Path(sys.argv[1]))
claim_run(folder)
log = EventLog(folder)
config = folder.config()
NAMES, GROUPS = ("cat", "dog", "bus"), ("pets", "cars")

def say(kind, **fields):
    sys.stdout.buffer.write(log.append(kind(sequence=log.next_sequence, **fields)))
    sys.stdout.buffer.flush()

def checkpoint(folder, name):
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    model = VmoeConfig(name=name, classes=NAMES, superclasses=GROUPS, superclass_of=(0, 0, 1), num_experts=2)
    partial.joinpath("config.json").write_bytes(msgspec.json.encode(model))
    partial.joinpath("weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    partial.joinpath("card.md").write_text("# it")
    partial.joinpath("metrics.json").write_text('{"top1": 0.5, "router_accuracy": 0.75}')
    seal_checkpoint(partial, folder)

def results(identity, value):
    each = ClassPrecision(class_id=1, name="cat", num_positives=2, num_negatives=1, average_precision=value, top1=value)
    return ClassResults(checkpoint_id=identity, name="it", num_images=3, num_held_out=3,
        metrics={"top1": value, "n": 3}, classes=(each,))

def table(identity):
    header = RoutingHeader(run_id=folder.id, checkpoint_id=identity, name="it", routing="superclass",
        class_ids=(1, 2, 3), class_names=NAMES, superclass_names=GROUPS, superclass_of=(0, 0, 1), num_experts=2,
        layers=(3, 4), depth=4)
    write_routing(folder.results, RoutingTable(header, np.arange(1, 4), np.zeros((3, 32), np.uint8),
        np.array([[[0.75, 0.25]], [[0.5, 0.5]], [[0.25, 0.75]]], np.float16), np.array([[[0]], [[0]], [[1]]], np.int16),
        np.array([0, 1, 2], np.int32), np.ones(3, np.float16), np.array([0, -1, 0], np.int32),
        np.array([0, -1, 0], np.int16), np.ones(3, np.uint8)))

def vmoe():
    say(Started, device="a stand-in", num_images=2, num_regions=5, num_steps=6, num_held_out=1)
    if os.environ["HOW"] == "stopped":
        return say(Finished, was_stopped=True)
    if os.environ["HOW"] == "failed":
        return say(Failed, sentence="Only 1 class is shown by the images.", exit_status=4)
    how = msgspec.to_builtins(config.vmoe)
    checkpoint(folder.checkpoints / "step_6", " ".join(str(how[name]) for name in os.environ["SAYS"].split()) or "it")
    write_confusion(folder.results, Confusion(ConfusionHeader(run_id=folder.id, class_ids=(1, 2, 3), class_names=NAMES,
        num_images=3, group_names=GROUPS, group_of=(0, 0, 1)), np.eye(3, dtype=np.float32)))
    table(checkpoint_info(folder.checkpoints / "step_6").id)
    say(Evaluated, step=6, metrics={"top1": 0.5})
    say(Saved, step=6, path="checkpoints/step_6")
    say(Finished)

def route():
    say(Started, device="a stand-in", num_images=3, num_regions=0, num_steps=3)
    table(checkpoint_info(Path(config.checkpoint)).id)
    say(Finished)

def compare():
    ids = [checkpoint_info(Path(path)).id for path in (config.checkpoint, config.compare.new)]
    for side, identity, value in zip(("old", "new"), ids, (0.5, 0.6)):
        write_class_results(folder.results / side, results(identity, value))
    write_gate(folder.results, Gate(passed=True, old_id=ids[0], new_id=ids[1], checks=(
        GateCheck(name="metric", passed=True, sentence="It finds the classes better.", old=0.5, new=0.6),)))
    say(Finished)

def evaluate():
    found = results(checkpoint_info(Path(config.checkpoint)).id, 0.5)
    write_class_results(folder.results / "predictions", found)
    folder.results.joinpath("metrics.json").write_text(json.dumps({"task": config.evaluate.task, **found.metrics}))
    say(Finished)

globals()[config.kind]()
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with three classes, an installation without a model with experts, and a trainer of a moment."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(runs, "TRAINER", (str(script),))
    monkeypatch.setenv("HOW", "well")
    monkeypatch.setenv("SAYS", "")
    for place in ("checkpoints", "promotion", "registry"):
        monkeypatch.setattr(f"locstudio.services.{place}.bundled_checkpoint", lambda _="cloc": tmp_path / "none")
    made = create_project(tmp_path / "project")
    with Dataset.create(made) as dataset:
        root = dataset.add_root(tmp_path / "images")
        dataset.add_images([Image(0, root.id, f"{number}.jpg", 10, 10) for number in range(3)])
        classes = [LabelClass(dataset.next_class_id(), name, "#336699") for name in ("cat", "dog", "bus")]
        dataset.apply(Edit("Classes", tuple(ClassChange(None, entry) for entry in classes)))
        dataset.apply(Edit("Label", (LabelChange(None, ImageLabel(1, 1)), LabelChange(None, ImageLabel(3, 1)))))
    return made


@pytest.fixture
def locstudio(project, capsysbinary):
    """Runs a command on the project with ``--json``; gives its status and document, or None without one."""

    def run(command, *words):
        capsysbinary.readouterr()
        status = main([command, str(project.path), *map(str, words), "--json"])
        said = capsysbinary.readouterr()
        run.stderr = said.err.decode()
        return status, json.loads(said.out) if said.out else None

    return run


def test_that_experts_are_trained_compared_routed_and_their_superclasses_taken_over(project, locstudio, monkeypatch):
    monkeypatch.setenv("SAYS", "routing num_experts num_moe_layers num_active is_upcycled has_shared_expert num_epochs")
    told = ("--experts", 7, "--layers", 3, "--active", 2, "--shared-expert", "--no-upcycling", "--epochs", 4)
    status, document = locstudio("train", "--model", "vmoe", "--routing", "image", *told)
    assert (status, document["is_adopted"], document["gate"], document["model"]) == (0, True, None, "vmoe")
    assert "On a stand-in: 2 images, 5 labels, 1 more held out." in locstudio.stderr
    assert [entry["name"] for entry in locstudio("checkpoints")[1]["checkpoints"]] == ["image 7 3 2 False True 4"]
    monkeypatch.setenv("SAYS", "preset routing num_experts")
    status, again = locstudio("train", "--model", "vmoe", "--preset", "standard", "--adopt", "never")
    assert (status, again["is_adopted"], again["metrics"]) == (0, False, {"top1": 0.5, "router_accuracy": 0.75})
    compared = locstudio("compare", document["checkpoint"], again["run"])[1]
    assert compared["metrics"]["new"] == {"of": "held out", "values": {"top1": 0.6, "n": 3}}
    assert compared["gate"]["passed"]
    assert locstudio("adopt", again["run"])[1]["is_adopted"]
    kinds = [row["kind"] for row in locstudio("runs")[1]["runs"]]  # those of one second stand in any order
    assert sorted(kinds) == ["compare", "vmoe", "vmoe"]
    assert locstudio("superclasses", "edit", "--take", again["run"])[1]["changes"] == 5
    info = locstudio("info")[1]
    assert (info["superclasses"], info["experts"]) == (2, again["checkpoint"])
    routed = locstudio("route")[1]
    assert ([each["name"] for each in routed["experts"]], routed["num_mismatched"]) == (["1 · pets", "2 · cars"], 1)
    assert [row["image_id"] for row in locstudio("route", "--mismatch")[1]["rows"]] == [3]
    assert locstudio("evaluate", "--task", "classes")[1] == {"task": "classes", "top1": 0.5, "n": 3}


def test_that_words_about_another_model_are_refused(locstudio):
    assert locstudio("train", "--model", "consistency", "--experts", 3, "--shared-expert")[0] == 2
    assert "--model consistency has no --experts, --shared-expert. It counts --epochs." in locstudio.stderr
    assert locstudio("train", "--model", "vmoe", "--steps", 3, "--loss", "en")[0] == 2
    assert "--model vmoe has no --steps, --loss. It counts --epochs." in locstudio.stderr
    for command in (("route",), ("route", "--image", 1), ("evaluate", "--task", "classes")):
        assert locstudio(*command)[0] == 4
        assert locstudio.stderr.startswith("locstudio: ")


def test_that_what_the_trainer_refuses_is_said_and_what_was_stopped_is_gone_on_with(locstudio, monkeypatch):
    monkeypatch.setenv("HOW", "failed")
    assert locstudio("train", "--model", "vmoe") == (4, None)
    assert "locstudio: Only 1 class is shown by the images." in locstudio.stderr
    monkeypatch.setenv("HOW", "stopped")
    status, document = locstudio("train", "--model", "vmoe")
    assert status == 130
    assert f"--model vmoe --resume {document['run']}" in locstudio.stderr
    assert locstudio("train", "--model", "consistency", "--resume", document["run"])[0] == 2
    assert "trains another model: locstudio train" in locstudio.stderr
