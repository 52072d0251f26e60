"""The flow of the curation page: the pool, what is seen of it, and decisions on their way to the dataset and back.

A decision is shown at once and the next item is current before the edit is on disk; if the dataset refuses it, the
tile is as it was.  Undo, from wherever it comes, is followed like any other edit.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from locstudio.domain.edits import Edit
from locstudio.domain.regions import LabelClass, Review
from locstudio.services.curation import deciding
from locstudio.services.curation.measures import Measures, unmeasured
from locstudio.services.curation.pool import Pool, pool_after, read_pool, row_of_key
from locstudio.services.curation.suggestions import Suggestion
from locstudio.services.curation.view import Order, Wish, rows_of
from locstudio.services.heat.disagreeing import Disagreeing
from locstudio.services.routing.wishes import RoutingCounts, Routings
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.background import DatasetWorker, LatestOnly
from locstudio.ui.curation.counting import Counted, thresholds_of, why_empty
from locstudio.ui.curation.crop_model import Crop
from locstudio.ui.curation.curation_page import CurationPage
from locstudio.ui.curation.decision import Decision, NothingToDo
from locstudio.ui.curation.measuring import Measuring
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.working_model import Rows

MANY_ROWS = 300_000
"""Up to here a view is worked out on the window's thread: that takes less than one of its frames and a half."""

_COUNT_PAUSE_MS = 120
_READ_ONLY = "This project is open read-only: look, sort and filter, but decisions are refused."
_READING = "Reading what is to be reviewed…"

Act = Callable[[Dataset, Pool, Rows], Edit]


@dataclass(frozen=True, slots=True)
class _Read:
    pool: Pool
    classes: list[LabelClass]
    measures: Measures


