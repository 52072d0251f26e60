"""Runs of two processes for the tests: made small, started as the app starts them, and looked at while they go."""

import os
from contextlib import contextmanager

import psutil

from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.jobs.messages import from_line
from locstudio.jobs.run_folder import RunFolder
from locstudio.services import runs

TRAINING = ClocTraining(num_steps=6, batch_size=5, regions_per_image=2, num_warmup_steps=2, evaluate_every=3)


def new_run(painted, checkpoint, training=TRAINING, num_processes=2):
    """A training of the painted project that nobody has started."""
    config = RunConfig(
        kind="cloc",
        checkpoint=str(checkpoint),
        device="cpu",
        num_threads=1,
        seed=3,
        cloc=training,
        num_processes=num_processes,
    )
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    return folder


@contextmanager
def going(folder):
    """The run's leading process, gone when the block ends."""
    process = runs.launch(folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def messages_of(process):
    """What the run says, as it says it."""
    for line in process.stdout:
        yield from_line(line)


def is_step(message) -> bool:
    """True once the optimiser is at work."""
    return getattr(message, "loss", None) is not None


def ranks_of(process) -> list[psutil.Process]:
    """The processes that torchrun has started for the run, by rank."""
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        rank = child.environ().get("RANK")
        if rank is not None:
            found[int(rank)] = child
    return [found[rank] for rank in sorted(found)]


def environment(**changes: str) -> dict[str, str]:
    """For a process that a test starts itself."""
    return os.environ | runs.trainer_environment() | changes
