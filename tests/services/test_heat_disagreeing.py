"""Disagreement of heat with labels and boxes as filter and order: of images, and of classes in images."""

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, Edit
from locstudio.domain.regions import LabelClass
from locstudio.services.heat.disagreeing import Disagreeing, HeatWish
from locstudio.services.heat.inconsistency import Disagreement

DOG, CAR = 1, 2


@pytest.fixture
def disagreeing(project, dataset, make, heat):
    """Four images: a dog expected in 2, one labelled in 3 that has no heat; the run has not seen image 4."""
    make.add_pictures(dataset, 4)
    names = [(DOG, "dog"), (CAR, "car")]
    dataset.apply(Edit("", tuple(ClassChange(None, LabelClass(key, name, "#112233")) for key, name in names)))
    make.label_image(dataset, 3, DOG)
    averages = np.array([[0.1, 0.0], [0.8, 0.0], [0.2, 0.0]], np.float32)
    maps = {(row + 1, DOG): heat.spot(14, 5, 5, peak=round(255 * averages[row, 0])) for row in range(3)}
    heat.heat_run(project, [1, 2, 3], names, averages, maps=maps)
    return Disagreeing(project, dataset)


def chosen(disagreeing, wish, ids=(1, 2, 3, 4), class_ids=frozenset()):
    return disagreeing.chosen(np.array(ids, np.int64), wish, class_ids).tolist()


def test_that_without_a_wish_every_image_stays_in_its_place(disagreeing):
    assert chosen(disagreeing, HeatWish(), (4, 2, 1, 3)) == [4, 2, 1, 3]


def test_that_those_that_disagree_most_come_first_and_those_without_heat_last(disagreeing):
    # In 2 a dog of 0.8 is not labelled; of the two images without a label one is hotter than 3, which has it.
    assert chosen(disagreeing, HeatWish(is_sorted=True), (4, 1, 3, 2)) == [2, 3, 1, 4]


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        (Disagreement.ANY, [2, 3]),
        (Disagreement.MISSING, [2]),
        (Disagreement.LABELS, [3]),
        (Disagreement.REGIONS, []),
        (Disagreement.RESTLESS, []),
    ],
)
def test_that_a_kind_lets_only_images_pass_that_disagree_much_so(disagreeing, kind, ids):
    assert chosen(disagreeing, HeatWish(kind)) == ids
    assert disagreeing.counts()[kind] == len(ids)


def test_that_of_one_class_only_its_own_heat_counts(disagreeing):
    assert chosen(disagreeing, HeatWish(Disagreement.ANY), class_ids=frozenset({CAR})) == []
    assert chosen(disagreeing, HeatWish(Disagreement.ANY), class_ids=frozenset({DOG})) == [2, 3]


def test_that_a_pair_has_the_value_of_its_class_and_one_without_class_that_of_the_image(disagreeing):
    values = disagreeing.of_pairs(np.array([2, 2, 2, 4]), np.array([DOG, CAR, 0, DOG]))
    np.testing.assert_allclose(values, [0.8, 0.0, 0.8, np.nan], atol=0.01)


def test_that_a_label_takes_an_image_out_of_what_is_expected_at_once(disagreeing, dataset, make):
    assert disagreeing.counts()[Disagreement.MISSING] == 1
    make.label_image(dataset, 2, DOG)
    assert disagreeing.counts()[Disagreement.MISSING] == 0


def test_that_a_project_without_heat_has_nothing_that_disagrees(project, dataset, make):
    make.add_pictures(dataset, 2)
    without = Disagreeing(project, dataset)
    assert without.counts() == {}
    assert chosen(without, HeatWish(is_sorted=True), (2, 1)) == [2, 1]
    assert chosen(without, HeatWish(Disagreement.ANY), (2, 1)) == []
