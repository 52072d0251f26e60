"""Fix the identical mistakes together."""

import numpy as np
import pytest

from locstudio.domain.edits import RegionChange
from locstudio.domain.regions import Origin, Review
from locstudio.services.curation import deciding
from locstudio.services.curation.likewise import find_alike, fix_alike
from locstudio.services.curation.measures import ItemVectors
from locstudio.services.curation.pool import pool_after, read_pool
from locstudio.services.curation.view import visible

COW, HORSE, GRASS = (1.0, 0.0, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0)


@pytest.fixture
def pool(project, dataset, make):
    """Six cows and six horses that are all called cows, in much grass."""
    make.add_pictures(dataset, 40)
    rng = np.random.default_rng(1)

    def row(image_id, place, phrase, vector, score=0.6):
        x = 0.08 * place
        noisy = tuple((np.array(vector) + rng.normal(0, 0.03, 3)).tolist())
        return (image_id, (x, 0.1, x + 0.07, 0.5), phrase, score, -1, (0, 0), noisy)

    rows = [row(1, n, "a cow", COW) for n in range(6)]
    rows += [row(2, n, "a cow", HORSE) for n in range(6)]
    rows += [row(3, n, "a cow", HORSE, score=0.05) for n in range(2)]
    rows += [row(4 + n // 10, n % 10, "grass", GRASS) for n in range(200)]
    make.vesl_run(project, rows, checkpoint_id="mine")
    return read_pool(project, dataset)


def corrected(dataset, pool, edit):
    dataset.apply(edit)
    return pool_after(pool, edit)


def test_that_only_what_looks_the_same_under_the_wrong_name_is_found(dataset, pool):
    pool = corrected(dataset, pool, deciding.accept(dataset, pool, [0]))
    pool = corrected(dataset, pool, deciding.relabel(dataset, pool, [6], "a horse"))
    alike = find_alike(pool, ItemVectors(pool, "mine"), 6, "a cow", None, "a horse")
    assert set(alike.rows.tolist()) == {7, 8, 9, 10, 11, 12, 13}
    assert (np.diff(alike.scores) <= 0).all()
    assert (alike.scores >= alike.cut).all()
    above = find_alike(
        pool, ItemVectors(pool, "mine"), 6, "a cow", None, "a horse", among=visible(pool, min_score=0.2, max_overlap=1)
    )
    assert set(above.rows.tolist()) == {7, 8, 9, 10, 11}


def test_that_without_a_confirmed_cow_the_cut_alone_decides_and_the_rest_is_there_to_be_looked_at(dataset, pool):
    pool = corrected(dataset, pool, deciding.relabel(dataset, pool, [6], "a horse"))
    alike = find_alike(pool, ItemVectors(pool, "mine"), 6, "a cow", None, "a horse")
    assert set(range(7, 14)) <= set(alike.rows.tolist())
    assert not set(alike.rows.tolist()) & set(alike.more_rows.tolist())
    assert 6 not in alike.rows


def test_that_they_are_fixed_as_one_undo_step_and_are_a_persons_correction(dataset, pool):
    pool = corrected(dataset, pool, deciding.relabel(dataset, pool, [6], "a horse"))
    edit = fix_alike(dataset, pool, [7, 8, 9], "a horse")
    assert edit.title == "Fix 3 identical mistakes"
    before = dataset.region_page()
    dataset.apply(edit)
    fixed = [change.after for change in edit.changes if isinstance(change, RegionChange)]
    assert {(region.phrase, region.origin, region.review) for region in fixed} == {
        ("a horse", Origin.EDITED, Review.ACCEPTED)
    }
    dataset.undo()
    assert dataset.region_page() == before


def test_that_what_was_rejected_is_rejected_where_it_looks_the_same(dataset, pool):
    pool = corrected(dataset, pool, deciding.reject(dataset, pool, [20]))
    alike = find_alike(pool, ItemVectors(pool, "mine"), 20, "grass", None)
    assert len(alike.rows) == 199
    edit = fix_alike(dataset, pool, alike.rows, is_rejected=True)
    assert {change.after.review for change in edit.changes} == {Review.REJECTED}
    assert {change.after.origin for change in edit.changes} == {Origin.MODEL}


def test_that_without_a_vector_nothing_is_alike(dataset, pool):
    alike = find_alike(pool, ItemVectors(pool, "another"), 6, "a cow", None, "a horse")
    assert len(alike.rows) == len(alike.more_rows) == 0
    assert fix_alike(dataset, pool, alike.rows, "a horse").changes == ()
