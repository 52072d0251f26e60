"""Mobile V-MoE (arXiv:2309.04354): a small vision transformer that chooses its experts once an image.

Dense layers come first, then one router reads the class token, and all MoE layers behind it compute with the experts
that it chose.  Controls share everything but who chooses: nobody, chance, the truth, or a router for each token.

Axes: B = images, H, W = pixels, C = channels of a cell, S = side of the grid, N = tokens (the class token first),
D = token width, R = routers (1, or one each MoE layer where tokens are routed), E = experts, k = experts that compute,
L = classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from locstudio.domain.errors import BadInput
from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.models.backbones import Backbone
from locstudio.models.mobile_vmoe_macs import stem_maps
from locstudio.models.moe_choosing import Choice, Router, drawn, forced, likeliest, of_images
from locstudio.models.moe_layers import Dispatch, Layer
from locstudio.models.towers import LITE

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_INIT_STD = 0.02
_NEVER = -1e4
"""A logit so low that the expert has no probability at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Routed:
    """What a model says of images, and who computed it.

    Attributes:
        logits_BL: Of the classes.
        router_BRE: Probability of each expert; of a router of tokens the share of the tokens that took each expert
            first.  R is 0 for a dense model.
        experts_BRk: Those that computed, the likeliest first; of tokens those that most tokens took.
        gates_BRk: What their results were multiplied by; of tokens as ``router_BRE``.
        router_logits: For each router (B, E), of tokens (B, N, E); for losses.
        noisy_logits: The same with the noise that a router has while training; without noise the very same.
    """

    logits_BL: Tensor
    router_BRE: Tensor
    experts_BRk: Tensor
    gates_BRk: Tensor
    router_logits: list[Tensor]
    noisy_logits: list[Tensor]


