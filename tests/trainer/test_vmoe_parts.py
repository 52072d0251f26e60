"""The parts of a training of experts: targets, superclasses, measures, the step."""

import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from locstudio.domain.edits import ClassChange, Edit, add_regions
from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Origin, Region, Review
from locstudio.jobs.configs import VmoeTraining
from trainer.recipes.compare_vmoe import control_checks
from trainer.recipes.vmoe_groups import Known, group_classes, num_experts_of, sentence_about
from trainer.recipes.vmoe_lesson import read_vmoe_lesson, set_apart, shares_of
from trainer.vmoe_batches import seen_otherwise
from trainer.vmoe_evaluating import ShownClasses
from trainer.vmoe_measuring import Routes, confusion_of, measure_routes
from trainer.vmoe_step import VmoeBatch, class_loss

sys.path.insert(0, str(Path(__file__).parent))
from routed import TRAINING, group


def read(labelled, training=TRAINING):
    notes = []
    return read_vmoe_lesson(labelled.dataset, training, notes.append), notes


def routes(experts, scores, *, num_experts=3):
    """One router, sure of these experts, and scores of classes."""
    router_NRE = np.full((len(experts), 1, num_experts), 0.1, np.float32)
    router_NRE[np.arange(len(experts)), 0, experts] = 0.8
    return Routes(np.array(scores, np.float32), router_NRE, np.array(experts)[:, None, None])


def test_that_classes_share_an_image_by_the_area_of_their_boxes():
    labels_NL = np.array([[1, 1, 0], [1, 1, -1], [-1, 1, -1], [0, -1, -1]], np.int8)
    small, large = np.array([[0, 0, 0.5, 0.2]], np.float32), np.array([[0, 0, 0.5, 0.5], [0, 0, 0.1, 0.5]], np.float32)
    boxes = {0: {0: small, 1: large}, 1: {0: small}}
    # 0.1 against 0.25 + 0.05; without boxes of all of them in equal parts; one class alone; none known.
    assert np.allclose(shares_of(labels_NL, boxes), [[0.25, 0.75, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 0]])


def test_that_regions_say_how_much_an_image_shows(paint):
    painted = paint(2)
    image = painted.images[0]
    red, green, blue, _ = [label.id for label in painted.dataset.classes()]
    lesson, _ = read(painted)
    boxes = [UnitBox(0, 0, 0.9, 0.9), UnitBox(0.9, 0.9, 1, 1)]
    extra = [
        Region(painted.dataset.next_region_id(), image.id, box, "", blue, Review.ACCEPTED, Origin.HUMAN)
        for box in boxes[:1]
    ]
    before = lesson.target_NL[0]
    assert before[:2].sum() == pytest.approx(1.0)
    assert abs(before[0] - before[1]) < 0.2
    painted.dataset.apply(add_regions(extra))
    after = read(painted)[0]
    assert after.target_NL[0].argmax() == 2
    assert after.truth_N[0] == 2
    assert after.target_NL[0].sum() == pytest.approx(1.0)
    assert {red, green} <= set(after.table.class_ids)


def test_that_every_class_gives_some_images_for_its_confusion_unless_it_has_too_few(label):
    lesson, _ = read(label(40, all_of_them=False))
    apart = set_apart(lesson, lesson.learnt, 0.3)
    truth_N = lesson.truth_N
    assert np.bincount(truth_N[apart]).tolist() == [3, 3, 3, 3]  # of ten each
    assert apart.tolist() == set_apart(lesson, lesson.learnt, 0.3).tolist()
    assert not len(set_apart(lesson, lesson.learnt, 0.0))
    assert not len(set_apart(lesson, lesson.learnt[:8], 0.3))  # two of each class


def test_that_a_person_hears_what_is_missing(label):
    labelled = label(12, num_labelled=10)
    group(labelled.dataset, warm=["red", "yellow"], empty=[])
    training = VmoeTraining(min_images=3)
    lesson, notes = read(labelled, training)
    assert lesson.superclasses.names == ("warm",)
    assert lesson.superclasses.group_of == {0: 0, 3: 0}
    text = " ".join(notes)
    assert "One superclass has no class, and so no expert: empty." in text
    assert "shown by fewer than 3 images" in text


