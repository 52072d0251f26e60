"""An edit and its inverse are the same kind of value."""

from dataclasses import replace

from locstudio.domain.edits import add_regions, change_regions, touched
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Origin, Region, Review

REGION = Region(id=7, image_id=3, box=UnitBox(0.1, 0.1, 0.5, 0.5), phrase="a dog", origin=Origin.MODEL)


def test_that_the_inverse_of_the_inverse_is_the_edit():
    moved = replace(REGION, box=UnitBox(0.2, 0.2, 0.6, 0.6))
    edit = change_regions([(REGION, moved)], "Move box")
    assert edit.inverse() != edit
    assert edit.inverse().inverse() == edit


def test_that_the_inverse_takes_several_changes_back_in_reverse_order():
    other = replace(REGION, id=8)
    inverse = add_regions([REGION, other]).inverse()
    assert [change.before.id for change in inverse.changes] == [8, 7]
    assert all(change.after is None for change in inverse.changes)


def test_that_nothing_changed_is_an_empty_edit():
    assert change_regions([(REGION, REGION)], "Move box").changes == ()


def test_that_moving_a_proposed_box_makes_it_edited_and_accepting_it_does_not():
    accepted = replace(REGION, review=Review.ACCEPTED)
    moved = replace(REGION, box=UnitBox(0.2, 0.2, 0.6, 0.6), review=Review.ACCEPTED)
    assert touched(REGION, accepted).origin is Origin.MODEL
    assert touched(REGION, moved).origin is Origin.EDITED


def test_that_another_box_drops_the_mask_and_the_inverse_brings_it_back():
    masked = replace(REGION, mask="[[1,2,3,4,5,6]]")
    moved = replace(masked, box=UnitBox(0.2, 0.2, 0.6, 0.6))
    edit = change_regions([(masked, moved)], "Move box")
    assert edit.changes[0].after.mask is None
    assert edit.inverse().changes[0].after == masked


def test_that_a_mask_stays_with_its_box_and_comes_with_a_new_one():
    masked = replace(REGION, mask="[[1,2,3,4,5,6]]")
    assert touched(masked, replace(masked, phrase="a cat")).mask == masked.mask
    resegmented = replace(masked, box=UnitBox(0.2, 0.2, 0.6, 0.6), mask="[[6,5,4,3,2,1]]")
    assert touched(masked, resegmented).mask == resegmented.mask
