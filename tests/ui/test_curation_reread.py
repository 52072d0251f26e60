"""The pool is read anew, or measured anew, while something is under way: what was meant is what is done."""

import shutil
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt

from locstudio.domain.regions import Review
from locstudio.services.curation.view import Order
from locstudio.store.dataset import Dataset
from locstudio.ui.curation import curating as curating_module


@pytest.fixture
def dataset(desk) -> Dataset:
    return desk.opened.dataset


@pytest.fixture
def curating(curation, qtbot):
    """The flow of the page, when it is known what every item looks like."""
    qtbot.waitUntil(lambda: curation.curating.measuring.vectors is not None, timeout=10_000)
    return curation.curating


def read_anew(curating, qtbot):
    with qtbot.waitSignal(curating.pool_changed, timeout=10_000):
        curating.read()


def go_to(curation, phrase):
    pool, model = curation.curating.pool, curation.page.model
    row = next(row for row in model.rows.tolist() if pool.phrases[pool.phrase_rows[row]] == phrase)
    curation.page.grid.go_to(model.place_of(row))


def test_that_identical_mistakes_are_those_of_the_sheet_also_when_a_run_has_ended_meanwhile(
    curation, curating, dataset, desk, proposed_once_more, qtbot
):
    go_to(curation, "a grey dog")
    curating.relabel(curation.page.grid.chosen(), "a white cat", None)
    flow = curation.sheets.alike
    qtbot.waitUntil(lambda: flow.sheet is not None and flow.sheet.can_fix, timeout=10_000)
    (run,) = curating.pool.runs
    proposed_once_more([1, 2, 3])  # so that other rows have these places
    read_anew(curating, qtbot)
    qtbot.keyClick(flow.sheet.grid, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: dataset.history()[0].title.startswith("Fix 7"), timeout=10_000)
    fixed = [region for region in dataset.region_page(limit=1000) if region.source.startswith("vesl:")]
    assert [region.source for region in fixed] == [f"vesl:{run}"] * 8
    assert sorted(region.image_id for region in fixed) == [1, 2, 3, 4, 5, 6, 7, 8]
    qtbot.waitUntil(lambda: desk.editing.is_idle)


def test_that_the_pinned_item_stays_pinned_when_everything_is_measured_anew(curation, curating, qtbot):
    curation.page.filters.set_order(Order.SCORE)
    curation.page.grid.go_to(0)
    with qtbot.waitSignal(curating.measuring.pinned, timeout=10_000):
        curating.pin_current()
    rows = curation.page.model.rows.tolist()
    with qtbot.waitSignal(curating.measuring.measured, timeout=10_000):
        curating.measuring.measure()  # as when words got their vectors
    curating.show_view()
    assert curation.page.model.rows.tolist() == rows
    with qtbot.waitSignal(curating.measuring.measured, timeout=10_000):
        curating.read()
    curating.show_view()
    assert curating.wish.order is Order.LIKENESS
    assert curation.page.model.rows.tolist() == rows


def test_that_what_was_pinned_while_everything_is_measured_stays_pinned(curation, curating, qtbot):
    measuring = curating.measuring
    item = curation.page.grid.current.item
    with qtbot.waitSignals([measuring.pinned, measuring.measured], timeout=10_000):
        measuring.measure()
        measuring.pin(item.key)
    assert measuring.measures.pinned == item.key
    assert measuring.measures.likeness[item.row] == pytest.approx(1, abs=1e-3)


def test_that_nothing_is_shown_of_an_earlier_pool_however_large_the_pools_are(
    curation, curating, proposed_once_more, monkeypatch, qtbot
):
    monkeypatch.setattr(curating_module, "MANY_ROWS", 0)
    curation.page.thresholds.score.setValue(50)  # this view is begun, and arrives when the pool is another
    views, arrived = curating._views, []
    views.arrived.connect(arrived.append)
    proposed_once_more([1, 2, 3])
    read_anew(curating, qtbot)
    assert curation.page.model.pool is curating.pool
    assert all(view[0] is curating.pool for view in arrived[1:])
    first = curation.page.model.crop(0).item
    assert first.score >= 0.5
    curation.page.grid.go_to(0)
    curating.decide(curation.page.grid.chosen(), Review.ACCEPTED)
    qtbot.waitUntil(lambda: curating.pool.region_ids[first.row] != 0, timeout=10_000)
    assert curation.page.model.crop(0).item.key == first.key


def test_that_a_correction_on_the_canvas_is_not_taken_for_one_of_another_item(
    curation, curating, dataset, proposed, qtbot
):
    sheets, asked = curation.sheets, []
    row = next(row for row in curating.pool.rows.tolist() if curating.pool.region_ids[row] != 0)
    region = dataset.regions([int(curating.pool.region_ids[row])])[0]
    sheets._on_corrected(region, replace(region, phrase="a bird"))  # on its way to the disk
    sheets.alike.follow = lambda *found: asked.append(found)
    shutil.rmtree(proposed.path)  # a person has deleted the run
    read_anew(curating, qtbot)
    assert asked == []
    assert len(curating.pool) < row
