"""Decisions about the pool: what becomes of a raw proposal, and whose it is."""

from dataclasses import replace

import pytest

from locstudio.domain.edits import CaptionChange, ClassChange, Edit, RegionChange, add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Caption, LabelClass, Origin, Region, Review
from locstudio.jobs.raw_proposals import RawCaption
from locstudio.services.curation import deciding
from locstudio.services.curation.phrases import map_phrases, merge_phrases
from locstudio.services.curation.pool import pool_after, read_pool

LEFT, RIGHT = (0.1, 0.1, 0.4, 0.4), (0.6, 0.1, 0.9, 0.4)
RUN = "20260801T000000Z-vesl-aaaaaa"


@pytest.fixture
def pictured(dataset, make):
    make.add_pictures(dataset)
    return dataset


def two_proposals(make, project, captions=()):
    rows = [(1, LEFT, "dog", 0.9, 0, (2, 5)), (1, RIGHT, "cat", 0.5, 0, (12, 15))]
    make.vesl_run(project, rows if captions else [row[:4] for row in rows], captions=captions)


def test_that_an_accepted_proposal_stays_a_models_and_says_where_it_is_from(project, pictured, make):
    two_proposals(make, project)
    edit = deciding.accept(pictured, read_pool(project, pictured), [0])
    pictured.apply(edit)
    (region,) = pictured.regions_of(1)
    assert (region.review, region.origin, region.source, region.external_id) == (
        Review.ACCEPTED,
        Origin.MODEL,
        f"vesl:{RUN}",
        "0",
    )
    assert edit.title == "Accept box"
    assert region.is_ground_truth


def test_that_another_name_or_box_makes_it_edited(project, pictured, make):
    two_proposals(make, project)
    pool = read_pool(project, pictured)
    (relabelled,) = deciding.relabel(pictured, pool, [0], "wolf").changes
    (moved,) = deciding.move_boxes(pictured, pool, {1: UnitBox(*LEFT)}).changes
    assert (relabelled.after.origin, relabelled.after.review, relabelled.after.phrase) == (
        Origin.EDITED,
        Review.ACCEPTED,
        "wolf",
    )
    assert (moved.after.origin, moved.after.box) == (Origin.EDITED, UnitBox(*LEFT))
    # The name that was there already is no other name.
    (same,) = deciding.relabel(pictured, pool, [0], "dog").changes
    assert same.after.origin is Origin.MODEL


def test_that_a_pending_region_that_was_taken_in_is_no_ground_truth_until_it_is_accepted(project, pictured, make):
    two_proposals(make, project)
    pool = read_pool(project, pictured)
    edit = deciding.take_in(pictured, pool, pool.rows)
    assert edit.title == "Take in 2 boxes"
    pictured.apply(edit)
    assert [region.is_ground_truth for region in pictured.regions_of(1)] == [False, False]
    pool = pool_after(pool, edit)
    assert deciding.take_in(pictured, pool, pool.rows).changes == ()
    accepted = deciding.accept(pictured, pool, pool.rows)
    assert [change.before.review for change in accepted.changes] == [Review.PENDING, Review.PENDING]
    back = deciding.to_pending(pictured, pool, pool.rows)
    assert back.changes == ()


def test_that_a_decision_follows_a_rule_that_was_made_after_the_pool_was_read(project, pictured, make):
    two_proposals(make, project)
    animal = LabelClass(pictured.next_class_id(), "animal", "#3366cc")
    pool = read_pool(project, pictured)
    pictured.apply(Edit("Class", (ClassChange(None, animal),)))
    pictured.apply(merge_phrases(pictured, ["dog"], "hound"))
    pictured.apply(map_phrases(pictured, {"hound": animal.id}))
    accepted, other = deciding.accept(pictured, pool, [0, 1]).changes
    assert (accepted.after.phrase, accepted.after.class_id) == ("hound", animal.id)
    assert (other.after.phrase, other.after.class_id) == ("cat", None)


def test_that_a_class_that_came_with_the_old_words_goes_with_them(project, pictured, make):
    two_proposals(make, project)
    dog, wolf = (LabelClass(pictured.next_class_id(), name, "#3366cc") for name in ("Dog", "Wolf"))
    pictured.apply(Edit("Classes", (ClassChange(None, dog), ClassChange(None, wolf))))
    pool = read_pool(project, pictured)

    def relabelled(*words):
        (change,) = deciding.relabel(pictured, pool, [0], *words).changes
        return change.after.phrase, change.after.class_id

    assert relabelled("a fox") == ("a fox", None)
    assert relabelled("a wolf") == ("a wolf", wolf.id)
    assert relabelled("a fox", wolf.id) == ("a fox", wolf.id)
    assert relabelled("dog") == ("dog", dog.id)
    pictured.apply(deciding.relabel(pictured, pool, [0], None, wolf.id))
    assert relabelled("a fox") == ("a fox", wolf.id)  # a person gave it


