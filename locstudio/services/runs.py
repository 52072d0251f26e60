"""Runs of the trainer: make one, start it, wait for it, list them.

What a finished run made is taken into the project by ``adoption``, whose door is here too.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import locstudio
from locstudio.domain.errors import BadInput, JobCrashed, ProtocolError, UserError
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining, Embedding, Evaluation, Preset, RunConfig
from locstudio.jobs.messages import (
    AnyMessage,
    Failed,
    Finished,
    from_line,
)
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import ask_to_stop, hand_over
from locstudio.services.adoption import adopt_checkpoint, adopt_index, settle_adoption
from locstudio.services.run_summary import RunSummary, describe_run
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

__all__ = [
    "PRESETS",
    "RunSummary",
    "adopt_checkpoint",
    "adopt_index",
    "describe_run",
    "find_run",
    "launch",
    "list_runs",
    "request_stop",
    "run_and_wait",
    "settle_adoption",
    "start_embed",
    "start_evaluate",
    "start_train",
    "trainer_environment",
]

TRAINER = ("-P", "-m", "trainer")
"""Arguments of Python that start the trainer; ``-P``, so that no package in a stranger's folder is taken for it."""

# On 292 COCO images naming of held-out boxes is best after 200 of 300 steps and falls afterwards.
PRESETS: dict[Preset, ClocTraining] = {
    "quick": ClocTraining(preset="quick", num_steps=240, num_warmup_steps=20, evaluate_every=80),
    "standard": ClocTraining(
        preset="standard", num_steps=2000, batch_size=64, num_warmup_steps=100, evaluate_every=200
    ),
}


def start_embed(
    project: Project,
    dataset: Dataset,
    checkpoint: Path,
    *,
    num_proposals: int = Embedding().num_proposals,
    device: str = "auto",
    num_threads: int = 0,
) -> RunFolder:
    """Make a run that embeds the collection; rows of unchanged images are taken over from the project's index."""
    known = str(project.index) if project.index.is_dir() else ""
    embedding = Embedding(num_proposals=num_proposals, known=known)
    return _new_run(project, dataset, checkpoint, "embed", device, num_threads, embed=embedding)


def start_train(
    project: Project,
    dataset: Dataset,
    checkpoint: Path,
    *,
    preset: Preset = "quick",
    training: ClocTraining | None = None,
    seed: int = 0,
    device: str = "auto",
    num_threads: int = 0,
) -> RunFolder:
    """Make a run that trains CLOC from this checkpoint on, as the preset says or exactly as ``training`` says."""
    chosen = training or PRESETS[preset]
    return _new_run(project, dataset, checkpoint, "cloc", device, num_threads, seed=seed, cloc=chosen)


def start_evaluate(
    project: Project,
    dataset: Dataset,
    checkpoint: Path,
    *,
    task: Literal["regions", "retrieval", "grounding"],
    split: str = "",
    device: str = "auto",
    num_threads: int = 0,
) -> RunFolder:
    """Make a run that measures the checkpoint on the project's ground truth."""
    evaluation = Evaluation(task=task, split=split)
    return _new_run(project, dataset, checkpoint, "evaluate", device, num_threads, evaluate=evaluation)


def find_run(project: Project, run_id: str) -> RunFolder:
    """The run with this id, or the only one whose id contains it.

    Raises:
        UserError: there is none, or there are several.
    """
    ids = [folder.id for folder in _folders(project)]
    found = [run_id] if run_id in ids else [known for known in ids if run_id in known]
    if len(found) != 1:
        what = f"{len(found)} runs are called" if found else "No run is called"
        raise UserError(f"{what} {run_id!r}; `locstudio runs {project.path}` lists them.")
    return RunFolder(project.runs / found[0])


def trainer_environment() -> dict[str, str]:
    """The environment of a trainer: ours, offline, and with the packages of this very LocStudio first."""
    root = str(Path(locstudio.__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(paths)}


def launch(folder: RunFolder) -> subprocess.Popen[bytes]:
    """Start the trainer on a run, new or broken off.

    It has its own session, so neither the window's end nor its terminal's ends the run.  Its stdout is the protocol,
    its log goes to ``log.txt``; a line ``stop`` on its stdin asks it to stop after the step.
    """
    with open(folder.log, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, *TRAINER, str(folder.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=trainer_environment(),
            start_new_session=True,
        )
    hand_over(folder, process.pid)
    return process


def run_and_wait(folder: RunFolder, on_message: Callable[[AnyMessage], object] = lambda _: None) -> Finished | Failed:
    """Start the trainer, hand on its messages as they come, and return the last one.

    Ctrl-C asks the run to stop after its step and goes on waiting; a second one leaves it to itself.

    Raises:
        JobCrashed: it ended without a last word; it can be resumed.
        ProtocolError: it said something that is no message; it has been ended.
    """
    process = launch(folder)
    assert process.stdin is not None
    assert process.stdout is not None
    last: AnyMessage | None = None
    was_asked = False
    try:
        while True:
            try:
                line = process.stdout.readline()
                if not line:
                    break
                last = from_line(line)
                on_message(last)
            except KeyboardInterrupt:
                if was_asked:
                    raise
                was_asked = True
                request_stop(folder)
        status = process.wait()
    except ProtocolError:
        process.kill()
        process.wait()
        raise
    finally:
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
    if isinstance(last, Finished | Failed):
        return last
    raise JobCrashed(_crash_sentence(folder, status))


def request_stop(folder: RunFolder) -> None:
    """Ask a run to stop after its step, also one that another app has started."""
    ask_to_stop(folder)


def list_runs(project: Project) -> list[RunSummary]:
    """The project's runs, newest first; a folder that is no run is left out."""
    rows = []
    for folder in _folders(project):
        with suppress(BadInput):
            rows.append(describe_run(folder))
    return sorted(rows, key=lambda row: row.id, reverse=True)


def _new_run(
    project: Project,
    dataset: Dataset,
    checkpoint: Path,
    kind: Literal["cloc", "embed", "evaluate"],
    device: str,
    num_threads: int,
    *,
    seed: int = 0,
    cloc: ClocTraining | None = None,
    embed: Embedding | None = None,
    evaluate: Evaluation | None = None,
) -> RunFolder:
    """A run folder with its snapshot; the checkpoint is verified first, so that no run starts from a damaged one."""
    checkpoint_info(checkpoint)
    config = RunConfig(
        kind=kind,
        checkpoint=str(checkpoint.resolve()),
        seed=seed,
        device=device,
        num_threads=num_threads,
        cloc=cloc,
        embed=embed,
        evaluate=evaluate,
    )
    folder = RunFolder.create(project.runs, config)
    dataset.snapshot(folder.snapshot)
    return folder


def _folders(project: Project) -> list[RunFolder]:
    if not project.runs.is_dir():
        return []
    return [RunFolder(path) for path in sorted(project.runs.iterdir()) if (path / "config.json").is_file()]


def _crash_sentence(folder: RunFolder, status: int) -> str:
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"The run {folder.id} {how} without a last word; it can be resumed. Its log is {folder.log}."
