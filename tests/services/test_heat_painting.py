"""What is painted on heatmaps, wiped off, and taken from them as boxes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locstudio.domain.edits import ClassChange, Edit, LabelChange
from locstudio.domain.errors import UserError
from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke, coverage
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Image, LabelClass, Origin, Review
from locstudio.services.heat.book import HeatBook
from locstudio.services.heat.deciding import say, say_of_many
from locstudio.services.heat.painting import clear, corrections_on, erase, paint, region_from_heat

DOG = 1
ACROSS = Stroke(((0.1, 0.5), (0.9, 0.5)), 0.05)


@pytest.fixture
def image(dataset, make):
    make.add_pictures(dataset)
    dataset.apply(Edit("Class", (ClassChange(None, LabelClass(dataset.next_class_id(), "dog", "#ff0000")),)))
    return dataset.image(1)


def painted(dataset, image, kind=Evidence.ADD, stroke=ACROSS):
    edit = paint(image, DOG, kind, stroke, new_id=dataset.next_correction_id(), checkpoint_id="c")
    dataset.apply(edit)
    return edit


def test_that_a_stroke_shows_at_once_and_its_undo_leaves_the_heat_as_it_was(project, dataset, image, heat):
    heat.heat_run(project, [1, 2], [(DOG, "dog")], [[0.2], [0.2]])
    book = HeatBook.open(project, dataset)
    painted(dataset, image)
    row = book.image(image).of_class(DOG)
    assert row.map_WW[6:8, 3].min() == 255
    assert not row.raw_WW.any()
    assert row.presence is Presence.POSITIVE
    assert [each.checkpoint_id for each in row.corrections] == ["c"]
    assert np.array_equal(book.heat_of(image, DOG), row.map_WW)
    assert np.array_equal(book.maps_of([(image, DOG), (dataset.image(2), DOG)])[0], row.map_WW)
    dataset.undo()
    assert not book.image(image).of_class(DOG).map_WW.any()


def test_that_an_eraser_parts_a_stroke_where_it_went(dataset, image):
    painted(dataset, image)
    edit = erase(image, DOG, Stroke(((0.5, 0.2), (0.5, 0.8)), 0.08), corrections_on(dataset, 1, DOG))
    dataset.apply(edit)
    (left,) = corrections_on(dataset, 1, DOG)
    assert len(left.strokes) == 2
    covered = coverage(left.strokes, 14, (640, 480))
    assert covered[6:8, 3].min() == 1
    assert covered[:, 6:8].max() == 0
    dataset.undo()
    assert corrections_on(dataset, 1, DOG)[0].strokes == (ACROSS,)


def test_that_an_eraser_takes_all_of_a_dab_and_nothing_of_what_it_does_not_touch(dataset, image):
    painted(dataset, image, stroke=Stroke(((0.2, 0.2),), 0.05))
    painted(dataset, image, Evidence.REMOVE, Stroke(((0.8, 0.8),), 0.05))
    edit = erase(image, DOG, Stroke(((0.22, 0.2),), 0.02), corrections_on(dataset, 1, DOG))
    assert [change.after for change in edit.changes] == [None]
    dataset.apply(edit)
    assert [each.kind for each in corrections_on(dataset, 1, DOG)] == [Evidence.REMOVE]
    assert erase(image, DOG, Stroke(((0.5, 0.5),), 0.02), corrections_on(dataset, 1, DOG)).changes == ()
    assert erase(image, 99, Stroke(((0.8, 0.8),), 0.5), corrections_on(dataset, 1, DOG)).changes == ()
    dataset.apply(clear(image, DOG, corrections_on(dataset, 1, DOG)))
    assert corrections_on(dataset, 1, DOG) == []


def test_that_a_brush_is_round_in_the_picture_when_it_is_wiped_too(dataset, make):
    make.add_pictures(dataset)
    wide = replace(dataset.image(1), width=800, height=200)
    # In a picture of 4:1 a distance of 0.4 in y is a tenth of the longer side.
    stroke = Stroke(((0.5, 0.5),), 0.03)
    correction = paint(wide, DOG, Evidence.ADD, stroke, new_id=1).changes[0].after
    assert erase(wide, DOG, Stroke(((0.5, 0.9),), 0.09), [correction]).changes
    assert not erase(wide, DOG, Stroke(((0.9, 0.5),), 0.09), [correction]).changes


PLACES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4).map(tuple)
BRUSHES = st.builds(Stroke, PLACES, st.floats(0.03, 0.2))
PICTURE = Image(1, 1, "1.jpg", 640, 480)


@settings(max_examples=30, deadline=None)
@given(BRUSHES, BRUSHES)
def test_that_no_paint_is_left_under_the_eraser_and_none_is_added(stroke, eraser):
    correction = HeatCorrection(1, 1, DOG, Evidence.ADD, (stroke,))
    edit = erase(PICTURE, DOG, eraser, [correction])
    after = edit.changes[0].after if edit.changes else correction
    left = coverage(after.strokes if after else (), 14, (640, 480))
    # Lines are cut at points a quarter of the brush apart, which leaves a hair.
    under = coverage([replace(eraser, radius=eraser.radius - 0.015)], 14, (640, 480))
    assert left[under == 1].max(initial=0) == 0
    assert np.all(left <= coverage([stroke], 14, (640, 480)) + 0.13)


def test_that_a_long_stroke_keeps_its_shape_without_points_that_its_brush_cannot_tell(image):
    points = tuple((0.1 + 0.8 * n / 9999, 0.5) for n in range(10_000))
    correction = paint(image, DOG, Evidence.ADD, Stroke(points, 0.05), new_id=1).changes[0].after
    (kept,) = correction.strokes
    assert len(kept.points) < 200
    assert np.allclose(coverage([kept], 14, (640, 480)), coverage([ACROSS], 14, (640, 480)), atol=0.1)


def test_that_a_box_from_heat_is_a_person_s_own_and_takes_back_a_denial(dataset, image):
    dataset.apply(say(dataset, 1, DOG, Presence.NEGATIVE))
    edit = region_from_heat(dataset, image, DOG, [UnitBox(0.1, 0.1, 0.5, 0.5)])
    dataset.apply(edit)
    (region,) = dataset.regions_of(1)
    assert (region.class_id, region.origin, region.review) == (DOG, Origin.HUMAN, Review.ACCEPTED)
    assert dataset.labels_of(1) == []
    dataset.undo()
    assert dataset.regions_of(1) == []
    assert dataset.labels_of(1)[0].presence is Presence.NEGATIVE


def test_that_what_has_a_box_is_not_said_to_be_absent(dataset, image):
    dataset.apply(region_from_heat(dataset, image, DOG, [UnitBox(0.1, 0.1, 0.5, 0.5)]))
    with pytest.raises(UserError, match="dog has a box in this image"):
        say(dataset, 1, DOG, Presence.NEGATIVE)
    edit = say_of_many(dataset, [(1, DOG), (2, DOG)], Presence.NEGATIVE)
    assert [change.after.image_id for change in edit.changes] == [2]


def test_that_a_person_s_word_goes_over_a_file_s_and_is_taken_back_to_nothing(dataset, image):
    imported = ImageLabel(1, DOG, Presence.POSITIVE, Origin.IMPORTED, source="labels.csv")
    dataset.apply(Edit("Import", (LabelChange(None, imported),)))
    dataset.apply(say(dataset, 1, DOG, Presence.POSITIVE))
    assert dataset.labels_of(1) == [ImageLabel(1, DOG)]
    assert say(dataset, 1, DOG, Presence.POSITIVE).changes == ()
    edit = say(dataset, 1, DOG, Presence.UNKNOWN)
    assert edit.title == "Mark dog unknown"
    dataset.apply(edit)
    assert dataset.labels_of(1) == []
    assert say(dataset, 1, DOG, Presence.UNKNOWN).changes == ()
    many = say_of_many(dataset, [(1, DOG), (2, DOG), (1, DOG)], Presence.POSITIVE, scores=[0.1, 0.2, 2.0], source="c")
    assert [change.after.score for change in many.changes] == [1.0, 0.2]
