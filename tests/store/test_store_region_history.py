"""The history of one region, found by its identity."""

import shutil
from dataclasses import replace
from pathlib import Path

from locstudio.domain.edits import ClassChange, Edit, RegionChange, add_regions, change_regions, delete_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Origin, Problem, Review
from locstudio.store import columns
from locstudio.store.connections import connect
from locstudio.store.dataset import Dataset
from locstudio.store.edit_log import decode_changes, region_ids_of

DATA = Path(__file__).resolve().parents[1] / "data"


def test_that_every_edit_of_a_region_is_in_its_history_and_no_other(dataset: Dataset, make_region):
    region, other = make_region(origin=Origin.MODEL), make_region()
    dataset.apply(add_regions([region, other], "Take in"), actor="import")
    accepted = replace(region, review=Review.ACCEPTED)
    dataset.apply(change_regions([(region, accepted)], "Accept box"))
    dataset.apply(change_regions([(other, replace(other, phrase="a cat"))], "Relabel box"))
    dataset.apply(delete_regions([accepted]))
    dataset.undo()
    took_in, accept, delete = dataset.edits_of_region(region.id)
    assert (took_in.title, took_in.actor, took_in.kind) == ("Take in", "import", "done")
    assert (took_in.before, took_in.after) == (None, region)
    assert (accept.before, accept.after, accept.kind) == (region, accepted, "done")
    assert (delete.after, delete.kind) == (None, "undone")
    assert [step.at for step in (took_in, accept, delete)] == sorted(step.at for step in (took_in, accept, delete))
    assert dataset.edits_of_region(999) == []


def test_that_an_edit_that_changes_a_region_twice_is_one_line_of_its_history(dataset: Dataset, make_region):
    region = make_region()
    moved = replace(region, box=UnitBox(0.2, 0.2, 0.6, 0.6))
    dataset.apply(Edit("Draw and move", (RegionChange(None, region), RegionChange(region, moved))))
    (line,) = dataset.edits_of_region(region.id)
    assert (line.before, line.after) == (None, moved)


def test_that_a_discarded_edit_is_told_as_undone(dataset: Dataset, make_region):
    region = make_region()
    dataset.apply(add_regions([region]))
    dataset.apply(delete_regions([region]))
    dataset.undo()
    dataset.apply(add_regions([make_region()]))
    assert [line.kind for line in dataset.edits_of_region(region.id)] == ["done", "undone"]


def test_that_a_migrated_dataset_knows_the_history_of_every_region(project):
    shutil.copyfile(DATA / "schema_2.sqlite", project.dataset_path)
    with Dataset.open(project) as dataset:
        assert [line.title for line in dataset.edits_of_region(4)] == ["Import", "Move box"]
        assert [line.kind for line in dataset.edits_of_region(21)] == ["done", "undone"]
        assert dataset.edits_of_region(6)[-1].after.phrase == "a puppy"
    connection = connect(project.dataset_path, "read")
    lines = connection.execute("SELECT id, changes FROM edit WHERE kind = 'do'").fetchall()
    expected = {(region, key) for key, changes in lines for region in region_ids_of(decode_changes(changes))}
    assert set(connection.execute("SELECT region_id, edit_id FROM edit_region").fetchall()) == expected
    connection.close()


def test_that_a_migration_passes_over_a_damaged_line_of_the_log(project):
    shutil.copyfile(DATA / "schema_2.sqlite", project.dataset_path)
    connection = connect(project.dataset_path, "write")
    connection.execute("UPDATE edit SET changes = X'7801FF' WHERE id = 7")
    connection.close()
    with Dataset.open(project) as dataset:
        assert [line.title for line in dataset.edits_of_region(4)] == ["Import", "Move box"]


