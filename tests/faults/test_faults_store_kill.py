"""Row 1 and 15: the process is killed at random while a person corrects; what was acknowledged is there.

Children are forked from a server that has imported the store once, so that a hundred of them are cheap.
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

from locstudio.domain.edits import add_regions, change_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region, Review
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project, create_project

NUM_KILLS = 100


def correct_for_ever(path: Path, acknowledged: Connection, seed: int) -> None:
    """Open the project, and add, change and undo boxes until killed; every commit is told to the parent after it."""
    rng = random.Random(seed)
    with Dataset.open(Project(path)) as dataset:
        acknowledged.send(("open", 0, ""))
        while True:
            region = Region(dataset.next_region_id(), rng.randint(1, 20), UnitBox(0.1, 0.1, 0.5, 0.5), "new")
            dataset.apply(add_regions([region]))
            acknowledged.send(("is", region.id, "new"))
            phrase = f"phrase {rng.random()}"
            changed = replace(region, phrase=phrase, review=rng.choice(list(Review)))
            dataset.apply(change_regions([(region, changed)], "Correct"))
            acknowledged.send(("is", region.id, phrase))
            if rng.random() < 0.2:
                dataset.undo()
                acknowledged.send(("is", region.id, "new"))


def kill_while_correcting(context, project: Project, seed: int) -> dict[int, str]:
    """What a child acknowledged before it was killed: region and its phrase."""
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=correct_for_ever, args=(project.path, sender, seed))
    child.start()
    sender.close()
    known: dict[int, str] = {}
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 12)):
        kind, key, phrase = receiver.recv()
        if kind == "is":
            known[key] = phrase
    time.sleep(rng.uniform(0, 0.01))
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    try:
        while receiver.poll():
            kind, key, phrase = receiver.recv()
            if kind == "is":
                known[key] = phrase
    except (EOFError, OSError):
        pass
    receiver.close()
    return known


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_that_a_hundred_kills_lose_no_acknowledged_correction_and_each_project_reopens(tmp_path: Path):
    project = create_project(tmp_path / "project")
    with Dataset.create(project) as dataset:
        root = dataset.add_root(tmp_path)
        dataset.add_images([Image(0, root.id, f"{number}.jpg", 10, 10) for number in range(20)])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["locstudio.store.dataset"])
    try:
        acknowledged, slowest_s = kill_again_and_again(context, project)
    finally:
        _stop_forkserver()
    with Dataset.open(project) as dataset:
        found = {region.id: region.phrase for region in dataset.region_page(0, 1_000_000)}
        assert {key: found.get(key) for key in acknowledged} == acknowledged
        assert dataset.integrity() == []
    assert len(acknowledged) > NUM_KILLS
    assert slowest_s < 2.0


def kill_again_and_again(context, project: Project) -> tuple[dict[int, str], float]:
    """What was acknowledged in all, and the slowest reopening."""
    acknowledged: dict[int, str] = {}
    slowest_s = 0.0
    for seed in range(NUM_KILLS):
        of_this_child = kill_while_correcting(context, project, seed)
        began = time.perf_counter()
        with Dataset.open(project) as dataset:  # the lock of the dead is taken over at once
            slowest_s = max(slowest_s, time.perf_counter() - began)
            found = {region.id: region.phrase for region in dataset.regions(list(of_this_child))}
            # The last one may be a step ahead of its acknowledgement, never behind.
            last = max(of_this_child, default=None)
            for key, phrase in of_this_child.items():
                assert found.get(key) == phrase or (key == last and key in found)
            acknowledged.update({key: found[key] for key in of_this_child})
    return acknowledged, slowest_s


def _stop_forkserver() -> None:
    from multiprocessing import forkserver, resource_tracker

    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()
