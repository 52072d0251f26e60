"""Image and text towers: one open_clip model, packaged or any other.

Axes: B = images, H, W = pixels, N = tokens (the global one first), C = token width, T = texts, E = embedding width.
"""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from open_clip.model import CustomTextCLIP
from torch import Tensor, nn

from locstudio.domain.errors import BadInput
from locstudio.models.config import TowerConfig
from locstudio.models.weights import load_strictly, packaged_image_weights, packaged_text_folder, read_weights

LITE = "locstudio-lite"
LITE_INPUT_PX = 512
LITE_STATISTICS = ((127 / 255,) * 3, (128 / 255,) * 3)
LITE_TRUNK = "tf_efficientnet_lite2"
_LITE_LEVELS = (120, 352, 1280)
_LITE_GRID = 32
_MAX_TEXT_TOKENS = 64


class Towers(nn.Module):
    """The two towers behind one door: pixels to tokens, sentences to text features.

    The first token of an image is its global one: the tower's own pooled embedding, padded with zeros to the width of a
    token where it is narrower (our own packaged tower: the mean of its tokens).
    """

    mean_3: Tensor
    std_3: Tensor
    clip: Any

    def __init__(self, config: TowerConfig, clip: nn.Module, tokenize: "Tokenize", text_width: int) -> None:
        super().__init__()
        self.config = config
        self.clip = clip
        self.text_width = text_width
        self._tokenize = tokenize
        mean, std = _pixel_statistics(config, clip)
        self.register_buffer("mean_3", torch.tensor(mean), persistent=False)
        self.register_buffer("std_3", torch.tensor(std), persistent=False)

    def preprocess(self, square_HW3: NDArray[np.uint8]) -> Tensor:
        """Pixels (3, H, W) as the tower wants them, from an RGB square of ``input_px``.

        Raises:
            ValueError: the square has another size.
        """
        side = self.config.input_px
        if square_HW3.shape != (side, side, 3):
            raise ValueError(f"the tower wants {side} x {side} pixels in RGB, not {square_HW3.shape}")
        pixels = torch.tensor(square_HW3, device=self.mean_3.device).permute(2, 0, 1).float() / 255
        return (pixels - self.mean_3[:, None, None]) / self.std_3[:, None, None]

    def image_tokens(self, pixels_B3HW: Tensor) -> Tensor:
        """Tokens (B, N, C) of preprocessed images."""
        if self.config.model == LITE:
            return self._lite_tokens(pixels_B3HW)
        out = self.clip.visual.forward_intermediates(
            pixels_B3HW, indices=1, normalize_intermediates=True, output_fmt="NLC"
        )
        grid_BNC = out["image_intermediates"][-1]
        global_BE = out["image_features"]
        return torch.cat([F.pad(global_BE, (0, grid_BNC.shape[2] - global_BE.shape[1]))[:, None], grid_BNC], dim=1)

    def text_features(self, texts: list[str]) -> Tensor:
        """What the text tower says of each sentence, L2-normalised, shape (T, ``text_width``)."""
        if not texts:
            return self.mean_3.new_zeros(0, self.text_width)
        tokens = self._tokenize(texts).to(self.mean_3.device)
        return F.normalize(self.clip.encode_text(tokens), dim=-1)

    def _lite_tokens(self, pixels_B3HW: Tensor) -> Tensor:
        grid_BNC = lite_maps(self.clip.visual.trunk, pixels_B3HW).flatten(2).transpose(1, 2)
        return torch.cat([grid_BNC.mean(dim=1, keepdim=True), grid_BNC], dim=1)


class Tokenize:
    """Sentences to token numbers, padded to the longest of the batch (our own text tower) or as open_clip does."""

    def __init__(self, source: Path | str) -> None:
        if isinstance(source, Path):
            from transformers import AutoTokenizer

            self._packaged = AutoTokenizer.from_pretrained(str(source), local_files_only=True)
        else:
            self._packaged = None
            self._open_clip = open_clip.get_tokenizer(source) if source else open_clip.SimpleTokenizer()

    def __call__(self, texts: list[str]) -> Tensor:
        """Token numbers, shape (T, length)."""
        if self._packaged is None:
            return self._open_clip(texts)
        encoded = self._packaged(texts, padding=True, truncation=True, max_length=_MAX_TEXT_TOKENS, return_tensors="pt")
        return encoded["input_ids"]


def lite_maps(trunk: Any, pixels_B3HW: Tensor) -> Tensor:
    """What our packaged image tower makes of preprocessed images: three of its levels side by side, (B, C, 32, 32)."""
    last, levels = trunk.forward_intermediates(
        pixels_B3HW.contiguous(memory_format=torch.channels_last), indices=(3, 4)
    )
    maps = [
        level if level.shape[-1] == last.shape[-1] else F.adaptive_avg_pool2d(level, last.shape[-2:])
        for level in levels
    ]
    return torch.cat([*maps, last], dim=1)


def fill_lite_trunk(trunk: Any) -> None:
    """Give a fresh EfficientNet-Lite2 without classifier its packaged weights and our finer grid.

    Raises:
        BadInput: the package is missing, or its file or the installed timm is another one than we know.
    """
    # The package's file has a classifier as its last two tensors, which the trunk lacks.
    names = {**trunk.state_dict(), "classifier.weight": torch.empty(1000, 1280), "classifier.bias": torch.empty(1000)}
    state = packaged_image_weights(names)
    load_strictly(trunk, {key: state[key] for key in trunk.state_dict()}, "EfficientNet-Lite2")
    _dilate_last_stride(trunk)


