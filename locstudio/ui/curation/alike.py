"""After one correction, the identical mistakes: looked for on a worker, offered in a sheet, fixed in one step."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication, QWidget

from locstudio.services.curation.likewise import find_alike, fix_alike
from locstudio.services.curation.pool import Pool
from locstudio.services.curation.table import EDITED, HUMAN, PENDING, REJECTED
from locstudio.services.curation.vectors import ItemVectors
from locstudio.services.curation.view import Wish, visible
from locstudio.store.view import DatasetView
from locstudio.ui.background import LatestOnly
from locstudio.ui.curation.alike_sheet import AlikeSheet, ShownAlike
from locstudio.ui.curation.curating import Curating
from locstudio.ui.curation.pool_tiles import MAX_TILES, Rows, tile_of, tiles_of
from locstudio.ui.gallery.picture_loader import PictureLoader

_MAX_BELOW = 2_000
_NONE = "Nothing else that nobody has decided looks like this and is called so."
_CORRECT_FIRST = "Correct this item first (X, a digit or Ctrl+E); then its identical mistakes can be fixed together."
_NO_VECTORS = "What items look like is still being read; try again in a moment."


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person has changed of a row; ``new_phrase`` is None where she rejected it."""

    row: int
    old_phrase: str
    old_class_id: int
    new_phrase: str | None
    new_class_id: int

    @property
    def is_rejection(self) -> bool:
        """Whether she said that it is wrong, and not what is right."""
        return self.new_phrase is None

    @property
    def is_any(self) -> bool:
        """Whether it changes what the row is called, or rejects it."""
        same = (self.old_phrase, self.old_class_id) == (self.new_phrase, self.new_class_id)
        return not same and bool(self.old_phrase or self.old_class_id)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    pool: Pool
    correction: Correction
    shown: ShownAlike | None
    is_asked: bool


class AlikeFlow(QObject):
    """Looks for identical mistakes after a correction, and opens the sheet where there are some.

    Signals:
        place_wanted: a ``HitItem`` to be shown in its image.
        offer_changed: whether the sheet opens by itself.
        said: a sentence for the status line.
    """

    place_wanted = Signal(object)
    offer_changed = Signal(bool)
    said = Signal(str)

    def __init__(
        self,
        dataset: DatasetView,
        curating: Curating,
        crops: PictureLoader,
        window: QWidget,
        parent: QObject | None = None,
    ) -> None:
        """``window`` is what the sheet belongs to."""
        super().__init__(parent)
        self._dataset = dataset
        self._curating = curating
        self._crops = crops
        self._window = window
        self._is_offering = True
        self._reads = LatestOnly(self)
        self._reads.arrived.connect(self._on_found)
        self._reads.failed.connect(lambda error: self.said.emit(str(error)))
        self.sheet: AlikeSheet | None = None
        curating.relabelled.connect(self.follow)

    @property
    def is_offering(self) -> bool:
        """Whether the sheet opens by itself after a correction."""
        return self._is_offering

    @property
    def is_looking(self) -> bool:
        """Whether identical mistakes are being looked for."""
        return self._reads.is_busy

    def set_offering(self, is_offering: bool) -> None:
        """Let the sheet open by itself, or only when it is asked for."""
        if is_offering != self._is_offering:
            self._is_offering = is_offering
            self.offer_changed.emit(is_offering)

    def follow(self, row: int, before: Pool) -> None:
        """A row was corrected; ``before`` is the pool from before that."""
        pool = self._curating.pool
        if self._is_offering and self.sheet is None and pool is not None:
            correction = correction_between(before, pool, row)
            if correction.is_any:
                self._look(correction, is_asked=False)

    def ask(self, row: int) -> None:
        """Look for the identical mistakes of a row that was corrected or rejected, because a person wants it."""
        pool = self._curating.pool
        if pool is None or self.sheet is not None:
            return
        correction = correction_of(pool, row)
        if correction is None or not correction.is_any:
            self.said.emit(_CORRECT_FIRST)
        elif not self._look(correction, is_asked=True):
            self.said.emit(_NO_VECTORS)

    def close(self) -> None:
        """Close the sheet and wait for what is being looked for."""
        if self.sheet is not None:
            self.sheet.reject()
        self._reads.close()

    def _look(self, correction: Correction, *, is_asked: bool) -> bool:
        """Whether it is known by now what every row looks like."""
        pool, vectors, measures = self._curating.pool, self._curating.measuring.vectors, self._curating.measures
        if pool is None or vectors is None or measures is None or len(measures.outlier) < len(pool):
            return False
        self._reads.submit(_find, self._dataset, pool, vectors, self._curating.wish, correction, is_asked)
        return True

    def _on_found(self, found: _Found) -> None:
        if found.shown is None:
            if found.is_asked:
                self.said.emit(_NONE)
            return
        # Something else is in front: it was not asked for, so it does not push itself forward.
        is_free = QApplication.activeModalWidget() is None and self.sheet is None
        if not is_free or not (found.is_asked or self._is_offering):
            return
        sheet = self.sheet = AlikeSheet(found.shown, self._crops, parent=self._window, is_offered=self._is_offering)
        sheet.fix_wanted.connect(partial(self._on_fix_wanted, found.pool, found.correction))
        sheet.offer_wanted.connect(self.set_offering)
        sheet.place_wanted.connect(self.place_wanted)
        sheet.finished.connect(self._on_closed)
        sheet.open()

    def _on_fix_wanted(self, pool: Pool, correction: Correction, rows: Rows) -> None:
        self._curating.apply(
            pool,
            rows,
            partial(
                fix_alike,
                phrase=correction.new_phrase if correction.new_phrase != correction.old_phrase else None,
                class_id=correction.new_class_id if correction.new_class_id != correction.old_class_id else None,
                is_rejected=correction.is_rejection,
            ),
        )

    def _on_closed(self) -> None:
        if self.sheet is not None:
            self.sheet.deleteLater()
            self.sheet = None


