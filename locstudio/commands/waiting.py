"""Starting the trainer and waiting for it, with its messages on stderr and its last word as a result or an error."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from locstudio.commands.output import ProgressLine
from locstudio.domain.errors import BadInput, LocStudioError
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import RunConfig
from locstudio.jobs.messages import AnyMessage, Evaluated, Failed, Note, Progress, Started, Waiting
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.runs import run_and_wait
from locstudio.services.starting import model_of


class _RunFailed(LocStudioError):
    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.sentence)
        self.exit_status = failed.exit_status


class _Reporter:
    """Shows a run's messages on stderr, so that stdout holds the result alone."""

    def __init__(self, what: str, known: str) -> None:
        """``known`` is what there is to learn from or to measure: regions, labels; empty where there is nothing."""
        self._line = ProgressLine(what)
        self._known = known

    def __call__(self, message: AnyMessage) -> None:
        match message:
            case Progress():
                self._line(message.step, message.num_steps)
            case Note():
                tell(message.text)
            case Started():
                known = f", {message.num_regions} {self._known}" if self._known else ""
                held_out = f", {message.num_held_out} more held out" if message.num_held_out else ""
                tell(f"On {message.device}: {message.num_images} images{known}{held_out}.")
            case Waiting():
                tell(f"Waiting for {message.behind or 'a run of another project'}.")
            case Evaluated() if message.step:
                tell(f"After {message.step} steps: {metrics_text(message.metrics)}")
            case _:
                pass


def wait_for(folder: RunFolder, what: str, listen: Callable[[AnyMessage], object] = lambda _: None) -> bool:
    """Run the trainer on this folder to its end; ``listen`` hears every message too.

    Returns:
        Whether it did all that it was asked; False if it was stopped.

    Raises:
        LocStudioError: it failed; the sentence and the exit status are its own.
        JobCrashed: it ended without a last word.
    """
    report = _Reporter(what, _counted_by(folder.config()))

    def on_message(message: AnyMessage) -> None:
        report(message)
        listen(message)

    last = run_and_wait(folder, on_message)
    if isinstance(last, Failed):
        raise _RunFailed(last)
    return not last.was_stopped


def _counted_by(config: RunConfig) -> str:
    """What a run counts that it learns from or measures; empty where it only looks at images."""
    if config.kind == "route":
        return ""
    model = model_of(config)
    with suppress(BadInput):  # of a damaged checkpoint the run itself says so
        model = model or checkpoint_info(Path(config.checkpoint)).model
    return "regions" if model in ("cloc", None) else "labels"


def tell(sentence: str) -> None:
    """A line for a person on stderr."""
    print(sentence.encode(errors="backslashreplace").decode(), file=sys.stderr, flush=True)


def metrics_text(metrics: dict[str, float]) -> str:
    """Metrics in one line, without the load of each expert; counts are whole."""
    named = {name: value for name, value in metrics.items() if not is_load(name)}
    is_whole = {name: is_count(name) or name == "dead_experts" for name in named}
    parts = (f"{name} {value:.0f}" if is_whole[name] else f"{name} {value:.3f}" for name, value in named.items())
    return ", ".join(parts) or "nothing could be measured"


def is_count(name: str) -> bool:
    """Whether a metric counts queries instead of being a share."""
    return name == "n" or name.startswith("n_")


def is_load(name: str) -> bool:
    """Whether a metric is the share of the images that one expert took."""
    return name.startswith("expert_") and name.removeprefix("expert_").isdecimal()
