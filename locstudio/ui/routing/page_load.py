"""How the routing came about: load of every expert over the epochs, dead experts, evenness, and a router's success.

Loads pyqtgraph, so it is imported when the page is made.
"""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from locstudio.services.routing.loads import LoadHistory
from locstudio.ui.plain_text import label
from locstudio.ui.routing.load_plot import LoadPlot
from locstudio.ui.training.curve_plot import CurvePlot
from locstudio.ui.training.lines import Curve, Line

_NOTHING = (
    "This routing was made by asking a model that was trained already, so it has no course of its own. "
    "Choose the run that trained it at the top, or train experts: load and routers are followed epoch by epoch then."
)
_NOT_TAUGHT = "Only a router that is taught superclasses can be right or wrong; top 1 comes with held-out images."


class LoadPane(QWidget):
    """Shows a ``LoadHistory``.

    Signals:
        expert_chosen: the number of an expert, from 0.
    """

    expert_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.load = LoadPlot(self)
        self.load.expert_chosen.connect(self.expert_chosen)
        self.dead = CurvePlot("Experts that take hardly any image", "Nothing yet.", self)
        self.evenness = CurvePlot("Evenness of the load and margin", "Nothing yet.", self)
        self.right = CurvePlot("Right on held-out images", _NOT_TAUGHT, self)
        self._nothing = label(_NOTHING, "muted", self)
        self._nothing.setWordWrap(True)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._nothing.setContentsMargins(120, 0, 120, 0)
        plots = QWidget(self)
        small = QHBoxLayout()
        small.setSpacing(8)
        for plot in (self.dead, self.evenness, self.right):
            small.addWidget(plot, 1)
            plot.pointed.connect(self._point_at)
        column = QVBoxLayout(plots)
        column.setContentsMargins(12, 10, 12, 12)
        column.setSpacing(8)
        column.addWidget(self.load, 3)
        column.addLayout(small, 2)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(plots)
        self._stack.addWidget(self._nothing)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._stack)

    @property
    def is_empty(self) -> bool:
        """Whether there is no course to show."""
        return self._stack.currentWidget() is self._nothing

    def set_history(self, names: tuple[str, ...], history: LoadHistory, router: int) -> None:
        """Show how a training's routing came about, as one of its routers has it."""
        self._stack.setCurrentIndex(0 if len(history.epochs) else 1)
        epochs = history.epochs
        self.load.set_load(names, epochs, history.load[:, router] if len(epochs) else np.zeros((0, len(names)), "f4"))
        self.dead.set_lines(_lines(epochs, ("experts", history.dead)))
        self.evenness.set_lines(_lines(epochs, ("evenness", history.entropy), ("margin", history.margin)))
        self.right.set_lines(_lines(epochs, ("router", history.router_accuracy), ("class", history.top1)))

    def _point_at(self, epoch: object) -> None:
        for plot in (self.dead, self.evenness, self.right):
            plot.point_at(epoch if isinstance(epoch, float) else None)


def _lines(epochs: NDArray[np.int64], *curves: tuple[str, NDArray[np.generic]]) -> list[Line]:
    """Lines over epochs, each in a colour and a dash of its own; what was not measured is left out."""
    lines = []
    for number, (name, values) in enumerate(curves):
        is_known = np.isfinite(values.astype(np.float64))
        curve = Curve(epochs[is_known].astype(np.float64), values[is_known].astype(np.float64))
        lines.append(Line(name, "run", curve, color=number, dash=number))
    return lines
