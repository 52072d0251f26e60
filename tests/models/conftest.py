"""Small real models: a CLOC on open_clip's own ViT, two layers of 64 channels, random weights."""

from collections.abc import Callable

import pytest
import torch

from locstudio.models.checkpoint import new_model
from locstudio.models.cloc import Cloc
from locstudio.models.config import ClocConfig, PrompterConfig, TowerConfig

_DEFINITION = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_tower() -> TowerConfig:
    """4 x 4 tokens and the global one, 64 wide."""
    return TowerConfig(model="tiny-vit", input_px=64, width=64, num_tokens=17, definition=_DEFINITION)


@pytest.fixture(scope="session")
def make_tiny(tiny_tower) -> Callable[..., Cloc]:
    """A model with embeddings of 32; keywords are switches of its Prompter."""

    def make(**switches: object) -> Cloc:
        torch.manual_seed(0)
        prompter = PrompterConfig(**switches)
        return new_model(ClocConfig(name="tiny", tower=tiny_tower, dim=32, token_width=64, prompter=prompter))

    return make


@pytest.fixture(scope="session")
def tiny(make_tiny) -> Cloc:
    """For reading only."""
    return make_tiny()
