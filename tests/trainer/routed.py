"""Runs of a tiny Mobile V-MoE on painted images with labels."""

from dataclasses import replace

import msgspec
from classified import messages, notes
from safetensors.torch import load_file

from locstudio.domain.edits import ClassChange, Edit, SuperclassChange
from locstudio.domain.regions import Superclass
from locstudio.jobs.configs import RunConfig, VmoeTraining
from locstudio.jobs.confusions import read_confusion
from locstudio.jobs.messages import Failed
from locstudio.jobs.routing import read_routing
from locstudio.jobs.run_folder import RunFolder
from trainer.__main__ import work
from trainer.checkpoint import step_folders

TRAINING = VmoeTraining(
    num_epochs=3,
    num_dense_epochs=2,
    batch_size=6,
    learning_rate=3e-3,
    num_warmup_epochs=1,
    trains="all",
    stem="patch",
    patch=8,
    input_px=32,
    width=16,
    depth=3,
    heads=2,
    num_experts=2,
    num_moe_layers=1,
    hold_out=0.0,
    confusion_share=0.3,
    max_group_share=0.5,
)


def new_run(labelled, training=TRAINING, *, checkpoint="", seed=3, **changes):
    """A run that is ready to be worked."""
    config = RunConfig(
        kind="vmoe",
        checkpoint=str(checkpoint),
        device="cpu",
        num_threads=1,
        seed=seed,
        vmoe=msgspec.structs.replace(training, **changes),
    )
    return made(labelled, config)


def made(labelled, config):
    folder = RunFolder.create(labelled.project.runs, config)
    labelled.dataset.snapshot(folder.snapshot)
    return folder


def done(folder):
    """The run, worked to its end."""
    assert work(folder, None, lambda: False) == 0, failed_words(folder)
    return folder


def failed(folder):
    assert work(folder, None, lambda: False) != 0
    return failed_words(folder)


def failed_words(folder):
    return " ".join(message.sentence for message in messages(folder, Failed)) or " ".join(notes(folder))


def group(dataset, **members):
    """Put classes, by name, into new superclasses; the ids of the superclasses by name."""
    classes = {label.name: label for label in dataset.classes()}
    made_ids = {}
    changes = []
    for name, names in members.items():
        superclass = Superclass(dataset.next_superclass_id(), name)
        made_ids[name] = superclass.id
        changes.append(SuperclassChange(None, superclass))
        for each in names:
            label = classes[each]
            changes.append(ClassChange(label, replace(label, superclass_id=superclass.id)))
    dataset.apply(Edit("Group classes", tuple(changes)))
    return made_ids


def everything_of(folder):
    """Weights and optimiser, superclasses, and the table, but for what names the run."""
    newest = step_folders(folder.checkpoints)[0]
    state = {name: value.numpy().tobytes() for name, value in load_file(newest / "resume/state.safetensors").items()}
    table = read_routing(folder.results)
    confusion = read_confusion(folder.results)
    arrays = {name: getattr(table, name).tobytes() for name in table.__slots__ if name != "header"}
    header = msgspec.structs.replace(table.header, run_id="")
    known = msgspec.structs.replace(confusion.header, run_id="")
    return state | arrays | {"header": header, "confusion": (known, confusion.counts.tobytes())}
