"""Row 1: the process is killed at random while labels are said and strokes painted; what was acknowledged is there.

A class, its label and its stroke are one edit, so that after every kill all three are there or none.
"""

import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from locstudio.domain.edits import ClassChange, CorrectionChange, Edit, LabelChange
from locstudio.domain.errors import StorageFailed
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Image, LabelClass
from locstudio.store.backup import restore
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project, create_project

NUM_KILLS = 20
STROKE = Stroke(tuple((number / 100, 0.5) for number in range(100)), 0.05)


def say_and_paint_for_ever(path: Path, acknowledged: Connection, seed: int) -> None:
    """Say that a new class is there and paint it, then deny it and paint it out, until killed."""
    rng = random.Random(seed)
    with Dataset.open(Project(path)) as dataset:
        acknowledged.send((0, ""))
        while True:
            new = LabelClass(dataset.next_class_id(), f"class of {seed}", "#123456")
            label = ImageLabel(rng.randint(1, 20), new.id)
            painted = HeatCorrection(dataset.next_correction_id(), label.image_id, new.id, Evidence.ADD, (STROKE,))
            said = (ClassChange(None, new), LabelChange(None, label), CorrectionChange(None, painted))
            dataset.apply(Edit("Say and paint", said))
            acknowledged.send((new.id, "said"))
            denied = replace(label, presence=Presence.NEGATIVE)
            erased = replace(painted, kind=Evidence.REMOVE)
            dataset.apply(Edit("Deny", (LabelChange(label, denied), CorrectionChange(painted, erased))))
            acknowledged.send((new.id, "denied"))
            if rng.random() < 0.3:
                dataset.undo()
                acknowledged.send((new.id, "said"))


def killed(context, project: Project, seed: int) -> dict[int, str]:
    """What a child had acknowledged of each class when it was killed."""
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=say_and_paint_for_ever, args=(project.path, sender, seed))
    child.start()
    sender.close()
    rng = random.Random(seed)
    known = dict(receiver.recv() for _ in range(rng.randint(2, 12)))
    time.sleep(rng.uniform(0, 0.01))
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    try:
        while receiver.poll():
            key, state = receiver.recv()
            known[key] = state
    except (EOFError, OSError):
        pass
    receiver.close()
    known.pop(0, None)
    return known


def states(dataset: Dataset) -> dict[int, str]:
    """What stands in the dataset of each class; what is there by halves has a state of its own."""
    labels = {label.class_id: label for own in dataset.labels_of_images(list(range(1, 21))).values() for label in own}
    painted = {correction.class_id: correction for correction in dataset.corrections_page(0, 100_000)}
    found = {}
    for entry in dataset.classes():
        label, correction = labels.get(entry.id), painted.get(entry.id)
        whole = {(Presence.POSITIVE, Evidence.ADD): "said", (Presence.NEGATIVE, Evidence.REMOVE): "denied"}
        found[entry.id] = whole.get((label and label.presence, correction and correction.kind), "by halves")
        assert correction is None or correction.strokes == (STROKE,)
    return found


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_that_twenty_kills_lose_no_acknowledged_label_or_stroke_and_leave_none_by_halves(tmp_path: Path):
    project = create_project(tmp_path / "project")
    with Dataset.create(project) as dataset:
        root = dataset.add_root(tmp_path)
        dataset.add_images([Image(0, root.id, f"{number}.jpg", 10, 10) for number in range(20)])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["locstudio.store.dataset"])
    num_acknowledged = 0
    try:
        for seed in range(NUM_KILLS):
            of_this_child = killed(context, project, seed)
            with Dataset.open(project) as dataset:
                found = states(dataset)
            assert "by halves" not in found.values()
            # The last one may be a step ahead of its acknowledgement, never behind.
            last = max(of_this_child, default=0)
            assert all(found[key] == state for key, state in of_this_child.items() if key != last)
            assert not last or last in found
            num_acknowledged += len(of_this_child)
    finally:
        _stop_forkserver()
    with Dataset.open(project) as dataset:
        assert dataset.integrity() == []
    assert num_acknowledged > NUM_KILLS


def test_that_a_backup_brings_labels_and_strokes_back(tmp_path: Path):
    project = create_project(tmp_path / "project")
    cat = LabelClass(1, "cat", "#123456")
    painted = HeatCorrection(1, 1, 1, Evidence.ADD, (STROKE,))
    with Dataset.create(project) as dataset:
        root = dataset.add_root(tmp_path)
        dataset.add_images([Image(0, root.id, "a.jpg", 10, 10)])
        said = (ClassChange(None, cat), LabelChange(None, ImageLabel(1, 1)), CorrectionChange(None, painted))
        dataset.apply(Edit("Say and paint", said))
        backup = dataset.backup()
        dataset.undo()
        assert states(dataset) == {}
    restore(project, backup)
    with Dataset.open(project) as dataset:
        assert states(dataset) == {1: "said"}
        assert dataset.integrity() == []


def test_that_a_read_only_project_refuses_a_stroke_in_words(tmp_path: Path):
    project = create_project(tmp_path / "project")
    Dataset.create(project).close()
    with Dataset.open(project, read_only=True) as dataset:
        painted = HeatCorrection(dataset.next_correction_id(), 1, 1, Evidence.ADD, (STROKE,))
        with pytest.raises(StorageFailed, match="read-only"):
            dataset.apply(Edit("Paint", (CorrectionChange(None, painted),)))


def _stop_forkserver() -> None:
    from multiprocessing import forkserver, resource_tracker

    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()
