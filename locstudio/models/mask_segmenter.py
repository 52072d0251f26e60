"""The bundled mask head as a ``Segmenter``, with its checkpoint folder.  Axes: B = prompts, N = tokens, C = width."""

import hashlib
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from locstudio.domain.errors import BadInput, CheckpointMismatch
from locstudio.domain.geometry import Letterbox
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.json_files import read_json
from locstudio.models.cloc import Cloc
from locstudio.models.mask_head import (
    NEGATIVE,
    POSITIVE,
    ImageMaps,
    MaskConfig,
    MaskHead,
    Prompts,
    sample_windows,
    spread,
    to_window,
    windows_around,
)
from locstudio.models.segmenter import FoundMask, MaskPrompt
from locstudio.models.towers import LITE, Towers, build_towers
from locstudio.models.weights import load_strictly, read_weights, require_finite

POINT_WINDOWS = (0.125, 0.25, 0.5, 1.0)
"""Sides of the windows, in sides of the square, in which a thing under a point is looked for."""

_MAX_DIM = 4_096
_PROMPTS_AT_ONCE = 32


class MaskModel(nn.Module):
    """A mask head with the linear map that makes its tokens; what a checkpoint of masks holds."""

    def __init__(self, config: MaskConfig) -> None:
        super().__init__()
        self.config = config
        self.reduce = nn.Linear(config.tower.width, config.token_width)
        self.head = MaskHead(config)


def tokens_sha256(reduce: nn.Module, config: object) -> str:
    """Names what a packaged tower and a linear map make of an image; models of the same name have the same tokens.

    Weights count in half precision, as checkpoints keep them.
    """
    digest = hashlib.sha256(msgspec.json.encode(config))
    for name, tensor in sorted(reduce.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().half().numpy().tobytes())
    return digest.hexdigest()


def has_its_tokens(model: Cloc, masks: MaskModel) -> bool:
    """Whether a CLOC model's tokens are those that a mask model was trained on."""
    tower = model.config.tower
    return tower.is_packaged and tokens_sha256(model.reduce, tower) == masks.config.tokens_sha256


def load_mask_model(folder: Path, device: str = "cpu") -> tuple[MaskModel, str]:
    """A mask model of a checkpoint folder, its hashes, shapes and numbers checked, and its id.

    Raises:
        BadInput: the folder is incomplete, damaged, or asks for impossible sizes.
        CheckpointMismatch: the weights belong to another architecture, or the folder holds no mask model.
        TooNew: a newer LocStudio wrote it.
    """
    info = checkpoint_info(folder)
    try:
        config = read_json(folder / "config.json", MaskConfig)
    except msgspec.MsgspecError as error:
        raise CheckpointMismatch(f"The checkpoint {folder.name} holds no mask model: {error}.") from error
    sizes = (config.dim, config.depth, config.token_width, config.tower.width, config.tower.input_px)
    if not all(0 < size <= _MAX_DIM for size in sizes) or config.dim % 16 or config.tower.model != LITE:
        raise BadInput(f"The checkpoint {folder.name} asks for impossible sizes: {sizes} on {config.tower.model}.")
    model = MaskModel(config)
    load_strictly(model, read_weights(folder / "weights.safetensors"), f"The checkpoint {folder.name}")
    return model.eval().requires_grad_(False).to(device), info.id


