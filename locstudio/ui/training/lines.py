"""What a curve is before it is painted: numbers over steps, smoothed, thinned, and given a colour that can be seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.palette import class_color
from locstudio.ui import theme

Numbers = NDArray[np.float64]

MAX_POINTS = 800  # more than a plot is wide
_MIN_CONTRAST = 4.5  # WCAG 2.2, 1.4.3: a legend writes values in the colours of the lines
_ORDER = (1, 5, 2, 6, 0, 4, 14, 18, 16, 22)  # of the palette: neighbours differ in hue and in lightness
_NEAREST = 0.08  # of the way to the text's colour in one try


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One quantity of a run.  ``steps`` rise; both arrays have one entry per measurement."""

    steps: Numbers
    values: Numbers

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> "Curve":
        """The curve through (step, value) pairs."""
        table = np.array(pairs, np.float64).reshape(-1, 2)
        return cls(table[:, 0], table[:, 1])

    def at(self, step: float) -> float | None:
        """The value measured nearest to a step, or None for an empty curve."""
        if not len(self.steps):
            return None
        return float(self.values[int(np.abs(self.steps - step).argmin())])

    @property
    def last(self) -> float | None:
        """The newest value."""
        return float(self.values[-1]) if len(self.values) else None


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A curve as a plot shows it: which quantity of which run.

    ``color`` is a number for ``line_color``; ``dash`` one of the dashes of a plot, 0 is unbroken.
    """

    quantity: str
    run: str
    curve: Curve
    color: int = 0
    dash: int = 0


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One entry of a legend: a piece of line in this colour (None: the text's), words, values with their colours."""

    color: int | None
    dash: int
    text: str
    values: tuple[tuple[str, int | None], ...]

    def words(self) -> str:
        """The entry as it reads."""
        return " ".join(filter(None, (self.text, *(value for value, _ in self.values))))


def legend_of(lines: Sequence[Line], step: float | None) -> list[LegendEntry]:
    """The legend of a plot: its quantities, each with its value or, with several runs, a value in the colour of each.

    Args:
        lines: What the plot shows.
        step: Where values are read; None for the newest.
    """

    def value(line: Line) -> str:
        return number(line.curve.last if step is None else line.curve.at(step))

    quantities = list(dict.fromkeys(line.quantity for line in lines))
    if len({line.run for line in lines}) <= 1:
        names = [""] if len(lines) == 1 else [line.quantity for line in lines]
        return [
            LegendEntry(line.color, line.dash, name, ((value(line), None),))
            for name, line in zip(names, lines, strict=True)
        ]
    return [
        LegendEntry(
            None,
            next(line.dash for line in lines if line.quantity == quantity),
            quantity if len(quantities) > 1 else "",
            tuple((value(line), line.color) for line in lines if line.quantity == quantity),
        )
        for quantity in quantities
    ]


def thinned(curve: Curve, limit: int = MAX_POINTS) -> Curve:
    """At most ``limit`` points: means of neighbours, so that a run of days is drawn as fast as one of minutes."""
    count = len(curve.steps)
    if count <= limit:
        return curve
    starts = np.linspace(0, count, limit, endpoint=False).astype(np.int64)
    sizes = np.diff(np.append(starts, count))
    return Curve(np.add.reduceat(curve.steps, starts) / sizes, np.add.reduceat(curve.values, starts) / sizes)


def smoothed(curve: Curve, weight: float) -> Curve:
    """The running mean with this weight on the past, without a bias towards zero at its beginning.

    Args:
        curve: What was measured.
        weight: In [0, 1); 0 changes nothing.

    Raises:
        ValueError: the weight lies outside.

    Source: Kingma and Ba, "Adam" (arXiv:1412.6980), section 3, the correction of the bias.
    """
    if not 0.0 <= weight < 1.0:
        raise ValueError(f"weight must lie in [0, 1), not {weight}")
    if weight == 0.0 or not len(curve.values):
        return curve
    means = np.empty_like(curve.values)
    total, mass = 0.0, 0.0
    for place, value in enumerate(curve.values.tolist()):
        total = weight * total + (1.0 - weight) * value
        mass = weight * mass + (1.0 - weight)
        means[place] = total / mass
    return Curve(curve.steps, means)


def line_color(index: int, background: str) -> str:
    """The colour of the line with this number, moved towards the text's until it stands out from the background."""
    wanted = class_color(_ORDER[index % len(_ORDER)])
    share = 0.0
    color = wanted
    while theme.contrast(color, background) < _MIN_CONTRAST and share < 1.0:
        share += _NEAREST
        color = theme.mixed(wanted, theme.current().text, min(share, 1.0))
    return color


def number(value: float | None) -> str:
    """A value as a legend writes it: four digits that count."""
    if value is None or not np.isfinite(value):
        return "–"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e5):
        return f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.4g}"
