"""What is known of images' classes: who said it, what goes before what, and what is drawn of it."""

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, CorrectionChange, Edit, LabelChange, add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Image, LabelClass, Origin, Problem, Region, Review
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project
from trainer.label_reading import keep_one, num_expected_of, read_boxes, read_corrections, read_labels

NAMES = ("cat", "dog", "bus")
STROKE = Stroke(((0.25, 0.5), (0.75, 0.5)), 0.1)


@pytest.fixture
def dataset(tmp_path):
    with Dataset.create(create_project(tmp_path / "project")) as opened:
        root = opened.add_root(tmp_path)
        images = [Image(0, root.id, f"{number}.jpg", 10, 10) for number in range(5)]
        opened.add_images([*images, Image(0, root.id, "broken.jpg", 0, 0, problem=Problem.DAMAGED)])
        classes = [LabelClass(opened.next_class_id(), name, "#102030") for name in NAMES]
        opened.apply(Edit("Add classes", tuple(ClassChange(None, each) for each in classes)))
        yield opened


def say(dataset, *labels):
    dataset.apply(Edit("Say", tuple(LabelChange(None, label) for label in labels)))


def box(dataset, image_id, class_id, review=Review.ACCEPTED, origin=Origin.HUMAN, **values):
    region = Region(
        dataset.next_region_id(),
        image_id,
        UnitBox(0.1, 0.1, 0.5, 0.5),
        class_id=class_id,
        review=review,
        origin=origin,
        **values,
    )
    dataset.apply(add_regions([region]))


def paint(dataset, image_id, class_id, kind=Evidence.ADD):
    correction = HeatCorrection(dataset.next_correction_id(), image_id, class_id, kind, (STROKE,))
    dataset.apply(Edit("Paint", (CorrectionChange(None, correction),)))
    return correction


def test_that_labels_come_from_the_image_and_from_its_regions_and_the_rest_is_not_known(dataset):
    say(dataset, ImageLabel(1, 1), ImageLabel(1, 3, Presence.NEGATIVE), ImageLabel(4, 2, Presence.UNKNOWN))
    box(dataset, 2, 2)
    box(dataset, 3, 1, Review.REJECTED)
    box(dataset, 3, 2, Review.PENDING, Origin.MODEL)
    box(dataset, 3, 3, is_crowd=True)
    table = read_labels(dataset)
    assert table.class_names == NAMES
    assert table.class_ids == (1, 2, 3)
    assert table.image_ids.tolist() == [1, 2, 3, 4, 5]
    assert table.labels_NL.tolist() == [[1, -1, 0], [-1, 1, -1], [-1, -1, -1], [-1, -1, -1], [-1, -1, -1]]
    assert table.has_label_N.tolist() == [True, True, False, False, False]
    assert table.num_positives_L.tolist() == [1, 1, 0]
    assert table.is_known_L.tolist() == [True, True, True]


def test_that_a_label_that_only_a_model_has_said_counts_less(dataset):
    box(dataset, 1, 1, origin=Origin.MODEL)
    box(dataset, 2, 1, origin=Origin.MODEL)
    box(dataset, 2, 1)
    box(dataset, 3, 1, origin=Origin.EDITED)
    say(dataset, ImageLabel(4, 1, origin=Origin.MODEL), ImageLabel(5, 1, origin=Origin.IMPORTED))
    weights = read_labels(dataset, machine_weight=0.25).weights_NL
    assert weights[:, 0].tolist() == [0.25, 1, 1, 0.25, 1]
    assert (weights[:, 1:] == 1).all()


def test_that_a_person_goes_before_a_model_and_the_image_before_its_regions(dataset):
    box(dataset, 1, 1, origin=Origin.MODEL)
    say(dataset, ImageLabel(1, 1, Presence.NEGATIVE))
    box(dataset, 2, 1)
    say(dataset, ImageLabel(2, 1, Presence.NEGATIVE, Origin.MODEL))
    box(dataset, 3, 1)
    say(dataset, ImageLabel(3, 1, Presence.NEGATIVE))
    box(dataset, 4, 1, origin=Origin.MODEL)
    say(dataset, ImageLabel(4, 1, Presence.NEGATIVE, Origin.MODEL))
    table = read_labels(dataset, machine_weight=0.5)
    assert table.labels_NL[:4, 0].tolist() == [0, 1, 0, 0]
    assert table.weights_NL[:4, 0].tolist() == [1, 1, 1, 0.5]


