"""Which classes one expert looks at: every change of it as one undo step, and what cannot be, in words."""

import itertools
from dataclasses import replace

import pytest

from locstudio.domain.edits import ClassChange, Edit, RegionChange, SuperclassChange
from locstudio.domain.errors import BadInput, EditConflict
from locstudio.domain.regions import LabelClass, Superclass
from locstudio.jobs.confusions import ConfusionHeader
from locstudio.services.superclasses import (
    MAX_NAME,
    Grouping,
    fit_name,
    joined,
    made,
    merged,
    moved,
    read_grouping,
    regrouped,
    renamed,
    retired,
    taken_over,
)
from locstudio.store.dataset import Dataset

CAT, DOG, BUS, TREE, GHOST = 1, 2, 3, 4, 5
PETS, CARS, OLD = 1, 2, 3


@pytest.fixture
def dataset(project):
    """Cat and dog are pets, the bus a car, the tree nothing; the ghost and the superclass "old" are retired."""
    pets, cars = Superclass(PETS, "pets", "#e69f00"), Superclass(CARS, "cars", "#56b4e9")
    old = Superclass(OLD, "old", "#009e73", is_retired=True)
    classes = [
        LabelClass(CAT, "cat", "#000001", superclass_id=PETS),
        LabelClass(DOG, "dog", "#000002", superclass_id=PETS),
        LabelClass(BUS, "bus", "#000003", superclass_id=CARS),
        LabelClass(TREE, "tree", "#000004", superclass_id=OLD),
        LabelClass(GHOST, "ghost", "#000005", is_retired=True, superclass_id=PETS),
    ]
    with Dataset.create(project) as opened:
        for _ in range(3):
            opened.next_superclass_id()
        changes = [*(SuperclassChange(None, each) for each in (pets, cars, old))]
        opened.apply(Edit("Fill", (*changes, *(ClassChange(None, entry) for entry in classes))))
        yield opened


@pytest.fixture
def grouping(dataset) -> Grouping:
    return read_grouping(dataset)


def named(dataset: Dataset) -> dict[str, list[str]]:
    """Names of superclasses in use with those of their classes; under "" those that have none."""
    found = read_grouping(dataset)
    groups = {each.name: [entry.name for entry in found.members_of(each.id)] for each in found.superclasses}
    return groups | {"": [entry.name for entry in found.members_of(None)]}


def header(names, group_of, class_ids=(CAT, DOG, BUS, TREE, GHOST, 0)) -> ConfusionHeader:
    return ConfusionHeader(
        run_id="run",
        class_ids=class_ids,
        class_names=tuple(map(str, class_ids)),
        num_images=9,
        group_names=names,
        group_of=group_of,
    )


BEFORE = {"pets": ["cat", "dog"], "cars": ["bus"], "": ["tree"]}


def test_that_a_retired_superclass_counts_as_none_and_a_retired_class_not_at_all(grouping: Grouping):
    assert [each.id for each in grouping.superclasses] == [PETS, CARS]
    assert grouping.homes() == {CAT: PETS, DOG: PETS, BUS: CARS, TREE: None}
    assert grouping.is_own
    assert not Grouping((), grouping.superclasses, grouping.classes).is_own
    assert grouping.named("  PETS ") == grouping.superclass(PETS)


@pytest.mark.parametrize(
    ("edit_of", "title", "after"),
    [
        (
            lambda grouping: moved(grouping, [CAT], CARS),
            "Move cat to “cars”",
            {"pets": ["dog"], "cars": ["cat", "bus"], "": ["tree"]},
        ),
        (
            lambda grouping: moved(grouping, [CAT, DOG, TREE, BUS], CARS),
            "Move 3 classes to “cars”",
            {"pets": [], "cars": ["cat", "dog", "bus", "tree"], "": []},
        ),
        (
            lambda grouping: moved(grouping, [BUS, TREE], None),
            "Take bus out of its superclass",
            {"pets": ["cat", "dog"], "cars": [], "": ["bus", "tree"]},
        ),
        (
            lambda grouping: renamed(grouping, PETS, "  my \n animals"),
            "Name superclass “my animals”",
            {"my animals": ["cat", "dog"], "cars": ["bus"], "": ["tree"]},
        ),
        (
            lambda grouping: made(grouping, 4, "plants", [TREE, DOG]),
            "New superclass “plants”",
            {"pets": ["cat"], "cars": ["bus"], "plants": ["dog", "tree"], "": []},
        ),
        (
            lambda grouping: merged(grouping, CARS, PETS),
            "Merge “pets” into “cars”",
            {"cars": ["cat", "dog", "bus"], "": ["tree"]},
        ),
        (
            lambda grouping: taken_over(
                grouping, header(("a", "Pets"), (0, 0, 1, 1, 1, 0)), itertools.count(4).__next__
            ),
            "Take over 2 superclasses",
            {"pets": ["bus", "tree"], "a": ["cat", "dog"], "": []},
        ),
    ],
)
def test_that_every_change_is_one_step_that_can_be_taken_back(dataset: Dataset, grouping, edit_of, title, after):
    edit = edit_of(grouping)
    dataset.apply(edit)
    assert dataset.history()[0].title == title
    assert named(dataset) == after
    assert regrouped(grouping, edit) == read_grouping(dataset)
    dataset.undo()
    assert named(dataset) == BEFORE
    assert dataset.integrity() == []


