"""Runs of a tiny multi-label model on painted images with labels."""

import msgspec
from safetensors.torch import load_file

from locstudio.domain.edits import Edit, LabelChange
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.jobs.configs import ConsistencyTraining, RunConfig
from locstudio.jobs.heatmaps import Heatmaps, heatmaps_folder
from locstudio.jobs.messages import Failed, Note, Progress
from locstudio.jobs.run_folder import RunFolder
from trainer.__main__ import work
from trainer.checkpoint import step_folders

TRAINING = ConsistencyTraining(
    num_epochs=4,
    batch_size=4,
    learning_rate=3e-3,
    num_warmup_epochs=1,
    num_ramp_epochs=1,
    hold_out=0.0,
    grid=5,
    num_key_frames=2,
)


def say(dataset, *labels):
    dataset.apply(Edit("Say what is there", tuple(LabelChange(None, label) for label in labels)))


def deny(dataset, image_id, class_id):
    say(dataset, ImageLabel(image_id, class_id, Presence.NEGATIVE))


def new_run(labelled, checkpoint, training=TRAINING, *, seed=3, **changes):
    """A run that is ready to be worked."""
    config = RunConfig(
        kind="consistency",
        checkpoint=str(checkpoint),
        device="cpu",
        num_threads=1,
        seed=seed,
        consistency=msgspec.structs.replace(training, **changes),
    )
    folder = RunFolder.create(labelled.project.runs, config)
    labelled.dataset.snapshot(folder.snapshot)
    return folder


class StopAfterStep:
    """Asks to stop once this step has been reported."""

    def __init__(self, folder, step):
        self.folder, self.step = folder, step

    def __call__(self):
        reached = [m.step for m in self.folder.read_events() if isinstance(m, Progress) and m.loss is not None]
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


def messages(folder, kind):
    return [message for message in folder.read_events() if isinstance(message, kind)]


def notes(folder):
    return [message.text for message in messages(folder, Note)]


def heat_of(folder):
    return Heatmaps.open(heatmaps_folder(folder.results))


def everything_of(folder):
    """Weights and optimiser, and every byte of the memory that a reader or the next epoch sees."""
    newest = step_folders(folder.checkpoints)[0]
    state = {name: value.numpy().tobytes() for name, value in load_file(newest / "resume/state.safetensors").items()}
    heat = {path.name: path.read_bytes() for path in heatmaps_folder(folder.results).iterdir()}
    header = msgspec.json.decode(heat.pop("header.json"))
    header.pop("run_id")
    # The id is of the weights and the configuration, neither of which knows the run.
    return state | heat | {"header": header}


def failed(folder):
    assert work(folder, None, lambda: False) != 0
    (message,) = messages(folder, Failed)
    return message.sentence
