"""Adopting a run: checkpoint and index change together, prepared beside the old ones; on failure the old ones stay."""

import os
import shutil

import pytest

from locstudio.domain.errors import BadInput, CheckpointMismatch, GateFailed, StorageFailed
from locstudio.index.region_index import RegionIndex
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import BestStep, best_file, write_document
from locstudio.services.adoption import best_checkpoint, register_checkpoint
from locstudio.services.checkpoints import active_folder, folder_of, portable_path
from locstudio.services.promotion import promotion_of
from locstudio.services.runs import adopt_checkpoint, adopt_index
from locstudio.store.project import Project


def test_that_an_adopted_index_is_searched_with_the_checkpoint_that_made_it(project, dataset, first, make):
    adopted = adopt_index(project, dataset, make.embed_run(project, first))
    assert adopted == {"checkpoint": checkpoint_info(first).id, "rows": 4, "phrases": 1}
    active = dataset.active_checkpoint()
    assert (active.id, active.path, active.metrics) == (adopted["checkpoint"], str(first), '{"macc":0.5}')
    assert len(RegionIndex.open(project.index, active.id)) == 4
    assert [(run.kind, run.status) for run in dataset.runs()] == [("embed", "done")]


def test_that_a_trained_checkpoint_comes_with_its_index_and_without_the_memory_of_its_optimiser(
    project, dataset, first, make
):
    adopt_index(project, dataset, make.embed_run(project, first))
    folder = make.train_run(project, first)
    make.compare_run(project, dataset, folder)
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


def test_that_a_checkpoint_without_index_makes_the_old_index_refuse_its_queries(project, dataset, first, make):
    adopt_index(project, dataset, make.embed_run(project, first))
    folder = make.train_run(project, first, is_embedded=False)
    make.compare_run(project, dataset, folder)
    adopted = adopt_checkpoint(project, dataset, folder)
    assert adopted["is_embedded"] is False
    with pytest.raises(CheckpointMismatch, match="Embed the collection again"):
        RegionIndex.open(project.index, dataset.active_checkpoint().id)


def test_that_adopting_twice_is_adopting_once(project, dataset, first, make):
    folder = make.train_run(project, first)
    make.compare_run(project, dataset, folder)
    assert adopt_checkpoint(project, dataset, folder) == adopt_checkpoint(project, dataset, folder)
    assert len(dataset.checkpoints()) == 1
    assert sorted(path.name for path in project.path.glob("index*")) == ["index"]


def test_that_an_unfinished_run_cannot_be_adopted(project, dataset, first, make):
    folder = make.embed_run(project, first)
    shutil.move(folder.results / "index", folder.results / "index.partial")
    with pytest.raises(BadInput, match="has not finished its index"):
        adopt_index(project, dataset, folder)
    empty = RunFolder.create(project.runs, RunConfig(kind="cloc", checkpoint=str(first), cloc=ClocTraining()))
    with pytest.raises(BadInput, match="saved no checkpoint"):
        adopt_checkpoint(project, dataset, empty)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_that_a_damaged_checkpoint_is_refused_and_the_old_one_stays(project, dataset, first, damage, make):
    adopt_index(project, dataset, make.embed_run(project, first))
    folder = make.train_run(project, first)
    weights = folder.checkpoints / "step_6" / "weights.safetensors"
    if damage == "gone":
        weights.unlink()
    else:
        content = {"flip": make.EMPTY_WEIGHTS[:-1] + b"|", "cut": make.EMPTY_WEIGHTS[:-1], "empty": b""}[damage]
        weights.write_bytes(content)
    with pytest.raises(BadInput, match=r"step_6 is (damaged|incomplete)"):
        adopt_checkpoint(project, dataset, folder)
    assert dataset.active_checkpoint().id == checkpoint_info(first).id
    assert len(RegionIndex.open(project.index, checkpoint_info(first).id)) == 4


def test_that_an_index_of_another_checkpoint_is_refused(project, dataset, first, tmp_path, make):
    folder = make.embed_run(project, first)
    shutil.rmtree(folder.results / "index")
    make.write_index(folder.results / "index", "cloc-0123456789abcdef", 4)
    with pytest.raises(CheckpointMismatch, match="cloc-0123456789abcdef"):
        adopt_index(project, dataset, folder)
    assert dataset.active_checkpoint() is None


def test_that_a_disk_which_refuses_leaves_index_and_checkpoint_as_they_were(project, dataset, first, monkeypatch, make):
    adopt_index(project, dataset, make.embed_run(project, first))
    folder = make.train_run(project, first)
    make.compare_run(project, dataset, folder)

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("locstudio.services.adoption.shutil.copytree", refuse)
    with pytest.raises(StorageFailed, match="No space left"):
        adopt_checkpoint(project, dataset, folder)
    monkeypatch.undo()
    assert dataset.active_checkpoint().id == checkpoint_info(first).id
    assert len(RegionIndex.open(project.index, checkpoint_info(first).id)) == 4


def test_that_a_moved_project_finds_its_checkpoint_and_a_moved_installation_the_bundled_one(project, tmp_path):
    inside = project.path / "checkpoints" / "cloc-1"
    assert portable_path(project, inside) == "checkpoints/cloc-1"
    assert folder_of(Project(tmp_path / "moved"), "checkpoints/cloc-1") == tmp_path / "moved" / "checkpoints" / "cloc-1"
    assert portable_path(project, bundled_checkpoint()) == "bundled:cloc-lite"
    assert folder_of(project, "bundled:cloc-lite") == bundled_checkpoint()
    assert folder_of(project, portable_path(project, tmp_path / "elsewhere")) == (tmp_path / "elsewhere").resolve()