def test_that_what_another_window_decided_meanwhile_is_not_made_twice(project, pictured, make):
    two_proposals(make, project)
    stale = read_pool(project, pictured)
    pictured.apply(deciding.reject(pictured, stale, [0]))
    pictured.apply(deciding.accept(pictured, stale, [0]))
    (region,) = pictured.regions_of(1)
    assert region.review is Review.ACCEPTED
    assert deciding.accept(pictured, stale, [0]).changes == ()


def test_that_regions_that_are_gone_meanwhile_are_passed_over(project, pictured):
    region = Region(pictured.next_region_id(), 1, UnitBox(*LEFT), "dog")
    pictured.apply(add_regions([region]))
    pool = read_pool(project, pictured)
    pictured.undo()
    assert deciding.reject(pictured, pool, pool.rows).changes == ()


def test_that_a_locked_region_keeps_its_words_and_place_but_may_be_reviewed(project, pictured):
    region = Region(pictured.next_region_id(), 1, UnitBox(*LEFT), "dog", is_locked=True)
    pictured.apply(add_regions([region]))
    pool = read_pool(project, pictured)
    assert deciding.relabel(pictured, pool, pool.rows, "cat").changes == ()
    assert deciding.move_boxes(pictured, pool, {int(pool.rows[0]): UnitBox(*RIGHT)}).changes == ()
    assert len(deciding.accept(pictured, pool, pool.rows).changes) == 1


def test_that_a_class_can_be_given_and_taken_away(project, pictured, make):
    two_proposals(make, project)
    cat = LabelClass(pictured.next_class_id(), "cat", "#ff0000")
    pictured.apply(Edit("Class", (ClassChange(None, cat),)))
    pool = read_pool(project, pictured)
    edit = deciding.relabel(pictured, pool, [1], class_id=cat.id)
    pictured.apply(edit)
    (region,) = pictured.regions_of(1)
    assert (region.phrase, region.class_id) == ("cat", cat.id)
    (change,) = deciding.relabel(pictured, pool_after(pool, edit), [1], class_id=0).changes
    assert change.after.class_id is None


def test_that_a_caption_the_run_has_made_comes_with_the_first_box_that_needs_it(project, pictured, make):
    said = RawCaption(id=0, image_id=1, text="A dog and a cat.", origin=Origin.MODEL, source="classes")
    two_proposals(make, project, (said,))
    pool = read_pool(project, pictured)
    first = deciding.accept(pictured, pool, [0])
    pictured.apply(first)
    (caption,) = pictured.captions_of(1)
    assert (caption.text, caption.origin, caption.source) == (said.text, Origin.MODEL, f"vesl:{RUN}")
    pool = pool_after(pool, first)
    second = deciding.accept(pictured, pool, [1])
    assert not any(isinstance(change, CaptionChange) for change in second.changes)
    pictured.apply(second)
    dog, cat = pictured.regions_of(1)
    assert (dog.caption_id, cat.caption_id) == (caption.id, caption.id)
    assert caption.text[slice(*cat.caption_span)] == "cat"
    pictured.undo()
    pictured.undo()
    assert pictured.captions_of(1) == []
    both = deciding.accept(pictured, read_pool(project, pictured), [0, 1])
    assert sum(isinstance(change, CaptionChange) for change in both.changes) == 1


def test_that_a_caption_that_was_edited_since_is_pointed_into_where_the_words_are_now(project, pictured, make):
    caption = Caption(pictured.next_caption_id(), 1, "A dog and a cat.")
    pictured.apply(Edit("Caption", (CaptionChange(None, caption),)))
    two_proposals(make, project, (RawCaption(id=caption.id, image_id=1, text=caption.text, origin=Origin.IMPORTED),))
    other = replace(caption, text="There is a dog.")
    pictured.apply(Edit("Edit caption", (CaptionChange(caption, other),)))
    pool = read_pool(project, pictured)
    dog, cat = (change.after for change in deciding.accept(pictured, pool, [0, 1]).changes)
    assert other.text[slice(*dog.caption_span)] == "dog"
    assert (cat.caption_id, cat.caption_span) == (caption.id, None)
    pictured.apply(Edit("Remove caption", (CaptionChange(other, None),)))
    assert deciding.accept(pictured, pool, [0]).changes[0].after.caption_id is None


def test_that_a_caption_of_another_image_in_a_strangers_run_is_not_believed(project, pictured, make):
    caption = Caption(pictured.next_caption_id(), 2, "A dog and a cat.")
    pictured.apply(Edit("Caption", (CaptionChange(None, caption),)))
    two_proposals(make, project, (RawCaption(id=caption.id, image_id=1, text=caption.text, origin=Origin.IMPORTED),))
    (change,) = deciding.accept(pictured, read_pool(project, pictured), [0]).changes
    assert isinstance(change, RegionChange)
    assert (change.after.caption_id, change.after.caption_span) == (None, None)
