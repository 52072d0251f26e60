"""Heat of classes in open images: whose it is, what is kept of it, and what is refused."""

import shutil

import msgspec
import numpy as np
import pytest
import torch

from locstudio.domain.errors import BadInput, CheckpointMismatch, ProtocolError, UserError
from locstudio.domain.geometry import Letterbox
from locstudio.engine import heating
from locstudio.engine.heating import Heating
from locstudio.engine.session import EngineSession
from locstudio.jobs.engine_messages import (
    FindHeat,
    Heated,
    ImageSet,
    Refused,
    SetImage,
    Superseded,
    path_text,
    read_reply,
    reply_line,
)
from locstudio.models.checkpoint import new_model
from locstudio.models.config import ClocConfig
from locstudio.models.consistency import Consistency
from locstudio.models.consistency_files import (
    backbone_classifier,
    lite_classifier,
    new_consistency,
    save_consistency,
)
from locstudio.models.towers import lite_config

CLASSES = ("bicycle", "bus", "zebra")


def save_classifier(folder, seed=0, **changes):
    torch.manual_seed(seed)
    config = backbone_classifier("test_resnet", name="tiny-classes", classes=changes.pop("classes", CLASSES))
    model = new_consistency(msgspec.structs.replace(config, hidden=16, **changes))
    with torch.no_grad():
        model.head.weight.normal_(std=3.0)
    save_consistency(model, folder, card="", metrics={})
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("saved") / "classes")


@pytest.fixture
def classes(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "classes")


@pytest.fixture
def session(tiny_checkpoint, picture, tmp_path):
    session = EngineSession(tiny_checkpoint, cache=tmp_path / "cache", device="cpu")
    session.set_image(picture, key="picture")
    return session


def test_that_each_class_has_a_score_and_a_map_over_the_image(session, classes):
    found = session.find_heat(classes)
    assert (found.name, found.class_names) == ("tiny-classes", CLASSES)
    assert found.checkpoint_id.startswith("consistency-")
    assert found.maps_LWW.shape == (3, 14, 14)
    assert found.maps_LWW.std(axis=(1, 2)).max() > 0
    assert ((found.scores_L > 0) & (found.scores_L < 1)).all()


def test_that_asked_classes_come_in_the_order_asked_and_unknown_ones_not(session, classes):
    whole = session.find_heat(classes)
    found = session.find_heat(classes, ["zebra", "okapi", "bicycle", "zebra"])
    assert found.class_names == ("zebra", "bicycle")
    assert np.array_equal(found.maps_LWW, whole.maps_LWW[[2, 0]])
    assert session.find_heat(classes, ["okapi"]).maps_LWW.shape == (0, 14, 14)


def test_that_of_very_many_classes_those_of_the_highest_scores_come(session, classes, monkeypatch):
    monkeypatch.setattr(heating, "MAX_HEATMAPS", 2)
    whole = session.find_heat(classes, list(CLASSES))
    found = session.find_heat(classes)
    lowest = CLASSES[int(whole.scores_L.argmin())]
    assert found.class_names == tuple(name for name in CLASSES if name != lowest)


def test_that_heat_is_what_the_model_says_of_the_pixels(session, classes, picture):
    from locstudio.media.square import load_square
    from locstudio.models.consistency_files import load_consistency

    model = load_consistency(classes)
    square, letterbox = load_square(picture, model.input_px)
    with torch.inference_mode():
        cells = model.cells(model.preprocess(square)[None])
        maps, scores = model.heat(cells, model.frame(letterbox.width, letterbox.height)[None])
    found = session.find_heat(classes)
    assert np.abs(found.maps_LWW - maps[0].numpy() * 255).max() < 2  # tokens pass through half precision
    assert found.scores_L == pytest.approx(scores[0].numpy(), abs=0.01)


def test_that_an_image_is_encoded_once_for_all_sessions(session, classes, tiny_checkpoint, picture, tmp_path):
    first = session.find_heat(classes)
    (folder,) = (tmp_path / "cache" / "tokens").glob("backbone-*")
    assert len(list(folder.glob("*.npy"))) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Consistency, "encode_image", lambda *_: pytest.fail("encoded again"))
        later = EngineSession(tiny_checkpoint, cache=tmp_path / "cache", device="cpu")
        later.set_image(picture)
        assert np.array_equal(later.find_heat(classes).maps_LWW, first.maps_LWW)


def test_that_an_image_that_is_asked_again_is_not_computed_again(session, classes, monkeypatch):
    first = session.find_heat(classes)
    monkeypatch.setattr(Consistency, "maps", lambda *_: pytest.fail("computed again"))
    assert np.array_equal(session.find_heat(classes, ["bus"]).maps_LWW, first.maps_LWW[1:2])


