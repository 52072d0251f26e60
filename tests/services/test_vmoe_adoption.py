"""A model with experts is started, compared, adopted and routed with beside the other kinds of model."""

from dataclasses import replace

import msgspec
import pytest

from locstudio.domain.edits import ClassChange, Edit, LabelChange, SuperclassChange
from locstudio.domain.errors import BadInput, CheckpointMismatch, GateFailed
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Image, LabelClass, Superclass
from locstudio.index.region_index import RegionIndex
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.configs import RunConfig, VmoeTraining
from locstudio.jobs.messages import Estimated, Evaluated, Saved, Started
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.turn import takes_turns
from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.services.adoption import adopt_checkpoint, adopt_index, best_checkpoint
from locstudio.services.material import count_expert_material
from locstudio.services.registry import registry
from locstudio.services.retrain_plan import ExpertsChoice
from locstudio.services.retraining import measured, plan_retraining, start_comparison, start_dry_run, start_retraining
from locstudio.services.starting import VMOE_PRESETS, start_evaluate, start_route, start_vmoe


@pytest.fixture(autouse=True)
def bundled(tmp_path, monkeypatch, make):
    """An installation with a model of regions alone."""
    home = tmp_path / "assets"
    make.write_checkpoint(home / "checkpoints" / "cloc-lite", "cloc-lite")
    monkeypatch.setattr("locstudio.jobs.assets.assets_folder", lambda: home)
    return home / "checkpoints"


def write_experts(make, folder, name):
    """A checkpoint of experts that holds no weights."""
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True)
    config = VmoeConfig(name=name, classes=("dog", "cat"), superclasses=("a", "b"), superclass_of=(0, 1), num_experts=2)
    (partial / "config.json").write_bytes(msgspec.json.encode(config))
    (partial / "weights.safetensors").write_bytes(make.EMPTY_WEIGHTS)
    (partial / "card.md").write_text(f"# {name}\n")
    (partial / "metrics.json").write_text('{"top1": 0.5}')
    seal_checkpoint(partial, folder)
    return folder


def experts_run(project, make, name="experts"):
    config = RunConfig(kind="vmoe", checkpoint="", title=name, vmoe=VmoeTraining())
    folder = RunFolder.create(project.runs, config)
    write_experts(make, folder.checkpoints / "step_6", name)
    log = EventLog(folder)
    log.append(Evaluated(sequence=0, step=6, metrics={"top1": 0.5}))
    log.append(Saved(sequence=1, step=6, path="checkpoints/step_6"))
    log.close()
    make.finish(folder)
    return folder


@pytest.fixture
def shown(dataset, tmp_path):
    """Two classes, and two images of each and one of which nothing is known; the classes."""
    root = dataset.add_root(tmp_path)
    ids = dataset.add_images([Image(0, root.id, f"{number}.png", 8, 8) for number in range(5)])
    classes = [LabelClass(number, name, "#336699") for number, name in enumerate(("dog", "cat"), 1)]
    dataset.apply(Edit("Add classes", tuple(ClassChange(None, label) for label in classes)))
    labels = [ImageLabel(ids[number], classes[number % 2].id) for number in range(4)]
    dataset.apply(Edit("Say", tuple(LabelChange(None, label) for label in labels)))
    return classes


def test_that_adopting_experts_leaves_checkpoint_and_index_of_regions_in_use(project, dataset, first, make):
    adopt_index(project, dataset, make.embed_run(project, first))
    run = experts_run(project, make, "Night")
    assert start_comparison(project, dataset, run) is None  # there is nothing to compare with
    adopted = adopt_checkpoint(project, dataset, run)
    assert adopted == {"checkpoint": checkpoint_info(best_checkpoint(run)).id, "model": "vmoe"}
    assert dataset.active_checkpoint().id == checkpoint_info(first).id
    assert len(RegionIndex.open(project.index, checkpoint_info(first).id)) == 4
    active = {entry.name: entry.model for entry in registry(project, dataset) if entry.is_active}
    assert active == {"first": "cloc", "Night": "vmoe"}
    second = experts_run(project, make, "Day")
    with pytest.raises(GateFailed, match="was not compared"):
        adopt_checkpoint(project, dataset, second)
    assert start_comparison(project, dataset, second).config().compare.new == str(best_checkpoint(second))


