"""Checkpoint folders to models and back.  What a folder holds: `locstudio.jobs.checkpoint_folder`."""

import secrets
import shutil
from pathlib import Path

import msgspec
import torch
from safetensors.torch import save
from torch import Tensor

from locstudio.domain.errors import BadInput, CheckpointMismatch
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint, weights_header
from locstudio.jobs.json_files import read_json
from locstudio.models.cloc import Cloc
from locstudio.models.config import ClocConfig
from locstudio.models.towers import build_towers
from locstudio.models.weights import load_strictly, read_weights, require_finite

_MAX_WIDTH = 16_384
_MAX_TOKENS = 65_536


def load_checkpoint(folder: Path, device: str = "cpu") -> Cloc:
    """A model of a checkpoint folder, in evaluation mode, its hashes, shapes and numbers checked before it is built.

    Raises:
        BadInput: the folder is incomplete, damaged, or holds numbers that are not finite.
        CheckpointMismatch: the weights belong to another architecture, or to a model of another kind.
        TooNew: a newer LocStudio wrote it.
    """
    info = checkpoint_info(folder)
    info.require_model("cloc")
    config = _read_config(folder)
    weights_header(folder / "weights.safetensors")
    state = read_weights(folder / "weights.safetensors")
    model = Cloc(config, build_towers(config.tower))
    if config.tower.is_packaged:
        state |= {f"towers.{key}": tensor for key, tensor in model.towers.state_dict().items()}
    load_strictly(model, state, f"The checkpoint {folder.name} (dim {config.dim}, tower {config.tower.model})")
    model.id = info.id
    return model.eval().to(device)


def save_checkpoint(model: Cloc, folder: Path, *, card: str, metrics: dict[str, float], parent: str = "") -> str:
    """Write a checkpoint folder by rename and return its id; ``model.id`` is set to it.

    Weights are kept in half precision.  Towers from packages are left out.

    Raises:
        BadInput: a weight is not finite, or too large for half precision.
        StorageFailed: the disk is full or read-only.
    """
    state = {key: _half(tensor) for key, tensor in model.state_dict().items() if _is_ours(key, model.config)}
    require_finite(state, "The trained model")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir()
        (partial / "weights.safetensors").write_bytes(save(state))
        (partial / "config.json").write_bytes(msgspec.json.format(msgspec.json.encode(model.config)) + b"\n")
        (partial / "card.md").write_text(card, encoding="utf-8")
        (partial / "metrics.json").write_bytes(msgspec.json.format(msgspec.json.encode(metrics)) + b"\n")
        model.id = seal_checkpoint(partial, folder, parent=parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return model.id


def new_model(config: ClocConfig, weights: Path | None = None) -> Cloc:
    """A model with fresh heads on the towers of a configuration; see ``build_towers`` for ``weights``."""
    return Cloc(config, build_towers(config.tower, weights)).eval()


def _read_config(folder: Path) -> ClocConfig:
    try:
        config = read_json(folder / "config.json", ClocConfig)
    except msgspec.MsgspecError as error:
        raise CheckpointMismatch(f"The checkpoint {folder.name} describes a model unknown here: {error}.") from error
    widths = (config.dim, config.token_width, config.tower.width, config.tower.input_px)
    if not all(0 < width <= _MAX_WIDTH for width in widths) or not 1 < config.tower.num_tokens <= _MAX_TOKENS:
        raise BadInput(
            f"The checkpoint {folder.name} asks for impossible sizes: {widths}, {config.tower.num_tokens} tokens."
        )
    if config.proposals == "points" and round((config.tower.num_tokens - 1) ** 0.5) % 4:
        raise BadInput(f"The checkpoint {folder.name} asks for points on a grid that cannot be halved twice.")
    return config


def _is_ours(key: str, config: ClocConfig) -> bool:
    return not (config.tower.is_packaged and key.startswith("towers."))


def _half(tensor: Tensor) -> Tensor:
    kind = torch.float16 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", kind).contiguous().clone()
