"""A project has a checkpoint in use of each kind of model; neither is ever taken for the other."""

import shutil

import pytest

from locstudio.domain.errors import BadInput, CheckpointMismatch, GateFailed, UserError
from locstudio.index.region_index import RegionIndex
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.services.adoption import adopt_checkpoint, adopt_index, best_checkpoint, register_checkpoint
from locstudio.services.checking import check_project
from locstudio.services.checkpoints import active_folder
from locstudio.services.promotion import active_id
from locstudio.services.registry import activate, delete_checkpoint, find_checkpoint, registry
from locstudio.services.starting import start_compare, start_consistency, start_embed, start_evaluate, start_train
from locstudio.store.records import CheckpointRow


@pytest.fixture(autouse=True)
def bundled(tmp_path, monkeypatch, make):
    """A bundled checkpoint of each kind, in an installation of its own."""
    home = tmp_path / "assets"
    make.write_checkpoint(home / "checkpoints" / "cloc-lite", "cloc-lite")
    make.write_checkpoint(home / "checkpoints" / "consistency-lite", "consistency-lite", classes=["person", "dog"])
    monkeypatch.setattr("locstudio.jobs.assets.assets_folder", lambda: home)
    return home / "checkpoints"


@pytest.fixture
def both(project, dataset, first, make):
    """A project that searches with one checkpoint and has adopted one of each kind; the run of the classes."""
    adopt_index(project, dataset, make.embed_run(project, first))
    run = make.classes_run(project, title="Night")
    make.compare_run(project, dataset, run)
    adopt_checkpoint(project, dataset, run)
    return run


def test_that_a_new_project_uses_the_bundled_checkpoint_of_each_kind(project, dataset, bundled):
    assert [(entry.name, entry.model, entry.is_active) for entry in registry(project, dataset)] == [
        ("cloc-lite", "cloc", True),
        ("consistency-lite", "consistency", True),
    ]
    assert active_folder(project, dataset, "consistency") == bundled / "consistency-lite"
    assert find_checkpoint(project, dataset, "active").model == "cloc"
    assert find_checkpoint(project, dataset, "bundled-consistency").model == "consistency"


def test_that_adopting_one_kind_leaves_checkpoint_and_index_of_the_other_in_use(project, dataset, first, both):
    row = dataset.active_checkpoint("consistency")
    assert (row.name, row.model, row.run_id) == ("Night", "consistency", both.id)
    assert active_folder(project, dataset, "consistency") == project.path / "checkpoints" / row.id
    assert dataset.active_checkpoint().id == checkpoint_info(first).id
    assert len(RegionIndex.open(project.index, checkpoint_info(first).id)) == 4
    assert {entry.name: entry.is_active for entry in registry(project, dataset)} == {
        "Night": True,
        "first": True,
        "cloc-lite": False,
        "consistency-lite": False,
    }
    assert find_checkpoint(project, dataset, "active-consistency").id == row.id


def test_that_what_was_adopted_survives_its_run_and_has_no_memory_of_the_optimiser(project, dataset, make):
    run = make.classes_run(project)
    (best_checkpoint(run) / "resume").mkdir()
    make.compare_run(project, dataset, run)
    adopted = adopt_checkpoint(project, dataset, run)
    assert adopted == {"checkpoint": active_id(dataset, "consistency"), "model": "consistency"}
    shutil.rmtree(run.path)
    kept = active_folder(project, dataset, "consistency")
    assert checkpoint_info(kept).id == adopted["checkpoint"]
    assert not (kept / "resume").exists()


def test_that_classes_go_through_a_gate_of_their_own(project, dataset, make):
    run = make.classes_run(project)
    make.compare_run(project, dataset, run, old_id=active_id(dataset))  # with the model of regions: says nothing
    with pytest.raises(GateFailed, match="was not compared with the checkpoint in use"):
        adopt_checkpoint(project, dataset, run)
    make.compare_run(project, dataset, run, passed=False, sentence="Its mean precision is lower.")
    register_checkpoint(project, dataset, run)
    with pytest.raises(GateFailed, match="Its mean precision is lower"):
        adopt_checkpoint(project, dataset, run)
    assert dataset.active_checkpoint("consistency") is None
    adopt_checkpoint(project, dataset, run, force=True)
    assert registry(project, dataset)[0].promotion.is_forced


