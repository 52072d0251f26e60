"""`locstudio superclasses`: which classes one expert looks at, without a window."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from locstudio.cli import main
from locstudio.commands import superclasses as commands
from locstudio.domain.edits import ClassChange, Edit
from locstudio.domain.regions import LabelClass
from locstudio.jobs.confusions import read_confusion, write_confusion
from locstudio.jobs.routing import routing_folder
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.run_summary import describe_run
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

FIRST_RUN = "20260801T100000Z-vmoe-aaaaaa"
CAT, RETRIEVER, COLLIE, CAR, BUS, TRACTOR = (
    "tabby cat",
    "golden retriever",
    "collie",
    "sports car",
    "school bus",
    "tractor",
)


@pytest.fixture(scope="module")
def routed(tmp_path_factory, routing):
    """A project with six classes in three superclasses: animals, vehicles, food, as a run has them too."""
    return routing.make_routed_project(tmp_path_factory.mktemp("routed"), num_images=6, has_second=False, num_epochs=1)


@pytest.fixture
def superclasses(routed, capsysbinary):
    """Runs the command with ``--json``; gives its document, and undoes afterwards what it has edited."""

    def run(*words, status=0):
        capsysbinary.readouterr()
        assert main(["superclasses", str(routed.path), *map(str, words), "--json"]) == status
        said = capsysbinary.readouterr()
        run.stderr = said.err.decode()
        return json.loads(said.out) if said.out else None

    with Dataset.open(routed, read_only=True) as dataset:
        step = next(entry.id for entry in dataset.history() if not entry.is_undone)
    yield run
    with Dataset.open(routed) as dataset:
        dataset.go_to(step)
        assert dataset.integrity() == []


def groups(document) -> dict[str, list[str]]:
    return {group["name"]: group["classes"] for group in document["superclasses"]} | {"": document["without"]}


BEFORE = {"animals": [CAT, RETRIEVER], "vehicles": [COLLIE, CAR], "food": [BUS, TRACTOR], "": []}


def test_that_superclasses_are_listed_with_their_classes_and_so_are_a_run_s(routed, superclasses, capsysbinary):
    document = superclasses("list")
    assert groups(document) == BEFORE
    assert [sorted(group) for group in document["superclasses"]] == [["classes", "color", "id", "name"]] * 3
    document = superclasses("list", "--run", "aaaaaa")
    assert groups(document) == BEFORE
    assert (document["run"], document["origin"], document["num_images"]) == (FIRST_RUN, "clusters", 6)
    assert 0 < document["dense_top1"] < document["moe_top1"] <= 1
    assert main(["superclasses", str(routed.path), "list", "--run", "aaaaaa"]) == 0
    assert b"animals: tabby cat, golden retriever" in capsysbinary.readouterr().out


@pytest.mark.parametrize(
    ("words", "title", "changes", "after"),
    [
        (
            ("--move", COLLIE, "--to", "Animals"),
            "Move collie to “animals”",
            1,
            {"animals": [CAT, RETRIEVER, COLLIE], "vehicles": [CAR]},
        ),
        (
            ("--new", "dogs", "--move", RETRIEVER, "3"),
            "New superclass “dogs”",
            3,
            {"animals": [CAT], "vehicles": [CAR], "dogs": [RETRIEVER, COLLIE]},
        ),
        (("--new", "none yet"), "New superclass “none yet”", 1, {"none yet": []}),
        (
            ("--take-out", CAT, RETRIEVER),
            "Take 2 classes out of their superclasses",
            2,
            {"animals": [], "": [CAT, RETRIEVER]},
        ),
        (("--name", "animals", "pets"), "Name superclass “pets”", 1, {"pets": [CAT, RETRIEVER]}),
        (
            ("--merge", "food", "1"),
            "Merge “food” into “animals”",
            3,
            {"animals": [CAT, RETRIEVER, BUS, TRACTOR]},
        ),
        (("--take", "aaaaaa"), "Take over 3 superclasses", 0, {}),
    ],
)
def test_that_every_edit_is_one_undo_step_and_says_what_it_did(routed, superclasses, words, title, changes, after):
    document = superclasses("edit", *words)
    assert (document["title"], document["changes"]) == (title, changes)
    changed = {name: classes for name, classes in groups(document).items() if BEFORE.get(name) != classes}
    assert changed == {**{name: classes for name, classes in after.items() if BEFORE.get(name) != classes}}
    if changes:
        with Dataset.open(routed, read_only=True) as dataset:
            assert dataset.history()[0].title == title
    assert groups(superclasses("list")) == groups(document)


def test_that_empty_superclasses_are_retired_together(superclasses):
    superclasses("edit", "--take-out", CAT, RETRIEVER)
    superclasses("edit", "--take-out", COLLIE, CAR)
    document = superclasses("edit", "--retire", "animals", "vehicles")
    assert (document["title"], groups(document)) == (
        "Retire 2 superclasses",
        {"food": [BUS, TRACTOR], "": [CAT, RETRIEVER, COLLIE, CAR]},
    )
    assert superclasses("edit", "--take", "aaaaaa")["changes"] == 6
    assert groups(superclasses("list")) == BEFORE


def test_that_a_file_carries_superclasses_to_a_project_and_says_what_it_left_out(superclasses, tmp_path):
    out = tmp_path / "out.json"
    assert superclasses("export", out) == {"out": str(out), "superclasses": 3, "classes": 6}
    assert superclasses("export") == json.loads(out.read_text())
    superclasses("edit", "--merge", "food", "animals")
    document = superclasses("import", out)
    assert (document["title"], document["changes"], groups(document)) == ("Import superclasses", 3, BEFORE)
    assert document["left_out"] == []
    out.write_text(out.read_text().replace(CAT, "unicorn"))
    document = superclasses("import", out, status=4)
    assert document["left_out"] == ["The class “unicorn”: the project has none of this name in use."]
    assert (document["num_left_out"], document["changes"]) == (1, 0)
    superclasses("export", out, status=4)
    assert "is there already" in superclasses.stderr


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("edit",), 2, "Say one edit: --move"),
        (("edit", "--take", "aaaaaa", "--new", "x"), 2, "Say one edit"),
        (("edit", "--move", CAT), 2, "Say where the classes go"),
        (("edit", "--to", "animals"), 2, "Say one edit"),
        (("edit", "--new", "x", "--to", "animals"), 2, "--to says where the classes of --move go"),
        (("edit", "--move", "zebra", "--to", "animals"), 4, "no class 'zebra'"),
        (("edit", "--move", CAT, "--to", "zebras"), 4, "no superclass 'zebras'. Its superclasses: animals, vehicles"),
        (("edit", "--name", "animals", "FOOD"), 4, "There is a superclass “food” already"),
        (("edit", "--new", " "), 4, "The name of a superclass is empty"),
        (("edit", "--retire", "animals"), 4, "still has 2 classes in it"),
        (("edit", "--merge", "animals", "1"), 4, "cannot be merged into itself"),
        (("edit", "--take", "nobody"), 2, "nobody"),
        (("list", "--new", "x"), 2, "--new is about superclasses PROJECT edit"),
        (("edit", "--run", "aaaaaa", "--new", "x"), 2, "--take RUN"),
        (("list", "x.json"), 2, "has no use for the file"),
        (("import",), 2, "Say which file"),
        (("import", "nowhere.json"), 4, "nowhere.json"),
        (("export", "nowhere/x.json"), 5, "could not be written"),
    ],
)
def test_that_what_cannot_be_is_refused_in_words(superclasses, words, status, sentence):
    assert superclasses(*words, status=status) is None
    assert sentence in superclasses.stderr
    assert superclasses.stderr.startswith("locstudio: ")


def test_that_a_run_without_superclasses_says_so(routed, superclasses):
    folder = RunFolder(routed.runs / FIRST_RUN)
    confusion = read_confusion(folder.results)
    file = next((folder.results / "confusion").iterdir())
    content = file.read_bytes()
    try:
        file.write_bytes(content[:100])
        superclasses("edit", "--take", "aaaaaa", status=4)
        assert "cannot be read" in superclasses.stderr
        file.unlink()
        superclasses("list", "--run", "aaaaaa", status=4)
        assert "has made no superclasses" in superclasses.stderr
    finally:
        write_confusion(folder.results, confusion)
    assert routing_folder(folder.results).is_dir()


def test_that_who_edits_while_a_run_uses_the_old_ones_is_told(superclasses, monkeypatch):
    def alive(project):
        return [replace(describe_run(RunFolder(project.runs / FIRST_RUN)), has_process=True)]

    monkeypatch.setattr(commands, "list_runs", alive)
    superclasses("edit", "--merge", "food", "animals")
    assert f"The run {FIRST_RUN} goes on with the superclasses that it began with" in superclasses.stderr
    superclasses("edit", "--move", CAT, "--to", "animals")
    assert superclasses.stderr == ""


def test_that_a_project_without_classes_or_superclasses_says_what_to_do(tmp_path: Path, capsys):
    made = create_project(tmp_path / "bare")
    with Dataset.create(made) as dataset:
        assert main(["superclasses", str(made.path), "list"]) == 0
        assert "no classes yet" in capsys.readouterr().out
        dataset.apply(Edit("Class", (ClassChange(None, LabelClass(1, "cat", "#000000")),)))
    assert main(["superclasses", str(made.path), "list"]) == 0
    assert "There are no superclasses yet" in capsys.readouterr().out
