"""A dry run: what it says, and that it leaves nothing behind; and the switches of a run that change no result."""

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.jobs.messages import Estimated, Evaluated, Failed, Finished, Note, Progress, Saved, Started
from locstudio.jobs.run_folder import RunFolder
from trainer.__main__ import work
from trainer.batches import batches_of
from trainer.checkpoint import step_folders
from trainer.data import read_training_images
from trainer.device import autocast, num_loading_threads
from trainer.estimate import Costs

TRAINING = ClocTraining(
    num_steps=6, batch_size=4, regions_per_image=2, num_warmup_steps=2, evaluate_every=3, hold_out=0.0
)


@pytest.fixture(autouse=True)
def _every_step_is_reported(monkeypatch):
    monkeypatch.setattr("trainer.hooks.REPORT_SECONDS", 0.0)
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 0)


def new_run(painted, checkpoint, **changes):
    training = msgspec.structs.replace(TRAINING, **changes)
    config = RunConfig(kind="cloc", checkpoint=str(checkpoint), device="cpu", num_threads=1, seed=3, cloc=training)
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    return folder


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def estimated(folder):
    (message,) = [m for m in folder.read_events() if isinstance(m, Estimated)]
    return message


def test_that_a_dry_run_says_what_the_run_would_take_and_leaves_nothing(paint, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("trainer.estimate.process_age", lambda: 100.0)
    painted = paint(10, splits=("train", "val"))
    folder = new_run(painted, tiny_checkpoint, is_dry_run=True, num_steps=1000)
    before = files_of(painted.project.path)
    assert work(folder, None, lambda: False) == 0
    new = files_of(painted.project.path) - before
    assert new == {folder.events.relative_to(painted.project.path).as_posix()}
    assert isinstance(folder.last_event(), Finished)
    said = estimated(folder)
    assert said.num_images_to_encode == 10
    assert said.seconds > 100.0 + 1000 * said.seconds_per_step > 100.0
    assert said.memory_bytes > 50 << 20
    assert said.disk_bytes > 0
    started = next(m for m in folder.read_events() if isinstance(m, Started))
    assert (started.num_images, started.num_held_out, started.num_steps) == (5, 10, 1000)
    assert not any(isinstance(m, Evaluated | Saved) for m in folder.read_events())


def test_that_images_whose_tokens_are_kept_need_not_be_encoded(paint, tiny_checkpoint):
    painted = paint(6)
    assert work(new_run(painted, tiny_checkpoint), None, lambda: False) == 0
    folder = new_run(painted, tiny_checkpoint, is_dry_run=True)
    assert work(folder, None, lambda: False) == 0
    assert estimated(folder).num_images_to_encode == 0


@pytest.mark.parametrize("changes", [{"is_tower_frozen": False}, {"extractor": "crop"}, {"micro_batch": 1}])
def test_that_every_kind_of_training_can_be_estimated(paint, tiny_checkpoint, changes):
    folder = new_run(paint(5), tiny_checkpoint, is_dry_run=True, **changes)
    assert work(folder, None, lambda: False) == 0, folder.last_event()
    assert estimated(folder).seconds_per_step > 0


def test_that_a_dry_run_without_anything_to_learn_says_what_is_missing(paint, tiny_checkpoint):
    folder = new_run(paint(0), tiny_checkpoint, is_dry_run=True)
    assert work(folder, None, lambda: False) == 4
    assert isinstance(folder.last_event(), Failed)


def test_that_a_dry_run_can_be_stopped(paint, tiny_checkpoint):
    folder = new_run(paint(3), tiny_checkpoint, is_dry_run=True)
    assert work(folder, None, lambda: True) == 0
    assert folder.last_event().was_stopped


def test_that_the_whole_is_the_sum_of_its_parts():
    costs = Costs(start=1, encoding=2, texts=4, steps=8, evaluations=16, saves=32, embedding=64)
    assert costs.total == 127


def test_that_the_time_left_counts_what_comes_after_the_last_step(paint, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("trainer.recipes.train_cloc.seconds_to_embed", lambda *_: 500.0)
    folder = new_run(paint(4), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    steps = [m for m in folder.read_events() if isinstance(m, Progress) and m.learning_rate is not None]
    assert all(500.0 <= m.seconds_left < 560.0 for m in steps)
    after = [m for m in folder.read_events() if isinstance(m, Progress) and m.sequence > steps[-1].sequence]
    assert [m.step for m in after] == [6] * len(after)
    assert after[-1].seconds_left == 0.0


def test_that_a_run_writes_curves_for_tensorboard_where_it_is_asked_to(paint, tiny_checkpoint):
    accumulating = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = new_run(paint(8, splits=("train", "val")), tiny_checkpoint, has_tensorboard=True)
    assert work(folder, None, lambda: False) == 0
    accumulator = accumulating.EventAccumulator(str(folder.path / "tensorboard"))
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    assert {"train/loss", "train/clip", "train/learning_rate", "held_out/top1", "held_out/hit50"} <= set(tags)
    assert [event.step for event in accumulator.Scalars("held_out/top1")] == [0, 3, 6]


def test_that_a_run_goes_on_without_tensorboard(paint, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("trainer.tensorboard.find_spec", lambda _: None)
    folder = new_run(paint(4), tiny_checkpoint, has_tensorboard=True)
    assert work(folder, None, lambda: False) == 0
    assert any("locstudio[tensorboard]" in m.text for m in folder.read_events() if isinstance(m, Note))


def last_state(folder):
    return load_file(step_folders(folder.checkpoints)[0] / "resume" / "state.safetensors")


def test_that_the_prompter_is_compiled_for_steps_alone(paint, tiny_checkpoint, monkeypatch):
    painted = paint(6, splits=("train", "train", "val"))
    plain = new_run(painted, tiny_checkpoint)
    assert work(plain, None, lambda: False) == 0
    called = []

    def compile_(function, *, dynamic):
        assert dynamic
        return lambda *arguments: called.append(function.__name__) or function(*arguments)

    monkeypatch.setattr("torch.compile", compile_)
    folder = new_run(painted, tiny_checkpoint, has_compile=True)
    assert work(folder, None, lambda: False) == 0
    assert called == ["embed_boxes", "state_of_texts"] * 6  # never by an evaluation
    left, right = last_state(plain), last_state(folder)
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_that_batches_come_in_order_however_many_threads_make_them(paint):
    images = read_training_images(paint(8).dataset)

    def batches(num_threads):
        return list(
            batches_of(
                images,
                range(9),
                batch_size=3,
                num_regions=2,
                seed=4,
                tokens=None,
                preprocess=lambda image: torch.full((3, 2, 2), float(image.image.id)),
                num_threads=num_threads,
            )
        )

    for one, other in zip(batches(1), batches(5), strict=True):
        assert torch.equal(one.pixels_B3HW, other.pixels_B3HW)
        assert torch.equal(one.boxes_BM4, other.boxes_BM4)
        assert one.phrases == other.phrases


def test_that_the_cpu_computes_in_full_precision_and_keeps_its_cores_for_the_steps():
    cpu = torch.device("cpu")
    with autocast(cpu):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert num_loading_threads(cpu) == 1
    assert 1 <= num_loading_threads(torch.device("cuda")) <= 8
