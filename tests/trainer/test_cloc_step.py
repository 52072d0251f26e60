import math
import zlib

import pytest
import torch
import torch.nn.functional as F

from locstudio.jobs.configs import ClocTraining
from locstudio.models.checkpoint import new_model
from locstudio.models.cloc import Cloc
from locstudio.models.config import ClocConfig, PrompterConfig, TowerConfig
from trainer.losses.contrastive import MAX_LOG_SCALE
from trainer.recipes.cloc import ClocStep, ClocStepConfig
from trainer.recipes.cloc_batch import ClocBatch
from trainer.recipes.cloc_model import step_config

_TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


def words_apart(texts: list[str]) -> torch.Tensor:
    """Features of sentences that are unlike each other, which a text tower without training would not give."""
    drawn = [torch.randn(32, generator=torch.Generator().manual_seed(zlib.crc32(text.encode()))) for text in texts]
    return F.normalize(torch.stack(drawn), dim=1) if drawn else torch.zeros(0, 32)


def make_model(extractor="prompter", is_tower_frozen=True) -> Cloc:
    torch.manual_seed(0)
    tower = TowerConfig(model="tiny-vit", input_px=64, width=64, num_tokens=17, definition=_TINY)
    prompter = PrompterConfig(extractor=extractor)
    model = new_model(ClocConfig(name="tiny", tower=tower, dim=32, token_width=64, prompter=prompter))
    if is_tower_frozen:
        model.towers.requires_grad_(False)
        model.towers.text_features = words_apart
    return model


def make_batch(**changes: object) -> ClocBatch:
    """Three images: two regions, one region, none; two captions; "a cat" twice and "a rug" once."""
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.4, 0.4, 0.9, 0.8]]).repeat(3, 1, 1)
    values = {
        "boxes_BM4": boxes,
        "valid_BM": torch.tensor([[True, True], [True, False], [False, False]]),
        "phrases": ("a cat", "a rug"),
        "phrase_BM": torch.tensor([[0, 1], [0, 0], [0, 0]]),
        "captions": ("a cat on a rug", None, "an empty room"),
        "tokens_BND": torch.randn(3, 17, 64, generator=torch.Generator().manual_seed(1)),
    }
    return ClocBatch(**(values | changes))


def terms_of(batch: ClocBatch, model: Cloc | None = None, **config: object) -> dict[str, float]:
    step = ClocStep(model or make_model(), ClocStepConfig(**config))
    return {name: float(term.detach()) for name, term in step(batch).items()}


def test_that_the_loss_is_clip_and_two_thirds_of_the_rest():
    # Two of three images have regions, so lambda is 2/3.
    terms = terms_of(make_batch())
    assert terms["loss"] == pytest.approx(terms["clip"] + 2 / 3 * (terms["region_text"] + terms["grounding"]), rel=1e-5)


def test_that_padded_boxes_and_phrases_change_nothing():
    other = make_batch()
    other.boxes_BM4[1, 1] = torch.tensor([0.0, 0.0, 0.01, 0.01])
    other.phrase_BM[2] = 1
    assert terms_of(other) == pytest.approx(terms_of(make_batch()), rel=1e-5)


def test_that_two_regions_of_one_phrase_are_no_negatives_unless_the_filter_is_off():
    # Three regions, two of them cats, far from trained: filtered, a cat has one rival, unfiltered two.
    assert terms_of(make_batch())["region_text"] < terms_of(make_batch(), text_filter=None)["region_text"]


def test_that_phrases_of_no_region_are_further_negatives():
    more = make_batch(phrases=("a cat", "a rug", "a bridge at night"))
    assert terms_of(more)["region_text"] > terms_of(make_batch())["region_text"]


def test_that_a_batch_without_captions_or_regions_still_has_a_gradient():
    bare = make_batch(captions=(None, None, None), valid_BM=torch.zeros(3, 2, dtype=torch.bool), phrases=())
    loss = ClocStep(make_model(), ClocStepConfig())(bare)["loss"]
    loss.backward()
    assert loss.item() == 0.0


def test_that_grounding_can_be_left_out():
    terms = terms_of(make_batch(), has_grounding=False)
    assert terms["grounding"] == 0.0
    assert terms["loss"] == pytest.approx(terms["clip"] + 2 / 3 * terms["region_text"], rel=1e-5)


def test_that_pixels_give_the_same_as_their_tokens():
    model = make_model()
    pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        tokens = model.encode_image(pixels)
    from_pixels = terms_of(make_batch(tokens_BND=None, pixels_B3HW=pixels), model)
    assert from_pixels == pytest.approx(terms_of(make_batch(tokens_BND=tokens), model), rel=1e-5)


def test_that_a_batch_with_neither_is_refused():
    with pytest.raises(ValueError, match="tokens or pixels"):
        terms_of(make_batch(tokens_BND=None))


def test_that_a_frozen_tower_gets_no_gradient_and_a_free_one_does():
    pixels = torch.randn(3, 3, 64, 64)
    for is_frozen in (True, False):
        model = make_model(is_tower_frozen=is_frozen)
        ClocStep(model, ClocStepConfig())(make_batch(tokens_BND=None, pixels_B3HW=pixels))["loss"].backward()
        moved = [parameter for parameter in model.towers.parameters() if parameter.grad is not None]
        assert bool(moved) is not is_frozen


