"""What an evaluation of classes found, on disk: as it was written, or refused with a sentence."""

import pytest

from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.jobs.class_results import (
    ClassPrecision,
    ClassResults,
    has_class_results,
    read_class_results,
    write_class_results,
)

RESULTS = ClassResults(
    checkpoint_id="consistency-0123456789abcdef",
    name="Night",
    num_images=9,
    num_held_out=4,
    metrics={"map": 0.5, "n": 9.0},
    classes=(
        ClassPrecision(class_id=1, name="dog", num_positives=3, num_negatives=6, average_precision=0.5),
        ClassPrecision(class_id=2, name="cat", num_positives=0, num_negatives=9),
    ),
)


def test_that_results_are_read_as_they_were_written(tmp_path):
    folder = tmp_path / "results" / "new"
    assert not has_class_results(folder)
    write_class_results(folder, RESULTS)
    assert has_class_results(folder)
    assert read_class_results(folder) == RESULTS


@pytest.mark.parametrize("content", [b"", b"[]", b'{"name": 3}', b"\xff\xfe", b'{"checkpoint_id": "c", "further": 1}'])
def test_that_a_file_that_is_none_of_ours_is_refused(tmp_path, content):
    (tmp_path / "class_results.json").write_bytes(content)
    with pytest.raises(BadInput, match="Evaluate again"):
        read_class_results(tmp_path)


def test_that_a_missing_file_and_a_disk_that_refuses_are_said(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_class_results(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="could not be written"):
        write_class_results(tmp_path / "file" / "new", RESULTS)