def test_that_superclasses_of_a_person_are_one_expert_each(label):
    labelled = label(12)
    group(labelled.dataset, warm=["red", "yellow"], cold=["blue"])
    lesson, _ = read(labelled)
    known = Known.of(lesson, None)
    notes = []
    wanted = VmoeTraining()
    assert num_experts_of(lesson, wanted, known, notes.append) == 2
    assert num_experts_of(lesson, VmoeTraining(num_experts=3), known, notes.append) == 3
    assert num_experts_of(lesson, VmoeTraining(num_experts=9), known, notes.append) == 3
    assert "only classes for 3 experts" in notes[-1]
    counts_LL = np.eye(4)
    counts_LL[1, 2] = 1.0  # green is taken for blue
    groups = group_classes(counts_LL, lesson.table.class_names, known, num_groups=2, max_share=0.25)
    assert (groups.names, groups.group_L.tolist(), groups.origin) == (("warm", "cold"), [0, 1, 1, 0], "person")
    assert "the project's 2 as they were" in sentence_about(groups, known, lesson.table.class_names)
    assert "green to cold" in sentence_about(groups, known, lesson.table.class_names)
    more = group_classes(counts_LL, lesson.table.class_names, known, num_groups=3, max_share=0.25)
    assert (more.names, more.group_L.tolist()) == (("warm", "cold", "green"), [0, 2, 1, 0])


def test_that_no_expert_has_a_single_class_where_little_is_known_of_what_is_confused():
    names = tuple(f"class {number}" for number in range(35))
    for seed in range(5):
        rng = np.random.default_rng(seed)
        counts_LL = np.zeros((35, 35))
        counts_LL[rng.integers(0, 35, 26), rng.integers(0, 35, 26)] = rng.random(26)  # 26 images of 35 classes
        groups = group_classes(counts_LL, names, Known((), {}, True), num_groups=6, max_share=0.25)
        sizes = np.bincount(groups.group_L)
        assert (len(sizes), sizes.min() >= 3, sizes.max() <= 9) == (6, True, True)


def test_that_one_superclass_alone_is_no_choice(label):
    labelled = label(8)
    group(labelled.dataset, warm=["red", "yellow"])
    lesson, _ = read(labelled)
    with pytest.raises(BadInput, match="one superclass, warm"):
        num_experts_of(lesson, VmoeTraining(), Known.of(lesson, None))
    assert num_experts_of(lesson, VmoeTraining(num_experts=2), Known.of(lesson, None)) == 2


def test_that_more_experts_than_classes_are_as_many_as_classes(label):
    lesson, _ = read(label(8))
    notes = []
    assert num_experts_of(lesson, VmoeTraining(num_experts=20), Known.of(lesson, None), notes.append) == 4
    assert notes == ["There are only classes for 4 experts, so there are 4 instead of 20."]
    assert num_experts_of(lesson, VmoeTraining(), Known.of(lesson, None)) == 2  # the root of four


def test_that_what_has_no_class_or_only_one_is_refused_with_a_sentence(label):
    labelled = label(6, num_labelled=0)
    with pytest.raises(BadInput, match="No image has a class yet"):
        read(labelled)
    labelled = label(5, name="one", num_labelled=1)
    with pytest.raises(BadInput, match="show the same class, red, so there is nothing to tell apart"):
        read(labelled)
    for each in labelled.dataset.classes():
        labelled.dataset.apply(Edit("Retire", (ClassChange(each, replace(each, is_retired=True)),)))
    with pytest.raises(BadInput, match="The project has no classes yet"):
        read(labelled)


