"""``python -m trainer RUN_FOLDER``: do the run that the folder describes.

Exit status 0 after ``Finished``; after ``Failed`` the status it names.
"""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from locstudio.domain.errors import LocStudioError
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import claim_run, stop_file
from trainer.reporting import Reporter
from trainer.stop import StopRequest

if TYPE_CHECKING:
    from trainer.context import Recipe


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="trainer", description="Do one run of LocStudio.")
    parser.add_argument("run", type=Path, metavar="RUN_FOLDER", help="a folder under PROJECT/runs")
    folder = RunFolder(parser.parse_args(arguments).run.resolve())
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    pipe = _take_stdout()
    try:
        folder.config()
        claim_run(folder)
    except LocStudioError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    stop = StopRequest(stop_file(folder), _stdin_descriptor())
    stop.listen_to_signals()
    return work(folder, pipe, stop)


def work(folder: RunFolder, pipe: IO[bytes] | None, stop: StopRequest) -> int:
    """Do the run and say its last word, whatever happens; return the exit status."""
    log = EventLog(folder)
    reporter = Reporter(log, pipe)
    try:
        was_stopped = _run(folder, reporter, stop)
        reporter.finished(was_stopped=was_stopped)
        return 0
    except LocStudioError as error:
        return _fail(reporter, str(error), error.exit_status)
    except OSError as error:
        traceback.print_exc()
        return _fail(reporter, _storage_sentence(folder, error), 5)
    except Exception as error:  # noqa: BLE001 - the job's outermost handler: it delivers, with the traceback in the log
        traceback.print_exc()
        return _fail(
            reporter,
            f"The run failed by a fault of LocStudio ({type(error).__name__}: {error}); its log is {folder.log}.",
            70,
        )
    finally:
        log.close()


def _run(folder: RunFolder, reporter: Reporter, stop: StopRequest) -> bool:
    from trainer.context import RunContext
    from trainer.device import choose_device, set_threads, step_aside

    config = folder.config()
    device, note = choose_device(config.device)
    if note:
        reporter.note(note)
    set_threads(config.num_threads)
    if device.type == "cpu":
        step_aside()
    return _recipe(config.kind)(RunContext(folder, config, reporter, stop, device))


def _recipe(kind: str) -> "Recipe":
    if kind == "embed":
        from trainer.recipes.embed import embed

        return embed
    if kind == "evaluate":
        from trainer.recipes.evaluate import evaluate

        return evaluate
    from trainer.recipes.train_cloc import train_cloc

    return train_cloc


def _fail(reporter: Reporter, sentence: str, exit_status: int) -> int:
    print(sentence, file=sys.stderr)
    reporter.failed(sentence, exit_status)
    return exit_status


def _storage_sentence(folder: RunFolder, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk is full, so the run could not write to {folder.path}; free some space and resume it."
    return f"The run could not read or write {error.filename or folder.path}: {error.strerror or error}."


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