class Curating(QObject):
    """Reads the pool, shows it, and decides.

    Signals:
        pool_changed: the ``Pool``, whenever it is another.
        relabelled: a row of the pool, and the ``Pool`` before it was relabelled; it is on disk.
        said: a sentence for the status line.
    """

    pool_changed = Signal(object)
    relabelled = Signal(int, object)
    said = Signal(str)

    def __init__(
        self, project: Project, dataset: Dataset, editing: Editing, page: CurationPage, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._project = project
        self._dataset = dataset
        self._editing = editing
        self._page = page
        self._reads = DatasetWorker(self)
        self._views = LatestOnly(self, follow=True)
        self._views.arrived.connect(lambda view: self._put(*view))
        self._counts = LatestOnly(self, follow=True)
        self._counts.arrived.connect(self._on_counted)
        for door in (self._views, self._counts):
            door.failed.connect(lambda error: self.said.emit(str(error)))
        self._in_flight: deque[Decision] = deque()
        self._classes: list[LabelClass] = []
        self._num_edits = 0
        self.pool: Pool | None = None
        self.wish = Wish()
        self.measuring = Measuring(dataset, Disagreeing(project, dataset), Routings(project, dataset), self)
        self._valued: Pool | None = None
        self._suggested: tuple[str, Sequence[Suggestion]] = ("", ())
        self._counting = QTimer(self, interval=_COUNT_PAUSE_MS, singleShot=True)
        self._counting.timeout.connect(self._count)
        self._connect()
        page.filters.set_wish(self.wish)
        page.grid.set_empty_text(_READING)

    def _connect(self) -> None:
        page = self._page
        page.thresholds.min_score_changed.connect(lambda score: self.set_wish(replace(self.wish, min_score=score)))
        page.thresholds.max_overlap_changed.connect(lambda iou: self.set_wish(replace(self.wish, max_overlap=iou)))
        page.thresholds.phrases_changed.connect(lambda phrases: self.set_wish(replace(self.wish, phrases=phrases)))
        page.filters.wish_changed.connect(self._on_filtered)
        page.grid.decided.connect(self.decide)
        page.grid.current_changed.connect(self._on_current)
        page.grid.suggestion_taken.connect(self._take_suggestion)
        self.measuring.measured.connect(self._on_measured)
        self.measuring.routed.connect(self._on_routed)
        self.measuring.pinned.connect(self._on_pinned)
        self.measuring.suggested.connect(self._on_suggested)
        self.measuring.failed.connect(self.said)
        page.relabelled.connect(lambda phrase, class_id: self.relabel(self._page.grid.chosen(), phrase, class_id))
        page.model.images_wanted.connect(self._read_images)
        self._editing.applied.connect(self._on_applied)

    # the pool ---------------------------------------------------------------------------------------------------

    def read(self) -> None:
        """Read everything that can be decided, anew."""
        num_edits = self._num_edits
        self._reads.ask(
            self._read,
            self.wish,
            on_result=lambda read: self._on_read(read, num_edits),
            on_error=self._on_unreadable,
        )

    def _read(self, wish: Wish) -> _Read:
        pool = read_pool(self._project, self._dataset)
        measures = unmeasured(pool)
        rows_of(pool, wish, measures)  # the pool remembers what takes long, so that the window need not wait for it
        return _Read(pool, self._dataset.classes(), measures)

    def _on_read(self, read: _Read, num_edits: int) -> None:
        if self._in_flight or num_edits != self._num_edits:
            self.read()  # something was decided meanwhile; what was read knows nothing of it
            return
        is_first = self.pool is None or not self.pool.supplies
        self.pool, self._classes = read.pool, read.classes
        self._page.model.set_classes(read.classes)
        self._page.editor.set_classes(read.classes)
        if is_first and read.pool.supplies:
            manifest = read.pool.supplies[-1].proposals.manifest
            self.wish = replace(self.wish, min_score=manifest.default_score, max_overlap=manifest.default_overlap)
            self._page.thresholds.set_thresholds(self.wish.min_score, self.wish.max_overlap)
        self.measuring.set_pool(read.pool, read.measures)
        self._valued = read.pool
        for problem in read.pool.problems:
            self.said.emit(problem)
        self.show_view(is_at_once=True)  # what is shown are rows of another pool, of which nothing may be decided
        self._count()
        self.pool_changed.emit(read.pool)

    def _on_unreadable(self, error: Exception) -> None:
        self._page.grid.set_empty_text(str(error))
        self.said.emit(str(error))

    def _read_images(self, image_ids: list[int]) -> None:
        self._reads.ask(self._dataset.images, image_ids, on_result=self._page.model.put_images)

    # the view ---------------------------------------------------------------------------------------------------

    def set_wish(self, wish: Wish) -> None:
        """Show what meets this."""
        if wish != self.wish:
            is_sorted_anew = (wish.order, wish.is_descending) != (self.wish.order, self.wish.is_descending)
            self.wish = wish
            self.show_view(from_start=is_sorted_anew)
            if is_sorted_anew and wish.order is Order.HEAT:
                self.measuring.measure_heat()
            elif is_sorted_anew and wish.is_of_routing:
                self.measuring.measure_routing()

    def _on_filtered(self, wish: Wish) -> None:
        own = {name: getattr(self.wish, name) for name in ("min_score", "max_overlap", "phrases", "image_ids", "runs")}
        self.set_wish(replace(wish, **own))

    def show_view(self, *, from_start: bool = False, is_at_once: bool = False) -> None:
        """Make the view anew: what was decided leaves it, as far as the filter says so.

        The current item stays current where it is still seen, unless it is to begin ``from_start``.  That of a very
        large pool comes later, unless it is needed ``is_at_once``.
        """
        pool, wish = self.pool, self.wish
        if pool is None:
            return
        if pool is not self._valued:
            self.measuring.revalue(pool)
            self._valued = pool
        measures = self.measuring.measures
        if is_at_once or len(pool) <= MANY_ROWS:
            self._views.forget()
            self._put(pool, wish, rows_of(pool, wish, measures), from_start)
        else:
            self._views.submit(lambda: (pool, wish, rows_of(pool, wish, measures), from_start))

    def _put(self, pool: Pool, wish: Wish, rows: Rows, from_start: bool) -> None:
        if self.pool is None:
            return
        grid, model = self._page.grid, self._page.model
        before = grid.current
        model.set_rows(self.pool, rows)
        model.set_routings(self.measures.routing if wish.is_of_routing and self.measures is not None else None)
        row = row_of_key(self.pool, before.item.key) if before is not None and not from_start else None
        place = model.place_of(row) if row is not None else -1
        grid.go_to(place if place >= 0 else max(0, model.next_open(-1)), is_remembered=False)
        if not len(rows):
            grid.set_empty_text(why_empty(pool, wish))
        self._say_thresholds()
        self._say_shown()
        self._counting.start()

    def _say_thresholds(self) -> None:
        if self.pool is not None:
            found = thresholds_of(self.pool, self.wish)
            self._page.thresholds.set_counts(found.num_above, found.num_proposals, found.num_doubles)

    def _say_shown(self) -> None:
        model = self._page.model
        num_all = int(np.count_nonzero(self.pool.is_there)) if self.pool is not None else 0
        self._page.filters.set_num_shown(len(model.rows), num_all, model.num_done())

    def _count(self) -> None:
        if self.pool is not None:
            self._counts.submit(Counted.of, self._dataset, self.pool, self.wish, self.measures)

    def _on_counted(self, counted: Counted) -> None:
        page = self._page
        page.filters.set_counts(counted.counts, self._classes)
        page.thresholds.set_scores(counted.scores)
        page.thresholds.phrases.set_phrases(counted.phrases)
        page.editor.set_phrases(counted.known)
        page.head.set_progress(counted.progress)

    # measures and suggestions -----------------------------------------------------------------------------------

    @property
    def measures(self) -> Measures | None:
        """What is known of where to look."""
        return self.measuring.measures

    def pin_current(self) -> None:
        """Sort by likeness to the current item."""
        crop = self._page.grid.current
        if crop is not None:
            self.measuring.pin(crop.item.key)

    def _on_pinned(self, key: str) -> None:
        self._page.grid.set_pinned(key)
        self.wish = replace(self.wish, pinned=key, order=Order.LIKENESS, is_descending=True)
        self._page.filters.set_wish(self.wish)
        self.show_view(from_start=True)

    def _on_measured(self) -> None:
        """Sort by what is known now, unless a person has begun to decide in the order that she sees."""
        self._valued = self.pool
        if self._page.model.num_done() == 0 and self._page.grid.place <= 0:
            self.show_view(from_start=True)
        self._on_current(self._page.grid.current)

    def _on_routed(self, counts: RoutingCounts | None) -> None:
        """Offer what there is to choose from; a view that depends on it is made anew, as after a measure."""
        self._page.filters.set_routing(counts)
        if self.wish.is_of_routing:
            self._on_measured()

    def _on_current(self, crop: Crop | None) -> None:
        if crop is not None and self.pool is not None:
            self.measuring.suggest(self.pool, crop.item.row, crop.item.key, self._classes)

    def _on_suggested(self, key: str, suggestions: Sequence[Suggestion]) -> None:
        current = self._page.grid.current
        if current is not None and current.item.key == key:
            self._suggested = (key, suggestions)
            self._page.detail.set_suggestions(suggestions)

    @property
    def suggested(self) -> Sequence[Suggestion]:
        """What the current item may be else; nothing while that is being worked out."""
        current = self._page.grid.current
        key, suggestions = self._suggested
        return suggestions if current is not None and current.item.key == key else ()

    def _take_suggestion(self, number: int) -> None:
        suggestions = self.suggested
        if number <= len(suggestions):
            taken = suggestions[number - 1]
            self.relabel(self._page.grid.chosen(), taken.text, taken.class_id)

    # decisions --------------------------------------------------------------------------------------------------

    def decide(self, positions: Rows, review: Review) -> None:
        """Say this of rows of the pool, show it at once, and go on."""
        acts: dict[Review, Act] = {
            Review.ACCEPTED: deciding.accept,
            Review.REJECTED: deciding.reject,
            Review.PENDING: deciding.to_pending,
        }
        self._show_decided(positions, review, acts[review])

    def relabel(self, positions: Rows, phrase: str | None, class_id: int | None) -> None:
        """Give rows another phrase or class; so they are accepted."""
        act = partial(deciding.relabel, phrase=phrase, class_id=class_id)
        pool = self.pool
        on_done = partial(self.relabelled.emit, int(positions[0]), pool) if len(positions) == 1 else None
        self._show_decided(positions, Review.ACCEPTED, act, on_done)

    def apply(self, pool: Pool, positions: Rows, act: Act) -> None:
        """Do something else with rows of this pool, in one step: a sheet may speak of one that was read before."""
        if self._can_decide(positions):
            self._do(Decision(positions[:0]), pool, positions, act)

    def _can_decide(self, positions: Rows) -> bool:
        if len(positions) and self._dataset.is_read_only:
            self.said.emit(_READ_ONLY)
        return bool(len(positions)) and not self._dataset.is_read_only

    def _show_decided(
        self, positions: Rows, review: Review, act: Act, on_done: Callable[[], None] | None = None
    ) -> None:
        if self.pool is None or not self._can_decide(positions):
            return
        self._page.model.mark(positions, review)
        self._page.grid.advance()
        self._say_shown()
        self._do(Decision(positions, on_done), self.pool, positions, act)

    def _do(self, decision: Decision, pool: Pool, positions: Rows, act: Act) -> None:
        self._in_flight.append(decision)

        def make() -> Edit:
            edit = act(self._dataset, pool, positions)
            if not edit.changes:
                raise NothingToDo("That is so already.")
            decision.edit = edit
            return edit

        self._editing.apply_made(make, partial(self._on_refused, decision))

    def _on_refused(self, decision: Decision, error: Exception) -> None:
        self._in_flight.remove(decision)
        self._unmark(decision)
        self._say_shown()
        if not isinstance(error, NothingToDo):
            self.said.emit(str(error))

    def _on_applied(self, edit: Edit) -> None:
        self._num_edits += 1
        before = self.pool
        if before is None:
            return
        self.pool = pool_after(before, edit)
        own = next((decision for decision in self._in_flight if decision.edit is edit), None)
        self.measuring.follow(self.pool)
        self._page.model.set_pool(self.pool)
        if own is not None:
            self._in_flight.remove(own)
            self._unmark(own)
        elif self._page.isVisible():
            self._follow(before, self.pool)
        self._say_thresholds()
        self._say_shown()
        self._counting.start()
        self.pool_changed.emit(self.pool)
        if own is not None and own.on_done is not None:
            own.on_done()

    def _unmark(self, decision: Decision) -> None:
        others = [other.positions for other in self._in_flight]
        still = np.concatenate(others) if others else np.empty(0, np.int64)
        self._page.model.unmark(np.setdiff1d(decision.positions, still))

    def _follow(self, before: Pool, after: Pool) -> None:
        """Go to what was changed from elsewhere, as by undo; make the view anew where it is not in it."""
        num = len(before)
        is_other = before.is_there != after.is_there[:num]
        for name in ("reviews", "phrase_rows", "class_ids"):
            is_other |= getattr(before, name) != getattr(after, name)[:num]
        changed = np.flatnonzero(is_other)
        if not len(changed):
            return
        model = self._page.model
        places = [place for place in map(model.place_of, changed[:1_000].tolist()) if place >= 0]
        if not places:
            self.show_view()
            places = [place for place in map(model.place_of, changed[:1_000].tolist()) if place >= 0]
        if places:
            self._page.grid.go_to(min(places))

    def close(self) -> None:
        """Wait for what is being read; nothing arrives any more."""
        self.pool = None
        self._counting.stop()
        self.measuring.close()
        self._views.close()
        self._counts.close()
        self._reads.close()
