"""What differs between two checkpoints, and what a choice does to the dataset: one edit that can be undone."""

import time
from dataclasses import replace

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, Edit, add_regions, change_regions, delete_regions
from locstudio.domain.errors import UserError
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Origin, Region, Review
from locstudio.jobs.predictions import (
    Detections,
    GroundingPredictions,
    PredictionFolder,
    Predictions,
    RegionPredictions,
    Summary,
)
from locstudio.services.changes import changes_between, choice_edit, edit_for
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

CAT, DOG, COW = range(3)
LEFT, RIGHT, MIDDLE = UnitBox(0.1, 0.1, 0.4, 0.5), UnitBox(0.6, 0.1, 0.9, 0.5), UnitBox(0.35, 0.55, 0.65, 0.95)


class Scene:
    """A project of one image with a cat on the left, a dog on the right and an unnamed thing in the middle."""

    def __init__(self, folder):
        project = create_project(folder / "project")
        self.dataset = Dataset.create(project)
        root = self.dataset.add_root(folder)
        (self.image_id,) = self.dataset.add_images([Image(0, root.id, "a.jpg", 100, 100)])
        self.class_ids = [self.dataset.next_class_id() for _ in range(3)]
        labels = [LabelClass(key, name, "#123456") for key, name in zip(self.class_ids, NAMES, strict=True)]
        self.dataset.apply(Edit("Add classes", tuple(ClassChange(None, label) for label in labels)))
        self.cat = self.region(LEFT, CAT)
        self.dog = self.region(RIGHT, DOG, phrase="Dog")
        self.dataset.apply(add_regions([self.cat, self.dog]))
        self.folder = folder

    def region(self, box, row, **values):
        values = {"class_id": self.class_ids[row], "origin": Origin.IMPORTED, **values}
        return Region(self.dataset.next_region_id(), self.image_id, box, **values)

    def predictions(self, name, regions=(), grounding=(), detections=()):
        """What a checkpoint said: (region, true, found), (phrase row, found box, iou) and (box, class row, score)."""
        folder = PredictionFolder(self.folder / name)
        folder.write(
            Predictions(
                summary=Summary(checkpoint_id=f"cloc-{name}", name=name, logit_scale=10.0),
                classes=tuple(zip(self.class_ids, NAMES, strict=True)),
                phrases=("the cat", "the dog"),
                regions=self._named(regions) if regions else None,
                grounding=self._grounded(grounding) if grounding else None,
                detections=self._detected(detections),
            )
        )
        return folder

    def _named(self, rows):
        regions, true, found = zip(*rows, strict=True)
        scores = np.full((len(rows), 3), 0.1, np.float16)
        scores[np.arange(len(rows)), found] = 0.5
        return RegionPredictions(
            ints(*(region.id for region in regions)),
            ints(*(region.image_id for region in regions)),
            boxes(*(region.box for region in regions)),
            ints(*true),
            ints(*found),
            ints(*(int(one != other) for one, other in zip(true, found, strict=True))),
            np.arange(len(rows)) == 0,
            scores,
        )

    def _grounded(self, rows):
        phrases, found, ious = zip(*rows, strict=True)
        owners = [(self.cat, self.dog)[row] for row in phrases]
        return GroundingPredictions(
            ints(*(region.id for region in owners)),
            ints(*[self.image_id] * len(rows)),
            ints(*phrases),
            boxes(*(region.box for region in owners)),
            boxes(*found),
            np.array(ious, np.float32),
            np.full(len(rows), 0.3, np.float32),
            np.zeros(len(rows), np.bool_),
        )

    def _detected(self, rows):
        places, classes, scores = zip(*rows, strict=True) if rows else ((), (), ())
        return Detections(
            ints(*[self.image_id] * len(rows)),
            boxes(*places),
            ints(*classes),
            np.array(scores, np.float32),
            np.zeros(len(rows), np.bool_),
        )


NAMES = ("cat", "dog", "cow")


def ints(*values):
    return np.array(values, np.int64)


