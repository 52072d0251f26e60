"""What experts tell of wrong labels, and what an edit of superclasses is worth: the command, in small."""

import json

import numpy as np
import pytest
import torch

from locstudio.domain.regions import LabelClass
from locstudio.jobs.confusions import Confusion, ConfusionHeader
from locstudio.services.routing.book import margins_of
from locstudio.services.routing.graph import ConfusionGraph
from locstudio.services.routing.wishes import RoutingsOf
from trainer.bundle import experts_story as story
from trainer.bundle.experts_photos import Cells

NUM_CLASSES = 12


def some_cells(per_class: int, seed: int) -> Cells:
    draw = torch.Generator().manual_seed(seed)
    return Cells(
        torch.randn(per_class * NUM_CLASSES, 49, 8, generator=draw).half(),
        torch.arange(NUM_CLASSES).repeat_interleave(per_class),
    )


def some_shares(num_rows: int, num_columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(num_columns, 0.3), num_rows).astype(np.float32)


def test_that_the_orders_are_those_of_the_collection():
    label_S = np.random.default_rng(0).integers(0, NUM_CLASSES, 300)
    group_L, router_SE = np.arange(NUM_CLASSES) % 4, some_shares(300, 4, 1)
    experts_SL, dense_SL = some_shares(300, NUM_CLASSES, 2), some_shares(300, NUM_CLASSES, 3)
    orders = story.orders_of(label_S, group_L, router_SE, experts_SL, dense_SL)
    expert_S = router_SE.argmax(axis=1)
    is_astray_S, margin_S = group_L[label_S] != expert_S, margins_of(router_SE)
    other_S = np.where(experts_SL.argmax(axis=1) == label_S, -1, 1) * experts_SL.max(axis=1)
    of_studio = RoutingsOf(expert_S.astype(np.int16), margin_S, is_astray_S, other_S)
    assert orders.keys() == story.ORDERS.keys()
    assert orders["mismatch"].tolist() == of_studio.ordered("mismatch").tolist()
    assert orders["another"].tolist() == of_studio.ordered("another").tolist()
    assert orders["margin"].tolist() == of_studio.ordered("margin").tolist()
    assert all(sorted(order_S) == list(range(300)) for order_S in orders.values())
    first, last = orders["cells"][[0, -1]]
    alike = [((label_S == label_S[row]) & (expert_S == expert_S[row])).sum() for row in (first, last)]
    assert alike[0] < alike[1]


def test_that_the_edit_is_what_the_graph_of_confusion_says():
    counts_LL = 20 * (some_shares(NUM_CLASSES, NUM_CLASSES, 4) + np.eye(NUM_CLASSES, dtype=np.float32))
    group_L = np.arange(NUM_CLASSES) // 4
    ids = tuple(range(1, NUM_CLASSES + 1))
    header = ConfusionHeader(run_id="", class_ids=ids, class_names=tuple(map(str, ids)), num_images=240)
    graph = ConfusionGraph.of([LabelClass(one, str(one), "#000000") for one in ids], Confusion(header, counts_LL))
    home_of = {one: int(group_L[one - 1]) + 1 for one in ids}
    moved_L = story.after_pulls(counts_LL, group_L)
    assert {pull.class_id: pull.group - 1 for pull in graph.pulls(home_of)} == {
        one + 1: int(moved_L[one]) for one in np.flatnonzero(moved_L != group_L)
    }
    assert (moved_L != group_L).any()
    assert story.kept_share(counts_LL, group_L) == pytest.approx(graph.kept_share(home_of), abs=1e-5)


@pytest.mark.parametrize("same", [True, False])
def test_that_wrong_labels_stay_in_their_superclass_or_leave_it(same):
    label_S, group_L = np.arange(400) % NUM_CLASSES, np.array([0, *[1] * 5, *[2] * 6])
    changed_S, is_wrong_S = story.with_wrong_labels(label_S, group_L, same, seed=3)
    assert is_wrong_S.sum() == 20
    assert ((group_L[changed_S] == group_L[label_S])[is_wrong_S] == same).all()
    assert not same or not is_wrong_S[label_S == 0].any()


def test_that_the_area_is_one_where_wrong_photos_come_first():
    assert story.area_under(np.array([True, True, False, False])) == 1
    assert story.area_under(np.array([False, False, True, True])) == 0
    assert story.area_under(np.array([True, False, False, True])) == 0.5


def test_that_the_command_tells_both_stories_and_goes_on(tmp_path, monkeypatch, capsys):
    names = tuple(f"class {place}" for place in range(NUM_CLASSES))
    groups = tuple(place // 3 for place in range(NUM_CLASSES))
    data = story.Data(names, some_cells(5, 0), some_cells(2, 1), some_cells(2, 2), groups)
    monkeypatch.setattr(story, "read", lambda folder, scratch: data)
    call = ["--data", str(tmp_path), "--scratch", str(tmp_path / "kept"), "--seed", "0", "--passes", "64"]
    assert story.main(call) == 0
    told = capsys.readouterr().out
    assert "regrouped by meaning" in told
    assert "wrong: same superclass" in told
    kept = json.loads((tmp_path / "kept" / "story.json").read_text())
    assert kept["another 0 64"]["num_wrong"] == 4
    assert 0 <= kept["another 0 64"]["mismatch"]["50"] <= 4 / 50
    assert len(kept["edit 0 64"]["clusters"]) == NUM_CLASSES
    monkeypatch.setattr(story, "read", lambda folder, scratch: pytest.fail("everything has been told"))
    assert story.main(call) == 0
    assert capsys.readouterr().out == told
