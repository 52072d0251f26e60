"""What a run remembers beside its checkpoints: what it measured, and what happened to it."""

from msgspec.structs import replace

from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import history_file, read_history, write_document


class RunHistory:
    """The run's ``results/history.json``, written whole with every change.

    Measurements of steps that a resumed run is going to do again are forgotten.  ``is_kept`` is False for a process
    that does not write the run folder.
    """

    def __init__(self, folder: RunFolder, first_step: int, *, is_kept: bool = True) -> None:
        self._is_kept = is_kept
        self._file = history_file(folder)
        self._history = read_history(folder)
        known = {step: found for step, found in self._history.evaluations.items() if step <= first_step}
        self._history = replace(self._history, evaluations=known)

    @property
    def before(self) -> dict[str, float]:
        """Metrics of the model that the run started from; empty where nothing was measured."""
        return dict(self._history.before)

    @property
    def happened(self) -> tuple[str, ...]:
        """What happened, in words and in order."""
        return self._history.happened

    def metrics_at(self, step: int) -> dict[str, float]:
        """Metrics after this step; empty where nothing was measured then."""
        return dict(self._history.evaluations.get(step, {}))

    def measured(self, step: int, metrics: dict[str, float]) -> None:
        """Remember what was measured after this step; after 0 it is what was there before the run."""
        if step == 0:
            self._history = replace(self._history, before=dict(metrics))
        self._history = replace(self._history, evaluations={**self._history.evaluations, step: dict(metrics)})
        self._write()

    def happen(self, sentence: str) -> None:
        """Remember something that a reader of the card should know."""
        self._history = replace(self._history, happened=(*self._history.happened, sentence))
        self._write()

    def _write(self) -> None:
        if self._is_kept:
            write_document(self._file, self._history)
