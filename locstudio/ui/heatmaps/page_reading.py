"""What the heatmaps page shows, read from a run and the dataset.  No widgets: call it on workers.

Axes: N = rows of a table or images of the run, L = classes of the run, E = epochs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.edits import Edit
from locstudio.domain.errors import UserError
from locstudio.domain.heat_corrections import HeatCorrection, corrected
from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Image, LabelClass
from locstudio.services.heat.book import ClassHeat, HeatBook
from locstudio.services.heat.deciding import say, say_of_many
from locstudio.services.heat.inconsistency import Disagreement, Inconsistency, inconsistency
from locstudio.services.heat.known import POSITIVE, Known, positions_of, read_known, rows_of
from locstudio.services.heat.runs import HeatRun, heat_runs
from locstudio.services.heat.shapes import box_of_peak
from locstudio.services.heat.turns import Order
from locstudio.services.heat.worklist import expected
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.store.view import DatasetView
from locstudio.ui.gallery.working_model import Rows
from locstudio.ui.heatmaps.heat_layer import HeatLook, heat_image
from locstudio.ui.heatmaps.page_cells import WHOLE, CellKey, Read
from locstudio.ui.heatmaps.page_detail import Facts
from locstudio.ui.heatmaps.page_table import HeatOrder, HeatTable
from locstudio.ui.search.context import context_of

LEAST = 0.02
"""The slider of the least score reaches down to here: below, nothing is expected."""

_MAX_EXPECTED = 20_000
_SMALLEST_VIEW = 0.5
_TILE_PX = 64
_LOOK = HeatLook(opacity=1.0)


@dataclass(frozen=True, slots=True, eq=False)
class HeatBase:
    """Heat of a run and what is known beside it.

    Attributes:
        disagreement: None until somebody needed it.
    """

    runs: tuple[HeatRun, ...]
    classes: tuple[LabelClass, ...]
    book: HeatBook
    known: Known
    disagreement: Inconsistency | None = None

    def presence_of(self, table: HeatTable) -> NDArray[np.int8]:
        """What is said of the rows of a table, int8 (N,)."""
        heatmaps = self.book.heatmaps
        rows, places = rows_of(heatmaps, table.image_ids), positions_of(heatmaps, table.class_ids)
        found = self.known.presence_NL[rows, places]
        return np.where((rows >= 0) & (places >= 0), found, table.presence)

    def num_present(self) -> dict[int, int]:
        """How many images are known to have each class that is in use."""
        counts_L = np.count_nonzero(self.known.presence_NL == POSITIVE, axis=0)
        pairs = zip(self.book.heatmaps.header.class_ids, counts_L.tolist(), self.known.is_live_L.tolist(), strict=True)
        return {class_id: count for class_id, count, is_live in pairs if is_live}

    def after(self, edit: Edit, dataset: DatasetView) -> "HeatBase":
        """The same after an edit."""
        return replace(self, known=self.known.after(edit, self.book.heatmaps, dataset))


@dataclass(frozen=True, slots=True, eq=False)
class NoHeat:
    """A project that has no heat to show, and why."""

    runs: tuple[HeatRun, ...]
    num_labels: int
    why: str = ""


def read_base(project: Project, dataset: Dataset, run_id: str = "") -> HeatBase | NoHeat:
    """Heat of this run, or of the newest.

    Raises:
        BadInput: its files are damaged.
        TooNew: a newer LocStudio wrote them.
    """
    runs = tuple(heat_runs(project, dataset))
    if not any(run.epoch for run in runs):
        image_ids, _ = dataset.region_classes()
        return NoHeat(runs, len(dataset.label_columns().image_ids) + len(image_ids))
    try:
        book = HeatBook.open(project, dataset, run_id)
    except UserError:
        if not run_id:
            raise
        book = HeatBook.open(project, dataset)  # that run is gone
    return HeatBase(runs, tuple(dataset.classes()), book, read_known(book.heatmaps, dataset))


def with_disagreement(base: HeatBase, dataset: DatasetView) -> HeatBase:
    """The same with where heat, labels and boxes disagree."""
    return replace(base, disagreement=inconsistency(base.book, base.known, dataset.region_columns()))


def expected_table(base: HeatBase, order: HeatOrder) -> HeatTable:
    """What is expected and not labelled; of more than 20,000 rows the first in turns, or else by score."""
    in_turns = order is HeatOrder.TURNS
    chosen = Order.TURNS if in_turns else Order.SCORE
    found = expected(base.book, base.known, min_score=LEAST, limit=_MAX_EXPECTED, order=chosen)
    measures = {
        HeatOrder.SCORE: found.scores,
        HeatOrder.AVERAGE: found.averages,
        HeatOrder.AGREEMENT: found.agreements,
        HeatOrder.OWN: found.owns,
    }
    if in_turns:
        measures[HeatOrder.TURNS] = np.arange(len(found), dtype=np.float32)[::-1]
    return HeatTable(found.image_ids, found.class_ids, np.full(len(found), -1, np.int8), measures)


def class_table(base: HeatBase, class_id: int) -> HeatTable:
    """One class in all images that can be looked at."""
    heatmaps, place = base.book.heatmaps, base.book.heatmaps.positions.get(class_id)
    rows = np.flatnonzero(base.known.is_shown_N) if place is not None else np.zeros(0, np.int64)
    at = 0 if place is None else place
    measures = {HeatOrder.SCORE: np.asarray(heatmaps.averages_NL[:, at])[rows]}
    if base.disagreement is not None:
        measures[HeatOrder.INCONSISTENCY] = base.disagreement.of(Disagreement.ANY, class_id)[rows]
    class_ids = np.full(len(rows), class_id, np.int64)
    return HeatTable(heatmaps.image_ids[rows], class_ids, base.known.presence_NL[rows, at], measures)


def image_table(base: HeatBase, image_id: int) -> HeatTable:
    """All classes of one image that are in use."""
    heatmaps, row = base.book.heatmaps, base.book.heatmaps.rows.get(image_id)
    places = np.flatnonzero(base.known.is_live_L) if row is not None else np.zeros(0, np.int64)
    at = 0 if row is None else row
    measures = {HeatOrder.SCORE: np.asarray(heatmaps.averages_NL[at])[places]}
    found = base.disagreement
    if found is not None:
        parts = (found.restless_NL, found.labels_NL, found.missing_NL, found.regions_NL)
        worst_L = np.max([part[at] for part in parts], axis=0) / np.float32(255)
        measures[HeatOrder.INCONSISTENCY] = worst_L[places].astype(np.float32)
    class_ids = np.array(heatmaps.header.class_ids, np.int64)[places]
    image_ids = np.full(len(places), image_id, np.int64)
    return HeatTable(image_ids, class_ids, base.known.presence_NL[at, places], measures)


def images_of_run(base: HeatBase) -> Rows:
    """Images that can be looked at; those that disagree most come first."""
    if base.disagreement is None:
        return base.book.heatmaps.image_ids[base.known.is_shown_N]
    ids = base.disagreement.image_ids()
    shown: Rows = ids[base.known.is_shown_N[rows_of(base.book.heatmaps, ids)]]
    return shown


def edit_of(dataset: DatasetView, table: HeatTable, positions: Rows, presence: Presence, checkpoint_id: str) -> Edit:
    """What makes the dataset say this of rows of a table; without changes where it says so already.

    Raises:
        UserError: a single row is denied that has boxes.
    """
    pairs = list(zip(table.image_ids[positions].tolist(), table.class_ids[positions].tolist(), strict=True))
    if len(pairs) == 1 and presence is Presence.NEGATIVE:
        refused = say(dataset, *pairs[0], presence)
        if not refused.changes:
            return refused
    scores = table.scores[positions].tolist()
    return say_of_many(dataset, pairs, presence, scores=scores, source=checkpoint_id)


def read_cells(book: HeatBook, dataset: DatasetView, keys: Sequence[CellKey]) -> dict[CellKey, Read]:
    """What tiles show beyond numbers; an image that is gone has none."""
    image_ids = list({image_id for image_id, _, _ in keys})
    images = {image.id: image for image in dataset.images(image_ids)}
    painted = dataset.corrections_of_images(image_ids)
    return {key: _read_cell(book, images[key[0]], key, painted[key[0]]) for key in keys if key[0] in images}


def _read_cell(book: HeatBook, image: Image, key: CellKey, painted: Sequence[HeatCorrection]) -> Read:
    _, class_id, is_cut = key
    raw_WW = book.heatmaps.map_of(image.id, class_id)
    if raw_WW is None:
        return Read(image, None, None, is_stale=book.is_stale(image))
    size = max(1, image.width), max(1, image.height)
    map_WW = corrected(np.asarray(raw_WW), [each for each in painted if each.class_id == class_id], size)
    box = box_of_peak(map_WW) if is_cut else None
    view = context_of(box, *size, _SMALLEST_VIEW) if box is not None else WHOLE
    heat = heat_image([map_WW], _LOOK, side=_TILE_PX)
    return Read(image, heat, box, view, book.is_stale(image))


def read_facts(book: HeatBook, dataset: DatasetView, image_id: int, class_id: int, epoch: int | None) -> Facts:
    """What the pane says of one class of an image, as it was after an epoch that was kept; None for now."""
    image = dataset.image(image_id)
    found = book.image(image, epoch) if image is not None else None
    heat = found.of_class(class_id) if found is not None else None
    if heat is None:
        return Facts(why="The run has not seen this image.")
    header = book.heatmaps.header
    return Facts(
        heat=heat_image([heat.map_WW], _LOOK) if heat.map_WW is not None else None,
        trajectory_E=heat.trajectory_E,
        epoch=epoch,
        newest=header.epoch,
        num_epochs=header.num_epochs,
        key_epochs=header.key_epochs,
        why=why_of(heat, header.epoch),
    )


def why_of(heat: ClassHeat, num_epochs: int) -> str:
    """What is known of a class of an image, in a sentence or two."""
    parts = []
    if heat.label is not None and heat.presence is not Presence.UNKNOWN:
        who = f"by {heat.label.origin}" if heat.label.origin else ""
        parts.append(f"Labelled {'present' if heat.presence is Presence.POSITIVE else 'absent'} {who}".strip())
    elif heat.num_regions:
        parts.append(f"Present: it has {heat.num_regions} {'box' if heat.num_regions == 1 else 'boxes'}")
    else:
        parts.append("Nobody has said whether it is there")
    if num_epochs > 1 and len(heat.trajectory_E):
        parts.append(
            f"its score went from {heat.trajectory_E[0]:.2f} to {heat.score:.2f} in {num_epochs} epochs, "
            f"{heat.average:.2f} on average"
        )
    if heat.map_WW is None:
        parts.append("no heat of it is kept")
    if heat.corrections:
        parts.append("heat was painted over by hand")
    return "; ".join(parts) + "."
