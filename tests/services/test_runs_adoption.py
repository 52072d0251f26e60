"""Adopting a run: checkpoint and index change together, prepared beside the old ones; on failure the old ones stay."""

import json
import os
import shutil

import numpy as np
import pytest

from locstudio.domain.errors import BadInput, CheckpointMismatch, StorageFailed
from locstudio.index.region_index import RegionIndex
from locstudio.index.vocabulary import Vocabulary
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.configs import ClocTraining, Embedding, RunConfig
from locstudio.jobs.messages import Evaluated, Finished, Saved
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.services.checkpoints import active_folder, folder_of, portable_path
from locstudio.services.runs import adopt_checkpoint, adopt_index, settle_adoption
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project, create_project

TOWER = {"model": "stand-in", "input_px": 32, "num_tokens": 17}
EMPTY_WEIGHTS = (2).to_bytes(8, "little") + b"{}"


def write_checkpoint(folder, name):
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    (partial / "config.json").write_text(json.dumps({"name": name, "dim": 3, "token_width": 4, "tower": TOWER}))
    (partial / "weights.safetensors").write_bytes(EMPTY_WEIGHTS)
    (partial / "card.md").write_text(f"# {name}\n")
    (partial / "metrics.json").write_text('{"macc": 0.5}')
    seal_checkpoint(partial, folder)
    return folder


def write_index(folder, checkpoint_id, num_regions):
    index = RegionIndex.create(folder, checkpoint_id, 3)
    ids = list(range(1, num_regions + 1))
    vectors = np.random.default_rng(0).normal(size=(num_regions, 3))
    index.put_regions(ids, [1] * num_regions, [[0.0, 0.0, 0.5, 0.5]] * num_regions, vectors)
    index.close()
    Vocabulary.create(folder, checkpoint_id, 3).add(["a dog"], np.ones((1, 3)))


@pytest.fixture
def project(tmp_path):
    return create_project(tmp_path / "project")


@pytest.fixture
def dataset(project):
    with Dataset.create(project) as dataset:
        yield dataset


@pytest.fixture
def first(tmp_path):
    return write_checkpoint(tmp_path / "elsewhere" / "first", "first")


def embed_run(project, checkpoint, num_regions=4):
    folder = RunFolder.create(project.runs, RunConfig(kind="embed", checkpoint=str(checkpoint), embed=Embedding()))
    write_index(folder.results / "index", checkpoint_info(checkpoint).id, num_regions)
    finish(folder)
    return folder


def train_run(project, parent, name="second", *, is_embedded=True):
    folder = RunFolder.create(project.runs, RunConfig(kind="cloc", checkpoint=str(parent), cloc=ClocTraining()))
    checkpoint = write_checkpoint(folder.checkpoints / "step_6", name)
    (checkpoint / "resume").mkdir()
    (checkpoint / "resume" / "state.json").write_text("{}")
    if is_embedded:
        write_index(folder.results / "index", checkpoint_info(checkpoint).id, 7)
    log = EventLog(folder)
    log.append(Evaluated(sequence=0, step=6, metrics={"macc": 0.5}))
    log.append(Saved(sequence=1, step=6, path="checkpoints/step_6"))
    log.close()
    finish(folder)
    return folder


def finish(folder):
    log = EventLog(folder)
    log.append(Finished(sequence=log.next_sequence))
    log.close()


def test_that_an_adopted_index_is_searched_with_the_checkpoint_that_made_it(project, dataset, first):
    adopted = adopt_index(project, dataset, embed_run(project, first))
    assert adopted == {"checkpoint": checkpoint_info(first).id, "rows": 4, "phrases": 1}
    active = dataset.active_checkpoint()
    assert (active.id, active.path, active.metrics) == (adopted["checkpoint"], str(first), '{"macc":0.5}')
    assert len(RegionIndex.open(project.index, active.id)) == 4
    assert [(run.kind, run.status) for run in dataset.runs()] == [("embed", "done")]


def test_that_a_trained_checkpoint_comes_with_its_index_and_without_the_memory_of_its_optimiser(
    project, dataset, first
):
    adopt_index(project, dataset, embed_run(project, first))
    folder = train_run(project, first)
    adopted = adopt_checkpoint(project, dataset, folder)
    assert (adopted["rows"], adopted["is_embedded"]) == (7, True)
    active = dataset.active_checkpoint()
    kept = project.path / "checkpoints" / adopted["checkpoint"]
    assert (active.path, active.run_id) == (f"checkpoints/{kept.name}", folder.id)
    assert active_folder(project, dataset) == kept
    assert not (kept / "resume").exists()
    shutil.rmtree(folder.path)
    assert checkpoint_info(kept).id == active.id
    assert len(RegionIndex.open(project.index, active.id)) == 7


def test_that_a_checkpoint_without_index_makes_the_old_index_refuse_its_queries(project, dataset, first):
    adopt_index(project, dataset, embed_run(project, first))
    adopted = adopt_checkpoint(project, dataset, train_run(project, first, is_embedded=False))
    assert adopted["is_embedded"] is False
    with pytest.raises(CheckpointMismatch, match="Embed the collection again"):
        RegionIndex.open(project.index, dataset.active_checkpoint().id)


