"""A routing table beside what the dataset says now: truth, homes, mismatch, margins, names, replaced files."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, Edit, ImageChange, LabelChange, SuperclassChange
from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Image, LabelClass, Problem
from locstudio.jobs.configs import Route, RunConfig
from locstudio.jobs.routing import read_routing, routing_folder, write_routing
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.routing.book import RoutingBook, margins_of
from locstudio.services.routing.experts import images_of_expert, summaries
from locstudio.services.routing.loads import load_history
from locstudio.services.routing.matrices import NOT_KNOWN, class_matrix, images_of_cell, superclass_matrix
from locstudio.services.routing.runs import routing_runs
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project


@pytest.fixture(scope="module")
def made(routing, tmp_path_factory):
    """24 images of 6 classes and 3 superclasses; nobody may edit it."""
    return routing.make_routed_project(tmp_path_factory.mktemp("routed"))


@pytest.fixture(scope="module")
def view(made):
    with Dataset.open(made, read_only=True) as dataset:
        yield dataset


@pytest.fixture
def book(made, view):
    return RoutingBook.open(made, view)


@pytest.fixture
def edited(routing, tmp_path):
    """A small one that may be edited, with its dataset."""
    project = routing.make_routed_project(tmp_path, num_images=9, num_classes=3, num_mislabelled=0, has_second=False)
    with Dataset.open(project) as dataset:
        yield project, dataset


def rewritten(book, **fields):
    """A book whose table differs in these fields."""
    return RoutingBook(book.run, replace(book.table, **fields), book._dataset)


def with_header(book, **fields):
    return rewritten(book, header=msgspec.structs.replace(book.table.header, **fields))


def test_that_without_a_run_there_is_a_sentence(tmp_path):
    project = create_project(tmp_path / "empty")
    with Dataset.create(project) as dataset, pytest.raises(BadInput, match="Train experts, or route"):
        RoutingBook.open(project, dataset)


def test_that_the_newest_run_is_opened_and_any_by_a_part_of_its_id(made, view, routing):
    assert [run.id for run in routing_runs(made, view)] == [routing.SECOND_RUN, routing.FIRST_RUN]
    assert [run.is_adopted for run in routing_runs(made, view)] == [True, False]
    assert RoutingBook.open(made, view).run.id == routing.SECOND_RUN
    assert RoutingBook.open(made, view, "aaaaaa").run.id == routing.FIRST_RUN
    with pytest.raises(UserError, match="No run with a routing is called 'none'"):
        RoutingBook.open(made, view, "none")


def test_that_a_damaged_table_gives_way_to_an_older_one_and_is_named_where_there_is_none(edited, routing):
    project, dataset = edited
    folder = routing_folder(project.runs / routing.FIRST_RUN / "results")
    whole = (folder / "routing.safetensors").read_bytes()
    (folder / "routing.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="cannot be read"):
        RoutingBook.open(project, dataset)
    assert routing_runs(project, dataset) == []


def test_that_what_an_evaluation_or_a_route_of_some_images_has_seen_is_not_taken_for_all(edited, routing):
    project, dataset = edited
    routing.evaluate_run(project, routing.FIRST_RUN)
    config = RunConfig(kind="route", checkpoint="x", route=Route(image_ids=(1, 2)))
    some = RunFolder.create(project.runs, config)
    write_routing(some.results, read_routing(project.runs / routing.FIRST_RUN / "results"))
    assert RoutingBook.open(project, dataset).run.id == routing.FIRST_RUN
    assert [run.id for run in routing_runs(project, dataset)] == [some.id, routing.FIRST_RUN]
    assert RoutingBook.open(project, dataset, some.id).run.id == some.id


def test_that_a_margin_is_the_largest_probability_minus_the_second():
    probabilities = np.array([[0.7, 0.1, 0.2], [0.4, 0.4, 0.2], [0.0, 0.0, 1.0]], np.float32)
    assert margins_of(probabilities).tolist() == pytest.approx([0.5, 0.0, 1.0])
    assert margins_of(np.ones((2, 1), np.float32)).tolist() == [1.0, 1.0]


def test_that_experts_are_called_by_number_and_superclass(book):
    assert book.expert_names == ("1 · animals", "2 · vehicles", "3 · food")
    assert with_header(book, routing="image").expert_names == ("1", "2", "3")


def test_that_a_superclass_that_was_renamed_since_names_its_expert(edited):
    project, dataset = edited
    group = dataset.superclasses()[1]
    dataset.apply(Edit("Name", (SuperclassChange(group, replace(group, name="cars")),)))
    assert RoutingBook.open(project, dataset).group_names == ("animals", "cars", "food")
    entry = dataset.classes()[1]
    dataset.apply(Edit("Move", (ClassChange(entry, replace(entry, superclass_id=1)),)))
    assert RoutingBook.open(project, dataset).group_names[1] == "vehicles"  # it has other classes now


def test_that_an_image_belongs_elsewhere_when_its_expert_is_no_home_of_what_it_shows(book):
    homes = np.array(book.table.header.superclass_of)[book.truth_N]
    assert book.mismatch_N.tolist() == (homes != book.experts_N).tolist()
    assert book.mismatch_N[0]  # it is mislabelled
    assert book.homes.tolist() == [0, 1, 2]


def test_that_where_no_router_was_taught_the_home_is_where_most_of_a_class_went(book):
    experts = np.array(book.table.experts)
    experts[:, 0, 0] = (np.arange(24) % 6 + 1) % 3  # class 0 to expert 1, class 1 to 2, class 2 to 0, ...
    truth = (np.arange(24) % 6).astype(np.int32)
    other = with_header(rewritten(book, experts=experts, truth=truth), routing="image")
    assert other.class_homes.tolist() == [1, 2, 0, 1, 2, 0]
    assert not other.mismatch_N[1:].any()


def test_that_a_corrected_label_takes_the_mismatch_away(edited):
    project, dataset = edited
    book = RoutingBook.open(project, dataset)
    image_id, expert = int(book.table.image_ids[0]), int(book.experts_N[0])
    at_home, elsewhere = book.table.header.class_ids[expert], book.table.header.class_ids[(expert + 1) % 3]
    (label,) = dataset.labels_of(image_id)
    dataset.apply(Edit("", (LabelChange(label, None),)))
    dataset.apply(Edit("", (LabelChange(None, ImageLabel(image_id, elsewhere)),)))
    assert book.read_anew().mismatch_N[0]
    dataset.apply(Edit("", (LabelChange(None, ImageLabel(image_id, at_home)),)))
    assert not book.read_anew().mismatch_N[0]  # one of the two classes that it shows is at home there
    for label in dataset.labels_of(image_id):
        dataset.apply(Edit("", (LabelChange(label, replace(label, presence=Presence.NEGATIVE)),)))
    none = book.read_anew()
    assert (none.truth_N[0], bool(none.mismatch_N[0])) == (-1, False)


def test_that_an_image_whose_file_was_replaced_is_stale_and_counts_for_nothing(edited):
    project, dataset = edited
    book = RoutingBook.open(project, dataset)
    assert not book.is_stale_N.any()
    images = dataset.images(book.table.image_ids.tolist())
    other, changed, gone = images[0], images[1], images[2]
    edits = (
        ImageChange(other, replace(other, sha256="ab" * 32)),
        ImageChange(changed, replace(changed, problem=Problem.CHANGED)),
        ImageChange(gone, replace(gone, problem=Problem.MISSING)),
    )
    dataset.apply(Edit("", edits))
    now = book.read_anew()
    assert now.is_stale_N.tolist() == [True, True, *[False] * 7]
    assert now.is_shown_N.tolist() == [True, True, False, *[True] * 6]
    assert sum(each.num_images for each in summaries(now)) == 7
    assert class_matrix(now).counts.sum() == 7


def test_that_images_that_came_later_are_named(edited):
    project, dataset = edited
    book = RoutingBook.open(project, dataset)
    assert book.missing_ids().tolist() == []
    root = dataset.roots()[0]
    (new_id,) = dataset.add_images([Image(0, root.id, "later.png", 10, 10)])
    assert book.missing_ids().tolist() == [new_id]
    assert book.row_of(new_id) == -1


def test_that_a_running_training_is_followed(edited, routing):
    project, dataset = edited
    book = RoutingBook.open(project, dataset)
    assert book.refreshed() is None
    results = project.runs / routing.FIRST_RUN / "results"
    write_routing(results, read_routing(results))
    assert book.refreshed().num_images == 9
    (routing_folder(results) / "routing.safetensors").unlink()
    assert book.refreshed() is None


def test_that_several_routers_have_a_choice_each(routing, tmp_path):
    project = routing.make_routed_project(
        tmp_path, num_images=6, num_routers=2, num_active=2, routing="token", has_second=False
    )
    with Dataset.open(project, read_only=True) as dataset:
        book = RoutingBook.open(project, dataset)
        second = book.at_router(1)
        assert (book.num_routers, second.router) == (2, 1)
        assert second.experts_N.tolist() == book.table.experts[:, 1, 0].tolist()
        assert load_history(second).load.shape == (5, 2, 3)
        with pytest.raises(LookupError, match="2 routers"):
            book.at_router(2)


def test_that_an_expert_is_summed_up_by_its_images(book):
    found = summaries(book)
    assert sum(each.num_images for each in found) == 24
    assert sum(each.share for each in found) == pytest.approx(1)
    first = found[0]
    is_its = book.experts_N == 0
    assert first.num_images == is_its.sum()
    assert first.num_mismatched == (is_its & book.mismatch_N).sum()
    assert first.mean_margin == pytest.approx(float(book.margins_N[is_its].mean()), rel=1e-5)
    assert sum(count for _, count in first.top_classes) == first.num_images
    assert first.top_classes[0][1] == max(count for _, count in first.top_classes)
    held = is_its & (book.table.held_out == 1)
    assert first.top1 == pytest.approx(float(book.is_right_N[held].mean()))


def test_that_experts_are_dead_rare_or_overloaded_by_their_even_share(book):
    experts = np.zeros((24, 1, 1), np.int16)
    experts[0] = 1  # a 24th of an even third
    found = summaries(rewritten(book, experts=experts))
    assert [each.is_overloaded for each in found] == [True, False, False]
    assert [each.is_rare for each in found] == [False, True, False]
    assert [each.is_dead for each in found] == [False, False, True]
    assert np.isnan(found[2].mean_margin)
    assert np.isnan(found[2].top1)


@pytest.mark.parametrize("order", ["sure", "unsure", "mismatch", "another", "class"])
def test_that_the_gallery_of_an_expert_has_all_its_images_in_order(book, order):
    found = images_of_expert(book, 1, order)
    rows = book.rows_of(found)
    assert sorted(rows) == np.flatnonzero(book.experts_N == 1).tolist()
    keys = {
        "sure": -book.margins_N[rows],
        "unsure": book.margins_N[rows],
        "mismatch": ~book.mismatch_N[rows],
        "another": -book.other_N[rows],
        "class": book.truth_N[rows],
    }
    assert (np.diff(keys[order].astype(float)) >= 0).all()


def test_that_every_cell_of_a_matrix_opens_as_many_images_as_it_says(book):
    for matrix in (class_matrix(book), class_matrix(book, "predicted"), superclass_matrix(book)):
        assert matrix.counts.sum() == 24
        assert list(matrix.homes) == sorted(matrix.homes)
        for place, row in enumerate(matrix.row_ids):
            for expert in range(3):
                images = images_of_cell(book, row, expert, matrix.kind)
                assert len(images) == matrix.counts[place, expert]
        assert len(images_of_cell(book, None, 2, matrix.kind)) == matrix.counts[:, 2].sum()
        assert len(images_of_cell(book, matrix.row_ids[0], None, matrix.kind)) == matrix.counts[0].sum()
        assert matrix.shares.sum(axis=1) == pytest.approx(np.ones(len(matrix.row_ids)))


def test_that_images_of_no_known_class_have_a_row_of_their_own(edited):
    project, dataset = edited
    (label,) = dataset.labels_of(3)
    dataset.apply(Edit("", (LabelChange(label, None),)))
    matrix = class_matrix(RoutingBook.open(project, dataset))
    assert (matrix.row_names[-1], matrix.row_ids[-1], matrix.counts[-1].sum()) == (NOT_KNOWN, -1, 1)


def test_that_a_class_that_the_run_does_not_know_leaves_the_truth_open(edited):
    project, dataset = edited
    new = LabelClass(dataset.next_class_id(), "zebra", "#123456")
    (label,) = dataset.labels_of(3)
    changes = (ClassChange(None, new), LabelChange(label, None), LabelChange(None, ImageLabel(3, new.id)))
    dataset.apply(Edit("", changes))
    book = RoutingBook.open(project, dataset)
    assert book.truth_N[book.row_of(3)] == -1


def test_that_the_history_tells_load_dead_experts_and_evenness(book):
    history = load_history(book)
    assert history.epochs.tolist() == [1, 2, 3, 4, 5]
    assert history.load.shape == (5, 1, 3)
    assert history.load[-1, 0] == pytest.approx(np.bincount(book.experts_N, minlength=3) / 24, abs=1e-6)
    assert history.top1[-1] == pytest.approx(book.table.header.epochs[-1].top1)
    assert history.dead.tolist() == [0] * 5
    even, alone = ((1 / 3,) * 3,), ((1.0, 0.0, 0.0),)
    last = book.table.header.epochs[-1]
    epochs = tuple(msgspec.structs.replace(last, load=load, router_accuracy=None) for load in (even, alone))
    history = load_history(with_header(book, epochs=epochs))
    assert history.entropy.tolist() == pytest.approx([1, 0], abs=1e-6)
    assert history.dead.tolist() == [0, 2]
    assert np.isnan(history.router_accuracy).all()
    assert load_history(with_header(book, epochs=())).load.shape == (0, 1, 3)
