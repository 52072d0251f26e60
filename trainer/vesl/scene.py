"""An image as captioners and detectors see it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import Letterbox
from locstudio.domain.regions import Image
from locstudio.media.decode import decode_rgb
from locstudio.models.cloc import PreparedImage


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One image: its tokens, ready to be asked, and its file for models that look for themselves."""

    image: Image
    path: Path
    prepared: PreparedImage

    @property
    def letterbox(self) -> Letterbox:
        """The map between the image and the square that its tokens are of."""
        return Letterbox(self.image.width, self.image.height)

    def pixels(self, max_side: int) -> NDArray[np.uint8]:
        """The upright picture (H, W, 3) in RGB, its long side at most ``max_side``.

        Raises:
            ImageProblem: the file cannot be read any more.
        """
        return decode_rgb(self.path, max_side=max_side)
