"""One of the processes that torchrun starts for a run.

The first rank writes the run folder and speaks; the others say nothing.  A rank that ends in trouble leaves its reason
in the folder: under our own supervisor that is who tells the person, else the first rank does, if it still can.
"""

import os
import sys
import time
import traceback
from typing import IO, NoReturn

import psutil
import torch
import torch.distributed as dist

from locstudio.domain.errors import LocStudioError, UserError
from locstudio.jobs.configs import RunConfig
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import Pulse, RunMark, claim_run, read_mark, stop_file
from trainer.device import num_usable_cores
from trainer.distributed import Place, Ranks, RankSilent
from trainer.last_words import cause_of, forget_words, leave_words, read_words
from trainer.lifeline import die_with_parent
from trainer.reporting import Beating, Reporter, Silence
from trainer.restarting import EXIT_GPU_LOST, is_gpu_lost
from trainer.running import run_recipe, verdict
from trainer.stop import StopRequest
from trainer.supervisor import SUPERVISED_VARIABLE

EXIT_PEER_LOST = 75
_WAIT_FOR_WORDS_S = 2.0
_SIGNS_OF_A_LOST_PEER = (
    "connection closed by peer",
    "connection reset by peer",
    "connection refused",
    "broken pipe",
    "gloo",
    "nccl",
    "tcpstore",
    "timed out",
    "remote worker",
)


def work_as_rank(folder: RunFolder, config: RunConfig, pipe: IO[bytes]) -> NoReturn:
    """Do this process's part of the run and end the process.

    Raises:
        UserError: another living process works on the run.
    """
    die_with_parent()
    place = Place.from_environment()
    if place.is_supervised and not psutil.pid_exists(int(os.environ[SUPERVISED_VARIABLE])):
        _exit(EXIT_PEER_LOST)  # it was killed while torch was loaded here, before we could be told
    if config.kind != "cloc" and place.rank:
        _exit(0)  # only training is shared; what else there is, the first does alone
    # Under a supervisor SIGTERM ends a rank at once: it comes from torchrun when another rank is gone.
    stop = StopRequest(stop_file(folder), None)
    if not place.is_supervised:
        stop.listen_to_signals()
    pulse = _Pulse(Pulse(folder, _mark(folder, place)) if place.rank == 0 else None)
    log = EventLog(folder) if place.rank == 0 else Silence()
    reporter = Reporter(log, pipe if place.rank == 0 else None, pulse)

    def join(device: str) -> Ranks:
        pulse.ranks = Ranks.join(place if config.kind == "cloc" else Place(), torch.device(device))
        return pulse.ranks

    try:
        was_stopped = run_recipe(
            folder,
            reporter,
            stop,
            device_wish=place.device(config.device),
            num_threads=max(1, (num_usable_cores() - 1) // place.local_world),
            join=join,
        )
        reporter.finished(was_stopped=was_stopped)
    except Exception as error:  # noqa: BLE001 - the process's outermost handler: it delivers, with the traceback in the log
        _fail(folder, place, reporter, error)
    if isinstance(log, EventLog):
        log.close()
    _exit(0)


class _Pulse:
    """Beats for whoever watches the run, and for the other ranks once they have met."""

    def __init__(self, pulse: Beating | None) -> None:
        self._pulse = pulse
        self.ranks: Ranks | None = None

    def beat(self) -> None:
        if self._pulse is not None:
            self._pulse.beat()
        if self.ranks is not None:
            self.ranks.beat()


def _mark(folder: RunFolder, place: Place) -> RunMark:
    """The mark to beat for: the supervisor's, or our own where torchrun was started by hand."""
    if not place.is_supervised:
        forget_words(folder)
        return claim_run(folder)
    mark = read_mark(folder)
    if mark is None:
        raise UserError(f"The run {folder.id} has no process that leads it.")
    return mark


def _fail(folder: RunFolder, place: Place, reporter: Reporter, error: Exception) -> NoReturn:
    """Leave the reason and end."""
    if not isinstance(error, LocStudioError):
        traceback.print_exc()
    sentence, exit_status = verdict(folder, error)
    is_echo = _is_lost_peer(error)
    if is_echo:
        exit_status = EXIT_PEER_LOST
    elif is_gpu_lost(error):
        sentence, exit_status = f"The GPU was lost. Its log is {folder.log}.", EXIT_GPU_LOST
    can_go_on = exit_status in (70, EXIT_GPU_LOST, EXIT_PEER_LOST)
    leave_words(folder, place.rank, sentence, exit_status, can_go_on=can_go_on, is_echo=is_echo)
    if place.rank == 0 and not place.is_supervised:
        if is_echo:
            time.sleep(_WAIT_FOR_WORDS_S)  # the one that caused it may still be writing why
        cause = cause_of(read_words(folder))
        reporter.failed(
            cause.sentence if cause else "Another process of the run was lost; start it again to go on.",
            cause.exit_status if cause else exit_status,
        )
        forget_words(folder)
    print(sentence, file=sys.stderr)
    _exit(exit_status)


def _exit(exit_status: int) -> NoReturn:
    """End at once.

    Taking the interpreter down with a group's threads in it has aborted now and then where it was tried (gloo:
    "terminate called without an active exception"), took seconds, and after a fault may wait for a rank that is gone.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_status)


def _is_lost_peer(error: Exception) -> bool:
    if isinstance(error, RankSilent | dist.DistError | ConnectionError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS_OF_A_LOST_PEER)
