"""Starts the processes of a run that wants several, by torchrun, and starts them all once more when one is lost.

torchrun's own restart was not dependable where it was tried (gloo: the new processes asked at the address of the dead
ones), so it is told to restart nothing, and the whole of it begins again with a fresh rendezvous, from the newest
checkpoint.  Nothing large is loaded here: this process holds the run's turn, its mark and its pipes.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from typing import IO

from locstudio.jobs.configs import RunConfig
from locstudio.jobs.messages import Failed, Finished
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import Pulse, StopKind, ask_to_stop, stop_file, stop_wish
from trainer.last_words import LastWords, cause_of, forget_words, read_words
from trainer.lifeline import die_with_parent
from trainer.reporting import Reporter
from trainer.restarting import may_restart
from trainer.stop import StopRequest

LOOK_S = 0.2
START_S = 60.0
"""For so long nobody expects the first rank to beat: it loads torch, and waits for the others."""
SHUTDOWN_S = 5
SUPERVISED_VARIABLE = "LOCSTUDIO_SUPERVISED"


def needs_many_processes(config: RunConfig) -> bool:
    """True for a training that wants several processes; timing one is the work of a single one."""
    return config.num_processes > 1 and config.kind == "cloc" and not (config.cloc and config.cloc.is_dry_run)


def supervise(folder: RunFolder, config: RunConfig, pipe: IO[bytes] | None, stop: StopRequest, pulse: Pulse) -> int:
    """See the run to its end, with one restart at most, and return the exit status."""
    while True:
        forget_words(folder)
        said_before = _num_said(folder)
        _see_through(folder, config, pipe, stop, pulse)
        last = folder.last_event()
        if last is not None and last.sequence >= said_before and isinstance(last, Finished | Failed):
            return last.exit_status if isinstance(last, Failed) else 0
        cause = cause_of(read_words(folder))
        forget_words(folder)
        log = EventLog(folder)
        reporter = Reporter(log, pipe, pulse)
        try:
            reason = _reason(cause)
            if cause is not None and not cause.can_go_on:
                return _fail(reporter, cause.sentence, cause.exit_status)
            if not may_restart(folder, reason):
                again = f"{reason} It had been begun again once already; resume it when the cause is found."
                return _fail(reporter, f"{again} Its log is {folder.log}.", cause.exit_status if cause else 70)
            reporter.note(f"{reason} All processes begin again from the last checkpoint.")
        finally:
            log.close()


def _see_through(folder: RunFolder, config: RunConfig, pipe: IO[bytes] | None, stop: StopRequest, pulse: Pulse) -> None:
    """Start torchrun once, and return when nothing of it is left; pass on wishes to stop meanwhile."""
    process = subprocess.Popen(
        _command(folder, config),
        stdin=subprocess.DEVNULL,
        stdout=pipe if pipe is not None else subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,  # Ctrl+C is a wish to stop, which we pass on, not the end of all ranks
        preexec_fn=partial(die_with_parent, os.getpid()),
    )
    begun = time.monotonic()
    try:
        while process.poll() is None:
            _pass_on(folder, stop)
            if time.monotonic() - begun < START_S:
                pulse.beat()
            time.sleep(LOOK_S)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _command(folder: RunFolder, config: RunConfig) -> list[str]:
    return [
        sys.executable,
        "-P",
        "-m",
        "torch.distributed.run",
        f"--nproc-per-node={config.num_processes}",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=127.0.0.1:0",  # 0: any free port
        f"--rdzv-id={folder.id}",
        "--local-addr=127.0.0.1",
        "--max-restarts=0",
        f"--monitor-interval={LOOK_S}",
        f"--shutdown-timeout={SHUTDOWN_S}",
        "-m",
        "trainer",
        str(folder.path),
    ]


def _environment() -> dict[str, str]:
    """PYTHONSAFEPATH, so that no package in a stranger's folder is taken for ours; loopback, since all is one machine.

    OMP_NUM_THREADS only keeps torchrun from choosing and warning: each rank sets its own number of threads.
    """
    defaults = {"OMP_NUM_THREADS": "1"} | ({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {})
    return defaults | os.environ | {"PYTHONSAFEPATH": "1", SUPERVISED_VARIABLE: str(os.getpid())}


def _pass_on(folder: RunFolder, stop: StopRequest) -> None:
    wish: StopKind | None = "step" if stop() else "epoch" if stop.at_epoch_end() else None
    if wish is not None and stop_wish(stop_file(folder)) not in (wish, "step"):
        with contextlib.suppress(OSError):
            ask_to_stop(folder, wish)


def _reason(cause: LastWords | None) -> str:
    if cause is None:
        return "A process of the run was lost without a word: it was killed, or the memory was not enough."
    return f"A process of the run was lost. {cause.sentence}"


def _num_said(folder: RunFolder) -> int:
    log = EventLog(folder)
    try:
        return log.next_sequence
    finally:
        log.close()


def _fail(reporter: Reporter, sentence: str, exit_status: int) -> int:
    print(sentence, file=sys.stderr)
    reporter.failed(sentence, exit_status)
    return exit_status
