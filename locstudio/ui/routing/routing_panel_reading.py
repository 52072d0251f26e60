"""What a run's table has of the routing of an image, and the model that can be asked, read on a worker's thread.

Everything here may wait for the disk; nothing here knows a widget.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.regions import Image
from locstudio.jobs.checkpoint_folder import CheckpointInfo, checkpoint_info
from locstudio.jobs.engine_messages import Routed
from locstudio.jobs.routing import routing_mark
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.checkpoints import active_folder
from locstudio.services.routing.book import RoutingBook
from locstudio.services.routing.found import (
    FoundRouting,
    classes_known_in,
    folder_of_checkpoint,
    found_by_engine,
    found_in_table,
    is_stale,
)
from locstudio.services.routing.runs import RoutingRun, routing_runs
from locstudio.store.project import Project
from locstudio.store.view import DatasetView


@dataclass(frozen=True, slots=True)
class Model:
    """A checkpoint that can be asked.  ``is_of_run``: it is the one whose table is shown."""

    folder: Path
    info: CheckpointInfo
    is_of_run: bool = False
    expert_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ReadRouting:
    """The routing of an image as far as runs have it.

    Attributes:
        runs: All that have a table, newest first.
        run: Whose table is read; None where there is none.
        found: What is shown: the table's, or what the model has said; None while there is neither.
        truth: Names of the classes that the image is known to show.
        is_in_table: The run has seen the image.
        is_stale: The image's file is another one than the run has seen.
        problem: Why routing that should be there cannot be read; empty where it can.
        model: What can be asked; None where there is nothing.
        is_asking: The model is at it; ``is_answered``: ``found`` is its answer.
    """

    image: Image
    runs: tuple[RoutingRun, ...] = ()
    run: RoutingRun | None = None
    found: FoundRouting | None = None
    truth: tuple[str, ...] = ()
    is_in_table: bool = False
    is_stale: bool = False
    problem: str = ""
    model: Model | None = None
    is_asking: bool = False
    is_answered: bool = False

    def is_as(self, other: "ReadRouting | None") -> bool:
        """Whether the other one was read of the same runs in the same state, and shows the same."""
        return other is not None and self._state() == other._state()

    def _state(self) -> tuple[object, ...]:
        model = None if self.model is None else (self.model.folder, self.model.info.id)
        return self.image.id, self.image.sha256, self.runs, self.truth, self.is_stale, self.problem, model, self.found

    def answered(self, routed: Routed) -> "ReadRouting":
        """The same with what its model has said just now."""
        if self.model is None:
            return self
        found = found_by_engine(routed, self.model.info, self.model.expert_names)
        return replace(self, found=found, is_answered=True, is_asking=False)


class RoutingReader:
    """Keeps the table of one run open.  Only one thread may call it."""

    def __init__(self, project: Project, dataset: DatasetView) -> None:
        self._project = project
        self._dataset = dataset
        self._runs: tuple[RoutingRun, ...] = ()
        self._book: RoutingBook | None = None
        self._mark = (0, 0)
        self._wanted: str | None = None
        self._problem = ""
        self._infos: dict[Path, tuple[tuple[int, int], CheckpointInfo]] = {}

    def read(self, image: Image, run_id: str = "", *, look_again: bool = False) -> ReadRouting:
        """The routing of an image.

        Args:
            image: Which.
            run_id: The run to read; empty for the newest that has a table.
            look_again: Runs may have come or gone since.
        """
        if look_again or run_id != self._wanted or self._is_newer():
            self._open(run_id)
        book = self._book
        read = ReadRouting(
            image,
            runs=self._runs,
            run=next((run for run in self._runs if run.id == book.run.id), book.run) if book is not None else None,
            truth=classes_known_in(self._dataset, image),
            problem=self._problem,
        )
        if book is not None:
            read = self._in_table(read, book, image)
        try:
            return replace(read, model=self._model(book, is_needed=read.found is None))
        except UserError as error:
            return replace(read, problem=read.problem or str(error))

    def model(self, image: Image) -> ReadRouting:
        """What can be asked about a box of an image: nothing of what a table has of the whole image."""
        return replace(self.read(image), found=None)

    def _open(self, run_id: str) -> None:
        self._wanted, self._problem = run_id, ""
        self._runs = tuple(routing_runs(self._project, self._dataset))
        held = self._book
        chosen = next((run for run in self._runs if run.id == run_id), None) or next(iter(self._runs), None)
        try:
            if chosen is None:
                self._book = None
            elif held is None or held.run.id != chosen.id or routing_mark(held.run.results) != self._mark:
                self._book = RoutingBook.open(self._project, self._dataset, chosen.id)
                self._mark = routing_mark(chosen.results)
            else:
                self._book = held.read_anew()
        except UserError as error:
            self._book, self._problem = None, str(error)

    def _is_newer(self) -> bool:
        return self._book is not None and routing_mark(self._book.run.results) != self._mark

    def _in_table(self, read: ReadRouting, book: RoutingBook, image: Image) -> ReadRouting:
        row = book.row_of(image.id)
        if row < 0:
            return read
        if is_stale(book.table, row, image):
            return replace(read, is_in_table=True, is_stale=True)
        found = found_in_table(book.table, row, book.expert_names, book.class_homes.tolist())
        return replace(read, found=found, is_in_table=True)

    def _model(self, book: RoutingBook | None, *, is_needed: bool) -> Model | None:
        """The run's own checkpoint; where it is gone the one in use, but only where nothing else is known.

        Raises:
            UserError: there is no such checkpoint, or it is damaged.
        """
        if book is not None:
            run = RunFolder(self._project.runs / book.run.id)
            folder = folder_of_checkpoint(self._project, self._dataset, run, book.table.header.checkpoint_id)
            if folder is not None:
                return Model(folder, self._info(folder), True, tuple(book.expert_names))
            if not is_needed:
                return None
        folder = active_folder(self._project, self._dataset, "vmoe")
        if not folder.is_dir():
            return None
        return Model(folder, self._info(folder))

    def _info(self, folder: Path) -> CheckpointInfo:
        """What the checkpoint is, verified once as long as its manifest stays the same."""
        try:
            status = (folder / "manifest.json").stat()
        except OSError as error:
            raise BadInput(f"There is no checkpoint in {folder}. Take another one into use.") from error
        mark = status.st_ino, status.st_mtime_ns
        known = self._infos.get(folder)
        if known is None or known[0] != mark:
            info = checkpoint_info(folder)
            info.require_model("vmoe")
            known = self._infos[folder] = (mark, info)
        return known[1]
