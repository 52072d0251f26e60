"""Every box of an image painted as one overlay, and on top of it what changes under the mouse.

A box wears its class colour over a dark edge, so that it shows on any picture.  Its review shows without colour too:
accepted is solid, pending is dashed, rejected is dotted and crossed out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLine, QRect, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen

from locstudio.domain.regions import LabelClass, Region, Review
from locstudio.ui.canvas.box_tool import Draft
from locstudio.ui.canvas.chips import MAX_CHIPS, Chip, ChipPainter
from locstudio.ui.canvas.drag_geometry import BoxPx, handle_points
from locstudio.ui.canvas.overlay_boxes import BoxArrays
from locstudio.ui.canvas.view import View
from locstudio.ui.theme import Theme

FEW_BOXES = 300  # up to here boxes are two pixels wide with a dark edge, above one pixel and plain
MAX_CROWD_CHIPS = 80  # among more boxes than that, so many chips at most
HANDLE_SIZE = 8
NO_CLASS = "#ffd166"
EDGE = QColor("#1b1d21")  # opaque, like everything that is drawn a thousand times: blending strokes costs 10-50x
MIN_CHIP_BOX = 14  # a smaller box (screen pixels) shows its label only under the mouse

_DASHES = {Review.PENDING: (7.0, 5.0), Review.REJECTED: (2.0, 4.0)}


@dataclass(frozen=True, slots=True)
class Marks:
    """Boxes that answer a search or a question, in image pixels, with a text each ("" for none)."""

    boxes_px: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    texts: tuple[str, ...] = ()


class Overlay:
    """Paints boxes.  Knows the classes and the theme; is told everything else at each call."""

    def __init__(self, font: QFont, theme: Theme) -> None:
        self._classes: dict[int, LabelClass] = {}
        self._colors: dict[int, QColor] = {}
        self._pens: dict[tuple[int | None, Review], QPen] = {}
        self.restyle(font, theme)

    def restyle(self, font: QFont, theme: Theme) -> None:
        """Take another font and theme."""
        self._chips = ChipPainter(font)
        self._plates: dict[int, QRect] = {}
        self._theme = theme

    def set_classes(self, classes: Iterable[LabelClass]) -> None:
        """Take the names and colours of the classes."""
        self._classes = {label.id: label for label in classes}
        self._pens.clear()
        self._colors = {label.id: QColor(label.color) for label in self._classes.values()}

    def color_of(self, region: Region) -> QColor:
        """The colour of the region's class."""
        return self.color_of_class(region.class_id)

    def color_of_class(self, class_id: int | None) -> QColor:
        """The colour of a class, or the one for boxes without a class."""
        color = self._colors.get(class_id or 0)
        return color if color is not None and color.isValid() else QColor(NO_CLASS)

    def text_of(self, region: Region) -> str:
        """What the region's chip says: its phrase, else its class."""
        label = self._classes.get(region.class_id or 0)
        return region.phrase or (label.name if label else "")

    def paint_layer(
        self,
        painter: QPainter,
        boxes: BoxArrays,
        skip: frozenset[int],
        marks: Marks,
        view: View,
        width: float,
        height: float,
    ) -> None:
        """Paint every visible box except those to ``skip``, and the marks: what is cached with the picture."""
        chips = self._paint_boxes(painter, boxes, skip, view, width, height)
        # What was asked for just now is named first, and takes the best place.
        self._plates = self._chips.paint(painter, self._paint_marks(painter, marks, view) + chips, width, height)

    def _paint_boxes(
        self, painter: QPainter, boxes: BoxArrays, skip: frozenset[int], view: View, width: float, height: float
    ) -> list[Chip]:
        rows = boxes.visible_rows(view, width, height)
        if skip:
            away = [boxes.rows[i] for i in skip if i in boxes.rows]
            rows = rows[~np.isin(rows, away)]
        if rows.size == 0:
            return []
        rows = rows[np.argsort(boxes.looks[rows], kind="stable")]
        screen = view.boxes_to_screen(boxes.boxes_px[rows])
        rects = _rects(screen)
        starts = np.flatnonzero(np.diff(boxes.looks[rows], prepend=-1)).tolist()
        for start, end in zip(starts, [*starts[1:], len(rects)], strict=True):
            region = boxes.regions[rows[start]]
            self._stroke(painter, rects[start:end], region.class_id, region.review, len(rects) <= FEW_BOXES)
        sides = screen[:, 2:] - screen[:, :2]
        labelled = np.flatnonzero(sides.min(axis=1) >= MIN_CHIP_BOX)
        # Small boxes first: a large box has other places for its chip.  In a crowd, those that can be read.
        areas = sides[labelled].prod(axis=1)
        is_crowd = len(rects) > FEW_BOXES
        labelled = labelled[np.argsort(-areas if is_crowd else areas)][: MAX_CROWD_CHIPS if is_crowd else 2 * MAX_CHIPS]
        return [self._chip(boxes.regions[rows[place]], rects[place]) for place in labelled]

    def _paint_marks(self, painter: QPainter, marks: Marks, view: View) -> list[Chip]:
        """Found boxes wear accent-coloured brackets at the corners, so that they differ from regions by shape."""
        rects = _rects(view.boxes_to_screen(marks.boxes_px))
        lines = [line for rect in rects for line in _brackets(rect)]
        accent = QColor(self._theme.accent)
        for pen in (QPen(EDGE, 7), QPen(accent, 4)):
            pen.setCapStyle(Qt.PenCapStyle.FlatCap)
            painter.setPen(pen)
            painter.drawLines(lines)
        ink = QColor(self._theme.accent_text)
        return [
            Chip(text, rect, accent, accent, ink, region_id=-1 - number)
            for number, (text, rect) in enumerate(zip(marks.texts, rects, strict=True))
            if text
        ]

    def paint_selected(
        self, painter: QPainter, places: Sequence[tuple[Region, BoxPx]], view: View, width: float, height: float
    ) -> None:
        """Paint selected regions at their present places; a single free one gets its handles."""
        if not places:
            return
        boxes = np.array([box for _, box in places], np.float64)
        pairs = list(zip((region for region, _ in places), _rects(view.boxes_to_screen(boxes)), strict=True))
        for region, rect in pairs:
            fill = QColor(self.color_of(region))
            fill.setAlpha(28)
            painter.fillRect(rect, fill)
            self._frame(painter, rect, EDGE, 6)
            self._frame(painter, rect, QColor("#ffffff"), 4)
            self._stroke(painter, [rect], region.class_id, region.review, True, is_chosen=True)
        chips = [self._chip(region, rect, len(pairs) == 1, self._plates.get(region.id)) for region, rect in pairs]
        self._chips.paint(painter, chips, width, height)
        if len(pairs) == 1 and not pairs[0][0].is_locked:
            self.paint_handles(painter, pairs[0][1])

    def paint_hover(
        self, painter: QPainter, region: Region, box: BoxPx, view: View, width: float, height: float
    ) -> None:
        """Light up the box under the mouse."""
        rect = _rects(view.boxes_to_screen(np.array([box], np.float64)))[0]
        fill = QColor(self.color_of(region))
        fill.setAlpha(38)
        painter.fillRect(rect, fill)
        self._stroke(painter, [rect], region.class_id, region.review, True)
        self._chips.paint(painter, [self._chip(region, rect, True, self._plates.get(region.id))], width, height)

    def paint_query(self, painter: QPainter, box: BoxPx, view: View, has_handles: bool) -> None:
        """Paint the search box."""
        rect = _rects(view.boxes_to_screen(np.array([box], np.float64)))[0]
        accent = QColor(self._theme.accent)
        fill = QColor(accent)
        fill.setAlpha(34)
        painter.fillRect(rect, fill)
        self._frame(painter, rect, QColor(0, 0, 0, 150), 5)
        self._frame(painter, rect, accent, 3)
        if has_handles:
            self.paint_handles(painter, rect, accent)

    def paint_draft(
        self, painter: QPainter, draft: Draft, class_id: int | None, image: tuple[int, int], view: View,
        width: float, height: float,
    ) -> None:  # fmt: skip
        """Paint what a gesture shows: guides, the half-drawn box and its size, the rubber band."""
        guide = QPen(QColor(self._theme.accent), 1)
        painter.setPen(guide)
        if draft.guide_x is not None:
            x = round(view.to_screen(draft.guide_x, 0)[0])
            painter.drawLine(x, round(view.top), x, round(view.top + image[1] * view.scale))
        if draft.guide_y is not None:
            y = round(view.to_screen(0, draft.guide_y)[1])
            painter.drawLine(round(view.left), y, round(view.left + image[0] * view.scale), y)
        if draft.band is not None:
            rect = _rects(view.boxes_to_screen(np.array([draft.band], np.float64)))[0]
            fill = QColor(self._theme.accent)
            fill.setAlpha(30)
            painter.fillRect(rect, fill)
            self._frame(painter, rect, EDGE, 3)
            pen = QPen(QColor(self._theme.accent), 1, Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.drawRect(rect)
        if draft.drawn is not None:
            if draft.is_query:
                self.paint_query(painter, draft.drawn, view, has_handles=False)
            else:
                rect = _rects(view.boxes_to_screen(np.array([draft.drawn], np.float64)))[0]
                self._stroke(painter, [rect], class_id, Review.ACCEPTED, True)
        sized = draft.drawn or (next(iter(draft.placed.values())) if len(draft.placed) == 1 else None)
        if sized is not None:
            self._paint_size(painter, sized, view, width, height)

    def paint_handles(self, painter: QPainter, rect: QRect, edge: QColor | None = None) -> None:
        """Paint eight handles: around a small box outside it; a side too short for three has only those at its ends."""
        if min(rect.width(), rect.height()) < 3 * HANDLE_SIZE:
            rect = rect.adjusted(
                -HANDLE_SIZE // 2 - 1, -HANDLE_SIZE // 2 - 1, HANDLE_SIZE // 2 + 1, HANDLE_SIZE // 2 + 1
            )
        box = (rect.left(), rect.top(), rect.left() + rect.width(), rect.top() + rect.height())
        painter.setPen(QPen(edge or QColor("#14161a"), 1))
        painter.setBrush(QColor(self._theme.handle))
        half = HANDLE_SIZE // 2
        for place, (x, y) in enumerate(handle_points(box)):
            is_middle_x, is_middle_y = place in (1, 5), place in (3, 7)
            if (is_middle_x and rect.width() < 4 * HANDLE_SIZE) or (is_middle_y and rect.height() < 4 * HANDLE_SIZE):
                continue
            painter.drawRect(QRect(round(x) - half, round(y) - half, HANDLE_SIZE, HANDLE_SIZE))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_size(self, painter: QPainter, box: BoxPx, view: View, width: float, height: float) -> None:
        rect = _rects(view.boxes_to_screen(np.array([box], np.float64)))[0]
        text = f"{round(box[2] - box[0])} × {round(box[3] - box[1])}"
        corner = QRect(rect.left(), rect.top() + rect.height() + 26, max(rect.width(), 90), 1)
        chip = Chip(text, corner, QColor(self._theme.accent), may_overlap=True)
        self._chips.paint(painter, [chip], width, height)

    def _chip(self, region: Region, rect: QRect, may_overlap: bool = False, at: QRect | None = None) -> Chip:
        return Chip(
            self.text_of(region),
            rect,
            self.color_of(region),
            is_locked=region.is_locked,
            is_struck=region.review is Review.REJECTED,
            may_overlap=may_overlap,
            region_id=region.id,
            at=at,
        )

    def _stroke(
        self, painter: QPainter, rects: list[QRect], class_id: int | None, review: Review, is_few: bool,
        is_chosen: bool = False,
    ) -> None:  # fmt: skip
        painter.setBrush(Qt.BrushStyle.NoBrush)
        inner = [r.adjusted(1, 1, -1, -1) if r.width() > 3 and r.height() > 3 else r for r in rects] if is_few else []
        if not is_chosen:
            painter.setPen(_pen(EDGE, 1 if review is Review.REJECTED else 4))
            painter.drawRects(rects if review is Review.REJECTED else inner)
        is_thin = not is_few or (review is Review.REJECTED and not is_chosen)
        key = (class_id, review)
        if key not in self._pens:
            self._pens[key] = _pen(self.color_of_class(class_id), 1, _DASHES.get(review))
        painter.setPen(self._pens[key])
        painter.drawRects(rects)
        if not is_thin:  # a second line inside the first: Qt dashes lines of one pixel six times as fast as wider ones
            painter.drawRects(inner)
        if review is Review.REJECTED:
            painter.setPen(QPen(self.color_of_class(class_id), 1))
            painter.drawLines([line for rect in rects for line in _cross(rect)])

    def _frame(self, painter: QPainter, rect: QRect, color: QColor, width: int) -> None:
        painter.setPen(_pen(color, width))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(rect)


def _pen(color: QColor, width: int, dashes: Sequence[float] | None = None) -> QPen:
    pen = QPen(color, width)
    pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    if dashes is not None:
        pen.setDashPattern(dashes)
    return pen


def _rects(screen_N4: NDArray[np.float64]) -> list[QRect]:
    """Boxes on whole screen pixels.  Far corners are cut: strokes a million pixels long cost time and show nothing."""
    corners = np.clip(np.rint(screen_N4), -20_000, 40_000).astype(np.int64)
    sizes = np.maximum(corners[:, 2:] - corners[:, :2], 1)
    return list(map(QRect, corners[:, 0].tolist(), corners[:, 1].tolist(), sizes[:, 0].tolist(), sizes[:, 1].tolist()))


def _cross(rect: QRect) -> tuple[QLine, QLine]:
    x0, y0, x1, y1 = rect.left(), rect.top(), rect.left() + rect.width(), rect.top() + rect.height()
    return QLine(x0, y0, x1, y1), QLine(x0, y1, x1, y0)


def _brackets(rect: QRect) -> list[QLine]:
    x0, y0, x1, y1 = rect.left(), rect.top(), rect.left() + rect.width(), rect.top() + rect.height()
    along_x, along_y = max(min(18, rect.width() // 3), 2), max(min(18, rect.height() // 3), 2)
    lines = []
    for x, inward_x in ((x0, along_x), (x1, -along_x)):
        for y, inward_y in ((y0, along_y), (y1, -along_y)):
            lines += [QLine(x, y, x + inward_x, y), QLine(x, y, x, y + inward_y)]
    return lines
