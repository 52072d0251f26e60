"""Multi-label checkpoints: new ones, and folders to models and back.

What a folder holds: `locstudio.jobs.checkpoint_folder`.  The packaged tower is left out of it.
"""

import math
import secrets
import shutil
from pathlib import Path

import msgspec
import torch
from safetensors.torch import save
from torch import Tensor

from locstudio.domain.errors import BadInput, CheckpointMismatch, StorageFailed
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint, weights_header
from locstudio.jobs.heatmaps import MAX_CLASSES, MAX_GRID
from locstudio.jobs.json_files import read_json
from locstudio.models.backbones import Backbone
from locstudio.models.cloc import Cloc
from locstudio.models.consistency import Consistency, ConsistencyConfig, clear_rows
from locstudio.models.mask_segmenter import tokens_sha256
from locstudio.models.towers import LITE, lite_config
from locstudio.models.weights import load_strictly, read_weights, require_finite

_MAX_WIDTH = 16_384
_MAX_INPUT_PX = 4_096
_MAX_CELL_GRID = 256


def lite_classifier(cloc: Cloc, *, name: str, classes: tuple[str, ...], width: int = 192) -> ConsistencyConfig:
    """The configuration of a classifier on the tokens of a packaged CLOC model; ``new_consistency`` takes both.

    Raises:
        BadInput: the model's towers are not the packaged ones.
    """
    tower = cloc.config.tower
    if tower != lite_config():
        raise BadInput(f"{cloc.config.name} has no packaged tower; heatmaps need one, or a backbone of their own.")
    return ConsistencyConfig(
        name=name,
        classes=classes,
        tower=tower,
        backbone=LITE,
        input_px=tower.input_px,
        token_width=cloc.config.token_width,
        width=width,
        cell_grid=round((tower.num_tokens - 1) ** 0.5),
        tokens_sha256=tokens_sha256(cloc.reduce, tower),
    )


def backbone_classifier(
    backbone: str, *, name: str, classes: tuple[str, ...], input_px: int = 0, width: int = 0
) -> ConsistencyConfig:
    """The configuration of a classifier on a backbone of its own, its grid found by running it once on nothing.

    Args:
        backbone: A name of timm, or ``locstudio-lite``.
        name: What a person calls the model.
        classes: What it names.
        input_px: Side of the square picture; 0 for the architecture's own.
        width: Channels of a cell; 0 for as many as the backbone gives.

    Raises:
        BadInput: timm has no such model, or it gives no square grid of features.
    """
    network = Backbone(backbone, input_px)
    token_width, cell_grid = network.shape()
    return ConsistencyConfig(
        name=name,
        classes=classes,
        backbone=backbone,
        input_px=network.input_px,
        token_width=token_width,
        width=width or token_width,
        cell_grid=cell_grid,
    )


def new_consistency(
    config: ConsistencyConfig,
    *,
    base: Consistency | None = None,
    cloc: Cloc | None = None,
    reduction: tuple[Tensor, Tensor] | None = None,
    weights: Path | None = None,
) -> Consistency:
    """A model that has learnt nothing yet of its classes, in evaluation mode; torch's generator draws its weights.

    Args:
        config: What to build.
        base: A model of the same backbone and widths; its neck, and the rows of classes that both have, are kept.
        cloc: Where the packaged tower's reduction to tokens comes from when there is no base.
        reduction: What ``fit_reduction`` has found.
        weights: File of tensors for the backbone under timm's names.

    Raises:
        BadInput: the file of weights cannot be used.
        CheckpointMismatch: the base, or the file, is of another architecture.
        ValueError: neither base nor CLOC model says how tokens are made of the packaged tower.
    """
    model = Consistency(config)
    if base is not None:
        _take_over(model, base)
    elif model.enter is not None:
        if cloc is None or tokens_sha256(cloc.reduce, cloc.config.tower) != config.tokens_sha256:
            raise ValueError("a classifier on packaged tokens needs the CLOC model that makes them")
        model.enter.load_state_dict(cloc.reduce.state_dict())
    if weights is not None and model.backbone is not None:
        model.backbone.load(weights)
    if reduction is not None:
        model.reduce.load_state_dict({"weight": reduction[0], "bias": reduction[1]})
    return model.eval()


def load_consistency(folder: Path, device: str = "cpu") -> Consistency:
    """A model of a checkpoint folder, in evaluation mode, its hashes, sizes and numbers checked before it is built.

    Raises:
        BadInput: the folder is incomplete, damaged, or holds numbers that are not finite.
        CheckpointMismatch: the weights belong to another architecture, or to a model of another kind.
        TooNew: a newer LocStudio wrote it.
    """
    info = checkpoint_info(folder)
    info.require_model("consistency")
    config = _read_config(folder)
    _require_enough(folder, config)
    state = read_weights(folder / "weights.safetensors")
    model = Consistency(config)
    sentence = f"The checkpoint {folder.name} ({len(config.classes)} classes, backbone {config.backbone})"
    load_strictly(model, state, sentence)
    if model.enter is not None and tokens_sha256(model.enter, config.tower) != config.tokens_sha256:
        raise BadInput(f"The checkpoint {folder.name} reads other tokens than it says. Copy the folder again.")
    model.id = info.id
    return model.eval().to(device)


