"""Points of four grids: where they lie, what they say before they learn, and which checkpoints have them."""

import json

import msgspec
import pytest
import torch

from locstudio.domain.errors import BadInput, CheckpointMismatch
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.models.checkpoint import load_checkpoint, new_model, save_checkpoint
from locstudio.models.config import ClocConfig
from locstudio.models.heads import ProposalHead
from locstudio.models.point_head import POINT_SIDES, PointHead, folded, points, unfolded, widened


@pytest.fixture
def head():
    torch.manual_seed(0)
    return PointHead(width=16, grid=4, hidden=8, fine=4).eval()


@pytest.fixture
def point_config(tiny_tower):
    return ClocConfig(name="tiny", tower=tiny_tower, dim=32, token_width=64, proposals="points")


def test_that_a_point_left_alone_is_a_square_of_its_grids_side(head):
    for leave in head.leave:
        torch.nn.init.zeros_(leave[-1].weight)
    logits, boxes = head(torch.randn(2, 17, 16))
    assert logits.shape == (2, 64 + 16 + 4 + 1)
    assert boxes.shape == (2, 85, 4)
    # The first of the finest grid, 8 x 8, lies at a sixteenth; the last point is the middle of the square.
    first, last = boxes[0, 0], boxes[0, -1]
    torch.testing.assert_close(first[:2], torch.full((2,), 1 / 16 - POINT_SIDES[0] / 2))
    torch.testing.assert_close(last, 0.5 + POINT_SIDES[-1] / 2 * torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    assert (logits.sigmoid() < 0.02).all()


def test_that_points_are_told_row_by_row_and_the_finest_grid_first():
    centres, cells, _ = points(4)
    assert centres[:2].tolist() == [[1 / 16, 1 / 16], [3 / 16, 1 / 16]]
    assert centres[64].tolist() == [1 / 8, 1 / 8]
    assert cells[[0, 64, 80, 84]].tolist() == [1 / 8, 1 / 4, 1 / 2, 1.0]


def test_that_a_map_folded_and_unfolded_is_itself():
    map_BHWE = torch.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3)
    assert torch.equal(unfolded(folded(map_BHWE)), map_BHWE)
    # The four cells of a corner are one cell's channels; widened, a cell stands where its four stood.
    assert folded(map_BHWE)[0, 0, 0, :3].tolist() == map_BHWE[0, 0, 0].tolist()
    assert widened(map_BHWE)[0, 1, 1].tolist() == map_BHWE[0, 0, 0].tolist()


def test_that_what_is_proposed_does_not_depend_on_the_other_images_of_a_batch(head):
    tokens = torch.randn(3, 17, 16)
    together, alone = head(tokens)[1][1], head(tokens[1:2])[1][0]
    torch.testing.assert_close(together, alone)
    assert torch.equal(head(tokens)[0], head(tokens)[0])


def test_that_a_grid_that_cannot_be_halved_twice_is_refused():
    with pytest.raises(ValueError, match="7 x 7"):
        PointHead(width=8, grid=7)


def test_that_a_checkpoint_says_which_head_it_has(tmp_path, point_config):
    torch.manual_seed(0)
    model = new_model(point_config)
    save_checkpoint(model, tmp_path / "points", card="", metrics={})
    loaded = load_checkpoint(tmp_path / "points")
    assert isinstance(loaded.proposals, PointHead)
    with torch.inference_mode():
        prepared = loaded.prepare(torch.randn(17, 64))
        boxes, objectness = loaded.propose(prepared, 5)
        again, _ = loaded.propose(prepared, 5)
    assert 0 < len(objectness) <= 5
    assert torch.equal(boxes, again)


def test_that_a_checkpoint_from_before_there_were_two_heads_has_the_old_one(tiny):
    known = json.loads(msgspec.json.encode(tiny.config))
    del known["proposals"], known["detection"]
    old = msgspec.json.decode(json.dumps(known), type=ClocConfig)
    assert old == tiny.config
    assert isinstance(new_model(old).proposals, ProposalHead)


def test_that_weights_of_one_head_are_refused_by_the_other(tmp_path, point_config, monkeypatch):
    save_checkpoint(new_model(point_config), tmp_path / "points", card="", metrics={})
    info = checkpoint_info(tmp_path / "points")
    # Its config says anchors; hashes are not what is asked here.
    config = json.loads((tmp_path / "points" / "config.json").read_text()) | {"proposals": "anchors"}
    (tmp_path / "points" / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr("locstudio.models.checkpoint.checkpoint_info", lambda _: info)
    with pytest.raises(CheckpointMismatch, match="proposals"):
        load_checkpoint(tmp_path / "points")


def test_that_points_on_a_grid_that_cannot_have_them_are_a_sentence(tmp_path, point_config, monkeypatch):
    save_checkpoint(new_model(point_config), tmp_path / "points", card="", metrics={})
    info = checkpoint_info(tmp_path / "points")
    tower = msgspec.structs.replace(point_config.tower, num_tokens=50)
    odd = msgspec.structs.replace(point_config, tower=tower)
    (tmp_path / "points" / "config.json").write_bytes(msgspec.json.encode(odd))
    monkeypatch.setattr("locstudio.models.checkpoint.checkpoint_info", lambda _: info)
    with pytest.raises(BadInput, match="cannot be halved twice"):
        load_checkpoint(tmp_path / "points")
