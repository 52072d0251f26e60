"""Detectors and captioners: real classes with random weights, from folders, and what is said where there are none."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Image
from locstudio.jobs.configs import Vesl
from locstudio.media.square import load_square
from locstudio.models.checkpoint import load_checkpoint
from trainer.vesl.captions import PlainCaptioner, captioner_of, enumeration
from trainer.vesl.detector import MIN_SCORE_OF_OTHERS, Found
from trainer.vesl.detectors import detector_of
from trainer.vesl.scene import Scene
from trainer.vesl.texts import TextMemory

sys.path.insert(0, str(Path(__file__).parent))

import tiny_models

OURS = ("own", "closer")
CPU = torch.device("cpu")
PHRASES = ["a dog", "the very long phrase that a detector of few words cuts off", "a red u.s. army truck"]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A folder of a tiny model by its name, made once."""
    made = {}

    def folder_of(name):
        if name not in made:
            made[name] = getattr(tiny_models, name)(tmp_path_factory.mktemp("outside") / name)
        return str(made[name])

    return folder_of


@pytest.fixture
def model(tiny_checkpoint):
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture
def scene(tmp_path, model):
    path = tmp_path / "noise.png"
    Picture.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)).save(path)
    square, _ = load_square(path, model.input_px)
    with torch.inference_mode():
        tokens = model.encode_image(model.preprocess(square)[None])[0]
        return Scene(Image(1, 1, "noise.png", 90, 60), path, model.prepare(tokens))


def detector_named(name, model, source):
    return detector_of(Vesl(detector=name, detector_model=source), model, TextMemory(model))


@pytest.mark.parametrize("name", ["own", "closer", "owlv2", "grounding_dino"])
def test_that_every_box_lies_in_the_image_and_has_one_phrase(name, model, scene, tiny):
    detector = detector_named(name, model, "" if name in OURS else tiny(name))
    found = detector.detect(scene, PHRASES)
    assert len(found.boxes_P4) == len(found.phrase_P) == len(found.score_P) == len(found.objectness_P) > 0
    assert ((found.boxes_P4 >= 0) & (found.boxes_P4 <= 1)).all()
    assert set(found.phrase_P.tolist()) <= {0, 1, 2}
    for values in (found.score_P, found.objectness_P):
        assert values.dtype == np.float32
        assert ((values >= 0) & (values <= 1)).all()
    if name not in OURS:
        assert (found.score_P > MIN_SCORE_OF_OTHERS).all()
        assert found.vectors_PD is None
        assert tiny(name) in detector.words


@pytest.mark.parametrize("name", ["own", "closer", "owlv2", "grounding_dino"])
def test_that_nothing_is_found_where_nothing_is_looked_for(name, model, scene, tiny):
    assert len(detector_named(name, model, "" if name in OURS else tiny(name)).detect(scene, []).boxes_P4) == 0


def test_that_many_phrases_are_asked_of_grounding_dino_in_several_turns(model, scene, tiny):
    detector = detector_named("grounding_dino", model, tiny("grounding_dino"))
    many = [f"a thing {number}" for number in range(30)]
    found = detector.detect(scene, many)
    alone = detector.detect(scene, many[24:])
    np.testing.assert_array_equal(found.phrase_P[-len(alone.phrase_P) :], alone.phrase_P + 24)


def test_that_tokens_belong_to_the_phrase_between_the_full_stops(model, tiny):
    detector = detector_named("grounding_dino", model, tiny("grounding_dino"))
    tokens = detector._processor.tokenizer("a dog. the red car.")["input_ids"]
    assert detector._phrase_of_tokens(tokens) == [-1, 0, 0, -1, 1, 1, 1, -1, -1]


def test_that_rows_settle_by_score_area_and_overlap():
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.49], [0.2, 0.2, 0.2, 0.9], [0.5, 0.5, 1, 1]], np.float32)
    scores = np.array([0.5, 0.9, 0.9, 0.05], np.float32)
    found = Found(boxes, np.zeros(4, np.int64), scores, scores)
    assert found.settled(0.1).tolist() == [1]
    assert found.settled(0.0).tolist() == [1, 3]
    assert found.settled(0.0, max_iou=0.99).tolist() == [1, 0, 3]
    assert found.settled(0.0, limit=1).tolist() == [1]


