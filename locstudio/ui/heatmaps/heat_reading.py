"""What a run remembers of an image and what was said of it, read on a worker's thread.

Everything here may wait for the disk; nothing here knows a widget.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.heat_corrections import HeatCorrection, corrected
from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Image
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.services.checkpoints import active_folder
from locstudio.services.heat.book import ClassHeat, HeatBook, presence_of
from locstudio.services.heat.runs import HeatRun, heat_runs
from locstudio.services.heat.worklist import MIN_SCORE
from locstudio.store.project import Project
from locstudio.store.view import DatasetView
from locstudio.ui.heatmaps.class_rows import ClassRow

_LIKELY = 0.5
"""A model that looks now has no labelled heat to be held against; more likely there than not counts as expected."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadHeat:
    """The heat of an image as far as runs have it.

    Attributes:
        runs: All that keep heatmaps, newest first.
        run: Whose heat this is; None where no run has seen the image.
        rows: Every class of the vocabulary that is in use or has heat; without maps where ``run`` is None.
        epoch: Of the maps; ``newest`` is the run's last one, ``key_epochs`` are those that can be looked back at.
        is_stale: The image's file is another one than the run has seen.
        problem: Why heat that should be there cannot be read; empty where it can.
        model: The checkpoint that finds heat in any image, where no run has this one; None where there is none.
        is_looking: The model is at it; ``is_found``: it has put its heat into the rows.
    """

    image: Image
    runs: tuple[HeatRun, ...] = ()
    run: HeatRun | None = None
    rows: tuple[ClassRow, ...] = ()
    epoch: int = 0
    newest: int = 0
    num_epochs: int = 0
    key_epochs: tuple[int, ...] = ()
    checkpoint_id: str = ""
    is_stale: bool = False
    problem: str = ""
    model: Path | None = None
    model_name: str = ""
    is_looking: bool = False
    is_found: bool = False

    def is_as(self, other: "ReadHeat | None") -> bool:
        """Whether the other one was read of the same runs in the same state; what was said meanwhile may differ."""
        return other is not None and self._state() == other._state()

    def _state(self) -> tuple[object, ...]:
        return self.image.id, self.runs, self.epoch, self.newest, self.checkpoint_id, self.model, self.problem


class HeatReader:
    """Keeps the book of one run open.  Only one thread may call it."""

    def __init__(self, project: Project, dataset: DatasetView) -> None:
        self._project = project
        self._dataset = dataset
        self._runs: tuple[HeatRun, ...] = ()
        self._book: HeatBook | None = None
        self._wanted: str | None = None
        self._problem = ""

    def read(self, image: Image, run_id: str, epoch: int | None, *, look_again: bool = False) -> ReadHeat:
        """The heat of an image.

        Args:
            image: Which.
            run_id: The run to read; empty for the newest with an epoch done.
            epoch: One that was kept; None, and one that this run has not kept, are the newest.
            look_again: Runs may have come, gone or grown since.
        """
        if look_again or run_id != self._wanted:
            self._open(run_id)
        book = self._book
        try:
            if book is not None and (newer := book.refreshed(self._project)) is not None:
                self._book = book = newer
                self._runs = tuple(newer.run if run.id == newer.run.id else run for run in self._runs)
            return self._read(book, image, epoch)
        except (BadInput, OSError) as error:
            return self._unseen(image, str(error))

    def _open(self, run_id: str) -> None:
        self._wanted, self._problem = run_id, ""
        self._runs = tuple(heat_runs(self._project, self._dataset))
        held = self._book
        chosen = next((run for run in self._runs if run.id == run_id), None)
        chosen = chosen or next((run for run in self._runs if run.epoch), None)
        if chosen is None:
            self._book = None
        elif held is None or held.run.id != chosen.id:
            try:
                self._book = HeatBook.open(self._project, self._dataset, chosen.id)
            except UserError as error:
                self._book, self._problem = None, str(error)
        else:
            held.read_classes()

    def _read(self, book: HeatBook | None, image: Image, epoch: int | None) -> ReadHeat:
        heat = None
        if book is not None:
            header = book.heatmaps.header
            heat = book.image(image, epoch if epoch in header.key_epochs and epoch != header.epoch else None)
        if book is None or heat is None:
            return self._unseen(image, self._problem)
        said = {row.class_id: row for row in said_rows(self._dataset, image)} if heat.unseen else {}
        unseen = [said[entry.id] for entry in heat.unseen if entry.id in said]
        rows = tuple(_row_of(row, heat.is_stale) for row in heat.rows if not row.is_retired or row.is_known)
        return ReadHeat(
            image,
            runs=self._runs,
            run=book.run,
            rows=rows + tuple(unseen),
            epoch=heat.epoch,
            newest=header.epoch,
            num_epochs=header.num_epochs,
            key_epochs=header.key_epochs,
            checkpoint_id=heat.checkpoint_id,
            is_stale=heat.is_stale,
        )

    def _unseen(self, image: Image, problem: str) -> ReadHeat:
        """An image that no run has, and the model that can look at it."""
        rows = tuple(said_rows(self._dataset, image))
        folder = active_folder(self._project, self._dataset, "consistency")
        try:
            info = checkpoint_info(folder)
        except UserError:
            return ReadHeat(image, runs=self._runs, rows=rows, problem=problem)
        return ReadHeat(
            image,
            runs=self._runs,
            rows=rows,
            problem=problem,
            checkpoint_id=info.id,
            model=folder,
            model_name=info.name,
        )


