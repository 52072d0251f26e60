"""train, adopt, activate, compare, diff, checkpoints and runs by command line: results, exit statuses, documents.

A script stands in for the trainer and leaves what a trainer leaves; ``tests/trainer/test_trainer_command.py`` has the
real one.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from locstudio.cli import main
from locstudio.domain.edits import add_regions, change_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.jobs.run_state import claim_run, stop_file
from locstudio.services import runs
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

STAND_IN = """
import json, os, sys
from pathlib import Path
import numpy as np
from locstudio.index.region_index import RegionIndex
from locstudio.index.vocabulary import Vocabulary
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.messages import *
from locstudio.jobs.predictions import Gate, GateCheck, PredictionFolder, Predictions, Summary, write_gate
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import claim_run

folder = RunFolder(Path(sys.argv[1]))
claim_run(folder)
log = EventLog(folder)
config = folder.config()

def say(kind, **fields):
    sys.stdout.buffer.write(log.append(kind(sequence=log.next_sequence, **fields)))
    sys.stdout.buffer.flush()

def checkpoint(folder, name, parent):
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    tower = {"model": "stand-in", "input_px": 32, "num_tokens": 17}
    partial.joinpath("config.json").write_text(json.dumps({"name": name, "dim": 3, "token_width": 4, "tower": tower}))
    partial.joinpath("weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    partial.joinpath("card.md").write_text("# it")
    partial.joinpath("metrics.json").write_text('{"macc": 0.5}')
    return seal_checkpoint(partial, folder, parent=parent)

def trained():
    if config.cloc.is_dry_run:
        say(Estimated, seconds=60.0, seconds_per_step=0.25, num_images_to_encode=2, memory_bytes=1000, disk_bytes=2000)
        return say(Finished)
    say(Started, device="a stand-in", num_images=2, num_regions=3, num_steps=6, num_held_out=1)
    say(Progress, step=3, num_steps=6, images_per_second=1.0, seconds_left=2.0, loss=0.5)
    if os.environ["HOW"] == "dies" and not (folder.results / "died").exists():
        (folder.results / "died").touch()
        os.kill(os.getpid(), 9)
    if os.environ["HOW"] == "stopped":
        return say(Finished, was_stopped=True)
    if os.environ["HOW"] == "fails":
        say(Failed, sentence="The disk is full.", exit_status=5)
        sys.exit(5)
    name = f"{config.title or 'trained'} {config.cloc.num_steps}"
    made = checkpoint(folder.checkpoints / "step_6", name, checkpoint_info(Path(config.checkpoint)).id)
    say(Evaluated, step=6, metrics={"macc": 0.5})
    say(Saved, step=6, path="checkpoints/step_6")
    index = RegionIndex.create(folder.results / "index", made, 3)
    index.put_regions([1, 2], [1, 1], [[0.0, 0.0, 0.5, 0.5]] * 2, np.eye(2, 3))
    index.close()
    Vocabulary.create(folder.results / "index", made, 3).add(["a dog"], np.ones((1, 3)))
    say(Finished)

def compared():
    passed = os.environ["HOW"] != "worse"
    ids = [checkpoint_info(Path(path)).id for path in (config.checkpoint, config.compare.new)]
    for side, identity, value in zip(("old", "new"), ids, (0.5, 0.6 if passed else 0.4)):
        metrics = {"macc": value, "n_regions": 8}
        summary = Summary(checkpoint_id=identity, name=side, metrics=metrics, held_out_metrics=metrics)
        PredictionFolder(folder.results / side).write(Predictions(summary=summary))
    sentence = "It names the held-out boxes " + ("better." if passed else "worse.")
    write_gate(folder.results, Gate(passed=passed, old_id=ids[0], new_id=ids[1], checks=(
        GateCheck(name="regions", passed=passed, sentence=sentence, old=0.5, new=0.6 if passed else 0.4),)))
    say(Finished)

{"cloc": trained, "compare": compared}[config.kind]()
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with three regions, and a trainer that is over in a moment."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(runs, "TRAINER", (str(script),))
    monkeypatch.setenv("HOW", "better")
    made = create_project(tmp_path / "project")
    with Dataset.create(made) as dataset:
        root = dataset.add_root(tmp_path / "images")
        dataset.add_images([Image(0, root.id, f"{number}.jpg", 10, 10) for number in range(3)])
        box = UnitBox(0.1, 0.1, 0.5, 0.5)
        dataset.apply(add_regions([Region(dataset.next_region_id(), key, box, "a dog") for key in (1, 2, 3)]))
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


def words(capsysbinary, *arguments):
    """What a command says to a person."""
    capsysbinary.readouterr()
    assert main([str(argument) for argument in arguments]) == 0
    return capsysbinary.readouterr().out.decode()


def active(project) -> str:
    with Dataset.open(project, read_only=True) as dataset:
        row = dataset.active_checkpoint()
        return row.name if row else "bundled"


def test_that_training_compares_and_takes_a_better_result_into_use(project, locstudio):
    status, document = locstudio("train", "--model", "cloc", "--steps", 6, "--title", "First")
    assert status == 0
    assert (document["is_adopted"], document["is_embedded"], document["rows"], document["state"]) == (
        True,
        True,
        2,
        "done",
    )
    assert document["gate"]["passed"]
    assert document["metrics"]["old"] == {"of": "held out", "values": {"macc": 0.5, "n_regions": 8}}
    assert document["metrics"]["new"]["values"]["macc"] == 0.6
    assert active(project) == "First"
    assert "On a stand-in: 2 images, 3 regions, 1 more held out." in locstudio.stderr
    with Dataset.open(project, read_only=True) as dataset:
        assert dataset.events_of(document["run"])[0].kind == "started"


def test_that_a_worse_result_is_listed_and_not_taken_and_the_reason_said(project, locstudio, monkeypatch, capsysbinary):
    monkeypatch.setenv("HOW", "worse")
    status, document = locstudio("train", "--model", "cloc")
    assert (status, document["is_adopted"], document["gate"]["passed"]) == (0, False, False)
    assert "It names the held-out boxes worse." in document["reason"]
    assert active(project) == "bundled"
    listed = {entry["id"]: entry for entry in locstudio("checkpoints")[1]["checkpoints"]}
    assert listed[document["checkpoint"]]["is_active"] is False
    status, refused = locstudio("adopt", document["run"])
    assert (status, refused) == (4, None)
    assert "the checkpoint in use stays" in locstudio.stderr
    status, forced = locstudio("adopt", document["run"], "--force")
    assert (status, forced["is_adopted"]) == (0, True)
    assert active(project) != "bundled"
    said = words(capsysbinary, "checkpoints", project.path)
    assert "against the gate" in said


def test_that_training_may_leave_the_decision_to_later_or_force_it(project, locstudio, monkeypatch):
    monkeypatch.setenv("HOW", "worse")
    status, document = locstudio("train", "--model", "cloc", "--adopt", "never")
    assert (status, document["is_adopted"]) == (0, False)
    assert "comparison" not in document
    assert active(project) == "bundled"
    status, document = locstudio("train", "--model", "cloc", "--adopt", "force", "--steps", 7)
    assert (status, document["is_adopted"], document["gate"]["passed"]) == (0, True, False)


def test_that_a_stopped_training_is_interrupted_and_a_failed_one_has_its_own_status(project, locstudio, monkeypatch):
    monkeypatch.setenv("HOW", "stopped")
    status, document = locstudio("train", "--model", "cloc")
    assert (status, document["state"]) == (130, "stopped")
    assert f"--resume {document['run']}" in locstudio.stderr
    monkeypatch.setenv("HOW", "fails")
    status, nothing = locstudio("train", "--model", "cloc")
    assert (status, nothing) == (5, None)
    assert "The disk is full." in locstudio.stderr
    monkeypatch.setenv("HOW", "better")
    status, resumed = locstudio("train", "--model", "cloc", "--resume", document["run"])
    assert (status, resumed["run"], resumed["is_adopted"]) == (0, document["run"], True)
    status, _ = locstudio("train", "--model", "cloc", "--resume", document["run"])
    assert status == 2
    assert f"adopt {project.path}" in locstudio.stderr


def test_that_a_killed_training_is_interrupted_and_goes_on_with_resume(project, locstudio, monkeypatch):
    monkeypatch.setenv("HOW", "dies")
    status, nothing = locstudio("train", "--model", "cloc")
    assert (status, nothing) == (70, None)
    assert "it can be resumed" in locstudio.stderr
    (row,) = locstudio("runs")[1]["runs"]
    assert (row["state"], row["step"], row["num_steps"]) == ("interrupted", 3, 6)
    status, document = locstudio("train", "--model", "cloc", "--resume", row["id"])
    assert (status, document["is_adopted"]) == (0, True)


def test_that_going_back_brings_the_bundled_checkpoint_and_forth_the_new_one(project, locstudio, capsysbinary):
    _, trained = locstudio("train", "--model", "cloc", "--title", "First")
    status, document = locstudio("activate", "bundled")
    assert (status, document["is_embedded"]) == (0, False)
    assert "locstudio embed" in words(capsysbinary, "activate", project.path, "bundled")
    assert active(project) == "cloc-lite"
    status, document = locstudio("activate", "First")
    assert (status, document["checkpoint"], document["is_embedded"]) == (0, trained["checkpoint"], True)
    assert locstudio("activate", "nobody")[0] == 4


def test_that_two_checkpoints_are_compared_by_name_or_by_folder(project, locstudio, capsysbinary):
    _, trained = locstudio("train", "--model", "cloc", "--title", "First")
    status, document = locstudio("compare", "bundled", "First")
    assert (status, document["gate"]["passed"], document["changes"]) == (0, True, {})
    assert document["gate"]["new"] == trained["checkpoint"]
    folder = project.path / "checkpoints" / trained["checkpoint"]
    said = words(capsysbinary, "compare", project.path, "bundled", folder)
    assert "macc" in said
    assert "+0.100" in said
    assert "passed   It names the held-out boxes better." in said
    assert locstudio("compare", "bundled", "nobody")[0] == 2


def test_that_what_was_edited_between_two_trainings_or_since_one_is_said(project, locstudio, capsysbinary):
    locstudio("train", "--model", "cloc", "--title", "First")
    with Dataset.open(project) as dataset:
        region = dataset.region_page()[0]
        dataset.apply(change_regions([(region, replace(region, phrase="a cat"))], "Change phrase"))
    status, document = locstudio("diff", "First", "--show", "renamed")
    assert (status, document["regions"]["renamed"], document["regions"]["edited"]) == (0, 1, 1)
    assert [row["after"]["phrase"] for row in document["shown"]] == ["a cat"]
    locstudio("train", "--model", "cloc", "--title", "Second", "--steps", 9)
    _, document = locstudio("diff", "First", "Second")
    assert document["regions"]["renamed"] == 1
    assert {"name": "cloc.num_steps", "old": str(runs.PRESETS["quick"].num_steps), "new": "9"} in document["settings"]
    assert "a dog -> a cat" in words(capsysbinary, "diff", project.path, "First", "--show", "renamed")
    assert locstudio("diff", "bundled")[0] == 4
    _, document = locstudio("checkpoints", "Second")
    names = [ancestor["checkpoint"]["name"] for ancestor in document["lineage"]]
    assert names == ["Second", "First", "cloc-lite"]
    assert [ancestor["corrections_after"] for ancestor in document["lineage"]] == [0, 1, None]


def test_that_a_run_is_told_whole_also_while_a_window_has_the_project(project, locstudio, capsysbinary):
    _, trained = locstudio("train", "--model", "cloc", "--adopt", "never")
    with Dataset.open(project):
        status, document = locstudio("runs", trained["run"], "--events", 2)
    assert status == 0
    assert [event["kind"] for event in document["events"]] == ["saved", "finished"]
    assert (document["state"], document["num_events"], document["config"]["kind"]) == ("done", 5, "cloc")
    for num_wanted in (0, 7):
        _, document = locstudio("runs", trained["run"], "--events", num_wanted)
        assert len(document["events"]) == min(num_wanted, 5)
    assert "macc 0.500" in words(capsysbinary, "runs", project.path, trained["run"])
    assert locstudio("runs", "nobody")[0] == 2
    with Dataset.open(project):
        assert locstudio("train", "--model", "cloc")[0] == 3


def test_that_only_a_training_is_gone_on_with_or_adopted(project, locstudio):
    _, document = locstudio("train", "--model", "cloc")
    assert locstudio("train", "--model", "cloc", "--resume", document["comparison"])[0] == 2
    assert "is no training" in locstudio.stderr
    assert locstudio("adopt", document["comparison"])[0] == 2
    assert "nothing that could be taken into use" in locstudio.stderr
    assert Path(project.path / "runs" / document["comparison"] / "results" / "gate.json").is_file()


def test_that_an_estimate_leaves_nothing_behind(project, locstudio):
    status, document = locstudio("train", "--model", "cloc", "--estimate")
    assert (status, document["seconds"], document["memory_bytes"]) == (0, 60.0, 1000)
    assert list(project.runs.iterdir()) == []


def test_that_a_checkpoint_is_named_noted_and_its_files_removed(project, locstudio):
    locstudio("train", "--model", "cloc", "--title", "First")
    status, document = locstudio("checkpoints", "First", "--name", "Monday", "--note", "before the move")
    assert (status, document["name"], document["note"]) == (0, "Monday", "before the move")
    assert locstudio("checkpoints", "Monday", "--delete")[0] == 2
    assert "is in use" in locstudio.stderr
    locstudio("activate", "bundled")
    status, document = locstudio("checkpoints", "Monday", "--delete")
    assert (status, document["is_present"], document["metrics"]) == (0, False, {"macc": 0.5})
    assert locstudio("checkpoints", "--name", "x")[0] == 2


def test_that_a_run_which_goes_on_is_stopped_from_elsewhere(project, locstudio):
    _, trained = locstudio("train", "--model", "cloc", "--adopt", "never")
    assert locstudio("stop", trained["run"])[0] == 2
    assert "does not go on" in locstudio.stderr
    folder = runs.find_run(project, trained["run"])
    claim_run(folder)  # this process stands for the trainer
    status, document = locstudio("stop", trained["run"], "--after", "epoch")
    assert (status, document["state"]) == (0, "stopping")
    assert stop_file(folder).read_text().strip() == "epoch"
    assert locstudio("stop", trained["run"])[0] == 0
    assert stop_file(folder).read_text().strip() in ("", "step")


def test_that_a_window_may_have_the_project_while_a_training_goes_on_and_the_result_is_not_lost(
    project, locstudio, monkeypatch
):
    opened = []

    def open_meanwhile(*arguments, **named):
        process = launch(*arguments, **named)
        opened.append(Dataset.open(project))
        return process

    launch = runs.launch
    monkeypatch.setattr(runs, "launch", open_meanwhile)
    status, nothing = locstudio("train", "--model", "cloc")
    assert (status, nothing) == (3, None)
    opened.pop().close()
    monkeypatch.undo()
    (row,) = runs.list_runs(project)
    assert row.state == "done"
    assert f"Later: locstudio adopt {project.path} {row.id}" in locstudio.stderr


def test_that_a_run_can_be_prepared_for_others_to_start(project, locstudio):
    status, prepared = locstudio("train", "--model", "cloc", "--prepare", "--processes", 2)
    assert status == 0
    folder = runs.find_run(project, prepared["run"])
    assert (str(folder.path), folder.config().num_processes) == (prepared["folder"], 2)
    assert runs.describe_run(folder).state == "queued"
    status, document = locstudio("train", "--model", "cloc", "--resume", prepared["run"])
    assert (status, document["is_adopted"]) == (0, True)
