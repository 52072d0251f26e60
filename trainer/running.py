"""Doing what a run's configuration says, in this process, and what to say when that ends in trouble."""

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from locstudio.domain.errors import LocStudioError
from locstudio.jobs.configs import RunConfig
from locstudio.jobs.run_folder import RunFolder
from trainer.reporting import Reporter
from trainer.stop import StopRequest

if TYPE_CHECKING:
    from trainer.context import Recipe
    from trainer.distributed import Ranks


def run_recipe(
    folder: RunFolder,
    reporter: Reporter,
    should_stop: Callable[[], bool],
    *,
    device_wish: str = "",
    num_threads: int = 0,
    join: "Callable[[str], Ranks] | None" = None,
) -> bool:
    """Do the run; True if it was stopped before its end.

    Args:
        folder: Its folder.
        reporter: Whom to tell.
        should_stop: When to end.
        device_wish: Instead of the configuration's.
        num_threads: Where the configuration does not say.
        join: Meets the other processes of the run, given the device of this one; None where there are none.
    """
    from trainer.context import RunContext
    from trainer.device import choose_device, set_threads, step_aside
    from trainer.distributed import ALONE

    config = folder.config()
    device, note = choose_device(device_wish or config.device)
    if note:
        reporter.note(note)
    set_threads(config.num_threads or num_threads)
    if device.type == "cpu":
        step_aside()
    ranks = join(str(device)) if join is not None else ALONE
    at_epoch_end = should_stop.at_epoch_end if isinstance(should_stop, StopRequest) else should_stop
    return recipe_of(config)(RunContext(folder, config, reporter, should_stop, device, at_epoch_end, ranks))


def recipe_of(config: RunConfig) -> "Recipe":
    """The recipe of a kind of run."""
    if config.kind == "embed":
        from trainer.recipes.embed import embed

        return embed
    if config.kind == "evaluate" and config.evaluate is not None and config.evaluate.task == "multilabel":
        from trainer.recipes.evaluate_multilabel import evaluate_multilabel

        return evaluate_multilabel
    if config.kind == "evaluate" and config.evaluate is not None and config.evaluate.task == "classes":
        from trainer.recipes.evaluate_classes import evaluate_classes

        return evaluate_classes
    if config.kind == "evaluate":
        from trainer.recipes.evaluate import evaluate

        return evaluate
    if config.kind == "compare":
        from trainer.recipes.compare import compare

        return compare
    if config.kind == "consistency":
        from trainer.recipes.consistency import consistency

        return consistency
    if config.kind == "vmoe":
        from trainer.recipes.vmoe import vmoe

        return vmoe
    if config.kind == "route":
        from trainer.recipes.route import route

        return route
    if config.kind == "vesl":
        from trainer.recipes.vesl import vesl

        return vesl
    from trainer.recipes.train_cloc import train_cloc

    return train_cloc


def verdict(folder: RunFolder, error: Exception) -> tuple[str, int]:
    """A sentence for the person and the exit status of a run that ended by this error."""
    if isinstance(error, LocStudioError):
        return str(error), error.exit_status
    if isinstance(error, OSError):
        return storage_sentence(folder, error), 5
    sentence = f"The run failed by a fault of LocStudio ({type(error).__name__}: {error}); its log is {folder.log}."
    return sentence, 70


def storage_sentence(folder: RunFolder, error: OSError) -> str:
    """What the disk would not do."""
    if error.errno == errno.ENOSPC:
        return f"The disk is full, so the run could not write to {folder.path}; free some space and resume it."
    return f"The run could not read or write {error.filename or folder.path}: {error.strerror or error}."
