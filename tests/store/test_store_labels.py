"""What is said of an image's classes, and what is painted on its heatmaps: edits like all others."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, CorrectionChange, Edit, LabelChange
from locstudio.domain.errors import EditConflict, StorageFailed
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import LabelClass, Origin
from locstudio.store.connections import connect
from locstudio.store.dataset import Dataset, open_snapshot

STROKE = Stroke(((0.25, 0.5), (0.75, 0.5)), 0.1)


@pytest.fixture
def classes(dataset: Dataset) -> list[LabelClass]:
    made = [LabelClass(dataset.next_class_id(), name, "#102030") for name in ("cat", "dog", "bus")]
    dataset.apply(Edit("Add classes", tuple(ClassChange(None, each) for each in made)))
    return made


def said(*labels: ImageLabel) -> Edit:
    return Edit("Say what is there", tuple(LabelChange(None, label) for label in labels))


def painted(dataset: Dataset, image_id: int = 1, class_id: int = 1, **values: object) -> HeatCorrection:
    correction = HeatCorrection(
        dataset.next_correction_id(), image_id, class_id, Evidence.ADD, (STROKE,), "consistency-0123456789abcdef"
    )
    correction = replace(correction, **values)
    dataset.apply(Edit("Paint", (CorrectionChange(None, correction),)))
    return correction


def tampered(dataset: Dataset, statement: str, *values: object) -> None:
    """Another program has written into the file."""
    connection = connect(dataset.path, "write")
    connection.execute(statement, values)
    connection.close()


def test_that_a_label_is_what_was_said_of_an_image_and_a_class(dataset: Dataset, classes):
    there = ImageLabel(1, 2, score=0.75, origin=Origin.MODEL, source="consistency-0123456789abcdef")
    gone = ImageLabel(1, 1, Presence.NEGATIVE)
    dataset.apply(said(there, gone, ImageLabel(3, 1)))
    assert dataset.labels_of(1) == [gone, there]
    assert dataset.labels_of_images([3, 2]) == {3: [ImageLabel(3, 1)], 2: []}


def test_that_a_label_changes_its_mind_in_one_step_and_back(dataset: Dataset, classes):
    before = ImageLabel(1, 2)
    dataset.apply(said(before))
    after = replace(before, presence=Presence.NEGATIVE)
    inverse = dataset.apply(Edit("Deny", (LabelChange(before, after),)))
    assert dataset.labels_of(1) == [after]
    dataset.apply(inverse)
    assert dataset.labels_of(1) == [before]
    dataset.apply(Edit("Forget", (LabelChange(before, None),)))
    assert dataset.labels_of(1) == []
    assert dataset.integrity() == []


def test_that_a_label_said_by_somebody_else_meanwhile_is_a_conflict_in_words(dataset: Dataset, classes):
    dataset.apply(said(ImageLabel(7, 2)))
    with pytest.raises(EditConflict, match="The label of class 2 of image 7 is there already"):
        dataset.apply(said(ImageLabel(7, 2, Presence.NEGATIVE)))
    with pytest.raises(EditConflict, match="The label of class 2 of image 7 has changed since"):
        dataset.apply(Edit("Deny", (LabelChange(ImageLabel(7, 2, Presence.UNKNOWN), None),)))
    with pytest.raises(EditConflict, match="The label of class 1 of image 7 is not in the dataset any more"):
        dataset.apply(Edit("Deny", (LabelChange(ImageLabel(7, 1), None),)))
    assert dataset.labels_of(7) == [ImageLabel(7, 2)]


@pytest.mark.parametrize("label", [ImageLabel(77, 1), ImageLabel(1, 77), ImageLabel(1, 1, score=1.5)])
def test_that_a_label_of_something_unknown_or_with_an_impossible_score_is_refused(dataset: Dataset, classes, label):
    with pytest.raises(EditConflict, match="does not fit"):
        dataset.apply(said(label))
    assert len(dataset.label_columns()) == 0


def test_that_a_label_cannot_become_the_label_of_another_class(dataset: Dataset, classes):
    dataset.apply(said(ImageLabel(1, 1)))
    with pytest.raises(ValueError, match="keep the identity of its label"):
        dataset.apply(Edit("Move", (LabelChange(ImageLabel(1, 1), ImageLabel(1, 2)),)))


def test_that_a_class_with_labels_can_be_retired_and_not_removed(dataset: Dataset, classes):
    cat = classes[0]
    dataset.apply(said(ImageLabel(1, cat.id)))
    dataset.apply(Edit("Retire", (ClassChange(cat, replace(cat, is_retired=True)),)))
    assert dataset.labels_of(1) == [ImageLabel(1, cat.id)]
    with pytest.raises(EditConflict, match="does not fit"):
        dataset.apply(Edit("Remove", (ClassChange(replace(cat, is_retired=True), None),)))
    dataset.apply(
        Edit("Remove", (ClassChange(replace(cat, is_retired=True), None), LabelChange(ImageLabel(1, cat.id), None)))
    )
    assert dataset.integrity() == []


def test_that_labels_by_columns_are_the_labels(dataset: Dataset, classes):
    labels = [
        ImageLabel(image_id, class_id, presence, origin)
        for image_id, class_id, presence, origin in (
            (10, 1, Presence.NEGATIVE, Origin.EDITED),
            (2, 3, Presence.UNKNOWN, Origin.MODEL),
            (2, 1, Presence.POSITIVE, Origin.IMPORTED),
        )
    ]
    assert len(dataset.label_columns()) == 0
    dataset.apply(said(*labels))
    columns = dataset.label_columns()
    assert columns.image_ids.tolist() == [2, 2, 10]
    assert columns.class_ids.tolist() == [1, 3, 1]
    assert columns.presence.tolist() == [1, -1, 0]
    assert [tuple(Origin)[code] for code in columns.origins] == [Origin.IMPORTED, Origin.MODEL, Origin.EDITED]
    assert columns.presence.dtype == columns.origins.dtype == np.int8


def test_that_a_stroke_comes_back_as_it_was_painted_to_a_hundred_thousandth(dataset: Dataset, classes):
    rough = Stroke(((1 / 3, 2 / 3), (-0.1, 1.2)), 1e-9)
    correction = painted(dataset, strokes=(STROKE, rough), kind=Evidence.REMOVE, at="2026-01-02T03:04:05+00:00")
    (found,) = dataset.corrections_of(1)
    assert found == replace(correction, strokes=(STROKE, Stroke(((0.33333, 0.66667), (-0.1, 1.2)), 1e-5)))
    # Whoever holds it as it was painted, and whoever has read it, may both change it.
    dataset.apply(Edit("Erase", (CorrectionChange(correction, replace(correction, strokes=(rough,))),)))
    (found,) = dataset.corrections_of(1)
    dataset.apply(Edit("Erase", (CorrectionChange(found, None),)))
    assert dataset.corrections_of(1) == []
    assert dataset.integrity() == []


def test_that_corrections_come_oldest_first_by_image_and_by_page(dataset: Dataset, classes):
    made = [painted(dataset, image_id=image_id) for image_id in (5, 1, 5)]
    assert dataset.corrections_of(5) == [made[0], made[2]]
    assert dataset.corrections_of_images([1, 2]) == {1: [made[1]], 2: []}
    assert dataset.corrections_page(0, 2) == made[:2]
    assert dataset.corrections_page(made[1].id) == made[2:]
    assert dataset.corrected_image_ids().tolist() == [1, 5]


def test_that_the_identity_of_a_correction_is_never_given_twice(dataset: Dataset, project, classes):
    correction = painted(dataset)
    dataset.apply(Edit("Erase", (CorrectionChange(correction, None),)))
    dataset.close()
    with Dataset.open(project) as again:
        assert again.next_correction_id() > correction.id


def test_that_a_correction_in_the_words_of_another_program_is_read_and_can_be_erased(dataset: Dataset, classes):
    shape = '[ {"points": [[0.25, 0.50]], "radius": 0.1000, "by": "me"} ]'
    tampered(dataset, "INSERT INTO heatmap_correction VALUES (9, 1, 1, 'add', ?, NULL, '')", shape)
    (found,) = dataset.corrections_of(1)
    assert found == HeatCorrection(9, 1, 1, Evidence.ADD, (Stroke(((0.25, 0.5),), 0.1),))
    dataset.apply(Edit("Erase", (CorrectionChange(found, None),)))
    dataset.undo()
    assert dataset.corrections_of(1) == [found]


@pytest.mark.parametrize(
    "shape",
    [
        "",
        "{}x",
        "7",
        "null",
        '[{"points": []}]',
        '[{"points": [], "radius": 0.1}]',
        '[{"points": [[0, NaN]], "radius": 0.1}]',
        f'[{{"points": [[0, {"9" * 400}]], "radius": 0.1}}]',
        '[{"points": [["__import__", "os"]], "radius": 0.1}]',
        '[{"points": [[0.1, 0.2]], "radius": -1}]',
        "[" * 100_000,
        '{"polygon": [[0, 0], [1, 1]]}',
        "\x00\ud7ff",
    ],
)
def test_that_a_correction_that_is_no_strokes_is_passed_over_and_told(dataset: Dataset, classes, caplog, shape: str):
    tampered(dataset, "INSERT INTO heatmap_correction VALUES (1, 1, 1, 'add', ?, NULL, '')", shape)
    sound = painted(dataset, id=2)
    with caplog.at_level(logging.WARNING):
        assert dataset.corrections_of(1) == [sound]
    assert "Heat correction 1 of image 1 is passed over" in caplog.text
    assert dataset.corrections_page(0, 1) == [sound]  # the page is full although the first row is no correction
    assert dataset.corrected_image_ids().tolist() == [1]
    assert any("heat correction 1 cannot be read" in sentence for sentence in dataset.integrity(with_replay=False))


def test_that_a_label_with_a_word_nobody_writes_is_damage_and_said_so(dataset: Dataset, classes):
    dataset.apply(said(ImageLabel(1, 1)))
    connection = connect(dataset.path, "write")
    connection.execute("PRAGMA ignore_check_constraints=ON")
    connection.execute("UPDATE image_class SET presence = 'perhaps'")
    connection.close()
    with pytest.raises(StorageFailed, match="damaged"):
        dataset.label_columns()
    with pytest.raises(StorageFailed, match="damaged"):
        dataset.labels_of(1)


def test_that_integrity_finds_labels_and_strokes_that_no_edit_has_made(dataset: Dataset, classes):
    dataset.apply(said(ImageLabel(1, 1), ImageLabel(2, 1)))
    painted(dataset)
    tampered(dataset, "UPDATE image_class SET presence = 'negative' WHERE image_id = 1")
    tampered(dataset, "DELETE FROM image_class WHERE image_id = 2")
    tampered(dataset, "DELETE FROM heatmap_correction")
    assert dataset.integrity() == [
        "The label (image, class) (1, 1) is not what the log of edits says.",
        "The label (image, class) (2, 1) is in the log of edits and not in the dataset.",
        "The heat correction 1 is in the log of edits and not in the dataset.",
    ]


def test_that_labels_and_strokes_count_as_what_a_person_has_corrected(dataset: Dataset, classes):
    revision = dataset.revision()
    dataset.apply(said(ImageLabel(1, 1), ImageLabel(1, 2)))
    painted(dataset)
    assert dataset.corrections_since(revision) == 3
    dataset.undo()
    assert dataset.corrections_since(revision) == 2


def test_that_a_snapshot_holds_labels_and_corrections_and_its_hash_knows_them(
    dataset: Dataset, classes, tmp_path: Path
):
    without = dataset.snapshot(tmp_path / "without.sqlite")
    dataset.apply(said(ImageLabel(4, 2)))
    with_label = dataset.snapshot(tmp_path / "with_label.sqlite")
    correction = painted(dataset, image_id=4)
    with_both = dataset.snapshot(tmp_path / "with_both.sqlite")
    assert len({without.sha256, with_label.sha256, with_both.sha256}) == 3
    with open_snapshot(with_both.path) as frozen:
        assert frozen.labels_of(4) == [ImageLabel(4, 2)]
        assert frozen.label_columns().class_ids.tolist() == [2]
        assert frozen.corrections_of(4) == [correction]
