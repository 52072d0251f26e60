"""The multi-label classifier: class maps over an image, and a score for each class.

A backbone gives cells, a small neck and a head give a map of each class, and a map's mean is the class's score.  While
the backbone is frozen, cells are computed once an image and views are cut out of them.

Axes: B = images, H, W = pixels, N = tokens (the global one first), D = token width, C = channels of a cell, S = side of
the cells of a whole picture, L = classes, G = side of class maps, M = any number of tokens.
"""

from typing import Literal

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from locstudio.models.backbones import Backbone
from locstudio.models.cloc import Cloc
from locstudio.models.config import TowerConfig
from locstudio.models.mask_segmenter import tokens_sha256
from locstudio.models.sampling import letterbox_matrix, sample
from locstudio.models.towers import LITE

PRIOR = 0.03
"""How likely a class is before anything is learnt."""


class ConsistencyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a multi-label checkpoint is made of; its ``config.json``.

    Attributes:
        name: What a person calls it.
        classes: Names in the order of scores and maps.
        tower: CLOC's packaged tower whose tokens are read, or None for a backbone of its own.
        backbone: ``locstudio-lite``, or a name of timm.
        input_px: Side of the square picture.
        token_width: Features of a cell that leave the backbone (of the packaged tower: after CLOC's own reduction).
        width: Channels of a cell after the reduction.
        cell_grid: Side of the cells of a whole picture.
        hidden: Channels of the neck.
        grid: Side of the class maps of a view, and of heatmaps.
        trains: ``head``: the backbone is as it came, pictures are letterboxed as CLOC's are, and views are cut out of
            the cells; ``all``: the backbone was trained too, and an image or view is stretched to the square.
        pools: What is averaged over a class map to a score.
        boost: Positive values of a class map are multiplied by this before (BoostLU); 1 for not at all.
        dropout: Share of the neck's channels left out of a cell while training.
        tokens_sha256: Names the tokens of the packaged tower; empty for other backbones.
    """

    format_version: int = 1
    model: Literal["consistency"] = "consistency"
    name: str
    classes: tuple[str, ...]
    tower: TowerConfig | None = None
    backbone: str = LITE
    input_px: int
    token_width: int
    width: int = 192
    cell_grid: int
    hidden: int = 128
    grid: int = 14
    trains: Literal["head", "all"] = "head"
    pools: Literal["logits", "probabilities"] = "logits"
    boost: float = 1.0
    dropout: float = 0.0
    tokens_sha256: str = ""


class Consistency(nn.Module):
    """Class maps and scores of images.  ``id`` is the checkpoint's, empty for a model that was never saved.

    The packaged tower is no part of the module's weights: it is built when pixels are first encoded.
    """

    def __init__(self, config: ConsistencyConfig) -> None:
        super().__init__()
        self.config = config
        self.id = ""
        self._packaged: list[Backbone] = []
        self.backbone: Backbone | None = None
        self.enter: nn.Linear | None = None
        if config.tower is None:
            self.backbone = Backbone(config.backbone, config.input_px)
        else:
            self.enter = nn.Linear(config.tower.width, config.token_width)
        self.reduce: nn.Linear | nn.Identity = (
            nn.Linear(config.token_width, config.width) if config.width != config.token_width else nn.Identity()
        )
        self.neck = Neck(width=config.width, hidden=config.hidden, dropout=config.dropout)
        self.head = nn.Linear(config.hidden, len(config.classes))
        clear_rows(self.head, range(len(config.classes)))
        if config.trains == "head":
            for part in (self.backbone, self.enter, self.reduce):
                if part is not None:
                    part.requires_grad_(False)

    @property
    def input_px(self) -> int:
        """Side of the square picture that ``preprocess`` takes."""
        return self.config.input_px

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    @property
    def tokens_shape(self) -> tuple[int, int]:
        """Tokens of an image, and numbers of each."""
        return self.config.cell_grid**2 + 1, self.config.token_width

    @property
    def tokens_id(self) -> str:
        """Names what a frozen backbone makes of an image; models of one name have the same tokens."""
        if self.config.tower is not None:
            return f"tower-{self.config.tokens_sha256[:16]}"
        assert self.backbone is not None
        place = (self.config.backbone, self.config.input_px)
        return f"backbone-{tokens_sha256(self.backbone, place)[:16]}"

    def train(self, mode: bool = True) -> "Consistency":
        """As of any module, but a frozen backbone keeps its statistics."""
        super().train(mode)
        if self.config.trains == "head" and self.backbone is not None:
            self.backbone.eval()
        return self

    def preprocess(self, square_HW3: NDArray[np.uint8]) -> Tensor:
        """Pixels (3, H, W) from an RGB square of ``input_px``: a letterboxed image, or a stretched image or view.

        Raises:
            ValueError: the square has another size.
        """
        return self._eyes().preprocess(square_HW3)

    def encode_image(self, pixels_B3HW: Tensor) -> Tensor:
        """Tokens (B, N, D) of preprocessed images; what is cached while the backbone is frozen."""
        grid_BND = self._eyes()(pixels_B3HW).flatten(2).transpose(1, 2)
        tokens_BND = torch.cat([grid_BND.mean(dim=1, keepdim=True), grid_BND], dim=1)
        return tokens_BND if self.enter is None else self.enter(tokens_BND)

    def cells_of_tokens(self, tokens_BND: Tensor) -> Tensor:
        """Cells (B, C, S, S), channels last in memory, of cached tokens in any precision.

        With the packaged tower these may be the tokens of a CLOC model, see ``has_its_tokens``.
        """
        cells_BMC = self.reduce(tokens_BND[:, 1:].to(self.device, torch.float32))
        side = self.config.cell_grid
        return cells_BMC.unflatten(1, (side, side)).permute(0, 3, 1, 2)

    def cells(self, pixels_B3HW: Tensor) -> Tensor:
        """Cells (B, C, S, S) of preprocessed pictures: backbone and reduction."""
        return self.cells_of_tokens(self.encode_image(pixels_B3HW))

    def maps(self, cells_BCGG: Tensor) -> Tensor:
        """Class maps (B, L, G, G), logits, of cells of images or views."""
        return self.head(self.neck(cells_BCGG)).permute(0, 3, 1, 2)

    def score(self, maps_BLGG: Tensor) -> Tensor:
        """Scores (B, L), logits, of class maps.

        Source: BoostLU (Kim et al., arXiv:2304.01804) for ``boost``.
        """
        if self.config.boost != 1:
            maps_BLGG = torch.where(maps_BLGG > 0, self.config.boost * maps_BLGG, maps_BLGG)
        if self.config.pools == "logits":
            return maps_BLGG.mean(dim=(2, 3))
        return maps_BLGG.sigmoid().mean(dim=(2, 3)).logit(eps=1e-6)

    def frame(self, width: int, height: int) -> Tensor:
        """Takes points of an upright image (``unit``) to points of the picture that the model sees, (3, 3)."""
        return letterbox_matrix(width, height) if self.config.trains == "head" else torch.eye(3)

    def heat(self, cells_BCSS: Tensor, frame_B33: Tensor) -> tuple[Tensor, Tensor]:
        """Heatmaps and scores of whole images, both probabilities.

        Args:
            cells_BCSS: Cells of whole pictures.
            frame_B33: ``frame`` of each image.

        Returns:
            Heatmaps (B, L, ``grid``, ``grid``) over the upright image, and scores (B, L).
        """
        frame_B33 = frame_B33.to(cells_BCSS)
        if self.config.trains == "head":
            maps_BLGG = self.maps(sample(cells_BCSS, frame_B33, self.config.grid))
            return maps_BLGG.sigmoid(), self.score(maps_BLGG).sigmoid()
        maps_BLSS = self.maps(cells_BCSS)
        return sample(maps_BLSS.sigmoid(), frame_B33, self.config.grid), self.score(maps_BLSS).sigmoid()

    def _eyes(self) -> Backbone:
        if self.backbone is not None:
            return self.backbone
        if not self._packaged:
            self._packaged.append(Backbone(self.config.backbone, self.config.input_px).eval().requires_grad_(False))
        if self._packaged[0].mean_3.device != self.device:
            self._packaged[0].to(self.device)
        return self._packaged[0]


class Neck(nn.Module):
    """Each cell by itself, then with its neighbours, then by itself again.

    The layers of single cells are linear maps over the last axis, which is a 1x1 convolution and faster on a CPU.
    """

    def __init__(self, *, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.enter = nn.Linear(width, hidden)
        self.look = nn.Conv2d(hidden, hidden, 3, groups=hidden, padding=1, padding_mode="replicate")
        self.leave = nn.Linear(hidden, hidden)
        self.dropout = dropout

    def forward(self, cells_BCGG: Tensor) -> Tensor:
        """What the head reads, (B, G, G, hidden), of cells (B, C, G, G)."""
        own = F.gelu(self.enter(self.norm(cells_BCGG.permute(0, 2, 3, 1))))
        near = self.look(own.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return F.dropout(F.gelu(self.leave(own + F.gelu(near))), self.dropout, training=self.training)


def clear_rows(head: nn.Linear, rows: "range | list[int]") -> None:
    """Make the head know nothing of these classes: no weights, and ``PRIOR`` everywhere."""
    with torch.no_grad():
        head.weight[list(rows)] = 0.0
        head.bias[list(rows)] = float(np.log(PRIOR / (1 - PRIOR)))


def has_its_tokens(cloc: Cloc, config: ConsistencyConfig) -> bool:
    """Whether a CLOC model's tokens are those that a multi-label model reads."""
    tower = cloc.config.tower
    return tower.is_packaged and tokens_sha256(cloc.reduce, tower) == config.tokens_sha256


def fit_reduction(tokens_MD: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Weight (``width``, D) and bias of the principal components of tokens, scaled to a mean variance of one.

    Components point to where their largest number is positive, so that the same tokens give the same map.

    Raises:
        ValueError: there are fewer tokens, or numbers of a token, than components.
    """
    if min(tokens_MD.shape) < width:
        raise ValueError(f"{tuple(tokens_MD.shape)} tokens have no {width} principal components")
    mean_D = tokens_MD.double().mean(dim=0)
    centred_MD = tokens_MD.double() - mean_D
    strength_D, basis_DD = torch.linalg.eigh(centred_MD.T @ centred_MD / len(tokens_MD))
    weight_CD = basis_DD.flip(1)[:, :width].T
    weight_CD = weight_CD * weight_CD.gather(1, weight_CD.abs().argmax(dim=1, keepdim=True)).sign()
    variance = strength_D.flip(0)[:width].mean().clamp(min=1e-12)
    weight_CD = weight_CD / variance.sqrt()
    return weight_CD.float(), (-weight_CD @ mean_D).float()
