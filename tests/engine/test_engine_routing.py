"""Routing of open images and of boxes in them: whose it is, what is kept of it, and what is refused."""

import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from locstudio.domain.errors import BadInput, CheckpointMismatch, ProtocolError, UserError
from locstudio.domain.geometry import UnitBox
from locstudio.engine.server import serve
from locstudio.engine.session import EngineSession
from locstudio.jobs.engine_messages import (
    FindRouting,
    Refused,
    Routed,
    Superseded,
    path_text,
    read_reply,
    reply_line,
    request_line,
)
from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.media.square import load_stretched
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import load_vmoe, new_vmoe, save_vmoe

CLASSES = tuple(f"class {number}" for number in range(12))


def save_experts(folder, routing="superclass", seed=0, **changes):
    torch.manual_seed(seed)
    taught = {"superclasses": ("left", "right", "middle"), "superclass_of": (0, 1, 2) * 4}
    values = {
        "name": "tiny-experts",
        "classes": CLASSES,
        "routing": routing,
        "stem": "patch",
        "input_px": 32,
        "patch": 8,
        "grid": 4,
        "width": 16,
        "depth": 3,
        "heads": 2,
        "num_moe_layers": 0 if routing == "dense" else 2,
        "num_experts": 3,
    }
    model = new_vmoe(VmoeConfig(**(values | (taught if routing == "superclass" else {}) | changes)))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.3)
    save_vmoe(model, folder, card="", metrics={})
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_experts(tmp_path_factory.mktemp("saved") / "experts")


@pytest.fixture
def experts(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "experts")


@pytest.fixture
def session(tiny_checkpoint, picture):
    session = EngineSession(tiny_checkpoint, device="cpu")
    session.know_image(picture, "picture")
    return session


def test_that_an_image_is_told_what_the_model_says_of_it(session, experts, picture):
    found = session.find_routing(experts, key="picture")
    model = load_vmoe(experts)
    pixels = model.preprocess(load_stretched(picture, 32))[None]
    with torch.inference_mode():
        routed, what_if = model(pixels), model.what_if(pixels)
    assert (found.id, found.name, found.routing, found.checkpoint_id) == (0, "tiny-experts", "superclass", model.id)
    assert (found.layers, found.superclasses) == ([2, 3], ["left", "right", "middle"])
    assert found.probabilities[0] == pytest.approx(routed.router_BRE[0, 0].tolist())
    assert found.experts == [[int(routed.router_BRE[0, 0].argmax())]]
    # The ten likeliest of twelve classes, falling; five for each expert; the expert's own are the same.
    shares, places = routed.logits_BL[0].softmax(0).sort(descending=True)
    assert [name for name, _ in found.classes] == [CLASSES[place] for place in places[:10]]
    assert [share for _, share in found.classes] == pytest.approx(shares[:10].tolist())
    assert [len(of_expert) for of_expert in found.what_if] == [5, 5, 5]
    own = found.what_if[found.experts[0][0]]
    assert [name for name, _ in own] == [name for name, _ in found.classes[:5]]
    for expert in range(3):
        assert found.what_if[expert][0][1] == pytest.approx(what_if[expert, 0].softmax(0).max().item(), rel=1e-4)
    assert len({str(of_expert) for of_expert in found.what_if}) == 3


