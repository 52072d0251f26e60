"""The graph of what is confused: which edges matter, where classes lie, and what stays where it is after an edit."""

import itertools

import numpy as np
import pytest

from locstudio.domain.regions import LabelClass
from locstudio.jobs.confusions import Confusion, ConfusionHeader
from locstudio.services.routing.graph import ConfusionGraph
from locstudio.services.routing.graph_layout import WITHOUT, Layout, arranged
from locstudio.services.routing.graph_moving import landing_slots, rearranged


def confusion_of(counts, class_ids=()) -> Confusion:
    counts = np.array(counts, np.float32)
    ids = tuple(class_ids) or tuple(range(1, len(counts) + 1))
    header = ConfusionHeader(
        run_id="r", class_ids=ids, class_names=tuple(f"c{n}" for n in ids), num_images=int(counts.sum())
    )
    return Confusion(header, counts)


def classes_of(num) -> list[LabelClass]:
    return [LabelClass(number, f"c{number}", "#808080") for number in range(1, num + 1)]


def graph_of(counts) -> ConfusionGraph:
    return ConfusionGraph.of(classes_of(len(counts)), confusion_of(counts))


def grouped(num, num_groups) -> tuple[ConfusionGraph, dict[int, list[int]]]:
    """Classes on a ring, each confused with its neighbours; groups are arcs of the ring."""
    counts = np.eye(num, dtype=np.float32) * 8
    for number in range(num):
        counts[number, (number + 1) % num] += 1
        counts[number, (number - 1) % num] += 1
    groups: dict[int, list[int]] = {key: [] for key in range(1, num_groups + 1)}
    for number in range(num):
        groups[1 + number * num_groups // num].append(number + 1)
    return graph_of(counts), groups


def assert_apart(layout: Layout) -> None:
    for first, second in itertools.combinations(layout.areas.values(), 2):
        assert not first.overlaps(second)
    places = list(layout.slots.values())
    assert len(set(places)) == len(places)
    assert all(slot < layout.areas[key].num_slots for key, slot in places)


FOUR = [[8, 2, 0, 0], [4, 6, 0, 0], [0, 0, 5, 5], [0, 1, 0, 9]]


def test_that_an_edge_has_the_mean_of_both_directions_and_the_strongest_comes_first():
    edges = graph_of(FOUR).edges()
    pairs = list(zip(edges.first.tolist(), edges.second.tolist(), strict=True))
    assert pairs == [(0, 1), (2, 3), (1, 3)]  # (0.2 + 0.4) / 2, (0.5 + 0) / 2, (0 + 0.1) / 2
    assert edges.strengths.tolist() == pytest.approx([0.3, 0.25, 0.05])


def test_that_confusion_below_what_matters_is_no_edge():
    counts = np.full((60, 60), 0.1, np.float32)
    np.fill_diagonal(counts, 10)
    counts[0, 1] = 3
    edges = graph_of(counts).edges()
    assert len(edges) == 1
    assert (int(edges.first[0]), int(edges.second[0])) == (0, 1)


def test_that_a_class_the_run_has_not_seen_has_no_confusion_and_one_that_is_gone_is_left_out():
    graph = ConfusionGraph.of(classes_of(3), confusion_of([[5, 3, 2], [0, 9, 1], [1, 1, 8]], class_ids=(1, 2, 77)))
    assert graph.class_ids.tolist() == [1, 2, 3]
    assert graph.between(1, 2) == pytest.approx((0.3, 0.0))  # shares are of all ten images, also those taken for 77
    assert graph.itself_share(3) is None
    assert graph.partners(3) == []


def test_that_partners_come_with_the_shares_of_both_directions():
    partner = graph_of(FOUR).partners(2)[0]
    assert (partner.class_id, partner.name) == (1, "c1")
    assert (partner.taken_for, partner.mistaken) == pytest.approx((0.4, 0.2))


def test_that_a_class_pulls_to_the_superclass_it_is_tied_to_more_than_by_chance():
    graph = graph_of(FOUR)  # all ties are 0.3, 0.35, 0.25 and 0.3, together 1.2
    pulls = graph.pulls({1: 10, 2: 20, 3: 20, 4: 20})
    assert [(pull.class_id, pull.group) for pull in pulls] == [(2, 10), (1, 20)]
    assert pulls[0].there == pytest.approx(0.3 - 0.35 * 0.3 / 1.2)
    assert pulls[0].own == pytest.approx(0.05 - 0.35 * 0.55 / 1.2)
    assert (pulls[1].there, pulls[1].own) == (pytest.approx(0.3 - 0.3 * 0.9 / 1.2), 0.0)
    assert graph.pulls({1: 10, 2: 10, 3: 20, 4: 20}) == []
    assert [(pull.class_id, pull.group) for pull in graph.pulls({2: 10, 3: 20, 4: 20})] == [(1, 10)]


def test_that_a_superclass_does_not_pull_because_it_is_large():
    counts = np.full((23, 23), 0.4, np.float32)  # everything is confused a little with everything
    np.fill_diagonal(counts, 20)
    counts[0, 1] = counts[1, 0] = 2
    graph = graph_of(counts)
    home_of = {1: 10, 2: 10} | dict.fromkeys(range(3, 24), 20)
    large = graph.strengths_LL[0, 2:].sum()
    assert large > 1.25 * graph.strengths_LL[0, 1]  # by sums the pair would be torn apart
    assert graph.pulls(home_of) == []
    assert [(pull.class_id, pull.group) for pull in graph.pulls(home_of | {2: 20})] == [(2, 10)]


def test_that_what_is_kept_inside_is_the_share_of_the_wrong_images():
    graph = graph_of(FOUR)  # 2 + 4 + 5 + 1 = 12 images were taken for another class
    assert graph.kept_share({1: 1, 2: 1, 3: 2, 4: 2}) == pytest.approx(11 / 12)
    assert graph.kept_share({1: 1, 2: 2, 3: 1, 4: 2}) == pytest.approx(1 / 12)
    assert graph.kept_share({}) == 0.0
    assert graph_of([[3.0]]).kept_share({1: 1}) is None


@pytest.mark.parametrize(("num", "num_groups"), [(1, 1), (2, 1), (2, 2), (7, 3), (200, 10)])
def test_that_nothing_lies_on_anything_else_and_the_same_confusions_give_the_same_picture(num, num_groups):
    graph, groups = grouped(num, num_groups)
    layout = arranged(graph, groups)
    assert_apart(layout)
    assert len(layout.slots) == num
    assert arranged(graph, groups).slots == layout.slots


def test_that_a_thousand_classes_without_a_run_find_a_place():
    graph = ConfusionGraph.of(classes_of(1000), None)
    layout = arranged(graph, {WITHOUT: list(range(1, 1001))})
    assert_apart(layout)
    assert list(layout.areas) == [WITHOUT]


def test_that_no_class_at_all_is_an_empty_picture():
    layout = arranged(ConfusionGraph.of([], None), {})
    assert layout.bounds() == (0.0, 0.0, 1.0, 1.0)


def test_that_an_empty_superclass_and_classes_without_one_have_an_area():
    graph, _ = grouped(6, 1)
    layout = arranged(graph, {5: [1, 2, 3], 6: [], WITHOUT: [4, 5, 6]})
    assert_apart(layout)
    assert set(layout.areas) == {5, 6, WITHOUT}


def test_that_classes_which_are_confused_lie_side_by_side():
    graph, groups = grouped(40, 2)
    layout = arranged(graph, groups)

    def apart(first, second):
        return np.hypot(*np.subtract(layout.center_of(first), layout.center_of(second)))

    neighbours = [apart(number, number + 1) for number in range(1, 20)]
    others = [apart(first, second) for first, second in itertools.combinations(groups[1], 2)]
    assert np.mean(neighbours) < 0.6 * np.mean(others)


def test_that_after_one_class_has_moved_the_rest_is_where_it_was():
    graph, groups = grouped(60, 4)
    before = arranged(graph, groups)
    after_edit = groups | {1: groups[1][:-1], 2: [*groups[2], groups[1][-1]]}
    after = rearranged(before, graph, after_edit)
    moved = groups[1][-1]
    assert_apart(after)
    assert after.slots[moved][0] == 2
    assert all(after.center_of(each) == before.center_of(each) for each in before.slots if each != moved)
    assert landing_slots(before, graph, 2, [moved]) == (after.slots[moved][1],)


def test_that_a_superclass_that_grows_pushes_down_only_what_lies_in_its_way():
    graph, groups = grouped(60, 4)
    before = arranged(graph, groups)
    after = rearranged(before, graph, groups | {1: [], 2: groups[2] + groups[1]})
    assert_apart(after)
    assert {key for key in (3, 4) if after.areas[key].x != before.areas[key].x} == set()
    assert all(after.slots[each] == before.slots[each] for key in (2, 3, 4) for each in groups[key])


def test_that_a_new_superclass_finds_room_without_moving_another():
    graph, groups = grouped(60, 4)
    before = arranged(graph, groups)
    after = rearranged(before, graph, groups | {1: groups[1][2:], 99: groups[1][:2]})
    assert_apart(after)
    assert all(after.areas[key] == before.areas[key] for key in groups)


def test_that_a_suggestion_that_is_taken_over_stays_where_it_is_under_its_new_keys():
    graph, groups = grouped(30, 3)
    before = arranged(graph, {-key: ids for key, ids in groups.items()})
    after = rearranged(before, graph, groups)
    assert all(after.center_of(each) == before.center_of(each) for each in before.slots)
    assert set(after.areas) == {1, 2, 3}