class MobileVmoe(nn.Module):
    """Classes of images by the experts that a router chose.  ``id`` is the checkpoint's, empty if it was never saved.

    The packaged tower is no part of the module's weights: it is built when pixels are first turned into cells.  Any
    other backbone is, and stays as it is.
    """

    mean_3: Tensor
    std_3: Tensor

    def __init__(self, config: VmoeConfig) -> None:
        super().__init__()
        self.config = config
        self.id = ""
        self._packaged: list[Backbone] = []
        self.backbone: Backbone | None = None
        if config.stem == "backbone" and config.backbone != LITE:
            self.backbone = Backbone(config.backbone, config.input_px).requires_grad_(False)
        self.register_buffer("mean_3", torch.tensor(_MEAN), persistent=False)
        self.register_buffer("std_3", torch.tensor(_STD), persistent=False)
        self.stem = _stem(config)
        self.class_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.position = nn.Parameter(torch.empty(1, config.grid**2 + 1, config.width))
        self.layers = nn.ModuleList(_layer(config, place) for place in range(config.depth))
        has_router = config.routing in ("superclass", "image", "oracle")
        self.router = Router(config.width, config.num_experts) if has_router else None
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, len(config.classes))
        for weight in (self.class_token, self.position, self.head.weight):
            nn.init.trunc_normal_(weight, std=_INIT_STD)
        nn.init.zeros_(self.head.bias)

    @property
    def input_px(self) -> int:
        """Side of the square picture that ``preprocess`` takes."""
        return self.config.input_px

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    @property
    def moe_layers(self) -> tuple[int, ...]:
        """Numbers of the layers that have experts, counted from 1."""
        return tuple(range(self.config.depth - self.config.num_moe_layers + 1, self.config.depth + 1))

    def train(self, mode: bool = True) -> "MobileVmoe":
        """As of any module, but a frozen backbone keeps its statistics."""
        super().train(mode)
        if self.backbone is not None:
            self.backbone.eval()
        return self

    def preprocess(self, square_HW3: NDArray[np.uint8]) -> Tensor:
        """Pixels (3, H, W) from an RGB square of ``input_px``, into which an image was stretched.

        Raises:
            ValueError: the square has another size.
        """
        if self.config.stem == "backbone":
            return self._eyes().preprocess(square_HW3)
        side = self.config.input_px
        if square_HW3.shape != (side, side, 3):
            raise ValueError(f"the model wants {side} x {side} pixels in RGB, not {square_HW3.shape}")
        pixels_3HW = torch.tensor(square_HW3, device=self.device).permute(2, 0, 1).float() / 255
        return (pixels_3HW - self.mean_3[:, None, None]) / self.std_3[:, None, None]

    @torch.no_grad()
    def cells(self, pixels_B3HW: Tensor) -> Tensor:
        """What ``forward`` takes of preprocessed images: the frozen backbone's features, averaged to the grid
        (B, C, S, S), which never change and may be kept; or the pixels, where the model has no backbone.

        Raises:
            BadInput: the backbone gives other features than the configuration says.
        """
        if self.config.stem != "backbone":
            return pixels_B3HW
        features_BCSS = self._eyes()(pixels_B3HW)
        if features_BCSS.shape[1] != self.config.stem_width:
            raise BadInput(
                f"The model {self.config.name} takes {self.config.stem_width} numbers of a cell, and "
                f"{self.config.backbone} gives {features_BCSS.shape[1]}. Take another checkpoint into use."
            )
        return F.adaptive_avg_pool2d(features_BCSS, self.config.grid)

    def forward(
        self,
        inputs: Tensor,
        *,
        superclass_B: Tensor | None = None,
        forced_B: Tensor | None = None,
        seed_B: Tensor | None = None,
    ) -> Routed:
        """Classes of images, and who computed them.

        Args:
            inputs: What ``cells`` gives, in any precision.
            superclass_B: The true superclass, int64, -1 where it is not known; only the ``oracle`` reads it.  It then
                has a gate of one; where nothing is known the router chooses.
            forced_B: The expert that alone computes in every MoE layer, int64, whoever was chosen.  Its gate is that of
                the choice (of several the sum), so that nothing but the expert differs.
            seed_B: What ``random`` draws by, int64, so that an image has the same experts every time.  Without it the
                draw is new while training, and by the image's content otherwise.
        """
        x_BND = self._dense(inputs)
        if self.config.routing == "token":
            return self._by_tokens(x_BND, forced_B)
        if self.config.routing == "dense":
            return _routed(self._classes(x_BND[:, 0]), [], self.config)
        choice = self._choose(x_BND[:, 0], superclass_B, self._seeds(inputs) if seed_B is None else seed_B)
        return self._by_images(x_BND, choice if forced_B is None else forced(choice, forced_B))

    @torch.no_grad()
    def what_if(self, inputs: Tensor) -> Tensor:
        """Logits (E, B, L): what the classes would be, had each expert in turn computed alone; see ``forward``.

        Everything is computed for all experts at once, so this is for few images.

        Raises:
            ValueError: the model has no experts.
        """
        if self.config.routing == "dense":
            raise ValueError(f"{self.config.name} has no experts")
        num_images, num_experts = len(inputs), self.config.num_experts
        x_MND = self._dense(inputs).repeat(num_experts, 1, 1)
        forced_M = torch.arange(num_experts, device=self.device).repeat_interleave(num_images)
        if self.config.routing == "token":
            routed = self._by_tokens(x_MND, forced_M)
        else:
            seed_B = self._seeds(inputs)
            choice = self._choose(x_MND[:, 0], None, None if seed_B is None else seed_B.repeat(num_experts))
            routed = self._by_images(x_MND, forced(choice, forced_M))
        return routed.logits_BL.unflatten(0, (num_experts, num_images))

    def _dense(self, inputs: Tensor) -> Tensor:
        """Tokens behind the layers that have no experts."""
        x_BND = self._tokens(inputs)
        for layer in islice(self.layers, self.config.depth - self.config.num_moe_layers):
            x_BND = layer(x_BND)
        return x_BND

    def _with_experts(self) -> Iterator[Layer]:
        # Slices of a list of modules are modules too, and cost more than a layer's norm.
        return islice(cast(Iterator[Layer], iter(self.layers)), self.config.depth - self.config.num_moe_layers, None)

    def _tokens(self, inputs: Tensor) -> Tensor:
        inputs = inputs.to(self.device, torch.float32)
        if self.config.stem == "backbone":
            grid_BND = self.stem(inputs.flatten(2).transpose(1, 2))
        elif self.config.stem == "patch":
            grid_BND = self.stem(_patches(inputs, self.config.patch))
        else:
            grid_BND = self.stem(inputs).flatten(2).transpose(1, 2)
        return torch.cat([self.class_token.expand(len(inputs), -1, -1), grid_BND], dim=1) + self.position

    def _classes(self, token_BD: Tensor) -> Tensor:
        return self.head(self.norm(token_BD))

    def _by_images(self, x_BND: Tensor, choice: Choice) -> Routed:
        experts_Bk, gates_Bk = choice.experts_Xk, choice.gates_Xk
        if experts_Bk.shape[1] > 1 or len(x_BND) == 1:
            dispatch = Dispatch.of(experts_Bk, gates_Bk)
            for layer in self._with_experts():
                x_BND = layer(x_BND, dispatch)
            token_BD = x_BND[:, 0]
        else:
            # All MoE layers share the decision, so images are sorted by expert once, and only class tokens go back.
            order_B = experts_Bk[:, 0].argsort(stable=True)
            dispatch = Dispatch.in_order(experts_Bk, gates_Bk[order_B])
            x_BND = x_BND.index_select(0, order_B)
            for layer in self._with_experts():
                x_BND = layer(x_BND, dispatch)
            token_BD = x_BND.new_empty(len(x_BND), x_BND.shape[2]).index_copy(0, order_B, x_BND[:, 0])
        return _routed(self._classes(token_BD), [choice], self.config)

    def _by_tokens(self, x_BND: Tensor, forced_B: Tensor | None) -> Routed:
        choices = []
        for layer in self._with_experts():
            assert layer.router is not None
            x_BND = layer.attend(x_BND)
            normed_BND = layer.mlp_norm(x_BND)
            choice = likeliest(layer.router(normed_BND), self._noise(), self.config)
            shares = of_images(choice, self.config)
            if forced_B is not None:
                choice = forced(choice, forced_B[:, None].expand(x_BND.shape[:2]))
                shares = forced(shares, forced_B)
            dispatch = Dispatch.of(choice.experts_Xk.flatten(0, 1), choice.gates_Xk.flatten(0, 1))
            x_BND = layer.compute(x_BND, normed_BND, dispatch)
            choices.append(shares)
        return _routed(self._classes(x_BND[:, 0]), choices, self.config)

    def _seeds(self, inputs: Tensor) -> Tensor | None:
        """What chance draws by where nobody says: the content of an image, but anew while training."""
        if self.config.routing != "random":
            return None
        if self.training:
            return torch.randint(2**62, (len(inputs),), device=self.device)
        return inputs.detach().to(self.device, torch.float32).flatten(1).view(torch.int32).sum(dim=1)

    def _choose(self, token_BD: Tensor, superclass_B: Tensor | None, seed_B: Tensor | None) -> Choice:
        if self.router is None:
            assert seed_B is not None
            return drawn(seed_B.to(self.device), self.config)
        logits_BE = self.router(token_BD)
        if self.config.routing != "oracle" or superclass_B is None:
            return likeliest(logits_BE, self._noise(), self.config)
        superclass_B = superclass_B.to(self.device)
        is_true_BE = F.one_hot(superclass_B.clamp(min=0), self.config.num_experts).bool()
        is_false_BE = ~is_true_BE & (superclass_B >= 0)[:, None]
        choice = likeliest(logits_BE.masked_fill(is_false_BE, _NEVER), 0.0, self.config)
        return Choice(choice.probabilities_XE, choice.experts_Xk, choice.gates_Xk, logits_BE, logits_BE)

    def _noise(self) -> float:
        """Standard deviation of what is added to a router's logits while training, where no superclass teaches it."""
        return 1 / self.config.num_experts if self.training and self.config.routing in ("image", "token") else 0.0

    def _eyes(self) -> Backbone:
        if self.backbone is not None:
            return self.backbone
        if not self._packaged:
            self._packaged.append(Backbone(self.config.backbone, self.config.input_px).eval().requires_grad_(False))
        if self._packaged[0].mean_3.device != self.device:
            self._packaged[0].to(self.device)
        return self._packaged[0]


