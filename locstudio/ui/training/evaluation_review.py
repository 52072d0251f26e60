"""Evaluations of a project, looked into: read on a worker, shown by the view, down to the regions of every number."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from PySide6.QtCore import QObject, Signal

from locstudio.domain.errors import BadInput
from locstudio.jobs.class_results import has_class_results, read_class_results
from locstudio.jobs.predictions import PredictionFolder
from locstudio.services.evaluation import Direction, Evaluation, RegionList
from locstudio.services.runs_of import run_folders
from locstudio.store.project import Project
from locstudio.store.view import DatasetView
from locstudio.ui.background import DatasetWorker
from locstudio.ui.training.checkpoint_names import names_in
from locstudio.ui.training.confusion_matrix import Cell
from locstudio.ui.training.crops_view import Part
from locstudio.ui.training.evaluation_reading import (
    DIRECTIONS,
    MAX_CLASSES,
    captions_of,
    curve_of,
    older_row,
    shown_evaluation,
    shown_of_images,
)
from locstudio.ui.training.evaluation_view import EvaluationView, ShownEvaluation
from locstudio.ui.training.image_confusion import ImageConfusion, read_image_confusion
from locstudio.ui.training.pr_view import Curve
from locstudio.ui.training.region_items import MAX_SHOWN, items_of
from locstudio.ui.training.wording import when

_KEPT = 6


@dataclass(frozen=True, slots=True)
class EvaluationRef:
    """An evaluation on disk: its key, the run it belongs to, and words for a person."""

    key: str
    run_id: str
    words: str
    name: str


def find_evaluations(project: Project, dataset: DatasetView) -> list[EvaluationRef]:
    """Every evaluation that left its predictions, newest first; of a comparison the new model's, then the old one's."""
    found = []
    names = names_in(project, dataset)
    for folder in reversed(run_folders(project)):
        for part, of_what in (("predictions", ""), ("new", "compared"), ("old", "compared")):
            place = PredictionFolder(folder.results / part)
            is_of_images = has_class_results(place.path)
            if not (place.is_present or is_of_images):
                continue
            with suppress(BadInput):
                summary = read_class_results(place.path) if is_of_images else place.summary()
                what = of_what or summary.split or "all images"
                name = names.get(summary.checkpoint_id, summary.name)
                words = f"{name}, {what} {when(folder.id)}"
                found.append(EvaluationRef(f"{folder.id}/{part}", folder.id, words, name))
    return found


class EvaluationReview(QObject):
    """Connects evaluations to their view.

    Signals:
        place_wanted: a ``HitItem`` to open in its image.
        evaluate_wanted: measure the active model now.
        failed: a sentence.
    """

    place_wanted = Signal(object)
    evaluate_wanted = Signal()
    failed = Signal(str)

    def __init__(
        self,
        project: Project,
        dataset: DatasetView,
        view: EvaluationView,
        reads: DatasetWorker,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._project, self._dataset, self.view, self._reads = project, dataset, view, reads
        self._refs: list[EvaluationRef] = []
        self._key = self._older_key = ""
        self._opened: OrderedDict[str, Evaluation] = OrderedDict()
        self._shown: Evaluation | None = None
        self._older: Evaluation | None = None
        self._confused: ImageConfusion | None = None
        self._number = 0
        self._asked = ("", "")
        view.evaluation_chosen.connect(lambda key: self._choose(key, self._older_key))
        view.older_chosen.connect(lambda key: self._choose(self._key, key))
        view.held_out_only_changed.connect(lambda _: self._choose(self._key, self._older_key))
        view.cell_chosen.connect(self._on_cell)
        view.curve_wanted.connect(self._on_curve)
        view.threshold_chosen.connect(self._on_threshold)
        view.recall_chosen.connect(self._on_recall)
        view.overlap_chosen.connect(self._on_overlap)
        view.place_wanted.connect(self.place_wanted)
        view.evaluate_wanted.connect(self.evaluate_wanted)

    def refresh(self, run_id: str = "", compare_id: str = "") -> None:
        """Look for evaluations again; prefer that of this run, or the comparison of its model, unless asked before."""
        self._reads.ask(
            find_evaluations,
            self._project,
            self._dataset,
            on_result=lambda refs: self._on_found(refs, run_id, compare_id),
            on_error=self._on_error,
        )

    def _on_found(self, refs: list[EvaluationRef], run_id: str, compare_id: str) -> None:
        self._refs = refs
        keys = [ref.key for ref in refs]
        before, self._asked = self._asked, (run_id, compare_id)
        if self._asked == before and self._shown is not None and {self._key, self._older_key} <= {*keys, ""}:
            self.view.set_choices([(ref.key, ref.words) for ref in refs], self._key, self._older_key)
            return  # a person may have chosen another one, and look into it
        wanted = next((ref for ref in refs if ref.run_id and ref.run_id in (run_id, compare_id)), None)
        if wanted is None:
            wanted = next((ref for ref in refs if ref.key == self._key), refs[0] if refs else None)
        if wanted is None:
            self.view.set_choices((), "", "")
            return
        older = wanted.key.removesuffix("/new") + "/old" if wanted.key.endswith("/new") else self._older_key
        if wanted.key == self._key and self._older_key in keys:
            older = self._older_key
        self._choose(wanted.key, older if older in keys and older != wanted.key else "")

    def _choose(self, key: str, older_key: str) -> None:
        self._key, self._older_key = key, "" if older_key == key else older_key
        self.view.set_choices([(ref.key, ref.words) for ref in self._refs], self._key, self._older_key)
        self._number += 1
        number, is_held_out_only = self._number, self.view.is_held_out_only
        keys = (self._key, self._older_key)
        names = {ref.key: ref.name for ref in self._refs}

        def read() -> tuple[Evaluation | ImageConfusion | None, Evaluation | None, ShownEvaluation]:
            if has_class_results(self._place(keys[0])):
                place, older_place = self._place(keys[0]), self._place(keys[1]) if keys[1] else None
                confused = read_image_confusion(place)
                return (
                    confused,
                    None,
                    shown_of_images(place, older_place, older_name=names.get(keys[1], ""), confused=confused),
                )
            is_alike = bool(keys[1]) and not has_class_results(self._place(keys[1]))
            shown, older = self._open(keys[0]), self._open(keys[1]) if is_alike else None
            if is_held_out_only and shown.summary.num_held_out_images:
                shown, older = shown.only_held_out(), older.only_held_out() if older else None
            return shown, older, shown_evaluation(shown, older, names.get(keys[1], ""))

        self._reads.ask(
            read,
            on_result=lambda done: self._on_read(number, *done),
            on_error=lambda error: self._on_unreadable(number, error),
        )

    def _open(self, key: str) -> Evaluation:
        """On the worker: an evaluation, kept when it was read before."""
        if key not in self._opened:
            self._opened[key] = Evaluation.open(self._place(key))
            if len(self._opened) > _KEPT:
                self._opened.popitem(last=False)
        self._opened.move_to_end(key)
        return self._opened[key]

    def _place(self, key: str) -> Path:
        """Where an evaluation lies."""
        run_id, part = key.split("/")
        return Path(self._project.runs) / run_id / "results" / part

    def _on_read(
        self,
        number: int,
        found: Evaluation | ImageConfusion | None,
        older: Evaluation | None,
        values: ShownEvaluation,
    ) -> None:
        if number != self._number:
            return
        shown = found if isinstance(found, Evaluation) else None
        self._confused = found if isinstance(found, ImageConfusion) else None
        self._shown, self._older = shown, older
        self.view.set_can_hold_out(shown is not None and bool(shown.summary.num_held_out_images))
        self.view.show_evaluation(values)

    def _on_unreadable(self, number: int, error: Exception) -> None:
        if number == self._number:
            self._shown = self._older = self._confused = None
            self.view.show_problem(str(error))

    def _on_error(self, error: Exception) -> None:
        self.failed.emit(str(error))

    # behind the numbers -----------------------------------------------------------------------------------------

    def _list(self, heading: str, detail: str, find: Callable[[Evaluation], list[tuple[str, RegionList]]]) -> None:
        """Show the regions that ``find`` finds on the worker, in parts with their names."""
        shown = self._shown
        if shown is None:
            return

        def read() -> list[Part]:
            caption = captions_of(shown)
            return [
                Part(words, len(found), items_of(self._dataset, found.region_ids, found.image_ids, caption))
                for words, found in find(shown)
            ]

        self._show_parts(heading, detail, read)

    def _show_parts(self, heading: str, detail: str, read: Callable[[], list[Part]]) -> None:
        self._number += 1
        number = self._number
        self.view.crops.set_busy(heading)

        def show(parts: list[Part]) -> None:
            if number == self._number:
                self.view.crops.show_parts(heading, _with_rest(detail, parts), parts)

        self._reads.ask(read, on_result=show, on_error=self._on_error)

    def _on_cell(self, row: int, column: int, cell: Cell) -> None:
        heading = f"“{cell.truth}” named right" if cell.is_right else f"“{cell.truth}” named “{cell.named}”"
        if (confused := self._confused) is not None:

            def read() -> list[Part]:
                image_ids, scores = confused.images_in_cell(row, column)
                tiles = items_of(
                    self._dataset, [None] * len(image_ids), image_ids, lambda _, image: (image.name, scores[image.id])
                )
                return [Part("", len(image_ids), tiles)]

            self._show_parts(heading, cell.sentence(), read)
            return
        self._list(heading, cell.sentence(), lambda shown: [("", shown.regions_in_cell(row, column, MAX_CLASSES))])

    def _on_curve(self, class_row: int | None) -> None:
        shown, older = self._shown, self._older
        if shown is None:
            return

        def read() -> tuple[Curve | None, Curve | None]:
            name = "All classes" if class_row is None else shown.class_names[class_row]
            before = older_row(shown, older, class_row)
            return curve_of(name, shown.precision_recall(class_row)), (
                None if older is None or before is False else curve_of(name, older.precision_recall(before))
            )

        def show(curves: tuple[Curve | None, Curve | None]) -> None:
            if shown is self._shown and class_row == self.view.class_row:
                self.view.show_curve(*curves)

        self._reads.ask(read, on_result=show, on_error=self._on_error)

    def _on_threshold(self, class_row: int | None, threshold: float) -> None:
        shown = self._shown
        if shown is None:
            return
        name = "All classes" if class_row is None else shown.class_names[class_row]

        def find(shown: Evaluation) -> list[tuple[str, RegionList]]:
            at = shown.regions_at(threshold, class_row)
            return [("Right", at.right), ("Wrong", at.wrong), ("Missed", at.missed)]

        self._list(f"{name}, from score {threshold:.3f} on", "", find)

    def _on_recall(self, key: str, k: int) -> None:
        direction: Direction = next(way for way in get_args(Direction) if way == key)
        among = "not first" if k == 1 else f"not among the first {k}"
        self._list(f"{DIRECTIONS[direction]}: {among}", "", lambda shown: [("Missed", shown.missed_at(k, direction))])

    def _on_overlap(self, low: float, high: float) -> None:
        heading = f"Found with {100 * low:.0f} to {100 * high:.0f} % overlap"
        self._list(heading, "", lambda shown: [("", shown.regions_with_overlap(low, high))])


def _with_rest(detail: str, parts: list[Part]) -> str:
    """The detail, and how many are shown where not all are."""
    rest = f"The first {MAX_SHOWN:,} are shown." if any(part.count > MAX_SHOWN for part in parts) else ""
    if not detail and len(parts) == 1:
        detail = f"{parts[0].count:,} {'region' if parts[0].count == 1 else 'regions'}"
    return " ".join(filter(None, (detail, rest)))
