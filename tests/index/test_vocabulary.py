"""The collection's phrases and their vectors."""

import numpy as np
import pytest

from locstudio.domain.errors import CheckpointMismatch, StaleIndex
from locstudio.index.vocabulary import Vocabulary

RED_CAR, CAR, TRUCK, SKY = np.eye(4, dtype=np.float32) + np.array([[0, 0.5, 0, 0]] + [[0] * 4] * 3, np.float32)


@pytest.fixture
def vocabulary(tmp_path):
    vocabulary = Vocabulary.create(tmp_path, "cloc-a", 4)
    vocabulary.add(["red car", "car", "truck", "sky"], [RED_CAR, CAR, TRUCK, SKY])
    return vocabulary


def test_that_the_nearest_phrase_comes_first(vocabulary):
    ranked = vocabulary.nearest(CAR, 2)
    assert [text for text, _ in ranked] == ["car", "red car"]
    assert ranked[0][1] == pytest.approx(1.0, abs=1e-3)


def test_that_a_phrase_nearer_to_a_negative_is_left_out(vocabulary):
    ranked = vocabulary.nearest(CAR + 0.9 * TRUCK, 4, negatives=[TRUCK])
    assert "truck" not in [text for text, _ in ranked]
    assert ranked[0][0] == "car"


def test_that_added_phrases_are_there_after_reopening(vocabulary, tmp_path):
    vocabulary.add(["sky", "blue sky"], [CAR, SKY + 0.1 * CAR])
    reopened = Vocabulary.open(tmp_path, "cloc-a")
    assert reopened.texts == ("red car", "car", "truck", "sky", "blue sky")
    assert reopened.nearest(SKY, 5) == vocabulary.nearest(SKY, 5)
    assert reopened.vector_of("sky") == pytest.approx(SKY, abs=1e-3)


def test_that_only_unknown_phrases_are_missing(vocabulary):
    assert vocabulary.missing(["car", "dog", "dog", "cat"]) == ["dog", "cat"]


def test_that_a_write_cut_before_its_end_is_forgotten(vocabulary, tmp_path):
    with open(tmp_path / "vocabulary.f16", "ab") as file:
        file.write(b"abc")
    reopened = Vocabulary.open(tmp_path, "cloc-a")
    reopened.add(["dog"], [[1, 1, 1, 1]])
    assert Vocabulary.open(tmp_path, "cloc-a").vector_of("dog") == pytest.approx([0.5] * 4, abs=1e-3)


def test_that_a_foreign_checkpoint_is_refused_by_both_names(vocabulary, tmp_path):
    with pytest.raises(CheckpointMismatch, match=r"cloc-a.*cloc-b"):
        Vocabulary.open(tmp_path, "cloc-b")


@pytest.mark.parametrize("damage", ["short", "no json", "missing"])
def test_that_a_damaged_vocabulary_asks_to_be_rebuilt(vocabulary, tmp_path, damage):
    if damage == "short":
        (tmp_path / "vocabulary.f16").write_bytes(b"12")
    elif damage == "no json":
        (tmp_path / "vocabulary.json").write_bytes(b"{")
    else:
        (tmp_path / "vocabulary.json").unlink()
    with pytest.raises(StaleIndex, match="rebuild"):
        Vocabulary.open(tmp_path, "cloc-a")


@pytest.mark.parametrize("content", [b"", b"{", b'{"\xff":1}', b'{"deep":' + b"[" * 100_000])
def test_that_a_vocabulary_of_another_hand_asks_to_be_rebuilt(vocabulary, tmp_path, content):
    (tmp_path / "vocabulary.json").write_bytes(content)
    with pytest.raises(StaleIndex, match="rebuild"):
        Vocabulary.open(tmp_path, "cloc-a")
