"""What a Mobile V-MoE costs: multiply-adds of an image, and weights, from the configuration alone.

One multiply-add is one MAC, two FLOPs.  Matrix products, convolutions and attention are counted, as torch's
``FlopCounterMode`` does; norms, activations and sums are not.
"""

import functools
import itertools
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.models.backbones import Backbone


@dataclass(frozen=True, slots=True)
class Macs:
    """The cost of one image.

    Attributes:
        total: MACs from pixels to logits.
        stem: Of these, from pixels to tokens, with the frozen backbone.
        router: Of these, of all routers.
        per_expert: Of one expert of one MoE layer.
        params: Weights, without those of a frozen backbone.
        active_params: Of these, those that one image needs; of routed tokens at most all, so this is of one token.
    """

    total: int
    stem: int
    router: int
    per_expert: int
    params: int
    active_params: int


def macs(config: VmoeConfig) -> Macs:
    """The cost of a configuration.  The frozen backbone is built and run once, which takes a second.

    Raises:
        BadInput: the backbone cannot be built.
    """
    num_tokens, width = config.grid**2 + 1, config.width
    hidden = round(width * config.mlp_ratio)
    stem = config.grid**2 * config.stem_width * width
    if config.stem == "backbone":
        stem += _backbone_macs(config.backbone, config.input_px)
    else:
        side = config.input_px
        for come, go, kernel, stride in stem_maps(config):
            side //= stride
            stem += side**2 * come * go * kernel**2
    attention = num_tokens * width * (4 * width + 2 * num_tokens)
    mlp = 2 * num_tokens * width * hidden
    router = width * config.num_experts * _num_routers(config)
    router *= num_tokens if config.routing == "token" else 1
    layers = config.depth * attention + _num_mlps(config, config.num_active) * mlp
    params = num_weights(config)
    idle = config.num_moe_layers * (config.num_experts - config.num_active) * _mlp_weights(config)
    head = width * len(config.classes)
    return Macs(stem + layers + router + head, stem, router, mlp, params, params - idle)


def num_weights(config: VmoeConfig) -> int:
    """Weights of a model of this configuration, without those of a frozen backbone."""
    width, depth = config.width, config.depth
    if config.stem == "backbone":
        stem = 2 * config.stem_width + config.stem_width * width + width
    else:
        maps = stem_maps(config)
        # All but the last convolution have a norm instead of a bias.
        stem = sum(come * go * kernel**2 for come, go, kernel, _ in maps)
        stem += sum(2 * go for _, go, _, _ in maps[:-1]) + width
    places = (config.grid**2 + 2) * width
    attention = 4 * width**2 + 4 * width + 2 * 2 * width
    routers = _num_routers(config) * config.num_experts * width
    routers += 2 * width if routers and config.routing != "token" else 0
    head = 2 * width + width * len(config.classes) + len(config.classes)
    return (
        stem
        + places
        + depth * attention
        + _num_mlps(config, config.num_experts) * _mlp_weights(config)
        + routers
        + head
    )


def stem_maps(config: VmoeConfig) -> list[tuple[int, int, int, int]]:
    """Channels in and out, kernel and stride of each convolution that makes tokens of pixels; none of a backbone.

    Source of the chain of convolutions: Xiao et al. (arXiv:2106.14881), halving the side until a patch is one cell.
    """
    if config.stem == "backbone":
        return []
    if config.stem == "patch":
        return [(3, config.width, config.patch, config.patch)]
    num_halvings = config.patch.bit_length() - 1
    channels = [3, *(max(8, config.width >> (num_halvings - step)) for step in range(1, num_halvings + 1))]
    return [
        *((come, go, 3, 2) for come, go in itertools.pairwise(channels)),
        (channels[-1], config.width, 1, 1),
    ]


def _num_routers(config: VmoeConfig) -> int:
    if config.routing == "token":
        return config.num_moe_layers
    return 1 if config.routing in ("superclass", "image", "oracle") else 0


def _num_mlps(config: VmoeConfig, num_experts: int) -> int:
    """MLPs of all layers, where a MoE layer has so many experts."""
    in_moe_layer = num_experts + (1 if config.has_shared_expert else 0)
    return config.depth - config.num_moe_layers + config.num_moe_layers * in_moe_layer


def _mlp_weights(config: VmoeConfig) -> int:
    hidden = round(config.width * config.mlp_ratio)
    return 2 * config.width * hidden + hidden + config.width


@functools.lru_cache(maxsize=8)
def _backbone_macs(name: str, input_px: int) -> int:
    backbone = Backbone(name, input_px).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        backbone(torch.zeros(1, 3, input_px, input_px))
    return counter.get_total_flops() // 2
