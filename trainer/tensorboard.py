"""Curves for TensorBoard, where a run asks for them and ``pip install 'locstudio[tensorboard]'`` was done.

    RUN_FOLDER/tensorboard/     event files; ``tensorboard --logdir PROJECT/runs`` shows all runs beside each other

The run's own messages hold the same numbers, so nothing is lost where this is not installed.
"""

import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from trainer.loop import StepMetrics

WRITE_SECONDS = 1.0


class TensorBoardCurves:
    """A hook that writes losses and learning rate about once a second, and every evaluation.

    Args:
        folder: Of the event files.
        first_step: Steps done before; what an interrupted run has written beyond them is hidden.
        clock: In seconds.
    """

    def __init__(self, folder: Path, first_step: int = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=first_step + 1 if first_step else None)
        self._clock = clock
        self._written_at = -WRITE_SECONDS

    def __call__(self, step: int, metrics: StepMetrics) -> None:
        now = self._clock()
        if now - self._written_at < WRITE_SECONDS or metrics.loss is None:
            return
        self._written_at = now
        self._writer.add_scalar("train/loss", float(metrics.loss), step)
        for name, value in metrics.parts.items():
            self._writer.add_scalar(f"train/{name}", float(value), step)
        if metrics.learning_rate is not None:
            self._writer.add_scalar("train/learning_rate", metrics.learning_rate, step)

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write what was measured on what is held out."""
        for name, value in metrics.items():
            self._writer.add_scalar(f"held_out/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left and let go of the files."""
        self._writer.close()


def open_curves(run: Path, first_step: int, note: Callable[[str], object]) -> TensorBoardCurves | None:
    """Curves in the run's folder, or None, with a sentence, where TensorBoard is not installed."""
    if find_spec("tensorboard") is None:
        note("TensorBoard is not installed, so no curves are written for it: pip install 'locstudio[tensorboard]'.")
        return None
    return TensorBoardCurves(run / "tensorboard", first_step)
