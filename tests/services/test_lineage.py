"""Where a checkpoint comes from, and what lies between two of them."""

from dataclasses import replace

import msgspec
import pytest

from locstudio.domain.edits import add_regions, change_regions
from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.services.adoption import best_checkpoint, register_checkpoint
from locstudio.services.lineage import config_of, corrections_newer_than, diff_data, diff_settings, lineage
from locstudio.services.registry import find_checkpoint

BOX = UnitBox(0.1, 0.1, 0.5, 0.5)


@pytest.fixture
def pictured(dataset, tmp_path):
    root = dataset.add_root(tmp_path / "images")
    dataset.add_images([Image(0, root.id, "1.jpg", 10, 10)])
    return dataset


def trained(project, dataset, make, parent, name, **settings):
    """A training of now from this checkpoint, listed in the registry."""
    config = RunConfig(kind="cloc", checkpoint=str(parent), cloc=ClocTraining(**settings))
    folder = make.train_run(project, parent, name, config=config, parent_id=checkpoint_info(parent).id)
    snapshot = dataset.snapshot(folder.snapshot)
    config = msgspec.structs.replace(config, snapshot_sha256=snapshot.sha256, snapshot_revision=snapshot.revision)
    (folder.path / "config.json").write_bytes(msgspec.json.encode(config))
    register_checkpoint(project, dataset, folder)
    return folder


def add_region(dataset):
    region = Region(dataset.next_region_id(), 1, BOX, "a dog")
    dataset.apply(add_regions([region]))
    return region


def test_that_the_chain_leads_to_the_bundled_checkpoint_with_the_corrections_of_each_generation(
    project, pictured, make
):
    first = trained(project, pictured, make, bundled_checkpoint(), "first")
    add_region(pictured)
    add_region(pictured)
    second = trained(project, pictured, make, best_checkpoint(first), "second", num_steps=7)
    add_region(pictured)
    chain = lineage(project, pictured, checkpoint_info(best_checkpoint(second)).id)
    assert [ancestor.entry.name for ancestor in chain] == ["second", "first", "cloc-lite"]
    assert [ancestor.corrections_after for ancestor in chain] == [1, 2, None]
    assert chain[0].config.cloc.num_steps == 7
    assert chain[2].config is None
    assert chain[0].to_json()["config"]["cloc"]["num_steps"] == 7
    assert corrections_newer_than(pictured, chain[1].entry) == 3
    assert corrections_newer_than(pictured, chain[2].entry) is None


def test_that_a_parent_which_the_project_does_not_know_ends_the_chain(project, dataset, first, make):
    folder = make.train_run(project, first, parent_id="cloc-0123456789abcdef")
    row = register_checkpoint(project, dataset, folder)
    chain = lineage(project, dataset, row.id)
    assert [(ancestor.id, ancestor.entry is None) for ancestor in chain] == [
        (row.id, False),
        ("cloc-0123456789abcdef", True),
    ]
    with pytest.raises(BadInput):
        lineage(project, dataset, "cloc-fedcba9876543210")


def test_that_a_checkpoint_which_is_its_own_ancestor_does_not_go_round_for_ever(project, dataset, first, make):
    row = register_checkpoint(project, dataset, make.train_run(project, first))
    dataset.record_checkpoint(replace(row, parent_id=row.id))
    assert len(lineage(project, dataset, row.id)) == 1


def test_that_data_are_compared_between_runs_checkpoints_and_now(project, pictured, make):
    region = add_region(pictured)
    first = trained(project, pictured, make, bundled_checkpoint(), "first")
    add_region(pictured)
    second = trained(project, pictured, make, best_checkpoint(first), "second")
    pictured.apply(change_regions([(region, replace(region, phrase="a cat"))], "Change phrase"))
    by_run = diff_data(project, pictured, first.id, second.id)
    by_checkpoint = diff_data(project, pictured, "first", "second")
    assert by_run == by_checkpoint
    assert by_run.regions["added"] == 1
    assert diff_data(project, pictured, "second").regions["renamed"] == 1
    assert diff_data(project, pictured, first.id).num_edited_regions == 2
    assert len(list((project.cache / "now").iterdir())) == 1
    with pytest.raises(BadInput, match="was not trained in this project"):
        diff_data(project, pictured, "bundled")
    with pytest.raises(UserError, match="No run is called"):
        diff_data(project, pictured, "nobody")
    second.snapshot.unlink()
    with pytest.raises(BadInput, match="not there any more"):
        diff_data(project, pictured, "second")


def test_that_settings_which_differ_are_named(project, pictured, make):
    first = trained(project, pictured, make, bundled_checkpoint(), "first")
    trained(project, pictured, make, best_checkpoint(first), "second", num_steps=7, text_filter=None)
    changes = diff_settings(config_of(project, pictured, first.id), config_of(project, pictured, "second"))
    assert [(change.name, change.old, change.new) for change in changes] == [
        ("cloc.num_steps", str(ClocTraining().num_steps), "7"),
        ("cloc.text_filter", "0.9", "none"),
    ]
    assert diff_settings(first.config(), first.config()) == []


def test_that_settings_are_known_after_the_run_is_gone(project, pictured, make):
    import shutil

    first = trained(project, pictured, make, bundled_checkpoint(), "first", num_steps=5)
    shutil.rmtree(first.path)
    assert find_checkpoint(project, pictured, "first").is_present is False
    assert config_of(project, pictured, "first").cloc.num_steps == 5