def test_that_the_best_checkpoint_is_adopted_not_the_newest(project, dataset, first, make):
    folder = make.train_run(project, first)
    best = make.write_checkpoint(folder.checkpoints / "step_4", "best")
    write_document(best_file(folder), BestStep(step=4, path="checkpoints/step_4", metric="macc", value=0.7))
    make.compare_run(project, dataset, folder)
    adopted = adopt_checkpoint(project, dataset, folder)
    # The index that the run left is of the newest step, so it is not taken.
    assert (adopted["checkpoint"], adopted["is_embedded"]) == (checkpoint_info(best).id, False)
    assert dataset.active_checkpoint().name == "best"


def test_that_a_run_which_names_a_checkpoint_outside_itself_is_refused(project, dataset, first, make):
    folder = make.train_run(project, first)
    write_document(best_file(folder), BestStep(step=4, path="../../elsewhere/first"))
    with pytest.raises(BadInput, match="not its own"):
        adopt_checkpoint(project, dataset, folder, force=True)


def test_row_87_that_a_worse_checkpoint_is_not_adopted_and_both_are_kept_with_numbers(project, dataset, first, make):
    adopt_index(project, dataset, make.embed_run(project, first))
    folder = make.train_run(project, first)
    make.compare_run(project, dataset, folder, passed=False)
    register_checkpoint(project, dataset, folder)
    with pytest.raises(GateFailed, match=r"the checkpoint in use stays\. It names fewer boxes\.") as refused:
        adopt_checkpoint(project, dataset, folder)
    assert refused.value.exit_status == 4
    assert dataset.active_checkpoint().id == checkpoint_info(first).id
    assert len(RegionIndex.open(project.index, checkpoint_info(first).id)) == 4
    assert {row.name: row.metrics for row in dataset.checkpoints()} == {
        "first": '{"macc":0.5}',
        "second": '{"macc":0.5}',
    }


def test_that_a_checkpoint_which_was_not_compared_with_the_one_in_use_is_not_adopted(project, dataset, first, make):
    folder = make.train_run(project, first)
    with pytest.raises(GateFailed, match="was not compared with the checkpoint in use"):
        adopt_checkpoint(project, dataset, folder)
    make.compare_run(project, dataset, folder, old_id="cloc-0123456789abcdef")
    with pytest.raises(GateFailed, match="was not compared"):
        adopt_checkpoint(project, dataset, folder)
    # Nor by way of its index.
    with pytest.raises(GateFailed, match="was not compared"):
        adopt_index(project, dataset, make.embed_run(project, best_checkpoint(folder)))
    assert dataset.active_checkpoint() is None


def test_that_a_person_may_adopt_against_the_gate_and_it_is_remembered(project, dataset, first, make):
    folder = make.train_run(project, first)
    make.compare_run(project, dataset, folder, passed=False)
    adopt_checkpoint(project, dataset, folder, force=True)
    promotion = promotion_of(dataset.active_checkpoint().gate)
    assert promotion.is_forced
    assert promotion.gate.reasons == ("It names fewer boxes.",)
    adopt_checkpoint(project, dataset, folder)  # what is in use needs no gate
    assert promotion_of(dataset.active_checkpoint().gate) == promotion


def test_that_the_newest_comparison_decides(project, dataset, first, make):
    folder = make.train_run(project, first)
    make.compare_run(project, dataset, folder)
    newer = make.compare_run(project, dataset, folder, passed=False)
    os.rename(newer.path, project.runs / "29990101T000000Z-compare-abcdef")
    with pytest.raises(GateFailed):
        adopt_checkpoint(project, dataset, folder)


def test_that_run_and_checkpoint_say_what_they_were_made_of(project, dataset, first, make):
    config = RunConfig(
        kind="cloc",
        checkpoint=str(first),
        cloc=ClocTraining(),
        snapshot_sha256="ab",
        snapshot_revision=7,
        code_version="0.2+g1",
        parent_run="earlier",
        title="Second hour",
    )
    folder = make.train_run(project, first, config=config)
    register_checkpoint(project, dataset, folder)
    (run,) = dataset.runs()
    assert (run.snapshot_sha256, run.revision, run.code_version, run.parent_run) == ("ab", 7, "0.2+g1", "earlier")
    assert (run.title, run.status) == ("Second hour", "done")
    assert run.created_at[:4] == folder.id[:4]
    assert run.ended_at >= run.created_at[:-4]
    (row,) = dataset.checkpoints()
    assert (row.snapshot_sha256, row.code_version, row.run_id) == ("ab", "0.2+g1", folder.id)
    assert row.path == f"runs/{folder.id}/checkpoints/step_6"
    make.compare_run(project, dataset, folder)
    adopt_checkpoint(project, dataset, folder)
    assert dataset.active_checkpoint().path == f"checkpoints/{row.id}"


def test_that_every_checkpoint_made_here_has_a_name_of_its_own(project, dataset, first, make):
    names = []
    for number in range(3):
        config = RunConfig(kind="cloc", checkpoint=str(first), cloc=ClocTraining(), title="Quick")
        folder = make.train_run(project, first, f"model {number}", config=config)
        names.append(register_checkpoint(project, dataset, folder).name)
    untitled = make.train_run(project, first, "cloc-lite")
    names.append(register_checkpoint(project, dataset, untitled).name)
    assert names == ["Quick", "Quick 2", "Quick 3", "cloc-lite 2"]
    assert register_checkpoint(project, dataset, untitled).name == "cloc-lite 2"
