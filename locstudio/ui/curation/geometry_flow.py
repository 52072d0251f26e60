"""The sheet of geometry rules at work: counts and tiles from a worker, each fix one step on its way to the dataset."""

from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from locstudio.services.curation.geometry import DEFAULTS, GeometrySettings, Rule, rows_breaking
from locstudio.services.curation.geometry_fixes import fix
from locstudio.services.curation.pool import Pool
from locstudio.services.curation.table import EDITED, HUMAN
from locstudio.services.curation.view import Wish, visible
from locstudio.store.view import DatasetView
from locstudio.ui.background import LatestOnly
from locstudio.ui.curation.curating import Curating
from locstudio.ui.curation.geometry_sheet import GeometrySheet
from locstudio.ui.curation.geometry_words import shown_rule, with_threshold
from locstudio.ui.curation.pool_tiles import Rows, tiles_of
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.search.hits_model import HitItem


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What breaks the chosen rule, and how many break each."""

    pool: Pool
    rule: Rule
    counts: dict[Rule, int]
    tiles: tuple[HitItem, ...]
    rows: Rows


class GeometryFlow(QObject):
    """Opens the sheet and answers it.

    Signals:
        place_wanted: a ``HitItem`` to be shown in its image.
        said: a sentence for the status line.
    """

    place_wanted = Signal(object)
    said = Signal(str)

    def __init__(
        self, dataset: DatasetView, curating: Curating, crops: PictureLoader, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._curating = curating
        self._crops = crops
        self._settings = DEFAULTS
        self._pool: Pool | None = None
        self._reads = LatestOnly(self)
        self._reads.arrived.connect(self._on_found)
        self._reads.failed.connect(lambda error: self.said.emit(str(error)))
        self.sheet: GeometrySheet | None = None
        curating.pool_changed.connect(lambda _: self._read())

    def open(self, window: QWidget) -> None:
        """Open the sheet."""
        if self._curating.pool is None or self.sheet is not None:
            return
        rules = [shown_rule(rule, self._settings, None) for rule in Rule]
        sheet = self.sheet = GeometrySheet(rules, self._crops, parent=window)
        sheet.rule_chosen.connect(lambda _: self._read())
        sheet.threshold_changed.connect(self._on_threshold)
        sheet.fix_wanted.connect(self._on_fix_wanted)
        sheet.place_wanted.connect(self.place_wanted)
        sheet.finished.connect(self._on_closed)
        sheet.open()
        self._read()

    def close(self) -> None:
        """Close the sheet and wait for what is being read."""
        if self.sheet is not None:
            self.sheet.reject()
        self._reads.close()

    def _read(self) -> None:
        pool = self._curating.pool
        if self.sheet is not None and pool is not None:
            rule = Rule(self.sheet.rule.name)
            self._reads.submit(_find, self._dataset, pool, self._curating.wish, rule, self._settings)

    def _on_threshold(self, name: str, value: float) -> None:
        self._settings = with_threshold(self._settings, Rule(name), value)
        self._read()

    def _on_found(self, found: _Found) -> None:
        if self.sheet is not None:
            self._pool = found.pool
            self.sheet.show_rules([shown_rule(rule, self._settings, found.counts[rule]) for rule in Rule])
            self.sheet.show_items(found.rule.value, found.tiles, found.rows)

    def _on_fix_wanted(self, name: str, rows: Rows) -> None:
        if self._pool is not None:
            self._curating.apply(self._pool, rows, partial(fix, rule=Rule(name), settings=self._settings))

    def _on_closed(self) -> None:
        if self.sheet is not None:
            self._reads.forget()
            self.sheet.deleteLater()
            self.sheet = None


def _find(dataset: DatasetView, pool: Pool, wish: Wish, rule: Rule, settings: GeometrySettings) -> _Found:
    among = visible(pool, wish.min_score, wish.max_overlap)
    is_own = (pool.origins == HUMAN) | (pool.origins == EDITED)  # a person's own hand is not fixed behind her back
    found = {each: rows[~is_own[rows]] for each in Rule for rows in (rows_breaking(pool, each, settings, among),)}
    tiles, rows = tiles_of(dataset, pool, found[rule])
    return _Found(pool, rule, {each: len(rows) for each, rows in found.items()}, tiles, rows)
