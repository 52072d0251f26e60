"""The multi-label classifier: cells, class maps, scores and heat."""

import math

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from locstudio.domain.errors import BadInput, CheckpointMismatch
from locstudio.media.square import PADDING
from locstudio.models.backbones import Backbone
from locstudio.models.consistency import PRIOR, fit_reduction, has_its_tokens
from locstudio.models.consistency_files import backbone_classifier, lite_classifier, new_consistency
from locstudio.models.sampling import sample
from locstudio.models.towers import LITE

CLASSES = ("bicycle", "bus", "zebra")


@pytest.fixture(scope="module")
def make_classifier():
    """A classifier on a tiny network of timm; keywords change its configuration."""

    def make(backbone="test_resnet", seed=0, **changes):
        torch.manual_seed(seed)
        config = backbone_classifier(backbone, name="tiny", classes=CLASSES, width=24)
        return new_consistency(msgspec.structs.replace(config, **{"hidden": 16, "grid": 5, **changes}))

    return make


@pytest.fixture
def square():
    def make(side, seed=0):
        return np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)

    return make


def learnt(model, seed=1):
    """Numbers in the head, as if something had been learnt."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model.head.weight.copy_(torch.randn(model.head.weight.shape, generator=generator))
    return model


@pytest.mark.parametrize(
    ("backbone", "token_width", "cell_grid"),
    [("test_resnet", 96, 5), ("test_efficientnet", 256, 5), ("test_vit", 64, 10), ("test_convnext", 64, 5)],
)
def test_that_a_network_of_timm_by_its_name_gives_cells(square, backbone, token_width, cell_grid):
    config = backbone_classifier(backbone, name="x", classes=CLASSES)
    assert (config.token_width, config.width, config.cell_grid, config.input_px) == (
        token_width, token_width, cell_grid, 160,
    )  # fmt: skip
    model = new_consistency(config)
    cells = model.cells(model.preprocess(square(160))[None])
    assert cells.shape == (1, token_width, cell_grid, cell_grid)
    assert model.maps(cells).shape == (1, 3, cell_grid, cell_grid)


def test_that_a_convolutional_network_has_a_finer_grid_of_larger_pictures():
    assert backbone_classifier("test_resnet", name="x", classes=CLASSES, input_px=320).cell_grid == 10


def test_that_a_network_of_tokens_is_built_for_the_side_that_is_asked():
    config = backbone_classifier("test_vit", name="x", classes=CLASSES, input_px=64)
    assert (config.cell_grid, config.input_px) == (4, 64)


@pytest.mark.parametrize("name", ["resnet-of-nobody", "hf-hub:timm/resnet18", "local-dir:/tmp", "", "../weights"])
def test_that_a_name_unknown_to_timm_is_refused_and_fetches_nothing(name):
    with pytest.raises(BadInput, match="timm knows no model"):
        backbone_classifier(name, name="x", classes=CLASSES)


def test_that_weights_of_timm_that_do_not_exist_are_refused_by_name():
    with pytest.raises(BadInput, match=r"cannot build test_resnet\.nonsense: .*nonsense"):
        Backbone("test_resnet.nonsense")


def test_that_pixels_too_few_for_the_network_are_refused_with_a_sentence():
    with pytest.raises(BadInput, match=r"test_vit.*3 px"):
        backbone_classifier("test_vit", name="x", classes=CLASSES, input_px=3)


def test_that_a_picture_of_another_size_is_refused(make_classifier, square):
    with pytest.raises(ValueError, match="160 x 160"):
        make_classifier().preprocess(square(64))


@pytest.mark.parametrize("kind", ["safetensors", "state_dict", "model"])
def test_that_weights_of_a_file_are_taken_and_its_classifier_is_left(tmp_path, kind):
    import timm

    torch.manual_seed(5)
    whole = timm.create_model("test_resnet", pretrained=False).eval()
    path = tmp_path / f"weights.{kind}"
    if kind != "safetensors":
        torch.save({kind: whole.state_dict(), "epoch": 3}, path)
    else:
        save_file({key: tensor.contiguous() for key, tensor in whole.state_dict().items()}, path)
    config = backbone_classifier("test_resnet", name="x", classes=CLASSES)
    model = new_consistency(config, weights=path)
    pixels = torch.randn(1, 3, 160, 160)
    with torch.inference_mode():
        torch.testing.assert_close(model.cells(pixels), whole.forward_features(pixels))


def test_that_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"conv1.weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointMismatch, match=r"weights\.safetensors for test_resnet"):
        Backbone("test_resnet").load(path)


def test_that_nothing_is_known_of_classes_at_first(make_classifier, square):
    model = make_classifier()
    maps, scores = model.heat(model.cells(model.preprocess(square(160))[None]), model.frame(4, 3)[None])
    torch.testing.assert_close(maps, torch.full_like(maps, PRIOR))
    torch.testing.assert_close(scores, torch.full_like(scores, PRIOR))


def test_that_the_score_is_the_mean_of_the_map_by_hand(make_classifier):
    maps = torch.tensor([[[[1.0, -1.0], [2.0, -2.0]]]])
    assert make_classifier().score(maps).item() == pytest.approx(0.0)
    # BoostLU of five: (5 - 1 + 10 - 2) / 4.
    assert make_classifier(boost=5.0).score(maps).item() == pytest.approx(3.0)
    # Probabilities of x and -x add up to one, so their mean is one half: logit 0.
    assert make_classifier(pools="probabilities").score(maps).item() == pytest.approx(0.0, abs=1e-6)


def test_that_pooled_probabilities_cap_the_score_at_the_share_of_sure_cells(make_classifier):
    maps = torch.full((1, 1, 4, 4), -30.0)
    maps[0, 0, 0, 0] = 30.0
    assert make_classifier(pools="probabilities").score(maps).sigmoid().item() == pytest.approx(1 / 16, rel=1e-4)


def test_that_boost_leaves_maps_without_a_positive_value_alone(make_classifier):
    maps = -torch.rand(2, 3, 4, 4)
    assert torch.equal(make_classifier(boost=5.0).score(maps), make_classifier().score(maps))


def test_that_heat_is_over_the_upright_image_and_not_over_its_padding(make_classifier):
    model = learnt(make_classifier(input_px=160))
    # Left half of the image black, right half white; the padded square has grey above and below.
    square = np.empty((160, 160, 3), np.uint8)
    square[:] = PADDING
    square[40:120, :80], square[40:120, 80:] = 0, 255
    cells = model.cells(model.preprocess(square)[None])
    seen = sample(cells, model.frame(200, 100)[None], 5)
    whole = sample(cells, torch.eye(3)[None], 5)
    maps, scores = model.heat(cells, model.frame(200, 100)[None])
    torch.testing.assert_close(maps, model.maps(seen).sigmoid())
    torch.testing.assert_close(scores, model.score(model.maps(seen)).sigmoid())
    assert not torch.allclose(maps, model.maps(whole).sigmoid(), atol=1e-3)


def test_that_heat_of_a_stretched_image_is_its_maps_at_the_side_of_heatmaps(make_classifier, square):
    model = learnt(make_classifier(trains="all", grid=10))
    cells = model.cells(model.preprocess(square(160))[None])
    maps, scores = model.heat(cells, model.frame(200, 100)[None])
    assert maps.shape == (1, 3, 10, 10)
    own = model.maps(cells)
    torch.testing.assert_close(maps, sample(own.sigmoid(), torch.eye(3)[None], 10))
    torch.testing.assert_close(scores, own.mean(dim=(2, 3)).sigmoid())


def test_that_a_frozen_backbone_has_no_gradient_and_keeps_its_statistics(make_classifier, square):
    model = make_classifier().train()
    before = {key: tensor.clone() for key, tensor in model.backbone.state_dict().items()}
    pixels = model.preprocess(square(160))[None].expand(2, -1, -1, -1)
    model.score(model.maps(model.cells(pixels))).sum().backward()
    assert all(torch.equal(before[key], tensor) for key, tensor in model.backbone.state_dict().items())
    learning = {name.split(".")[0] for name, one in model.named_parameters() if one.grad is not None}
    assert learning == {"neck", "head"}
    assert {name.split(".")[0] for name, one in model.named_parameters() if one.requires_grad} == learning


def test_that_a_backbone_that_is_trained_learns(make_classifier, square):
    model = learnt(make_classifier(trains="all")).train()
    pixels = torch.stack([model.preprocess(square(160, seed)) for seed in range(2)])
    model.score(model.maps(model.cells(pixels))).sum().backward()
    missing = [name for name, one in model.named_parameters() if one.grad is None]
    assert missing == []


def test_that_class_maps_move_with_the_cells(make_classifier):
    model = learnt(make_classifier())
    cells = torch.randn(1, 24, 6, 6, generator=torch.Generator().manual_seed(0))
    maps, moved = model.maps(cells), model.maps(cells.roll(1, dims=3))
    torch.testing.assert_close(moved[..., 2:-1], maps[..., 1:-2])


def test_that_dropout_is_for_training_alone(make_classifier):
    model = learnt(make_classifier(dropout=0.5))
    cells = torch.randn(1, 24, 6, 6)
    assert torch.equal(model.maps(cells), model.maps(cells))
    model.train()
    assert not torch.equal(model.maps(cells), model.maps(cells))


@pytest.fixture(scope="module")
def lite_cloc():
    """The bundled CLOC model; reading only."""
    from locstudio.jobs.assets import bundled_checkpoint
    from locstudio.models.checkpoint import load_checkpoint

    return load_checkpoint(bundled_checkpoint())


@pytest.fixture(scope="module")
def lite(lite_cloc):
    config = lite_classifier(lite_cloc, name="lite", classes=CLASSES)
    generator = torch.Generator().manual_seed(0)
    reduction = fit_reduction(torch.randn(400, 384, generator=generator), 192)
    return learnt(new_consistency(config, cloc=lite_cloc, reduction=reduction))


@torch.inference_mode()
def test_that_tokens_of_clocs_own_cache_give_the_cells_of_the_pixels(lite_cloc, lite, square):
    pixels = lite_cloc.preprocess(square(512))[None]
    assert torch.equal(pixels[0], lite.preprocess(square(512)))
    tokens = lite_cloc.encode_image(pixels)
    assert tokens.shape[1:] == lite.tokens_shape
    cells = lite.cells(pixels)
    assert cells.shape == (1, 192, 32, 32)
    torch.testing.assert_close(lite.cells_of_tokens(tokens), cells)
    # Caches keep half precision.
    torch.testing.assert_close(lite.cells_of_tokens(tokens.half()), cells, atol=0.02, rtol=0.02)


def test_that_tokens_are_shared_only_with_the_cloc_model_that_makes_them(lite_cloc, lite, tiny):
    assert has_its_tokens(lite_cloc, lite.config)
    assert not has_its_tokens(tiny, lite.config)
    other = torch.nn.Linear(1752, 384)
    original, lite_cloc.reduce = lite_cloc.reduce, other
    try:
        assert not has_its_tokens(lite_cloc, lite.config)
        with pytest.raises(ValueError, match="needs the CLOC model"):
            new_consistency(lite.config, cloc=lite_cloc)
    finally:
        lite_cloc.reduce = original


def test_that_the_packaged_tower_is_no_weight_of_the_model(lite):
    assert {key.split(".")[0] for key in lite.state_dict()} == {"enter", "reduce", "neck", "head"}


def test_that_a_cloc_model_of_another_tower_has_no_classifier(tiny):
    with pytest.raises(BadInput, match="no packaged tower"):
        lite_classifier(tiny, name="x", classes=CLASSES)


def test_that_a_new_project_keeps_what_is_known_of_classes_of_the_same_name(lite):
    config = msgspec.structs.replace(lite.config, classes=("okapi", "zebra", "bus"), name="mine")
    mine = new_consistency(config, base=lite)
    assert torch.equal(mine.head.weight[1:], lite.head.weight[[2, 1]])
    assert mine.head.weight[0].abs().max() == 0
    assert mine.head.bias[0].item() == pytest.approx(math.log(PRIOR / (1 - PRIOR)))
    cells = torch.randn(1, 192, 4, 4)
    torch.testing.assert_close(mine.maps(cells)[:, 1], lite.maps(cells)[:, 2])


def test_that_the_packaged_tower_can_be_trained_on_from_a_frozen_start(lite, square):
    config = backbone_classifier(LITE, name="all", classes=CLASSES, input_px=128, width=192)
    mine = new_consistency(msgspec.structs.replace(config, trains="all", hidden=lite.config.hidden), base=lite)
    pixels = torch.randn(1, 3, 128, 128)
    with torch.inference_mode():
        grid = mine.backbone(pixels)
        tokens = lite.enter(grid.flatten(2).transpose(1, 2))
        frozen = lite.reduce(tokens).transpose(1, 2).unflatten(2, grid.shape[2:])
        torch.testing.assert_close(mine.cells(pixels), frozen, atol=1e-4, rtol=1e-4)


def test_that_a_base_of_another_backbone_is_refused_with_both_named(lite, make_classifier):
    with pytest.raises(CheckpointMismatch, match=r"tiny.*test_resnet"):
        new_consistency(lite.config, base=make_classifier())


def test_that_components_of_tokens_are_where_they_vary():
    generator = torch.Generator().manual_seed(0)
    strong, weak = torch.randn(2000, 2, generator=generator), torch.randn(2000, 3, generator=generator)
    tokens = torch.cat([3 * strong + 5, 0.1 * weak - 2], dim=1)
    weight, bias = fit_reduction(tokens, 2)
    cells = tokens @ weight.T + bias
    torch.testing.assert_close(cells.mean(dim=0), torch.zeros(2), atol=1e-4, rtol=0)
    assert cells.var(dim=0, unbiased=False).mean().item() == pytest.approx(1.0, rel=1e-3)
    assert weight[:, 2:].abs().max() < 0.05 * weight[:, :2].abs().max()
    again, _ = fit_reduction(tokens, 2)
    assert torch.equal(weight, again)


def test_that_too_few_tokens_have_no_components():
    with pytest.raises(ValueError, match="no 4 principal components"):
        fit_reduction(torch.zeros(3, 8), 4)
