"""Models of others, from a folder of the person's or the hub: data only, and never their code.

The trainer works offline unless the person herself has set HF_HUB_OFFLINE=0.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError

from locstudio.domain.errors import BadInput

_Loaded = TypeVar("_Loaded")

# What the libraries raise for weights that are not there, are broken, or are another model's.
_LOADING_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
    AssertionError,
    RuntimeError,
    SafetensorError,
)


def load_from_outside(name: str, source: str, load: Callable[[], _Loaded]) -> _Loaded:
    """What ``load`` gives.

    Args:
        name: The model in words: "OWLv2".
        source: A folder, or a tag of the hub.

    Raises:
        BadInput: the weights are not on this machine, or are none of this model; the sentence says what to do.
    """
    try:
        return load()
    except _LOADING_ERRORS as error:
        if os.path.isdir(source):
            raise BadInput(
                f"The folder {source} holds no weights of {name} that can be used: {_reason(error)}."
            ) from error
        if os.sep in source and (source.startswith((os.sep, ".", "~")) or Path(source).exists()):
            raise BadInput(f"There is no folder {source} with weights of {name}.") from error
        raise BadInput(
            f"The weights {source} of {name} are not on this machine. Name the folder where they lie, or set "
            "HF_HUB_OFFLINE=0 once to let them be fetched."
        ) from error


def from_pretrained(model_class: Any, source: str, device: torch.device) -> Any:
    """A model of transformers with every weight read from safetensors, in evaluation mode.

    Raises:
        ValueError: some weights are not in the files.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    model, info = model_class.from_pretrained(
        source, use_safetensors=True, trust_remote_code=False, output_loading_info=True
    )
    if missing := sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"]):
        raise ValueError(f"{len(missing)} of its weights are missing or of another shape, for example {missing[0]}")
    return model.eval().to(device)


def _reason(error: BaseException) -> str:
    words = str(error).strip().splitlines()
    return words[0].rstrip(".")[:200] if words else type(error).__name__