def boxes(*values):
    return np.array([box.as_tuple() for box in values], np.float32).reshape(-1, 4)


@pytest.fixture
def scene(tmp_path):
    scene = Scene(tmp_path)
    yield scene
    scene.dataset.close()


def changes(scene, old, new):
    return changes_between(scene.predictions("old", **old), scene.predictions("new", **new), scene.dataset)


def named(scene, cat_old, cat_new):
    """The one change where the cat is called differently."""
    rows = [(scene.cat, CAT, cat_old), (scene.dog, DOG, DOG)]
    new = [(scene.dog, DOG, DOG), (scene.cat, CAT, cat_new)]
    (change,) = changes(scene, {"regions": rows}, {"regions": new})
    return change


@pytest.mark.parametrize(("old", "new", "kind"), [(DOG, CAT, "fixed"), (CAT, DOG, "broken"), (DOG, COW, "renamed")])
def test_that_a_name_is_fixed_broken_or_another_wrong_one(scene, old, new, kind):
    change = named(scene, old, new)
    assert (change.kind, change.region_id, change.truth) == (kind, scene.cat.id, "cat")
    assert (change.old_name, change.new_name) == (NAMES[old], NAMES[new])
    assert (change.old_score, change.new_score) == (0.5, 0.5)
    assert change.key == f"name:{scene.cat.id}"
    assert change.is_held_out is False  # it stands second in the new one's table
    assert not change.is_outdated
    assert 0 < change.size <= 1


def test_that_the_size_is_the_change_of_the_right_names_share(scene):
    # One score of 0.5 and two of 0.1, times 10: shares e^4 / (e^4 + 2) and 1 / (e^4 + 2).
    whole = np.exp(4.0) + 2
    assert named(scene, DOG, CAT).size == pytest.approx((np.exp(4.0) - 1) / whole, rel=1e-2)


def test_that_regions_both_name_alike_are_no_change(scene):
    rows = [(scene.cat, CAT, DOG), (scene.dog, DOG, DOG)]
    assert changes(scene, {"regions": rows}, {"regions": rows}) == []


def test_that_nothing_measured_is_no_change(scene):
    assert changes(scene, {}, {"regions": [(scene.cat, CAT, CAT)]}) == []


def test_that_taking_a_new_name_is_one_step_and_undo_brings_the_old_one_back(scene):
    change = named(scene, CAT, COW)
    edit = edit_for(change, "new", scene.dataset)
    scene.dataset.apply(edit)
    (taken,) = scene.dataset.regions([scene.cat.id])
    assert (taken.class_id, taken.review, taken.origin) == (scene.class_ids[COW], Review.ACCEPTED, Origin.EDITED)
    scene.dataset.undo()
    assert scene.dataset.regions([scene.cat.id]) == [scene.cat]


def test_that_a_phrase_that_only_repeats_the_class_follows_it_and_another_stays(scene):
    (change,) = changes(scene, {"regions": [(scene.dog, DOG, DOG)]}, {"regions": [(scene.dog, DOG, COW)]})
    scene.dataset.apply(edit_for(change, "new", scene.dataset))
    assert scene.dataset.regions([scene.dog.id])[0].phrase == "cow"
    scene.dataset.undo()
    described = replace(scene.dog, phrase="the dog of my aunt")
    scene.dataset.apply(change_regions([(scene.dog, described)], "Describe"))
    scene.dataset.apply(edit_for(change, "new", scene.dataset))
    assert scene.dataset.regions([scene.dog.id])[0].phrase == "the dog of my aunt"


def test_that_keeping_the_old_and_what_is_right_already_need_no_edit(scene):
    assert edit_for(named(scene, CAT, DOG), "old", scene.dataset) is None
    assert edit_for(named(scene, DOG, CAT), "new", scene.dataset) is None


def test_that_a_deleted_region_is_refused_with_a_sentence_and_marked(scene):
    change = named(scene, CAT, DOG)
    scene.dataset.apply(delete_regions([scene.cat]))
    with pytest.raises(UserError, match="has been deleted since"):
        edit_for(change, "new", scene.dataset)
    assert named(scene, CAT, DOG).is_outdated


