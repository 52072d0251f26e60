"""Files of a training run: written whole, read strictly, absent before they are there."""

import pytest

from locstudio.domain.errors import BadInput
from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import (
    BestStep,
    HeldOut,
    History,
    SampledRegion,
    Samples,
    best_file,
    held_out_file,
    history_file,
    read_bad_batch,
    read_best,
    read_held_out,
    read_history,
    read_samples,
    samples_file,
    write_document,
)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "runs", RunConfig(kind="cloc", checkpoint="/c", cloc=ClocTraining()))


def test_that_a_run_that_has_not_begun_has_none_of_them(folder):
    assert read_held_out(folder) is None
    assert read_best(folder) is None
    assert read_bad_batch(folder) is None
    assert read_history(folder) == History()
    with pytest.raises(BadInput, match="no samples"):
        read_samples(samples_file(folder, 5))


def test_that_what_was_written_is_read_again(folder):
    held_out = HeldOut(split="val", image_ids=(3, 5), num_regions=9)
    best = BestStep(step=80, path="checkpoints/step_80", metric="macc+top1", value=0.5)
    history = History(before={"top1": 0.25}, evaluations={80: {"top1": 0.5}}, happened=("It was stopped.",))
    region = SampledRegion(image_id=3, region_id=7, box=(0.0, 0.1, 0.5, 0.6), truth="cup", guesses=(("cup", 0.75),))
    samples = Samples(step=80, regions=(region,))
    for path, document in (
        (held_out_file(folder), held_out),
        (best_file(folder), best),
        (history_file(folder), history),
        (samples_file(folder, 80), samples),
    ):
        write_document(path, document)
    assert (read_held_out(folder), read_best(folder), read_history(folder)) == (held_out, best, history)
    assert read_samples(samples_file(folder, 80)) == samples
    assert samples_file(folder, 80).relative_to(folder.path).as_posix() == "results/samples/step_80.json"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"step": 1, "path": "x", "rank": 1}', b'{"step": "1"}'])
def test_that_a_file_that_is_not_ours_is_refused(folder, content):
    best_file(folder).write_bytes(content)
    with pytest.raises(BadInput, match=r"best\.json"):
        read_best(folder)