def _row_of(heat: ClassHeat, is_stale: bool) -> ClassRow:
    is_open = heat.presence is Presence.UNKNOWN and not heat.is_retired and not is_stale
    return ClassRow(
        class_id=heat.class_id,
        name=heat.name,
        score=heat.average,
        presence=heat.presence,
        map_WW=heat.map_WW,
        raw_WW=heat.raw_WW,
        corrections=heat.corrections,
        trajectory_E=heat.trajectory_E,
        is_expected=is_open and heat.expected >= MIN_SCORE,
    )


def said_rows(dataset: DatasetView, image: Image) -> list[ClassRow]:
    """What is said of the classes in use, without heat: those that are there first, then by name."""
    labels = {label.class_id: label for label in dataset.labels_of(image.id)}
    regions = [region for region in dataset.regions_of(image.id) if region.is_ground_truth]
    boxes = Counter(region.class_id for region in regions if region.class_id is not None)
    painted: dict[int, tuple[HeatCorrection, ...]] = {}
    for each in dataset.corrections_of(image.id):
        painted[each.class_id] = (*painted.get(each.class_id, ()), each)
    rows = [
        ClassRow(
            class_id=entry.id,
            name=entry.name,
            presence=presence_of(labels.get(entry.id), boxes[entry.id], painted.get(entry.id, ())),
            corrections=painted.get(entry.id, ()),
        )
        for entry in dataset.classes()
        if not entry.is_retired
    ]
    return sorted(rows, key=lambda row: (row.presence is not Presence.POSITIVE, row.name))


def with_found_heat(
    rows: Sequence[ClassRow],
    found: Mapping[str, tuple[float, NDArray[np.uint8]]],
    size: tuple[int, int],
) -> tuple[ClassRow, ...]:
    """Rows with the heat that a model has found just now, by the names of its classes.

    Classes that the vocabulary does not have follow at the end, with identity 0.

    Args:
        rows: What is said of the classes in use.
        found: Score and heatmap of each class of the model.
        size: Width and height of the image in pixels.
    """
    by_name = {name.casefold(): heat for name, heat in found.items()}
    names = {row.name.casefold() for row in rows}
    warm = []
    for row in rows:
        heat = by_name.get(row.name.casefold())
        if heat is None:
            warm.append(row)
            continue
        score, raw_WW = heat
        warm.append(
            replace(
                row,
                score=score,
                raw_WW=raw_WW,
                map_WW=corrected(raw_WW, row.corrections, size),
                is_expected=row.presence is Presence.UNKNOWN and score >= _LIKELY,
            )
        )
    others = [
        ClassRow(class_id=0, name=name, score=score, raw_WW=raw_WW, map_WW=raw_WW)
        for name, (score, raw_WW) in found.items()
        if name.casefold() not in names
    ]
    warm.sort(key=lambda row: (row.presence is not Presence.POSITIVE, row.map_WW is None, -row.score, row.name))
    return (*warm, *sorted(others, key=lambda row: -row.score))
