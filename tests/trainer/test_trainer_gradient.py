"""The gradient of a batch in parts is that of the whole batch."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from locstudio.jobs.configs import ClocTraining
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.cloc import Cloc
from trainer.gradient import gradient_of, parts_of
from trainer.recipes.cloc import ClocStep, ClocStepConfig
from trainer.recipes.cloc_batch import ClocBatch
from trainer.recipes.cloc_model import TrainedStep, model_to_train


@pytest.fixture
def model(tiny_checkpoint) -> Cloc:
    model = load_checkpoint(tiny_checkpoint)
    model.towers.requires_grad_(False)
    model.reduce.requires_grad_(False)
    # The untrained text tower says nearly the same of every sentence, so that nothing would be a negative.
    generator = torch.Generator().manual_seed(4)
    features = {text: torch.randn(model.text_project.in_features, generator=generator) for text in TEXTS}
    model.text_features = lambda texts: F.normalize(
        torch.stack([features[text] for text in texts]) if texts else torch.zeros(0, model.text_project.in_features)
    )
    return model


PHRASES = ("a cat", "a rug", "a bridge at night", "a cup")
CAPTIONS = ("a cat on a rug", None, "an empty room", "two cups", "a cup beside a cat")
TEXTS = (*PHRASES, *(caption for caption in CAPTIONS if caption))


def make_batch(model: Cloc) -> ClocBatch:
    """Five images: two with two regions, one with one, two without; "a bridge at night" is nobody's phrase."""
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(5, 2, 2, generator=generator) * 0.6
    return ClocBatch(
        boxes_BM4=torch.cat([corner, corner + 0.3], dim=-1),
        valid_BM=torch.tensor([[True, True], [False, False], [True, False], [False, False], [True, True]]),
        phrases=PHRASES,
        phrase_BM=torch.tensor([[0, 1], [0, 0], [0, 0], [0, 0], [3, 0]]),
        captions=CAPTIONS,
        tokens_BND=torch.randn(5, model.config.tower.num_tokens, model.config.token_width, generator=generator),
    )


def gradient(
    model: Cloc, micro_batch: int, weight_BM: torch.Tensor | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    model.zero_grad(set_to_none=True)
    batch = replace(make_batch(model), weight_BM=weight_BM)
    terms = gradient_of(ClocStep(model, ClocStepConfig()), batch, micro_batch)
    return terms, {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4])
def test_that_the_gradient_in_parts_is_that_of_the_whole_batch(model, micro_batch):
    whole_terms, whole = gradient(model, 0)
    terms, parts = gradient(model, micro_batch)
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {name: float(term) for name, term in whole_terms.items()}, rel=1e-5
    )
    reached = {name for name, value in whole.items() if value.abs().max() > 1e-7}
    assert {name.split(".")[0] for name in reached} >= {"prompter", "text_project", "grounding", "logit_scale"}
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-3, atol=1e-6, msg=name)


WEIGHTS_BM = torch.tensor([[1.0, 0.5], [1.0, 1.0], [0.5, 1.0], [1.0, 1.0], [1.0, 1.0]])


@pytest.mark.parametrize("micro_batch", [1, 2, 4])
def test_that_regions_that_count_less_do_so_in_parts_as_in_the_whole(model, micro_batch):
    whole_terms, whole = gradient(model, 0, WEIGHTS_BM)
    terms, parts = gradient(model, micro_batch, WEIGHTS_BM)
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {name: float(term) for name, term in whole_terms.items()}, rel=1e-5
    )
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-3, atol=1e-6, msg=name)
    plain_terms, _ = gradient(model, micro_batch)
    assert float(plain_terms["clip"]) == pytest.approx(float(terms["clip"]))
    assert float(plain_terms["grounding"]) != pytest.approx(float(terms["grounding"]), rel=1e-3)


def test_that_regions_that_all_count_alike_give_bitwise_the_gradient_without_weights(model):
    terms, plain = gradient(model, 2)
    weighted_terms, weighted = gradient(model, 2, torch.ones(5, 2))
    assert all(torch.equal(terms[name], weighted_terms[name]) for name in terms)
    assert all(torch.equal(plain[name], weighted[name]) for name in plain)


def test_that_dropout_drops_the_same_in_both_passes_over_a_part(model):
    model.prompter.drop.p = 0.5
    model.prompter.train()
    seen = []
    model.prompter.drop.register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach().clone()))
    gradient(model, 3)
    first, second = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert len(first) == len(second) > 1
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_that_parts_bring_every_phrase_that_no_region_has_once():
    batch = ClocBatch(
        boxes_BM4=torch.zeros(3, 1, 4),
        valid_BM=torch.ones(3, 1, dtype=torch.bool),
        phrases=("a", "b", "free", "c"),
        phrase_BM=torch.tensor([[1], [0], [3]]),
        captions=(None, "x", None),
        tokens_BND=torch.arange(3.0).reshape(3, 1, 1),
    )
    first, second = parts_of(batch, 2)
    assert (first.phrases, second.phrases) == (("b", "a", "free"), ("c",))
    assert first.phrase_BM.tolist() == [[0], [1]]
    assert second.phrase_BM.tolist() == [[0]]
    assert (first.captions, second.captions) == ((None, "x"), (None,))
    assert second.tokens_BND.tolist() == [[[2.0]]]


def test_that_a_loss_that_is_no_number_adds_no_gradient(model):
    batch = make_batch(model)
    batch.tokens_BND[0] = torch.nan
    for micro_batch in (0, 2):
        model.zero_grad(set_to_none=True)
        terms = gradient_of(ClocStep(model, ClocStepConfig()), batch, micro_batch)
        assert not torch.isfinite(terms["loss"])
        assert all(parameter.grad is None for parameter in model.parameters())


def test_that_towers_that_learn_get_the_same_gradient_in_parts(tiny_checkpoint):
    training = ClocTraining(is_tower_frozen=False)
    model = model_to_train(tiny_checkpoint, training, "cpu")
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randn(5, 3, model.input_px, model.input_px, generator=generator)
    batch = replace(make_batch(model), tokens_BND=None, pixels_B3HW=pixels)
    gradients = []
    for micro_batch in (0, 2):
        model.zero_grad(set_to_none=True)
        gradient_of(TrainedStep(model, training), batch, micro_batch)
        gradients.append({name: value.grad for name, value in model.named_parameters() if value.grad is not None})
    whole, parts = gradients
    assert whole.keys() == parts.keys()
    assert {name.split(".")[2] for name in whole if name.startswith("towers.clip")} >= {"visual", "transformer"}
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-3, atol=1e-5, msg=name)
