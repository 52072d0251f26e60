"""What a run does when its loss is no number, its memory too small, its process cut off; and that it ends the same."""

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from locstudio.domain.errors import UserError
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.jobs.messages import Failed, Finished, Note, Progress, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import read_bad_batch, read_best, read_history
from locstudio.models.checkpoint import load_checkpoint
from trainer.__main__ import work
from trainer.averaging import RunningMean
from trainer.checkpoint import step_folders
from trainer.encoding import TokenSource
from trainer.gradient import gradient_of
from trainer.sparing import SparingGradient
from trainer.stop import StopRequest

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


def notes(folder):
    return [message.text for message in folder.read_events() if isinstance(message, Note)]


def starts(folder):
    return [message.first_step for message in folder.read_events() if isinstance(message, Started)]


def last_state(folder):
    return load_file(step_folders(folder.checkpoints)[0] / "resume" / "state.safetensors")


class StopAfterStep:
    """Asks to stop once this step was reported."""

    def __init__(self, folder, step):
        self.folder, self.step = folder, step

    def __call__(self):
        reached = [m.step for m in self.folder.read_events() if isinstance(m, Progress)]
        return bool(reached) and reached[-1] >= self.step


class Killed(BaseException):
    """Stands for kill -9: nothing of ours handles it."""


def killed_after(folder, step):
    reached = StopAfterStep(folder, step)

    def kill():
        if reached():
            raise Killed
        return False

    return kill


@pytest.mark.parametrize(
    "changes", [{"ema": 0.9}, {"micro_batch": 2}, {"ema": 0.5, "micro_batch": 3, "keep_weight": 1.0}]
)
def test_that_a_resumed_run_ends_bitwise_where_an_unbroken_run_ends(paint, tiny_checkpoint, monkeypatch, changes):
    monkeypatch.setattr("trainer.recipes.cloc_loop.SAVE_EVERY", 2)
    painted = paint(9)
    whole, stopped, killed = (new_run(painted, tiny_checkpoint, **changes) for _ in range(3))
    assert work(whole, None, lambda: False) == 0
    assert work(stopped, None, StopAfterStep(stopped, 3)) == 0
    with pytest.raises(Killed):
        work(killed, None, killed_after(killed, 5))
    for broken, first_step in ((stopped, 3), (killed, 4)):
        torch.manual_seed(1234)
        assert work(broken, None, lambda: False) == 0
        assert starts(broken) == [0, first_step]
        left, right = last_state(whole), last_state(broken)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)
        ids = [checkpoint_info(run.path / read_best(run).path).id for run in (whole, broken)]
        assert ids[0] == ids[1]


def test_that_the_running_mean_is_what_is_saved_and_the_weights_are_what_is_resumed(paint, tiny_checkpoint):
    folder = new_run(paint(6), tiny_checkpoint, ema=0.99)
    assert work(folder, None, lambda: False) == 0
    saved = load_file(folder.checkpoints / "step_6" / "weights.safetensors")
    state = last_state(folder)
    for name in ("prompter.query.weight", "text_project.weight"):
        assert torch.equal(saved[name], state[f"mean.{name}"].half())
        assert not torch.equal(saved[name], state[f"model.{name}"].half())


def test_that_the_running_mean_of_a_line_follows_its_weights_and_leaves_the_module_as_it_was():
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    mean = RunningMean(module, 0.5)
    for step in range(1, 4):
        module.weight.data.fill_(float(step))
        mean.fold(step)
    # Steps come in with 1 - min(0.5, n / (n + 9)) = 0.9, 1 - 2 / 11, 0.75.
    expected = 0.9 * 1
    expected += (1 - 2 / 11) * (2 - expected)
    expected += 0.75 * (3 - expected)
    assert mean.tensors()["weight"].item() == pytest.approx(expected)
    with mean.in_place():
        assert module.weight.item() == pytest.approx(expected)
    assert module.weight.item() == 3.0
    with pytest.raises(ValueError, match="between 0 and 1"):
        RunningMean(module, 1.0)


def test_that_in_parts_a_run_learns_what_it_learns_at_once(paint, tiny_checkpoint):
    painted = paint(8)
    whole, parts = (new_run(painted, tiny_checkpoint, micro_batch=size) for size in (0, 1))
    for folder in (whole, parts):
        assert work(folder, None, lambda: False) == 0
    left, right = last_state(whole), last_state(parts)
    for name in (name for name in left if name.startswith("model.")):
        torch.testing.assert_close(right[name], left[name], rtol=1e-3, atol=2e-4, msg=name)


def spoil(monkeypatch, is_bad):
    """Lets the loss be no number in those calls of the gradient for which ``is_bad`` says so, counted from 1."""
    calls = []

    def gradient(step, batch, *arguments, **options):
        calls.append(1)
        if is_bad(len(calls)):
            return {"loss": torch.tensor(torch.nan)}
        return gradient_of(step, batch, *arguments, **options)

    monkeypatch.setattr("trainer.recipes.cloc_loop.gradient_of", gradient)


