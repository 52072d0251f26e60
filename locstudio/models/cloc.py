"""CLOC: an image's tokens, asked with a box or a text.

Axes: B = images, N = tokens (the global one first), C = token width, R = boxes, T = texts, D = embedding width,
P = proposals.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from locstudio.models.config import ClocConfig, PrompterConfig
from locstudio.models.extractors import RoiAlign, crop_pixels
from locstudio.models.heads import GroundingHead, ProposalHead, best_proposals
from locstudio.models.point_head import PointHead
from locstudio.models.prompter import Prompter
from locstudio.models.towers import Towers

_CROPS_AT_ONCE = 32
GROUNDING_CANDIDATES = 60
PROPOSAL_IOU = 0.6
_OBJECTNESS_WEIGHT = 0.1
_POINTED_OBJECTNESS = 0.05  # of a box that comes from the grounding head, which claims none


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """An image ready for any number of boxes and texts.

    ``prompted_NC`` is what the Prompter reads, ``tokens_NC`` what the other heads read, ``pixels_3HW`` what a model
    that crops reads (None for all others).
    """

    tokens_NC: Tensor
    prompted_NC: Tensor
    pixels_3HW: Tensor | None = None


class Cloc(nn.Module):
    """A CLOC model: towers, Prompter (or a rival of it), grounding head, proposal head.

    ``id`` is the checkpoint's id, empty for a model that was never saved.
    """

    def __init__(self, config: ClocConfig, towers: Towers) -> None:
        super().__init__()
        self.config = config
        self.id = ""
        self.towers = towers
        width, dim, grid = config.token_width, config.dim, round((config.tower.num_tokens - 1) ** 0.5)
        self.reduce: nn.Linear | nn.Identity = (
            nn.Linear(config.tower.width, width) if width != config.tower.width else nn.Identity()
        )
        self.image_project = nn.Linear(width, dim)
        self.text_project = nn.Linear(towers.text_width, dim, bias=False)
        self.prompter = _extractor(config.prompter, width=width, dim=dim, grid=grid)
        self.crop_project = nn.Linear(width, dim) if config.prompter.extractor == "crop" else None
        self.grounding = GroundingHead(width=width)
        head = PointHead if config.proposals == "points" else ProposalHead
        self.proposals: PointHead | ProposalHead = head(width=width, grid=grid)
        self.logit_scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))
        for layer in (self.image_project, self.text_project):
            _start_as_identity(layer)

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return self.config.dim

    @property
    def input_px(self) -> int:
        """Side of the square image that ``preprocess`` takes."""
        return self.config.tower.input_px

    @property
    def crop_px(self) -> int:
        """Side of the crops of a model that crops."""
        return self.config.prompter.crop_px or self.input_px

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.logit_scale.device

    def preprocess(self, square_HW3: NDArray[np.uint8]) -> Tensor:
        """Pixels (3, H, W) from an RGB square of ``input_px``.

        Raises:
            ValueError: the square has another size.
        """
        return self.towers.preprocess(square_HW3)

    def encode_image(self, pixels_B3HW: Tensor) -> Tensor:
        """Tokens (B, N, C) of preprocessed images, float32; what is cached."""
        return self.reduce(self.towers.image_tokens(pixels_B3HW))

    def prepare(self, tokens_NC: Tensor, pixels_3HW: Tensor | None = None) -> PreparedImage:
        """Do once an image what every box and text of it needs; tokens may come from a cache in half precision."""
        tokens = tokens_NC.to(self.device, torch.float32)
        return PreparedImage(tokens, self.prompter.prepare(tokens[None])[0], pixels_3HW)

    def embed_boxes(self, prepared: PreparedImage, boxes_R4: Tensor) -> Tensor:
        """Embeddings (R, D) of boxes in the ``square`` frame, L2-normalised.

        Raises:
            ValueError: the model crops and ``prepare`` was given no pixels.
        """
        boxes = boxes_R4.to(self.device, torch.float32)
        if self.crop_project is not None:
            if prepared.pixels_3HW is None:
                raise ValueError("a model that crops needs the pixels in prepare()")
            crops = crop_pixels(prepared.pixels_3HW[None], boxes[None], self.crop_px)[0]
            return self.embed_crops(self.crop_states(crops))
        return self.prompter.embed_boxes(prepared.prompted_NC[None], boxes[None])[0]

    def crop_states(self, crops_R3HW: Tensor) -> Tensor:
        """Global tokens (R, C) of crops encoded as images of their own; what a trainer with a frozen tower keeps."""
        if not len(crops_R3HW):
            return crops_R3HW.new_zeros(0, self.config.token_width)
        return torch.cat([self.encode_image(part)[:, 0] for part in crops_R3HW.split(_CROPS_AT_ONCE)])

    def embed_crops(self, states_RC: Tensor) -> Tensor:
        """Embeddings (R, D) of crops from their global tokens, L2-normalised."""
        assert self.crop_project is not None
        kept = F.dropout(states_RC, self.config.prompter.dropout, training=self.training)
        return F.normalize(self.crop_project(kept), dim=-1)

    def text_features(self, texts: list[str]) -> Tensor:
        """The text tower's own features, before our projection; what a trainer with a frozen tower keeps."""
        return self.towers.text_features(texts)

    def project_texts(self, features_TF: Tensor) -> Tensor:
        """Embeddings (T, D) of text features, L2-normalised."""
        return F.normalize(self.text_project(features_TF), dim=-1)

    def embed_texts(self, texts: list[str]) -> Tensor:
        """Embeddings (T, D) of sentences, L2-normalised."""
        return self.project_texts(self.text_features(texts))

    def embed_images(self, tokens_BNC: Tensor) -> Tensor:
        """Embeddings (B, D) of whole images, L2-normalised: the tower's global token, projected."""
        return F.normalize(self.image_project(tokens_BNC[:, 0]), dim=-1)

    def embed_image(self, prepared: PreparedImage) -> Tensor:
        """Embedding (D,) of the whole image, L2-normalised."""
        return self.embed_images(prepared.tokens_NC[None])[0]

    def point(self, prepared: PreparedImage, text_TD: Tensor) -> Tensor:
        """Where the grounding head says each text is: boxes (T, 4) in the ``square`` frame."""
        states = self.prompter.state_of_texts(prepared.prompted_NC[None], text_TD[None])
        return self.grounding(states)[0]

    def ground(
        self, prepared: PreparedImage, text_TD: Tensor, proposed: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Where each text is: boxes (T, 4) in the ``square`` frame and scores (T,), the cosine of box and text.

        ``proposed`` is what ``propose`` has said of the image with ``GROUNDING_CANDIDATES``, where that is known.

        Not in the paper, which takes the grounding head's box as it is: that box is one candidate among the proposals,
        and the best sum of likeness and a tenth of the logarithm of objectness wins.
        """
        pointed_T4 = self.point(prepared, text_TD)
        proposed_P4, objectness_P = proposed or self.propose(prepared, GROUNDING_CANDIDATES)
        boxes_C4 = torch.cat([proposed_P4.to(self.device), pointed_T4])
        likeness_TC = text_TD @ self.embed_boxes(prepared, boxes_C4).T
        claimed_T = likeness_TC.new_full((len(text_TD),), _POINTED_OBJECTNESS)
        objectness_C = torch.cat([objectness_P.to(self.device), claimed_T])
        merit_TC = likeness_TC + _OBJECTNESS_WEIGHT * objectness_C.clamp(min=1e-3).log()
        # A text's own pointed box is its candidate; those of other texts are not.
        foreign_TT = ~torch.eye(len(text_TD), dtype=torch.bool, device=self.device)
        merit_TC[:, len(proposed_P4) :].masked_fill_(foreign_TT, -torch.inf)
        best_T = merit_TC.argmax(dim=1)
        return boxes_C4[best_T], likeness_TC.gather(1, best_T[:, None])[:, 0]

    def propose(self, prepared: PreparedImage, limit: int, *, max_iou: float = PROPOSAL_IOU) -> tuple[Tensor, Tensor]:
        """At most ``limit`` boxes (P, 4) in the ``square`` frame where things may be, with objectness, best first.

        Of boxes that overlap by more than ``max_iou`` only the best is there.
        """
        logits, boxes = self.proposals(prepared.tokens_NC[None])
        scores = logits[0].sigmoid().float().cpu().numpy()
        boxes_P4, objectness_P = best_proposals(boxes[0].float().cpu().numpy(), scores, limit=limit, max_iou=max_iou)
        return torch.from_numpy(boxes_P4), torch.from_numpy(objectness_P)


def _extractor(config: PrompterConfig, *, width: int, dim: int, grid: int) -> Prompter | RoiAlign:
    if config.extractor in ("roi_align", "crop"):
        return RoiAlign(width=width, dim=dim, text_width=dim, grid=grid, dropout=config.dropout)
    return Prompter(
        width=width,
        dim=dim,
        text_width=dim,
        grid=grid,
        is_literal=config.extractor == "literal",
        mlp_ratio=config.mlp_ratio,
        has_corner_embedding=config.has_corner_embedding,
        has_box_bias=config.has_box_bias,
        has_grid_position=config.has_grid_position,
        dropout=config.dropout,
    )


def _start_as_identity(layer: nn.Linear) -> None:
    """A projection between equal widths begins as none; a global token padded with zeros keeps its first numbers."""
    nn.init.eye_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