def correction_between(before: Pool, after: Pool, row: int) -> Correction:
    """What was changed of a row from one pool to the next."""
    is_rejected = after.reviews[row] == REJECTED
    return Correction(
        row=row,
        old_phrase=before.phrases[before.phrase_rows[row]],
        old_class_id=int(before.class_ids[row]),
        new_phrase=None if is_rejected else after.phrases[after.phrase_rows[row]],
        new_class_id=0 if is_rejected else int(after.class_ids[row]),
    )


def correction_of(pool: Pool, row: int) -> Correction | None:
    """What a person has changed of a row since its run proposed it; None where she has decided nothing of it."""
    if not pool.is_there[row] or pool.reviews[row] == PENDING:
        return None
    phrase, class_id = pool.phrases[pool.phrase_rows[row]], int(pool.class_ids[row])
    if pool.reviews[row] == REJECTED:
        return Correction(row, phrase, class_id, None, 0)
    if pool.run_rows[row] < 0 or pool.origins[row] not in (EDITED, HUMAN):
        return None
    supply = pool.supplies[pool.run_rows[row]]
    proposed = int(supply.proposals.phrase_rows[pool.raw_rows[row]])
    old_phrase, old_class_id = pool.phrases[supply.phrase_rows[proposed]], int(supply.class_ids[proposed])
    return Correction(row, old_phrase, old_class_id, phrase, class_id)


def _find(
    dataset: DatasetView, pool: Pool, vectors: ItemVectors, wish: Wish, correction: Correction, is_asked: bool
) -> _Found:
    alike = find_alike(
        pool,
        vectors,
        correction.row,
        correction.old_phrase,
        correction.old_class_id or None,
        correction.new_phrase,
        correction.new_class_id or None,
        among=visible(pool, wish.min_score, wish.max_overlap),
    )
    example = tile_of(dataset, pool, correction.row, _called(pool, correction.new_phrase, correction.new_class_id))
    num = len(alike.rows) + (len(alike.more_rows) if is_asked else 0)  # who asks may move the cut
    if example is None or not num:
        return _Found(pool, correction, None, is_asked)
    below = alike.more_rows[:_MAX_BELOW]
    rows = np.concatenate([alike.rows[: MAX_TILES - len(below)], below])
    scores = np.concatenate([alike.scores[: MAX_TILES - len(below)], alike.more_scores[:_MAX_BELOW]])
    hits, rows = tiles_of(dataset, pool, rows, scores)
    old = _called(pool, correction.old_phrase, correction.old_class_id)
    new = "" if correction.is_rejection else _called(pool, correction.new_phrase, correction.new_class_id)
    if correction.old_phrase == correction.new_phrase:  # only the class was wrong
        old = pool.class_name(correction.old_class_id)
        new = pool.class_name(correction.new_class_id) or "no class"
    return _Found(pool, correction, ShownAlike(example, hits, rows, alike.cut, old, new), is_asked)


def _called(pool: Pool, phrase: str | None, class_id: int) -> str:
    return phrase or pool.class_name(class_id)
