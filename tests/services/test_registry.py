"""The checkpoints of a project: listed with where they come from, taken into use again, their files removed."""

import os
import shutil

import pytest

from locstudio.domain.errors import BadInput, GateFailed, StorageFailed, UserError
from locstudio.index.region_index import RegionIndex
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.services.adoption import adopt_checkpoint, adopt_index, best_checkpoint, register_checkpoint
from locstudio.services.registry import activate, delete_checkpoint, find_checkpoint, label_checkpoint, registry
from locstudio.store.dataset import Dataset
from locstudio.store.records import CheckpointRow


@pytest.fixture
def trained(project, dataset, first, make):
    """The first checkpoint was searched with; the second was trained from it and adopted."""
    adopt_index(project, dataset, make.embed_run(project, first))
    folder = make.train_run(project, first)
    make.compare_run(project, dataset, folder)
    adopt_checkpoint(project, dataset, folder)
    return folder


def by_name(project, dataset):
    return {entry.name: entry for entry in registry(project, dataset)}


def test_that_a_new_project_lists_the_bundled_checkpoint_in_use(project, dataset):
    entry = registry(project, dataset)[0]
    assert (entry.id, entry.is_bundled, entry.is_active) == (checkpoint_info(bundled_checkpoint()).id, True, True)
    assert (entry.is_present, entry.is_indexed, entry.revision) == (True, False, -1)
    assert entry.to_json()["metrics"] == entry.metrics


def test_that_each_checkpoint_says_where_it_comes_from(project, dataset, first, trained):
    entries = by_name(project, dataset)
    bundled = [entry.name for entry in registry(project, dataset) if entry.is_bundled]
    last = [entry.name for entry in registry(project, dataset)][-3:]
    assert bundled == last == ["cloc-lite", "consistency-lite", "vmoe-lite"]
    second = entries["second"]
    assert (second.run_id, second.is_active, second.is_indexed) == (trained.id, True, True)
    assert second.promotion.gate.passed
    assert not second.promotion.is_forced
    assert (entries["first"].is_active, entries["first"].is_indexed) == (False, True)
    assert entries["first"].promotion is None
    assert second.to_json()["gate_passed"] is True


def test_that_going_back_brings_the_kept_index_with_it(project, dataset, first, trained):
    old_id, new_id = checkpoint_info(first).id, dataset.active_checkpoint().id
    kept = project.path / "checkpoints" / old_id / "index"
    assert len(RegionIndex.open(kept, old_id)) == 4
    assert activate(project, dataset, old_id) == {"checkpoint": old_id, "rows": 4, "phrases": 1, "is_embedded": True}
    assert len(RegionIndex.open(project.index, dataset.active_checkpoint().id)) == 4
    assert not kept.exists()
    assert len(RegionIndex.open(project.path / "checkpoints" / new_id / "index", new_id)) == 7
    # And forth again, without its run.
    shutil.rmtree(trained.path)
    assert activate(project, dataset, new_id)["rows"] == 7
    assert activate(project, dataset, new_id)["rows"] == 7
    assert len(RegionIndex.open(project.index, new_id)) == 7


def test_that_only_the_two_newest_replaced_indexes_are_kept(project, dataset, tmp_path, make):
    for number in range(5):
        checkpoint = make.write_checkpoint(tmp_path / "elsewhere" / str(number), f"model {number}")
        adopt_index(project, dataset, make.embed_run(project, checkpoint))
    indexed = [entry.name for entry in registry(project, dataset) if entry.is_indexed]
    assert sorted(indexed) == ["model 2", "model 3", "model 4"]
    oldest = by_name(project, dataset)["model 0"]
    assert activate(project, dataset, oldest.id)["is_embedded"] is False
    assert dataset.active_checkpoint().id == oldest.id
    assert not (project.path / "checkpoints" / oldest.id).exists()


def test_that_the_bundled_checkpoint_can_be_gone_back_to_from_a_project_that_never_named_it(
    project, dataset, first, make
):
    bundled = checkpoint_info(bundled_checkpoint())
    make.write_index(project.index, bundled.id, 5)
    adopt_index(project, dataset, make.embed_run(project, first))
    assert activate(project, dataset, bundled.id)["rows"] == 5
    assert dataset.active_checkpoint().path == "bundled:cloc-lite"
    of_regions = [entry for entry in registry(project, dataset) if entry.model == "cloc"]
    assert [entry.is_bundled for entry in of_regions] == [False, True]


def test_that_a_checkpoint_which_was_never_adopted_goes_through_its_gate(project, dataset, first, make):
    folder = make.train_run(project, first)
    row = register_checkpoint(project, dataset, folder)
    entry = by_name(project, dataset)["second"]
    assert (entry.is_active, entry.is_present, entry.promotion) == (False, True, None)
    assert by_name(project, dataset)["second"].is_indexed  # by its run, and adopted with that
    with pytest.raises(GateFailed):
        activate(project, dataset, row.id)
    make.compare_run(project, dataset, folder)
    assert activate(project, dataset, row.id)["rows"] == 7
    assert by_name(project, dataset)["second"].folder == project.path / "checkpoints" / row.id


