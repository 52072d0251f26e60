"""Which classes are taken for which others, as a matrix that can be read without colours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPen
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
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, self.has_dots)
        paint = self._paint_dot if self.has_dots else self._paint_number
        for row in rows:
            used = np.flatnonzero(self._counts_CC[row, columns.start : columns.stop]) + columns.start
            for column in used.tolist():
                paint(painter, row, column)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _share(self, row: int, column: int) -> float:
        return float(self._counts_CC[row, column]) / max(1.0, float(self._totals_C[row]))

    def _paint_number(self, painter: QPainter, row: int, column: int) -> None:
        look, count = theme.current(), int(self._counts_CC[row, column])
        rect = self.rect_of(row, column).adjusted(1, 1, 0, 0)
        shade = theme.mixed(
            look.base, look.success if row == column else look.danger, 0.10 + 0.6 * self._share(row, column) ** 0.6
        )
        painter.fillRect(rect, QColor(shade))
        painter.setPen(QColor(max((look.text, look.base), key=lambda color: theme.contrast(color, shade))))
        text = f"{count}" if count < 1000 else f"{count / 1000:.0f}k" if count >= 10_000 else f"{count / 1000:.1f}k"
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), text)

    def _paint_dot(self, painter: QPainter, row: int, column: int) -> None:
        look = theme.current()
        rect = QRectF(self.rect_of(row, column).adjusted(1, 1, 0, 0))
        side = max(2.5, (rect.width() - 2) * self._share(row, column) ** 0.5)  # the area is the share
        dot = QRectF(0, 0, side, side)
        dot.moveCenter(rect.center())
        if row == column:
            painter.setPen(QPen(QColor(look.success), 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(dot.adjusted(0.7, 0.7, -0.7, -0.7))
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(look.danger))
            painter.drawEllipse(dot)
