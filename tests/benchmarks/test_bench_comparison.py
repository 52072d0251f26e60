"""Looking into an evaluation and listing what changed, at the size of a large project.

    pytest tests/benchmarks/test_bench_comparison.py -s

Budgets are CPU seconds of this process, because the machine is shared.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, Edit, add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Origin, Region
from locstudio.jobs.predictions import Detections, PredictionFolder, Predictions, RegionPredictions, Summary
from locstudio.services.changes import changes_between
from locstudio.services.evaluation import Evaluation
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

NUM_REGIONS, NUM_CLASSES = 100_000, 80
NUM_CHANGED_IMAGES, NUM_IN_EACH = 500, 10
T = TypeVar("T")


def timed(what: str, budget_s: float, work: Callable[[], T]) -> T:
    started = time.process_time()
    result = work()
    spent = time.process_time() - started
    print(f"{what}: {spent:.2f} s of CPU")
    assert spent < budget_s, what
    return result


def predictions_of(true_N: np.ndarray, boxes_N4: np.ndarray, image_ids: np.ndarray, seed: int) -> Predictions:
    """A checkpoint that names about half of the regions right."""
    random = np.random.default_rng(seed)
    scores = random.normal(0, 0.1, (len(true_N), NUM_CLASSES)).astype(np.float32)
    scores[np.arange(len(true_N)), true_N] += 0.25
    own = scores[np.arange(len(true_N)), true_N][:, None]
    ranks = (scores > own).sum(axis=1)
    regions = RegionPredictions(
        region_ids=np.arange(1, len(true_N) + 1),
        image_ids=image_ids,
        boxes=boxes_N4,
        true_rows=true_N,
        found_rows=np.where(ranks == 0, true_N, scores.argmax(axis=1)),
        ranks=ranks,
        is_held_out=random.random(len(true_N)) < 0.2,
        scores=scores.astype(np.float16),
    )
    classes = tuple((row + 1, f"class {row}") for row in range(NUM_CLASSES))
    summary = Summary(checkpoint_id=f"cloc-{seed}", name="bench", logit_scale=20.0)
    return Predictions(summary=summary, classes=classes, regions=regions)


@pytest.mark.slow
def test_that_an_evaluation_of_100_000_regions_is_looked_into_at_once(tmp_path):
    random = np.random.default_rng(0)
    boxes = np.tile(np.array([0.1, 0.1, 0.5, 0.5], np.float32), (NUM_REGIONS, 1))
    true = random.integers(NUM_CLASSES, size=NUM_REGIONS)
    folder = PredictionFolder(tmp_path / "predictions")
    folder.write(predictions_of(true, boxes, np.arange(NUM_REGIONS) // 10 + 1, seed=1))
    found = timed("open", 1.0, lambda: Evaluation.open(folder.path))
    matrix = timed("matrix", 0.2, found.confusion)
    assert matrix.counts.sum() == NUM_REGIONS
    timed("regions of a cell", 0.2, lambda: found.regions_in_cell(0, 0))
    timed("curve of a class", 0.2, lambda: found.precision_recall(0))
    timed("all classes", 1.0, found.classes)
    timed("what was held out", 0.2, found.only_held_out)


@pytest.mark.slow
def test_that_ten_thousand_changes_are_listed_within_a_second(tmp_path):
    with Dataset.create(create_project(tmp_path / "project")) as dataset:
        root = dataset.add_root(tmp_path)
        labels = [LabelClass(dataset.next_class_id(), f"class {row}", "#123456") for row in range(NUM_CLASSES)]
        dataset.apply(Edit("Add classes", tuple(ClassChange(None, label) for label in labels)))
        images = dataset.add_images([Image(0, root.id, f"{n}.jpg", 100, 100) for n in range(NUM_CHANGED_IMAGES)])
        grid = [UnitBox(x / 10, y / 10, (x + 0.9) / 10, (y + 0.9) / 10) for y in (1, 5) for x in range(5)]
        dataset.apply(
            add_regions(
                Region(dataset.next_region_id(), image_id, box, class_id=labels[0].id, origin=Origin.IMPORTED)
                for image_id in images
                for box in grid
            )
        )
        image_ids = np.repeat(np.array(images, np.int64), NUM_IN_EACH)
        boxes = np.tile(np.array([box.as_tuple() for box in grid], np.float32), (NUM_CHANGED_IMAGES, 1))
        before = predictions_of(np.zeros(len(image_ids), np.int64), boxes, image_ids, seed=1)
        after = predictions_of(np.zeros(len(image_ids), np.int64), boxes, image_ids, seed=2)
        seen = Detections(
            image_ids,
            boxes + np.array([0, 0.2, 0, 0.2], np.float32),
            np.ones(len(image_ids), np.int64),
            np.full(len(image_ids), 0.5, np.float32),
            np.zeros(len(image_ids), np.bool_),
        )
        old, new = PredictionFolder(tmp_path / "old"), PredictionFolder(tmp_path / "new")
        old.write(replace(before, detections=Detections(*(column[:0] for column in _columns(seen)))))
        new.write(replace(after, detections=seen))
        found = timed("changes", 1.0, lambda: changes_between(old, new, dataset))
        print(f"{len(found)} changes")
        assert len(found) > 7_500


def _columns(table: Detections) -> tuple[np.ndarray, ...]:
    return table.image_ids, table.boxes, table.class_rows, table.scores, table.is_held_out
