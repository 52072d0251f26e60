import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from locstudio.domain.errors import BadInput, CheckpointMismatch
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.config import TowerConfig
from locstudio.models.heads import anchors, best_proposals, decode_boxes
from locstudio.models.towers import build_towers, describe_open_clip

BOXES_24 = torch.tensor([[0.1, 0.2, 0.4, 0.9], [0.5, 0.5, 1.0, 1.0]])


def square(side: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def prepared_of(model):
    with torch.inference_mode():
        tokens = model.encode_image(model.preprocess(square(model.input_px))[None])[0]
        return model.prepare(tokens)


def test_that_any_open_clip_model_goes_through_the_same_class(tiny):
    prepared = prepared_of(tiny)
    with torch.inference_mode():
        text = tiny.embed_texts(["a dog", "a red car"])
        boxes, score = tiny.ground(prepared, text)
        proposals, objectness = tiny.propose(prepared, 7)
        assert prepared.tokens_NC.shape == (17, 64)
        assert tiny.embed_boxes(prepared, BOXES_24).shape == (2, 32)
        assert tiny.embed_image(prepared).shape == (32,)
    assert boxes.shape == (2, 4)
    assert score.shape == (2,)
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert proposals.shape == (len(objectness), 4)
    assert 0 < len(objectness) <= 7
    assert (objectness.diff() <= 0).all()


def test_that_an_untrained_projection_gives_open_clips_own_embeddings(tiny):
    pixels = tiny.preprocess(square())[None]
    with torch.inference_mode():
        theirs = tiny.towers.clip.encode_image(pixels, normalize=True)
        ours = tiny.embed_images(tiny.encode_image(pixels))
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
        words = open_clip.SimpleTokenizer()(["a dog"])
        theirs = tiny.towers.clip.encode_text(words, normalize=True)
        torch.testing.assert_close(tiny.embed_texts(["a dog"]), theirs, atol=1e-5, rtol=1e-4)


def test_that_tokens_from_a_cache_in_half_precision_name_the_same(tiny):
    with torch.inference_mode():
        tokens = tiny.encode_image(tiny.preprocess(square())[None])[0]
        exact = tiny.embed_boxes(tiny.prepare(tokens), BOXES_24)
        cached = tiny.embed_boxes(tiny.prepare(tokens.half()), BOXES_24)
    assert (exact * cached).sum(dim=1).min() > 0.999


def test_that_embeddings_have_length_one(tiny):
    prepared = prepared_of(tiny)
    with torch.inference_mode():
        for found in (
            tiny.embed_boxes(prepared, BOXES_24),
            tiny.embed_texts(["cat"]),
            tiny.embed_image(prepared)[None],
        ):
            torch.testing.assert_close(found.norm(dim=1), torch.ones(len(found)))


def test_that_nothing_asked_is_nothing_answered(tiny):
    prepared = prepared_of(tiny)
    with torch.inference_mode():
        assert tiny.embed_boxes(prepared, torch.zeros(0, 4)).shape == (0, 32)
        assert tiny.embed_texts([]).shape == (0, 32)


@pytest.mark.parametrize("extractor", ["prompter", "literal", "roi_align", "crop"])
def test_that_every_extractor_answers_the_same_questions(make_tiny, extractor):
    model = make_tiny(extractor=extractor)
    with torch.inference_mode():
        pixels = model.preprocess(square())
        prepared = model.prepare(model.encode_image(pixels[None])[0], pixels)
        assert model.embed_boxes(prepared, BOXES_24).shape == (2, 32)
        assert model.ground(prepared, model.embed_texts(["a dog"]))[0].shape == (1, 4)


def test_that_a_picture_of_another_size_is_refused(tiny):
    with pytest.raises(ValueError, match="64 x 64"):
        tiny.preprocess(square(32))


def test_that_a_tower_is_described_by_running_it(tiny_tower):
    assert describe_open_clip("tiny-vit", definition=tiny_tower.definition) == tiny_tower


def test_that_an_unknown_model_is_named_in_the_refusal():
    with pytest.raises(BadInput, match="ViT-Q-7"):
        describe_open_clip("ViT-Q-7")


def test_that_a_tower_from_a_file_has_the_files_weights(tmp_path, tiny_tower):
    source = build_towers(tiny_tower)
    state = source.clip.state_dict()
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        loaded = build_towers(tiny_tower, tmp_path / name)
        assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.clip.state_dict().items())


def test_that_a_file_of_another_architecture_is_refused_by_name(tmp_path, tiny_tower):
    torch.save({"visual.proj": torch.zeros(3, 3)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointMismatch, match=r"other\.pt.*visual\.proj is \(3, 3\), not \(64, 32\)"):
        build_towers(tiny_tower, tmp_path / "other.pt")


def test_that_weights_out_of_reach_are_a_sentence(monkeypatch):
    def unreachable(*_args: object, **_more: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(open_clip, "create_model", unreachable)
    with pytest.raises(BadInput, match="could not be fetched"):
        build_towers(TowerConfig(model="ViT-B-32", pretrained="openai", input_px=224, width=768, num_tokens=50))


def test_that_an_anchor_left_alone_is_its_own_box():
    shapes = anchors(2)
    boxes = decode_boxes(torch.zeros(1, len(shapes), 4), shapes)[0]
    torch.testing.assert_close((boxes[:, :2] + boxes[:, 2:]) / 2, shapes[:, :2])
    torch.testing.assert_close(boxes[:, 2:] - boxes[:, :2], shapes[:, 2:])


def test_that_of_two_proposals_of_one_thing_the_better_stays():
    boxes = np.array([[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.52], [0.6, 0.6, 0.9, 0.9]], np.float32)
    kept, scores = best_proposals(boxes, np.array([0.5, 0.9, 0.3], np.float32), limit=5)
    np.testing.assert_array_equal(kept, boxes[[1, 2]])
    assert scores.tolist() == pytest.approx([0.9, 0.3])


@pytest.mark.slow
def test_that_the_bundled_checkpoint_knows_a_box_from_another_and_needs_no_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = load_checkpoint(bundled_checkpoint())
    prepared = prepared_of(model)
    with torch.inference_mode():
        found = model.embed_boxes(prepared, BOXES_24)
        words = model.embed_texts(["a dog", "a dog playing in the grass beside a long wooden fence"])
        alone = model.embed_texts(["a dog"])
    assert found.shape == (2, model.dim)
    assert (found[0] * found[1]).sum() < 0.999
    # Padding to the longest sentence of a batch must not change the short one.
    torch.testing.assert_close(words[:1], alone, atol=1e-4, rtol=1e-3)
