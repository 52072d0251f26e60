"""The confusions of an evaluation: as a matrix with numbers or dots, or as a list, largest first."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label
from locstudio.ui.training.confusion_list import ConfusionList
from locstudio.ui.training.confusion_matrix import Cell, ConfusionMatrix

_ZOOM = 1.25


class ConfusionView(QFrame):
    """Which classes are taken for which others.

    Signals:
        cell_chosen: row and column of a cell **as they were given**, and the ``Cell``.
    """

    cell_chosen = Signal(int, int, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._order_C: NDArray[np.int64] = np.zeros(0, np.int64)
        self.matrix = ConfusionMatrix(self)
        self.list = ConfusionList(self)
        self._none = label("No region with a class was measured, so there is nothing to confuse.", "muted")
        self._none.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._none.setWordWrap(True)
        self._pages = QStackedWidget(self)
        for page in (self.matrix, self.list, self._none):
            self._pages.addWidget(page)
        self._says = label("", "muted")
        self._group = QButtonGroup(self)
        ways = (
            ("Numbers", "How many regions each cell holds"),
            ("Dots", "The share of the row as the size of a dot: a whole vocabulary on one screen"),
            ("List", "The largest confusions, one a line"),
        )
        row = QHBoxLayout()
        row.setContentsMargins(12, 8, 8, 6)
        row.setSpacing(4)
        row.addWidget(self._says, 1)
        for number, (text, hint) in enumerate(ways):
            button = QToolButton(self)
            button.setText(text)
            button.setToolTip(hint)
            button.setCheckable(True)
            button.setProperty("role", "chip")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self._group.addButton(button, number)
            row.addWidget(button)
        self._zooms = [
            self._zoom_button(
                "zoom_out", "Smaller cells", lambda: self.matrix.set_side(round(self.matrix.side / _ZOOM))
            ),
            self._zoom_button("zoom_in", "Larger cells", lambda: self.matrix.set_side(round(self.matrix.side * _ZOOM))),
            self._zoom_button("fit", "Fit the whole matrix", self.matrix.fit),
        ]
        for button in self._zooms:
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(self._pages, 1)
        self._group.button(0).setChecked(True)
        self._group.idClicked.connect(self._on_way)
        self.matrix.cell_chosen.connect(self._announce)
        self.list.cell_chosen.connect(self._announce)

    def set_confusion(self, names: Sequence[str], counts_CC: NDArray[np.int64], what: str = "region") -> None:
        """Show counts of true class by named class; classes with most mistakes stand first.  ``what`` is counted."""
        counts_CC = np.asarray(counts_CC, np.int64)
        wrong_CC = counts_CC - np.diag(np.diag(counts_CC))
        mistakes_C = wrong_CC.sum(axis=0) + wrong_CC.sum(axis=1)
        self._order_C = np.lexsort((-counts_CC.sum(axis=1), -mistakes_C))
        self.matrix.set_confusion([names[c] for c in self._order_C], counts_CC[np.ix_(self._order_C, self._order_C)])
        ordered_CC = wrong_CC[np.ix_(self._order_C, self._order_C)]
        rows, columns = np.nonzero(ordered_CC)
        largest = np.argsort(-ordered_CC[rows, columns], kind="stable")
        cells = [self.matrix.cell(int(rows[n]), int(columns[n])) for n in largest]
        self.list.rows.set_cells(cells)
        total, wrong = int(counts_CC.sum()), int(wrong_CC.sum())
        self._says.setText(f"{wrong:,} of {total:,} {what}s named wrong" if total else "")
        if not total:
            self._pages.setCurrentWidget(self._none)
        else:
            self._on_way(self._group.checkedId())

    def show_way(self, number: int) -> None:
        """Show numbers (0), dots (1) or the list (2)."""
        self._group.button(number).setChecked(True)
        self._on_way(number)

    def _on_way(self, number: int) -> None:
        if not len(self._order_C):
            return
        self.matrix.set_dots(number == 1)
        self._pages.setCurrentWidget(self.list if number == 2 else self.matrix)
        for button in self._zooms:
            button.setEnabled(number != 2)

    def _announce(self, cell: Cell) -> None:
        self.cell_chosen.emit(int(self._order_C[cell.row]), int(self._order_C[cell.column]), cell)

    def _zoom_button(self, icon: str, name: str, act: object) -> QToolButton:
        button = QToolButton(self)
        drawn.follow(button, icon)
        button.setToolTip(name)
        button.setAccessibleName(name)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(act)
        return button