def test_that_a_route_needs_experts_and_waits_for_nobody(project, dataset, first, make):
    with pytest.raises(BadInput, match="No model with experts is in use"):
        start_route(project, dataset)
    with pytest.raises(CheckpointMismatch, match="routes images to experts"):
        start_route(project, dataset, first)
    adopt_checkpoint(project, dataset, experts_run(project, make))
    config = start_route(project, dataset, image_ids=(3,)).config()
    assert (config.kind, config.route.image_ids, takes_turns(config)) == ("route", (3,), False)
    with pytest.raises(CheckpointMismatch):
        start_evaluate(project, dataset, first, task="classes")


def test_that_experts_begin_anew_unless_they_shall_go_on(project, dataset, shown, make):
    anew = start_retraining(project, dataset, None, ExpertsChoice(num_epochs=5, num_experts=3)).config()
    assert (anew.kind, anew.checkpoint, anew.title, takes_turns(anew)) == ("vmoe", "", "Experts, quick", True)
    assert (anew.vmoe.num_epochs, anew.vmoe.num_dense_epochs, anew.vmoe.num_experts) == (5, 4, 3)
    run = experts_run(project, make)
    adopt_checkpoint(project, dataset, run)
    on = start_retraining(project, dataset, None, ExpertsChoice(goes_on=True)).config()
    assert checkpoint_info(project.path / "checkpoints" / on.checkpoint.rsplit("/", 1)[-1]).model == "vmoe"
    assert on.parent_run == run.id
    assert start_vmoe(project, dataset, preset="standard").config().vmoe == VMOE_PRESETS["standard"]
    assert not takes_turns(start_dry_run(project, dataset, None, ExpertsChoice()).config())


def test_that_a_plan_counts_what_experts_learn_from_and_says_why_they_cannot(project, dataset, shown):
    plan = plan_retraining(project, dataset, None, ExpertsChoice())
    material = plan.material
    assert (material.num_images, material.num_unlabelled, material.num_classes) == (4, 1, 2)
    assert (material.num_superclasses, material.num_experts, plan.problems) == (0, 2, ())
    group = Superclass(dataset.next_superclass_id(), "pets")
    dog = replace(shown[0], superclass_id=group.id)
    dataset.apply(Edit("Group", (SuperclassChange(None, group), ClassChange(shown[0], dog))))
    assert count_expert_material(dataset).num_without == 1
    assert "one superclass" in plan_retraining(project, dataset, None, ExpertsChoice()).problems[0]
    assert plan_retraining(project, dataset, None, ExpertsChoice(num_experts=2)).problems == ()
    dataset.apply(Edit("Retire", (ClassChange(shown[1], replace(shown[1], is_retired=True)),)))
    assert "show the same class" in plan_retraining(project, dataset, None, ExpertsChoice()).problems[0]


def test_that_a_measured_time_counts_the_epochs_of_the_twin_too():
    said = Estimated(
        sequence=1, seconds=90.0, seconds_per_step=0.5, num_images_to_encode=0, memory_bytes=1, disk_bytes=1
    )
    started = Started(sequence=0, device="CPU", num_images=9, num_regions=9, num_steps=9, steps_per_epoch=3)
    short, long = ExpertsChoice(num_epochs=5).training(), ExpertsChoice(num_epochs=10).training()
    # Five epochs of experts more, and four of the twin.
    assert measured(said, short, long, started).seconds == pytest.approx(90 + 9 * 3 * 0.5)
