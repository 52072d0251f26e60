"""The mask head and Segment Anything behind one door, on small real models."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.utils.transforms import ResizeLongestSide

from locstudio.domain.errors import BadInput, CheckpointMismatch
from locstudio.domain.geometry import Letterbox, UnitBox
from locstudio.models.checkpoint import load_checkpoint, new_model
from locstudio.models.config import ClocConfig
from locstudio.models.mask_head import (
    GRID,
    MASK_SIDE,
    ImageMaps,
    MaskConfig,
    MaskHead,
    Prompts,
    paint_boxes,
    sample_windows,
    spread,
    to_window,
    windows_around,
)
from locstudio.models.mask_segmenter import (
    HeadSegmenter,
    MaskModel,
    has_its_tokens,
    load_mask_model,
    save_mask_model,
    tokens_sha256,
)
from locstudio.models.sam import load_sam
from locstudio.models.segmenter import MaskPrompt, PointPrompt
from locstudio.models.towers import lite_config

BOX = MaskPrompt(UnitBox(0.2, 0.2, 0.6, 0.8))
POINT = MaskPrompt(points=(PointPrompt(0.5, 0.5),))
BOTH = MaskPrompt(UnitBox(0.2, 0.2, 0.6, 0.8), (PointPrompt(0.5, 0.5), PointPrompt(0.1, 0.1, is_inside=False)))
FRAME = Letterbox(64, 48)


def tiny_sam(width=32):
    torch.manual_seed(0)
    return Sam(
        ImageEncoderViT(img_size=64, embed_dim=width, depth=1, num_heads=2, out_chans=16, global_attn_indexes=(0,)),
        PromptEncoder(embed_dim=16, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=16),
        MaskDecoder(
            transformer_dim=16,
            transformer=TwoWayTransformer(depth=1, embedding_dim=16, num_heads=2, mlp_dim=16),
        ),
    ).eval()


def square(side=64, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)


@pytest.fixture
def sam_file(tmp_path):
    torch.save(tiny_sam().state_dict(), tmp_path / "sam.pth")
    return tmp_path / "sam.pth"


@pytest.fixture(scope="module")
def mask_model():
    torch.manual_seed(0)
    config = lite_config()
    model = MaskModel(MaskConfig(name="tiny-masks", tower=config, token_width=24, tokens_sha256="", dim=32, depth=1))
    sha256 = tokens_sha256(model.reduce, config)
    model.config = MaskConfig(name="tiny-masks", tower=config, token_width=24, tokens_sha256=sha256, dim=32, depth=1)
    return model.eval()


@pytest.fixture(scope="module")
def saved(mask_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks") / "masks"
    save_mask_model(mask_model, folder, card="# Tiny\n", metrics={"overlap": 0.7})
    return folder


# Segment Anything


def test_that_a_checkpoint_of_either_form_gives_the_same_masks(sam_file, tmp_path):
    save_file(torch.load(sam_file, weights_only=True), tmp_path / "sam.safetensors")
    masks = []
    for file in (sam_file, tmp_path / "sam.safetensors"):
        segmenter = load_sam(file, builders={32: tiny_sam})
        prepared = segmenter.prepare(segmenter.encode(square(), FRAME), None, FRAME)
        masks.append(segmenter.segment(prepared, [BOX])[0].mask_HW)
    assert masks[0].shape == (48, 64)
    assert np.array_equal(*masks)


def test_that_masks_are_those_of_the_authors_predictor(sam_file):
    from segment_anything import SamPredictor

    picture = square()[8:56]  # 64 x 48, in the middle of the square
    ours = load_sam(sam_file, builders={32: tiny_sam})
    prepared = ours.prepare(ours.encode(square(), FRAME), None, FRAME)
    theirs = SamPredictor(tiny_sam())
    theirs.transform = ResizeLongestSide(64)
    theirs.set_image(np.ascontiguousarray(picture))
    expected, scores, _ = theirs.predict(box=np.array([12.8, 9.6, 38.4, 38.4]), multimask_output=False)
    found = ours.segment(prepared, [BOX])[0]
    # Half precision of the embedding and one interpolation instead of two move a pixel at the edge here and there.
    assert (found.mask_HW == expected[0]).mean() > 0.97
    assert found.expected_overlap == pytest.approx(np.clip(scores[0], 0, 1), abs=0.01)


def test_that_prompts_of_every_kind_are_answered_in_order(sam_file):
    segmenter = load_sam(sam_file, builders={32: tiny_sam})
    prepared = segmenter.prepare(segmenter.encode(square(), FRAME), None, FRAME)
    together = segmenter.segment(prepared, [POINT, BOX, BOTH, BOX])
    alone = [segmenter.segment(prepared, [prompt])[0] for prompt in (POINT, BOX, BOTH, BOX)]
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.mask_HW, other.mask_HW)
        assert 0 <= one.expected_overlap <= 1
    assert segmenter.segment(prepared, []) == []


def test_that_a_pickle_that_calls_something_is_refused_and_calls_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "was-here"), "w"))

    (tmp_path / "sam.pth").write_bytes(pickle.dumps({"image_encoder.pos_embed": Hostile()}, protocol=2))
    with pytest.raises(BadInput, match="no file of plain tensors"):
        load_sam(tmp_path / "sam.pth", builders={32: tiny_sam})
    torch.save({"image_encoder.pos_embed": Hostile()}, tmp_path / "sam.pth")
    with pytest.raises(BadInput, match="no file of plain tensors"):
        load_sam(tmp_path / "sam.pth", builders={32: tiny_sam})
    assert not (tmp_path / "was-here").exists()


def test_that_a_truncated_checkpoint_is_refused(sam_file):
    sam_file.write_bytes(sam_file.read_bytes()[:-4000])
    with pytest.raises(BadInput):
        load_sam(sam_file, builders={32: tiny_sam})


def test_that_a_checkpoint_of_something_else_is_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(BadInput, match="no checkpoint of Segment Anything"):
        load_sam(tmp_path / "other.safetensors")
    with pytest.raises(BadInput, match="no weights file"):
        load_sam(tmp_path / "nowhere.pth")


def test_that_other_shapes_are_named(tmp_path):
    state = tiny_sam().state_dict()
    state["mask_decoder.iou_token.weight"] = torch.zeros(1, 99)
    save_file(state, tmp_path / "sam.safetensors")
    with pytest.raises(CheckpointMismatch, match=r"iou_token\.weight is \(1, 99\), not \(1, 16\)"):
        load_sam(tmp_path / "sam.safetensors", builders={32: tiny_sam})


def test_that_weights_that_are_no_numbers_are_refused(tmp_path):
    state = tiny_sam().state_dict()
    state["mask_decoder.iou_token.weight"] = torch.full((1, 16), torch.nan)
    save_file(state, tmp_path / "sam.safetensors")
    with pytest.raises(BadInput, match="not finite"):
        load_sam(tmp_path / "sam.safetensors", builders={32: tiny_sam})


# The mask head


def test_that_a_window_of_the_whole_square_is_the_map_itself():
    map_ = torch.arange(16.0).view(1, 1, 4, 4)
    maps = ImageMaps(map_, map_, map_, map_)
    seen = sample_windows(maps, torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5]]))
    assert seen.coarse.shape == (2, 1, GRID, GRID)
    assert torch.nn.functional.avg_pool2d(seen.coarse[:1], GRID // 4)[0, 0, 1, 1] == pytest.approx(
        float(map_[0, 0, 1, 1]), abs=0.01
    )
    assert seen.coarse[1].max() < map_.max() / 2
    flipped = sample_windows(maps, torch.tensor([[0.0, 0.0, 1.0, 1.0]]), is_flipped=True)
    torch.testing.assert_close(flipped.fine[0], seen.fine[0].flip(2))


def test_that_a_box_lies_in_the_middle_of_its_window():
    boxes = torch.tensor([[0.2, 0.1, 0.6, 0.5]])
    windows = windows_around(boxes, margin=2.0)
    torch.testing.assert_close(windows, torch.tensor([[0.0, -0.1, 0.8, 0.7]]))
    inside = to_window(boxes.view(1, 2, 2), windows)
    torch.testing.assert_close(inside.view(1, 4), torch.tensor([[0.25, 0.25, 0.75, 0.75]]))
    painted = paint_boxes(inside.view(1, 4), 8)
    assert painted[0, 4, 4] == 1
    assert painted[0, 0, 0] == -1


def test_that_a_mask_is_spread_over_the_pixels_of_its_window():
    logits = torch.full((8, 8), -1.0)
    logits[2:6, 2:6] = 1.0
    mask = spread(logits, (10, 20, 26, 36), 40, 50)
    rows, columns = mask.nonzero(as_tuple=True)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (24, 32, 14, 22)
    assert not spread(torch.full((8, 8), -1.0), (10, 20, 26, 36), 40, 50).any()
    assert not spread(torch.ones(8, 8), (60, 60, 90, 90), 40, 50).any()


def test_that_a_window_beyond_the_picture_is_cut_at_its_edge():
    mask = spread(torch.ones(8, 8), (-8, -8, 8, 8), 40, 50)
    assert mask[:8, :8].all()
    assert mask.sum() == 64


def test_that_prompts_asked_together_equal_each_alone(mask_model):
    head: MaskHead = mask_model.head
    random = torch.Generator().manual_seed(1)
    maps = ImageMaps(*(torch.randn(1, c, s, s, generator=random) for c, s in ((24, 32), (48, 64), (24, 128), (3, 512))))
    boxes = torch.tensor([[0.1, 0.1, 0.4, 0.6], [0.5, 0.2, 0.9, 0.4]])
    windows = windows_around(boxes)
    asked = to_window(boxes.view(-1, 2, 2), windows).view(-1, 4)
    with torch.inference_mode():
        together, _, expected = head(sample_windows(maps, windows), Prompts(None, None, asked))
        second, _, _ = head(sample_windows(maps, windows[1:]), Prompts(None, None, asked[1:]))
    assert together.shape == (2, MASK_SIDE, MASK_SIDE)
    assert expected.shape == (2,)
    torch.testing.assert_close(together[1], second[0], atol=1e-4, rtol=1e-3)


def test_that_the_head_answers_prompts_of_every_kind_with_masks_of_the_picture(mask_model):
    segmenter = HeadSegmenter(mask_model, "masks-test")
    frame = Letterbox(300, 200)
    picture = square(512)
    tokens = segmenter.encode(picture, frame)
    assert tokens.shape == segmenter.tokens_shape
    prepared = segmenter.prepare(tokens, picture, frame)
    found = segmenter.segment(prepared, [POINT, BOX, BOTH])
    assert [one.mask_HW.shape for one in found] == [(200, 300)] * 3
    assert all(0 <= one.expected_overlap <= 1 for one in found)
    with pytest.raises(ValueError, match="needs the pixels"):
        segmenter.prepare(tokens, None, frame)


def test_that_a_mask_model_comes_back_from_its_folder(mask_model, saved):
    model, masks_id = load_mask_model(saved)
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, mask_model.state_dict()[key].half().float())
    assert masks_id
    assert tokens_sha256(model.reduce, model.config.tower) == model.config.tokens_sha256


def test_that_a_folder_of_another_kind_of_model_is_no_mask_model(saved, tiny, tmp_path):
    from locstudio.models.checkpoint import save_checkpoint

    save_checkpoint(tiny, tmp_path / "cloc", card="", metrics={})
    with pytest.raises(CheckpointMismatch, match="holds no mask model"):
        load_mask_model(tmp_path / "cloc")
    with pytest.raises(CheckpointMismatch):
        load_checkpoint(saved)


def test_that_a_damaged_mask_model_is_refused(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "masks")
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-5] ^= 1
    (folder / "weights.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match="damaged"):
        load_mask_model(folder)


def test_that_other_tokens_are_noticed(mask_model, tiny):
    cloc = new_model(ClocConfig(name="like", tower=lite_config(), dim=16, token_width=24))
    assert not has_its_tokens(cloc, mask_model)
    assert not has_its_tokens(tiny, mask_model)  # whose tower may have been trained
    cloc.reduce.load_state_dict(mask_model.reduce.state_dict())
    assert has_its_tokens(cloc, mask_model)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MaskPrompt(),
        lambda: MaskPrompt(points=(PointPrompt(0.5, 0.5, is_inside=False),)),
        lambda: MaskPrompt(points=(PointPrompt(0.5, 1.5),)),
        lambda: MaskPrompt(points=(PointPrompt(0.5, 0.5),) * 65),
    ],
)
def test_that_a_prompt_that_means_nothing_is_refused(make):
    with pytest.raises(ValueError):
        make()
