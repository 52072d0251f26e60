"""train --model consistency, adopt, activate, checkpoints, runs and evaluate --task multilabel by command line.

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
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.class_results import ClassPrecision, ClassResults, write_class_results
from locstudio.jobs.messages import *
from locstudio.jobs.predictions import Gate, GateCheck, write_gate
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import claim_run

folder = RunFolder(Path(sys.argv[1]))
claim_run(folder)
log = EventLog(folder)
config = folder.config()

def say(kind, **fields):
    sys.stdout.buffer.write(log.append(kind(sequence=log.next_sequence, **fields)))
    sys.stdout.buffer.flush()

def checkpoint(folder, name):
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    document = {"model": "consistency", "name": name, "classes": ["dog"], "backbone": "x", "input_px": 32}
    partial.joinpath("config.json").write_text(json.dumps({**document, "width": 4, "cell_grid": 4}))
    partial.joinpath("weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    partial.joinpath("card.md").write_text("# it")
    partial.joinpath("metrics.json").write_text('{"map": 0.5}')
    seal_checkpoint(partial, folder)

def results(identity, value):
    each = ClassPrecision(class_id=1, name="dog", num_positives=2, num_negatives=1, average_precision=value)
    return ClassResults(checkpoint_id=identity, name="it", num_images=3, num_held_out=3, metrics={"map": value, "n": 3},
        classes=(each,))

def consistency():
    if config.consistency.is_dry_run:
        say(Estimated, seconds=60.0, seconds_per_step=0.25, num_images_to_encode=2, memory_bytes=1000, disk_bytes=2000)
        return say(Finished)
    say(Started, device="a stand-in", num_images=2, num_regions=5, num_steps=6, num_held_out=1)
    if os.environ["HOW"] == "stopped":
        return say(Finished, was_stopped=True)
    checkpoint(folder.checkpoints / "step_6", f"{config.title} {config.consistency.num_epochs}")
    say(Evaluated, step=6, metrics={"map": 0.5})
    say(Saved, step=6, path="checkpoints/step_6")
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
    """A project with a class and a label, an installation without a model of classes, and a trainer of a moment."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(runs, "TRAINER", (str(script),))
    monkeypatch.setenv("HOW", "well")
    monkeypatch.setattr("locstudio.services.checkpoints.bundled_checkpoint", lambda _="cloc": tmp_path / "none")
    monkeypatch.setattr("locstudio.services.promotion.bundled_checkpoint", lambda _="cloc": tmp_path / "none")
    monkeypatch.setattr("locstudio.services.registry.bundled_checkpoint", lambda _="cloc": tmp_path / "none")
    made = create_project(tmp_path / "project")
    with Dataset.create(made) as dataset:
        root = dataset.add_root(tmp_path / "images")
        dataset.add_images([Image(0, root.id, f"{number}.jpg", 10, 10) for number in range(3)])
        dog = LabelClass(dataset.next_class_id(), "dog", "#336699")
        dataset.apply(Edit("Class", (ClassChange(None, dog),)))
        dataset.apply(Edit("Label", (LabelChange(None, ImageLabel(1, dog.id)),)))
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


def test_that_a_first_training_of_classes_is_in_use_and_a_second_is_compared_with_it(project, locstudio):
    status, document = locstudio("train", "--model", "consistency", "--epochs", 4, "--title", "First")
    assert (status, document["is_adopted"], document["gate"], document["model"]) == (0, True, None, "consistency")
    assert "On a stand-in: 2 images, 5 labels, 1 more held out." in locstudio.stderr
    status, document = locstudio("train", "--model", "consistency", "--title", "Second")
    assert document["gate"]["passed"]
    assert document["metrics"]["old"] == {"of": "held out", "values": {"map": 0.5, "n": 3}}
    listed = {entry["name"]: entry for entry in locstudio("checkpoints")[1]["checkpoints"]}
    assert {name: entry["model"] for name, entry in listed.items()} == {"First": "consistency", "Second": "consistency"}
    assert [listed[name]["is_active"] for name in ("First", "Second")] == [False, True]
    assert locstudio("activate", "First")[1]["model"] == "consistency"
    assert locstudio("checkpoints", "active-consistency", "--name", "Best")[1]["name"] == "Best"
    assert locstudio("checkpoints", "Second", "--delete")[1]["is_present"] is False


def test_that_a_run_of_classes_is_adopted_and_listed_by_what_it_trains(project, locstudio, capsysbinary):
    _, document = locstudio("train", "--model", "consistency", "--adopt", "never")
    assert document["metrics"] == {"map": 0.5}
    assert locstudio("adopt", document["run"])[1]["checkpoint"] == document["checkpoint"]
    capsysbinary.readouterr()
    assert main(["runs", str(project.path)]) == 0
    assert " consistency done" in capsysbinary.readouterr().out.decode()
    assert main(["checkpoints", str(project.path)]) == 0
    assert "the classes of images in use" in " ".join(capsysbinary.readouterr().out.decode().split())


def test_that_words_about_the_other_model_are_refused(locstudio):
    assert locstudio("train", "--model", "cloc", "--epochs", 3, "--one-label")[0] == 2
    assert "--model cloc has no --epochs, --one-label. It counts --steps." in locstudio.stderr
    assert locstudio("train", "--model", "consistency", "--steps", 3)[0] == 2
    assert "--model consistency has no --steps. It counts --epochs." in locstudio.stderr


def test_that_a_stopped_run_is_gone_on_with_by_its_own_model_only(locstudio, monkeypatch):
    monkeypatch.setenv("HOW", "stopped")
    status, document = locstudio("train", "--model", "consistency")
    assert status == 130
    assert f"--model consistency --resume {document['run']}" in locstudio.stderr
    assert locstudio("train", "--model", "cloc", "--resume", document["run"])[0] == 2
    assert "trains another model" in locstudio.stderr
    monkeypatch.setenv("HOW", "well")
    assert locstudio("train", "--model", "consistency", "--resume", document["run"])[1]["state"] == "done"


def test_that_classes_are_measured_by_a_model_of_classes_and_regions_by_none(project, locstudio):
    _, trained = locstudio("train", "--model", "consistency")
    assert locstudio("evaluate", "--task", "multilabel")[1] == {"task": "multilabel", "map": 0.5, "n": 3}
    folder = project.path / "checkpoints" / trained["checkpoint"]
    for words in (("evaluate", "--task", "regions"), ("embed",), ("propose",), ("train", "--model", "cloc")):
        assert locstudio(*words, "--checkpoint", folder)[0] != 0
        assert "names the classes of images; here one is needed that names regions" in locstudio.stderr


def test_that_an_estimate_of_classes_leaves_nothing_behind(project, locstudio):
    assert locstudio("train", "--model", "consistency", "--estimate")[1]["seconds"] == 60.0
    assert list(project.runs.glob("*-consistency-*")) == []