def test_that_a_model_whose_backbone_was_trained_sees_the_stretched_image(session, tmp_path):
    folder = save_classifier(tmp_path / "all", trains="all", grid=6)
    assert session.find_heat(folder).maps_LWW.shape == (3, 6, 6)
    assert list((tmp_path / "cache" / "tokens").glob("backbone-*")) == []


def test_that_a_checkpoint_that_was_replaced_is_read_again(session, classes):
    first = session.find_heat(classes)
    save_classifier(classes, seed=1, classes=("okapi",))
    found = session.find_heat(classes)
    assert found.class_names == ("okapi",)
    assert found.checkpoint_id != first.checkpoint_id


def test_that_a_model_on_the_tokens_of_the_session_encodes_nothing(picture, tmp_path, monkeypatch):
    torch.manual_seed(0)
    cloc = new_model(ClocConfig(name="like", tower=lite_config(), dim=16, token_width=16))
    cloc.id = "cloc-like"
    config = lite_classifier(cloc, name="tiny-lite", classes=CLASSES, width=16)
    folder = tmp_path / "lite"
    save_consistency(new_consistency(config, cloc=cloc), folder, card="", metrics={})
    asked = []

    def tokens():
        asked.append(1)
        return np.zeros((1025, 16), np.float16)

    monkeypatch.setattr(Consistency, "encode_image", lambda *_: pytest.fail("encoded again"))
    work = Heating(cloc, tmp_path / "cache", max_cache_bytes=1 << 20)
    found = work.heat(folder, path=picture, frame=Letterbox(96, 48), tokens_ND=tokens)
    work.heat(folder, path=picture, frame=Letterbox(96, 48), tokens_ND=tokens)
    assert found.maps_LWW.shape == (3, 14, 14)
    assert asked == [1]
    assert not (tmp_path / "cache").exists()


def test_that_what_is_no_such_checkpoint_is_refused(session, classes, tiny_checkpoint, tmp_path):
    with pytest.raises(BadInput, match="no checkpoint in"):
        session.find_heat(tmp_path / "nowhere")
    with pytest.raises(CheckpointMismatch, match="names regions"):
        session.find_heat(tiny_checkpoint)
    (classes / "weights.safetensors").write_bytes(b"none")
    with pytest.raises(BadInput, match=r"weights\.safetensors has changed"):
        session.find_heat(classes)


def test_that_heat_of_no_open_image_is_refused(tiny_checkpoint, classes):
    with pytest.raises(UserError, match="Open the image again"):
        EngineSession(tiny_checkpoint, device="cpu").find_heat(classes, key="nobody")


def test_that_the_engine_answers_and_refuses_in_order(engine, picture, saved, tmp_path):
    place = path_text(saved)
    engine.send(
        SetImage(id=1, key="a", path=path_text(picture)),
        FindHeat(id=2, key="a", checkpoint=place, class_names=["bus"]),
    )
    assert isinstance(engine.reply(), ImageSet)
    heated = engine.reply()
    assert isinstance(heated, Heated)
    assert (heated.id, heated.class_names, heated.name, heated.grid) == (2, ["bus"], "tiny-classes", 14)
    assert heated.array().shape == (1, 14, 14)
    engine.send(FindHeat(id=3, key="a", checkpoint=path_text(tmp_path / "nowhere")))
    refused = engine.reply()
    assert isinstance(refused, Refused)
    assert "no checkpoint in" in refused.sentence
    engine.send(FindHeat(id=4, key="a", checkpoint=place), FindHeat(id=5, key="a", checkpoint=place))
    replies = [engine.reply(), engine.reply()]
    assert [reply.id for reply in replies] == [4, 5]
    assert isinstance(replies[0], Superseded | Heated)
    assert isinstance(replies[1], Heated)


def test_that_heat_comes_through_a_line_byte_by_byte():
    maps = np.arange(2 * 9, dtype=np.uint8).reshape(2, 3, 3)
    heated = Heated(
        id=1, checkpoint_id="consistency-1", name="x", class_names=["a", "b"], scores=[0.5, 1.0], grid=3,
        maps=maps.tobytes(),
    )  # fmt: skip
    reply = read_reply(reply_line(heated))
    assert isinstance(reply, Heated)
    assert np.array_equal(reply.array(), maps)


@pytest.mark.parametrize("changes", [{"grid": 2}, {"grid": 0}, {"scores": [0.5]}, {"maps": b"123"}])
def test_that_bytes_that_are_not_the_promised_heat_are_refused(changes):
    fields = {"class_names": ["a", "b"], "scores": [0.5, 1.0], "grid": 3, "maps": bytes(18)}
    with pytest.raises(ProtocolError):
        Heated(id=1, checkpoint_id="c", name="x", **(fields | changes)).array()


def test_that_heat_without_finite_scores_is_not_sent():
    heated = Heated(id=1, checkpoint_id="c", name="x", class_names=["a"], scores=[float("nan")], grid=1, maps=b"\0")
    with pytest.raises(ProtocolError, match="no number"):
        reply_line(heated)
