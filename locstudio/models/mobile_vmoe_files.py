"""Checkpoints of Mobile V-MoEs: new models, upcycled or going on from others, and folders to models and back.

What a folder holds: `locstudio.jobs.checkpoint_folder`.  The packaged tower is left out of it.
"""

import math
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from safetensors.torch import save
from torch import Tensor

from locstudio.domain.errors import BadInput, CheckpointMismatch, StorageFailed
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint, weights_header
from locstudio.jobs.heatmaps import MAX_CLASSES
from locstudio.jobs.json_files import read_json
from locstudio.jobs.vmoe_config import MAX_EXPERTS, VmoeConfig
from locstudio.models.backbones import Backbone
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_macs import num_weights
from locstudio.models.towers import LITE, lite_config
from locstudio.models.weights import load_strictly, read_weights, require_finite

_MAX_WIDTH = 16_384
_MAX_INPUT_PX = 4_096
_MAX_GRID = 128
_MAX_DEPTH = 64
_SAME = ("stem", "backbone", "input_px", "stem_width", "grid", "patch", "width", "depth", "heads", "mlp_ratio")
_MLP = {
    "enter_weight": "enter.weight",
    "enter_bias": "enter.bias",
    "leave_weight": "leave.weight",
    "leave_bias": "leave.bias",
}


def stem_width(backbone: str, input_px: int) -> int:
    """Numbers of a token that a frozen backbone gives; any but the packaged one is run once to find out.

    Raises:
        BadInput: timm has no such model, or it gives no square grid of features.
    """
    return lite_config().width if backbone == LITE else Backbone(backbone, input_px).shape()[0]


def new_vmoe(
    config: VmoeConfig,
    *,
    dense: MobileVmoe | None = None,
    base: MobileVmoe | None = None,
    weights: Path | None = None,
) -> MobileVmoe:
    """A model to be trained, in evaluation mode; torch's generator draws what comes from nowhere else.

    Args:
        config: What to build.
        dense: Its dense twin; every expert begins as a copy of the twin's MLP.  Where there is a shared expert, that is
            the copy, and the others begin with nothing to add, so that the model begins as its twin.
        base: A model to go on from.  Classes are matched by name.  An expert goes on from the one of its superclass's
            name, else from the one whose superclass shares the most classes with its own, else from that of its number;
            of a dense base all are copies, and a dense model goes on from the shared expert or the mean of all.
        weights: File of tensors for a backbone that is not packaged, under timm's names.

    Raises:
        BadInput: the configuration is of no model, or the file of weights cannot be used.
        CheckpointMismatch: the other model, or the file, is of another architecture.
        ValueError: there are both a twin and a base, or the twin has experts.
    """
    if problem := _problem(config):
        raise BadInput(f"The model {config.name} cannot be built: {problem}.")
    if dense is not None and (base is not None or dense.config.routing != "dense"):
        raise ValueError("a model goes on from one other, and a dense twin has no experts")
    model = MobileVmoe(config)
    other = dense if base is None else base
    if other is not None:
        _take_over(model, other)
    if weights is not None and model.backbone is not None:
        model.backbone.load(weights)
    return model.eval()


def load_vmoe(folder: Path, device: str = "cpu") -> MobileVmoe:
    """A model of a checkpoint folder, in evaluation mode, its hashes, sizes and numbers checked before it is built.

    Raises:
        BadInput: the folder is incomplete, damaged, or holds numbers that are not finite.
        CheckpointMismatch: the weights belong to another architecture, or to a model of another kind.
        TooNew: a newer LocStudio wrote it.
    """
    info = checkpoint_info(folder)
    info.require_model("vmoe")
    config = _read_config(folder)
    _require_enough(folder, config)
    state = read_weights(folder / "weights.safetensors")
    model = MobileVmoe(config)
    experts = f"{config.num_experts} experts" if config.num_moe_layers else "no experts"
    load_strictly(model, state, f"The checkpoint {folder.name} ({len(config.classes)} classes, {experts})")
    model.id = info.id
    return model.eval().to(device)


