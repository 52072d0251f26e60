"""Masks from boxes and points, whoever makes them: a Segment Anything model, or the bundled mask head.

Axes: N = tokens, C = token width, K = points of a prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import Letterbox, UnitBox
from locstudio.domain.masks import Mask

MAX_POINTS = 64


@dataclass(frozen=True, slots=True)
class PointPrompt:
    """A place in the ``unit`` frame that is in the thing (``is_inside``) or not."""

    x: float
    y: float
    is_inside: bool = True


@dataclass(frozen=True, slots=True)
class MaskPrompt:
    """What is asked for one mask: a box, points, or both.

    Raises:
        ValueError: there is neither a box nor a point inside the thing, there are too many points, or one is nowhere.
    """

    box: UnitBox | None = None
    points: tuple[PointPrompt, ...] = ()

    def __post_init__(self) -> None:
        if self.box is None and not any(point.is_inside for point in self.points):
            raise ValueError("a mask needs a box or a point inside the thing")
        if len(self.points) > MAX_POINTS:
            raise ValueError(f"at most {MAX_POINTS} points for one mask, not {len(self.points)}")
        for point in self.points:
            if not (0.0 <= point.x <= 1.0 and 0.0 <= point.y <= 1.0):
                raise ValueError(f"a point lies in [0, 1], not at {point.x}, {point.y}")

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the points inside the thing, or of the box where there are none."""
        inside = [(point.x, point.y) for point in self.points if point.is_inside]
        if inside:
            return sum(x for x, _ in inside) / len(inside), sum(y for _, y in inside) / len(inside)
        assert self.box is not None
        return (self.box.x0 + self.box.x1) / 2, (self.box.y0 + self.box.y1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class FoundMask:
    """A mask over the upright image's pixels, and the overlap with the truth that the model expects, in [0, 1]."""

    mask_HW: Mask
    expected_overlap: float


class Segmenter(Protocol):
    """A model that masks things.

    An image is encoded once (``encode``; what it gives may be kept on disk under ``tokens_id`` and the image's key),
    made ready once while it is open (``prepare``), and then asked as often as wanted (``segment``).
    """

    @property
    def name(self) -> str:
        """What it is called, for people."""

    @property
    def input_px(self) -> int:
        """Side of the padded square that it sees."""

    @property
    def tokens_id(self) -> str:
        """Names what ``encode`` gives: equal names, equal tokens."""

    @property
    def tokens_shape(self) -> tuple[int, int]:
        """Shape (N, C) of what ``encode`` gives."""

    @property
    def needs_pixels(self) -> bool:
        """Whether ``prepare`` wants the square also where the tokens are known."""

    def encode(self, square_HW3: NDArray[np.uint8], frame: Letterbox) -> NDArray[np.float16]:
        """Tokens (N, C) of an RGB square of ``input_px`` with the image of ``frame`` in its middle."""

    def prepare(self, tokens_NC: NDArray[np.float16], square_HW3: NDArray[np.uint8] | None, frame: Letterbox) -> Any:
        """What ``segment`` asks, of the same image."""

    def segment(self, prepared: Any, prompts: Sequence[MaskPrompt]) -> list[FoundMask]:
        """One mask for every prompt, in order; a mask may be empty."""