def test_that_the_proposal_head_learns_only_where_everything_has_its_box():
    objects = (torch.tensor([[0.1, 0.1, 0.5, 0.5]]), None, torch.zeros(0, 4))
    terms = terms_of(make_batch(object_boxes=objects), proposal_weight=2.0)
    plain = terms_of(make_batch())
    assert terms["proposal"] > 0
    assert terms["loss"] == pytest.approx(plain["loss"] + 2 * terms["proposal"], rel=1e-5)
    nowhere = terms_of(make_batch(object_boxes=(None, None, None)))
    assert nowhere["proposal"] == 0.0


def test_that_a_teacher_that_agrees_costs_nothing():
    model = make_model()
    batch = make_batch()
    with torch.no_grad():
        own = model.prompter.embed_boxes(model.prompter.prepare(batch.tokens_BND), batch.boxes_BM4)
    agreed = terms_of(make_batch(teacher_boxes_BK4=batch.boxes_BM4, teacher_BKE=own), model)
    assert agreed["distillation"] == pytest.approx(0.0, abs=1e-5)
    opposed = terms_of(make_batch(teacher_boxes_BK4=batch.boxes_BM4, teacher_BKE=-own), model)
    assert opposed["distillation"] == pytest.approx(2.0, abs=1e-5)


def test_that_zeros_of_a_teacher_say_nothing():
    model, batch = make_model(), make_batch()
    teacher = torch.zeros(3, 2, 32)
    silent = terms_of(make_batch(teacher_boxes_BK4=batch.boxes_BM4, teacher_BKE=teacher), model)
    assert silent["distillation"] == 0.0
    with torch.no_grad():
        teacher[0] = -model.prompter.embed_boxes(model.prompter.prepare(batch.tokens_BND), batch.boxes_BM4)[0]
    opposed = terms_of(make_batch(teacher_boxes_BK4=batch.boxes_BM4, teacher_BKE=teacher), model)
    assert opposed["distillation"] == pytest.approx(2.0, abs=1e-5)


def test_that_what_is_beyond_the_paper_is_off_unless_asked_for():
    assert set(terms_of(make_batch())) == {"loss", "clip", "region_text", "grounding"}


def test_that_altered_phrases_are_rivals_of_their_own_region_alone():
    coloured = make_batch(phrases=("a red cat", "a rug"))
    terms = terms_of(coloured, altered_weight=0.5)
    assert terms["altered"] > 0
    assert terms["loss"] == pytest.approx(terms_of(coloured)["loss"] + 0.5 * terms["altered"], rel=1e-5)
    assert terms_of(make_batch(), altered_weight=0.5)["altered"] == 0.0


def test_that_the_text_contrast_adds_its_share():
    terms = terms_of(make_batch(), text_contrast_weight=0.1)
    assert terms["loss"] == pytest.approx(terms_of(make_batch())["loss"] + 0.1 * terms["text_contrast"], rel=1e-5)


def test_that_pairs_can_be_judged_alone_and_boxes_by_overlap():
    plain, other = terms_of(make_batch()), terms_of(make_batch(), contrast="sigmoid", grounding="overlap")
    assert other["region_text"] != plain["region_text"]
    assert other["grounding"] > plain["grounding"]


def test_that_the_nearest_box_of_a_phrase_costs_no_more_than_its_own():
    twice = make_batch(phrase_BM=torch.zeros(3, 2, dtype=torch.int64))
    assert terms_of(twice, has_nearest_box=True)["grounding"] <= terms_of(twice)["grounding"]


@pytest.mark.parametrize("extractor", ["roi_align", "crop"])
def test_that_the_rivals_train_by_the_same_step(extractor):
    model = make_model(extractor)
    batch = make_batch(pixels_B3HW=torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(2)))
    ClocStep(model, ClocStepConfig())(batch)["loss"].backward()
    project = model.crop_project if extractor == "crop" else model.prompter.project
    assert project.weight.grad.abs().sum() > 0


def test_that_kept_states_of_crops_replace_the_pixels():
    model = make_model("crop")
    states = torch.randn(3, 2, 64, generator=torch.Generator().manual_seed(3))
    terms = terms_of(make_batch(crop_states_BMC=states), model)
    assert math.isfinite(terms["loss"])
    with pytest.raises(ValueError, match="crops"):
        terms_of(make_batch(), model)


def test_that_a_temperature_beyond_its_cap_is_used_at_the_cap():
    model = make_model()
    model.logit_scale.data.fill_(MAX_LOG_SCALE + 2)
    capped = terms_of(make_batch(), model)
    model.logit_scale.data.fill_(MAX_LOG_SCALE)
    assert capped == pytest.approx(terms_of(make_batch(), model), rel=1e-4)


def test_that_a_hundred_steps_tell_two_things_of_one_image_apart():
    model = make_model()
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=2e-3)
    step, batch = ClocStep(model, ClocStepConfig()), make_batch()
    for _ in range(100):
        loss = step(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        region = model.embed_boxes(model.prepare(batch.tokens_BND[0]), batch.boxes_BM4[0])
        assert (region @ model.embed_texts(["a cat", "a rug"]).T).argmax(dim=1).tolist() == [0, 1]
    assert F.cosine_similarity(region[:1], region[1:]).item() < 0.9


def test_that_every_switch_of_a_run_reaches_the_step():
    asked = {
        "text_filter": None,
        "has_grounding": False,
        "has_unique_keys": True,
        "contrast": "sigmoid",
        "grounding": "overlap",
        "has_nearest_box": True,
        "text_contrast_weight": 0.1,
        "altered_weight": 0.5,
    }
    config = step_config(ClocTraining(**asked))
    assert {name: getattr(config, name) for name in asked} == asked
    assert step_config(ClocTraining()) == ClocStepConfig()