def test_that_an_installation_without_a_model_of_classes_compares_with_nothing(project, dataset, bundled, make):
    shutil.rmtree(bundled / "consistency-lite")
    assert [entry.model for entry in registry(project, dataset)] == ["cloc"]
    run = make.classes_run(project)
    assert adopt_checkpoint(project, dataset, run)["model"] == "consistency"
    assert not registry(project, dataset)[0].promotion.is_forced


def test_that_going_back_is_by_kind(project, dataset, first, both):
    new_id = active_id(dataset, "consistency")
    old = find_checkpoint(project, dataset, "consistency-lite")
    assert activate(project, dataset, old.id) == {"checkpoint": old.id, "model": "consistency"}
    assert dataset.active_checkpoint("consistency").path == "bundled:consistency-lite"
    assert dataset.active_checkpoint().id == checkpoint_info(first).id
    activate(project, dataset, new_id)
    assert active_id(dataset, "consistency") == new_id


def test_that_what_is_in_use_is_not_removed_and_the_rest_is(project, dataset, both):
    entry = find_checkpoint(project, dataset, "Night")
    with pytest.raises(UserError, match="in use"):
        delete_checkpoint(project, dataset, entry.id)
    activate(project, dataset, find_checkpoint(project, dataset, "consistency-lite").id)
    delete_checkpoint(project, dataset, entry.id)
    assert not find_checkpoint(project, dataset, "Night").is_present


def test_that_a_run_that_embeds_is_not_adopted_with_a_model_of_classes(project, dataset, bundled, make):
    folder = make.embed_run(project, bundled / "cloc-lite")
    config = folder.config()
    document = (folder.path / "config.json").read_text()
    (folder.path / "config.json").write_text(document.replace(config.checkpoint, str(bundled / "consistency-lite")))
    with pytest.raises(CheckpointMismatch, match="names the classes of images"):
        adopt_index(project, dataset, folder)


def test_that_a_row_which_lies_about_its_kind_is_not_taken_into_use(project, dataset, tmp_path, make):
    folder = make.write_checkpoint(tmp_path / "theirs", "theirs", classes=["dog"])
    identity = checkpoint_info(folder).id
    dataset.record_checkpoint(CheckpointRow(identity, "cloc", "theirs", str(folder)))
    with pytest.raises(BadInput, match="holds"):
        activate(project, dataset, identity)
    assert dataset.active_checkpoint() is None


def test_that_a_training_of_classes_goes_on_from_what_is_in_use_or_begins_anew(project, dataset, bundled, both):
    in_use = active_folder(project, dataset, "consistency")
    config = start_consistency(project, dataset, seed=3, title="Again").config()
    assert (config.kind, config.checkpoint, config.parent_run, config.seed) == (
        "consistency",
        str(in_use),
        both.id,
        3,
    )
    named = start_consistency(project, dataset, checkpoint=bundled / "consistency-lite").config()
    assert named.checkpoint == str(bundled / "consistency-lite")
    with pytest.raises(BadInput):
        start_consistency(project, dataset, checkpoint=bundled / "gone")


def test_that_an_installation_without_a_model_of_classes_trains_from_the_backbone_alone(project, dataset, bundled):
    shutil.rmtree(bundled / "consistency-lite")
    assert start_consistency(project, dataset).config().checkpoint == ""


def test_that_no_run_is_made_with_a_checkpoint_of_the_other_kind(project, dataset, bundled):
    regions, classes = bundled / "cloc-lite", bundled / "consistency-lite"
    for make_it in (
        lambda: start_train(project, dataset, classes),
        lambda: start_embed(project, dataset, classes),
        lambda: start_evaluate(project, dataset, classes, task="regions"),
        lambda: start_evaluate(project, dataset, regions, task="multilabel"),
        lambda: start_consistency(project, dataset, checkpoint=regions),
        lambda: start_compare(project, dataset, regions, classes),
    ):
        with pytest.raises(CheckpointMismatch, match="here one is needed that names"):
            make_it()
    assert list(project.runs.glob("*")) == []
    assert start_evaluate(project, dataset, classes, task="multilabel").config().kind == "evaluate"
    assert start_compare(project, dataset, classes, classes).config().kind == "compare"


def test_that_a_damaged_model_of_classes_is_found_by_a_check(project, dataset, both):
    before = check_project(project, dataset)
    (active_folder(project, dataset, "consistency") / "weights.safetensors").write_bytes(b"")
    (finding,) = set(check_project(project, dataset)) - set(before)
    assert "is damaged: weights.safetensors has changed" in finding
