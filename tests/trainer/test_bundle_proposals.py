"""How the bundled proposals are trained, measured and put into their checkpoint."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from locstudio.models.cloc import Cloc
from locstudio.models.config import ClocConfig, DetectionConfig
from locstudio.models.heads import ProposalHead
from locstudio.models.point_head import PointHead
from locstudio.models.towers import build_towers, describe_open_clip
from trainer.bundle.card import arms_with_proposals, card, with_proposals
from trainer.bundle.detector import proposal_table, take_head, with_points
from trainer.bundle.features import SceneSet
from trainer.bundle.proposal_measuring import listed, proposals_measured, sliding_boxes
from trainer.bundle.proposals import Round, fit_proposals
from trainer.bundle.scenes import Scene

BOXES = np.array([[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]], np.float32)


def scene_set(count=4, width=16):
    """Scenes with the same two things, whose tokens say where they are."""
    tokens = np.zeros((count, 17, width), np.float16)
    tokens[:, 1 + 5], tokens[:, 1 + 10] = 1.0, -1.0
    scenes = [Scene(f"{row}.jpg", BOXES, (("cat",), ("dog",)), (), (0, 1), is_exhaustive=True) for row in range(count)]
    return SceneSet(scenes, tokens)


def model_of(head):
    return SimpleNamespace(proposals=head)


def test_that_training_a_head_follows_from_the_seed_alone_and_teaches_it_something():
    heads = []
    for _ in range(2):
        torch.manual_seed(0)
        head = PointHead(width=16, grid=4, hidden=8, fine=4)
        before = head(torch.from_numpy(scene_set().tokens_SNC[:1]).float())[0].detach()
        rounds = (Round(num_steps=3, learning_rate=1e-2), Round(num_steps=2, learning_rate=1e-3))
        fit_proposals(model_of(head), scene_set(), range(4), rounds=rounds, seed=1, say=lambda _: None)
        heads.append(head)
    assert all(torch.equal(a, b) for a, b in zip(heads[0].parameters(), heads[1].parameters(), strict=True))
    assert not torch.equal(heads[0](torch.from_numpy(scene_set().tokens_SNC[:1]).float())[0], before)
    assert not any(parameter.requires_grad for parameter in heads[0].parameters())
    assert not heads[0].training


class Perfect:
    """Proposes what it is told, and knows a cat from a dog by where it lies."""

    config = SimpleNamespace(detection=DetectionConfig())
    logit_scale = torch.tensor(3.0)

    def embed_texts(self, texts):
        return torch.eye(2)[[["cat", "dog"].index(text) for text in texts]]

    def embed_boxes(self, _, boxes_P4):
        return torch.eye(2)[(boxes_P4[:, 0] > 0.45).long()]

    def prepare(self, tokens):
        return tokens

    def ground(self, _, text_TD, proposed):
        likeness_TP = text_TD @ self.embed_boxes(None, proposed[0]).T
        return proposed[0][likeness_TP.argmax(dim=1)], likeness_TP.amax(dim=1)


def measured(boxes):
    return proposals_measured(Perfect(), scene_set(2), ["cat", "dog"], listed(lambda _: boxes, scene_set(2)))


def test_that_right_boxes_measure_one_and_half_of_them_a_half():
    found = measured(BOXES)
    wanted = ("recall_24", "recall_100", "ar100", "ap50", "ground_hit50", "ground_mean_iou")
    assert [found[name] for name in wanted] == pytest.approx([1.0] * 6)
    found = measured(BOXES[:1])
    assert (found["recall_100"], found["ap50"], found["ground_hit50"]) == pytest.approx((0.5, 0.5, 0.5))


def test_that_the_hundred_and_first_box_is_not_looked_at():
    far = np.tile(np.array([[0.95, 0.0, 1.0, 0.05]], np.float32), (100, 1))
    assert measured(np.concatenate([far, BOXES]))["recall_100"] == 0.0
    assert measured(np.concatenate([far[:30], BOXES]))["recall_24"] == 0.0
    assert measured(np.concatenate([far[:30], BOXES]))["recall_100"] == 1.0


def test_that_sliding_boxes_lie_in_the_square():
    boxes = sliding_boxes()
    assert len(boxes) > 1000
    assert (boxes >= 0).all()
    assert (boxes <= 1).all()
    assert ((boxes[:, 2:] - boxes[:, :2]) > 0.05).all()


def test_that_another_head_leaves_every_other_weight_as_it_is(tmp_path):
    definition = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "patch_size": 8, "head_width": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    tower = describe_open_clip("tiny", definition=definition)
    torch.manual_seed(0)
    old = Cloc(ClocConfig(name="tiny", tower=tower, dim=16, token_width=16), build_towers(tower))
    new = with_points(old)
    assert isinstance(old.proposals, ProposalHead)
    torch.save(PointHead(width=16, grid=4).state_dict(), tmp_path / "head.pt")
    take_head(new, tmp_path / "head.pt")
    before, after = old.state_dict(), new.state_dict()
    for key in before:
        assert key.startswith("proposals.") or torch.equal(before[key], after[key])
    assert all(torch.equal(value, value.half().float()) for value in new.proposals.parameters())


def test_that_the_card_of_another_head_has_its_numbers_and_keeps_the_others():
    text = card({"top1": 0.5, "proposal_recall_100": 0.4}, "## Arms\n", width=8, num_classes=3)
    changed = with_proposals(text, {"top1": 0.5, "proposal_recall_100": 0.45, "class_ap50": 0.25})
    assert "| naming, top-1 | 0.500 |" in changed
    assert "| recall of 100 proposals at IoU 0.5 | 0.450 |" in changed
    assert "| detections by the 80 class names, average precision at IoU 0.5 | 0.250 |" in changed
    assert (
        changed.replace("0.450", "0.400").replace(
            "| detections by the 80 class names, average precision at IoU 0.5 | 0.250 |\n", ""
        )
        == text
    )


def test_that_arms_say_once_which_proposals_they_were_grounded_with():
    text = "Grounding is the app's (the best of 60 proposals and the pointed box), pointing the grounding head alone, as in the paper.\n"  # noqa: E501
    once = arms_with_proposals(text)
    assert once.endswith("the anchors of `proposals.md`.\n")
    assert arms_with_proposals(once) == once


def test_that_the_table_of_proposals_shows_spread_over_seeds_and_leaves_out_what_was_not_measured():
    text = proposal_table({"points": [{"ap50": 0.2}, {"ap50": 0.3}], "sliding": [{"ap50": 0.1, "propose_ms": 12.34}]})
    assert "| **points** | - | - | - | 0.250 +- 0.071 | - | - |" in text
    assert "| **sliding** | - | - | - | 0.100 | - | 12.3 |" in text
    assert "| **anchors**" not in text
