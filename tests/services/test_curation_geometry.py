"""Boxes that are rarely meant, and their fixes."""

from dataclasses import replace

import numpy as np
import pytest

from locstudio.domain.edits import add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Origin, Region, Review
from locstudio.services.curation import deciding
from locstudio.services.curation.geometry import GeometrySettings, Rule, rows_breaking
from locstudio.services.curation.geometry_fixes import fix
from locstudio.services.curation.pool import pool_after, read_pool
from locstudio.services.curation.view import Order, Wish, rows_of, visible

PLAIN = (0.3, 0.3, 0.7, 0.7)
ROWS = [
    (1, PLAIN, "a dog", 0.9),
    (1, (0.31, 0.3, 0.71, 0.7), "a dog", 0.5),  # drawn twice
    (1, (0.4, 0.4, 0.5, 0.5), "a dog", 0.95),  # inside
    (1, (0.31, 0.3, 0.71, 0.7), "a cat", 0.4),  # another name
    (2, (0.1, 0.5, 0.9, 0.52), "a fence", 0.9),  # 512 by 9.6 pixels
    (2, (0.5, 0.1, 0.51, 0.11), "a bee", 0.9),  # 6.4 by 4.8 pixels
    (3, (0.002, 0.3, 0.5, 1.0), "a tree", 0.9),  # 1.3 pixels from the left, on the border below
]
EXPECTED = {Rule.SLIVER: [4], Rule.TINY: [5], Rule.NESTED: [2], Rule.OUTSIDE: [6], Rule.DUPLICATE: [1]}


@pytest.fixture
def pool(project, dataset, make):
    make.add_pictures(dataset)
    make.vesl_run(project, ROWS)
    return read_pool(project, dataset)


@pytest.mark.parametrize("rule", Rule)
def test_that_each_rule_finds_what_breaks_it_and_nothing_else(pool, rule):
    assert rows_breaking(pool, rule).tolist() == EXPECTED[rule]


def test_that_a_rule_is_a_filter_of_the_view(pool):
    wish = Wish(min_score=0, max_overlap=1, order=Order.SCORE, rules=frozenset({Rule.TINY, Rule.SLIVER}))
    assert sorted(rows_of(pool, wish).tolist()) == [4, 5]
    assert rows_breaking(pool, Rule.SLIVER, GeometrySettings(max_aspect=100)).tolist() == []


def test_that_what_the_thresholds_hide_breaks_nothing_and_is_nobodys_other(pool):
    above = visible(pool, 0.92, 1)
    assert rows_breaking(pool, Rule.NESTED, among=above).tolist() == []
    assert rows_breaking(pool, Rule.DUPLICATE, among=above).tolist() == []


def test_that_of_two_drawings_the_persons_stays_whatever_the_scores(project, dataset, pool):
    own = Region(dataset.next_region_id(), 2, UnitBox(0.1, 0.5, 0.9, 0.521), "a fence", review=Review.PENDING)
    dataset.apply(add_regions([own]))
    again = Region(dataset.next_region_id(), 4, UnitBox(*PLAIN), "a fox", origin=Origin.IMPORTED, score=0.9)
    better = replace(again, id=dataset.next_region_id(), review=Review.ACCEPTED, score=0.1)
    dataset.apply(add_regions([again, better]))
    pool = read_pool(project, dataset)
    found = rows_breaking(pool, Rule.DUPLICATE)
    assert again.id in pool.region_ids[found]
    assert better.id not in pool.region_ids[found]
    assert own.id not in pool.region_ids[found]


@pytest.mark.parametrize("rule", [rule for rule in Rule if rule is not Rule.OUTSIDE])
def test_that_a_fix_rejects_in_one_undo_step_and_then_nothing_breaks_the_rule(dataset, pool, rule):
    edit = fix(dataset, pool, EXPECTED[rule], rule)
    dataset.apply(edit)
    assert edit.title == f"Reject {rule} box"
    assert rows_breaking(pool_after(pool, edit), rule).tolist() == []
    assert [change.after.origin for change in edit.changes] == [Origin.MODEL]
    dataset.undo()
    assert dataset.count_regions() == 0


def test_that_a_clamped_box_reaches_the_border_stays_a_models_and_waits_for_its_review(dataset, pool):
    (change,) = fix(dataset, pool, EXPECTED[Rule.OUTSIDE], Rule.OUTSIDE).changes
    assert change.after.box.as_tuple() == pytest.approx((0, 0.3, 0.5, 1), abs=1e-4)
    assert (change.after.origin, change.after.review) == (Origin.MODEL, Review.PENDING)


def test_that_a_fix_leaves_alone_what_a_person_made_unless_she_selected_it(project, dataset, pool):
    drawn = Region(dataset.next_region_id(), 4, UnitBox(0.1, 0.5, 0.9, 0.51), "a line", review=Review.ACCEPTED)
    locked = Region(dataset.next_region_id(), 4, UnitBox(0.001, 0.5, 0.9, 0.51), "", is_locked=True)
    dataset.apply(add_regions([drawn, locked]))
    pool = read_pool(project, dataset)
    rows = np.flatnonzero(np.isin(pool.region_ids, [drawn.id, locked.id]))
    assert fix(dataset, pool, rows, Rule.SLIVER).changes == ()
    assert len(fix(dataset, pool, rows, Rule.SLIVER, is_selected=True).changes) == 2
    assert fix(dataset, pool, rows, Rule.OUTSIDE, is_selected=True).changes == ()


def test_that_rejected_boxes_break_no_rule(dataset, pool):
    edit = deciding.reject(dataset, pool, [0, 4])
    dataset.apply(edit)
    pool = pool_after(pool, edit)
    assert rows_breaking(pool, Rule.SLIVER).tolist() == []
    assert 1 not in rows_breaking(pool, Rule.DUPLICATE)


def test_that_an_image_of_unknown_size_breaks_no_bounds(project, dataset, make):
    root = dataset.add_root(project.path)
    dataset.add_images([Image(0, root.id, "broken.jpg", 0, 0)])
    make.vesl_run(project, [(1, PLAIN, "a dog", 0.9)])
    pool = read_pool(project, dataset)
    assert len(pool.rows) == 1
    assert all(rows_breaking(pool, rule).tolist() == [] for rule in Rule)
