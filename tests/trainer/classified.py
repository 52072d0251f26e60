"""Runs of a tiny multi-label model on painted images with labels."""

import msgspec

from locstudio.domain.edits import Edit, LabelChange
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.jobs.configs import ConsistencyTraining, RunConfig
from locstudio.jobs.run_folder import RunFolder

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
