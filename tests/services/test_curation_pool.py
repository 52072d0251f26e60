"""The pool of curation: what is offered, what follows an edit, and what cannot be read."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from locstudio.domain.edits import ClassChange, Edit, RegionChange, RuleChange, add_regions, delete_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.phrase_rules import PhraseRule
from locstudio.domain.regions import LabelClass, Origin, Region, Review
from locstudio.jobs.raw_proposals import RawCaption
from locstudio.services.curation import deciding
from locstudio.services.curation.pool import item_of, key_of, pool_after, read_pool, row_of_key

LEFT, RIGHT, WIDE = (0.1, 0.1, 0.4, 0.4), (0.6, 0.1, 0.9, 0.4), (0.05, 0.1, 0.95, 0.45)
OLD, NEW = "20260801T000000Z-vesl-aaaaaa", "20260901T000000Z-vesl-bbbbbb"
ROWS = [
    (1, LEFT, "a dog", 0.9),
    (1, RIGHT, "a cat", 0.5),
    (1, WIDE, "two pets", 0.3),
    (2, LEFT, "a dog", 0.8),
    (3, LEFT, "a kitty", 0.4),
]


def items(pool):
    return [item_of(pool, int(row)) for row in pool.rows]


def content(pool):
    """What the pool offers, whatever row it has, without the times of what was drawn."""
    found = {}
    for item in items(pool):
        found[item.key, item.region_id] = replace(item, row=0, box=UnitBox(*np.round(item.box.as_tuple(), 6).tolist()))
    return found


@pytest.fixture
def pictured(dataset, make):
    make.add_pictures(dataset)
    return dataset


def test_that_raw_proposals_and_regions_are_items_of_one_pool(project, pictured, make):
    make.vesl_run(project, ROWS, title="first look")
    own = Region(pictured.next_region_id(), 4, UnitBox(*LEFT), "a bird", review=Review.ACCEPTED)
    pictured.apply(add_regions([own]))
    pool = read_pool(project, pictured)
    assert [(item.image_id, item.phrase, item.is_raw) for item in items(pool)] == [
        (1, "a dog", True),
        (1, "a cat", True),
        (1, "two pets", True),
        (2, "a dog", True),
        (3, "a kitty", True),
        (4, "a bird", False),
    ]
    raw, drawn = items(pool)[0], items(pool)[-1]
    assert (raw.review, raw.origin, raw.score, raw.run, raw.raw_row) == (
        Review.PENDING,
        Origin.MODEL,
        pytest.approx(0.9, abs=1e-3),
        OLD,
        0,
    )
    assert (drawn.review, drawn.origin, drawn.score, drawn.region_id, drawn.run) == (
        Review.ACCEPTED,
        Origin.HUMAN,
        None,
        own.id,
        "",
    )
    assert [supply.title for supply in pool.supplies] == ["first look"]
    assert pool.problems == ()
    assert all(row_of_key(pool, key_of(pool, int(row))) == row for row in pool.rows)
    assert row_of_key(pool, "region:99") is row_of_key(pool, "no run:1") is row_of_key(pool, "") is None


def test_that_a_project_without_runs_and_regions_has_an_empty_pool(project, pictured):
    pool = read_pool(project, pictured)
    assert len(pool) == len(pool.rows) == 0
    region = Region(pictured.next_region_id(), 1, UnitBox(*LEFT), "a dog")
    edit = add_regions([region])
    pictured.apply(edit)
    assert content(pool_after(pool, edit)) == content(read_pool(project, pictured))


def test_that_the_newest_run_that_has_seen_an_image_supplies_it_also_with_nothing(project, pictured, make):
    make.vesl_run(project, ROWS, run_id=OLD)
    make.vesl_run(project, [(1, RIGHT, "a tiger", 0.7)], run_id=NEW, seen=[2])
    pool = read_pool(project, pictured)
    assert [(item.image_id, item.phrase) for item in items(pool)] == [(3, "a kitty"), (1, "a tiger")]


def test_that_what_a_region_of_the_same_name_shows_is_not_offered(project, pictured, make):
    make.vesl_run(project, ROWS)
    cat = LabelClass(pictured.next_class_id(), "A Cat", "#ff0000")
    there = [
        Region(pictured.next_region_id(), 1, UnitBox(0.1, 0.1, 0.4, 0.41), "A dog", review=Review.REJECTED),
        Region(pictured.next_region_id(), 1, UnitBox(*RIGHT), "", cat.id),
        Region(pictured.next_region_id(), 2, UnitBox(*LEFT), "a wolf"),
    ]
    pictured.apply(Edit("Draw", (ClassChange(None, cat), *(RegionChange(None, region) for region in there))))
    pool = read_pool(project, pictured)
    assert [(item.image_id, item.phrase) for item in items(pool) if item.is_raw] == [
        (1, "two pets"),
        (2, "a dog"),
        (3, "a kitty"),
    ]
    undone = pictured.undo()
    assert content(pool_after(pool, undone)) == content(read_pool(project, pictured))


def test_that_phrases_are_read_by_the_rules(project, pictured, make):
    make.vesl_run(project, ROWS)
    cat = LabelClass(pictured.next_class_id(), "cat", "#ff0000")
    edit = Edit(
        "Merge phrases",
        (
            ClassChange(None, cat),
            RuleChange(None, PhraseRule("a kitty", "a cat")),
            RuleChange(None, PhraseRule("a cat", class_id=cat.id)),
        ),
    )
    before = read_pool(project, pictured)
    pictured.apply(edit)
    pool = read_pool(project, pictured)
    assert [(item.phrase, item.class_name) for item in items(pool)] == [
        ("a dog", ""),
        ("a cat", "cat"),
        ("two pets", ""),
        ("a dog", ""),
        ("a cat", "cat"),
    ]
    assert content(pool_after(before, edit)) == content(pool)
    assert content(pool_after(pool_after(before, edit), edit.inverse())) == content(before)


def test_that_a_damaged_run_is_left_out_and_named_while_the_others_are_read(project, pictured, make):
    make.vesl_run(project, [ROWS[0]], run_id=OLD)
    broken = make.vesl_run(project, [ROWS[3]], run_id=NEW)
    (broken.results / "proposals" / "scores.npy").write_bytes(b"nothing")
    pool = read_pool(project, pictured)
    assert [item.phrase for item in items(pool)] == ["a dog"]
    (problem,) = pool.problems
    assert "Propose again" in problem
    assert NEW in problem


def test_that_images_the_dataset_does_not_hold_and_phrases_of_a_stranger_do_no_harm(project, pictured, make):
    make.vesl_run(project, [(1, LEFT, "<b>dog</b> & 'cat'\n", 0.9), (99, LEFT, "a dog", 0.5), (2**62, LEFT, "x", 0.5)])
    pool = read_pool(project, pictured)
    (item,) = items(pool)
    assert item.phrase == "<b>dog</b> & 'cat'\n"


def test_that_the_pool_outlives_the_folder_it_was_read_from(project, pictured, make):
    folder = make.vesl_run(project, ROWS)
    pool = read_pool(project, pictured)
    shutil.rmtree(folder.path)
    edit = deciding.accept(pictured, pool, pool.rows)
    pictured.apply(edit)
    after = pool_after(pool, edit)
    assert [item.review for item in items(after)] == [Review.ACCEPTED] * 5
    # Without the run they are regions like any other.
    again = read_pool(project, pictured)
    assert [(item.phrase, item.run) for item in items(again)] == [(row[2], "") for row in ROWS]
    assert len(pool_after(after, pictured.undo()).rows) == 5


def test_that_a_decided_proposal_keeps_its_row_and_key_and_is_raw_again_when_undone(project, pictured, make):
    make.vesl_run(project, ROWS)
    pool = read_pool(project, pictured)
    edit = deciding.accept(pictured, pool, [1])
    pictured.apply(edit)
    after = pool_after(pool, edit)
    was, now = item_of(pool, 1), item_of(after, 1)
    assert (now.key, now.review, now.origin, now.is_raw) == (was.key, Review.ACCEPTED, Origin.MODEL, False)
    assert item_of(pool, 1) == was  # a pool never changes
    assert after.scores is pool.scores
    assert after.revision == pictured.revision()
    assert items(pool_after(after, pictured.undo())) == items(pool)


def test_that_looking_up_what_is_nothing_is_refused(project, pictured, make):
    make.vesl_run(project, ROWS)
    region = Region(pictured.next_region_id(), 4, UnitBox(*LEFT), "a bird")
    pictured.apply(add_regions([region]))
    pool = pool_after(read_pool(project, pictured), delete_regions([region]))
    for row in (-1, 5, 6):
        with pytest.raises(LookupError):
            item_of(pool, row)


def test_that_a_folder_that_is_no_run_is_passed_over(project, pictured, make):
    make.vesl_run(project, ROWS)
    strange = project.runs / "20260801T000000Z-vesl-strange"
    strange.mkdir()
    (strange / "config.json").write_text(json.dumps({"kind": "something"}))
    assert len(read_pool(project, pictured).rows) == 5


CAPTIONS = (RawCaption(id=0, image_id=1, text="A dog and a cat.", origin=Origin.MODEL, source="classes"),)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
    phases=[Phase.generate],  # each step waits for the disk; shrinking would take minutes
)
@given(data=st.data())
def test_that_following_edits_and_undos_leads_where_reading_anew_does(project, pictured, make, data):
    if not (project.runs / OLD).exists():
        rows = [(*row, 0, (2, 5)) if row[0] == 1 else row for row in ROWS]
        make.vesl_run(project, rows, captions=CAPTIONS)
        make.vesl_run(project, [(2, RIGHT, "a cat", 0.7), (2, WIDE, "a dog", 0.2)], run_id=NEW)
    pictured.go_to(0)
    pool = read_pool(project, pictured)
    for _ in range(data.draw(st.integers(1, 6))):
        edit = random_edit(data, pictured, pool)
        pictured.apply(edit)
        pool = pool_after(pool, edit)
        if data.draw(st.booleans()) and (turned := pictured.undo()):
            pool = pool_after(pool, turned)
            if data.draw(st.booleans()):
                pool = pool_after(pool, pictured.redo())
        assert content(pool) == content(read_pool(project, pictured))


def random_edit(data, dataset, pool):
    kind = data.draw(st.sampled_from(["decide", "decide", "relabel", "move", "draw", "delete", "class", "rule"]))
    rows = data.draw(st.lists(st.sampled_from(pool.rows.tolist()), min_size=1, max_size=3)) if len(pool.rows) else []
    box = UnitBox(*data.draw(st.sampled_from([LEFT, RIGHT, WIDE])))
    phrase = data.draw(st.sampled_from(["a dog", "a cat", "A Dog", "pet", ""]))
    match kind:
        case "decide":
            what = data.draw(st.sampled_from([deciding.accept, deciding.reject, deciding.to_pending, deciding.take_in]))
            return what(dataset, pool, rows)
        case "relabel":
            return deciding.relabel(dataset, pool, rows, phrase)
        case "move":
            return deciding.move_boxes(dataset, pool, dict.fromkeys(rows, box))
        case "draw":
            return add_regions([Region(dataset.next_region_id(), data.draw(st.integers(1, 4)), box, phrase)])
        case "delete":
            ids = [int(pool.region_ids[row]) for row in rows if pool.region_ids[row]]
            return delete_regions(dataset.regions(sorted(set(ids))))
        case "class":
            known = dataset.classes()
            label = LabelClass(dataset.next_class_id(), phrase or "thing", "#000000")
            old = known[0] if known and data.draw(st.booleans()) else None
            return Edit("Class", (ClassChange(old, replace(old, name=phrase) if old else label),))
        case _:
            old = dataset.phrase_rules().get("a cat")
            ids = [entry.id for entry in dataset.classes()]
            class_id = data.draw(st.none() | st.sampled_from(ids)) if ids else None
            new = None if old and data.draw(st.booleans()) else PhraseRule("a cat", data.draw(texts), class_id)
            return Edit("Rule", (RuleChange(old, new),) if new != old else ())


texts = st.sampled_from(["", "a dog", "pet"])
