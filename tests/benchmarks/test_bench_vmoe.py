"""A model with experts against its dense twin of equal multiply-adds: an image, one at a time and 64 together.

    packaging/test.sh tests/benchmarks/test_bench_vmoe.py -s

Both take turns, and the shortest CPU times of one thread are compared: whatever else runs on a machine only adds to a
time, and least to the shortest.  Where there is a GPU its wall times are compared too.  What is timed goes from what
tokens are made of (pixels, or the packaged tower's cells) to logits: the tower's own time, which both share, would hide
what experts cost.
"""

import statistics
import time

import msgspec
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import new_vmoe

MAX_RATIO = 1.1
NUM_EXPERTS = 10

PRODUCT = VmoeConfig(
    name="on the packaged tower", classes=tuple(map(str, range(200))), routing="image", stem_width=1752, width=128,
    depth=4, heads=4,
)  # fmt: skip
SCRATCH = msgspec.structs.replace(
    PRODUCT, name="from scratch at 64 px", stem="patch", stem_width=0, input_px=64, patch=8, grid=8, width=96, depth=6,
    heads=3,
)  # fmt: skip
TINY = msgspec.structs.replace(SCRATCH, name="17 tokens of 48", patch=16, grid=4, width=48)
PAPER = msgspec.structs.replace(
    SCRATCH, name="the paper's ViT-Tiny", input_px=224, patch=32, grid=7, width=192, depth=12
)  # fmt: skip
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def raw(config: VmoeConfig, num_images: int, device: str) -> torch.Tensor:
    if config.stem == "backbone":
        return torch.randn(num_images, config.stem_width, config.grid, config.grid, device=device)
    return torch.randn(num_images, 3, config.input_px, config.input_px, device=device)


def twins(config: VmoeConfig, device: str) -> tuple[MobileVmoe, MobileVmoe]:
    """The dense one, and the one made of it; its router sends random images to all experts."""
    dense = new_vmoe(msgspec.structs.replace(config, routing="dense", num_moe_layers=0)).to(device)
    experts = new_vmoe(config, dense=dense).to(device)
    with torch.no_grad():
        token_BD = experts.router.norm(experts._dense(raw(config, 64, device))[:, 0])
        mean_D = token_BD.mean(dim=0)
        # Directions in which images differ from each other, not from nothing.
        weight_ED = torch.randn(NUM_EXPERTS, config.width, device=device)
        weight_ED -= (weight_ED @ mean_D)[:, None] * mean_D / mean_D.square().sum()
        spread_E = ((token_BD - mean_D) @ weight_ED.T).std(dim=0)
        experts.router.weight.copy_(weight_ED / spread_E[:, None])
    return dense, experts


def cost_ms(model: MobileVmoe, inputs: torch.Tensor) -> float:
    if inputs.device.type == "cpu":
        started = time.thread_time()
        model(inputs)
        return (time.thread_time() - started) * 1e3
    torch.cuda.synchronize()
    started = time.perf_counter()
    model(inputs)
    torch.cuda.synchronize()
    return (time.perf_counter() - started) * 1e3


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("num_images", "num_rounds"), [(1, 200), (64, 15)], ids=["batch 1", "batch 64"])
@pytest.mark.parametrize("config", [PRODUCT, SCRATCH, TINY, PAPER], ids=lambda config: config.name)
def test_that_experts_cost_at_most_a_tenth_more_than_the_dense_twin(
    config, num_images, num_rounds, device, record_property
):
    dense, experts = twins(config, device)
    inputs = raw(config, num_images, device)
    with torch.inference_mode():
        with FlopCounterMode(display=False) as of_dense:
            dense(inputs)
        with FlopCounterMode(display=False) as of_experts:
            routed = experts(inputs)
        num_used = len(routed.experts_BRk.unique())
        assert num_images == 1 or num_used >= 8
        assert of_experts.get_total_flops() == pytest.approx(of_dense.get_total_flops(), rel=0.01)
        costs: dict[MobileVmoe, list[float]] = {dense: [], experts: []}
        for number in range(num_rounds):
            for model in (dense, experts) if number % 2 else (experts, dense):
                costs[model].append(cost_ms(model, inputs))
    dense_ms, experts_ms = min(costs[dense]), min(costs[experts])
    ratio = experts_ms / dense_ms
    for name, value in (("dense_ms", dense_ms), ("experts_ms", experts_ms), ("ratio", ratio)):
        record_property(name, value)
    print(
        f"\n{config.name}, {num_images} images on the {device}: {num_used} experts {experts_ms:.3f} ms, "
        f"dense {dense_ms:.3f} ms, ratio {ratio:.3f}; ratio of medians "
        f"{statistics.median(costs[experts]) / statistics.median(costs[dense]):.3f}"
    )
    assert ratio <= MAX_RATIO
