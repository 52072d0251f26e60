"""What is looked at: which classes of the open image, how, from which threshold on; and what the canvas makes of it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QPolygonF

from locstudio.domain.geometry import UnitBox
from locstudio.services.heat.shapes import boxes_of, contours
from locstudio.ui.heatmaps.class_rows import ClassRow, Key, Word, most_telling
from locstudio.ui.heatmaps.heat_bar import DEFAULT_THRESHOLD
from locstudio.ui.heatmaps.heat_layer import HUES, MAX_SHOWN, HeatLook
from locstudio.ui.heatmaps.heat_reading import ReadHeat
from locstudio.ui.heatmaps.heat_words import origin_of
from locstudio.ui.heatmaps.shown_heat import ShownClass, ShownHeat

_MAX_BOXES = 12
_NUM_SHAPES = 12
_ONLY = "#5cc863"  # marks the only class in the list
_SAID = {Word.PRESENT: "present", Word.ABSENT: "absent", Word.EXPECTED: "expected", Word.UNKNOWN: ""}
_STALE = "of the file as it was"


@dataclass(slots=True)
class HeatShowing:
    """The state of the overlay, without a widget.

    Attributes:
        rows: The classes of the open image.
        chosen: The class that is looked at; None while there is none with heat.
        is_fixed: A person chose the class, so it stays from image to image where it has heat.
        others: Classes that are over the picture too.
        opacity_step: How much a key changes the opacity.
    """

    rows: tuple[ClassRow, ...] = ()
    chosen: Key | None = None
    is_fixed: bool = False
    others: list[Key] = field(default_factory=list)
    look: HeatLook = field(default_factory=HeatLook)
    threshold: int = DEFAULT_THRESHOLD
    _shapes: deque[tuple[NDArray[np.uint8], int, tuple[QPolygonF, ...], tuple[UnitBox, ...]]] = field(
        default_factory=lambda: deque(maxlen=_NUM_SHAPES)
    )

    @property
    def row(self) -> ClassRow | None:
        """The class that is looked at, where it has heat."""
        return self._warm(self.chosen)

    @property
    def has_heat(self) -> bool:
        """Whether any class has heat here."""
        return any(row.map_WW is not None for row in self.rows)

    def take(self, rows: Sequence[ClassRow], wanted_ids: Sequence[int] = ()) -> None:
        """Take the classes of an image; choose the most telling one, unless a person chose one that has heat here."""
        self.rows = tuple(rows)
        if not (self.is_fixed and self.row is not None):
            found = most_telling(self.rows, wanted_ids)
            self.chosen = found.key if found is not None else None
        self.others = [key for key in self.others if key != self.chosen]

    def keep(self, rows: Sequence[ClassRow]) -> None:
        """Take the same classes, read again."""
        self.rows = tuple(rows)
        if self.row is None:
            self.take(rows)

    def choose(self, key: Key) -> bool:
        """Look at a class; whether it has heat."""
        if self._warm(key) is None:
            return False
        self.chosen, self.is_fixed = key, True
        self.others = [other for other in self.others if other != key]
        return True

    def choose_class(self, class_id: int) -> bool:
        """Look at a class of the vocabulary; whether it has heat."""
        return any(row.class_id == class_id and self.choose(row.key) for row in self.rows)

    def choose_next(self) -> None:
        """Look at the next class of the list that has heat."""
        warm = [row.key for row in self.rows if row.map_WW is not None]
        if warm:
            place = warm.index(self.chosen) if self.chosen in warm else -1
            self.choose(warm[(place + 1) % len(warm)])

    def toggle_other(self, key: Key) -> bool:
        """Lay another class over the picture, or take it away; whether there was room for it."""
        if key == self.chosen:
            if self.others:
                self.chosen = self.others.pop(0)
            return True
        if key in self.others:
            self.others.remove(key)
        elif self._warm(key) is None or len(self.others) + 1 >= MAX_SHOWN:
            return False
        else:
            self.others.append(key)
        return True

    def step_opacity(self, by: float) -> None:
        """Make heat stronger or fainter."""
        self.look = replace(self.look, opacity=round(min(max(self.look.opacity + by, 0.1), 1.0), 2))

    def lock(self) -> None:
        """Keep the range that the colours have now, for every class, image and epoch."""
        row = self.row
        if row is not None and row.map_WW is not None:
            self.look = replace(self.look, span=self.look.span_of([row.map_WW]), is_locked=True)

    def hues(self) -> dict[Key, str]:
        """Which classes are over the picture, in which colour; a single one has a colour map instead."""
        warm = [key for key in (self.chosen, *self.others) if key is not None and self._warm(key) is not None]
        return dict(zip(warm, HUES if len(warm) > 1 else (_ONLY,), strict=False))

    def shown(self, read: ReadHeat, *, can_paint: bool) -> ShownHeat | None:
        """What the canvas paints; None while no class has heat."""
        hues = self.hues()
        classes = []
        for key, hue in hues.items():
            row = self._warm(key)
            if row is not None and row.map_WW is not None:
                classes.append(ShownClass(row.class_id, row.name, row.map_WW, row.score, _SAID[row.word], QColor(hue)))
        row = self.row
        if row is None or row.map_WW is None or not classes:
            return None
        outlines, boxes = self._shapes_of(row.map_WW)
        return ShownHeat(
            classes=tuple(classes),
            look=self.look,
            origin=origin_of(read),
            warning=_STALE if read.is_stale else "",
            outlines=outlines,
            boxes=boxes,
            corrections=row.corrections,
            can_paint=can_paint and row.class_id > 0,
        )

    def _shapes_of(self, map_WW: NDArray[np.uint8]) -> tuple[tuple[QPolygonF, ...], tuple[UnitBox, ...]]:
        """Outlines and boxes of the threshold; worked out once for a map, as one who compares goes back and forth."""
        for known_WW, threshold, lines, boxes in self._shapes:
            if known_WW is map_WW and threshold == self.threshold:
                return lines, boxes
        outlines = contours(map_WW, self.threshold)
        lines = tuple(QPolygonF([QPointF(x, y) for x, y in outline.tolist()]) for outline in outlines)
        boxes = tuple(boxes_of(outlines)[:_MAX_BOXES])
        self._shapes.appendleft((map_WW, self.threshold, lines, boxes))
        return lines, boxes

    def _warm(self, key: Key | None) -> ClassRow | None:
        return next((row for row in self.rows if row.key == key and row.map_WW is not None), None)
