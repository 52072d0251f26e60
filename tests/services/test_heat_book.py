"""A run's heatmaps beside what the dataset says now."""

from dataclasses import replace

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, Edit, ImageChange, LabelChange, add_regions
from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.geometry import UnitBox
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Image, LabelClass, Problem, Region
from locstudio.jobs.heatmaps import heatmaps_folder
from locstudio.services.heat.book import HeatBook
from locstudio.services.heat.inconsistency import Disagreement, inconsistency
from locstudio.services.heat.known import read_known
from locstudio.services.heat.runs import chosen_run, heat_runs
from locstudio.services.heat.worklist import expected
from locstudio.store.records import CheckpointRow, RunRow

CAT, DOG, COW = 1, 2, 3


@pytest.fixture
def classes(dataset, make):
    make.add_pictures(dataset)
    made = [LabelClass(dataset.next_class_id(), name, "#ff0000") for name in ("cat", "dog", "cow")]
    dataset.apply(Edit("Classes", tuple(ClassChange(None, entry) for entry in made)))
    return made


def run_of(heat, project, averages, image_ids=(1, 2, 3, 4), **keywords):
    keywords.setdefault("maps", spots(heat, image_ids, (CAT, DOG)))
    return heat.heat_run(project, image_ids, [(CAT, "cat"), (DOG, "dog")], averages, **keywords)


def spots(heat, image_ids, class_ids):
    """Each class is seen in a place of its own."""
    return {(n, class_id): heat.spot(14, 7, 4 * class_id - 2) for n in image_ids for class_id in class_ids}


AVERAGES = [[0.9, 0.4], [0.1, 0.8], [0.5, 0.5], [0.0, 0.0]]


def test_that_the_newest_run_with_an_epoch_is_shown_and_the_adopted_one_is_marked(project, dataset, classes, heat):
    assert heat_runs(project) == []
    with pytest.raises(BadInput, match="train the heatmaps first"):
        HeatBook.open(project, dataset)
    first = run_of(heat, project, AVERAGES, title="first")
    second = run_of(heat, project, AVERAGES, title="second")
    older, newer = sorted((first.id, second.id))
    dataset.record_run(RunRow(older, "consistency"))
    dataset.record_checkpoint(CheckpointRow("x", "consistency", "x", "x", run_id=older))
    dataset.activate_checkpoint("x")
    assert [(run.id, run.is_adopted, run.is_running) for run in heat_runs(project, dataset)] == [
        (newer, False, False),
        (older, True, False),
    ]
    assert HeatBook.open(project, dataset).run.id == newer
    heat.write_heatmaps(
        heatmaps_folder(project.runs / newer / "results"),
        [1],
        [(CAT, "cat")],
        [[0.5]],
        scores_ENL=np.zeros((0, 1, 1)),
        num_epochs=9,
    )
    assert HeatBook.open(project, dataset).run.id == older
    with pytest.raises(UserError, match="2 runs with heatmaps are called 'consistency'"):
        chosen_run(heat_runs(project), "consistency")
    (project.runs / newer / "results" / "heatmaps" / "header.json").write_text("{}")
    assert [run.id for run in heat_runs(project)] == [older]


def test_that_classes_are_called_as_they_are_called_now(project, dataset, classes, heat):
    run_of(heat, project, AVERAGES)
    cat, dog, _ = classes
    dataset.apply(
        Edit("Change", (ClassChange(cat, replace(cat, name="kitty")), ClassChange(dog, replace(dog, is_retired=True))))
    )
    book = HeatBook.open(project, dataset)
    shown = book.image(dataset.image(2))
    assert [(row.name, row.is_retired) for row in shown.rows] == [("kitty", False), ("dog", True)]
    assert [entry.id for entry in shown.unseen] == [COW]
    known = read_known(book.heatmaps, dataset)
    assert expected(book, known, min_score=0.5).class_ids.tolist() == [CAT, CAT]
    assert not len(expected(book, known, class_id=DOG))
    assert not len(expected(book, known, class_id=COW))
    assert inconsistency(book, known).of(Disagreement.MISSING, DOG).tolist() == [0, 0, 0, 0]
    assert book.image(replace(dataset.image(1), id=77)) is None
    assert book.heat_of(replace(dataset.image(1), id=77), CAT) is None


