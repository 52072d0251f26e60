"""Rows 63, 68, 88, 98, 101 and 102 as far as curation goes: many decisions at once, and runs of strangers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from locstudio.cli import main
from locstudio.domain.edits import delete_regions
from locstudio.domain.regions import Image, Origin, Review
from locstudio.jobs.configs import RunConfig, Vesl
from locstudio.jobs.raw_proposals import Manifest, RawProposals, quantised, write_raw_proposals
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.curation import deciding
from locstudio.services.curation.geometry import Rule, rows_breaking
from locstudio.services.curation.measures import ItemVectors, measure, unmeasured
from locstudio.services.curation.phrases import merge_candidates, phrase_table
from locstudio.services.curation.pool import pool_after, read_pool
from locstudio.services.curation.progress import review_progress
from locstudio.services.curation.provenance import provenance
from locstudio.services.curation.view import Order, Wish, rows_of
from locstudio.store.connections import connect
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project, create_project

MANY = 10_000
PER_IMAGE = 25
HOSTILE = '<img src=x onerror="alert(1)">\u202e\x1b[31m{0} %s'


def propose(project: Project, num: int, phrases: tuple[str, ...] = ("a dog",), run_id: str = "") -> Path:
    """A run with ``num`` proposals that do not overlap, ``PER_IMAGE`` an image."""
    folder = RunFolder.create(project.runs, RunConfig(kind="vesl", checkpoint="x", vesl=Vesl()))
    if run_id:
        folder.path.rename(project.runs / run_id)
        folder = RunFolder(project.runs / run_id)
    places = np.arange(num) % PER_IMAGE
    low = np.stack([places % 5, places // 5], axis=1) / 5
    image_ids = np.arange(num) // PER_IMAGE + 1
    scores = np.full(num, 0.5, np.float16)
    proposals = RawProposals(
        manifest=Manifest(
            checkpoint_id="mine", detector="ours", dim=2, num_rows=num, num_images=len(np.unique(image_ids))
        ),
        phrases=phrases,
        captions=(),
        image_ids=image_ids,
        boxes_q=quantised(np.concatenate([low, low + 0.15], axis=1)),
        phrase_rows=(np.arange(num) % len(phrases)).astype(np.int32),
        scores=scores,
        objectness=scores,
        caption_rows=np.full(num, -1, np.int32),
        spans=np.zeros((num, 2), np.uint16),
        vectors=np.tile(np.array([[1.0, 0.0]], np.float16), (num, 1)),
        seen_image_ids=np.unique(image_ids),
    )
    return write_raw_proposals(folder.results, proposals)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = create_project(tmp_path / "project")
    with Dataset.create(project) as dataset:
        root = dataset.add_root(tmp_path / "images")
        dataset.add_images([Image(0, root.id, f"{number}.jpg", 640, 480) for number in range(MANY // PER_IMAGE)])
    return project


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    connection = connect(path, "read")
    rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("region", "caption", "image")}
    connection.close()
    return rows


def test_row_101_that_ten_thousand_are_accepted_in_one_undo_step_within_a_second_of_work(project: Project):
    propose(project, MANY)
    with Dataset.open(project) as dataset:
        pool = read_pool(project, dataset)
        before = content(project.dataset_path)
        rows = rows_of(pool, Wish(order=Order.SCORE))
        assert len(rows) == MANY
        began = time.process_time()
        edit = deciding.accept(dataset, pool, rows)
        dataset.apply(edit)
        after = pool_after(pool, edit)
        assert time.process_time() - began < 2.0  # the budget of one second is held in tests/benchmarks
        assert dataset.history()[0].num_changes == MANY
        assert len(rows_of(after, Wish(order=Order.SCORE))) == 0
        undone = dataset.undo()
        assert content(project.dataset_path) == before
        again = pool_after(after, undone)
        assert rows_of(again, Wish(order=Order.SCORE)).tolist() == rows.tolist()
        assert dataset.undo() is None
        assert dataset.integrity() == []


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Connection
from locstudio.services.curation import deciding
from locstudio.services.curation.pool import read_pool
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
project = Project(Path(sys.argv[1]))
dataset = Dataset.open(project)
pool = read_pool(project, dataset)
edit = deciding.accept(dataset, pool, pool.rows)
left = [int(sys.argv[2])]
real = Connection.execute
def counted(self, *args, **kwargs):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *args, **kwargs)
Connection.execute = counted
dataset.apply(edit)
dataset.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("statement", [1, 12, 13, 14, 16, 18, 1000])
def test_row_101_that_a_bulk_edit_killed_at_any_statement_is_all_there_or_not_at_all(project: Project, statement: int):
    propose(project, MANY)
    words = [sys.executable, "-c", KILLED, os.fspath(project.path), str(statement)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == (0 if statement == 1000 else -signal.SIGKILL), done.stderr
    with Dataset.open(project) as dataset:
        assert dataset.count_regions() == (MANY if statement == 1000 else 0)
        assert dataset.integrity() == []
        pool = read_pool(project, dataset)
        assert len(pool.rows) == MANY
        edit = deciding.accept(dataset, pool, pool.rows[:3])
        dataset.apply(edit)
        assert len(dataset.edits_of_region(dataset.region_page()[0].id)) == 1


def test_row_102_that_a_rejected_and_a_deleted_region_come_back_after_a_restart(project: Project):
    propose(project, 10)
    with Dataset.open(project) as dataset:
        pool = read_pool(project, dataset)
        dataset.apply(deciding.accept(dataset, pool, pool.rows))
        regions = dataset.region_page()
        dataset.apply(deciding.reject(dataset, read_pool(project, dataset), [0]))
        dataset.apply(delete_regions(regions[1:]))
    with Dataset.open(project) as dataset:
        pool = read_pool(project, dataset)
        assert sum(pool.region_ids[pool.rows] == 0) == 9  # raw again: what is deleted is no answer
        for _ in range(2):
            pool = pool_after(pool, dataset.undo())
        assert dataset.region_page() == regions
        assert (pool.region_ids[pool.rows] != 0).all()


def test_row_63_that_a_new_run_over_corrected_regions_changes_none_and_offers_none_of_them_again(project: Project):
    propose(project, 20, ("a dog", "a cat"), run_id="20260801T000000Z-vesl-aaaaaa")
    with Dataset.open(project) as dataset:
        pool = read_pool(project, dataset)
        dataset.apply(deciding.relabel(dataset, pool, [0, 2], "a wolf"))
        pool = read_pool(project, dataset)
        dataset.apply(deciding.reject(dataset, pool, [1]))
        decided = dataset.region_page()
        propose(project, 20, ("a wolf", "a cat"), run_id="20260901T000000Z-vesl-bbbbbb")
        pool = read_pool(project, dataset)
        offered = rows_of(pool, Wish(order=Order.IMAGE, is_descending=False))
        assert len(offered) == 17
        assert dataset.region_page() == decided
        assert {region.origin for region in decided if region.phrase == "a wolf"} == {Origin.EDITED}


def test_row_68_that_phrases_of_strangers_are_text_wherever_they_are_told(project: Project, capsys):
    propose(project, 4, (HOSTILE, "a dog"))
    with Dataset.open(project) as dataset:
        pool = read_pool(project, dataset)
        edit = deciding.accept(dataset, pool, [0])
        dataset.apply(edit)
        pool = pool_after(pool, edit)
        assert dataset.region_page()[0].phrase == HOSTILE
        assert provenance(dataset, pool, 0).history[0].what.isprintable()
        assert HOSTILE in [row.phrase for row in phrase_table(pool)]
    for command in (["phrases"], ["review", "--accept", "--dry-run"]):
        assert main([command[0], str(project.path), *command[1:]]) == 0
        assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())


def test_row_88_that_a_collection_in_which_everything_is_wrong_leaves_nothing_to_do(project: Project):
    propose(project, 50)
    with Dataset.open(project) as dataset:
        pool = read_pool(project, dataset)
        edit = deciding.reject(dataset, pool, pool.rows)
        dataset.apply(edit)
        pool = pool_after(pool, edit)
        for measures in (unmeasured(pool), measure(pool, ItemVectors(pool, "mine"), None)):
            assert all(len(rows_of(pool, Wish(order=order), measures)) == 0 for order in Order)
        progress = review_progress(dataset, pool)
        assert (progress.total, progress.decided, progress.accepted, progress.seconds_left) == (50, 50, 0, 0)
        assert all(len(rows_breaking(pool, rule)) == 0 for rule in Rule)
        assert {region.review for region in dataset.region_page()} == {Review.REJECTED}
        assert not any(region.is_ground_truth for region in dataset.region_page())
        assert merge_candidates(pool, None) == []


def _cut(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])


DAMAGES = {
    "cut": lambda folder: _cut(folder, "vectors.npy"),
    "pickle": lambda folder: np.save(folder / "scores.npy", np.array([{}], object), allow_pickle=True),
    "wrong type": lambda folder: np.save(folder / "scores.npy", np.zeros(4, np.float64)),
    "no manifest": lambda folder: (folder / "manifest.json").write_text("{}"),
    "no phrases": lambda folder: (folder / "phrases.json").write_text("[]"),
    "beyond": lambda folder: np.save(folder / "phrase_rows.npy", np.full(4, 99, np.int32)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_row_98_that_damaged_proposals_of_a_stranger_are_named_and_passed_over(project: Project, damage: str):
    folder = propose(project, 4, run_id="20260901T000000Z-vesl-bbbbbb")
    DAMAGES[damage](folder)
    propose(project, 6, run_id="20260801T000000Z-vesl-aaaaaa")
    with Dataset.open(project) as dataset:
        pool = read_pool(project, dataset)
    assert len(pool.rows) == 6
    assert len(pool.problems) == 1
    assert pool.problems[0].endswith("Propose again.")


def test_row_98_that_identities_a_stranger_invented_are_nobodys_proposal(project: Project):
    propose(project, 4, run_id="20260801T000000Z-vesl-aaaaaa")
    with Dataset.open(project) as dataset:
        pool = read_pool(project, dataset)
        dataset.apply(deciding.accept(dataset, pool, [0]))
    connection = connect(project.dataset_path, "write")
    for number, name in enumerate(["99", "-1", "1e3", "٣", "9" * 40, ""]):
        connection.execute(
            "INSERT INTO region (id, image_id, x0, y0, x1, y1, source, external_id) VALUES (?, 1, 0, 0, 1, 1, ?, ?)",
            (100 + number, "vesl:20260801T000000Z-vesl-aaaaaa", name),
        )
    connection.close()
    with Dataset.open(project) as dataset:
        pool = read_pool(project, dataset)
        assert len(pool.rows) == 10
        assert sorted(pool.raw_rows[pool.rows].tolist()) == [-1] * 6 + [0, 1, 2, 3]