@pytest.mark.parametrize("values", [{"box": MIDDLE}, {"class_id": None}])
def test_that_a_region_changed_since_is_refused_with_a_sentence_and_marked(scene, values):
    change = named(scene, CAT, DOG)
    scene.dataset.apply(change_regions([(scene.cat, replace(scene.cat, **values))], "Change"))
    with pytest.raises(UserError, match="has been changed since"):
        edit_for(change, "new", scene.dataset)
    scene.dataset.undo()
    assert edit_for(change, "new", scene.dataset) is not None


def test_that_a_class_renamed_since_and_a_twin_of_its_name_are_no_conflict(scene):
    change = named(scene, CAT, DOG)
    cat, _, cow = scene.dataset.classes()
    scene.dataset.apply(Edit("Rename", (ClassChange(cat, replace(cat, name="kitten")),)))
    assert edit_for(change, "new", scene.dataset) is not None
    scene.dataset.undo()
    scene.dataset.apply(Edit("Rename", (ClassChange(cow, replace(cow, name="cat")),)))
    scene.dataset.apply(change_regions([(scene.cat, replace(scene.cat, class_id=cow.id))], "To the twin"))
    assert not named(scene, CAT, DOG).is_outdated
    assert edit_for(change, "new", scene.dataset) is not None


def test_that_a_choice_made_twice_is_refused_the_second_time(scene):
    change = named(scene, CAT, DOG)
    scene.dataset.apply(edit_for(change, "new", scene.dataset))
    with pytest.raises(UserError, match="has been changed since"):
        edit_for(change, "new", scene.dataset)


def test_that_a_locked_region_is_refused_with_a_sentence(scene):
    change = named(scene, CAT, DOG)
    scene.dataset.apply(change_regions([(scene.cat, replace(scene.cat, is_locked=True))], "Lock"))
    with pytest.raises(UserError, match="locked"):
        edit_for(change, "new", scene.dataset)


def test_that_a_retired_class_is_refused_with_a_sentence(scene):
    change = named(scene, CAT, COW)
    cow = scene.dataset.classes()[COW]
    scene.dataset.apply(Edit("Retire", (ClassChange(cow, replace(cow, is_retired=True)),)))
    with pytest.raises(UserError, match="“cow” has been retired"):
        edit_for(change, "new", scene.dataset)


IDS = {"old_id": "cloc-old", "new_id": "cloc-new"}


def test_that_a_choice_is_remembered_in_the_same_undo_step(scene):
    change = named(scene, CAT, COW)
    scene.dataset.apply(choice_edit(change, "new", scene.dataset, **IDS))
    assert scene.dataset.choices(*IDS.values()) == {change.key: "new"}
    assert scene.dataset.regions([scene.cat.id])[0].class_id == scene.class_ids[COW]
    assert choice_edit(change, "new", scene.dataset, **IDS) is None
    with pytest.raises(UserError, match="Undo that step"):
        choice_edit(change, "old", scene.dataset, **IDS)
    scene.dataset.undo()
    assert scene.dataset.choices(*IDS.values()) == {}
    assert scene.dataset.regions([scene.cat.id]) == [scene.cat]


def test_that_one_may_keep_the_old_and_later_take_the_new(scene):
    change = named(scene, CAT, COW)
    scene.dataset.apply(choice_edit(change, "old", scene.dataset, **IDS))
    assert scene.dataset.choices(*IDS.values()) == {change.key: "old"}
    assert scene.dataset.regions([scene.cat.id]) == [scene.cat]
    scene.dataset.apply(choice_edit(change, "new", scene.dataset, **IDS))
    assert scene.dataset.choices(*IDS.values()) == {change.key: "new"}
    scene.dataset.undo()
    assert scene.dataset.choices(*IDS.values()) == {change.key: "old"}


def test_that_a_choice_that_changed_nothing_can_be_changed(scene):
    change = named(scene, DOG, CAT)
    scene.dataset.apply(choice_edit(change, "new", scene.dataset, **IDS))
    scene.dataset.apply(choice_edit(change, "old", scene.dataset, **IDS))
    assert scene.dataset.choices(*IDS.values()) == {change.key: "old"}