def test_that_heat_of_another_file_is_stale_and_expects_nothing(project, dataset, heat, make):
    root = dataset.add_root(project.path / "images")
    hashes = ["a" * 64, "b" * 64, "c" * 64, ""]
    dataset.add_images([Image(0, root.id, f"{n}.jpg", 8, 8, sha256=one) for n, one in enumerate(hashes)])
    dataset.apply(Edit("Class", (ClassChange(None, LabelClass(dataset.next_class_id(), "cat", "#ff0000")),)))
    averages = [[0.9]] * 4
    heat.heat_run(
        project,
        [1, 2, 3, 4],
        [(CAT, "cat")],
        averages,
        contents=["a" * 64, "x" * 64, "c" * 64, "d" * 64],
        maps=spots(heat, (1, 2, 3, 4), (CAT,)),
    )
    book = HeatBook.open(project, dataset)
    images = dataset.images([1, 2, 3, 4])
    assert [book.is_stale(image) for image in images] == [False, True, False, False]
    known = read_known(book.heatmaps, dataset)
    assert sorted(expected(book, known).image_ids.tolist()) == [1, 3, 4]
    edit = Edit("Seen", (ImageChange(images[2], replace(images[2], problem=Problem.CHANGED)),))
    dataset.apply(edit)
    assert book.is_stale(dataset.image(3))
    gone = Edit("Seen", (ImageChange(images[0], replace(images[0], problem=Problem.MISSING)),))
    dataset.apply(gone)
    after = known.after(edit, book.heatmaps, dataset).after(gone, book.heatmaps, dataset)
    anew = read_known(book.heatmaps, dataset)
    for known in (after, anew):
        assert expected(book, known).image_ids.tolist() == [4]
    assert after.is_stale_N.tolist() == anew.is_stale_N.tolist()


def test_that_the_past_is_shown_with_the_scores_and_maps_of_its_epoch(project, dataset, classes, heat):
    early, late = heat.spot(14, 3, 3), heat.spot(14, 9, 9)
    scores = [[[0.2, 0.0]], [[0.4, 0.0]], [[1.0, 0.0]]]
    keys = {1: {(1, CAT): early}}
    run_of(heat, project, [[0.7, 0.1]], [1], maps={(1, CAT): late}, keys=keys, scores_ENL=scores, labels_NL=[[1, -1]])
    book = HeatBook.open(project, dataset)
    now, then = book.image(dataset.image(1)), book.image(dataset.image(1), 1)
    assert (now.epoch, then.epoch) == (3, 1)
    cat = then.of_class(CAT)
    assert np.array_equal(cat.map_WW, early)
    assert np.array_equal(now.of_class(CAT).map_WW, late)
    assert cat.score == pytest.approx(0.2, abs=1e-3)
    assert cat.average == pytest.approx(0.8 * 1 + 0.2 * 0.2, abs=1e-3)
    assert cat.trajectory_E.tolist() == pytest.approx([0.2, 0.4, 1.0], abs=1e-2)
    assert now.of_class(CAT).variance == pytest.approx(np.var([0.2, 0.4, 1.0]), abs=1e-2)
    with pytest.raises(LookupError):
        book.image(dataset.image(1), 2)


def test_that_another_epoch_is_there_after_a_refresh_only(project, dataset, classes, heat):
    run = run_of(heat, project, AVERAGES)
    book = HeatBook.open(project, dataset)
    assert book.refreshed(project) is None
    heat.write_heatmaps(
        heatmaps_folder(run.results),
        [1, 2, 3, 4],
        [(CAT, "cat"), (DOG, "dog")],
        AVERAGES,
        scores_ENL=[AVERAGES] * 4,
        run_id=run.id,
    )
    fresh = book.refreshed(project)
    assert (fresh.heatmaps.header.epoch, fresh.run.epoch) == (4, 4)
    (heatmaps_folder(run.results) / "header.json").unlink()
    assert fresh.refreshed(project) is None


