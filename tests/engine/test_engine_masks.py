"""Masks of open images: who makes them, what is kept of it, and what is refused."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.geometry import UnitBox
from locstudio.domain.masks import counts_of, mask_of_runs
from locstudio.engine import segmenting
from locstudio.engine.segmenting import Segmenting, prompt_of, reply_of
from locstudio.engine.session import EngineSession
from locstudio.jobs.engine_messages import Prompted, Refused, Segment, Segmented, SetImage, Superseded, path_text
from locstudio.models.mask_head import MaskConfig
from locstudio.models.mask_segmenter import MaskModel, save_mask_model, tokens_sha256
from locstudio.models.sam import SamSegmenter, load_sam
from locstudio.models.segmenter import FoundMask, MaskPrompt, PointPrompt
from locstudio.models.towers import lite_config

BOX = MaskPrompt(UnitBox(0.1, 0.1, 0.7, 0.9))


def tiny_sam():
    torch.manual_seed(0)
    return Sam(
        ImageEncoderViT(img_size=64, embed_dim=32, depth=1, num_heads=2, out_chans=16),
        PromptEncoder(embed_dim=16, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=16),
        MaskDecoder(
            transformer_dim=16, transformer=TwoWayTransformer(depth=1, embedding_dim=16, num_heads=2, mlp_dim=16)
        ),
    ).eval()


@pytest.fixture
def sam_file(tmp_path, monkeypatch):
    torch.save(tiny_sam().state_dict(), tmp_path / "sam.pth")
    monkeypatch.setattr(segmenting, "load_sam", partial(load_sam, builders={32: tiny_sam}))
    return tmp_path / "sam.pth"


@pytest.fixture(scope="module")
def mask_folder(tmp_path_factory):
    torch.manual_seed(0)
    tower = lite_config()
    shape = {"name": "tiny-masks", "tower": tower, "token_width": 16, "dim": 16, "depth": 1}
    model = MaskModel(MaskConfig(tokens_sha256="", **shape))
    model.config = MaskConfig(tokens_sha256=tokens_sha256(model.reduce, tower), **shape)
    folder = tmp_path_factory.mktemp("masks") / "masks"
    save_mask_model(model, folder, card="", metrics={})
    return folder


@pytest.fixture
def session(tiny_checkpoint, picture, tmp_path):
    session = EngineSession(tiny_checkpoint, cache=tmp_path / "cache", device="cpu")
    session.set_image(picture, key="picture")
    return session


def test_that_a_mask_lies_over_the_pixels_of_its_image(session, sam_file):
    (found,) = session.segment([BOX], sam=sam_file)
    assert found.mask_HW.shape == (48, 96)
    assert session.segmenter_name(sam_file).startswith("Segment Anything")


def test_that_an_image_is_encoded_once_for_all_sessions(
    session, sam_file, tiny_checkpoint, picture, tmp_path, monkeypatch
):
    (first,) = session.segment([BOX], sam=sam_file)
    (folder,) = (tmp_path / "cache" / "tokens").glob("sam-*")
    assert len(list(folder.glob("*.npy"))) == 1
    monkeypatch.setattr(SamSegmenter, "encode", lambda *_: pytest.fail("encoded again"))
    later = EngineSession(tiny_checkpoint, cache=tmp_path / "cache", device="cpu")
    later.set_image(picture)
    assert np.array_equal(later.segment([BOX], sam=sam_file)[0].mask_HW, first.mask_HW)
    session.segment([MaskPrompt(points=(PointPrompt(0.5, 0.5),))], sam=sam_file)


def test_that_a_model_file_that_was_replaced_is_read_again(session, sam_file, monkeypatch):
    session.segment([BOX], sam=sam_file)
    sam_file.write_bytes(b"no model any more")
    with pytest.raises(BadInput):
        session.segment([BOX], sam=sam_file)


def test_that_without_any_mask_model_the_sentence_says_what_to_do(session, tmp_path, monkeypatch):
    monkeypatch.setattr(session._segmenting, "_bundled", tmp_path / "nowhere")
    with pytest.raises(UserError, match="Choose a Segment Anything checkpoint"):
        session.segment([BOX])
    with pytest.raises(BadInput, match="no weights file"):
        session.segment([BOX], sam=tmp_path / "nowhere.pth")


def test_that_a_head_of_other_tokens_makes_its_own(session, mask_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(session._segmenting, "_bundled", mask_folder)
    (found,) = session.segment([BOX])
    assert found.mask_HW.shape == (48, 96)
    assert session.segmenter_name() == "tiny-masks"
    made = {folder.name for folder in (tmp_path / "cache" / "tokens").iterdir()}
    assert made == {session.info.id, session._segmenting.segmenter().tokens_id}


def test_that_a_head_of_the_same_tokens_reads_those_that_are_there(mask_folder, picture, tmp_path):
    from locstudio.domain.geometry import Letterbox
    from locstudio.models.checkpoint import new_model
    from locstudio.models.config import ClocConfig
    from locstudio.models.mask_segmenter import load_mask_model

    masks, _ = load_mask_model(mask_folder)
    cloc = new_model(ClocConfig(name="like", tower=lite_config(), dim=16, token_width=16))
    cloc.reduce.load_state_dict(masks.reduce.state_dict())
    cloc.id = "cloc-like"
    asked = []

    def tokens():
        asked.append(1)
        return np.zeros((1025, 16), np.float16)

    work = Segmenting(cloc, tmp_path / "cache", max_cache_bytes=1 << 20, bundled=mask_folder)
    found = work.segment([BOX, BOX], path=picture, frame=Letterbox(96, 48), tokens_NC=tokens)
    work.segment([BOX], path=picture, frame=Letterbox(96, 48), tokens_NC=tokens)
    assert [one.mask_HW.shape for one in found] == [(48, 96)] * 2
    assert asked == [1]
    assert not (tmp_path / "cache").exists()


def test_that_a_reply_carries_run_lengths_and_the_tight_box():
    mask = np.zeros((4, 8), bool)
    mask[1:3, 2:4] = True
    reply = reply_of(5, "somebody", [FoundMask(mask, 0.75), FoundMask(np.zeros((4, 8), bool), 0.1)])
    assert reply.boxes == [(0.25, 0.25, 0.5, 0.75), None]
    assert reply.masks[1] == ""
    assert reply.scores == [0.75, 0.1]
    assert np.array_equal(mask_of_runs(counts_of(json.loads(reply.masks[0])["counts"]), 8, 4), mask)


def test_that_a_message_means_a_prompt():
    asked = Prompted(box=(0.0, 0.0, 0.5, 1.0), points=[(0.25, 0.5, True), (0.75, 0.5, False)])
    assert prompt_of(asked) == MaskPrompt(
        UnitBox(0.0, 0.0, 0.5, 1.0), (PointPrompt(0.25, 0.5), PointPrompt(0.75, 0.5, is_inside=False))
    )
    with pytest.raises(ValueError, match="a box or a point"):
        prompt_of(Prompted())


def test_that_the_engine_answers_and_refuses_in_order(engine, picture, tmp_path):
    engine.send(SetImage(id=1, key="masks", path=path_text(picture)))
    engine.reply()
    nowhere = path_text(tmp_path / "no such.pth")
    engine.send(
        Segment(id=2, key="masks", prompts=[Prompted(box=(0.0, 0.0, 0.5, 1.0))], sam=nowhere),
        Segment(id=3, key="never opened", prompts=[Prompted(box=(0.0, 0.0, 0.5, 1.0))], sam=nowhere),
        Segment(id=4, key="masks", prompts=[Prompted()] * 300, sam=nowhere),
        Segment(id=5, key="masks", prompts=[Prompted(box=(0.5, 0.5, 0.5, 0.5))], sam=nowhere),
    )
    replies = [engine.reply() for _ in range(4)]
    assert all(isinstance(reply, Refused) for reply in replies)
    assert [reply.id for reply in replies] == [2, 3, 4, 5]
    assert "no weights file" in replies[0].sentence
    assert "Open the image again" in replies[1].sentence
    assert "at most 256 masks" in replies[2].sentence


def test_that_only_the_newest_mask_of_a_click_is_made(engine, picture):
    engine.send(SetImage(id=1, key="clicks", path=path_text(picture)))
    engine.reply()
    click = Prompted(points=[(0.5, 0.5, True)])
    engine.send(*(Segment(id=number, key="clicks", prompts=[click], is_preview=True) for number in range(2, 8)))
    replies = [engine.reply() for _ in range(6)]
    assert any(isinstance(reply, Superseded) for reply in replies[:-1])
    assert isinstance(replies[-1], Segmented | Refused)
    assert replies[-1].id == 7