def test_that_a_damaged_missing_or_unknown_checkpoint_is_not_taken_into_use(project, dataset, first, trained):
    new_id = dataset.active_checkpoint().id
    with pytest.raises(BadInput, match="knows no checkpoint"):
        activate(project, dataset, "cloc-0123456789abcdef")
    (first / "weights.safetensors").write_bytes(b"")
    with pytest.raises(BadInput, match="damaged"):
        activate(project, dataset, checkpoint_info_id(project, dataset))
    shutil.rmtree(first)
    assert by_name(project, dataset)["first"].is_present is False
    with pytest.raises(BadInput):
        activate(project, dataset, checkpoint_info_id(project, dataset))
    assert dataset.active_checkpoint().id == new_id
    assert len(RegionIndex.open(project.index, new_id)) == 7


def checkpoint_info_id(project, dataset):
    return by_name(project, dataset)["first"].id


def test_that_a_disk_which_refuses_leaves_what_was_in_use(project, dataset, first, trained, monkeypatch):
    new_id = dataset.active_checkpoint().id

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("locstudio.services.index_swap.os.replace", refuse)
    with pytest.raises(StorageFailed, match="No space left"):
        activate(project, dataset, checkpoint_info(first).id)
    monkeypatch.undo()
    assert activate(project, dataset, new_id)["rows"] == 7


def test_that_names_and_notes_are_a_persons_own_and_survive_another_adoption(project, dataset, trained):
    new_id = dataset.active_checkpoint().id
    label_checkpoint(dataset, new_id, name="After the first hour", note="dogs are better")
    label_checkpoint(dataset, new_id, name="  ")
    adopt_checkpoint(project, dataset, trained)
    entry = find_checkpoint(project, dataset, "After the first hour")
    assert (entry.id, entry.note) == (new_id, "dogs are better")
    with pytest.raises(BadInput):
        label_checkpoint(dataset, "cloc-0", name="x")


def test_that_files_of_a_checkpoint_go_and_what_is_known_of_it_stays(project, dataset, first, trained):
    new_id = dataset.active_checkpoint().id
    with pytest.raises(UserError, match="is in use"):
        delete_checkpoint(project, dataset, new_id)
    with pytest.raises(UserError, match="outside this project"):
        delete_checkpoint(project, dataset, checkpoint_info(first).id)
    with pytest.raises(UserError, match="outside this project"):
        delete_checkpoint(project, dataset, find_checkpoint(project, dataset, "bundled").id)
    activate(project, dataset, checkpoint_info(first).id)
    delete_checkpoint(project, dataset, new_id)
    entry = by_name(project, dataset)["second"]
    assert (entry.is_present, entry.is_indexed, entry.metrics) == (False, False, {"macc": 0.5})
    assert not (project.path / "checkpoints" / new_id).exists()
    with pytest.raises(BadInput):
        activate(project, dataset, new_id)


def test_that_a_checkpoint_still_in_its_run_is_removed_there_once_the_run_is_over(
    project, dataset, first, make, monkeypatch
):
    folder = make.train_run(project, first)
    row = register_checkpoint(project, dataset, folder)
    (folder.path / "state.json").write_text("{}")
    from locstudio.jobs.run_state import claim_run

    claim_run(folder)
    with pytest.raises(UserError, match="goes on"):
        delete_checkpoint(project, dataset, row.id)
    os.unlink(folder.path / "state.json")
    delete_checkpoint(project, dataset, row.id)
    assert not (folder.checkpoints / "step_6").exists()
    assert folder.events.exists()


@pytest.mark.parametrize(
    ("path", "checkpoint_id"),
    [(".", "cloc-x"), ("runs", "cloc-x"), ("checkpoints", "cloc-x"), ("checkpoints/cloc-x", "../../pictures")],
)
def test_that_a_strangers_dataset_has_nothing_removed_but_checkpoints(project, dataset, trained, path, checkpoint_id):
    pictures = project.path.parent / "pictures"
    for folder in (pictures, project.path / "checkpoints" / "cloc-x"):
        folder.mkdir()
        (folder / "file").touch()
    dataset.record_checkpoint(CheckpointRow(checkpoint_id, "cloc", "theirs", path, metrics='["none"]'))
    assert by_name(project, dataset)["theirs"].metrics == {}
    with pytest.raises(UserError, match="nothing is removed"):
        delete_checkpoint(project, dataset, checkpoint_id)
    assert (pictures / "file").exists()
    assert (project.path / "checkpoints" / "cloc-x" / "file").exists()
    assert trained.events.exists()


def test_that_sweeping_tokens_takes_nothing_of_another_name(project, dataset, first, trained):
    for name in ("holidays", "cloc-0123456789abcdef"):
        (project.cache / "tokens" / name).mkdir(parents=True)
    activate(project, dataset, checkpoint_info(first).id)
    assert [folder.name for folder in (project.cache / "tokens").iterdir()] == ["holidays"]


def test_that_a_checkpoint_is_found_by_what_a_person_calls_it(project, dataset, first, trained):
    new = dataset.active_checkpoint()
    for name in (new.id, new.id[-6:], "second", trained.id, "active"):
        assert find_checkpoint(project, dataset, name).id == new.id
    assert find_checkpoint(project, dataset, "bundled").is_bundled
    with pytest.raises(BadInput, match="checkpoints are called cloc-"):
        find_checkpoint(project, dataset, "cloc-")
    with pytest.raises(BadInput, match="no checkpoint called nothing"):
        find_checkpoint(project, dataset, "nothing")


def test_that_a_project_open_for_reading_can_be_listed(project, dataset, first, trained):
    dataset.close()
    with Dataset.open(project, read_only=True) as reader:
        assert {entry.name for entry in registry(project, reader)} >= {"first", "second"}
        assert best_checkpoint(trained).name == "step_6"
