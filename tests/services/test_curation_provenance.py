"""Where an item comes from, and how far the review is."""

from dataclasses import replace

import pytest

from locstudio.domain.edits import CaptionChange, Edit, add_regions, delete_regions, reworded
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Caption, Origin, Region, Review
from locstudio.jobs.raw_proposals import RawCaption
from locstudio.services.curation import deciding
from locstudio.services.curation.pool import key_of, pool_after, read_pool
from locstudio.services.curation.progress import decisions_per_minute, review_progress
from locstudio.services.curation.provenance import provenance
from locstudio.services.curation.view import visible
from locstudio.store.edit_log import HistoryEntry

TEXT = "A dog and a cat."
LEFT, RIGHT = (0.1, 0.1, 0.4, 0.4), (0.6, 0.1, 0.9, 0.4)
ROWS = [(1, LEFT, "a dog", 0.9, 0, (0, 5)), (1, RIGHT, "a cat", 0.5, 0, (10, 15)), (2, LEFT, "a fox", 0.1)]


@pytest.fixture
def pictured(project, dataset, make):
    make.add_pictures(dataset)
    make.vesl_run(project, ROWS, captions=[RawCaption(id=0, image_id=1, text=TEXT, origin=Origin.MODEL)], title="look")
    return dataset


def done(dataset, pool, edit):
    dataset.apply(edit)
    return pool_after(pool, edit)


def test_that_a_raw_proposal_tells_its_words_its_run_and_its_scores(project, pictured):
    pool = read_pool(project, pictured)
    told = provenance(pictured, pool, 0)
    assert (told.caption, told.caption_id, told.caption_origin) == (TEXT, None, Origin.MODEL)
    assert told.caption[slice(*told.span)] == "A dog"
    assert told.beside == ((key_of(pool, 1), (10, 15)),)
    assert (told.run_title, told.detector, told.proposed, told.history) == ("look", "ours", "a dog", ())
    assert told.score == pytest.approx(0.9, abs=1e-3)
    assert told.objectness == pytest.approx(0.9, abs=1e-3)


def test_that_a_corrected_region_still_tells_what_was_proposed_and_every_edit(project, pictured):
    pool = read_pool(project, pictured)
    pool = done(pictured, pool, deciding.accept(pictured, pool, [0]))
    pool = done(pictured, pool, deciding.relabel(pictured, pool, [0], "a <b>wolf</b>"))
    pool = done(pictured, pool, deciding.move_boxes(pictured, pool, {0: UnitBox(*RIGHT)}))
    pool = pool_after(pool, pictured.undo())
    told = provenance(pictured, pool, 0)
    assert (told.origin, told.proposed) == (Origin.EDITED, "a dog")
    assert told.caption[slice(*told.span)] == "A dog"
    assert told.caption_id is not None
    assert [(line.what, line.is_undone) for line in told.history] == [
        ("accepted, “a dog”", False),
        ("“a dog” → “a <b>wolf</b>”", False),
        ("another box", True),
    ]


def test_that_the_caption_is_told_as_a_person_has_edited_it(project, pictured):
    pool = read_pool(project, pictured)
    pool = done(pictured, pool, deciding.accept(pictured, pool, [0]))
    (caption,) = pictured.captions_of(1)
    pool = done(pictured, pool, reworded(caption, "There sits A dog.", pictured.regions_of(1)))
    told = provenance(pictured, pool, 0)
    assert told.caption == "There sits A dog."
    assert told.caption[slice(*told.span)] == "A dog"
    assert told.caption_origin is Origin.EDITED
    assert told.history[-1].what == "its caption was edited"


def test_that_raw_proposals_beside_it_stand_at_their_words_of_an_edited_caption(project, pictured):
    pool = read_pool(project, pictured)
    pool = done(pictured, pool, deciding.accept(pictured, pool, [0]))
    (caption,) = pictured.captions_of(1)
    pool = done(pictured, pool, reworded(caption, "Look, there is a cat, and A dog.", pictured.regions_of(1)))
    ((key, span),) = provenance(pictured, pool, 0).beside
    assert (key, "Look, there is a cat, and A dog."[slice(*span)]) == (key_of(pool, 1), "a cat")
    pool = done(pictured, pool, reworded(*pictured.captions_of(1), "A dog.", pictured.regions_of(1)))
    assert provenance(pictured, pool, 0).beside == ()  # its words are gone


def test_that_what_a_person_drew_or_a_file_brought_comes_from_no_run(project, pictured):
    caption = Caption(pictured.next_caption_id(), 3, "A bird.")
    drawn = Region(pictured.next_region_id(), 3, UnitBox(*LEFT), "bird", caption_id=caption.id, caption_span=(2, 6))
    brought = Region(pictured.next_region_id(), 4, UnitBox(*LEFT), origin=Origin.IMPORTED, source="a.json", score=0.5)
    pictured.apply(Edit("Caption", (CaptionChange(None, caption),)))
    pictured.apply(add_regions([drawn, brought], "Draw box"))
    pool = read_pool(project, pictured)
    first, second = (provenance(pictured, pool, row) for row in (3, 4))
    assert (first.run, first.caption, first.span, first.history[0].title) == ("", "A bird.", (2, 6), "Draw box")
    assert (second.source, second.score, second.caption) == ("a.json", 0.5, "")
    pictured.apply(delete_regions([brought]))
    assert provenance(pictured, pool, 4).history == ()  # gone meanwhile


def test_that_what_is_decided_is_counted_against_what_waits_above_the_thresholds(project, pictured):
    pictured.apply(add_regions([Region(pictured.next_region_id(), 3, UnitBox(*LEFT), "bird", review=Review.ACCEPTED)]))
    pool = read_pool(project, pictured)
    pool = done(pictured, pool, deciding.reject(pictured, pool, [1]))
    all_of_it = review_progress(pictured, pool)
    assert (all_of_it.total, all_of_it.decided, all_of_it.accepted, all_of_it.rejected) == (3, 1, 0, 1)
    assert all_of_it.phrases == {"a dog": (0, 1), "a cat": (1, 1), "a fox": (0, 1)}
    assert (all_of_it.per_minute, all_of_it.seconds_left) == (0, 0)
    assert review_progress(pictured, pool, visible(pool, 0.2, 0.6)).total == 2


def test_that_the_speed_leaves_pauses_machines_undone_and_giant_steps_out():
    def step(minute, second, **values):
        at = f"2026-08-01T10:{minute:02}:{second:02}.000+00:00"
        return replace(HistoryEntry(1, "Accept box", at, "human", is_undone=False, num_changes=1), **values)

    steps = [step(20, 3 * n) for n in range(10)]
    assert decisions_per_minute(steps[::-1]) == pytest.approx(20)
    before_the_pause = [step(1, 0), step(1, 3)]
    assert decisions_per_minute(steps[::-1] + before_the_pause[::-1]) == pytest.approx(20)
    strange = [step(20, 1, actor="import"), step(20, 2, is_undone=True), step(20, 4, num_changes=0)]
    assert decisions_per_minute(strange + steps[::-1]) == pytest.approx(20)
    assert decisions_per_minute(steps[:2]) == decisions_per_minute([]) == 0
    giant = [replace(entry, num_changes=100_000) for entry in steps]
    assert decisions_per_minute(giant[::-1]) == pytest.approx(2000)
    backwards = [step(1, n) for n in range(10)]  # the clock was set back
    assert decisions_per_minute(backwards) == 0
