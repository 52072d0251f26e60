"""Kill -9 of window, engine and trainer in every phase, and what is found afterwards, as a transcript.

Not collected by pytest; run by hand, about ten minutes on two cores:

    QT_QPA_PLATFORM=offscreen python tests/faults/kill_transcript.py tests/transcripts/kill9.md

Everything is real: the window is ``locstudio.app.Studio`` in a process of its own, the engine and the trainer are
started as it starts them, with the bundled checkpoint, on a project of twelve painted images.
"""

import argparse
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import psutil

from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining
from locstudio.jobs.messages import AnyMessage, Evaluated, Finished, Note, Progress, Started, Waiting
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import read_mark
from locstudio.jobs.turn import Turn
from locstudio.services import runs
from locstudio.services.run_control import resume
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

TRAINING = ClocTraining(num_steps=24, batch_size=4, num_warmup_steps=2, evaluate_every=8, hold_out=0.25)
PATIENCE_S = 300.0
BRIEF = ("writes", "last word", "no name yet", "takes over")
"""In the names of phases that are over in a moment."""
WINDOW = Path(__file__).with_name("kill_transcript_window.py")
SAVES_OFTEN = """
import sys
import trainer.__main__ as main
from trainer.running import run_recipe
def often(*given, **more):
    import trainer.recipes.cloc_loop as loop
    loop.SAVE_EVERY = 8
    return run_recipe(*given, **more)
main.run_recipe = often
sys.exit(main.main())
"""
Phase = tuple[str, Callable[[RunFolder], bool]]


class PhaseMissed(Exception):
    """A process ended, or went on, without being seen in a phase."""