def lite_config() -> TowerConfig:
    """Our packaged towers: EfficientNet-Lite2 (ImageNet) and MiniLM."""
    return TowerConfig(
        model=LITE, input_px=LITE_INPUT_PX, width=sum(_LITE_LEVELS), num_tokens=_LITE_GRID**2 + 1, is_packaged=True
    )


def build_towers(config: TowerConfig, weights: Path | None = None) -> Towers:
    """Towers of a configuration, in evaluation mode.

    Args:
        config: What to build.
        weights: File of a whole open_clip model; None takes the packages (``is_packaged``), open_clip's own tag
            (``pretrained``), or leaves the weights random for a checkpoint to fill.

    Raises:
        BadInput: the weights cannot be had; the sentence says what to do.
        CheckpointMismatch: the file holds another architecture.
    """
    if config.model == LITE:
        return _lite_towers(config)
    clip = _open_clip_model(config)
    if weights is not None:
        load_strictly(clip, read_weights(weights), weights.name)
    tokenizer = "" if config.definition else config.model
    tokenize = Tokenize(tokenizer)
    with torch.inference_mode():
        text_width = int(clip.encode_text(tokenize(["a"])).shape[-1])
    return Towers(config, clip.eval(), tokenize, text_width).eval()


def describe_open_clip(
    model: str, *, pretrained: str = "", definition: dict[str, object] | None = None, input_px: int | None = None
) -> TowerConfig:
    """The configuration of any open_clip model, its token grid found by running it once on nothing.

    Args:
        model: open_clip's name of the architecture, or a name of yours where ``definition`` is given.
        pretrained: Tag of open_clip's weights, or empty.
        definition: embed_dim, vision_cfg and text_cfg of an architecture that open_clip does not list.
        input_px: Side of the square, where it differs from the architecture's own.

    Raises:
        BadInput: there is no architecture of this name, or it gives no token grid.
    """
    draft = TowerConfig(model=model, input_px=input_px or 0, width=0, num_tokens=0, definition=definition)
    clip = _open_clip_model(draft).eval()
    size = clip.visual.image_size
    side = input_px or int(size[0] if isinstance(size, tuple | list) else size)
    with torch.inference_mode():
        out = clip.visual.forward_intermediates(
            torch.zeros(1, 3, side, side), indices=1, normalize_intermediates=True, output_fmt="NLC"
        )
    _, num_grid, width = out["image_intermediates"][-1].shape
    if out["image_features"].shape[1] > width:
        raise BadInput(f"{model} gives image embeddings wider than its tokens, which LocStudio cannot use yet.")
    return TowerConfig(
        model=model, pretrained=pretrained, input_px=side, width=width, num_tokens=num_grid + 1, definition=definition
    )


def _lite_towers(config: TowerConfig) -> Towers:
    folder = packaged_text_folder()
    clip = CustomTextCLIP(
        embed_dim=384,
        vision_cfg={
            "timm_model_name": LITE_TRUNK,
            "timm_pool": "avg",
            "timm_proj": "none",
            "image_size": config.input_px,
        },
        text_cfg={
            "hf_model_name": str(folder),
            "hf_pooler_type": "mean_pooler",
            "hf_proj_type": None,
            "hf_model_pretrained": False,
        },
    )
    language = clip.text.transformer
    texts = read_weights(folder / "model.safetensors")
    load_strictly(language, {key: texts[key] for key in language.state_dict() if key in texts}, "MiniLM")
    fill_lite_trunk(clip.visual.trunk)
    return Towers(config, clip.eval().requires_grad_(False), Tokenize(folder), 384).eval()


def _dilate_last_stride(trunk: Any) -> None:
    """Keep the grid at stride 16: the last strided convolution loses its stride, all that follow are dilated by two.

    The weights see the same neighbourhoods as before (a trous).  Under a linear map trained on coco_train, top-1 on the
    boxes of coco_dev is 0.475 without and 0.493 with it at 384 px, and 0.562 at 512 px; at 512 px the tower costs
    181 CPU ms an image instead of 154.
    """
    is_behind = False
    for stage in list(trunk.blocks)[5:]:
        for module in stage.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
                if module.stride == (2, 2):
                    module.stride, is_behind = (1, 1), True
                elif is_behind:
                    module.dilation = (2, 2)
                    module.padding = tuple(side // 2 * 2 for side in module.kernel_size)


def _open_clip_model(config: TowerConfig) -> Any:
    if config.definition is not None:
        try:
            return open_clip.CLIP(**copy.deepcopy(config.definition))
        except (TypeError, KeyError, AssertionError) as error:
            raise BadInput(f"The description of the model {config.model} cannot be built: {error}.") from error
    if config.model not in open_clip.list_models():
        raise BadInput(
            f"open_clip knows no model called {config.model}. Its names look like ViT-B-16 or MobileCLIP2-S0."
        )
    try:
        return open_clip.create_model(
            config.model,
            pretrained=config.pretrained or None,
            require_pretrained=bool(config.pretrained),
            force_image_size=config.input_px or None,
            pretrained_text=False,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(
            f"The weights {config.pretrained or 'of the tokenizer'} of {config.model} are not on this machine and "
            "could not be fetched. Connect to the internet once, or choose a weights file."
        ) from error


def _pixel_statistics(config: TowerConfig, clip: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if config.model == LITE:
        return LITE_STATISTICS
    mean = getattr(clip.visual, "image_mean", None) or open_clip.OPENAI_DATASET_MEAN
    std = getattr(clip.visual, "image_std", None) or open_clip.OPENAI_DATASET_STD
    return tuple(mean), tuple(std)
