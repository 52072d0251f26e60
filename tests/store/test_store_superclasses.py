"""Superclasses, and which classes belong to them: edits like all others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, Edit, SuperclassChange
from locstudio.domain.errors import EditConflict
from locstudio.domain.regions import LabelClass, Superclass
from locstudio.store.connections import connect
from locstudio.store.dataset import Dataset, open_snapshot
from locstudio.store.diff import RowCounts, diff_snapshots


@pytest.fixture
def cat(dataset: Dataset) -> LabelClass:
    made = LabelClass(dataset.next_class_id(), "cat", "#102030")
    dataset.apply(Edit("Add class", (ClassChange(None, made),)))
    return made


def grouped(dataset: Dataset, cat: LabelClass, name: str = "pets") -> tuple[Superclass, LabelClass]:
    """A new superclass, and the class in it: one step, in which the class comes first."""
    pets = Superclass(dataset.next_superclass_id(), name, "#405060")
    inside = replace(cat, superclass_id=pets.id)
    dataset.apply(Edit("Group", (ClassChange(cat, inside), SuperclassChange(None, pets))))
    return pets, inside


def tampered(dataset: Dataset, statement: str) -> None:
    """Another program has written into the file."""
    connection = connect(dataset.path, "write")
    connection.execute(statement)
    connection.close()


def test_that_a_superclass_and_its_classes_come_and_go_in_one_step(dataset: Dataset, cat: LabelClass):
    pets, inside = grouped(dataset, cat)
    assert dataset.superclasses() == [pets]
    assert dataset.classes() == [inside]
    assert (dataset.history()[0].title, dataset.history()[0].num_changes) == ("Group", 2)
    dataset.undo()
    assert (dataset.superclasses(), dataset.classes()) == ([], [cat])
    dataset.redo()
    assert (dataset.superclasses(), dataset.classes()) == ([pets], [inside])
    assert dataset.integrity() == []


def test_that_a_retired_superclass_is_shown_on_demand(dataset: Dataset, cat: LabelClass):
    pets, _ = grouped(dataset, cat)
    retired = replace(pets, is_retired=True)
    dataset.apply(Edit("Retire", (SuperclassChange(pets, retired),)))
    assert dataset.superclasses() == []
    assert dataset.superclasses(with_retired=True) == [retired]


def test_that_a_superclass_changed_by_somebody_else_meanwhile_is_a_conflict_in_words(dataset: Dataset, cat: LabelClass):
    pets, inside = grouped(dataset, cat)
    named = replace(pets, name="animals")
    dataset.apply(Edit("Name", (SuperclassChange(pets, named),)))
    with pytest.raises(EditConflict, match="The superclass 1 has changed since"):
        dataset.apply(Edit("Name", (SuperclassChange(pets, replace(pets, name="beasts")),)))
    with pytest.raises(EditConflict, match="The superclass 1 is there already"):
        dataset.apply(Edit("Make", (SuperclassChange(None, pets),)))
    with pytest.raises(EditConflict, match="The superclass 7 is not in the dataset any more"):
        dataset.apply(Edit("Name", (SuperclassChange(Superclass(7, "gone"), None),)))
    with pytest.raises(EditConflict, match="The class 1 has changed since"):
        dataset.apply(Edit("Move", (ClassChange(cat, replace(cat, superclass_id=None, name="x")),)))
    assert (dataset.superclasses(), dataset.classes()) == ([named], [inside])


def test_that_a_superclass_with_classes_is_not_removed_and_a_class_goes_into_none_that_is_not_there(
    dataset: Dataset, cat: LabelClass
):
    pets, inside = grouped(dataset, cat)
    for change in (SuperclassChange(pets, None), ClassChange(inside, replace(inside, superclass_id=9))):
        with pytest.raises(EditConflict, match="does not fit"):
            dataset.apply(Edit("Remove", (change,)))
    dataset.apply(Edit("Remove", (SuperclassChange(pets, None), ClassChange(inside, cat))))
    assert dataset.superclasses(with_retired=True) == []


def test_that_a_superclass_keeps_its_identity_and_its_identity_is_never_given_twice(
    dataset: Dataset, project, cat: LabelClass
):
    pets, _ = grouped(dataset, cat)
    with pytest.raises(ValueError, match="keep the identity of its superclass"):
        dataset.apply(Edit("Swap", (SuperclassChange(pets, replace(pets, id=8)),)))
    dataset.undo()
    dataset.close()
    with Dataset.open(project) as again:
        assert again.next_superclass_id() > pets.id


def test_that_an_identity_of_numpy_is_stored_as_a_number(dataset: Dataset):
    pets = Superclass(np.int64(dataset.next_superclass_id()), "pets")
    dataset.apply(Edit("Make", (SuperclassChange(None, pets),)))
    dataset.undo()
    dataset.redo()
    assert [type(group.id) for group in dataset.superclasses()] == [int]


def test_that_integrity_finds_superclasses_that_no_edit_has_made(dataset: Dataset, cat: LabelClass):
    grouped(dataset, cat)
    tampered(dataset, "UPDATE superclass SET name = 'wolves'")
    tampered(dataset, "INSERT INTO superclass VALUES (5, 'ghosts', '#000000', 0)")
    assert dataset.integrity() == [
        "The superclass 1 is not what the log of edits says.",
        "The superclass 5 is not what the log of edits says.",
    ]


def test_that_a_class_whose_superclass_is_gone_is_found(dataset: Dataset, cat: LabelClass):
    grouped(dataset, cat)
    connection = connect(dataset.path, "write")
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("DELETE FROM superclass")
    connection.close()
    assert "Row 1 of label_class refers to a superclass that is not there." in dataset.integrity()


def test_that_a_snapshot_keeps_superclasses_and_its_hash_knows_them(dataset: Dataset, cat: LabelClass, tmp_path: Path):
    empty = dataset.snapshot(tmp_path / "empty.sqlite")
    pets, inside = grouped(dataset, cat)
    full = dataset.snapshot(tmp_path / "full.sqlite")
    assert empty.sha256 != full.sha256
    with open_snapshot(full.path) as frozen:
        assert (frozen.superclasses(), frozen.classes()) == ([pets], [inside])
    diff = diff_snapshots(empty.path, full.path)
    assert (diff.superclasses, diff.classes) == (RowCounts(1, 0, 0), RowCounts(0, 0, 1))
    assert diff.class_page() == [(cat, inside)]
    assert not diff.is_empty
    assert diff.to_json()["superclasses"] == {"added": 1, "removed": 0, "changed": 0}
    dataset.apply(Edit("Name", (SuperclassChange(pets, replace(pets, name="animals")),)))
    named = dataset.snapshot(tmp_path / "named.sqlite")
    assert diff_snapshots(full.path, named.path).superclasses == RowCounts(0, 0, 1)


def test_that_grouping_classes_counts_as_what_a_person_has_corrected(dataset: Dataset, cat: LabelClass):
    revision = dataset.revision()
    grouped(dataset, cat)
    assert dataset.corrections_since(revision) == 2
    dataset.undo()
    assert dataset.corrections_since(revision) == 0


def test_that_a_backup_opens_with_its_superclasses(dataset: Dataset, project, cat: LabelClass):
    pets, _ = grouped(dataset, cat)
    backup = dataset.backup()
    dataset.undo()
    with open_snapshot(backup) as kept:
        assert kept.superclasses() == [pets]