def test_that_adopting_twice_is_adopting_once(project, dataset, first):
    folder = train_run(project, first)
    assert adopt_checkpoint(project, dataset, folder) == adopt_checkpoint(project, dataset, folder)
    assert len(dataset.checkpoints()) == 1
    assert sorted(path.name for path in project.path.glob("index*")) == ["index"]


def test_that_an_unfinished_run_cannot_be_adopted(project, dataset, first):
    folder = embed_run(project, first)
    shutil.move(folder.results / "index", folder.results / "index.partial")
    with pytest.raises(BadInput, match="has not finished its index"):
        adopt_index(project, dataset, folder)
    empty = RunFolder.create(project.runs, RunConfig(kind="cloc", checkpoint=str(first), cloc=ClocTraining()))
    with pytest.raises(BadInput, match="saved no checkpoint"):
        adopt_checkpoint(project, dataset, empty)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_that_a_damaged_checkpoint_is_refused_and_the_old_one_stays(project, dataset, first, damage):
    adopt_index(project, dataset, embed_run(project, first))
    folder = train_run(project, first)
    weights = folder.checkpoints / "step_6" / "weights.safetensors"
    if damage == "gone":
        weights.unlink()
    else:
        content = {"flip": EMPTY_WEIGHTS[:-1] + b"|", "cut": EMPTY_WEIGHTS[:-1], "empty": b""}[damage]
        weights.write_bytes(content)
    with pytest.raises(BadInput, match=r"step_6 is (damaged|incomplete)"):
        adopt_checkpoint(project, dataset, folder)
    assert dataset.active_checkpoint().id == checkpoint_info(first).id
    assert len(RegionIndex.open(project.index, checkpoint_info(first).id)) == 4


def test_that_an_index_of_another_checkpoint_is_refused(project, dataset, first, tmp_path):
    folder = embed_run(project, first)
    shutil.rmtree(folder.results / "index")
    write_index(folder.results / "index", "cloc-0123456789abcdef", 4)
    with pytest.raises(CheckpointMismatch, match="cloc-0123456789abcdef"):
        adopt_index(project, dataset, folder)
    assert dataset.active_checkpoint() is None


def test_that_a_disk_which_refuses_leaves_index_and_checkpoint_as_they_were(project, dataset, first, monkeypatch):
    adopt_index(project, dataset, embed_run(project, first))
    folder = train_run(project, first)

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("locstudio.services.adoption.shutil.copytree", refuse)
    with pytest.raises(StorageFailed, match="No space left"):
        adopt_checkpoint(project, dataset, folder)
    monkeypatch.undo()
    assert dataset.active_checkpoint().id == checkpoint_info(first).id
    assert len(RegionIndex.open(project.index, checkpoint_info(first).id)) == 4


class Crash(BaseException):
    """Stands for the end of the process: nothing of ours handles it."""


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_that_a_crash_at_any_rename_leaves_the_old_pair_or_the_new_pair(project, dataset, first, monkeypatch, renames):
    adopt_index(project, dataset, embed_run(project, first))
    folder = train_run(project, first)
    new_id = checkpoint_info(folder.checkpoints / "step_6").id
    left = [renames]
    real = os.replace

    def replace_or_crash(source, target):
        if "index" in str(target):
            if left[0] == 0:
                raise Crash
            left[0] -= 1
        real(source, target)

    monkeypatch.setattr("locstudio.services.adoption.os.replace", replace_or_crash)
    if renames == 2:
        monkeypatch.setattr(dataset, "activate_checkpoint", lambda _: (_ for _ in ()).throw(Crash))
    with pytest.raises(Crash):
        adopt_checkpoint(project, dataset, folder)
    monkeypatch.undo()

    settle_adoption(project, dataset)
    active = dataset.active_checkpoint().id
    assert active == (new_id if renames == 2 else checkpoint_info(first).id)
    assert len(RegionIndex.open(project.index, active)) == (7 if renames == 2 else 4)
    assert sorted(path.name for path in project.path.glob("index*")) == ["index"]
    settle_adoption(project, dataset)
    assert dataset.active_checkpoint().id == active


def test_that_a_moved_project_finds_its_checkpoint_and_a_moved_installation_the_bundled_one(project, tmp_path):
    inside = project.path / "checkpoints" / "cloc-1"
    assert portable_path(project, inside) == "checkpoints/cloc-1"
    assert folder_of(Project(tmp_path / "moved"), "checkpoints/cloc-1") == tmp_path / "moved" / "checkpoints" / "cloc-1"
    assert portable_path(project, bundled_checkpoint()) == "bundled:cloc-lite"
    assert folder_of(project, "bundled:cloc-lite") == bundled_checkpoint()
    assert folder_of(project, portable_path(project, tmp_path / "elsewhere")) == (tmp_path / "elsewhere").resolve()