def test_row_76_that_one_step_without_a_number_is_skipped(paint, tiny_checkpoint, monkeypatch):
    spoil(monkeypatch, lambda call: call in (2, 4, 5))
    folder = new_run(paint(6), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    losses = {m.step: m.loss for m in folder.read_events() if isinstance(m, Progress) and m.learning_rate is not None}
    assert [step for step, loss in losses.items() if loss is None] == [2, 4, 5]
    assert read_history(folder).happened == ()


def test_row_76_that_the_third_in_a_row_goes_back_to_the_last_checkpoint_with_half_the_rate(
    paint, tiny_checkpoint, monkeypatch
):
    monkeypatch.setattr("trainer.recipes.cloc_loop.SAVE_EVERY", 2)
    painted = paint(6)
    plain, folder = new_run(painted, tiny_checkpoint, num_steps=8), new_run(painted, tiny_checkpoint, num_steps=8)
    assert work(plain, None, lambda: False) == 0
    spoil(monkeypatch, lambda call: call in (3, 4, 5))
    assert work(folder, None, lambda: False) == 0
    said = [m for m in folder.read_events() if isinstance(m, Progress) and m.learning_rate is not None]
    # Steps 3 and 4 are skipped and saved as they are, the fifth goes back to the checkpoint of step 4.
    assert [m.step for m in said] == [1, 2, 3, 4, 5, 6, 7, 8]
    rates = {m.step: m.learning_rate for m in plain.read_events() if isinstance(m, Progress) and m.learning_rate}
    assert [m.learning_rate / rates[m.step] for m in said] == pytest.approx([1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5])
    assert any("goes on from step 4 with half the learning rate" in note for note in notes(folder))
    assert read_bad_batch(folder) is None
    card = (folder.checkpoints / "step_8" / "card.md").read_text()
    assert "with half the learning rate" in card


def test_row_76_that_without_a_checkpoint_the_run_begins_anew_from_the_same_weights(
    paint, tiny_checkpoint, monkeypatch
):
    painted = paint(6)
    spoil(monkeypatch, lambda call: call in (2, 3, 4))
    folder = new_run(painted, tiny_checkpoint, num_steps=5)
    assert work(folder, None, lambda: False) == 0
    said = [m for m in folder.read_events() if isinstance(m, Progress) and m.learning_rate is not None]
    assert [m.step for m in said] == [1, 2, 3, 1, 2, 3, 4, 5]
    assert said[3].loss == said[0].loss


def test_row_76_that_the_second_time_the_run_fails_and_names_the_images(paint, tiny_checkpoint, monkeypatch):
    painted = paint(6)
    spoil(monkeypatch, lambda call: call >= 2)
    folder = new_run(painted, tiny_checkpoint)
    assert work(folder, None, lambda: False) == 2
    last = folder.last_event()
    assert isinstance(last, Failed)
    assert "bad_batch.json" in last.sentence
    bad = read_bad_batch(folder)
    assert bad.step == 3  # begun anew, steps 1 to 3 all had no number
    assert len(bad.image_ids) == 4
    assert set(bad.image_ids) <= {image.id for image in painted.images}


def test_row_76_that_a_resumed_run_keeps_to_half_the_rate(paint, tiny_checkpoint, monkeypatch):
    painted = paint(6)
    spoil(monkeypatch, lambda call: call in (1, 2, 3))
    folder = new_run(painted, tiny_checkpoint)
    assert work(folder, None, StopAfterStep(folder, 4)) == 0
    assert work(folder, None, lambda: False) == 0
    rates = [m.learning_rate for m in folder.read_events() if isinstance(m, Progress) and m.learning_rate is not None]
    plain = new_run(painted, tiny_checkpoint)
    assert work(plain, None, lambda: False) == 0
    whole = {m.step: m.learning_rate for m in plain.read_events() if isinstance(m, Progress) and m.learning_rate}
    assert rates[-1] == pytest.approx(whole[6] / 2)


def fill_memory(monkeypatch, limit, calls):
    """Lets memory be too small for more than ``limit`` images at once."""

    def gradient(step, batch, micro_batch=0, *arguments, **options):
        at_once = min(micro_batch or len(batch.captions), len(batch.captions))
        calls.append(at_once)
        if at_once > limit:
            for parameter in step._model.prompter.parameters():
                parameter.grad = torch.full_like(parameter, 1e3)  # what a broken-off attempt leaves
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return gradient_of(step, batch, micro_batch, *arguments, **options)

    monkeypatch.setattr("trainer.recipes.cloc_loop.gradient_of", gradient)


def test_row_77_that_too_little_memory_halves_the_images_at_once_and_changes_no_result(
    paint, tiny_checkpoint, monkeypatch
):
    painted = paint(8)
    plain = new_run(painted, tiny_checkpoint)
    assert work(plain, None, lambda: False) == 0
    calls = []
    with monkeypatch.context() as patch:
        fill_memory(patch, 1, calls)
        folder = new_run(painted, tiny_checkpoint)
        assert work(folder, None, lambda: False) == 0
    assert calls == [4, 2, 1, 1, 1, 1, 1, 1]
    assert [note for note in notes(folder) if "memory of the GPU" in note] == list(read_history(folder).happened)
    assert len(read_history(folder).happened) == 2
    assert "1 image" in read_history(folder).happened[1]
    assert "memory of the GPU was too small" in (folder.checkpoints / "step_6" / "card.md").read_text()
    left, right = last_state(plain), last_state(folder)
    for name in (name for name in left if name.startswith("model.")):
        torch.testing.assert_close(right[name], left[name], rtol=1e-3, atol=2e-4, msg=name)


def test_row_77_that_a_resumed_run_begins_with_what_fitted(paint, tiny_checkpoint, monkeypatch):
    calls = []
    fill_memory(monkeypatch, 2, calls)
    folder = new_run(paint(8), tiny_checkpoint)
    assert work(folder, None, StopAfterStep(folder, 2)) == 0
    assert work(folder, None, lambda: False) == 0
    assert calls == [4, 2, 2, 2, 2, 2, 2]


def test_row_77_that_memory_too_small_for_one_image_fails_with_what_to_do(paint, tiny_checkpoint, monkeypatch):
    fill_memory(monkeypatch, 0, [])
    folder = new_run(paint(8), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 2
    assert "train on the CPU" in folder.last_event().sentence


def test_row_77_that_it_is_halved_three_times_and_no_more():
    class Batch:
        captions = (None,) * 64

    def refuse(_batch, _micro_batch):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    halved = []
    gradient = SparingGradient(refuse, lambda: None, halved.append)
    with pytest.raises(UserError, match="8 images at once"):
        gradient(Batch())
    assert halved == [32, 16, 8]


def test_row_77_that_too_little_memory_for_the_tower_halves_its_batch_for_good(tiny_checkpoint, monkeypatch):
    model = load_checkpoint(tiny_checkpoint)
    encode, sizes = model.encode_image, []

    def encode_three_at_most(pixels_B3HW):
        sizes.append(len(pixels_B3HW))
        if len(pixels_B3HW) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return encode(pixels_B3HW)

    source = TokenSource(model, None, keeps=False)
    source.batch_size = 16
    pixels = list(torch.randn(11, 3, model.input_px, model.input_px))
    whole = source.encode([(None, one) for one in pixels])
    monkeypatch.setattr(model, "encode_image", encode_three_at_most)
    halved = source.encode([(None, one) for one in pixels])
    assert sizes == [11, 6, 3, 3, 5, 3, 2]
    assert source.batch_size == 3
    for (_, one), (_, other) in zip(whole, halved, strict=True):
        torch.testing.assert_close(one.tokens, other.tokens, rtol=1e-2, atol=1e-3)


def test_row_79_that_a_run_whose_gpu_is_lost_ends_with_74_and_goes_on_to_the_same_end(
    paint, tiny_checkpoint, monkeypatch
):
    monkeypatch.setattr("trainer.recipes.cloc_loop.SAVE_EVERY", 2)
    painted = paint(6)
    whole, folder = new_run(painted, tiny_checkpoint), new_run(painted, tiny_checkpoint)
    assert work(whole, None, lambda: False) == 0
    calls = []

    def gradient(*arguments, **options):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`.")
        return gradient_of(*arguments, **options)

    monkeypatch.setattr("trainer.recipes.cloc_loop.gradient_of", gradient)
    assert work(folder, None, lambda: False) == 74
    assert isinstance(folder.last_event(), Failed)
    assert folder.last_event().exit_status == 74
    assert [path.name for path in step_folders(folder.checkpoints)] == ["step_2"]
    assert work(folder, None, lambda: False) == 0
    left, right = last_state(whole), last_state(folder)
    assert all(torch.equal(left[name], right[name]) for name in left)


class StopAtEpochEnd(StopRequest):
    """A wish to stop with the epoch, made once ``step`` was reported."""

    def __init__(self, folder, step):
        super().__init__(folder.path / "stop", None)
        self.at_epoch_end = StopAfterStep(folder, step)


def test_that_a_run_stops_with_its_epoch_and_goes_on_to_the_same_end(paint, tiny_checkpoint):
    painted = paint(12)  # three steps an epoch
    whole, folder = new_run(painted, tiny_checkpoint), new_run(painted, tiny_checkpoint)
    assert work(whole, None, lambda: False) == 0
    assert work(folder, None, StopAtEpochEnd(folder, 1)) == 0
    assert folder.last_event() == Finished(sequence=folder.last_event().sequence, was_stopped=True)
    assert [path.name for path in step_folders(folder.checkpoints)] == ["step_3"]
    assert "Stopped after step 3." in (folder.checkpoints / "step_3" / "card.md").read_text()
    assert work(folder, None, lambda: False) == 0
    left, right = last_state(whole), last_state(folder)
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert read_history(folder).happened == ("Stopped after step 3.", "Resumed after step 3.")