def test_that_of_many_classes_only_the_hottest_maps_are_kept_and_all_else_is_as_before(project, dataset, classes, heat):
    maps = {(1, CAT): heat.spot(14, 3, 3), (1, DOG): heat.spot(14, 9, 9), (2, DOG): heat.spot(14, 5, 5)}
    run_of(heat, project, AVERAGES, maps=maps, num_slots=1)
    book = HeatBook.open(project, dataset)
    known = read_known(book.heatmaps, dataset)
    found = expected(book, known)
    assert list(zip(found.image_ids.tolist(), found.class_ids.tolist(), strict=True)) == [(1, CAT), (2, DOG)]
    assert found.peaks.tolist() == [1, 1]
    assert found.item(found.row_of(2, DOG)).box is not None
    assert found.row_of(1, DOG) is None
    row = book.image(dataset.image(1)).of_class(DOG)
    assert (row.map_WW, row.average) == (None, pytest.approx(0.4))


def test_that_labels_are_held_against_heat_in_four_ways(project, dataset, classes, heat):
    said = [ImageLabel(1, CAT), ImageLabel(2, CAT), ImageLabel(1, DOG, Presence.NEGATIVE)]
    dataset.apply(Edit("Labels", tuple(LabelChange(None, label) for label in said)))
    scores = np.array([AVERAGES] * 4)
    scores[::2, 2, DOG - 1] = 0
    scores[1::2, 2, DOG - 1] = 1
    run_of(heat, project, AVERAGES, scores_ENL=scores)
    book = HeatBook.open(project, dataset)
    found = inconsistency(book, read_known(book.heatmaps, dataset))
    # No image without a cat is as hot as the first one, and one of two, at 0.5, is hotter than the second one, at 0.1.
    assert found.of(Disagreement.LABELS, CAT).tolist() == pytest.approx([0, 0.5, 0, 0], abs=0.01)
    assert found.of(Disagreement.LABELS, DOG).tolist() == pytest.approx([0.4, 0, 0, 0], abs=0.01)
    assert found.of(Disagreement.MISSING).tolist() == pytest.approx([0, 0.8**0.5, 0.5**0.5, 0], abs=0.01)
    assert found.of(Disagreement.RESTLESS).tolist() == pytest.approx([0, 0, 1, 0], abs=0.01)
    assert found.image_ids(Disagreement.LABELS, at_least=0.2).tolist() == [2, 1]
    assert found.image_ids().tolist() == [3, 2, 1, 4]
    assert found.of(Disagreement.ANY, COW).tolist() == [0] * 4
    assert found.of(Disagreement.REGIONS).max() == 0


def test_that_boxes_are_held_against_where_the_heat_is(project, dataset, classes, heat):
    boxes = {1: (0.2, 0.2, 0.3, 0.3), 2: (0.7, 0.7, 0.8, 0.8), 3: (0.7, 0.7, 0.8, 0.8), 4: (0.2, 0.2, 0.3, 0.3)}
    regions = [Region(dataset.next_region_id(), n, UnitBox(*box), class_id=CAT) for n, box in boxes.items()]
    # The third image has a second box, where the heat is; in the fourth there is no heat to hold against its box.
    regions.append(Region(dataset.next_region_id(), 3, UnitBox(0.2, 0.2, 0.3, 0.3), class_id=CAT))
    dataset.apply(add_regions(regions))
    maps = {(n, CAT): heat.spot(14, 3, 3, 200) for n in (1, 2, 3)}
    run_of(heat, project, AVERAGES, maps=maps)
    book = HeatBook.open(project, dataset)
    found = inconsistency(book, read_known(book.heatmaps, dataset), dataset.region_columns())
    assert found.of(Disagreement.REGIONS, CAT).tolist() == [0, 1, 0, 0]
    assert found.of(Disagreement.REGIONS, DOG).max() == 0
