"""Backbones of the multi-label classifier: pixels to a square grid of features.

Axes: B = images, H, W = pixels, C = features of a cell, S = side of the grid.
"""

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from locstudio.domain.errors import BadInput
from locstudio.models.towers import LITE, LITE_INPUT_PX, LITE_STATISTICS, LITE_TRUNK, fill_lite_trunk, lite_maps
from locstudio.models.weights import load_strictly, read_weights


class Backbone(nn.Module):
    """A convolutional or token network by its name; ``forward`` gives features (B, C, S, S) of preprocessed images.

    Weights are the package's of ``locstudio-lite``, and random of any other until ``load`` or a checkpoint fills them;
    nothing is ever fetched.

    Args:
        name: ``locstudio-lite``, or a name of timm.
        input_px: Side of the square that goes in; 0 for the architecture's own.

    Raises:
        BadInput: timm has no such model, it takes no images of this side, or it gives no square grid.
    """

    mean_3: Tensor
    std_3: Tensor

    def __init__(self, name: str, input_px: int = 0) -> None:
        super().__init__()
        self.name = name
        self.trunk: Any = _trunk(name, input_px)
        given = self.trunk.pretrained_cfg
        self.input_px = input_px or (LITE_INPUT_PX if name == LITE else int(given["input_size"][-1]))
        mean, std = LITE_STATISTICS if name == LITE else (given["mean"], given["std"])
        self.register_buffer("mean_3", torch.tensor(mean), persistent=False)
        self.register_buffer("std_3", torch.tensor(std), persistent=False)

    def forward(self, pixels_B3HW: Tensor) -> Tensor:
        """Features (B, C, S, S): what the network's classifier would average."""
        if self.name == LITE:
            return lite_maps(self.trunk, pixels_B3HW)
        last, levels = self.trunk.forward_intermediates(pixels_B3HW, indices=1, norm=True, output_fmt="NCHW")
        # A network of tokens has a flat last output; its normalised last level is the same as a grid.
        is_grid = last.ndim == 4 and last.shape[-2:] == levels[-1].shape[-2:]
        return last if is_grid else levels[-1]

    def preprocess(self, square_HW3: NDArray[np.uint8]) -> Tensor:
        """Pixels (3, H, W) as the network wants them, from an RGB square of ``input_px``.

        Raises:
            ValueError: the square has another size.
        """
        if square_HW3.shape != (self.input_px, self.input_px, 3):
            raise ValueError(f"the model wants {self.input_px} x {self.input_px} pixels in RGB, not {square_HW3.shape}")
        pixels_3HW = torch.tensor(square_HW3, device=self.mean_3.device).permute(2, 0, 1).float() / 255
        return (pixels_3HW - self.mean_3[:, None, None]) / self.std_3[:, None, None]

    def load(self, file: Path) -> None:
        """Take the weights of a file of tensors under timm's names; those of its classifier are left.

        Raises:
            BadInput: the file is missing, damaged, or holds more than tensors.
            CheckpointMismatch: it holds another architecture.
        """
        heads = self.trunk.pretrained_cfg.get("classifier") or ()
        prefixes = tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads))
        own = self.trunk.state_dict()
        state = {
            key: tensor
            for key, tensor in read_weights(file).items()
            if key in own or not (prefixes and key.startswith(prefixes))
        }
        load_strictly(self.trunk, state, f"{file.name} for {self.name}")

    @torch.no_grad()
    def shape(self) -> tuple[int, int]:
        """Features of a cell and side of the grid, found by running once on nothing.

        Raises:
            BadInput: the network takes no such images or gives no square grid.
        """
        was_training = self.training
        self.eval()
        nothing = torch.zeros(1, 3, self.input_px, self.input_px, device=self.mean_3.device)
        try:
            features = self(nothing)
        except (RuntimeError, AssertionError, ValueError, TypeError, AttributeError) as error:
            raise BadInput(
                f"The model {self.name} gives no grid of features for images of {self.input_px} px: {error}."
            ) from error
        self.train(was_training)
        if features.ndim != 4 or features.shape[2] != features.shape[3]:
            raise BadInput(f"The model {self.name} gives no square grid of features: {tuple(features.shape)}.")
        return int(features.shape[1]), int(features.shape[2])


def _trunk(name: str, input_px: int) -> Any:
    if name == LITE:
        trunk = timm.create_model(LITE_TRUNK, pretrained=False, num_classes=0)
        fill_lite_trunk(trunk)
        return trunk.eval()
    # A name with a colon would have timm read a folder or fetch a file.
    if ":" in name or not timm.is_model(name):
        raise BadInput(f"timm knows no model called {name!r}. Its names look like resnet50 or vit_small_patch16_224.")
    try:
        given = timm.get_pretrained_cfg(name, allow_unregistered=False)
        sized = {"img_size": input_px} if input_px and given is not None and given.fixed_input_size else {}
        return timm.create_model(name, pretrained=False, num_classes=0, **sized).eval()
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        size = f" for images of {input_px} px" if input_px else ""
        raise BadInput(f"timm cannot build {name}{size}: {error}.") from error
