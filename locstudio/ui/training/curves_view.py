"""Live curves of one run or of several: loss, its parts, metrics on what is held out, learning rate."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QMenu,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label
from locstudio.ui.training.curve_plot import CurvePlot, RunLegend
from locstudio.ui.training.lines import Curve, Line
from locstudio.ui.training.wording import metric_name

_FIRST_SMOOTHING = 60
_SLIDER_STEPS = 99
_IMAGE_SCALE = 2
_PLOTS = {
    "loss": ("Loss", "The loss appears after the first steps; the images are read once before."),
    "part": ("Parts of the loss", "The parts of the loss appear with the first steps."),
    "metric": (
        "Held-out metrics",
        "Measured on what is held out, at every evaluation; nothing has been measured yet.",
    ),
    "load": ("Load of the experts", "Experts have a load once the dense twin is trained."),
    "rate": ("Learning rate", "The learning rate appears with the first steps."),
    "dead": ("Experts with hardly any image", "Experts have a load once the dense twin is trained."),
}
_OF_EXPERTS = ("load", "dead")
_DENSE = "dense_"
_NUM_DASHES = 6
_MAX_NAMED = 6  # of more experts a legend has only the numbers


@dataclass(frozen=True, slots=True, eq=False)
class RunCurves:
    """The curves of one run.  ``color`` is its number in the list of runs, so that it keeps its colour.

    ``curves`` are by name: ``loss``, ``rate``, ``part/NAME``, ``metric/NAME``, ``load/EXPERT``, ``dead``.
    ``has_experts``: it trains experts, whose load is shown besides.
    """

    id: str
    title: str
    color: int
    curves: Mapping[str, Curve] = field(default_factory=dict)
    has_experts: bool = False


class CurvesView(QWidget):
    """Four plots that point at the same step, and two more for a training of experts.

    With one run a colour is a quantity; with several a colour is a run and dashes tell quantities apart.

    Signals:
        said: a sentence about what was exported, or why it was not.
    """

    said = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: tuple[RunCurves, ...] = ()
        self._plots = {name: CurvePlot(title, empty, self) for name, (title, empty) in _PLOTS.items()}
        self._sheet = QWidget(self)
        self._grid = QGridLayout(self._sheet)
        self._grid.setContentsMargins(12, 0, 12, 12)
        self._grid.setSpacing(8)
        for plot in self._plots.values():
            plot.pointed.connect(self._point_at)
        self._has_experts: bool | None = None
        self._lay_out(has_experts=False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._make_tools())
        column.addWidget(self._sheet, 1)

    def _make_tools(self) -> QHBoxLayout:
        self._smoothing = QSlider(Qt.Orientation.Horizontal, self)
        self._smoothing.setRange(0, _SLIDER_STEPS)
        self._smoothing.setValue(_FIRST_SMOOTHING)
        self._smoothing.setFixedWidth(140)
        self._smoothing.setAccessibleName("Smoothing of the curves")
        self._smoothing.setToolTip("Running mean over steps; what was measured stays visible behind it")
        self._share = label("", "muted", self)
        self._share.setMinimumWidth(self._share.fontMetrics().horizontalAdvance("0.00") + 4)
        self._log = QCheckBox("Logarithmic loss", self)
        self._export = QToolButton(self)
        self._export.setText("Export")
        self._export.setToolTip("Save what is shown as a picture or as a table")
        self._export.setAccessibleName("Export the curves")
        self._export.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._export.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._export.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        drawn.follow(self._export, "export")
        menu = QMenu(self._export)
        menu.addAction("Picture (PNG)…").triggered.connect(lambda: self._ask_export("curves.png", "Pictures (*.png)"))
        menu.addAction("Table (CSV)…").triggered.connect(lambda: self._ask_export("curves.csv", "Tables (*.csv)"))
        self._export.setMenu(menu)
        self._legend = RunLegend(self)
        self._smoothing.valueChanged.connect(self._draw)
        self._log.toggled.connect(self._draw)
        row = QHBoxLayout()
        row.setContentsMargins(16, 8, 12, 8)
        row.setSpacing(8)
        row.addWidget(label("Smoothing", "muted", self))
        row.addWidget(self._smoothing)
        row.addWidget(self._share)
        row.addSpacing(16)
        row.addWidget(self._log)
        row.addSpacing(16)
        row.addWidget(self._legend, 1)
        row.addWidget(self._export)
        return row

    def _lay_out(self, *, has_experts: bool) -> None:
        """Two plots in a row, or three."""
        if has_experts is self._has_experts:
            return
        self._has_experts = has_experts
        shown = [name for name in self._plots if has_experts or name not in _OF_EXPERTS]
        num_columns = 3 if has_experts else 2
        order = ("loss", "metric", "load", "part", "rate", "dead") if has_experts else shown
        for name in _OF_EXPERTS:
            self._plots[name].setVisible(has_experts)
        for number, name in enumerate(order):
            self._grid.addWidget(self._plots[name], number // num_columns, number % num_columns)
        for column in range(3):
            self._grid.setColumnStretch(column, 1 if column < num_columns else 0)
        for row in range(2):
            self._grid.setRowStretch(row, 1)

    @property
    def plots(self) -> Mapping[str, CurvePlot]:
        """The plots by name: loss, part, metric, load, rate, dead."""
        return self._plots

    @property
    def smoothing(self) -> float:
        """The weight of the past, in [0, 1)."""
        return self._smoothing.value() / (_SLIDER_STEPS + 1)

    def set_runs(self, runs: Sequence[RunCurves]) -> None:
        """Show these runs, the one that matters most first."""
        self._runs = tuple(runs)
        self._legend.set_runs([(run.title, run.color) for run in runs] if len(runs) > 1 else [])
        self._lay_out(has_experts=any(run.has_experts for run in runs))
        self._draw()

    def _draw(self) -> None:
        self._share.setText(f"{self.smoothing:.2f}")
        for name, plot in self._plots.items():
            is_loss = name in ("loss", "part")
            plot.set_lines(
                lines_of(self._runs, name),
                smoothing=self.smoothing if is_loss else 0.0,
                is_log=is_loss and self._log.isChecked(),
            )

    def _point_at(self, step: float | None) -> None:
        for plot in self._plots.values():
            plot.point_at(step)

    # export -----------------------------------------------------------------------------------------------------

    def _ask_export(self, name: str, kinds: str) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Export the curves", name, kinds)
        if chosen:
            self.export(Path(chosen))

    def export(self, file: Path) -> None:
        """Write the plots as a picture, or every point as a table if the name ends in ``.csv``; says how it went."""
        try:
            if file.suffix.lower() == ".csv":
                _write_table(file, self._runs)
            elif not self._picture().save(str(file)):
                raise OSError("the folder cannot be written to, or the name does not end in .png")
        except OSError as error:
            self.said.emit(f"The curves were not saved: {error.strerror or error}.")
            return
        self.said.emit(f"Saved the curves to {file}.")

    def _picture(self) -> QImage:
        picture = QImage(self._sheet.size() * _IMAGE_SCALE, QImage.Format.Format_RGB32)
        picture.setDevicePixelRatio(_IMAGE_SCALE)
        picture.fill(self.palette().window().color())
        painter = QPainter(picture)
        self._sheet.render(painter, QPoint())
        painter.end()
        return picture


def lines_of(runs: Sequence[RunCurves], plot: str) -> list[Line]:
    """The lines of one plot: names in their order of appearance, coloured by quantity or, with several runs, by run.

    With one run a dense twin's metrics are dashed, and the many lines of experts differ in their dashes too.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.curves if name.partition("/")[0] == plot))
    lines, is_short = [], plot == "load" and len(names) > _MAX_NAMED
    for run in runs:
        for place, name in enumerate(names):
            if (curve := run.curves.get(name)) is not None:
                own_dash = place % _NUM_DASHES if plot == "load" else int(_DENSE in name)
                color, dash = (run.color, place) if len(runs) > 1 else (place, own_dash)
                quantity = _quantity(name).partition(" ")[0] if is_short else _quantity(name)
                lines.append(Line(quantity, run.title, curve, color, dash))
    return lines


def _quantity(name: str) -> str:
    kind, _, own = name.partition("/")
    if kind == "metric":
        return metric_name(own)
    if kind == "load":
        return own
    if name == "part/dense":
        return "dense twin"
    return own.replace("_", " ") or {"rate": "learning rate", "dead": "experts"}.get(kind, kind)


def _write_table(file: Path, runs: Sequence[RunCurves]) -> None:
    with open(file, "w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(("run", "curve", "step", "value"))
        for run in runs:
            for name, curve in run.curves.items():
                for step, value in zip(curve.steps.tolist(), curve.values.tolist(), strict=True):
                    table.writerow((run.id, name, f"{step:g}", repr(value)))
