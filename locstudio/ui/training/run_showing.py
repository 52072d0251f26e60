"""Keeps the training page true: the list of runs, and everything of the run in front."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal

from locstudio.jobs.run_state import RunState
from locstudio.store.view import DatasetView
from locstudio.ui.background import DatasetWorker
from locstudio.ui.training.curves_view import RunCurves
from locstudio.ui.training.page import TrainingPage
from locstudio.ui.training.run_book import KnownRun, RunBook
from locstudio.ui.training.run_head import RunFacts
from locstudio.ui.training.run_list import RunRow
from locstudio.ui.training.run_record import RunContent, RunRecord, known_word
from locstudio.ui.training.wording import counted, leading_metric, when

_FRAME_MS = 400
_MAX_OVERLAID = 8


class RunShowing(QObject):
    """Connects the book of runs to the page; nothing is read for a page that nobody sees.

    Signals:
        run_shown: the ``KnownRun`` that is in front now, or whose comparison stands elsewhere now.
    """

    run_shown = Signal(object)

    def __init__(
        self,
        page: TrainingPage,
        book: RunBook,
        dataset: DatasetView,
        work: DatasetWorker,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._page = page
        self._book = book
        self._dataset = dataset
        self._work = work
        self._records: dict[str, RunRecord] = {}
        self._contents: dict[str, RunContent] = {}
        self._overlaid: list[str] = []
        self._drawn: list[RunCurves] = []
        self._stale: set[str] = set()
        self._reading: set[str] = set()
        self._frame = QTimer(self, interval=_FRAME_MS, singleShot=True)
        self._frame.timeout.connect(self._draw)
        book.listed.connect(self._on_listed)
        book.changed.connect(self._on_changed)
        page.run_chosen.connect(self._on_chosen)
        page.overlay_changed.connect(self._on_overlay_changed)
        self._on_listed()

    @property
    def shown(self) -> KnownRun | None:
        """The run in front."""
        return self._book.run(self._page.runs.chosen)

    def choose(self, run_id: str) -> None:
        """Bring a run to the front."""
        self._page.runs.choose(run_id)

    def wake(self) -> None:
        """The page is seen again: draw what has happened meanwhile."""
        self._frame.start(0)

    # facts ------------------------------------------------------------------------------------------------------

    def _on_listed(self) -> None:
        known = {run.id for run in self._book.in_list}
        for run_id in set(self._records) - known:
            del self._records[run_id]
            self._contents.pop(run_id, None)
        self._draw_rows()
        self._draw_head()
        self._tell()

    def _on_changed(self, run_id: str) -> None:
        self._stale.add(run_id)
        if not self._frame.isActive():
            self._frame.start(_FRAME_MS)
        run = self._book.run(run_id)
        if run is not None and self.shown is not None and run.config.parent_run == self.shown.id:
            self._tell()

    def _on_chosen(self, run_id: str) -> None:
        self._stale.add(run_id)
        self._draw_head()
        self._draw_content()
        self._frame.start(0)
        self._tell()

    def _on_overlay_changed(self, run_ids: list[str]) -> None:
        self._overlaid = run_ids[:_MAX_OVERLAID]
        self._stale.update(run_ids)
        self._draw_rows()
        self._frame.start(0)

    def _tell(self) -> None:
        if self.shown is not None:
            self.run_shown.emit(self.shown)

    # drawing ----------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        if not self._page.isVisible():
            return
        self._draw_rows()
        self._draw_head()
        wanted = {self._page.runs.chosen, *self._overlaid}
        for run_id in wanted & self._stale:
            self._read(run_id)
        self._draw_content()

    def _read(self, run_id: str) -> None:
        run = self._book.run(run_id)
        if run is None or run_id in self._reading:
            return
        self._stale.discard(run_id)
        self._reading.add(run_id)
        record = self._records.setdefault(run_id, RunRecord(run.folder, self._dataset, known_word(run.config)))
        self._work.ask(
            record.read,
            on_result=partial(self._take, run_id),
            on_error=lambda error: self._take(run_id, RunContent(said=(str(error),))),
        )

    def _take(self, run_id: str, content: RunContent) -> None:
        self._reading.discard(run_id)
        self._contents[run_id] = content
        if run_id in self._stale:
            self._frame.start(_FRAME_MS)
        self._draw_rows()
        self._draw_head()
        self._draw_content()

    def _draw_rows(self) -> None:
        self._page.set_runs([self._row(run) for run in self._book.in_list])

    def _draw_head(self) -> None:
        run = self.shown
        if run is None:
            self._page.show_run(None)
            return
        is_training = run.is_training
        self._page.set_has_curves(is_training, has_samples=run.config.kind == "cloc")
        self._page.show_run(RunFacts(self._row(run), facts_of(run), run.summary.can_resume, has_epochs=is_training))

    def _draw_content(self) -> None:
        run = self.shown
        content = self._contents.get(run.id, RunContent()) if run is not None else RunContent()
        drawn = [run] if run is not None else []
        drawn += [other for other in self._book.in_list if other.id in self._overlaid and other is not run]
        curves = [
            RunCurves(
                one.id,
                title_of(one),
                self._color_of(one),
                self._contents[one.id].curves,
                has_experts=one.config.kind == "vmoe",
            )
            for one in drawn
            if one.id in self._contents
        ]
        if not _are_same(curves, self._drawn):  # painting them takes longest
            self._drawn = curves
            self._page.show_curves(curves)
        self._page.show_samples(content.sheets)
        self._page.show_log(content.said, content.log)

    def _color_of(self, run: KnownRun) -> int:
        """Runs keep their colours as newer ones come: they are numbered from the oldest."""
        runs = self._book.in_list
        return len(runs) - 1 - next((place for place, one in enumerate(runs) if one.id == run.id), 0)

    def _row(self, run: KnownRun) -> RunRow:
        content = self._contents.get(run.id)
        row = row_of(run, content.phase if content else "", self._book.comparison_of(run.id))
        return replace(
            row,
            color=self._color_of(run),
            is_overlaid=run.id in self._overlaid,
            is_drawn=bool(self._overlaid) and run.id == self._page.runs.chosen,
            is_in_use=run.id in self._book.in_use,
        )


def _are_same(some: Sequence[RunCurves], others: Sequence[RunCurves]) -> bool:
    return len(some) == len(others) and all(
        (one.id, one.title, one.color) == (other.id, other.title, other.color) and one.curves is other.curves
        for one, other in zip(some, others, strict=True)
    )


def title_of(run: KnownRun) -> str:
    """What a run is called: its name, and when it was made."""
    return f"{run.name} · {when(run.id)}"


def row_of(run: KnownRun, phase: str = "", comparison: KnownRun | None = None) -> RunRow:
    """A run as a row of the list."""
    summary = run.summary
    # What a run that is done has made is its best checkpoint, which may be older than its last step.
    metrics = run.best if summary.state is RunState.DONE and run.best else summary.metrics
    if run.config.kind == "vesl":
        phase = "Proposing" if summary.state is RunState.RUNNING else ""
    if run.config.kind == "route" and summary.state is RunState.RUNNING:
        phase = "Routing"
    if comparison is not None and not comparison.is_over:
        phase = "Comparing with the model in use"
    return RunRow(
        id=run.id,
        title=title_of(run),
        state=summary.state,
        step=summary.step,
        num_steps=summary.num_steps,
        seconds_left=summary.seconds_left,
        phase=phase,
        result=result_of(metrics, run.before),
        sentence=summary.sentence,
        is_silent=summary.is_silent,
        is_unstarted=run.is_unstarted,
    )


def result_of(metrics: Mapping[str, float], before: Mapping[str, float]) -> str:
    """The leading metric, and how much of it was gained: "mean accuracy 0.62 (+0.05)"."""
    leading = leading_metric(metrics)
    if leading is None:
        return ""
    name, value = leading
    first = leading_metric(before)
    gain = f" ({value - first[1]:+.2f})" if first is not None and first[0] == name else ""
    return f"{name} {value:.2f}{gain}"


def facts_of(run: KnownRun) -> list[str]:
    """Short facts for the head of a run."""
    summary, known, facts = run.summary, known_word(run.config), []
    if summary.num_steps:
        facts.append(f"step {summary.step:,} of {summary.num_steps:,}")
    if summary.steps_per_epoch and summary.step:
        facts.append(f"epoch {1 + (summary.step - 1) // summary.steps_per_epoch:,}")
    if summary.num_regions:
        facts.append(f"{counted(summary.num_regions, known)} of {counted(summary.num_images, 'image')}")
    if summary.num_held_out:
        facts.append(f"{counted(summary.num_held_out, known)} held out")
    if summary.device:
        facts.append(summary.device)
    if summary.has_process and summary.images_per_second:
        facts.append(f"{summary.images_per_second:.0f} images/s")
    if run.config.snapshot_sha256:
        facts.append(f"snapshot {run.config.snapshot_sha256[:8]}")
    return facts