def test_that_an_empty_superclass_can_be_retired_and_one_with_classes_says_what_to_do(dataset: Dataset, grouping):
    with pytest.raises(BadInput, match="still has bus in it"):
        retired(grouping, CARS)
    with pytest.raises(BadInput, match="still has 2 classes in it"):
        retired(grouping, PETS)
    emptied = moved(grouping, [BUS], None)
    edit = joined("Empty", emptied, retired(regrouped(grouping, emptied), CARS))
    dataset.apply(edit)
    assert named(dataset) == {"pets": ["cat", "dog"], "": ["bus", "tree"]}


@pytest.mark.parametrize(
    ("edit_of", "sentence"),
    [
        (lambda grouping: moved(grouping, [CAT], OLD), "This superclass is not in use any more."),
        (lambda grouping: moved(grouping, [GHOST], PETS), "A class that should be moved is not in use any more."),
        (lambda grouping: renamed(grouping, PETS, "CARS"), "There is a superclass “cars” already."),
        (lambda grouping: renamed(grouping, PETS, " \t "), "The name of a superclass is empty."),
        (lambda grouping: made(grouping, 9, "x" * (MAX_NAME + 1)), "is longer than 100 characters."),
        (lambda grouping: made(grouping, 9, "a\x00b"), "holds something that is no character."),
        (lambda grouping: made(grouping, 9, "a\ud800b"), "holds something that is no character."),
        (lambda grouping: merged(grouping, PETS, PETS), "cannot be merged into itself."),
    ],
)
def test_that_what_cannot_be_is_refused_in_words(grouping, edit_of, sentence):
    with pytest.raises(BadInput, match=sentence):
        edit_of(grouping)


def test_that_a_superclass_may_change_the_case_of_its_own_name_and_take_a_retired_one_s(grouping):
    assert fit_name(grouping, "Pets", PETS) == "Pets"
    assert fit_name(grouping, "old") == "old"
    assert renamed(grouping, PETS, "pets").changes == ()
    assert moved(grouping, [CAT], PETS).changes == ()
    assert fit_name(grouping, "👩‍👩‍👧 ‏עברית") == "👩‍👩‍👧 ‏עברית"


def test_that_a_run_s_superclasses_become_the_project_s_and_what_it_did_not_know_stays(dataset: Dataset, grouping):
    # The run knew no bus, has put the tree nowhere, and the last group has none of the project's classes in use.
    found = header(("old", "old", "x\x00", "ghosts"), (0, 1, -1, 3, 2), (CAT, DOG, TREE, GHOST, 77))
    edit = taken_over(grouping, found, dataset.next_superclass_id)
    assert edit.title == "Take over 2 superclasses"
    dataset.apply(edit)
    # The retired one is used again, with the tree that was in it.
    assert named(dataset) == {"cars": ["bus"], "old": ["cat", "tree"], "old (2)": ["dog"], "": []}
    colors = [each.color for each in read_grouping(dataset).superclasses]
    assert len(set(colors)) == 3


def test_that_taking_over_what_is_there_already_changes_nothing(grouping):
    same = header(("pets", "cars"), (0, 0, 1), (CAT, DOG, BUS))
    assert taken_over(grouping, same, itertools.count(9).__next__).changes == ()
    assert taken_over(grouping, header((), ()), itertools.count(9).__next__).changes == ()


def test_that_several_edits_become_one_and_what_came_back_is_no_change(grouping, dataset: Dataset):
    first = made(grouping, 4, "plants", [TREE])
    between = regrouped(grouping, first)
    second = renamed(between, 4, "greens")
    third = moved(regrouped(between, second), [TREE], None)
    edit = joined("Several", first, second, third)
    assert [change.after.name for change in edit.changes if isinstance(change, SuperclassChange)] == ["greens"]
    assert len(edit.changes) == 2
    there = moved(grouping, [CAT], CARS)
    back = moved(regrouped(grouping, there), [CAT], PETS)
    assert joined("Nothing", there, back).changes == ()
    dataset.apply(edit)
    assert named(dataset)["greens"] == []


def test_that_edits_of_other_things_are_joined_as_they_are(grouping):
    other = Edit("x", (RegionChange(None, None),))
    assert joined("Both", moved(grouping, [CAT], CARS), other).changes[1:] == other.changes


def test_that_an_edit_of_a_grouping_that_has_changed_meanwhile_is_refused(dataset: Dataset, grouping):
    stale = moved(grouping, [CAT], CARS)
    cat = grouping.classes[0]
    dataset.apply(Edit("Rename", (ClassChange(cat, replace(cat, name="kitten")),)))
    with pytest.raises(EditConflict, match="The class 1 has changed since"):
        dataset.apply(stale)
    assert named(dataset)["pets"] == ["kitten", "dog"]