def save_vmoe(model: MobileVmoe, folder: Path, *, card: str, metrics: dict[str, float], parent: str = "") -> str:
    """Write a checkpoint folder by rename and return its id; ``model.id`` is set to it.

    Weights are kept in half precision, but for the statistics and biases of a backbone or stem.

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


def expert_sources(config: VmoeConfig, base: VmoeConfig) -> list[int]:
    """For each expert the one of the base that it goes on from; see ``new_vmoe``."""
    places = {name: place for place, name in enumerate(base.superclasses)}
    groups, base_groups = _groups(config), _groups(base)
    sources = []
    for expert in range(config.num_experts):
        shared = [len(groups[expert] & theirs) for theirs in base_groups] if groups else []
        if config.superclasses and config.superclasses[expert] in places:
            sources.append(places[config.superclasses[expert]])
        elif any(shared):
            sources.append(shared.index(max(shared)))
        else:
            sources.append(expert % base.num_experts)
    return sources


def _groups(config: VmoeConfig) -> list[set[str]]:
    """Names of the classes of each superclass."""
    groups: list[set[str]] = [set() for _ in config.superclasses]
    for name, place in zip(config.classes, config.superclass_of, strict=False):
        groups[place].add(name)
    return groups


def _take_over(model: MobileVmoe, base: MobileVmoe) -> None:
    config, other = model.config, base.config
    unlike = [name for name in _SAME if getattr(config, name) != getattr(other, name)]
    if unlike:
        found = "; ".join(f"{name} is {getattr(other, name)}, not {getattr(config, name)}" for name in unlike)
        raise CheckpointMismatch(f"{other.name} does not fit {config.name}: {found}. Choose the matching model.")
    mine, theirs = model.state_dict(), {key: tensor.to(model.device) for key, tensor in base.state_dict().items()}
    sources = expert_sources(config, other) if config.num_moe_layers and other.num_moe_layers else []
    state = {
        key: theirs[key]
        for key, tensor in mine.items()
        if key in theirs and theirs[key].shape == tensor.shape and not _is_matched(key)
    }
    for place in range(config.depth):
        state |= _mlps_of(mine, theirs, f"layers.{place}.", sources)
    if sources:
        state |= {key: theirs[key][sources] for key in mine if key.endswith("router.weight") and key in theirs}
    places = {name: row for row, name in enumerate(other.classes)}
    rows = [row for row, name in enumerate(config.classes) if name in places]
    old = [places[config.classes[row]] for row in rows]
    for key in ("head.weight", "head.bias"):
        head = torch.zeros_like(mine[key])
        head[rows] = theirs[key][old]
        state[key] = head
    load_strictly(model, mine | state, other.name)


def _is_matched(key: str) -> bool:
    """Whether a tensor has a row for each class or expert, or is an MLP that may become one."""
    return key.startswith("head.") or key.endswith("router.weight") or ".experts." in key or ".mlp." in key


def _mlps_of(
    mine: dict[str, Tensor], theirs: dict[str, Tensor], layer: str, sources: Sequence[int]
) -> dict[str, Tensor]:
    """The MLP, the experts and the shared expert of one layer, made of those that the other model has there."""
    state: dict[str, Tensor] = {}
    has_shared = f"{layer}mlp.enter.weight" in mine
    for stacked, plain in _MLP.items():
        experts, mlp = f"{layer}experts.{stacked}", f"{layer}mlp.{plain}"
        if experts in mine:
            if experts in theirs:
                state[experts] = theirs[experts][list(sources)]
            else:
                state[experts] = theirs[mlp].expand_as(mine[experts]).clone()
                if has_shared and stacked.startswith("leave"):
                    state[experts].zero_()
            if mlp in mine and mlp in theirs:
                state[mlp] = theirs[mlp]
            elif mlp in mine and stacked.startswith("leave"):
                # A shared expert that is new beside trained ones has nothing to add at first.
                state[mlp] = torch.zeros_like(mine[mlp])
        else:
            state[mlp] = theirs[mlp] if mlp in theirs else theirs[experts].mean(dim=0)
    return state


def _read_config(folder: Path) -> VmoeConfig:
    try:
        config = read_json(folder / "config.json", VmoeConfig)
    except msgspec.MsgspecError as error:
        raise CheckpointMismatch(f"The checkpoint {folder.name} describes a model unknown here: {error}.") from error
    if problem := _problem(config):
        raise BadInput(f"The checkpoint {folder.name} is of no model: {problem}.")
    return config


def _problem(config: VmoeConfig) -> str:
    """Why there can be no such model, in words; empty where there can."""
    has_experts = config.routing != "dense"
    sizes = {
        "input": (config.input_px, _MAX_INPUT_PX),
        "grid": (config.grid, _MAX_GRID),
        "tokens": (config.width, _MAX_WIDTH),
        "layers": (config.depth, _MAX_DEPTH),
        "heads": (config.heads, config.width),
        "MLPs": (config.width * config.mlp_ratio, _MAX_WIDTH),
        "classes": (len(config.classes), MAX_CLASSES),
        "experts": (config.num_experts, MAX_EXPERTS),
        "active experts": (config.num_active, MAX_EXPERTS),
        **({"the backbone's tokens": (config.stem_width, _MAX_WIDTH)} if config.stem == "backbone" else {}),
    }
    wrong = [f"{size:,} for {name}" for name, (size, most) in sizes.items() if not 1 <= size <= most]
    if wrong:
        return f"it asks for impossible sizes, {', '.join(wrong)}"
    if config.width % config.heads:
        return f"{config.heads} heads do not share {config.width} numbers of a token evenly"
    for what, names in (("class", config.classes), ("superclass", config.superclasses)):
        if len(set(names)) != len(names) or not all(name.strip() for name in names):
            return f"it names a {what} twice, or not at all"
    if not 0 <= config.dropout < 1 or not 0 <= config.drop_path < 1:
        return f"it leaves out {config.dropout} of its numbers and {config.drop_path} of its layers"
    if has_experts and config.num_active > config.num_experts:
        return f"{config.num_active} of {config.num_experts} experts cannot compute"
    return _problem_of_layers(config) or _problem_of_stem(config) or _problem_of_superclasses(config)


def _problem_of_layers(config: VmoeConfig) -> str:
    if config.routing == "dense":
        return f"without experts it has {config.num_moe_layers} layers of them" if config.num_moe_layers else ""
    # A router of images reads what a dense layer has made of them; before the first a class token has seen nothing.
    most = config.depth if config.routing == "token" else config.depth - 1
    if not 1 <= config.num_moe_layers <= most:
        return f"of {config.depth} layers 1 to {most} can have experts, not {config.num_moe_layers}"
    return ""


def _problem_of_stem(config: VmoeConfig) -> str:
    if config.stem == "backbone":
        return ""
    if config.patch < 1 or config.patch * config.grid != config.input_px:
        return f"{config.grid} patches of {config.patch} px do not fill {config.input_px} px"
    if config.stem == "conv" and (config.patch < 2 or config.patch & (config.patch - 1)):
        return f"convolutions make no patches of {config.patch} px, only of 2, 4, 8 and so on"
    return ""


def _problem_of_superclasses(config: VmoeConfig) -> str:
    num_groups = len(config.superclasses)
    if config.routing in ("superclass", "oracle") and num_groups != config.num_experts:
        return f"it has {num_groups} superclasses for {config.num_experts} experts"
    if len(config.superclass_of) != (len(config.classes) if num_groups else 0):
        return f"it has superclasses for {len(config.superclass_of)} of {len(config.classes)} classes"
    if not all(0 <= place < num_groups for place in config.superclass_of):
        return "a class has a superclass that is not there"
    return ""


def _require_enough(folder: Path, config: VmoeConfig) -> None:
    """Refuse a configuration whose layers would be larger than all that the file of weights holds."""
    tensors = weights_header(folder / "weights.safetensors").values()
    held, asked = sum(math.prod(shape) for _, shape in tensors), num_weights(config)
    if asked > held:
        raise BadInput(
            f"The checkpoint {folder.name} asks for impossible sizes: {asked:,} weights, and its file holds {held:,}."
        )


def _stored(key: str, tensor: Tensor) -> Tensor:
    # Variances may be too large or too small for half precision, and are few.
    is_small = key.startswith(("backbone.", "stem.")) and tensor.ndim < 2
    kind = torch.float16 if tensor.is_floating_point() and not is_small else tensor.dtype
    return tensor.detach().to("cpu", kind).contiguous().clone()
