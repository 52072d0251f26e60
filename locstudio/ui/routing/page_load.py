"""How the routing came about: load of every expert over the epochs, dead experts, evenness, and a router's success.

Loads pyqtgraph, so it is imported when the page is made.
"""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from locstudio.services.routing.loads import LoadHistory
from locstudio.ui.routing.load_plot import LoadPlot
from locstudio.ui.routing.page_empty import NothingPane
from locstudio.ui.training.curve_plot import CurvePlot
from locstudio.ui.training.lines import Curve, Line

_NO_COURSE = "No course to show"
_NOTHING = (
    "This routing was made by asking a model that was trained already, so it has no course of its own. "
    "Choose the run that trained it at the top, or train experts: load and routers are followed epoch by epoch then."
)
_PLOTS = {
    "dead": ("Dead experts", "How many experts take hardly any image: less than a tenth of an even share", ""),
    "entropy": ("Evenness", "How evenly the images are spread: 1 is evenly, 0 all to one expert (entropy)", ""),
    "margin": ("Margin", "The largest probability of the router minus the second, on average", ""),
    "router_accuracy": (
        "Router is right",
        "How often the router finds the superclass of a held-out image",
        "Only a router that is taught superclasses can be right or wrong.",
    ),
    "top1": ("Class is right", "How often the likeliest class of a held-out image is one that it shows", ""),
}
_FEW = 4  # dead experts: as many have room, also where none is
_NOT_MEASURED = "Nothing has been measured yet."


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
        self.plots: dict[str, CurvePlot] = {}
        for name, (title, hint, empty) in _PLOTS.items():
            self.plots[name] = CurvePlot(title, empty or _NOT_MEASURED, self)
            self.plots[name].setToolTip(hint)
        self.plots["dead"].set_least_range(0, _FEW, is_whole=True)
        self._nothing = NothingPane(self)
        self._nothing.say(_NO_COURSE, _NOTHING)
        plots = QWidget(self)
        small = QHBoxLayout()
        small.setSpacing(8)
        for plot in self.plots.values():
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
        for name, plot in self.plots.items():
            plot.set_lines(_lines(epochs, name, np.asarray(getattr(history, name), np.float64)))

    def _point_at(self, epoch: object) -> None:
        for plot in self.plots.values():
            plot.point_at(epoch if isinstance(epoch, float) else None)


def _lines(epochs: NDArray[np.int64], name: str, values: NDArray[np.float64]) -> list[Line]:
    """A line over epochs; what was not measured is left out."""
    is_known = np.isfinite(values)
    return [Line(name, "run", Curve(epochs[is_known].astype(np.float64), values[is_known]))]
