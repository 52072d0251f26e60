"""Mobile V-MoE: an image costs what its dense twin costs, and who computes it is who was chosen."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from msgspec.structs import replace
from torch.utils.flop_counter import FlopCounterMode

from locstudio.domain.errors import BadInput
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import stem_width
from locstudio.models.mobile_vmoe_macs import macs
from locstudio.models.towers import LITE

sys.path.insert(0, str(Path(__file__).parent))
from vmoes import pictures, tiny_config, tiny_vmoe

B = 12
MODES = ("superclass", "image", "token", "random", "oracle")


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def measured(model, num_images=B):
    with FlopCounterMode(display=False) as counter:
        model(pictures(num_images))
    return counter.get_total_flops() / 2 / num_images


def by_hand(model, x_1ND, experts, gates):
    """The layers with experts for one image, one expert after another."""
    for layer in model.layers[1:]:
        x_1ND = layer.attend(x_1ND)
        normed = layer.mlp_norm(x_1ND)
        result = torch.zeros_like(normed) if layer.mlp is None else layer.mlp(normed)
        of = layer.experts
        for expert, gate in zip(experts, gates, strict=True):
            inside = F.gelu(normed @ of.enter_weight[expert].T + of.enter_bias[expert])
            result = result + gate * (inside @ of.leave_weight[expert].T + of.leave_bias[expert])
        x_1ND = x_1ND + result
    return model.head(model.norm(x_1ND[:, 0]))[0]


# What it costs


@pytest.mark.parametrize("mode", MODES)
def test_that_an_image_costs_its_dense_twin_and_a_router(mode):
    twin = measured(tiny_vmoe("dense"))
    routers = macs(tiny_config(mode)).router
    assert measured(tiny_vmoe(mode)) == pytest.approx(twin + routers, rel=0.01)
    if mode != "token":
        assert routers <= 16 * 3  # width times experts, once an image


@pytest.mark.parametrize("num_images", [1, B])
def test_that_k_experts_cost_k_mlps_whatever_their_number(num_images):
    one, two = (macs(tiny_config("image", num_active=k)) for k in (1, 2))
    assert two.total - one.total == 2 * one.per_expert
    assert (
        measured(tiny_vmoe(num_active=2, num_experts=8), num_images)
        == macs(tiny_config(num_active=2, num_experts=8)).total
    )


@pytest.mark.parametrize("mode", ["dense", *MODES])
@pytest.mark.parametrize(
    "changes", [{}, {"stem": "conv"}, {"num_active": 2, "has_shared_expert": True, "num_experts": 3}]
)
def test_that_what_is_counted_is_what_torch_counts(mode, changes):
    if mode == "dense":
        changes = {key: value for key, value in changes.items() if key == "stem"}
    model, counted = tiny_vmoe(mode, **changes), macs(tiny_config(mode, **changes))
    assert measured(model) == counted.total
    assert sum(weight.numel() for weight in model.parameters()) == counted.params
    idle = 2 * (3 - model.config.num_active) * (2 * 16 * 32 + 32 + 16)
    assert counted.params - counted.active_params == (0 if mode == "dense" else idle)


def test_that_the_cost_of_the_papers_vit_tiny_is_the_papers():
    # PAPERS 2.2: 12 layers of 192 at patches of 32 px, 1,000 classes: 306M multiply-adds and 6.13M weights.
    sizes = {"input_px": 224, "patch": 32, "grid": 7, "width": 192, "depth": 12, "heads": 3, "mlp_ratio": 4.0}
    cost = macs(tiny_config("dense", classes=tuple(map(str, range(1000))), **sizes))
    assert cost.stem == 49 * 3 * 32**2 * 192
    assert round(cost.total / 1e6) == 306
    assert round(cost.params / 1e6, 2) == 6.13


# Who computes


@pytest.mark.parametrize(
    "changes", [{}, {"num_active": 2}, {"num_active": 2, "renormalises": True, "has_shared_expert": True}]
)
def test_that_images_in_a_batch_are_computed_as_each_by_itself(changes):
    model = tiny_vmoe(**changes)
    images = pictures(B)
    together = model(images)
    assert len(together.experts_BRk[:, 0, 0].unique()) > 1
    for row in range(B):
        alone = model(images[row : row + 1])
        assert alone.experts_BRk.tolist() == together.experts_BRk[row : row + 1].tolist()
        torch.testing.assert_close(alone.logits_BL[0], together.logits_BL[row], rtol=1e-4, atol=1e-5)
        experts, gates = together.experts_BRk[row, 0].tolist(), together.gates_BRk[row, 0].tolist()
        expected = by_hand(model, model.layers[0](model._tokens(images[row : row + 1])), experts, gates)
        torch.testing.assert_close(together.logits_BL[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_active", [1, 2])
def test_that_tokens_in_a_batch_are_computed_as_each_by_itself(num_active):
    model = tiny_vmoe("token", num_active=num_active)
    routed = model(pictures(3))
    x_BND = model.layers[0](model._tokens(pictures(3)))
    for place, layer in enumerate(model.layers[1:]):
        x_BND = layer.attend(x_BND)
        normed = layer.mlp_norm(x_BND)
        gates, experts = (normed @ layer.router.weight.T).softmax(-1).topk(num_active)
        of, result = layer.experts, torch.zeros_like(normed)
        for image in range(3):
            for token in range(17):
                for gate, expert in zip(gates[image, token], experts[image, token], strict=True):
                    inside = F.gelu(of.enter_weight[expert] @ normed[image, token] + of.enter_bias[expert])
                    result[image, token] += gate * (of.leave_weight[expert] @ inside + of.leave_bias[expert])
        x_BND = x_BND + result
        shares = torch.stack([(experts[..., 0] == expert).float().mean(1) for expert in range(3)], dim=1)
        torch.testing.assert_close(routed.router_BRE[:, place], shares)
        assert routed.experts_BRk[:, place, 0].tolist() == shares.argmax(1).tolist()
    torch.testing.assert_close(routed.logits_BL, model.head(model.norm(x_BND[:, 0])), rtol=1e-4, atol=1e-5)


def test_that_one_decision_serves_all_layers_but_of_tokens():
    assert tiny_vmoe()(pictures(2)).router_BRE.shape == (2, 1, 3)
    assert tiny_vmoe("token")(pictures(2)).router_BRE.shape == (2, 2, 3)
    assert tiny_vmoe("dense")(pictures(2)).router_BRE.shape == (2, 0, 3)
    assert tiny_vmoe().moe_layers == (2, 3)


def test_that_a_gate_is_the_probability_as_it_is_or_of_the_chosen_alone():
    routed = tiny_vmoe(num_active=2)(pictures(B))
    torch.testing.assert_close(routed.router_BRE.sum(2), torch.ones(B, 1))
    torch.testing.assert_close(routed.gates_BRk, routed.router_BRE.gather(2, routed.experts_BRk))
    assert (routed.gates_BRk.diff(dim=2) <= 0).all()
    alone = tiny_vmoe(num_active=2, renormalises=True)(pictures(B))
    torch.testing.assert_close(alone.gates_BRk, routed.gates_BRk / routed.gates_BRk.sum(2, keepdim=True))


def test_that_only_experts_that_computed_are_taught():
    model = tiny_vmoe()
    images = pictures(B)
    chosen = int(model(images[:1]).experts_BRk)
    with torch.enable_grad():
        model(images[:1]).logits_BL.sum().backward()
    taught = model.layers[2].experts.enter_weight.grad.abs().amax(dim=(1, 2)) > 0
    assert taught.tolist() == [expert == chosen for expert in range(3)]
    assert model.router.weight.grad.abs().sum() > 0  # through the gate


# Noise, chance, truth


@pytest.mark.parametrize("mode", MODES)
def test_that_only_routers_without_a_teacher_have_noise_and_only_while_training(mode):
    model = tiny_vmoe(mode)
    quiet = model(pictures(B))
    assert all(a is b for a, b in zip(quiet.router_logits, quiet.noisy_logits, strict=True))
    noisy = model.train()(pictures(B))
    differ = [bool((a != b).any()) for a, b in zip(noisy.router_logits, noisy.noisy_logits, strict=True)]
    assert any(differ) == (mode in ("image", "token"))
    if any(differ):
        # Of standard deviation 1 / E.
        spread = torch.cat([(a - b).flatten() for a, b in zip(noisy.router_logits, noisy.noisy_logits, strict=True)])
        assert spread.std().item() == pytest.approx(1 / 3, rel=0.35)


def test_that_chance_draws_the_same_for_the_same_image_and_evenly():
    model = tiny_vmoe("random", num_active=2, num_experts=5)
    images, seeds = pictures(1).expand(500, -1, -1, -1), torch.arange(500)
    draw = model(images, seed_B=seeds)
    assert model(images[:9], seed_B=seeds[90:99]).experts_BRk.tolist() == draw.experts_BRk[90:99].tolist()
    first, second = draw.experts_BRk[:, 0].T
    assert (first != second).all()
    counts = torch.stack([first.bincount(minlength=5), second.bincount(minlength=5)])
    assert (counts - 100).abs().max() < 36  # four standard deviations
    assert draw.gates_BRk.unique().tolist() == [0.5]
    assert draw.router_logits == []


def test_that_chance_without_a_seed_goes_by_the_image_and_anew_while_training():
    model = tiny_vmoe("random", num_experts=8)
    images = pictures(B)
    experts = model(images).experts_BRk.flatten().tolist()
    assert model(images.flip(0)).experts_BRk.flatten().tolist() == experts[::-1]
    assert len(set(experts)) > 2
    model.train()
    assert model(images).experts_BRk.tolist() != model(images).experts_BRk.tolist()


def test_that_the_oracle_goes_by_the_truth_and_where_it_is_not_known_by_the_router():
    model = tiny_vmoe("oracle", num_active=2)
    truth = torch.tensor([0, 1, 2, -1] * 3)
    told, untold = model(pictures(B), superclass_B=truth), model(pictures(B))
    known = truth >= 0
    assert told.experts_BRk[known, 0, 0].tolist() == truth[known].tolist()
    torch.testing.assert_close(told.gates_BRk[known, 0], torch.tensor([1.0, 0.0]).expand(9, 2))
    torch.testing.assert_close(told.logits_BL[~known], untold.logits_BL[~known])
    torch.testing.assert_close(told.router_logits[0], untold.router_logits[0])
    # A model that is not the oracle is not told.
    taught = tiny_vmoe("superclass")
    torch.testing.assert_close(
        taught(pictures(B), superclass_B=truth).logits_BL, taught(pictures(B)).logits_BL, rtol=0, atol=0
    )


# What if


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("num_images", [1, 4])
def test_that_what_if_forces_each_expert_in_turn(mode, num_images):
    model = tiny_vmoe(mode)
    what_if_EBL = model.what_if(pictures(num_images))
    usual = model(pictures(num_images))
    assert what_if_EBL.shape == (3, num_images, 6)
    for expert in range(3):
        forced = model(pictures(num_images), forced_B=torch.full((num_images,), expert))
        torch.testing.assert_close(what_if_EBL[expert], forced.logits_BL, rtol=1e-4, atol=1e-5)
        assert set(forced.experts_BRk.flatten().tolist()) == {expert}
    torch.testing.assert_close(forced.router_BRE[:, 0], usual.router_BRE[:, 0])
    if mode != "token":
        own = usual.experts_BRk[:, 0, 0]
        torch.testing.assert_close(what_if_EBL[own, torch.arange(num_images)], usual.logits_BL, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(forced.gates_BRk, usual.gates_BRk)


def test_that_a_dense_model_has_nobody_to_force():
    with pytest.raises(ValueError, match="tiny has no experts"):
        tiny_vmoe("dense").what_if(pictures(1))


# Pixels, cells, and how it begins


def test_that_matrices_begin_by_their_widths():
    for width in (16, 64):
        layer = MobileVmoe(tiny_config(width=width)).layers[2]
        hidden, of = 2 * width, layer.experts
        for weight, widths in (
            *((one, width + hidden) for one in (*of.enter_weight, *of.leave_weight)),
            *((one, 2 * width) for one in (*layer.attention.enter.weight.chunk(3), layer.attention.leave.weight)),
        ):
            # Glorot's uniform numbers reach to the root of 6 by both widths together.
            assert weight.abs().max().item() == pytest.approx((6 / widths) ** 0.5, rel=0.05)


def test_that_patches_are_seen_where_they_are():
    model = tiny_vmoe("dense")
    images = pictures(1).repeat(2, 1, 1, 1)
    images[1, :, 8:16, 24:32] += 1  # second row, fourth column of 4 x 4 patches
    differs = (model._tokens(images).diff(dim=0)[0].abs().amax(dim=1) > 0).nonzero().flatten().tolist()
    assert differs == [1 + 4 + 3]


@pytest.mark.parametrize("stem", ["patch", "conv"])
def test_that_models_of_pixels_take_their_own_size(stem):
    model = tiny_vmoe(stem=stem)
    grey = model.preprocess(np.full((32, 32, 3), 118, np.uint8))
    assert grey.abs().max() < 0.3
    assert model.cells(grey[None]) is not None
    assert model(grey[None]).logits_BL.shape == (1, 6)
    with pytest.raises(ValueError, match="32 x 32"):
        model.preprocess(np.zeros((32, 16, 3), np.uint8))


def test_that_a_backbone_stays_as_it_is():
    config = tiny_config(stem="backbone", backbone="test_resnet", input_px=64, patch=0, grid=2, stem_width=96)
    assert stem_width("test_resnet", 64) == 96
    model = MobileVmoe(config).train()
    assert not model.backbone.training
    assert not any(weight.requires_grad for weight in model.backbone.parameters())
    cells = model.cells(model.preprocess(np.zeros((64, 64, 3), np.uint8))[None])
    assert cells.shape == (1, 96, 2, 2)
    # Cells that were kept in half precision will do.
    torch.testing.assert_close(model.eval()(cells.half()).logits_BL, model(cells).logits_BL, rtol=0.05, atol=0.01)


def test_that_the_packaged_tower_is_built_when_pixels_come_and_is_no_part_of_the_weights():
    config = tiny_config(stem="backbone", backbone=LITE, input_px=96, patch=0, grid=3, stem_width=stem_width(LITE, 96))
    model = MobileVmoe(config).eval()
    names = set(model.state_dict())
    cells = model.cells(model.preprocess(np.zeros((96, 96, 3), np.uint8))[None])
    assert cells.shape == (1, config.stem_width, 3, 3)
    assert set(model.state_dict()) == names
    assert not any("backbone" in name for name in names)
    model.config = replace(config, stem_width=64)  # as a stranger's file may say
    with pytest.raises(BadInput, match=f"takes 64 numbers of a cell, and {LITE} gives {config.stem_width}"):
        model.cells(model.preprocess(np.zeros((96, 96, 3), np.uint8))[None])
