"""Raw proposals on disk: what was written is read, and damage is refused in words."""

from pathlib import Path

import numpy as np
import pytest

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Origin
from locstudio.jobs import raw_proposals
from locstudio.jobs.raw_proposals import (
    BOX_STEPS,
    Manifest,
    RawCaption,
    RawProposals,
    quantised,
    read_raw_proposals,
    write_raw_proposals,
)

DIM = 4


def proposals(num_rows: int = 3) -> RawProposals:
    corners = np.linspace(0.0, 0.4, num_rows)
    boxes = np.stack([corners, corners, corners + 0.5, corners + 0.25], axis=1)
    return RawProposals(
        Manifest(checkpoint_id="cloc-1", detector="own", dim=DIM, num_rows=num_rows, num_images=2),
        ("a dog", "a red car"),
        (RawCaption(id=7, image_id=1, text="A dog beside a red car.", origin=Origin.IMPORTED),),
        np.ones(num_rows, np.int64),
        quantised(boxes),
        np.zeros(num_rows, np.int32),
        np.full(num_rows, 0.5, np.float16),
        np.full(num_rows, 0.25, np.float16),
        np.zeros(num_rows, np.int32),
        np.tile(np.array([0, 5], np.uint16), (num_rows, 1)),
        np.zeros((num_rows, DIM), np.float16),
        np.array([1, 2], np.int64),
    )


def test_that_proposals_come_back_as_they_were_written(tmp_path: Path):
    written = proposals()
    write_raw_proposals(tmp_path, written)
    read = read_raw_proposals(tmp_path)
    assert read is not None
    assert (read.manifest, read.phrases, read.captions) == (written.manifest, written.phrases, written.captions)
    np.testing.assert_array_equal(read.boxes_q, written.boxes_q)
    np.testing.assert_array_equal(read.seen_image_ids, written.seen_image_ids)
    assert list(tmp_path.iterdir()) == [tmp_path / "proposals"]


def test_that_a_run_that_found_nothing_is_read_as_empty(tmp_path: Path):
    write_raw_proposals(tmp_path, proposals(0))
    read = read_raw_proposals(tmp_path)
    assert read is not None
    assert len(read) == 0
    assert read.vectors.shape == (0, DIM)


def test_that_there_are_no_proposals_before_they_are_written(tmp_path: Path):
    assert read_raw_proposals(tmp_path) is None


def test_that_writing_again_replaces_what_was_there(tmp_path: Path):
    write_raw_proposals(tmp_path, proposals(3))
    write_raw_proposals(tmp_path, proposals(2))
    read = read_raw_proposals(tmp_path)
    assert read is not None
    assert len(read) == 2


@pytest.mark.parametrize("column", ["image_ids", "vectors", "seen_image_ids"])
def test_that_what_is_replaced_while_it_is_read_is_read_as_one_or_the_other(tmp_path: Path, monkeypatch, column: str):
    write_raw_proposals(tmp_path, proposals(3))
    load, replaced = raw_proposals._load, []

    def replacing(folder: Path, name: str):
        if name == column and not replaced:
            replaced.append(write_raw_proposals(tmp_path, proposals(5)))
        return load(folder, name)

    monkeypatch.setattr(raw_proposals, "_load", replacing)
    read = read_raw_proposals(tmp_path)
    assert read is not None
    assert len(read) == len(read.boxes) == 5


def test_that_a_quantised_box_moves_by_half_a_step_at_most_and_keeps_an_area():
    boxes = np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.6]])
    steps = quantised(boxes).astype(np.int64)
    assert (steps[:, :2] < steps[:, 2:]).all()
    assert np.abs(steps[0] / BOX_STEPS - boxes[0]).max() <= 0.5 / BOX_STEPS


@pytest.mark.parametrize("name", ["boxes.npy", "phrases.json", "manifest.json", "vectors.npy"])
def test_that_a_file_that_was_cut_off_is_refused_in_words(tmp_path: Path, name: str):
    folder = write_raw_proposals(tmp_path, proposals())
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="cannot be read"):
        read_raw_proposals(tmp_path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("phrase_rows", np.array([0, 1, 2], np.int32)),
        ("caption_rows", np.array([0, 0, 5], np.int32)),
        ("scores", np.array([0.5, np.nan, 0.5], np.float16)),
        ("boxes", np.zeros((3, 4), np.uint16)),
        ("image_ids", np.zeros(2, np.int64)),
        ("vectors", np.zeros((3, DIM), np.float32)),
    ],
)
def test_that_columns_that_contradict_each_other_are_refused(tmp_path: Path, name: str, values: np.ndarray):
    folder = write_raw_proposals(tmp_path, proposals())
    np.save(folder / f"{name}.npy", values)
    with pytest.raises(BadInput, match="cannot be read"):
        read_raw_proposals(tmp_path)


def test_that_a_pickled_column_of_a_stranger_is_not_unpickled(tmp_path: Path):
    folder = write_raw_proposals(tmp_path, proposals())
    np.save(folder / "scores.npy", np.array([{}, {}, {}], object), allow_pickle=True)
    with pytest.raises(BadInput, match="cannot be read"):
        read_raw_proposals(tmp_path)
