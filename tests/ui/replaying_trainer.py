"""A trainer without torch: says what a recorded run has said, as far as a test lets it.

It waits after step 10 until there is a file ``go_on`` beside the runs, or somebody asks it to stop.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import msgspec

from locstudio.jobs.checkpoint_folder import seal_checkpoint
from locstudio.jobs.messages import Estimated, Finished, Note, Progress, Started, from_line
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import Pulse, claim_run, stop_file

RECORDED = Path(__file__).parents[1] / "data" / "training_run"
STEP = 10


def say(kind, **fields):
    log.append(kind(sequence=log.next_sequence, **fields))


def started(first_step=0, num_steps=30):
    say(
        Started,
        device="CPU, 2 cores",
        num_images=7,
        num_regions=14,
        num_steps=num_steps,
        first_step=first_step,
        num_held_out=2,
        steps_per_epoch=1,
    )


def save_checkpoint():
    """A checkpoint that only its name tells from the one that the run began with."""
    partial = folder.checkpoints / "step_30.partial"
    shutil.copytree(config.checkpoint, partial)
    document = json.loads((partial / "config.json").read_text())
    (partial / "config.json").write_text(json.dumps(document | {"name": "retrained"}))
    (partial / "manifest.json").unlink()
    seal_checkpoint(partial, folder.checkpoints / "step_30")


def is_wanted_to_stop():
    while not (folder.path.parent.parent / "go_on").exists():
        if stop_file(folder).exists():
            return True
        time.sleep(0.01)
    return False


def train():
    has_begun = log.next_sequence > 0
    started(STEP if has_begun else 0)
    shutil.copytree(RECORDED / "samples", folder.results / "samples", dirs_exist_ok=True)
    shutil.copy(RECORDED / "history.json", folder.results)
    for line in (RECORDED / "events.jsonl").read_bytes().splitlines():
        message = from_line(line)
        step = getattr(message, "step", None)
        if step is None or (has_begun and step <= STEP):
            continue
        if isinstance(message, Progress) and step == STEP + 1 and not has_begun and is_wanted_to_stop():
            return True
        if step == 30:
            (folder.checkpoints / "step_30").exists() or save_checkpoint()
        log.append(msgspec.structs.replace(message, sequence=log.next_sequence))
    return False


folder = RunFolder(Path(sys.argv[1]))
config = folder.config()
pulse = Pulse(folder, claim_run(folder))
log = EventLog(folder)
was_stopped = False
if config.kind == "compare":
    started(num_steps=8)
    say(Note, text="compared")
elif config.cloc.is_dry_run:
    started(num_steps=config.cloc.num_steps)
    say(
        Estimated,
        seconds=221.0,
        seconds_per_step=0.5,
        num_images_to_encode=0,
        memory_bytes=1_310_000_000,
        disk_bytes=140_000_000,
    )
else:
    was_stopped = train()
say(Finished, was_stopped=was_stopped)
