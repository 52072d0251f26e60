"""``python -m trainer RUN_FOLDER``: do the run that the folder describes.

A run that must not go on beside others waits for its turn first, before anything large is loaded.  Exit status 0
after ``Finished``; after ``Failed`` the status it names.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from locstudio.domain.errors import LocStudioError
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import Pulse, claim_run, stop_file
from locstudio.jobs.turn import Turn, takes_turns
from trainer.reporting import Reporter
from trainer.restarting import EXIT_GPU_LOST, begin_again, is_gpu_lost, may_restart
from trainer.running import run_recipe, storage_sentence, verdict
from trainer.stop import StopRequest
from trainer.supervisor import needs_many_processes, supervise

TURN_POLL_S = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="trainer", description="Do one run of LocStudio.")
    parser.add_argument("run", type=Path, metavar="RUN_FOLDER", help="a folder under PROJECT/runs")
    folder = RunFolder(parser.parse_args(arguments).run.resolve())
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    pipe = _take_stdout()
    try:
        config = folder.config()
        if "RANK" in os.environ:
            from trainer.rank import work_as_rank

            work_as_rank(folder, config, pipe)
        pulse = Pulse(folder, claim_run(folder, "queued" if takes_turns(config) else "running"))
    except LocStudioError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    stop = StopRequest(stop_file(folder), _stdin_descriptor(), on_asked=lambda: pulse.enter("stopping"))
    stop.listen_to_signals()
    turn = Turn(folder, config)
    try:
        if takes_turns(config) and not wait_for_turn(folder, turn, pipe, pulse, stop):
            return 0
        pulse.enter("running")
        if needs_many_processes(config):
            return supervise(folder, config, pipe, stop, pulse)
        return work(folder, pipe, stop, pulse)
    except OSError as error:  # where even the last word could not be written, the log has it
        print(storage_sentence(folder, error), file=sys.stderr)
        return 5
    finally:
        turn.release()


def wait_for_turn(
    folder: RunFolder, turn: Turn, pipe: IO[bytes] | None, pulse: Pulse, should_stop: Callable[[], bool]
) -> bool:
    """Return True once it is this run's turn; False, with the last word said, if it was stopped while it waited."""
    log = EventLog(folder)
    try:
        if turn.try_take():
            return True
        reporter = Reporter(log, pipe, pulse)
        reporter.waiting(turn.behind)
        while not turn.try_take():
            if should_stop():
                reporter.finished(was_stopped=True)
                return False
            pulse.beat()
            time.sleep(TURN_POLL_S)
        return True
    except OSError as error:
        _fail(Reporter(log, pipe, pulse), storage_sentence(folder, error), 5)
        raise
    finally:
        log.close()


def work(folder: RunFolder, pipe: IO[bytes] | None, should_stop: Callable[[], bool], pulse: Pulse | None = None) -> int:
    """Do the run and say its last word, whatever happens; return the exit status."""
    log = EventLog(folder)
    reporter = Reporter(log, pipe, pulse)
    try:
        was_stopped = run_recipe(folder, reporter, should_stop)
        reporter.finished(was_stopped=was_stopped)
        return 0
    except Exception as error:  # noqa: BLE001 - the job's outermost handler: it delivers, with the traceback in the log
        if not isinstance(error, LocStudioError):
            traceback.print_exc()
        if is_gpu_lost(error):
            return _go_on_without_gpu(folder, reporter, log, pipe, may_begin_again=pulse is not None)
        return _fail(reporter, *verdict(folder, error))
    finally:
        log.close()


def _go_on_without_gpu(
    folder: RunFolder, reporter: Reporter, log: EventLog, pipe: IO[bytes] | None, *, may_begin_again: bool
) -> int:
    """A lost GPU is answered once by beginning again from the checkpoint, which does not return."""
    if may_begin_again and may_restart(folder):
        reporter.note("The GPU was lost; the run begins again from its last checkpoint.")
        log.close()
        begin_again(folder, pipe)
    sentence = f"The GPU was lost; resume the run once it is back, or on the CPU. Its log is {folder.log}."
    return _fail(reporter, sentence, EXIT_GPU_LOST)


def _fail(reporter: Reporter, sentence: str, exit_status: int) -> int:
    print(sentence, file=sys.stderr)
    reporter.failed(sentence, exit_status)
    return exit_status


def _take_stdout() -> IO[bytes]:
    """Keep stdout for the protocol, and send what libraries print to the log instead."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


def _stdin_descriptor() -> int | None:
    try:
        return sys.stdin.fileno()
    except (AttributeError, ValueError, OSError):
        return None


if __name__ == "__main__":
    sys.exit(main())
