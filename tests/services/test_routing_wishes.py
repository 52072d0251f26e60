"""Routing as filter and order of images, and what has moved between two checkpoints."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from locstudio.domain.edits import Edit, ImageChange, LabelChange
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Image
from locstudio.jobs.routing import read_routing
from locstudio.services.routing.drifting import drift
from locstudio.services.routing.wishes import Routings, RoutingWish
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project


@pytest.fixture(scope="module")
def made(routing, tmp_path_factory):
    return routing.make_routed_project(tmp_path_factory.mktemp("routed"), num_images=12, num_moved=2)


@pytest.fixture
def routings(made):
    with Dataset.open(made, read_only=True) as dataset:
        yield Routings(made, dataset)


@pytest.fixture
def tables(made, routing):
    return [read_routing(made.runs / run / "results") for run in (routing.FIRST_RUN, routing.SECOND_RUN)]


def chosen(routings, **wish):
    return routings.chosen(np.arange(12, 0, -1), RoutingWish(**wish)).tolist()


def test_that_without_a_run_every_image_passes_what_is_no_filter(tmp_path):
    project = create_project(tmp_path / "empty")
    with Dataset.create(project) as dataset:
        routings = Routings(project, dataset)
        assert routings.counts() is None
        assert chosen(routings, order="margin") == list(range(12, 0, -1))
        assert chosen(routings, experts=frozenset({0})) == []


def test_that_a_wish_lets_those_pass_that_meet_all_of_it(routings):
    book = routings.read()
    experts, margins, mismatch = book.experts_N, book.margins_N, book.mismatch_N
    ids = book.table.image_ids
    assert chosen(routings) == list(range(12, 0, -1))
    assert chosen(routings, experts=frozenset({0, 2})) == ids[experts != 1][::-1].tolist()
    assert chosen(routings, has_mismatch=True) == ids[mismatch][::-1].tolist()
    assert chosen(routings, max_margin=0.5) == ids[margins < 0.5][::-1].tolist()
    assert (
        chosen(routings, experts=frozenset({1}), max_margin=0.5) == ids[(experts == 1) & (margins < 0.5)][::-1].tolist()
    )


def test_that_a_wish_sorts_and_what_was_not_routed_comes_last(routings):
    book = routings.read()
    ids = np.arange(14, 0, -1)
    by_margin = routings.chosen(ids, RoutingWish(order="margin"))
    assert by_margin[-2:].tolist() == [14, 13]
    assert (np.diff(book.margins_N[book.rows_of(by_margin[:-2])]) >= 0).all()
    by_mismatch = book.rows_of(routings.chosen(ids, RoutingWish(order="mismatch"))[:-2])
    num = int(book.mismatch_N.sum())
    assert book.mismatch_N[by_mismatch[:num]].all()
    assert (np.diff(book.margins_N[by_mismatch[:num]]) <= 0).all()
    by_other = book.rows_of(routings.chosen(ids, RoutingWish(order="another"))[:-2])
    num, scores = int((~book.is_right_N).sum()), book.table.scores[by_other]
    assert 0 < num < 12
    assert not book.is_right_N[by_other[:num]].any()
    assert (np.diff(scores[:num]) <= 0).all()
    assert (np.diff(scores[num:]) >= 0).all()
    by_expert = book.rows_of(routings.chosen(ids, RoutingWish(order="expert"))[:-2])
    assert (np.diff(book.experts_N[by_expert]) >= 0).all()


def test_that_the_counts_are_what_the_filters_let_pass(routings):
    counts = routings.counts()
    assert counts.experts == tuple(len(chosen(routings, experts=frozenset({each}))) for each in range(3))
    assert counts.num_mismatched == len(chosen(routings, has_mismatch=True))
    assert counts.num_unsure == len(chosen(routings, max_margin=0.2))
    assert (counts.num_images, counts.names) == (12, ("1 · animals", "2 · vehicles", "3 · food"))


def test_that_an_edit_and_another_file_are_noticed(routing, tmp_path):
    project = routing.make_routed_project(tmp_path, num_images=6, num_mislabelled=0, has_second=False)
    with Dataset.open(project) as dataset:
        routings = Routings(project, dataset)
        before = routings.read()
        assert routings.read() is before
        expert, agreed = int(before.experts_N[0]), before.other_N[0]
        other = next(n for n, home in enumerate(before.class_homes) if home != expert)
        (label,) = dataset.labels_of(1)
        wrong = ImageLabel(1, before.table.header.class_ids[other])
        dataset.apply(Edit("", (LabelChange(label, None), LabelChange(None, wrong))))
        assert 1 in chosen(routings, has_mismatch=True)
        assert routings.read().other_N[0] == -agreed == before.table.scores[0]
        image = dataset.image(1)
        dataset.apply(Edit("", (ImageChange(image, replace(image, sha256="cd" * 32)),)))
        assert 1 not in chosen(routings, has_mismatch=True)
        assert routings.of_images(np.array([1])).experts.tolist() == [-1]
        assert routings.counts().num_images == 5
        assert isinstance(image, Image)


def test_that_the_images_that_moved_come_first(tables):
    old, new = tables
    found = drift(old, new)
    moved = np.flatnonzero(old.experts[:, 0, 0] != new.experts[:, 0, 0])
    assert len(moved) == 2
    assert sorted(found.image_ids[:2]) == old.image_ids[moved].tolist()
    assert found.is_moved.tolist() == [True] * 2 + [False] * 10
    assert (np.diff(found.distance[:2]) <= 0).all()
    assert found.matched.tolist() == [0, 1, 2]
    assert found.matrix.sum() == 12
    assert np.trace(found.matrix) == 10
    assert len(found.images_of_cell(None, None)) == 12
    assert len(found.images_of_cell(1, 2)) == found.matrix[1, 2]


def test_that_nothing_drifts_from_a_table_to_itself(tables):
    found = drift(tables[0], tables[0])
    assert not found.is_moved.any()
    assert not found.is_renamed.any()
    assert found.distance.max() == 0


def test_that_experts_that_only_changed_their_numbers_have_not_moved(tables):
    old = tables[0]
    places = [2, 0, 1]
    for routing in ("superclass", "image"):
        names = tuple(old.header.superclass_names[place] for place in np.argsort(places))
        header = msgspec.structs.replace(old.header, superclass_names=names, superclass_of=(), routing=routing)
        experts = np.array(places, np.int16)[old.experts]
        probabilities = old.probabilities[:, :, np.argsort(places)]
        found = drift(old, replace(old, header=header, experts=experts, probabilities=probabilities))
        assert found.matched.tolist() == places
        assert not found.is_moved.any()
        assert found.distance.max() == 0


def test_that_tables_of_other_images_classes_and_experts_are_compared_as_far_as_it_goes(tables):
    old, new = tables
    header = msgspec.structs.replace(
        new.header,
        num_experts=4,
        superclass_names=(),
        superclass_of=(),
        routing="image",
        class_names=tuple(f"{name}s" for name in new.header.class_names),
    )
    contents = new.contents.copy()
    contents[5] = 7
    rows = slice(3, 12)
    arrays = {
        name: getattr(new, name)[rows]
        for name in ("image_ids", "experts", "predicted", "scores", "truth", "superclasses", "held_out")
    }
    wide = np.concatenate([new.probabilities, np.zeros((12, 1, 1), np.float16)], axis=2)[rows]
    found = drift(old, replace(new, header=header, contents=contents[rows], probabilities=wide, **arrays))
    assert (found.num_only_old, found.num_only_new, found.num_replaced) == (3, 0, 1)
    assert len(found.image_ids) == 8
    assert found.matrix.shape == (3, 4)
    assert found.is_renamed.all()  # no class of the same name is there
    assert set(found.distance.tolist()) <= {0.0, 1.0}