def test_that_regions_by_columns_are_the_regions(dataset: Dataset, make_region):
    sliver = UnitBox(0.1, 0.1, 0.1 + 1e-12, 0.5)
    regions = [
        make_region(1, "a dog", score=0.25, origin=Origin.MODEL, source="vesl:run", external_id="7"),
        make_region(2, "", review=Review.REJECTED, box=sliver, caption_span=(3, 5), is_locked=True),
    ]
    assert len(dataset.region_columns()) == 0
    dataset.apply(add_regions(regions))
    found = dataset.region_columns()
    assert found.ids.tolist() == [region.id for region in regions]
    assert (found.scores[0], found.phrases[0], found.sources[0], found.external_ids[0]) == (
        0.25,
        "a dog",
        "vesl:run",
        "7",
    )
    assert [tuple(Review)[code] for code in found.reviews] == [region.review for region in regions]
    assert [tuple(Origin)[code] for code in found.origins] == [region.origin for region in regions]
    assert found.spans.tolist() == [[-1, -1], [3, 5]]
    assert found.is_locked.tolist() == [False, True]
    assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
    assert (found.times_ms > 0).all()
    sizes = dataset.image_sizes()
    assert (sizes.ids[0], sizes.widths[0], sizes.heights[0]) == (1, 640, 480)


def test_that_only_regions_that_count_as_true_say_what_an_image_has(dataset: Dataset, make_region):
    cat, dog = (LabelClass(dataset.next_class_id(), name, "#102030") for name in ("cat", "dog"))
    dataset.apply(Edit("Add", (ClassChange(None, cat), ClassChange(None, dog))))
    assert [len(column) for column in dataset.region_classes()] == [0, 0]
    regions = [
        make_region(3, class_id=cat.id),
        make_region(3, class_id=cat.id, review=Review.ACCEPTED, origin=Origin.IMPORTED),
        make_region(1, class_id=dog.id, review=Review.ACCEPTED, origin=Origin.MODEL),
        make_region(1, class_id=cat.id, origin=Origin.MODEL),
        make_region(2, class_id=cat.id, review=Review.REJECTED),
        make_region(4, class_id=cat.id, is_crowd=True),
        make_region(5),
    ]
    dataset.apply(add_regions(regions))
    image_ids, class_ids = dataset.region_classes()
    assert list(zip(image_ids.tolist(), class_ids.tolist(), strict=True)) == [(1, dog.id), (3, cat.id)]
    true = {(region.image_id, region.class_id) for region in regions if region.is_ground_truth and region.class_id}
    assert true == {(1, dog.id), (3, cat.id)}


def test_that_what_files_hold_is_told_by_columns(dataset: Dataset):
    (root,) = dataset.roots()
    sha = "ab" * 32
    (key,) = dataset.add_images([Image(0, root.id, "new.jpg", 4, 4, sha256=sha, problem=Problem.CHANGED)])
    found = dataset.image_contents()
    assert found.ids.tolist() == [*range(1, 11), key]
    assert found.sha256[-1] == sha.encode()
    assert found.sha256[0] == b""
    assert tuple(Problem)[found.problems[-1]] is Problem.CHANGED
    assert tuple(Problem)[found.problems[0]] is Problem.NONE


def test_that_regions_that_are_read_a_few_at_a_time_are_all_there_in_their_order(
    dataset: Dataset, make_region, monkeypatch
):
    regions = [make_region(1 + n % 2, f"thing {n % 3}", external_id=str(n), source="file") for n in range(7)]
    dataset.apply(add_regions(regions))
    whole = dataset.region_columns()
    monkeypatch.setattr(columns, "_ROWS_A_TIME", 3)
    read = dataset.region_columns()
    assert read.ids.tolist() == whole.ids.tolist() == [region.id for region in regions]
    assert list(read.external_ids) == list("0123456")
    assert list(read.phrases) == [region.phrase for region in regions]
    assert (read.boxes == whole.boxes).all()
    assert (read.times_ms == whole.times_ms).all()
    assert read.phrases[0] is read.phrases[6]  # a million regions share a few thousand phrases