def test_that_evidence_that_was_painted_in_says_that_the_class_is_there(dataset):
    added = paint(dataset, 1, 1)
    removed = paint(dataset, 2, 1, Evidence.REMOVE)
    paint(dataset, 3, 1)
    say(dataset, ImageLabel(3, 1, Presence.NEGATIVE), ImageLabel(1, 1, Presence.NEGATIVE, Origin.MODEL))
    table = read_labels(dataset)
    assert table.labels_NL[:, 0].tolist() == [1, -1, 0, -1, -1]
    found = read_corrections(dataset, table.rows(np.array([1, 0])))
    assert found == {1: {0: (added,)}, 0: {0: (removed,)}}


def test_that_classes_of_one_name_are_one_and_retired_ones_are_none(dataset):
    again = LabelClass(dataset.next_class_id(), "cat", "#102030")
    retired = LabelClass(dataset.next_class_id(), "old", "#102030", is_retired=True)
    dataset.apply(Edit("Add", (ClassChange(None, again), ClassChange(None, retired))))
    say(dataset, ImageLabel(2, again.id), ImageLabel(3, retired.id))
    paint(dataset, 4, again.id)
    table = read_labels(dataset)
    assert table.class_names == NAMES
    assert table.labels_NL[:, 0].tolist() == [-1, 1, -1, 1, -1]
    assert list(read_corrections(dataset, table)) == [3]


def test_that_one_of_the_classes_that_are_there_is_kept_and_the_same_one_every_time(dataset):
    say(dataset, *(ImageLabel(image, key) for image in range(1, 6) for key in (1, 2)))
    say(dataset, *(ImageLabel(image, 3, Presence.NEGATIVE) for image in range(1, 6)))
    table = read_labels(dataset)
    kept = keep_one(table, 3)
    assert (kept.labels_NL == 1).sum(axis=1).tolist() == [1] * 5
    assert (kept.labels_NL == 0).sum() == 0
    assert np.array_equal(keep_one(table, 3).labels_NL, kept.labels_NL)
    assert np.array_equal(keep_one(table.rows(np.array([4, 1])), 3).labels_NL, kept.labels_NL[[4, 1]])
    assert len({keep_one(table, seed).labels_NL.tobytes() for seed in range(8)}) > 1


def test_that_as_many_classes_are_expected_as_labels_have_and_one_more_where_there_is_a_single_one():
    assert num_expected_of(np.array([[1, -1, -1], [-1, 1, -1]], np.int8)) == 2
    assert num_expected_of(np.array([[1, 1, -1], [-1, 1, -1], [-1, -1, -1]], np.int8)) == 2
    assert num_expected_of(np.array([[1, 1, 1, 0], [-1, 1, 1, -1]], np.int8)) == 3
    assert num_expected_of(np.full((2, 3), -1, np.int8)) == 1


def test_that_boxes_are_those_of_true_regions_of_classes_that_are_there(dataset):
    box(dataset, 1, 1)
    box(dataset, 1, 1, origin=Origin.MODEL)
    box(dataset, 1, 2, Review.REJECTED)
    box(dataset, 2, 2, Review.PENDING, Origin.MODEL)
    box(dataset, 3, 3)
    say(dataset, ImageLabel(3, 3, Presence.NEGATIVE), ImageLabel(2, 2))
    found = read_boxes(dataset, read_labels(dataset))
    assert {row: list(of_image) for row, of_image in found.items()} == {0: [0]}
    assert found[0][0].shape == (2, 4)


def test_that_a_project_without_images_has_an_empty_table(tmp_path):
    with Dataset.create(create_project(tmp_path / "empty")) as opened:
        table = read_labels(opened)
    assert table.labels_NL.shape == (0, 0)
    assert len(table) == 0
