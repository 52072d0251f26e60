"""Which classes are taken for which others, as a matrix that can be read without colours."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QApplication, QWidget

from locstudio.ui import theme
from locstudio.ui.training.matrix_view import MatrixView

_NUMBERS_FROM = 22  # px; smaller cells have no room for a number of two digits


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the matrix: ``count`` of the ``total`` regions of class ``row`` were named as class ``column``."""

    row: int
    column: int
    count: int
    total: int
    truth: str
    named: str

    @property
    def is_right(self) -> bool:
        """Whether it lies on the diagonal."""
        return self.row == self.column

    def sentence(self) -> str:
        """The cell in words."""
        share = f" ({100 * self.count / self.total:.0f} %)" if self.total else ""
        how = "right" if self.is_right else f"“{self.named}”"
        return f"{self.count:,} of {self.total:,} “{self.truth}” named {how}{share}"


class ConfusionMatrix(MatrixView):
    """Rows are what regions are, columns what they were named; both in the order they are given.

    A cell shows its count as a number, and its share of the row as a shade: green on the diagonal, red beside it.
    Where cells are too small for numbers, or when dots are wanted, the share is the size of a dot, hollow on the
    diagonal, so that nothing is told by colour alone.

    Signals:
        cell_chosen: a ``Cell`` that a person clicked or walked to with the keys.
    """

    cell_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts_CC: NDArray[np.int64] = np.zeros((0, 0), np.int64)
        self._totals_C: NDArray[np.int64] = np.zeros(0, np.int64)
        self._has_dots = False
        self.setAccessibleName("Confusion matrix")
        self.place_chosen.connect(lambda row, column: self.cell_chosen.emit(self.cell(row, column)))

    def set_confusion(self, names: Sequence[str], counts_CC: NDArray[np.int64]) -> None:
        """Show how many regions of a row's class were named as a column's.

        Args:
            names: Of the C classes.
            counts_CC: True class by named class.
        """
        self._counts_CC = np.asarray(counts_CC, np.int64)
        self._totals_C = self._counts_CC.sum(axis=1)
        self.set_names(names, names, [f"{total:,}" for total in self._totals_C.tolist()], ("is", "named as"))

    def set_dots(self, has_dots: bool) -> None:
        """Show shares as dots instead of counts as numbers."""
        self._has_dots = has_dots
        self.viewport().update()

    @property
    def has_dots(self) -> bool:
        """Whether cells show dots: asked for, or too small for numbers."""
        return self._has_dots or self.side < _NUMBERS_FROM

    def cell(self, row: int, column: int) -> Cell:
        """One cell."""
        count, total = int(self._counts_CC[row, column]), int(self._totals_C[row])
        return Cell(row, column, count, total, self._rows[row], self._columns[column])

    def sentence_of(self, row: int, column: int) -> str:
        return self.cell(row, column).sentence()

    def _paint_cells(self, painter: QPainter, rows: range, columns: range) -> None:
        font = QFont(QApplication.font())
        font.setPointSizeF(max(6.5, min(font.pointSizeF(), 0.31 * self.side)))
        painter.setFont(font)
        dots = _Dots(self.side - 1, painter.device().devicePixelRatioF()) if self.has_dots else None
        corner = self.rect_of(0, 0).topLeft() + QPoint(1, 1)
        for row in rows:
            used = np.flatnonzero(self._counts_CC[row, columns.start : columns.stop]) + columns.start
            shares = self._counts_CC[row, used] / max(1, int(self._totals_C[row]))
            for column, share in zip(used.tolist(), shares.tolist(), strict=True):
                if dots is None:
                    self._paint_number(painter, row, column, share)
                else:
                    dot = dots.of(share, is_right=row == column)
                    painter.drawPixmap(corner.x() + column * self.side, corner.y() + row * self.side, dot)

    def _paint_number(self, painter: QPainter, row: int, column: int, share: float) -> None:
        count = int(self._counts_CC[row, column])
        rect = self.rect_of(row, column).adjusted(1, 1, 0, 0)
        shade, ink = _shade_and_ink(theme.current(), row == column, round(share, 2))
        painter.fillRect(rect, QColor(shade))
        painter.setPen(QColor(ink))
        text = f"{count}" if count < 1000 else f"{count / 1000:.0f}k" if count >= 10_000 else f"{count / 1000:.1f}k"
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), text)


@lru_cache(maxsize=1024)
def _shade_and_ink(look: theme.Theme, is_right: bool, share: float) -> tuple[str, str]:
    """The colour of a cell, and that of the two inks that is read better on it."""
    shade = theme.mixed(look.base, look.success if is_right else look.danger, 0.10 + 0.6 * share**0.6)
    return shade, max((look.text, look.base), key=lambda color: theme.contrast(color, shade))


class _Dots:
    """Dots in the middle of a cell, drawn once for each size; a hollow one for what is right."""

    def __init__(self, side: int, ratio: float) -> None:
        self._side, self._ratio = side, ratio
        self._made: dict[tuple[int, bool], QPixmap] = {}

    def of(self, share: float, *, is_right: bool) -> QPixmap:
        """The dot whose area is this share of the cell's."""
        key = (round(2 * max(3.0, (self._side - 1) * share**0.5)), is_right)
        if key not in self._made:
            self._made[key] = self._draw(key[0] / 2, is_right)
        return self._made[key]

    def _draw(self, diameter: float, is_right: bool) -> QPixmap:
        look = theme.current()
        made = QPixmap(round(self._side * self._ratio), round(self._side * self._ratio))
        made.setDevicePixelRatio(self._ratio)
        made.fill(Qt.GlobalColor.transparent)
        dot = QRectF(0, 0, diameter, diameter)
        dot.moveCenter(QPointF(self._side / 2, self._side / 2))
        painter = QPainter(made)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if is_right:
            painter.setPen(QPen(QColor(look.success), 1.4))
            painter.drawEllipse(dot.adjusted(0.7, 0.7, -0.7, -0.7))
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(look.danger))
            painter.drawEllipse(dot)
        painter.end()
        return made
