"""Superclasses before and after: which of them go on, and which classes moved."""

from locstudio.domain.regions import LabelClass, Superclass
from locstudio.jobs.confusions import ConfusionHeader
from locstudio.services.routing.regrouping import Stand, matched, moved_classes, stand_of_project, stand_of_run
from locstudio.services.superclasses import Grouping

NAMES = {1: "cat", 2: "dog", 3: "car", 4: "bus", 5: "fig"}


def stand(names, members) -> Stand:
    return Stand("r", names, members, NAMES)


def test_that_superclasses_go_on_under_their_name_else_with_most_of_their_classes():
    before = stand(("pets", "traffic", "food"), {1: 0, 2: 0, 3: 1, 4: 1, 5: 2})
    after = stand(("Food", "animals", "cars", "new"), {5: 0, 1: 1, 2: 1, 3: 2, 4: 2})
    assert matched(before, after) == {0: 2, 1: 0, 2: 1}


def test_that_a_class_moved_where_its_superclass_does_not_go_on_the_other():
    before = stand(("pets", "traffic"), {1: 0, 2: 0, 3: 1, 4: 1, 5: 1})
    after = stand(("animals", "traffic", "food"), {1: 0, 2: 0, 3: 1, 5: 2})
    moved = [(each.name, each.before, each.after) for each in moved_classes(before, after)]
    assert moved == [("bus", "traffic", ""), ("fig", "traffic", "food")]  # "pets" only has another name


def test_that_a_class_that_only_one_of_them_knows_has_not_moved():
    before = Stand("r", ("a",), {1: 0}, {1: "cat"})
    after = Stand("", ("a",), {1: 0, 2: 0}, {1: "cat", 2: "dog"})
    assert moved_classes(before, after) == []


def test_that_a_run_tells_what_its_superclasses_were_worth_and_the_project_cannot_yet():
    header = ConfusionHeader(
        run_id="r",
        class_ids=(1, 0, 3),
        class_names=("cat", "gone", "car"),
        num_images=9,
        group_names=("a", "b"),
        group_of=(0, 1, -1),
        moe_top1=0.5,
    )
    of_run = stand_of_run(header)
    assert (of_run.members, of_run.moe_top1, of_run.is_person) == ({1: 0}, 0.5, False)
    grouping = Grouping((Superclass(7, "a"),), (), (LabelClass(1, "cat", "#808080", superclass_id=7),))
    now = stand_of_project(grouping)
    assert (now.members, now.moe_top1, now.is_person) == ({1: 0}, None, True)