def test_that_a_box_is_stretched_as_an_image_is(session, experts, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (64, 96, 3), np.uint8)
    pixels[16:48, 24:72] = np.random.default_rng(2).integers(0, 255, (2, 3, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    for name, part in (("whole", pixels), ("part", pixels[16:48, 24:72])):
        Image.fromarray(part).save(tmp_path / f"{name}.png")
        session.know_image(tmp_path / f"{name}.png", name)
    box = UnitBox.from_pixels(24, 16, 72, 48, 96, 64)
    found, alone = (session.find_routing(experts, box, key="whole"), session.find_routing(experts, key="part"))
    assert found.probabilities[0] == pytest.approx(alone.probabilities[0], abs=0.02)
    assert found.probabilities != session.find_routing(experts, key="whole").probabilities


def test_that_the_sessions_own_model_is_not_asked(session, experts, monkeypatch):
    monkeypatch.setattr(EngineSession, "_load", lambda *_: pytest.fail("the tower ran"))
    assert session.find_routing(experts, key="picture").experts


def test_that_an_image_that_is_asked_again_is_not_computed_again(session, experts, monkeypatch):
    box = UnitBox(0.1, 0.1, 0.5, 0.5)
    first = [session.find_routing(experts, each, key="picture") for each in (None, box)]
    monkeypatch.setattr(MobileVmoe, "forward", lambda *_, **__: pytest.fail("computed again"))
    monkeypatch.setattr("locstudio.engine.routing.load_vmoe", lambda *_: pytest.fail("loaded again"))
    assert [session.find_routing(experts, each, key="picture") for each in (None, box)] == first
    assert first[0] != first[1]


def test_that_a_checkpoint_that_was_replaced_is_read_again(session, experts):
    first = session.find_routing(experts, key="picture")
    save_experts(experts, "image", seed=1)
    found = session.find_routing(experts, key="picture")
    assert (found.routing, found.superclasses) == ("image", [])
    assert found.checkpoint_id != first.checkpoint_id


@pytest.mark.parametrize(("routing", "num_routers"), [("image", 1), ("token", 2), ("random", 1)])
def test_that_every_kind_of_router_can_be_asked(session, routing, num_routers, tmp_path):
    found = session.find_routing(save_experts(tmp_path / routing, routing, num_active=2), key="picture")
    assert [len(of_router) for of_router in found.probabilities] == [3] * num_routers
    assert [sum(of_router) for of_router in found.probabilities] == pytest.approx([1.0] * num_routers)
    assert [len(of_router) for of_router in found.experts] == [2] * num_routers
    assert found == session.find_routing(tmp_path / routing, key="picture")


def test_that_what_is_no_such_checkpoint_is_refused(session, experts, tiny_checkpoint, tmp_path):
    with pytest.raises(BadInput, match="no checkpoint in"):
        session.find_routing(tmp_path / "nowhere", key="picture")
    with pytest.raises(CheckpointMismatch, match="names regions; here one is needed that routes images to experts"):
        session.find_routing(tiny_checkpoint, key="picture")
    dense = save_experts(tmp_path / "dense", "dense")
    with pytest.raises(CheckpointMismatch, match="has no experts that an image could go to"):
        session.find_routing(dense, key="picture")
    (experts / "weights.safetensors").write_bytes(b"none")
    with pytest.raises(BadInput, match=r"weights\.safetensors has changed"):
        session.find_routing(experts, key="picture")


def test_that_numbers_that_are_none_are_refused_with_a_sentence(session, experts, monkeypatch):
    monkeypatch.setattr(MobileVmoe, "_classes", lambda _, token_BD: torch.full((len(token_BD), 12), torch.nan))
    with pytest.raises(BadInput, match="tiny-experts makes no numbers of this image"):
        session.find_routing(experts, key="picture")


def test_that_an_image_that_is_not_open_or_not_there_is_refused(session, experts, tmp_path):
    with pytest.raises(UserError, match="Open the image again"):
        session.find_routing(experts, key="nobody")
    session.know_image(tmp_path / "gone.png", "gone")
    with pytest.raises((UserError, OSError), match=r"gone\.png"):
        session.find_routing(experts, key="gone")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    session.know_image(tmp_path / "broken.png", "broken")
    with pytest.raises(UserError, match=r"broken\.png"):
        session.find_routing(experts, key="broken")


def replies_to(session, *requests):
    """What the engine's loop answers to requests that all wait already."""
    (asked, asking), (heard, saying) = os.pipe(), os.pipe()
    os.write(asking, b"".join(request_line(request) for request in requests))
    os.close(asking)
    assert serve(lambda _: session, asked, saying) == 0
    os.close(saying)
    os.close(asked)
    with open(heard, "rb") as lines:
        return [read_reply(line) for line in lines][1:]  # the first is that it is ready


def test_that_the_engine_answers_and_refuses_in_order(session, saved, tmp_path):
    place = path_text(saved)
    (whole,) = replies_to(session, FindRouting(id=2, key="picture", checkpoint=place))
    (part,) = replies_to(session, FindRouting(id=3, key="picture", checkpoint=place, box=(0.0, 0.0, 0.25, 0.5)))
    assert isinstance(whole, Routed)
    assert (whole.id, whole.name, part.id) == (2, "tiny-experts", 3)
    assert part.probabilities != whole.probabilities
    for request, sentence in (
        (FindRouting(id=4, key="picture", checkpoint=path_text(tmp_path / "nowhere")), "no checkpoint in"),
        (FindRouting(id=5, key="picture", checkpoint=place, box=(0.5, 0.5, 0.5, 0.9)), "0.5"),
        (FindRouting(id=6, key="nobody", checkpoint=place), "Open the image again"),
    ):
        (refused,) = replies_to(session, request)
        assert isinstance(refused, Refused)
        assert refused.id == request.id
        assert sentence in refused.sentence
    both = replies_to(session, *(FindRouting(id=number, key="picture", checkpoint=place) for number in (7, 8)))
    assert [type(reply) for reply in both] == [Superseded, Routed]
    assert both[1].probabilities == whole.probabilities


def test_that_routing_comes_through_a_line_and_without_numbers_does_not(session, experts):
    found = session.find_routing(experts, key="picture")
    assert read_reply(reply_line(found)) == found
    for broken in ({"probabilities": [[float("nan")]]}, {"what_if": [[("a", float("inf"))]]}):
        fields = {name: getattr(found, name) for name in found.__struct_fields__}
        with pytest.raises(ProtocolError, match="no number"):
            reply_line(Routed(**(fields | broken)))
    with pytest.raises(ProtocolError, match="no number"):
        request_line(FindRouting(id=1, key="a", checkpoint="b", box=(0.0, 0.0, float("nan"), 1.0)))