def save_mask_model(model: MaskModel, folder: Path, *, card: str, metrics: dict[str, float]) -> str:
    """Write a checkpoint folder by rename, weights in half precision, and return its id.

    Raises:
        BadInput: a weight is not finite.
        StorageFailed: the disk is full or read-only.
    """
    state = {key: tensor.detach().half().contiguous().clone() for key, tensor in model.state_dict().items()}
    require_finite(state, "The trained mask model")
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(parents=True)
        (partial / "weights.safetensors").write_bytes(save(state))
        (partial / "config.json").write_bytes(msgspec.json.format(msgspec.json.encode(model.config)) + b"\n")
        (partial / "card.md").write_text(card, encoding="utf-8")
        (partial / "metrics.json").write_bytes(msgspec.json.format(msgspec.json.encode(metrics)) + b"\n")
        return seal_checkpoint(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def fine_maps(towers: Towers, pixels_B3HW: Tensor) -> tuple[Tensor, Tensor]:
    """The packaged tower's maps at stride 4 and 8 of preprocessed images."""
    fine, middle = towers.clip.visual.trunk.forward_intermediates(
        pixels_B3HW.contiguous(memory_format=torch.channels_last),
        indices=(1, 2),
        intermediates_only=True,
        stop_early=True,
    )
    return fine, middle


def rgb_map(square_HW3: NDArray[np.uint8]) -> Tensor:
    """Pixels (1, 3, H, W) about zero, of an RGB square."""
    return (torch.from_numpy(np.array(square_HW3)).permute(2, 0, 1)[None].float() - 127.5) / 64


@dataclass(frozen=True, slots=True, eq=False)
class MaskableImage:
    """An image's maps and where it lies in the square."""

    maps: ImageMaps
    frame: Letterbox


class HeadSegmenter:
    """The mask head as a ``Segmenter``.

    Args:
        model: The head.
        tokens_id: Names its tokens: the id of the CLOC checkpoint whose tokens these are, or its own.
        towers: The packaged towers, where a CLOC model has built them already.
    """

    needs_pixels = True

    def __init__(self, model: MaskModel, tokens_id: str, towers: Towers | None = None) -> None:
        config = model.config
        self.name, self.tokens_id = config.name, tokens_id
        self.input_px = config.tower.input_px
        self.tokens_shape = (config.tower.num_tokens, config.token_width)
        self.model = model
        self._device = model.reduce.weight.device
        self._towers = (towers or build_towers(config.tower)).to(self._device)

    @torch.inference_mode()
    def encode(self, square_HW3: NDArray[np.uint8], frame: Letterbox) -> NDArray[np.float16]:  # noqa: ARG002
        """Tokens (N, C) of an RGB square of ``input_px``."""
        pixels = self._towers.preprocess(square_HW3)[None]
        tokens: NDArray[np.float16] = (
            self.model.reduce(self._towers.image_tokens(pixels))[0].to("cpu", torch.float16).numpy()
        )
        return tokens

    @torch.inference_mode()
    def prepare(
        self, tokens_NC: NDArray[np.float16], square_HW3: NDArray[np.uint8] | None, frame: Letterbox
    ) -> MaskableImage:
        """Tokens as a map beside the tower's finer maps, which are made here.

        Raises:
            ValueError: there is no square.
        """
        if square_HW3 is None:
            raise ValueError("the mask head needs the pixels of the square")
        fine, middle = fine_maps(self._towers, self._towers.preprocess(square_HW3)[None])
        grid = round((len(tokens_NC) - 1) ** 0.5)
        tokens = torch.from_numpy(np.array(tokens_NC[1:])).to(self._device, torch.float32)
        maps = ImageMaps(tokens.T.reshape(1, -1, grid, grid), middle, fine, rgb_map(square_HW3).to(self._device))
        return MaskableImage(maps, frame)

    @torch.inference_mode()
    def segment(self, prepared: MaskableImage, prompts: Sequence[MaskPrompt]) -> list[FoundMask]:
        """One mask for every prompt; where there is no box, the window in which the head is surest of itself wins."""
        found: list[FoundMask] = []
        boxed = [prompt for prompt in prompts if prompt.box is not None and not prompt.points]
        masks = iter(self._segment_boxes(prepared, boxed))
        for prompt in prompts:
            if prompt.box is not None and not prompt.points:
                found.append(next(masks))
            else:
                found.append(self._segment_points(prepared, prompt))
        return found

    def _segment_boxes(self, prepared: MaskableImage, prompts: Sequence[MaskPrompt]) -> list[FoundMask]:
        found: list[FoundMask] = []
        for begin in range(0, len(prompts), _PROMPTS_AT_ONCE):
            some = prompts[begin : begin + _PROMPTS_AT_ONCE]
            boxes_B4 = _square_boxes(some, prepared.frame).to(self._device)
            windows_B4 = windows_around(boxes_B4)
            asked = Prompts(None, None, to_window(boxes_B4.view(-1, 2, 2), windows_B4).view(-1, 4))
            found += self._asked(prepared, windows_B4, asked)
        return found

    def _segment_points(self, prepared: MaskableImage, prompt: MaskPrompt) -> FoundMask:
        points_1K2 = _square_points(prompt, prepared.frame).to(self._device)
        labels_1K = torch.tensor([[POSITIVE if point.is_inside else NEGATIVE for point in prompt.points]])
        labels_1K = labels_1K.to(self._device)
        if prompt.box is not None:
            boxes_14 = _square_boxes([prompt], prepared.frame).to(self._device)
            windows_B4 = windows_around(boxes_14)
            inside_B4 = to_window(boxes_14.view(-1, 2, 2), windows_B4).view(-1, 4)
        else:
            windows_B4, inside_B4 = self._windows_of(points_1K2[0], labels_1K[0]), None
        count = len(windows_B4)
        asked = Prompts(to_window(points_1K2.expand(count, -1, -1), windows_B4), labels_1K.expand(count, -1), inside_B4)
        return max(self._asked(prepared, windows_B4, asked), key=lambda found: found.expected_overlap)

    def _windows_of(self, points_K2: Tensor, labels_K: Tensor) -> Tensor:
        centre = points_K2[labels_K == POSITIVE].mean(dim=0)
        reach = 2.2 * float((points_K2 - centre).abs().max())
        sides = torch.tensor(sorted({max(side, reach) for side in POINT_WINDOWS}), device=self._device)
        return torch.cat([centre - sides[:, None] / 2, centre + sides[:, None] / 2], dim=1)

    def _asked(self, prepared: MaskableImage, windows_B4: Tensor, asked: Prompts) -> list[FoundMask]:
        logits_BSS, _, expected_B = self.model.head(sample_windows(prepared.maps, windows_B4), asked)
        width, height = prepared.frame.width, prepared.frame.height
        return [
            FoundMask(spread(logits_SS.cpu(), _in_px(window, prepared.frame), width, height).numpy(), expected)
            for logits_SS, window, expected in zip(
                logits_BSS, windows_B4.tolist(), expected_B.clamp(0, 1).tolist(), strict=True
            )
        ]


def _square_boxes(prompts: Sequence[MaskPrompt], frame: Letterbox) -> Tensor:
    unit_B4 = np.array([prompt.box.as_tuple() for prompt in prompts if prompt.box], np.float32).reshape(-1, 4)
    return torch.from_numpy(frame.to_square(unit_B4))


def _square_points(prompt: MaskPrompt, frame: Letterbox) -> Tensor:
    # A point is a box without sides.
    unit_K4 = np.array([(point.x, point.y, point.x, point.y) for point in prompt.points], np.float32)
    return torch.from_numpy(frame.to_square(unit_K4))[None, :, :2]


def _in_px(window: Sequence[float], frame: Letterbox) -> tuple[float, float, float, float]:
    longest = max(frame.width, frame.height)
    left, top = (frame.width - longest) / 2, (frame.height - longest) / 2
    x0, y0, x1, y1 = window
    return x0 * longest + left, y0 * longest + top, x1 * longest + left, y1 * longest + top
