"""Superclasses before and after, side by side, with what each was worth and the classes that moved."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from locstudio.services.routing.regrouping import Stand
from locstudio.ui.plain_text import label
from locstudio.ui.routing.superclass_canvas import SuperclassCanvas
from locstudio.ui.routing.superclass_comparing import NOW, Compared
from locstudio.ui.routing.superclass_head import run_name
from locstudio.ui.routing.superclass_lines import Line, LineTable
from locstudio.ui.routing.superclass_picture import GraphPicture
from locstudio.ui.routing.superclass_reading import SuperclassRun
from locstudio.ui.routing.superclass_words import classes_of, percent, points, quoted

_MEASURES = (
    ("Dense twin", "dense_top1"),
    ("With experts", "moe_top1"),
    ("Router finds the superclass", "router_accuracy"),
)
_LOW, _HEAD = 150, 108
_NOBODY = "not measured"


class _Column(QFrame):
    """One side: which superclasses, what they were worth, and their graph.

    Signals:
        chosen: another run was chosen, or now.
        use_wanted: the superclasses of the run that is shown shall be the project's.
    """

    chosen = Signal()
    use_wanted = Signal(str)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.runs = QComboBox(self)
        self.runs.setAccessibleName(f"Superclasses {title.lower()}")
        self.runs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.runs.setMinimumContentsLength(22)
        self.runs.activated.connect(lambda _: self.chosen.emit())
        self.use = QPushButton("Take these", self)
        self.use.setToolTip("Make these superclasses the project's own; undo brings back those of now")
        self.use.setAccessibleName(f"Take the superclasses {title.lower()}")
        self.use.clicked.connect(lambda: self.use_wanted.emit(str(self.runs.currentData())))
        self._whose = label("", "muted", self)
        self._whose.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._values = []
        grid = QGridLayout()
        grid.setHorizontalSpacing(20)
        grid.setVerticalSpacing(1)
        for place, (name, _) in enumerate(_MEASURES):
            value = label("", "subtitle", self)
            self._values.append(value)
            grid.addWidget(label(name, "muted", self), 0, place)
            grid.addWidget(value, 1, place)
        grid.setColumnStretch(len(_MEASURES), 1)
        self.canvas = SuperclassCanvas(self, can_edit=False)
        self.canvas.setAccessibleName(f"Graph of superclasses {title.lower()}")
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(label(title, "heading", self))
        top.addWidget(self.runs)
        top.addWidget(self.use)
        top.addStretch()
        head = QWidget(self)
        lines = QVBoxLayout(head)
        lines.setContentsMargins(12, 8, 12, 8)
        lines.setSpacing(6)
        lines.addLayout(top)
        lines.addWidget(self._whose)
        lines.addLayout(grid)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(head)
        column.addWidget(self.canvas, 1)

    def set_runs(self, runs: Sequence[SuperclassRun], chosen: str, *, has_now: bool) -> None:
        self.runs.clear()
        if has_now:
            self.runs.addItem("Now, in this project", NOW)
        for run in runs:
            self.runs.addItem(run_name(run), run.id)
        self.runs.setCurrentIndex(max(0, self.runs.findData(chosen)))

    def show_stand(self, stand: Stand, picture: GraphPicture, before: Stand | None) -> None:
        self.use.setVisible(bool(stand.run_id and stand.names))
        whose = "made by a person" if stand.is_person else "clusters of its confusions"
        kept = picture.graph.kept_share(picture.group_of)
        inside = f" · {percent(kept)} of what is confused stays inside" if kept is not None else ""
        self._whose.setText(f"{len(stand.names)} superclasses, {whose}{inside}")
        for value, (name, field) in zip(self._values, _MEASURES, strict=True):
            now = getattr(stand, field)
            was = getattr(before, field) if before is not None else None
            gain = f"   {points(now - was)}" if now is not None and was is not None else ""
            value.setText(_NOBODY if now is None else f"{100 * now:.1f} %{gain}")
            value.setAccessibleName(f"{name}: {value.text()}")
        self.canvas.set_picture(picture, is_new=True)

    @property
    def words(self) -> str:
        """What is said of it."""
        return " · ".join([self._whose.text(), *(value.accessibleName() for value in self._values)])


class BeforeAndAfter(QWidget):
    """Two graphs, and the list of what moved.

    Signals:
        compare_wanted: the identities of two runs, empty for the project as it is now.
        use_wanted: the superclasses of this run shall be the project's.
    """

    compare_wanted = Signal(str, str)
    use_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Superclasses before and after")
        self.before, self.after = _Column("Before", self), _Column("After", self)
        for column in (self.before, self.after):
            column.chosen.connect(self._ask)
            column.use_wanted.connect(self.use_wanted)
        self._title = label("", "heading", self)
        self._note = label("", "muted", self)
        self._note.setWordWrap(True)
        self.table = LineTable("Classes that moved", self)
        self.table.line_chosen.connect(lambda line: self._mark(line.ids))
        low = QWidget(self)
        lines = QVBoxLayout(low)
        lines.setContentsMargins(12, 8, 12, 8)
        lines.setSpacing(6)
        for widget in (self._title, self._note):
            lines.addWidget(widget)
        lines.addWidget(self.table, 1)
        lines.addStretch(0)
        sides = QSplitter(Qt.Orientation.Horizontal, self)
        sides.setHandleWidth(3)
        sides.setChildrenCollapsible(False)
        for column in (self.before, self.after):
            sides.addWidget(column)
        whole = self._split = QSplitter(Qt.Orientation.Vertical, self)
        whole.setHandleWidth(3)
        whole.setChildrenCollapsible(False)
        whole.addWidget(sides)
        whole.addWidget(low)
        whole.setStretchFactor(0, 1)
        whole.setSizes([600, _LOW])
        row = QVBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(whole)

    def set_runs(self, runs: Sequence[SuperclassRun], chosen: tuple[str, str], *, has_now: bool) -> None:
        """Offer these runs on both sides."""
        for column, run_id in zip((self.before, self.after), chosen, strict=True):
            column.set_runs(runs, run_id, has_now=has_now)

    @property
    def chosen(self) -> tuple[str, str]:
        """What is compared: two runs, empty for now."""
        return str(self.before.runs.currentData() or ""), str(self.after.runs.currentData() or "")

    @property
    def aspect(self) -> float:
        """Width over height of one of the graphs, also before they were shown."""
        width, height = self.width() / 2, max(120, self.height() - self._low - _HEAD)
        return min(max(width / height, 0.7), 2.6)

    def _ask(self) -> None:
        self.compare_wanted.emit(*self.chosen)

    def show_compared(self, found: Compared) -> None:
        """Show both sides and what moved."""
        self.before.show_stand(found.before, found.pictures[0], None)
        self.after.show_stand(found.after, found.pictures[1], found.before)
        num = len(found.moved)
        self._title.setText(f"{classes_of(num)} moved" if num else "No class moved")
        self._note.setText(
            "Shares are of the images that each run held out, so small differences may be chance: "
            "they say something when they come back with another seed."
            if found.before.moe_top1 is not None and found.after.moe_top1 is not None
            else "What superclasses are worth is measured by the training that uses them."
        )
        lines = []
        for each in found.moved:
            cells = (each.name, each.before or "–", each.after or "–")
            where = quoted(each.after) if each.after else "none"
            sentence = f"{quoted(each.name)} went from {quoted(each.before) if each.before else 'none'} to {where}."
            lines.append(Line(cells, sentence, "class", (each.class_id,)))
        self.table.set_lines(("Class", "Before", "After"), lines, 3)
        self.table.setVisible(bool(lines))
        self._mark(tuple(each.class_id for each in found.moved))
        self._split.setSizes([self.height() - self._low, self._low])
        QTimer.singleShot(0, self._fit)  # once both have their size

    def _fit(self) -> None:
        """Show both at the same zoom."""
        canvases = self.before.canvas, self.after.canvas
        for canvas in canvases:
            canvas.fit()
        least = min(canvas.scale for canvas in canvases)
        for canvas in canvases:
            canvas.fit(least)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        QTimer.singleShot(0, self._fit)

    @property
    def _low(self) -> int:
        """How high the list of what moved is."""
        return max(_LOW, round(0.2 * self.height()))

    def _mark(self, class_ids: tuple[int, ...]) -> None:
        for column in (self.before, self.after):
            column.canvas.choose(class_ids)