NEAR_LEFT = UnitBox(0.1, 0.1, 0.4, 0.45)


@pytest.mark.parametrize(
    ("old", "new", "is_moved"),
    [
        ((RIGHT, 0.0), (NEAR_LEFT, 0.9), True),  # was wrong, is right
        ((LEFT, 1.0), (RIGHT, 0.0), True),  # the other way
        ((RIGHT, 0.0), (MIDDLE, 0.0), False),  # wrong at two places
        ((LEFT, 1.0), (NEAR_LEFT, 0.9), False),  # at the same place
    ],
)
def test_that_a_phrase_has_moved_if_one_of_two_places_is_right(scene, old, new, is_moved):
    found = changes(scene, {"grounding": [(0, *old), (1, RIGHT, 1.0)]}, {"grounding": [(0, *new), (1, RIGHT, 1.0)]})
    assert [change.kind for change in found] == ["moved"] * is_moved
    if is_moved:
        (change,) = found
        assert (change.region_id, change.truth) == (scene.cat.id, "the cat")
        assert np.allclose([change.box.as_tuple(), change.new_box.as_tuple()], boxes(old[0], new[0]))
        assert change.size == pytest.approx(abs(old[1] - new[1]))
        assert not change.is_outdated


def test_that_taking_a_new_place_moves_the_box_and_undo_moves_it_back(scene):
    (change,) = changes(scene, {"grounding": [(0, LEFT, 1.0)]}, {"grounding": [(0, MIDDLE, 0.0)]})
    assert change.edits_data
    assert edit_for(change, "old", scene.dataset) is None
    scene.dataset.apply(edit_for(change, "new", scene.dataset))
    assert scene.dataset.regions([scene.cat.id])[0].box == change.new_box
    with pytest.raises(UserError, match="has been changed since"):
        edit_for(change, "new", scene.dataset)
    scene.dataset.undo()
    assert scene.dataset.regions([scene.cat.id])[0].box == LEFT


def test_that_a_phrase_now_found_at_its_region_leaves_the_box_as_it_was_drawn(scene):
    (change,) = changes(scene, {"grounding": [(0, RIGHT, 0.0)]}, {"grounding": [(0, NEAR_LEFT, 0.9)]})
    assert not change.edits_data
    assert edit_for(change, "new", scene.dataset) is None


def test_that_a_thing_only_the_new_one_sees_can_be_added_once(scene):
    (change,) = changes(scene, {}, {"detections": [(MIDDLE, COW, 0.75)]})
    assert (change.kind, change.region_id, change.new_name, change.old_name) == ("new", None, "cow", "")
    assert (change.new_score, change.old_score, change.size) == (0.75, None, 0.75)
    scene.dataset.apply(edit_for(change, "new", scene.dataset))
    (added,) = (
        region for region in scene.dataset.regions_of(scene.image_id) if region.class_id == scene.class_ids[COW]
    )
    assert (added.review, added.origin, added.score) == (Review.ACCEPTED, Origin.MODEL, 0.75)
    with pytest.raises(UserError, match="There is a box of “cow” at this place already"):
        edit_for(change, "new", scene.dataset)
    scene.dataset.undo()
    assert len(scene.dataset.regions_of(scene.image_id)) == 2
    assert edit_for(change, "old", scene.dataset) is None


def test_that_a_thing_the_new_one_no_longer_sees_can_be_rejected(scene):
    (change,) = changes(scene, {"detections": [(NEAR_LEFT, CAT, 0.5)]}, {})
    assert (change.kind, change.region_id, change.truth) == ("vanished", scene.cat.id, "cat")
    assert change.new_box is None
    scene.dataset.apply(edit_for(change, "new", scene.dataset))
    assert scene.dataset.regions([scene.cat.id])[0].review is Review.REJECTED
    assert edit_for(change, "new", scene.dataset) is None
    scene.dataset.undo()
    assert scene.dataset.regions([scene.cat.id]) == [scene.cat]


