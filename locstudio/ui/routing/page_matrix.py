"""Classes or superclasses against experts: how many images of each went where, narrowed down and sorted."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QActionGroup
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QLineEdit, QMenu, QToolButton, QVBoxLayout, QWidget

from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, label, shown
from locstudio.ui.routing.cross_model import AS_GIVEN, BY_NAME, EMPTY, Cross
from locstudio.ui.routing.cross_table import CrossTable

KINDS = (
    ("truth", "Labelled", "Rows are classes, by what the images are said to show"),
    ("predicted", "Predicted", "Rows are classes, by what the model takes the images for"),
    ("superclass", "Superclasses", "Rows are superclasses of what the images show"),
)
_UNITS = (("counts", "Counts", "Numbers of images"), ("shares", "Shares", "Shares of the images of a row"))
_LEGEND = "Outlined: the expert that the row belongs to. The stronger the shade, the larger its share of the row."
_NONE = "No superclasses are known here. Make some on the tab Superclasses, or train experts."


@dataclass(frozen=True, slots=True, eq=False)
class ShownMatrix:
    """A matrix with what its rows are: ``row_ids`` go back to the services."""

    kind: str
    cross: Cross
    row_ids: tuple[int, ...]


class Segments(QFrame):
    """A few choices side by side, one of them taken.

    Signals:
        chosen: the value of the choice that a person took.
    """

    chosen = Signal(str)

    def __init__(self, name: str, choices: Sequence[tuple[str, str, str]], parent: QWidget | None = None) -> None:
        """``choices`` are values, words and hints."""
        super().__init__(parent)
        self.setProperty("role", "switch")
        row = QHBoxLayout(self)
        row.setContentsMargins(2, 2, 2, 2)
        row.setSpacing(2)
        group = QButtonGroup(self)
        self._buttons: dict[str, QToolButton] = {}
        for value, words, hint in choices:
            button = QToolButton(self)
            button.setText(words)
            button.setCheckable(True)
            button.setProperty("role", "segment")
            button.setAccessibleName(f"{name}: {words}")
            button.setToolTip(hint)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _=False, taken=value: self.chosen.emit(taken))
            group.addButton(button)
            row.addWidget(button)
            self._buttons[value] = button
        self.take(choices[0][0])

    def take(self, value: str) -> None:
        """Mark a choice without announcing it."""
        self._buttons[value].setChecked(True)

    @property
    def taken(self) -> str:
        """The choice that is marked."""
        return next(value for value, button in self._buttons.items() if button.isChecked())

    def press(self, value: str) -> None:
        """Take a choice as a person does."""
        self._buttons[value].click()


class MatrixPane(QFrame):
    """Shows one matrix; emits what a person wants of it.

    Signals:
        kind_wanted: "truth", "predicted" or "superclass".
        cell_opened: kind, identity of the row, and expert, -1 for all experts.
    """

    kind_wanted = Signal(str)
    cell_opened = Signal(str, int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown = ShownMatrix("truth", EMPTY, ())
        self.kinds = Segments("Rows", KINDS, self)
        self.kinds.chosen.connect(self.kind_wanted)
        self.units = Segments("Cells", _UNITS, self)
        self.field = QLineEdit(self)
        self.field.setPlaceholderText("Find a row")
        self.field.setAccessibleName("Find rows by name")
        self.field.setClearButtonEnabled(True)
        self.field.setMinimumWidth(90)
        self.field.setMaximumWidth(240)
        self.table = CrossTable("Classes and experts", self)
        self.units.chosen.connect(self._on_unit)
        self.field.textChanged.connect(self._on_words)
        self.table.cell_opened.connect(self._on_opened)
        self.table.cell_marked.connect(lambda *_: self._tell())
        self.table.order_changed.connect(lambda *_: self._say_order())
        self._sort_menu = QMenu(self)
        self._sort_menu.aboutToShow.connect(self._fill_sort_menu)
        self.sort = QToolButton(self)
        self.sort.setProperty("role", "button")
        self.sort.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.sort.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.sort.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.sort.setMenu(self._sort_menu)
        drawn.follow(self.sort, "sort")
        self._count = label("", "muted", self)
        self._sentence = label("", "", self)
        self._sentence.setWordWrap(True)
        self._sentence.setAccessibleName("The marked cell in words")
        self._legend = label(_LEGEND, "muted", self)
        self._legend.setWordWrap(True)
        self._nothing = label(_NONE, "muted", self)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._nothing.setWordWrap(True)
        self._nothing.hide()
        self._lay_out()
        self._say_order()

    def _lay_out(self) -> None:
        tools = QHBoxLayout()
        tools.setContentsMargins(8, 8, 8, 6)
        tools.setSpacing(8)
        tools.addWidget(self.kinds)
        tools.addWidget(self.units)
        tools.addWidget(self.field, 1)
        tools.addStretch(0)
        tools.addWidget(self.sort)
        foot = QFrame(self)
        foot.setProperty("role", "foot")
        lines = QVBoxLayout(foot)
        lines.setContentsMargins(10, 6, 10, 6)
        lines.setSpacing(2)
        first = QHBoxLayout()
        first.addWidget(self._sentence, 1)
        first.addWidget(self._count, 0, Qt.AlignmentFlag.AlignTop)
        lines.addLayout(first)
        lines.addWidget(self._legend)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(tools)
        column.addWidget(self.table, 1)
        column.addWidget(self._nothing, 1)
        column.addWidget(foot)

    # what is shown ----------------------------------------------------------------------------------------------

    def set_matrix(self, matrix: ShownMatrix) -> None:
        """Show a matrix; order, search and the marked cell stay where they can."""
        self._shown = matrix
        self.kinds.take(matrix.kind)
        self.table.set_cross(matrix.cross)
        is_empty = not matrix.cross.row_names
        self.table.setVisible(not is_empty)
        self._nothing.setVisible(is_empty)
        self._say_order()
        self._tell()

    @property
    def sentence(self) -> str:
        """The marked cell in words."""
        return self._sentence.text()

    def _tell(self) -> None:
        self._sentence.setText(shown(self.table.sentence(), 300) or "Click a cell, or go there by arrows and Enter.")
        num, all_rows = len(self.table.cells.rows), len(self._shown.cross.row_names)
        self._count.setText(f"{num:,} of {all_rows:,} rows" if num != all_rows else f"{num:,} rows")

    def _on_unit(self, unit: str) -> None:
        self.table.set_shares(unit == "shares")

    def _on_words(self, text: str) -> None:
        self.table.set_words(text)
        self._tell()

    def _on_opened(self, row: int, column: int) -> None:
        self.cell_opened.emit(self._shown.kind, self._shown.row_ids[row], column)

    # order ------------------------------------------------------------------------------------------------------

    def _orders(self) -> list[tuple[int, str]]:
        names = self._shown.cross.column_names
        num = len(names)
        return [
            (AS_GIVEN, "Its expert"),
            (BY_NAME, "Name"),
            (num + 1, "Spread"),
            (num, "Number of images"),
            *((place, f"Expert {name}") for place, name in enumerate(names)),
        ]

    def _fill_sort_menu(self) -> None:
        self._sort_menu.clear()
        group = QActionGroup(self._sort_menu)
        for order, words in self._orders():
            action = self._sort_menu.addAction(action_text(shown(words, 50)))
            action.setCheckable(True)
            action.setChecked(order == self.table.cells.order)
            action.triggered.connect(lambda _=False, chosen=order: self.sort_by(chosen))
            group.addAction(action)
            if order == len(self._shown.cross.column_names):
                self._sort_menu.addSeparator()

    def sort_by(self, order: int) -> None:
        """Sort the rows: names rise, numbers fall; the same order again turns it round."""
        cells = self.table.cells
        is_falling = not cells.is_falling if cells.order == order else order >= 0
        self.table.sort(order, is_falling=is_falling)
        self._say_order()

    def _say_order(self) -> None:
        words = dict(self._orders()).get(self.table.cells.order, "Name")
        self.sort.setText(f"Sort: {shown(words, 18).lower() if self.table.cells.order < 0 else shown(words, 18)}")
        self.sort.setToolTip(f"Sort: {shown(words, 60)}. A click on an expert's name sorts by it.")
        self.sort.setAccessibleName(f"Sort: {shown(words, 60)}")