def _stem(config: VmoeConfig) -> nn.Module:
    width = config.width
    if config.stem == "backbone":
        # The features of several levels differ in size, hence the norm.
        return nn.Sequential(nn.LayerNorm(config.stem_width), nn.Linear(config.stem_width, width))
    if config.stem == "patch":
        return nn.Linear(3 * config.patch**2, width)
    *halving, last = stem_maps(config)
    parts: list[nn.Module] = []
    for come, go, kernel, stride in halving:
        convolution = nn.Conv2d(come, go, kernel, stride=stride, padding=kernel // 2, bias=False)
        parts += [convolution, nn.BatchNorm2d(go), nn.GELU()]
    come, go, kernel, stride = last
    return nn.Sequential(*parts, nn.Conv2d(come, go, kernel, stride=stride))


def _patches(pixels_B3HW: Tensor, side: int) -> Tensor:
    """The pixels of each patch in a row, (B, patches, 3 * side**2)."""
    patches = pixels_B3HW.unflatten(3, (-1, side)).unflatten(2, (-1, side))
    return patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def _layer(config: VmoeConfig, place: int) -> Layer:
    has_experts = place >= config.depth - config.num_moe_layers
    return Layer(
        config.width,
        config.heads,
        round(config.width * config.mlp_ratio),
        num_experts=config.num_experts if has_experts else 0,
        has_shared_expert=has_experts and config.has_shared_expert,
        has_router=has_experts and config.routing == "token",
        dropout=config.dropout,
        drop_path=config.drop_path * place / max(config.depth - 1, 1),
    )


def _routed(logits_BL: Tensor, choices: list[Choice], config: VmoeConfig) -> Routed:
    if not choices:
        none_B0k = logits_BL.new_zeros(len(logits_BL), 0, config.num_active)
        router_B0E = logits_BL.new_zeros(len(logits_BL), 0, config.num_experts)
        return Routed(logits_BL, router_B0E, none_B0k.long(), none_B0k, [], [])
    return Routed(
        logits_BL,
        _together([choice.probabilities_XE for choice in choices]),
        _together([choice.experts_Xk for choice in choices]),
        _together([choice.gates_Xk for choice in choices]),
        [choice.logits_XE for choice in choices if choice.logits_XE is not None],
        [choice.noisy_XE for choice in choices if choice.noisy_XE is not None],
    )


def _together(of_routers: list[Tensor]) -> Tensor:
    return of_routers[0][:, None] if len(of_routers) == 1 else torch.stack(of_routers, dim=1)
