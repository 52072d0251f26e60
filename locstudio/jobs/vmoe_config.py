"""What a Mobile V-MoE checkpoint is made of (arXiv:2309.04354): its ``config.json`` holds one ``VmoeConfig``.

No torch here: whoever wants to know what a checkpoint is need not load it.
"""

import math
from typing import Literal

import msgspec

RoutingMode = Literal["dense", "superclass", "image", "token", "random", "oracle"]
"""Who chooses the expert: nobody (``dense``), a router taught superclasses, a router taught by the classes alone
(``image``), one router a layer and token (``token``: V-MoE), chance, or the true superclass (``oracle``)."""

Stem = Literal["backbone", "patch", "conv"]
MAX_EXPERTS = 256
"""More experts than this are in no model, and in no file about one."""
_MAX_CHOSEN = 10


def usual_num_experts(num_classes: int) -> int:
    """How many experts there are where nobody says how many: about the root of the classes that are shown.

    At least two, and at most ten; in the paper more did not help.
    """
    return max(2, min(_MAX_CHOSEN, round(math.sqrt(num_classes))))


class VmoeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vision transformer whose last layers have experts.

    Attributes:
        classes: What it names, in the order of its logits.
        superclasses: A name for each expert, where experts are taught superclasses; else empty.
        superclass_of: For each class its position in ``superclasses``; empty where there are none.
        routing: Who chooses the expert.  ``dense`` has no experts, and ``num_moe_layers`` 0.
        stem: What makes tokens of pixels: a frozen ``backbone``, the linear map of a ``patch``, or convolutions.
        backbone: Name of the frozen network; weights of ``locstudio-lite`` come from a package.
        input_px: Side of the square picture, into which an image is stretched.
        stem_width: Numbers of a token that the frozen backbone gives; 0 for the other stems.
        grid: Side of the grid of tokens that enters the transformer; the backbone's is averaged down to it.
        patch: Side of a patch in pixels; 0 for a backbone.
        width: Of a token in the transformer.
        depth: Layers, the MoE layers (the last ones) included.
        mlp_ratio: Width of an MLP, and of each expert, in token widths.
        num_moe_layers: L.  They share one decision an image, but for ``token``.
        num_experts: E, the experts of each MoE layer.
        num_active: k, the experts that compute.
        has_shared_expert: One more expert that always computes (not in the paper).
        renormalises: Gates of the chosen experts sum to one; the paper's are the router's probabilities as they are.
        dropout: Share of the numbers left out inside MLPs while training.
        drop_path: Share of the layers left out while training, growing from 0 to this with depth.
    """

    model: Literal["vmoe"] = "vmoe"
    format_version: int = 1
    name: str
    classes: tuple[str, ...]
    superclasses: tuple[str, ...] = ()
    superclass_of: tuple[int, ...] = ()
    routing: RoutingMode = "superclass"
    stem: Stem = "backbone"
    backbone: str = "locstudio-lite"
    input_px: int = 224
    stem_width: int = 0
    grid: int = 7
    patch: int = 0
    width: int = 192
    depth: int = 6
    heads: int = 3
    mlp_ratio: float = 4.0
    num_moe_layers: int = 2
    num_experts: int = 10
    num_active: int = 1
    has_shared_expert: bool = False
    renormalises: bool = False
    dropout: float = 0.0
    drop_path: float = 0.0
