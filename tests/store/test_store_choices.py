"""A choice between two checkpoints is part of an edit: undone, redone and replayed with it."""

import pytest

from locstudio.domain.edits import ChoiceChange, Edit, ModelChoice, RegionChange
from locstudio.domain.errors import EditConflict
from locstudio.store.dataset import Dataset


def chose(chosen: str, before: str | None = None) -> ChoiceChange:
    old = ModelChoice("a", "b", "name:1", before) if before else None
    return ChoiceChange(old, ModelChoice("a", "b", "name:1", chosen))


def test_that_undo_takes_a_choice_back_and_redo_makes_it_again(dataset: Dataset, make_region):
    region = make_region()
    dataset.apply(Edit("Take the new", (RegionChange(None, region), chose("new"))))
    assert dataset.choice("a", "b", "name:1") == "new"
    taken_back = dataset.undo()
    assert taken_back is not None
    assert dataset.choices("a", "b") == {}
    assert dataset.regions_of(1) == []
    assert ChoiceChange(chose("new").after, None) in taken_back.changes
    dataset.redo()
    assert dataset.choices("a", "b") == {"name:1": "new"}
    assert dataset.regions_of(1) == [region]


def test_that_keeping_the_old_is_an_undo_step_although_nothing_else_changes(dataset: Dataset):
    dataset.apply(Edit("Keep the old", (chose("old"),)))
    (step,) = dataset.history(10)
    assert (step.title, step.num_changes) == ("Keep the old", 0)
    dataset.undo()
    assert dataset.choice("a", "b", "name:1") is None


def test_that_a_choice_is_not_a_correction_of_the_data(dataset: Dataset):
    revision = dataset.revision()
    dataset.apply(Edit("Keep the old", (chose("old"),)))
    assert dataset.corrections_since(revision) == 0


def test_that_an_edit_that_has_not_seen_the_newest_choice_is_refused(dataset: Dataset):
    dataset.apply(Edit("Keep the old", (chose("old"),)))
    with pytest.raises(EditConflict):
        dataset.apply(Edit("Take the new", (chose("new"),)))
    dataset.apply(Edit("Take the new", (chose("new", before="old"),)))
    assert dataset.choice("a", "b", "name:1") == "new"


def test_that_a_log_with_choices_can_be_replayed(dataset: Dataset, make_region):
    dataset.apply(Edit("Take the new", (RegionChange(None, make_region()), chose("new"))))
    dataset.undo()
    dataset.redo()
    assert dataset.integrity() == []
