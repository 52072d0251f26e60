"""Where a person should look: measures of every row of the pool.  Axes: N = rows of the pool, D = embedding width."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Measures:
    """What was measured of the rows of a pool; NaN where it could not be.

    Attributes:
        outlier: How far its vector lies from the centre of its class or phrase, in robust deviations, (N,).
        disagreement: How sure the model is that another phrase fits better than its own, in [0, 1], (N,).
        value: What asking a person about it is worth: see ``value_of``, (N,).
        likeness: Cosine to the pinned item; None while nothing is pinned, (N,).
        texts: The phrases that were compared.
        best: The other phrase that fits best, a row of ``texts``; -1 for none, (N,).
        logit_scale: What turns cosines into logits.
    """

    outlier: _Floats
    disagreement: _Floats
    value: _Floats
    likeness: _Floats | None = None
    pinned: str = ""
    texts: tuple[str, ...] = ()
    best: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    logit_scale: float = 0.0
    remembered: dict[Hashable, NDArray[np.int64]] = field(default_factory=dict)

    def of(self, name: str) -> _Floats | None:
        """The measure that an order of this name needs; None where it needs none, or it was not measured."""
        known = {
            "outlier": self.outlier,
            "disagreement": self.disagreement,
            "value": self.value,
            "likeness": self.likeness,
        }
        return known.get(name)

    def remember(self, what: Hashable, work_out: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
        """What ``work_out`` makes of these measures, worked out once."""
        if what not in self.remembered:
            self.remembered[what] = work_out()
        return self.remembered[what]
