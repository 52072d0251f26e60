"""Edits, undo and history on a dataset on disk."""

from dataclasses import replace
from pathlib import Path

import pytest

from locstudio.domain.edits import add_regions, change_regions, delete_regions
from locstudio.domain.errors import EditConflict
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project


def test_that_what_was_undone_can_be_redone_after_a_restart(tmp_path: Path):
    project = create_project(tmp_path / "p")
    with Dataset.create(project) as dataset:
        root = dataset.add_root(tmp_path)
        (image_id,) = dataset.add_images([Image(0, root.id, "a.jpg", 4, 3)])
        region = Region(dataset.next_region_id(), image_id, UnitBox(0.1, 0.1, 0.5, 0.5), "a dog")
        dataset.apply(add_regions([region]))
        moved = replace(region, box=UnitBox(0.2, 0.1, 0.5, 0.5))
        dataset.apply(change_regions([(region, moved)], "Move box"))
        dataset.undo()
    with Dataset.open(project) as dataset:
        assert dataset.regions_of(image_id) == [region]
        dataset.redo()
        assert dataset.regions_of(image_id) == [moved]
        dataset.undo()
        dataset.undo()
        assert dataset.regions_of(image_id) == []
        assert dataset.undo() is None


def test_that_an_edit_of_a_value_it_has_not_seen_is_refused_and_leaves_no_trace(tmp_path: Path):
    with Dataset.create(create_project(tmp_path / "p")) as dataset:
        root = dataset.add_root(tmp_path)
        (image_id,) = dataset.add_images([Image(0, root.id, "a.jpg", 4, 3)])
        region = Region(dataset.next_region_id(), image_id, UnitBox(0.1, 0.1, 0.5, 0.5), "a dog")
        dataset.apply(add_regions([region]))
        stale = replace(region, phrase="a cat")
        with pytest.raises(EditConflict):
            dataset.apply(delete_regions([stale]))
        assert dataset.regions_of(image_id) == [region]
        assert len(dataset.history()) == 1