def save_consistency(
    model: Consistency, folder: Path, *, card: str, metrics: dict[str, float], parent: str = ""
) -> str:
    """Write a checkpoint folder by rename and return its id; ``model.id`` is set to it.

    Weights are kept in half precision, but for the statistics and biases of a backbone.

    Raises:
        BadInput: a weight is not finite, or too large for half precision.
        StorageFailed: the disk is full or read-only.
    """
    state = {key: _stored(key, tensor) for key, tensor in model.state_dict().items()}
    require_finite(state, "The trained model")
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(parents=True)
        (partial / "weights.safetensors").write_bytes(save(state))
        (partial / "config.json").write_bytes(msgspec.json.format(msgspec.json.encode(model.config)) + b"\n")
        (partial / "card.md").write_text(card, encoding="utf-8")
        (partial / "metrics.json").write_bytes(msgspec.json.format(msgspec.json.encode(metrics)) + b"\n")
        model.id = seal_checkpoint(partial, folder, parent=parent)
    except OSError as error:
        raise StorageFailed(f"The checkpoint could not be written to {folder}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return model.id


def _take_over(model: Consistency, base: Consistency) -> None:
    mine, theirs = model.state_dict(), base.state_dict()
    config = model.config
    named = f"{base.config.name} (backbone {base.config.backbone}, {base.config.width} channels)"
    if base.enter is not None and model.backbone is not None and config.backbone == LITE:
        # The packaged tower shall be trained from now on: both linear maps behind it become one.
        theirs |= {key: tensor for key, tensor in mine.items() if key.startswith("backbone.")}
        enter_DF, shift_D = theirs.pop("enter.weight"), theirs.pop("enter.bias")
        if isinstance(base.reduce, torch.nn.Linear):
            enter_DF, shift_D = base.reduce.weight @ enter_DF, base.reduce(shift_D)
        theirs |= {"reduce.weight": enter_DF, "reduce.bias": shift_D}
    elif config.tokens_sha256 != base.config.tokens_sha256:
        raise CheckpointMismatch(f"{named} reads other tokens than {config.name}. Choose the matching model.")
    heads = {key: tensor for key, tensor in mine.items() if key.startswith("head.")}
    load_strictly(model, theirs | heads, named)
    places = {name: row for row, name in enumerate(base.config.classes)}
    rows = [row for row, name in enumerate(config.classes) if name in places]
    with torch.no_grad():
        old = [places[config.classes[row]] for row in rows]
        model.head.weight[rows] = base.head.weight[old].to(model.device)
        model.head.bias[rows] = base.head.bias[old].to(model.device)
    clear_rows(model.head, [row for row, name in enumerate(config.classes) if name not in places])


def _read_config(folder: Path) -> ConsistencyConfig:
    try:
        config = read_json(folder / "config.json", ConsistencyConfig)
    except msgspec.MsgspecError as error:
        raise CheckpointMismatch(f"The checkpoint {folder.name} describes a model unknown here: {error}.") from error
    sizes = {
        "input": (config.input_px, _MAX_INPUT_PX),
        "tokens": (config.token_width, _MAX_WIDTH),
        "cells": (config.width, _MAX_WIDTH),
        "hidden": (config.hidden, _MAX_WIDTH),
        "grid of cells": (config.cell_grid, _MAX_CELL_GRID),
        "grid": (config.grid, MAX_GRID),
        "classes": (len(config.classes), MAX_CLASSES),
    }
    wrong = [f"{size:,} for {name}" for name, (size, most) in sizes.items() if not 0 < size <= most]
    if wrong:
        raise BadInput(f"The checkpoint {folder.name} asks for impossible sizes: {', '.join(wrong)}.")
    if len(set(config.classes)) != len(config.classes) or not all(name.strip() for name in config.classes):
        raise BadInput(f"The checkpoint {folder.name} names a class twice, or not at all.")
    if not 0 < config.boost <= 1000 or not 0 <= config.dropout < 1:
        raise BadInput(f"The checkpoint {folder.name} has a boost of {config.boost} or a dropout of {config.dropout}.")
    if config.tower is not None and (config.tower != lite_config() or config.trains == "all"):
        raise BadInput(f"The checkpoint {folder.name} is on a tower that heatmaps cannot be on: {config.tower.model}.")
    return config


def _require_enough(folder: Path, config: ConsistencyConfig) -> None:
    """Refuse a configuration whose layers would be larger than all that the file of weights holds."""
    tensors = weights_header(folder / "weights.safetensors").values()
    held = sum(math.prod(shape) for _, shape in tensors)
    behind = config.width * config.hidden + config.hidden**2 + config.hidden * len(config.classes)
    asked = behind + (config.width * config.token_width if config.width != config.token_width else 0)
    if asked > held:
        raise BadInput(
            f"The checkpoint {folder.name} asks for impossible sizes: {asked:,} weights, and its file holds {held:,}."
        )


def _stored(key: str, tensor: Tensor) -> Tensor:
    # Variances inside a backbone may be too large or too small for half precision, and are few.
    is_small = key.startswith("backbone.") and tensor.ndim < 2
    kind = torch.float16 if tensor.is_floating_point() and not is_small else tensor.dtype
    return tensor.detach().to("cpu", kind).contiguous().clone()
