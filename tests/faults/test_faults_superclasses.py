"""Superclasses under kills (row 1), from strangers' files, and changed while a run uses the old ones."""

import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, Edit
from locstudio.domain.errors import EditConflict, StorageFailed
from locstudio.domain.regions import LabelClass
from locstudio.jobs.confusions import Confusion, ConfusionHeader, read_confusion, write_confusion
from locstudio.services.starting import start_vmoe
from locstudio.services.superclass_files import FORMAT, imported, read_superclasses
from locstudio.services.superclasses import Grouping, made, merged, moved, read_grouping, regrouped, renamed, taken_over
from locstudio.store.dataset import Dataset, open_snapshot
from locstudio.store.project import Project, create_project

NUM_KILLS = 5
NAMES = ("cat", "dog", "cow", "bus", "car", "ship", "tree", "fern")

Outline = list[tuple[str, list[str]]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with eight classes in two superclasses of four."""
    made_project = create_project(tmp_path / "project")
    with Dataset.create(made_project) as dataset:
        classes = [LabelClass(dataset.next_class_id(), name, "#123456") for name in NAMES]
        dataset.apply(Edit("Classes", tuple(ClassChange(None, entry) for entry in classes)))
        for number, ids in enumerate((range(1, 5), range(5, 9)), 1):
            dataset.apply(made(read_grouping(dataset), dataset.next_superclass_id(), f"group {number}", ids))
    return made_project


def outline(grouping: Grouping) -> Outline:
    """Names alone: each superclass with its classes, then those without one."""
    groups = [(each.name, [entry.name for entry in grouping.members_of(each.id)]) for each in grouping.superclasses]
    return [*groups, ("", [entry.name for entry in grouping.members_of(None)])]


def any_edit(rng: random.Random, grouping: Grouping, new_id: int, name: str) -> Edit:
    ids = rng.sample([entry.id for entry in grouping.classes], rng.randint(1, 4))
    homes = [each.id for each in grouping.superclasses]
    kind = rng.choice(("make", "move", "name", "merge"))
    if kind == "make" or len(homes) < 2:
        return made(grouping, new_id, name, ids)
    if kind == "move":
        return moved(grouping, ids, rng.choice([None, *homes]))
    if kind == "name":
        return renamed(grouping, rng.choice(homes), name)
    return merged(grouping, *rng.sample(homes, 2))


def edit_for_ever(path: Path, told: Connection, seed: int) -> None:
    """Make, fill, name and merge superclasses until killed; what will be is told before, what is after."""
    rng = random.Random(seed)
    with Dataset.open(Project(path)) as dataset:
        told.send(("is", outline(read_grouping(dataset))))
        number = 0
        while True:
            number += 1
            grouping = read_grouping(dataset)
            edit = any_edit(rng, grouping, dataset.next_superclass_id(), f"group {seed}.{number}")
            told.send(("shall be", outline(regrouped(grouping, edit))))
            dataset.apply(edit)
            told.send(("is", outline(regrouped(grouping, edit))))


def killed(context, project: Project, seed: int) -> tuple[Outline, Outline, int]:
    """What a child had acknowledged when it was killed, what was on its way, and how many edits it had made."""
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=edit_for_ever, args=(project.path, sender, seed))
    child.start()
    sender.close()
    rng = random.Random(seed)
    heard = [receiver.recv() for _ in range(rng.randint(2, 12))]
    time.sleep(rng.uniform(0, 0.01))
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    try:
        while receiver.poll():
            heard.append(receiver.recv())
    except (EOFError, OSError):
        pass
    receiver.close()
    is_now = next(what for kind, what in reversed(heard) if kind == "is")
    shall_be = next((what for kind, what in reversed(heard) if kind == "shall be"), is_now)
    return is_now, shall_be, sum(kind == "is" for kind, _ in heard) - 1


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_that_kills_lose_no_acknowledged_superclass_and_leave_none_by_halves(project: Project):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["locstudio.services.superclasses", "locstudio.store.dataset"])
    num_edits = 0
    try:
        for seed in range(NUM_KILLS):
            is_now, shall_be, num = killed(context, project, seed)
            with Dataset.open(project) as dataset:
                assert outline(read_grouping(dataset)) in (is_now, shall_be)
            num_edits += num
    finally:
        _stop_forkserver()
    with Dataset.open(project) as dataset:
        assert dataset.integrity() == []
        first = dataset.history()[-1].id
        dataset.go_to(first + 2)
        assert outline(read_grouping(dataset)) == [("group 1", [*NAMES[:4]]), ("group 2", [*NAMES[4:]]), ("", [])]
        assert dataset.integrity() == []
    assert num_edits >= NUM_KILLS


def test_that_a_run_keeps_the_superclasses_that_it_began_with(project: Project):
    with Dataset.open(project) as dataset:
        begun_with = read_grouping(dataset)
        folder = start_vmoe(project, dataset)
        dataset.apply(merged(begun_with, 1, 2))
        now = read_grouping(dataset)
        ship = next(entry for entry in now.classes if entry.name == "ship")
        fern = next(entry for entry in now.classes if entry.name == "fern")
        gone = Edit("Retire", (ClassChange(fern, replace(fern, is_retired=True)),))
        dataset.apply(gone)
        dataset.apply(Edit("Rename", (ClassChange(ship, replace(ship, name="boat")),)))
        with open_snapshot(folder.snapshot) as frozen:
            assert read_grouping(frozen) == begun_with
        # The run ends with the old ones; they can be taken back, in the classes that are in use by now.
        header = ConfusionHeader(
            run_id=folder.id,
            class_ids=tuple(range(1, 9)),
            class_names=NAMES,
            num_images=80,
            group_names=("group 1", "group 2"),
            group_of=(0, 0, 0, 0, 1, 1, 1, 1),
            origin="person",
        )
        write_confusion(folder.results, Confusion(header, np.eye(8, dtype=np.float32)))
        before = outline(read_grouping(dataset))
        dataset.apply(
            taken_over(read_grouping(dataset), read_confusion(folder.results).header, dataset.next_superclass_id)
        )
        assert outline(read_grouping(dataset)) == [
            ("group 1", ["cat", "dog", "cow", "bus"]),
            ("group 2", ["car", "boat", "tree"]),
            ("", []),
        ]
        assert [each.id for each in read_grouping(dataset).superclasses] == [1, 2]
        dataset.undo()
        assert outline(read_grouping(dataset)) == before
        assert dataset.integrity() == []


def test_that_an_edit_from_an_old_look_is_refused_whole(project: Project):
    with Dataset.open(project) as dataset:
        seen = read_grouping(dataset)
        dataset.apply(moved(seen, [1], 2))
        before = outline(read_grouping(dataset))
        for stale in (merged(seen, 2, 1), taken_over(seen, _others(), dataset.next_superclass_id)):
            with pytest.raises(EditConflict, match="has changed since"):
                dataset.apply(stale)
        assert outline(read_grouping(dataset)) == before
        assert len(dataset.superclasses(with_retired=True)) == 2


def test_that_a_read_only_project_refuses_a_superclass_in_words(project: Project):
    with Dataset.open(project, read_only=True) as dataset, pytest.raises(StorageFailed, match="read-only"):
        dataset.apply(made(read_grouping(dataset), dataset.next_superclass_id(), "pets"))


def test_that_a_file_of_fifty_thousand_strange_classes_is_told_and_changes_what_it_can(
    project: Project, tmp_path: Path
):
    path = tmp_path / "flood.json"
    flood = [f"class {number}" for number in range(50_000)]
    names = {"name": "\u202egroup 1", "classes": [*flood, "cat"]}
    many = [{"name": f"group {number}", "classes": []} for number in range(3, 5_000)]
    path.write_text(json.dumps({"format": FORMAT, "version": 1, "superclasses": [names, *many]}))
    with Dataset.open(project) as dataset:
        began = time.process_time()
        edit, report = imported(read_grouping(dataset), read_superclasses(path), dataset.next_superclass_id)
        assert time.process_time() - began < 5
        assert (report.num_superclasses, report.num_classes, report.num_left_out) == (1, 1, 54_997)
        assert len(report.left_out) == 1000
        dataset.apply(edit, actor="import")
        assert outline(read_grouping(dataset))[-2] == ("\u202egroup 1", ["cat"])
        dataset.undo()
        assert dataset.integrity() == []


def _others() -> ConfusionHeader:
    return ConfusionHeader(
        run_id="x", class_ids=(1, 2), class_names=("cat", "dog"), num_images=1, group_names=("a", "b"), group_of=(1, 0)
    )


def _stop_forkserver() -> None:
    from multiprocessing import forkserver, resource_tracker

    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()
