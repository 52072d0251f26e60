"""kill -9 before every step of adopting and of going back: afterwards the old pair or the new pair, never a mixture.

Rows 2 and 5.3 of the faults.  Children are forked from a server that has imported the services once.
"""

import multiprocessing
import os
import shutil
import signal

import pytest

from locstudio.index.region_index import RegionIndex
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.services import adoption, index_swap, registry
from locstudio.services.adoption import adopt_checkpoint, adopt_index, best_checkpoint, settle_adoption
from locstudio.services.registry import activate
from locstudio.services.runs import find_run
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

FILE_STEPS = ("replace", "utime", "rmtree", "copytree")
DATASET_STEPS = ("set_setting", "activate_checkpoint", "record_run", "record_checkpoint")
ROWS = {"first": 4, "second": 7}


def killed_before(path, action, name, step):
    """Do it in this process, which dies before the step with this number, counted from 1."""
    left = [step]

    def counted(call):
        def instead(*arguments, **named):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return instead

    project = Project(path)
    with Dataset.open(project) as dataset:
        for step_name in DATASET_STEPS:
            setattr(dataset, step_name, counted(getattr(dataset, step_name)))
        for module in (adoption, index_swap, registry):
            for step_name in FILE_STEPS:
                for place in (getattr(module, "os", None), getattr(module, "shutil", None)):
                    call = getattr(place, step_name, None)
                    if call is not None and call.__name__ != "instead":
                        setattr(place, step_name, counted(call))
        act(action, project, dataset, name)


def act(action, project, dataset, name):
    if action == "adopt":
        adopt_checkpoint(project, dataset, find_run(project, name))
    else:
        activate(project, dataset, name)


def outcome(project):
    """Which checkpoint is in use after the next opening, with everything about it looked at."""
    with Dataset.open(project) as dataset:
        settle_adoption(project, dataset)
        active = dataset.active_checkpoint()
        index = RegionIndex.open(project.index, active.id)
        assert len(index) == ROWS[active.name]
        index.close()
        assert [path.name for path in project.path.glob("index*")] == ["index"]
        assert not list(project.path.rglob("*.partial"))
        assert dataset.get_setting("adopting") == ""
        entries = {entry.name: entry for entry in registry.registry(project, dataset)}
        assert checkpoint_info(entries[active.name].folder).id == active.id
        settle_adoption(project, dataset)
        assert dataset.active_checkpoint() == active
        return active.name


@pytest.fixture
def before(project, dataset, first, make, tmp_path):
    """A project that has searched with the first checkpoint, and a training that passed its gate."""
    adopt_index(project, dataset, make.embed_run(project, first))
    trained = make.train_run(project, first)
    make.compare_run(project, dataset, trained)
    dataset.backup("daily")  # so that none is begun beside what is killed
    dataset.close()
    return project, trained


@pytest.fixture
def context():
    """Forks from a server without threads; ended with the test."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["locstudio.services.registry"])
    yield made
    from multiprocessing import forkserver, resource_tracker

    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()


def outcomes_of_kills(context, project, action, name, tmp_path, look=outcome):
    """What is in use after a kill before each step; the last entry is of the child that was not killed any more."""
    found = []
    for step in range(1, 80):
        copy = Project(tmp_path / f"copy {step}")
        shutil.copytree(project.path, copy.path)
        child = context.Process(target=killed_before, args=(copy.path, action, name, step))
        child.start()
        child.join(30)
        assert child.exitcode in (0, -signal.SIGKILL)
        found.append(look(copy))
        if step % 4 == 0:  # and doing it again does it
            with Dataset.open(copy) as dataset:
                act(action, copy, dataset, name)
            assert look(copy) == ("second" if action == "adopt" else "first")
        shutil.rmtree(copy.path)
        if child.exitcode == 0:
            return found
    raise AssertionError("it never came to an end")


@pytest.mark.slow
def test_row_2_that_adopting_killed_before_any_step_leaves_the_old_or_the_new(before, context, tmp_path):
    project, trained = before
    found = outcomes_of_kills(context, project, "adopt", trained.id, tmp_path)
    changed_at = found.index("second")
    assert set(found[:changed_at]) == {"first"}
    assert set(found[changed_at:]) == {"second"}
    assert len(found) > 10


@pytest.mark.slow
def test_row_2_that_going_back_killed_before_any_step_leaves_the_old_or_the_new(before, context, first, tmp_path):
    project, trained = before
    with Dataset.open(project) as dataset:
        adopt_checkpoint(project, dataset, trained)
        assert dataset.active_checkpoint().id == checkpoint_info(best_checkpoint(trained)).id
    found = outcomes_of_kills(context, project, "activate", checkpoint_info(first).id, tmp_path)
    changed_at = found.index("first")
    assert set(found[:changed_at]) == {"second"}
    assert set(found[changed_at:]) == {"first"}
    assert len(found) > 5


def outcome_of_classes(project):
    """The same of the model of classes; that of regions is in use with its index as it was."""
    with Dataset.open(project) as dataset:
        settle_adoption(project, dataset)
        assert dataset.active_checkpoint().name == "regions"
        index = RegionIndex.open(project.index, dataset.active_checkpoint().id)
        assert len(index) == 4
        index.close()
        assert not list(project.path.rglob("*.partial"))
        active = dataset.active_checkpoint("consistency")
        entries = {entry.name: entry for entry in registry.registry(project, dataset)}
        assert checkpoint_info(entries[active.name].folder).id == active.id
        return active.name


@pytest.mark.slow
def test_row_2_that_adopting_a_model_of_classes_killed_before_any_step_leaves_the_old_or_the_new(
    project, dataset, make, context, tmp_path
):
    adopt_index(project, dataset, make.embed_run(project, make.write_checkpoint(tmp_path / "elsewhere", "regions")))
    adopt_checkpoint(project, dataset, make.classes_run(project, name="first"), force=True)
    trained = make.classes_run(project, name="second")
    make.compare_run(project, dataset, trained)
    dataset.backup("daily")
    dataset.close()
    found = outcomes_of_kills(context, project, "adopt", trained.id, tmp_path, look=outcome_of_classes)
    changed_at = found.index("second")
    assert set(found[:changed_at]) == {"first"}
    assert set(found[changed_at:]) == {"second"}
    assert len(found) > 4
