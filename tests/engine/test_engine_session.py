"""The model with its open images, in one process."""

import os

import numpy as np
import pytest
from PIL import Image

from locstudio.domain.errors import UserError
from locstudio.domain.geometry import UnitBox
from locstudio.engine import session as session_module
from locstudio.engine.session import EngineSession
from locstudio.jobs.token_cache import TokenCache, token_key

LEFT, RIGHT = UnitBox(0.0, 0.0, 0.4, 1.0), UnitBox(0.6, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def session(tiny_checkpoint, tmp_path_factory):
    return EngineSession(tiny_checkpoint, cache=tmp_path_factory.mktemp("cache"), device="cpu")


def test_that_a_box_becomes_one_unit_vector(session, picture):
    image = session.set_image(picture)
    assert (image.width, image.height) == (96, 48)
    vectors = session.encode_boxes([LEFT, RIGHT])
    assert vectors.shape == (2, session.dim)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_that_many_boxes_at_once_equal_each_alone(session, picture):
    session.set_image(picture)
    together = session.encode_boxes([LEFT, RIGHT])
    alone = np.concatenate([session.encode_boxes([box]) for box in (LEFT, RIGHT)])
    assert together == pytest.approx(alone, abs=1e-5)


def test_that_no_boxes_are_no_vectors(session, picture):
    session.set_image(picture)
    assert session.encode_boxes([]).shape == (0, session.dim)
    assert session.encode_texts([]).shape == (0, session.dim)


def test_that_cached_tokens_give_the_same_vectors_without_running_the_tower(
    session, picture, tiny_checkpoint, tmp_path
):
    first = EngineSession(tiny_checkpoint, cache=tmp_path / "cache", device="cpu")
    assert not first.set_image(picture).is_cached
    before = first.encode_boxes([LEFT])
    second = EngineSession(tiny_checkpoint, cache=tmp_path / "cache", device="cpu")
    assert second.set_image(picture).is_cached
    assert np.array_equal(second.encode_boxes([LEFT]), before)


def test_that_a_file_of_new_content_is_encoded_again(session, picture):
    session.set_image(picture, key="old")
    before = session.encode_boxes([LEFT])
    Image.fromarray(np.zeros((48, 96, 3), np.uint8)).save(picture)
    image = session.set_image(picture, key="new")
    assert not image.is_cached
    assert not np.allclose(session.encode_boxes([LEFT]), before)


def test_that_an_image_pushed_out_of_memory_is_opened_again_when_asked(session, picture, tmp_path):
    session.set_image(picture, key="first")
    before = session.encode_boxes([LEFT], key="first")
    for number in range(session_module.MAX_OPEN_IMAGES + 1):
        session.set_image(picture, key=f"other {number}")
    assert "first" not in session._open
    assert np.array_equal(session.encode_boxes([LEFT], key="first"), before)


def test_that_a_key_nobody_opened_is_refused_with_a_sentence(session):
    with pytest.raises(UserError, match="Open the image again"):
        session.encode_boxes([LEFT], key="never")


def test_that_equal_texts_are_embedded_once(session, monkeypatch):
    asked = []
    embed = session._model.embed_texts
    monkeypatch.setattr(session._model, "embed_texts", lambda texts: asked.append(texts) or embed(texts))
    vectors = session.encode_texts(["a cat once", "a dog once", "a cat once"])
    again = session.encode_texts(["a dog once"])
    assert asked == [["a cat once", "a dog once"]]
    assert np.array_equal(vectors[0], vectors[2])
    assert np.array_equal(again[0], vectors[1])


def test_that_grounding_gives_a_box_inside_the_image_and_a_cosine(session, picture):
    session.set_image(picture)
    box, score = session.ground_text("a red car")
    assert box.area > 0
    assert -1.001 <= score <= 1.001


def test_that_proposals_are_boxes_best_first(session, picture):
    session.set_image(picture)
    boxes, scores = session.propose(limit=5)
    assert len(boxes) == len(scores) <= 5
    assert (np.diff(scores) <= 0).all()


def test_that_the_least_recently_used_tokens_go_first_when_the_cache_is_full(tmp_path):
    tokens = np.zeros((10, 100), np.float16)
    cache = TokenCache(tmp_path, (10, 100), max_bytes=3 * 2_200)
    for number, key in enumerate(["a", "b", "c"]):
        cache.put(key, tokens)
        os.utime(tmp_path / f"{key}.npy", ns=(number, number))
    assert cache.get("a") is not None
    cache.put("d", tokens)
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.get("d") is not None


@pytest.mark.parametrize("content", [b"", b"not numpy", b"\x93NUMPY\x01\x00"])
def test_that_damaged_tokens_count_as_missing(tmp_path, content):
    cache = TokenCache(tmp_path, (2, 3))
    cache.put("a", np.zeros((2, 3), np.float16))
    assert TokenCache(tmp_path, (2, 4)).get("a") is None
    (tmp_path / "a.npy").write_bytes(content)
    assert cache.get("a") is None


def test_that_a_cache_that_cannot_be_written_only_costs_time(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = TokenCache(tmp_path / "file" / "tokens", (2, 3))
    cache.put("a", np.zeros((2, 3), np.float16))
    assert cache.get("a") is None


def test_that_tokens_are_named_by_content_where_it_is_known(tmp_path, picture):
    assert token_key(picture, "ab" * 32) == "ab" * 32
    before = token_key(picture)
    picture.write_bytes(picture.read_bytes() + b"x")
    assert token_key(picture) != before
