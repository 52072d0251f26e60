"""What is expected and not labelled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locstudio.domain.edits import ClassChange, Edit, LabelChange, add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import Evidence, Stroke
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Image, LabelClass, Origin, Region, Review
from locstudio.services.heat import worklist
from locstudio.services.heat.book import HeatBook
from locstudio.services.heat.deciding import say_of_many
from locstudio.services.heat.known import read_known
from locstudio.services.heat.painting import paint
from locstudio.services.heat.shapes import box_of_peak
from locstudio.services.heat.turns import Order, first, in_turns
from locstudio.services.heat.worklist import expected

NAMES = ("bus", "bicycle", "dog")
BUS, BICYCLE, DOG = 1, 2, 3


@pytest.fixture
def classes(dataset, make):
    """Four images and three classes; the bus is known to be in the first two images."""
    make.add_pictures(dataset)
    made = [LabelClass(dataset.next_class_id(), name, "#ff0000") for name in NAMES]
    dataset.apply(Edit("Classes", tuple(ClassChange(None, entry) for entry in made)))
    labels = [ImageLabel(image_id, BUS) for image_id in (1, 2)]
    dataset.apply(Edit("Labels", tuple(LabelChange(None, label) for label in labels)))
    return [(entry.id, entry.name) for entry in made]


@pytest.fixture
def book(project, dataset, classes, heat):
    """A bicycle is seen in image 1 beside the bus, and in image 2 only where the bus is; a dog hardly anywhere."""
    averages = [[0.9, 0.6, 0.1], [0.9, 0.6, 0.1], [0.2, 0.1, 0.8], [0.1, 0.1, 0.1]]
    maps = {
        (1, BUS): heat.spot(14, 4, 4),
        (1, BICYCLE): heat.spot(14, 10, 10, 180),
        (2, BUS): heat.spot(14, 4, 4),
        (2, BICYCLE): heat.spot(14, 4, 4, 180),
        (3, DOG): heat.spot(14, 7, 7, 200),
    }
    heat.heat_run(project, [1, 2, 3, 4], classes, averages, maps=maps, keys={2: maps, 3: maps})
    return HeatBook.open(project, dataset)


def pairs(book, dataset, min_score=0.1, **wishes):
    found = expected(book, read_known(book.heatmaps, dataset), min_score=min_score, **wishes)
    return list(zip(found.image_ids.tolist(), found.class_ids.tolist(), strict=True))


def test_that_what_is_seen_and_not_labelled_comes_first_where_no_known_class_is_seen(book, dataset):
    assert pairs(book, dataset) == [(3, DOG), (1, BICYCLE), (2, BICYCLE)]
    found = expected(book, read_known(book.heatmaps, dataset), min_score=0.1)
    assert found.owns.tolist() == pytest.approx([1, 1, 0], abs=0.01)
    assert found.agreements.tolist() == pytest.approx([1, 1, 1], abs=1e-3)
    # The root of average and peak, and a quarter of it where all the heat is that of the bus as well.
    bicycle = (0.6 * 180 / 255) ** 0.5
    assert found.scores.tolist() == pytest.approx([(0.8 * 200 / 255) ** 0.5, bicycle, bicycle / 4], abs=0.01)
    for item in (found.item(row) for row in range(3)):
        row = book.image(dataset.image(item.image_id)).of_class(item.class_id)
        assert row.expected == pytest.approx(item.score, abs=1e-4)
    item = found.item(1)
    assert (item.key, item.average, item.peak) == ("1:2", pytest.approx(0.6), pytest.approx(180 / 255))
    assert item.box is not None
    assert (item.box.x0 + item.box.x1) / 2 == pytest.approx(10.5 / 14)


def test_that_a_decision_takes_it_from_the_list_and_its_undo_brings_it_back(book, dataset):
    known = read_known(book.heatmaps, dataset)
    found = expected(book, known, min_score=0.1)
    edit = say_of_many(dataset, [(3, DOG)], Presence.NEGATIVE, scores=[found.item(0).score], source=book.checkpoint_id)
    assert edit.title == "Deny dog"
    inverse = dataset.apply(edit)
    assert dataset.labels_of(3) == [
        ImageLabel(3, DOG, Presence.NEGATIVE, Origin.HUMAN, pytest.approx(0.792, abs=1e-3), book.checkpoint_id)
    ]
    after = known.after(edit, book.heatmaps, dataset)
    assert np.array_equal(after.presence_NL, read_known(book.heatmaps, dataset).presence_NL)
    assert pairs(book, dataset) == [(1, BICYCLE), (2, BICYCLE)]
    dataset.apply(say_of_many(dataset, [(1, BICYCLE), (2, BICYCLE)], Presence.POSITIVE))
    assert pairs(book, dataset) == []
    assert dataset.history()[0].title == "Add bicycle in 2 images"
    dataset.undo()
    dataset.apply(inverse)
    assert pairs(book, dataset) == [(3, DOG), (1, BICYCLE), (2, BICYCLE)]


def test_that_a_box_that_counts_as_true_is_a_word_about_its_class(book, dataset):
    box = UnitBox(0.1, 0.1, 0.4, 0.4)
    proposed = Region(dataset.next_region_id(), 3, box, class_id=DOG, origin=Origin.MODEL, review=Review.PENDING)
    dataset.apply(add_regions([proposed]))
    assert (3, DOG) in pairs(book, dataset)
    known = read_known(book.heatmaps, dataset)
    edit = add_regions([Region(dataset.next_region_id(), 3, box, class_id=DOG)])
    dataset.apply(edit)
    assert (3, DOG) not in pairs(book, dataset)
    assert (
        known.after(edit, book.heatmaps, dataset).presence_NL.tolist()
        == read_known(book.heatmaps, dataset).presence_NL.tolist()
    )


def test_that_the_limit_keeps_the_surest_and_the_least_score_is_kept_to(book, dataset):
    assert pairs(book, dataset, limit=1) == [(3, DOG)]
    known = read_known(book.heatmaps, dataset)
    assert expected(book, known, min_score=0.1, limit=1).num_found == 3
    assert pairs(book, dataset, min_score=0.7) == [(3, DOG)]
    assert pairs(book, dataset, min_score=1) == []
    assert pairs(book, dataset, class_id=BICYCLE) == [(1, BICYCLE), (2, BICYCLE)]
    assert len(expected(book, known, min_score=0)) == 10  # everything of which nothing was said


def test_that_what_was_painted_out_is_expected_no_longer_and_comes_back_when_the_paint_goes(book, dataset):
    image = dataset.image(3)
    stroke = Stroke(((0.53, 0.53),), 0.3)
    dataset.apply(paint(image, DOG, Evidence.REMOVE, stroke, new_id=dataset.next_correction_id()))
    assert pairs(book, dataset) == [(1, BICYCLE), (2, BICYCLE)]
    dataset.undo()
    assert (3, DOG) in pairs(book, dataset)
    spill = Stroke(((0.6, 0.53),), 0.05)
    dataset.apply(paint(image, DOG, Evidence.REMOVE, spill, new_id=dataset.next_correction_id()))
    found = expected(book, read_known(book.heatmaps, dataset))
    box = found.item(found.row_of(3, DOG)).box
    raw = book.heatmaps.map_of(3, DOG)
    assert box.x1 < box_of_peak(raw).x1


def test_that_a_score_is_the_share_of_labelled_classes_that_are_no_hotter(project, dataset, heat):
    root = dataset.add_root(project.path / "images")
    dataset.add_images([Image(0, root.id, f"{n}.jpg", 8, 8) for n in range(40)])
    dataset.apply(Edit("Class", (ClassChange(None, LabelClass(dataset.next_class_id(), "bus", "#ff0000")),)))
    # Of 39 images with a bus, told to the run, each is a little hotter; the last image is as hot as the middle one.
    averages = np.append(np.linspace(0.02, 0.4, 39), 0.21)[:, None]
    labels = np.append(np.ones(39), -1)[:, None]
    dataset.apply(Edit("Labels", tuple(LabelChange(None, ImageLabel(n, BUS)) for n in range(1, 40))))
    maps = {(n, BUS): heat.spot(14, 7, 7) for n in range(1, 41)}
    heat.heat_run(project, range(1, 41), [(BUS, "bus")], averages, maps=maps, labels_NL=labels)
    book = HeatBook.open(project, dataset)
    found = expected(book, read_known(book.heatmaps, dataset))
    assert found.image_ids.tolist() == [40]
    assert found.scores.tolist() == pytest.approx([0.5], abs=0.03)
    assert book.scale.heat_at(0.5) == pytest.approx(0.21**0.5, abs=0.01)
    assert book.scale.score(np.array([0, 2])).tolist() == [0, 1]


@pytest.fixture(params=[0, 2], ids=["all maps", "slots"])
def crowded(project, dataset, heat, request):
    """A bus is seen in all of 40 images, the later the surer; a dog in two, and a bicycle in one, both hardly."""
    root = dataset.add_root(project.path / "images")
    dataset.add_images([Image(0, root.id, f"{n}.jpg", 8, 8) for n in range(40)])
    made = [LabelClass(dataset.next_class_id(), name, "#ff0000") for name in NAMES]
    dataset.apply(Edit("Classes", tuple(ClassChange(None, entry) for entry in made)))
    averages = np.zeros((40, 3))
    averages[:, 0] = np.linspace(0.5, 0.9, 40)
    averages[6, 1], averages[[3, 8], 2] = 0.2, (0.3, 0.1)
    maps = {(n, class_id): heat.spot(14, 7, 7) for n in range(1, 41) for class_id in (BUS, BICYCLE, DOG)}
    names = [(entry.id, entry.name) for entry in made]
    heat.heat_run(project, range(1, 41), names, averages, maps=maps, num_slots=request.param)
    return HeatBook.open(project, dataset)


TURNS = [(40, BUS), (4, DOG), (7, BICYCLE), (39, BUS), (9, DOG), (38, BUS)]


def test_that_classes_take_turns_the_surest_first_in_each(crowded, dataset):
    assert pairs(crowded, dataset)[:6] == TURNS
    assert pairs(crowded, dataset, limit=4) == TURNS[:4]
    assert pairs(crowded, dataset, min_score=0.5, limit=4) == [(40, BUS), (4, DOG), (39, BUS), (38, BUS)]
    assert pairs(crowded, dataset, order=Order.SCORE, limit=2) == [(40, BUS), (39, BUS)]
    assert len(pairs(crowded, dataset)) == len(pairs(crowded, dataset, order=Order.SCORE)) == 43
    assert pairs(crowded, dataset, class_id=DOG) == [(4, DOG), (9, DOG)]


def test_that_a_rare_class_has_its_turn_also_where_more_is_hot_than_can_be_looked_at(crowded, dataset, monkeypatch):
    monkeypatch.setattr(worklist, "_MAX_POOL", 8)
    monkeypatch.setattr(worklist, "_MIN_POOL", 6)
    monkeypatch.setattr(worklist, "_BLOCK", 12)  # four images at once
    assert pairs(crowded, dataset, limit=3) == TURNS[:3]
    assert pairs(crowded, dataset, order=Order.SCORE, limit=3) == [(40, BUS), (39, BUS), (38, BUS)]


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(0, 30))
def test_that_in_turns_every_class_gives_its_next_row_before_any_gives_another(classes, num):
    classes_M = np.array(classes, np.int64)
    falling_M = np.arange(len(classes))
    turns = [classes[:row].count(classes[row]) for row in in_turns(falling_M, classes_M)]
    assert turns == sorted(turns)
    by_hand = sorted(range(len(classes)), key=lambda row: (classes[:row].count(classes[row]), row))
    assert in_turns(falling_M, classes_M).tolist() == by_hand
    best = first(num, -falling_M.astype(np.float32), classes_M, Order.TURNS)
    assert sorted(best) == sorted(by_hand[:num])
