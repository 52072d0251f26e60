"""What was edited between two snapshots."""

from dataclasses import replace
from pathlib import Path

import pytest

from locstudio.domain.edits import (
    CaptionChange,
    ClassChange,
    CorrectionChange,
    Edit,
    ImageChange,
    LabelChange,
    RegionChange,
    add_regions,
    change_regions,
    delete_regions,
)
from locstudio.domain.errors import NotAProject
from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Caption, Image, LabelClass, Origin, Review
from locstudio.store.dataset import Dataset
from locstudio.store.diff import RegionDiff, RowCounts, diff_snapshots


@pytest.fixture
def snapshots(dataset: Dataset, make_region, tmp_path: Path):
    """Makes two snapshots around what is done between them, and the regions that were there before."""
    dog = LabelClass(dataset.next_class_id(), "dog", "#aa0000")
    cat = LabelClass(dataset.next_class_id(), "cat", "#00aa00")
    dataset.apply(Edit("Add classes", (ClassChange(None, dog), ClassChange(None, cat))))
    regions = [make_region(1 + number, class_id=dog.id) for number in range(6)]
    dataset.apply(add_regions(regions))

    def around(do):
        old = dataset.snapshot(tmp_path / "old.sqlite").path
        do(regions, dog, cat)
        return diff_snapshots(old, dataset.snapshot(tmp_path / "new.sqlite").path)

    return around


def test_that_equal_snapshots_have_no_difference(snapshots, dataset: Dataset):
    diff = snapshots(lambda *_: dataset.set_setting("a", "b"))
    assert diff.is_empty
    assert set(diff.regions.values()) == {0}


def test_that_each_kind_of_edit_is_counted_and_paged(snapshots, dataset: Dataset, make_region):
    new = make_region(2, "a new dog")
    pairs = {}

    def edit(regions, dog, cat):
        pairs.update(
            moved=(regions[0], replace(regions[0], box=UnitBox(0.2, 0.2, 0.6, 0.6))),
            phrase=(regions[1], replace(regions[1], phrase="a cat")),
            classed=(regions[2], replace(regions[2], class_id=None)),
            both=(regions[3], replace(regions[3], phrase="a cow", review=Review.ACCEPTED)),
        )
        for pair in pairs.values():
            dataset.apply(Edit("Change", (RegionChange(*pair),)))
        dataset.apply(delete_regions([regions[4]]))
        dataset.apply(add_regions([new]))
        pairs["gone"] = (regions[4], None)

    diff = snapshots(edit)
    assert diff.regions == {"added": 1, "removed": 1, "moved": 1, "renamed": 3, "reviewed": 1}
    assert diff.num_edited_regions == 6
    assert diff.region_page("added") == [RegionDiff(None, new)]
    assert diff.region_page("removed") == [RegionDiff(pairs["gone"][0], None)]
    assert diff.region_page("moved") == [RegionDiff(*pairs["moved"])]
    renamed = [RegionDiff(*pairs[name]) for name in ("phrase", "classed", "both")]
    assert diff.region_page("renamed") == renamed
    assert diff.region_page("renamed", limit=2) == renamed[:2]
    assert diff.region_page("renamed", after_id=renamed[1].after.id) == renamed[2:]
    assert diff.region_page("reviewed") == [RegionDiff(*pairs["both"])]
    assert diff.to_json()["regions"]["edited"] == 6


def test_that_what_was_undone_is_no_difference(snapshots, dataset: Dataset):
    def edit(regions, *_):
        dataset.apply(change_regions([(regions[0], replace(regions[0], phrase="x"))], "Change"))
        dataset.undo()

    assert snapshots(edit).is_empty


def test_that_images_classes_and_captions_are_compared_too(snapshots, dataset: Dataset):
    image = dataset.image(1)

    def edit(_, dog, cat):
        caption = Caption(dataset.next_caption_id(), 1, "A dog.", Origin.HUMAN)
        dataset.apply(
            Edit(
                "Several",
                (
                    ClassChange(cat, replace(cat, is_retired=True)),
                    CaptionChange(None, caption),
                    ImageChange(image, replace(image, split="val")),
                ),
            )
        )
        dataset.add_images([Image(0, image.root_id, "another.jpg", 5, 5)])

    diff = snapshots(edit)
    assert (diff.images, diff.classes, diff.captions) == (RowCounts(1, 0, 1), RowCounts(0, 0, 1), RowCounts(1, 0, 0))
    assert not diff.is_empty
    assert [(before and before.split, after.path) for before, after in diff.image_page()] == [
        ("", image.path),
        (None, "another.jpg"),
    ]
    assert [(before.is_retired, after.is_retired) for before, after in diff.class_page()] == [(False, True)]
    assert [(before, after.text) for before, after in diff.caption_page()] == [(None, "A dog.")]


def test_that_labels_and_what_was_painted_are_compared_too(snapshots, dataset: Dataset):
    image_ids = (1, 2, 3)
    stroke = Stroke(((0.5, 0.5),), 0.1)
    before = []

    def edit(_, dog, cat):
        _, denied, forgotten = before
        new = ImageLabel(2, cat.id)
        painted = HeatCorrection(dataset.next_correction_id(), 1, dog.id, Evidence.ADD, (stroke,))
        dataset.apply(
            Edit(
                "Several",
                (
                    LabelChange(denied, replace(denied, presence=Presence.NEGATIVE)),
                    LabelChange(forgotten, None),
                    LabelChange(None, new),
                    CorrectionChange(None, painted),
                ),
            )
        )
        before.append(new)

    dog_id = dataset.classes()[0].id
    before += [ImageLabel(key, dog_id) for key in image_ids]
    dataset.apply(Edit("Say", tuple(LabelChange(None, label) for label in before)))
    diff = snapshots(edit)
    assert (diff.labels, diff.heat_corrections) == (RowCounts(1, 1, 1), RowCounts(1, 0, 0))
    assert not diff.is_empty
    _, denied, forgotten, new = before
    assert diff.label_page() == [
        (denied, replace(denied, presence=Presence.NEGATIVE)),
        (None, new),
        (forgotten, None),
    ]
    assert diff.label_page(limit=1) == diff.label_page()[:1]
    assert diff.to_json()["labels"] == {"added": 1, "removed": 1, "changed": 1}


def test_that_a_file_which_is_no_snapshot_is_refused(dataset: Dataset, tmp_path: Path):
    snapshot = dataset.snapshot(tmp_path / "a.sqlite").path
    (tmp_path / "b.sqlite").write_text("hello")
    with pytest.raises(NotAProject):
        diff_snapshots(snapshot, tmp_path / "b.sqlite")
    with pytest.raises(NotAProject):
        diff_snapshots(tmp_path / "missing.sqlite", snapshot)


def test_that_neither_snapshot_is_written(snapshots, dataset: Dataset, tmp_path: Path):
    diff = snapshots(lambda regions, *_: dataset.apply(delete_regions(regions)))
    contents = diff.old.read_bytes(), diff.new.read_bytes()
    diff.region_page("removed")
    assert (diff.old.read_bytes(), diff.new.read_bytes()) == contents
    assert {path.name for path in tmp_path.iterdir()} == {"project", "old.sqlite", "new.sqlite"}
