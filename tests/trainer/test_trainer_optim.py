"""The rate by its corners, and what decays."""

import pytest
import torch
from torch import nn

from trainer.device import choose_device, describe_device
from trainer.optim import learning_rate_at, make_optimizer, set_learning_rate

RATE = {"peak": 1.0, "num_warmup_steps": 10, "num_steps": 110}


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.1),  # the first of ten equal stairs
        (9, 1.0),
        (10, 1.0),  # the cosine begins at its top
        (60, 0.5),  # half way from 10 to 110
        (110, 0.0),
        (500, 0.0),
    ],
)
def test_that_the_rate_climbs_a_line_and_descends_half_a_cosine(step, rate):
    assert learning_rate_at(step, **RATE) == pytest.approx(rate, abs=1e-12)


def test_that_a_run_without_warm_up_begins_at_the_peak():
    assert learning_rate_at(0, peak=3.0, num_warmup_steps=0, num_steps=5) == 3.0


def test_that_vectors_and_scalars_do_not_decay_and_frozen_parameters_are_left_out():
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    module.register_parameter("logit_scale", nn.Parameter(torch.tensor(2.0)))
    module[2].weight.requires_grad_(False)
    decaying, others = make_optimizer(module, learning_rate=0.1, weight_decay=0.2).param_groups
    assert [p.shape for p in decaying["params"]] == [(4, 3)]
    assert decaying["weight_decay"] == 0.2
    assert all(p.ndim <= 1 for p in others["params"])
    assert len(others["params"]) == 1 + 1 + 2 + 1  # scale, first bias, norm's two, last bias
    assert others["weight_decay"] == 0.0


def test_that_every_group_gets_the_rate():
    optimizer = make_optimizer(nn.Linear(2, 2), learning_rate=0.1, weight_decay=0.2)
    set_learning_rate(optimizer, 0.025)
    assert [group["lr"] for group in optimizer.param_groups] == [0.025, 0.025]


def test_that_a_module_with_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="no parameter"):
        make_optimizer(nn.Linear(2, 2).requires_grad_(False), learning_rate=0.1, weight_decay=0.0)


def test_that_a_device_which_is_not_there_becomes_the_cpu_with_a_sentence():
    device, sentence = choose_device("cuda:97")
    assert device.type == "cpu"
    assert "cuda:97 is not there" in sentence
    assert choose_device("cpu") == (torch.device("cpu"), "")
    assert describe_device(device).startswith("CPU, ")


def test_that_a_word_which_is_no_device_is_refused():
    with pytest.raises(ValueError, match="toaster"):
        choose_device("toaster")