def test_that_an_image_is_named_rightly_by_any_class_that_it_shows():
    target_NL = np.array([[0.3, 0.7, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float32)
    found = routes([0, 1, 0], [[0.6, 0.2, 0.1, 0.1], [0.1, 0.1, 0.2, 0.6], [0.7, 0.1, 0.1, 0.1]])
    group_L = np.array([0, 0, 1, 1])
    metrics = measure_routes(found, target_NL, group_L, names_experts=True)
    # The first is right; of the second superclass and expert are, the third has neither.
    assert metrics["top1"] == pytest.approx(1 / 3)
    assert metrics["superclass_top1"] == pytest.approx(2 / 3)
    assert metrics["router_accuracy"] == pytest.approx(2 / 3)
    assert metrics["margin"] == pytest.approx(0.7)
    assert (metrics["expert_1"], metrics["expert_2"], metrics["expert_3"]) == pytest.approx((2 / 3, 1 / 3, 0))
    assert (metrics["dead_experts"], "top5" in metrics) == (1, False)
    assert "router_accuracy" not in measure_routes(found, target_NL, group_L, names_experts=False)
    assert measure_routes(routes([], np.zeros((0, 4))), target_NL[:0], group_L, names_experts=True) == {}


def test_that_confusion_counts_probabilities_by_shares():
    scores_NL = np.array([[0.5, 0.5], [0.25, 0.75]], np.float32)
    target_NL = np.array([[1, 0], [0.5, 0.5]], np.float32)
    assert confusion_of(scores_NL, target_NL).tolist() == [[0.625, 0.875], [0.125, 0.375]]


def test_that_the_class_loss_is_the_smoothed_cross_entropy_with_shares():
    logits_BL = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    target_BL = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    # Probabilities 3/4 and 1/4: half of log(4/3), half of log 4; the second image costs log 2.
    first = 0.5 * math.log(4 / 3) + 0.5 * math.log(4)
    loss = class_loss(logits_BL, target_BL, torch.tensor([1.0, 1.0]), 0.0)
    assert loss.item() == pytest.approx((first + math.log(2)) / 2)
    alone = class_loss(logits_BL, target_BL, torch.tensor([1.0, 0.0]), 0.2)
    assert alone.item() == pytest.approx(0.8 * first + 0.2 * first)  # equal shares are what smoothing asks for


def test_that_a_mixed_image_has_the_mixed_target_and_weight():
    batch = VmoeBatch(
        torch.tensor([[[[0.0]]], [[[1.0]]]]), torch.eye(2), torch.tensor([1.0, 0.5]), torch.tensor([7, 8])
    )
    mixed = batch.mixed(0.75, torch.tensor([1, 0]))
    assert mixed.inputs.flatten().tolist() == [0.25, 0.75]
    assert mixed.target_BL.tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert mixed.weight_B.tolist() == [0.875, 0.625]


def test_that_cells_are_mirrored_and_pixels_moved_too():
    cells = torch.arange(8.0).reshape(2, 1, 2, 2)
    seen = {
        tuple(seen_otherwise(cells, np.random.default_rng(seed), moves=False)[0].flatten().tolist())
        for seed in range(9)
    }
    assert seen == {(0, 1, 2, 3), (1, 0, 3, 2)}
    pixels = torch.arange(256.0).reshape(1, 1, 16, 16)
    moved = seen_otherwise(pixels, np.random.default_rng(0), moves=True)
    assert moved.shape == pixels.shape
    assert not torch.equal(moved, pixels)


def test_that_images_of_classes_that_only_another_model_knows_are_measured_as_well():
    files = tuple(SimpleNamespace(image=SimpleNamespace(id=number)) for number in (1, 2, 3))
    shown = ShownClasses(files, (7, 8, 9), ("ant", "bus", "cat"), np.eye(3, dtype=np.float32))
    own, share_NL = shown.of_classes(["bus", "fox"])
    assert ([file.image.id for file in own.files], share_NL.tolist()) == ([2], [[1, 0]])
    union, share_NL = shown.of_classes(["bus", "fox"], {"bus", "cat"})
    assert ([file.image.id for file in union.files], share_NL.tolist()) == ([2, 3], [[1, 0], [0, 0]])


@pytest.mark.parametrize(("routing", "num"), [("superclass", 0), ("image", 0), ("oracle", 1), ("random", 1)])
def test_that_a_control_is_never_taken_into_use(routing, num):
    checks = control_checks(routing)
    assert len(checks) == num
    assert not any(check.passed for check in checks)
