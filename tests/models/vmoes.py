"""Tiny Mobile V-MoEs for tests: 17 tokens of 16 numbers, three layers, two of them with experts."""

import torch

from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import new_vmoe

CLASSES = ("bicycle", "bus", "cat", "dog", "okapi", "zebra")
SUPERCLASSES = ("vehicles", "pets", "wild")
SUPERCLASS_OF = (0, 0, 1, 1, 2, 2)


def tiny_config(routing="image", **changes) -> VmoeConfig:
    """With superclasses where experts are taught them."""
    taught = {"superclasses": SUPERCLASSES, "superclass_of": SUPERCLASS_OF}
    values = {
        "name": "tiny",
        "classes": CLASSES,
        "routing": routing,
        "stem": "patch",
        "input_px": 32,
        "patch": 8,
        "grid": 4,
        "width": 16,
        "depth": 3,
        "heads": 2,
        "mlp_ratio": 2.0,
        "num_moe_layers": 0 if routing == "dense" else 2,
        "num_experts": 3,
    }
    return VmoeConfig(**(values | (taught if routing in ("superclass", "oracle") else {}) | changes))


def tiny_vmoe(routing="image", seed=0, **changes) -> MobileVmoe:
    """Weights large enough that images are told apart, and a router that sends them to all experts."""
    torch.manual_seed(seed)
    model = new_vmoe(tiny_config(routing, **changes))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.3)
    return model


def pictures(num_images, seed=1) -> torch.Tensor:
    """Preprocessed pixels of images that have nothing in common."""
    return torch.randn(num_images, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2