class Transcript:
    """Lines of a document, also said while it is written."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str = "") -> None:
        """Add a line."""
        self.lines.append(line)
        print(line, flush=True)


def wait_until(what: Callable[[], object], why: str, process: "subprocess.Popen[bytes]") -> None:
    """Look again and again; a phase that never comes, or is missed, is an error of this script."""
    deadline = time.monotonic() + PATIENCE_S
    pause_s = 0.001 if any(word in why for word in BRIEF) else 0.02
    while not what():
        if time.monotonic() > deadline or process.poll() is not None:
            raise PhaseMissed(why)
        time.sleep(pause_s)


def make_template(home: Path) -> Path:
    """A project of twelve images with boxes, phrases and captions, and an index made by the bundled checkpoint."""
    spec = importlib.util.spec_from_file_location("room", Path(__file__).parents[1] / "trainer" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    room = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(room)
    making = room.paint._get_wrapped_function()(home)
    painted = next(making)(12, name="template")
    folder = runs.start_embed(painted.project, painted.dataset, bundled_checkpoint(), num_proposals=4)
    last = runs.run_and_wait(folder)
    assert isinstance(last, Finished), last
    runs.adopt_index(painted.project, painted.dataset, folder)
    with suppress(StopIteration):
        next(making)  # closes the dataset
    shutil.rmtree(painted.project.runs)
    return Path(painted.project.path)


def copied(template: Path, name: str) -> Project:
    """The template under another name; its images stay where they are."""
    target = template.with_name(name)
    shutil.copytree(template, target)
    project = Project(target)
    project.owner_path.unlink(missing_ok=True)
    return project


def new_training(project: Project) -> RunFolder:
    with Dataset.open(project) as dataset:
        return runs.start_train(project, dataset, bundled_checkpoint(), training=TRAINING, device="cpu", num_threads=1)


def words_of(folder: RunFolder) -> list[AnyMessage]:
    return list(folder.read_events())


def has_mapped_torch(folder: RunFolder) -> bool:
    mark = read_mark(folder)
    try:
        return mark is not None and "libtorch" in Path(f"/proc/{mark.pid}/maps").read_text()
    except OSError:
        return False


def is_measuring(folder: RunFolder) -> bool:
    said = words_of(folder)
    last = said[-1] if said else None
    is_due = isinstance(last, Progress) and last.loss is not None and last.step % TRAINING.evaluate_every == 0
    return is_due and not any(isinstance(word, Evaluated) and word.step == last.step for word in said)


def has_said(kind: type, test: Callable[[AnyMessage], bool] = lambda _: True) -> Callable[[RunFolder], bool]:
    return lambda folder: any(isinstance(word, kind) and test(word) for word in words_of(folder))


PHASES: list[Phase] = [
    ("waits behind another run", has_said(Waiting)),
    ("has begun, nothing is loaded", lambda folder: read_mark(folder) is not None and not has_mapped_torch(folder)),
    ("loads its libraries and the model", lambda folder: has_mapped_torch(folder) and not words_of(folder)),
    ("reads the images ahead", has_said(Started)),
    ("trains, before its first checkpoint", has_said(Progress, lambda word: word.loss is not None)),
    ("writes a checkpoint", lambda folder: any(folder.checkpoints.glob("*.partial"))),
    ("trains on", has_said(Progress, lambda word: word.loss is not None and word.step > TRAINING.evaluate_every + 1)),
    ("measures on the held-out images", is_measuring),
    ("embeds the collection with the result", has_said(Note, lambda word: "embedded with" in word.text)),
    ("has said its last word, and ends", has_said(Finished)),
]


def left_behind(folder: RunFolder) -> list[str]:
    """Processes that still carry the run's name, and files that were not finished."""
    alive = [
        f"process {process.pid}"
        for process in psutil.process_iter(["cmdline", "status"])
        if str(folder.path) in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
    return alive + [str(path.relative_to(folder.path)) for path in sorted(folder.path.rglob("*.partial"))]


def end_of(folder: RunFolder) -> str:
    """Checkpoint that the run ended with: its id is the hash of its weights."""
    steps = [path for path in folder.checkpoints.glob("step_*") if path.suffix != ".partial"]
    newest = max(steps, key=lambda path: int(path.name.removeprefix("step_")))
    return f"{newest.name} {checkpoint_info(newest).id[:12]}"


def started(folder: RunFolder) -> "subprocess.Popen[bytes]":
    return runs.launch(folder, is_heard=False)


def kill_trainer(template: Path, say: Callable[[str], object]) -> None:
    """The trainer is killed in each of its phases, and the run resumed."""
    script = template.with_name("saves_often.py")
    script.write_text(SAVES_OFTEN)
    runs.TRAINER = (str(script),)  # the trainer as it is, but a run of so few steps would save only its last one
    unbroken = new_training(copied(template, "unbroken"))
    assert started(unbroken).wait() == 0, unbroken.log.read_text()
    expected = end_of(unbroken)
    say(f"An unbroken run of {TRAINING.num_steps} steps ends with `{expected}`; the name is the hash of its weights.")
    say("For this it saves every eighth step, not every 200th.\n")
    say("| killed while it | state found | words | checkpoints | left behind | resumed from step | ended as | same |")
    say("| --- | --- | ---: | --- | --- | ---: | --- | --- |")
    for number, (name, is_there) in enumerate(PHASES):
        try:
            say(killed_in(copied(template, f"trainer_{number}"), name, is_there, expected))
        except PhaseMissed:
            say(f"| {name} | it was not seen in this phase | | | | | | |")


def killed_in(project: Project, name: str, is_there: Callable[[RunFolder], bool], expected: str) -> str:
    """A row of the table: a training killed in one phase, and resumed."""
    folder = new_training(project)
    other = new_training(project) if "waits" in name else None
    turn = Turn(other, other.config()) if other is not None else None
    assert turn is None or turn.try_take()
    process = started(folder)
    try:
        wait_until(lambda: is_there(folder), name, process)
    except PhaseMissed:
        print(folder.log.read_text()[-1000:], runs.describe_run(folder), file=sys.stderr)
        raise
    process.kill()
    process.wait()
    if turn is not None:
        turn.release()
    row = runs.describe_run(folder)
    whole = (path.name for path in folder.checkpoints.glob("step_*") if path.suffix != ".partial")
    saved = ", ".join(sorted(whole)) or "none"
    left = ", ".join(left_behind(folder)) or "nothing"
    found = f"| {name} | {row.state} | {len(words_of(folder))} | {saved} | {left} |"
    if not row.can_resume:
        return f"{found} - | {row.state} | {'yes' if end_of(folder) == expected else 'NO'} |"
    again = resume(folder)
    assert again.stdin is not None
    assert again.stdout is not None
    again.stdin.close()
    again.stdout.read()
    again.stdout.close()
    again.wait()
    first = [word.first_step for word in words_of(folder) if isinstance(word, Started)][-1]
    is_same = "yes" if end_of(folder) == expected else "NO"
    left = ", ".join(left_behind(folder))
    return f"{found} {first} | {runs.describe_run(folder).state}{', left ' + left if left else ''} | {is_same} |"


@contextmanager
def window(project: Project, action: str) -> "Iterator[subprocess.Popen[bytes]]":
    """The window on a project, in a process and session of its own; ``action`` is what the person does first."""
    process = subprocess.Popen(
        [sys.executable, str(WINDOW), str(project.path), action],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**runs.trainer_environment(), "QT_QPA_PLATFORM": "offscreen"},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def only_run(project: Project, kind: str) -> RunFolder | None:
    rows = [row for row in runs.list_runs(project) if row.kind == kind]
    return rows[0].folder if rows else None


def in_run(kind: str, test: Callable[[RunFolder], bool]) -> Callable[[Project], bool]:
    return lambda project: (folder := only_run(project, kind)) is not None and test(folder)


WINDOW_PHASES: list[tuple[str, str, Callable[[Project], bool]]] = [
    ("opens the project", "look", lambda project: project.owner_path.exists()),
    ("makes a run (its folder has no name yet)", "train", lambda project: any(project.runs.glob("*.partial"))),
    ("has started an indexing", "index", in_run("embed", lambda folder: read_mark(folder) is not None)),
    ("watches an indexing", "index", in_run("embed", has_said(Started))),
    ("takes over the new index", "index", lambda project: any(project.path.glob("index.*.partial"))),
    ("watches a training", "train", in_run("cloc", has_said(Progress, lambda word: word.loss is not None))),
    ("watches a training that then ends without it", "train", in_run("cloc", has_said(Finished))),
    ("watches the comparison after a training", "train", in_run("compare", has_said(Started))),
]


def kill_window(template: Path, say: Callable[[str], object]) -> None:
    """The window is killed in each of its phases; then another one is opened on the same project and left alone."""
    say(
        "| killed while it | run found alive | the next window says | runs then | regions | index | store | left over |"
    )
    say("| --- | --- | --- | --- | ---: | --- | --- | --- |")
    for number, (name, action, is_there) in enumerate(WINDOW_PHASES):
        project = copied(template, f"window_{number}")
        with window(project, action) as process:
            wait_until(lambda project=project, is_there=is_there: is_there(project), name, process)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        alive = ", ".join(f"{row.kind} ({row.state})" for row in runs.list_runs(project) if row.has_process) or "none"
        with window(project, "look") as process:
            assert process.stdout is not None
            found = json.loads(process.stdout.readline() or b"{}")
        left = ", ".join(str(path.relative_to(project.path)) for path in project.path.rglob("*.partial")) or "nothing"
        say(
            f"| {name} | {alive} | {found.get('notice') or 'nothing'} | {found.get('runs')} | {found.get('regions')} | "
            f"{found.get('index')} | {found.get('store')} | {left} |"
        )


def kill_engine(template: Path, say: Callable[[str], object]) -> None:
    """The engine is killed in each of its phases, with requests made; each must get its answer."""
    say("| killed while it | requests made | answered | refused | processes | state afterwards |")
    say("| --- | ---: | ---: | ---: | ---: | --- |")
    for name in ("loads the model", "is idle", "answers", "answers, three times"):
        done = subprocess.run(
            [sys.executable, str(WINDOW), str(template), "engine", name],
            capture_output=True,
            env={**runs.trainer_environment(), "QT_QPA_PLATFORM": "offscreen"},
            timeout=PATIENCE_S,
            check=False,
        )
        lines = done.stdout.splitlines()
        found = json.loads(lines[-1]) if lines else {"state": done.stderr.decode()[-200:]}
        say(
            f"| {name} | {found.get('asked')} | {found.get('answered')} | {found.get('refused')} | "
            f"{found.get('processes')} | {found.get('state')} |"
        )


def main() -> int:
    """Write the transcript."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path)
    parser.add_argument("--only", choices=("trainer", "window", "engine"))
    options = parser.parse_args()
    transcript = Transcript()
    home = Path(tempfile.mkdtemp(prefix="kill9-"))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME"):
        os.environ[name] = str(home / name.lower())
        (home / name.lower()).mkdir(mode=0o700)
    begun = time.monotonic()
    try:
        template = make_template(home)
        transcript.say("# kill -9 in every phase, and what was found afterwards\n")
        transcript.say(
            "Written by `tests/faults/kill_transcript.py`. Bundled checkpoint, twelve images; the training has these "
            f"settings: `{msgspec.json.encode(TRAINING).decode()}`.\n"
        )
        scenes = {"trainer": kill_trainer, "window": kill_window, "engine": kill_engine}
        for name, scene in scenes.items():
            if options.only in (None, name):
                transcript.say(f"\n## The {name}\n")
                scene(template, transcript.say)
        transcript.say(f"\nThis took {time.monotonic() - begun:.0f} s.")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    options.document.parent.mkdir(parents=True, exist_ok=True)
    options.document.write_text("\n".join(transcript.lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
