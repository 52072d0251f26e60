"""What the canvas shows of heat: which classes, how, and the words beside it.  Axes: W = side of a heatmap."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QPolygonF

from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import HeatCorrection
from locstudio.ui.heatmaps.heat_layer import HeatLook


@dataclass(frozen=True, slots=True, eq=False)
class ShownClass:
    """One class over the picture.  ``class_id`` is 0 for a class that the project's vocabulary does not have."""

    class_id: int
    name: str
    map_WW: NDArray[np.uint8]
    score: float
    said: str = ""
    color: QColor = field(default_factory=QColor)


@dataclass(frozen=True, slots=True, eq=False)
class ShownHeat:
    """The heat on the canvas.

    Attributes:
        classes: What is shown, the chosen class first.
        origin: What the heat is of: the run and its epoch, or the model that was asked just now.
        warning: Why it may not be true of this picture; empty where it is.
        outlines: Where the chosen class reaches the threshold, closed lines in the unit frame.
        boxes: Around these outlines, the largest first.
        corrections: What was painted on the chosen class.
        can_paint: Whether corrections of the chosen class can be stored.
    """

    classes: tuple[ShownClass, ...]
    look: HeatLook
    origin: str = ""
    warning: str = ""
    outlines: tuple[QPolygonF, ...] = ()
    boxes: tuple[UnitBox, ...] = ()
    corrections: tuple[HeatCorrection, ...] = ()
    can_paint: bool = False

    @property
    def chosen(self) -> ShownClass:
        """The class that painting, threshold and scrubbing are about."""
        return self.classes[0]

    def with_map(self, map_WW: NDArray[np.uint8]) -> "ShownHeat":
        """The same with another heatmap of the chosen class."""
        return replace(self, classes=(replace(self.chosen, map_WW=map_WW), *self.classes[1:]))