@pytest.mark.parametrize("name", ["coca", "blip", "florence2"])
def test_that_a_captioner_writes_the_same_one_line_each_time(name, scene, tiny):
    captioner = captioner_of(Vesl(captioner=name, captioner_model=tiny(name)), None, [], CPU)
    text = captioner.describe(scene)
    assert text
    assert text == " ".join(text.split()) == captioner.describe(scene)
    assert (captioner.key, tiny(name) in captioner.words) == (name, True)


def test_that_nobody_describes_where_nobody_is_asked():
    assert captioner_of(Vesl(captioner="own"), None, [], CPU) is None


NO_WEIGHTS = [
    *(("detector", name) for name in ("owlv2", "grounding_dino")),
    *(("captioner", name) for name in ("coca", "blip", "florence2")),
]


def load(part, name, source, model):
    vesl = Vesl(**{part: name, f"{part}_model": source})
    if part == "detector":
        return detector_of(vesl, model, TextMemory(model))
    return captioner_of(vesl, None, [], CPU)


@pytest.mark.parametrize(("part", "name"), NO_WEIGHTS)
def test_that_weights_which_are_not_there_are_named_with_what_to_do(part, name, model, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match=r"not on this machine.*HF_HUB_OFFLINE=0"):
        load(part, name, "", model)


@pytest.mark.parametrize(("part", "name"), NO_WEIGHTS)
def test_that_a_folder_without_weights_is_refused_with_its_name(part, name, model, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput, match=str(tmp_path)):
        load(part, name, str(tmp_path), model)


@pytest.mark.parametrize(("part", "name"), NO_WEIGHTS)
def test_that_a_folder_that_is_not_there_is_refused_with_its_name(part, name, model, tmp_path):
    with pytest.raises(BadInput, match="There is no folder"):
        load(part, name, str(tmp_path / "none"), model)


def test_that_the_weights_of_another_model_are_refused(model, tiny):
    with pytest.raises(BadInput, match="no weights of BLIP"):
        load("captioner", "blip", tiny("florence2"), model)


def test_that_code_beside_weights_is_never_run(model, tiny, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(
        '{"model_type": "mine", "auto_map": {"AutoConfig": "code.C", "AutoModelForZeroShotObjectDetection": "code.M"}}'
    )
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(BadInput):
        load("detector", "owlv2", str(tmp_path), model)
    assert not (tmp_path / "ran").exists()


class Detecting:
    """A detector that finds what it is told to."""

    words, min_score = "a detector", 0.0

    def __init__(self, rows):
        self._rows = rows

    def detect(self, scene, phrases):
        side = 1 / (len(self._rows) + 1)
        boxes = [[number * side, 0, (number + 1) * side, 1] for number in range(len(self._rows))]
        scores = np.linspace(0.9, 0.5, len(self._rows), dtype=np.float32)
        return Found(np.array(boxes, np.float32).reshape(-1, 4), np.array(self._rows, np.int64), scores, scores)


def test_that_the_plain_captioner_counts_what_is_there():
    names = ["dog", "car", "tree", "elephant", "person"]
    assert PlainCaptioner(Detecting([0, 1, 1, 2]), names).describe(None) == "a dog, two cars and a tree"
    assert PlainCaptioner(Detecting([3]), names).describe(None) == "an elephant"
    assert PlainCaptioner(Detecting([]), names).describe(None) == ""
    assert PlainCaptioner(Detecting([4] * 12), names).describe(None) == "many people"
    assert PlainCaptioner(Detecting([0, 1]), names, min_score=0.8).describe(None) == "a dog"


def test_that_two_things_are_joined_by_a_word():
    assert enumeration(Counter({"dog": 2, "cat": 1})) == "two dogs and a cat"


def test_that_a_text_is_embedded_once_a_run(model, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "trainer.vesl.texts.embed_texts",
        lambda model, texts: asked.extend(texts) or torch.eye(len(texts), model.dim) + len(asked),
    )
    memory = TextMemory(model)
    first = memory.vectors_of(["a", "b", "a"])
    again = memory.vectors_of(["b", "c"])
    assert asked == ["a", "b", "c"]
    assert torch.equal(first[0], first[2])
    assert torch.equal(first[1], again[0])


def test_that_what_is_remembered_is_bounded(model, monkeypatch):
    monkeypatch.setattr("trainer.vesl.texts.MAX_KEPT", 2)
    memory = TextMemory(model)
    first = memory.vectors_of(["a dog", "a cat"])
    memory.vectors_of(["a bus"])
    torch.testing.assert_close(memory.vectors_of(["a cat", "a dog", "a tree"])[[1, 0]], first)
    assert len(memory._rows) == 3