def test_that_a_region_of_another_class_is_never_rejected_for_what_has_vanished(scene):
    (change,) = changes(scene, {"detections": [(NEAR_LEFT, DOG, 0.5)]}, {})
    assert (change.region_id, change.truth) == (None, "cat")
    assert edit_for(change, "new", scene.dataset) is None


def test_that_a_pending_region_that_the_new_one_sees_is_accepted(scene):
    (change,) = changes(scene, {}, {"detections": [(NEAR_LEFT, CAT, 0.5)]})
    scene.dataset.apply(edit_for(change, "new", scene.dataset))
    assert scene.dataset.regions([scene.cat.id]) == [replace(scene.cat, review=Review.ACCEPTED)]
    assert edit_for(change, "new", scene.dataset) is None


@pytest.mark.parametrize(
    ("old", "num_changes"),
    [
        ([(MIDDLE, COW, 0.25)], 0),  # the old one was not sure of it, but saw it
        ([(MIDDLE, CAT, 0.25)], 1),  # it saw something else there
        ([(RIGHT, COW, 0.25)], 1),  # it saw one elsewhere
    ],
)
def test_that_a_weak_detection_excuses_a_sure_one_of_its_class_and_place(scene, old, num_changes):
    assert len(changes(scene, {"detections": old}, {"detections": [(MIDDLE, COW, 0.75)]})) == num_changes


def test_that_a_region_whose_name_has_changed_is_listed_once(scene):
    old = {"regions": [(scene.cat, CAT, CAT)], "detections": [(LEFT, CAT, 0.6)]}
    new = {"regions": [(scene.cat, CAT, DOG)], "detections": [(LEFT, DOG, 0.6)]}
    assert [change.kind for change in changes(scene, old, new)] == ["broken"]


def test_that_the_biggest_change_comes_first_and_keys_are_stable(scene):
    old = {"grounding": [(0, RIGHT, 0.0), (1, RIGHT, 1.0)]}
    new = {"grounding": [(0, NEAR_LEFT, 0.9), (1, LEFT, 0.0)], "detections": [(MIDDLE, COW, 0.5)]}
    found = changes(scene, old, new)
    assert [round(change.size, 2) for change in found] == [1.0, 0.9, 0.5]
    assert [change.key for change in changes(scene, old, new)] == [change.key for change in found]
    assert len({change.key for change in found}) == 3


def test_that_a_phrase_only_one_was_asked_for_is_no_change(scene):
    assert changes(scene, {"grounding": [(0, RIGHT, 0.0)]}, {"grounding": [(1, RIGHT, 1.0)]}) == []


def test_that_ten_thousand_changes_are_listed(scene):
    root = scene.dataset.roots()[0]
    images = scene.dataset.add_images([Image(0, root.id, f"{number}.jpg", 100, 100) for number in range(500)])
    grid = [UnitBox(x / 10, y / 10, (x + 0.9) / 10, (y + 0.9) / 10) for y in (1, 5) for x in range(5)]
    added = [replace(scene.region(box, CAT), image_id=image_id) for image_id in images for box in grid]
    scene.dataset.apply(add_regions(added))
    old = scene.predictions("old", regions=[(region, CAT, CAT) for region in added])
    new = scene.predictions("new", regions=[(region, CAT, DOG) for region in added])
    seen = Detections(
        np.repeat(np.array(images, np.int64), 10),
        np.tile(boxes(*grid) + np.array([0, 0.2, 0, 0.2], np.float32), (500, 1)),
        np.full(5_000, COW, np.int64),
        np.full(5_000, 0.5, np.float32),
        np.zeros(5_000, np.bool_),
    )
    new.write(replace(new.read(), detections=seen))
    begun = time.process_time()
    found = changes_between(old, new, scene.dataset)
    print(f"{len(found)} changes in {time.process_time() - begun:.2f} s of CPU")
    assert [change.kind for change in found].count("broken") == 5_000
    assert [change.kind for change in found].count("new") == 5_000
