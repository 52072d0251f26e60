"""Routing of a large project: `pytest tests/benchmarks/test_bench_routing.py --benchmark-enable -s`.

100,000 images, 200 classes, 20 experts; without `--benchmark-enable` everything runs once on 2,000, to see that it
runs.  Budgets are the issue's, in processor time, because the machine is shared; the files are in the page cache.
"""

import hashlib
import statistics
import time

import numpy as np
import pytest

from locstudio.domain.edits import Edit, LabelChange
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Image
from locstudio.services.routing.book import RoutingBook
from locstudio.services.routing.drifting import drift
from locstudio.services.routing.experts import images_of_expert, summaries
from locstudio.services.routing.matrices import class_matrix, images_of_cell, superclass_matrix
from locstudio.services.routing.wishes import Routings, RoutingWish
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

NUM_CLASSES, NUM_EXPERTS = 200, 20
CHUNK = 5000


def cpu_ms(act) -> float:
    start = time.process_time()
    act()
    return (time.process_time() - start) * 1000


def median_ms(what, act, repeats=9) -> float:
    act()
    found = statistics.median(cpu_ms(act) for _ in range(repeats))
    print(f"{what}: {found:.1f} ms")
    return found


@pytest.fixture(scope="module")
def large(request, tmp_path_factory, routing):
    """A project whose images have a label each, and two runs that have routed them all."""
    num_images = 2_000 if request.config._benchmarksession.disabled else 100_000
    project = create_project(tmp_path_factory.mktemp("routing") / "large")
    truth_N = np.random.default_rng(0).integers(0, NUM_CLASSES, num_images)
    groups = tuple(f"group {number + 1}" for number in range(NUM_EXPERTS))
    plan = routing.Plan(
        class_names=tuple(f"class {number + 1}" for number in range(NUM_CLASSES)),
        group_names=groups,
        group_of=tuple(number * NUM_EXPERTS // NUM_CLASSES for number in range(NUM_CLASSES)),
        truth_N=truth_N,
        num_epochs=30,
    )
    with Dataset.create(project) as dataset:
        root = dataset.add_root(project.path / "images")
        digests = [hashlib.sha256(b"%d" % number).digest() for number in range(num_images)]
        dataset.add_images(
            [Image(0, root.id, f"{n:08}.jpg", 64, 64, sha256=digest.hex()) for n, digest in enumerate(digests)]
        )
        class_ids = routing.add_classes(dataset, plan)
        for start in range(0, num_images, CHUNK):
            rows = range(start, min(start + CHUNK, num_images))
            labels = [LabelChange(None, ImageLabel(row + 1, class_ids[truth_N[row]])) for row in rows]
            dataset.apply(Edit("Labels", tuple(labels)), actor="import")
        contents = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
        image_ids, expert_N = np.arange(num_images) + 1, routing.experts_of(plan)
        for run_id, went in ((routing.FIRST_RUN, expert_N), (routing.SECOND_RUN, routing.moved(plan, expert_N))):
            routing.write_run(project, run_id, plan, class_ids, image_ids, contents, went)
        yield project, dataset


def test_that_the_routing_of_all_images_is_loaded_and_filtered_in_less_than_200_ms(large):
    project, dataset = large
    image_ids = dataset.image_ids()
    wish = RoutingWish(frozenset({3}), has_mismatch=True, max_margin=0.9, order="margin")
    print(f"\n{len(image_ids)} images, {NUM_CLASSES} classes, {NUM_EXPERTS} experts")

    def load_and_filter():
        return Routings(project, dataset).chosen(image_ids, wish)

    assert len(load_and_filter())
    assert median_ms("loaded and filtered", load_and_filter) < 200
    routings = Routings(project, dataset)
    assert median_ms("filtered once it is loaded", lambda: routings.chosen(image_ids, wish)) < 50
    assert median_ms("counted", routings.counts) < 50
    for order in ("margin", "mismatch", "expert"):
        assert median_ms(f"sorted by {order}", lambda by=order: routings.chosen(image_ids, RoutingWish(order=by))) < 100


def test_that_a_matrix_with_click_through_takes_less_than_100_ms(large):
    project, dataset = large
    book = RoutingBook.open(project, dataset)
    summaries(book)

    def look():
        matrix = class_matrix(book)
        return images_of_cell(book, matrix.row_ids[0], matrix.homes[0])

    assert len(look())
    assert median_ms("matrix of classes and a cell", look) < 100
    assert median_ms("matrix of what was predicted", lambda: class_matrix(book, "predicted")) < 100
    assert median_ms("matrix of superclasses", lambda: superclass_matrix(book)) < 100
    assert median_ms("a whole column", lambda: images_of_cell(book, None, 3)) < 100
    assert median_ms("all experts", lambda: summaries(book)) < 100
    assert median_ms("gallery of an expert", lambda: images_of_expert(book, 3)) < 100


def test_that_what_has_moved_is_found_while_one_waits(large, routing):
    project, dataset = large
    old = RoutingBook.open(project, dataset, routing.FIRST_RUN).table
    new = RoutingBook.open(project, dataset, routing.SECOND_RUN).table
    assert median_ms("drift", lambda: drift(old, new)) < 200
