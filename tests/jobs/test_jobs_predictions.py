"""Predictions on disk: what is written is read again, and what is none of ours is refused."""

import io
import pickle
import zipfile
from dataclasses import fields, replace

import numpy as np
import pytest

from locstudio.domain.errors import BadInput
from locstudio.jobs.predictions import (
    Detections,
    Gate,
    GateCheck,
    GroundingPredictions,
    ImageTextPredictions,
    PredictionFolder,
    Predictions,
    ProposalPredictions,
    RegionPredictions,
    RetrievalPredictions,
    Summary,
    read_gate,
    write_gate,
)


def ints(*values):
    return np.array(values, np.int64)


def floats(*values):
    return np.array(values, np.float32)


def boxes(count):
    return np.tile(np.array([0.1, 0.2, 0.5, 0.6], np.float32), (count, 1))


@pytest.fixture
def predictions():
    yes = np.ones(2, np.bool_)
    return Predictions(
        summary=Summary(checkpoint_id="cloc-1", name="lite", num_images=1, metrics={"top1": 0.5}),
        classes=((3, "cat"), (5, "dog")),
        phrases=("a cat", "a dog", "a cow"),
        regions=RegionPredictions(
            ints(1, 2), ints(9, 9), boxes(2), ints(0, 1), ints(0, 0), ints(0, 1), yes,
            np.array([[0.5, 0.25], [0.5, 0.25]], np.float16),
        ),
        grounding=GroundingPredictions(
            ints(1, 2), ints(9, 9), ints(0, 2), boxes(2), boxes(2), floats(1, 1), floats(0.3, 0.2), yes
        ),
        proposals=ProposalPredictions(
            ints(1, 2), ints(9, 9), boxes(2), ints(1, 0), np.array([True, False]), ints(0, 100), floats(0.8, 0.4), yes
        ),
        detections=Detections(ints(9, 9), boxes(2), ints(0, 1), floats(0.5, 0.4), yes),
        retrieval=RetrievalPredictions(ints(1, 2), ints(9, 9), ints(0, 2), ints(0, 4), yes, ints(0, 0, 1)),
        images=ImageTextPredictions(ints(9, 10), ints(0, 1), yes, ints(4), ints(9), ints(0)),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path, predictions):
    folder = PredictionFolder(tmp_path / "predictions")
    folder.write(predictions)
    return folder


def test_that_what_was_written_is_read_again(folder, predictions):
    found = folder.read()
    assert (found.summary, found.classes, found.phrases) == (
        predictions.summary,
        predictions.classes,
        predictions.phrases,
    )
    for name in ("regions", "grounding", "proposals", "detections", "retrieval", "images"):
        table = getattr(predictions, name)
        for column in fields(table):
            np.testing.assert_array_equal(getattr(getattr(found, name), column.name), getattr(table, column.name))
    assert [path.name for path in folder.path.parent.iterdir()] == ["predictions"]


def test_that_a_task_that_was_not_measured_is_none(tmp_path):
    folder = PredictionFolder(tmp_path / "predictions")
    assert not folder.is_present
    folder.write(Predictions(summary=Summary(checkpoint_id="cloc-1", name="lite")))
    assert folder.is_present
    assert folder.read().regions is None


def test_that_what_a_killed_process_left_is_swept_away(folder, predictions):
    (folder.path.parent / "predictions.0123abcd.partial").mkdir()
    folder.write(predictions)
    assert [path.name for path in folder.path.parent.iterdir()] == ["predictions"]


def test_that_older_predictions_are_replaced_whole(folder, predictions):
    folder.write(replace(predictions, regions=None))
    assert folder.read().regions is None


@pytest.mark.parametrize(
    ("column", "values", "why"),
    [
        ("region_ids", np.array([1, 2], np.int32), "region_ids is int32"),
        ("region_ids", ints(1, 2, 3), "image_ids has 2 along N"),
        ("region_ids", ints(1, -2), "region_ids is negative"),
        ("true_rows", ints(0, 2), "true_rows names rows beyond the 2 classes"),
        ("scores", np.array([[0.5, np.nan], [0.5, 0.5]], np.float16), "scores is not finite"),
        ("scores", np.zeros((2, 3), np.float16), "scores of other than 2 classes"),
        ("boxes", boxes(2) + 0.5, "boxes holds boxes that leave the image"),
        ("boxes", boxes(2)[:, :3], "boxes has 3 along 4"),
    ],
)
def test_that_columns_which_cannot_be_are_refused(folder, predictions, column, values, why):
    table = predictions.regions
    columns = {each.name: getattr(table, each.name) for each in fields(table)} | {column: values}
    np.savez(folder.path / "regions.npz", **columns)
    with pytest.raises(BadInput, match=why):
        folder.read()


def test_that_pickled_objects_are_never_unpacked(folder):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("a pickle was run",)

    whole = io.BytesIO()
    np.lib.format.write_array_header_1_0(whole, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    whole.write(pickle.dumps([Bomb()]))
    with zipfile.ZipFile(folder.path / "images.npz", "w") as archive:
        for column in fields(ImageTextPredictions):
            archive.writestr(f"{column.name}.npy", whole.getvalue())
    with pytest.raises(BadInput, match=r"images\.npz is damaged"):
        folder.read()


def test_that_a_small_file_cannot_unpack_into_a_large_one(folder, predictions):
    np.savez_compressed(
        folder.path / "detections.npz",
        **{each.name: getattr(predictions.detections, each.name) for each in fields(Detections)},
    )
    with pytest.raises(BadInput, match="it is compressed"):
        folder.read()


def test_that_an_array_that_claims_more_than_its_file_is_refused(folder):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (1 << 50,)})
    with zipfile.ZipFile(folder.path / "images.npz", "w") as archive:
        for column in fields(ImageTextPredictions):
            archive.writestr(f"{column.name}.npy", header.getvalue())
    with pytest.raises(BadInput, match=r"images\.npz is damaged"):
        folder.read()


@pytest.mark.parametrize("name", ["summary.json", "classes.json", "regions.npz"])
def test_that_a_file_cut_off_is_refused_with_a_sentence(folder, name):
    content = (folder.path / name).read_bytes()
    (folder.path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match="Evaluate again"):
        folder.read()


def test_that_a_class_id_that_no_database_holds_is_refused(folder):
    (folder.path / "classes.json").write_text(f'[[{2**80}, "cat"]]')
    with pytest.raises(BadInput, match=r"classes\.json is damaged"):
        folder.read()


def test_that_numbers_that_are_not_finite_are_never_written(tmp_path, predictions):
    table = replace(predictions.detections, scores=floats(0.5, np.nan))
    folder = PredictionFolder(tmp_path / "other")
    with pytest.raises(ValueError, match="scores is not finite"):
        folder.write(replace(predictions, detections=table))
    assert not folder.path.exists()


def test_that_a_gate_names_its_reasons_and_is_none_before_it_was_made(tmp_path):
    assert read_gate(tmp_path) is None
    loads = GateCheck(name="loads", passed=True, sentence="It loads.")
    metric = GateCheck(name="metric", passed=False, sentence="It names fewer boxes.", old=0.5, new=0.25)
    gate = Gate(passed=False, old_id="cloc-1", new_id="cloc-2", checks=(loads, metric))
    write_gate(tmp_path, gate)
    assert read_gate(tmp_path) == gate
    assert gate.reasons == ("It names fewer boxes.",)


def test_that_a_foreign_gate_is_refused(tmp_path):
    (tmp_path / "gate.json").write_text('{"passed": "perhaps"}')
    with pytest.raises(BadInput, match="Compare the two checkpoints again"):
        read_gate(tmp_path)
