"""Projects with a finished training of experts as the trainer leaves it, made in a moment of plain arrays.

Axes: N = images, R = routers, E = experts, k = experts that compute, L = classes, T = epochs.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image as PillowImage

from locstudio.domain.edits import ClassChange, Edit, ImageChange, LabelChange, SuperclassChange
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import LabelClass, Origin, Superclass
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.class_results import ClassPrecision, ClassResults, write_class_results
from locstudio.jobs.configs import Comparison, Evaluation, RunConfig, VmoeTraining
from locstudio.jobs.confusions import Confusion, ConfusionHeader, write_confusion
from locstudio.jobs.messages import Evaluated, Finished, Note, Progress, Saved, Started
from locstudio.jobs.predictions import Gate, GateCheck, write_gate
from locstudio.jobs.routing import EpochRouting, RoutingHeader, RoutingTable, read_routing, write_routing
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.services.collection import new_project
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.store.records import CheckpointRow, RunRow

EMPTY_WEIGHTS = (2).to_bytes(8, "little") + b"{}"
NAMES = (
    "tabby cat",
    "golden retriever",
    "collie",
    "sports car",
    "school bus",
    "tractor",
    "orange",
    "banana",
    "mushroom",
)
GROUPS = ("animals", "vehicles", "food", "clothes", "tools", "buildings", "furniture", "plants", "insects", "weather")
FIRST_RUN, SECOND_RUN = "20260801T100000Z-vmoe-aaaaaa", "20260802T100000Z-vmoe-bbbbbb"
SIZE = (96, 64)


@dataclass(frozen=True)
class Plan:
    """What a project shall hold.

    ``truth_N`` is the class that each image really shows, in the order of the image ids; ``mislabelled`` are rows whose
    label says another.  ``dead`` experts get no image.  ``num_moved`` images changed their expert in the second run.
    """

    class_names: tuple[str, ...]
    group_names: tuple[str, ...]
    group_of: tuple[int, ...]
    truth_N: np.ndarray
    mislabelled: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()
    num_epochs: int = 5
    num_routers: int = 1
    num_active: int = 1
    num_moved: int = 3
    routing: str = "superclass"
    has_second: bool = True
    seed: int = 0
    sureness: float = 3.0
    files: tuple[str, ...] = field(default=())

    @property
    def num_experts(self) -> int:
        return len(self.group_names)


def make_routed_project(
    folder,
    *,
    num_images=24,
    num_classes=6,
    num_experts=3,
    num_epochs=5,
    num_routers=1,
    num_active=1,
    num_mislabelled=1,
    num_moved=3,
    dead=(),
    routing="superclass",
    has_second=True,
    is_adopted=True,
    seed=0,
) -> Project:
    """A project of small pictures with labels, superclasses, and two finished trainings of experts.

    The newest run is ``SECOND_RUN``; it moved ``num_moved`` images to another expert than ``FIRST_RUN``, of which there
    is no second where ``has_second`` is false.
    """
    groups = tuple(GROUPS[number] if number < len(GROUPS) else f"group {number + 1}" for number in range(num_experts))
    names = tuple(NAMES[n] if n < len(NAMES) else f"class {n + 1}" for n in range(num_classes))
    group_of = tuple(min(number * num_experts // num_classes, num_experts - 1) for number in range(num_classes))
    plan = Plan(
        class_names=names,
        group_names=groups,
        group_of=group_of,
        truth_N=np.arange(num_images) % num_classes,
        mislabelled=tuple(range(num_mislabelled)),
        dead=tuple(dead),
        num_epochs=num_epochs,
        num_routers=num_routers,
        num_active=num_active,
        num_moved=num_moved,
        routing=routing,
        has_second=has_second,
        seed=seed,
    )
    pictures = Path(folder) / "pictures"
    write_pictures(pictures, plan)
    return fill_project(Path(folder) / "project", pictures, plan, is_adopted=is_adopted)


def write_pictures(folder: Path, plan: Plan) -> None:
    """One small picture an image, whose colour is its class's."""
    folder.mkdir(parents=True)
    for number, truth in enumerate(plan.truth_N.tolist()):
        hue = (truth * 47 % 256, 90 + truth * 31 % 150, 200 - truth * 29 % 180)
        picture = PillowImage.new("RGB", SIZE, hue)
        picture.paste((250, 250, 250), (8 + number % 40, 12, 28 + number % 40, 40))
        picture.save(folder / f"picture_{number:05d}.png")


def fill_project(path: Path, pictures: Path, plan: Plan, *, is_adopted: bool = True) -> Project:
    """A project of the pictures of a folder; the rows of the plan are its files by rising id."""
    new_project(path, [pictures])
    project = Project(path)
    with Dataset.open(project) as dataset:
        image_ids = dataset.image_ids()
        told_N = told_of(plan)
        class_ids = add_classes(dataset, plan)
        labels = [
            LabelChange(None, ImageLabel(int(image_id), class_ids[told], origin=Origin.IMPORTED))
            for image_id, told in zip(image_ids, told_N.tolist(), strict=True)
        ]
        dataset.apply(Edit("Import labels", tuple(labels)), actor="import")
        contents = contents_of(dataset, image_ids)
        expert_N = experts_of(plan)
        first = write_run(project, FIRST_RUN, plan, class_ids, image_ids, contents, expert_N, title="Experts, first")
        runs = [first]
        if plan.has_second:
            moved_N = moved(plan, expert_N)
            second = replace(plan, seed=plan.seed + 1)
            runs.append(
                write_run(project, SECOND_RUN, second, class_ids, image_ids, contents, moved_N, title="Experts, again")
            )
        for run in runs:
            info = checkpoint_info(run.checkpoints / "best")
            dataset.record_run(RunRow(run.id, "vmoe", run.config().title, status="finished"))
            values = {"name": info.name, "path": str(run.checkpoints / "best"), "metrics": json.dumps(info.metrics)}
            dataset.record_checkpoint(CheckpointRow(id=info.id, model="vmoe", run_id=run.id, **values))
        if is_adopted:
            dataset.activate_checkpoint(checkpoint_info(runs[-1].checkpoints / "best").id, "vmoe")
    return project


def add_classes(dataset: Dataset, plan: Plan) -> list[int]:
    """The classes of the plan, each in its superclass; their ids in the plan's order."""
    groups = [
        Superclass(dataset.next_superclass_id(), name, f"#{(number * 2654435761) & 0xFFFFFF:06x}")
        for number, name in enumerate(plan.group_names, 1)
    ]
    made = []
    for number, name in enumerate(plan.class_names):
        color = f"#{((number + 7) * 2246822519) & 0xFFFFFF:06x}"
        made.append(LabelClass(dataset.next_class_id(), name, color, superclass_id=groups[plan.group_of[number]].id))
    changes = [SuperclassChange(None, group) for group in groups] + [ClassChange(None, entry) for entry in made]
    dataset.apply(Edit("Add classes", tuple(changes)), actor="import")
    return [entry.id for entry in made]


def told_of(plan: Plan) -> np.ndarray:
    """The class that each image is labelled with."""
    told_N = plan.truth_N.copy()
    group_L = np.array(plan.group_of)
    rng = np.random.default_rng(plan.seed + 99)
    for row in plan.mislabelled:
        others = np.flatnonzero(group_L != group_L[plan.truth_N[row]])
        told_N[row] = int(rng.choice(others)) if len(others) else told_N[row]
    return told_N


def experts_of(plan: Plan) -> np.ndarray:
    """The expert that takes each image: mostly the home of what it really shows."""
    rng = np.random.default_rng(plan.seed)
    alive = [expert for expert in range(plan.num_experts) if expert not in plan.dead]
    home_N = np.array(plan.group_of)[plan.truth_N]
    is_astray_N = (rng.random(len(home_N)) < 0.12) | np.isin(home_N, plan.dead)
    is_astray_N[list(plan.mislabelled)] &= np.isin(home_N[list(plan.mislabelled)], plan.dead)
    return np.where(is_astray_N, rng.choice(alive, len(home_N)), home_N)


def moved(plan: Plan, expert_N: np.ndarray) -> np.ndarray:
    """The same with some images at another expert."""
    rng = np.random.default_rng(plan.seed + 5)
    alive = [expert for expert in range(plan.num_experts) if expert not in plan.dead]
    found = expert_N.copy()
    if len(alive) > 1:
        for row in rng.choice(len(found), min(plan.num_moved, len(found)), replace=False):
            found[row] = int(rng.choice([expert for expert in alive if expert != found[row]]))
    return found


def table_of(plan: Plan, run_id, checkpoint_id, class_ids, image_ids, contents, expert_N) -> RoutingTable:
    """The routing of a run whose images went to these experts."""
    rng = np.random.default_rng(plan.seed + 1)
    num, experts, routers = len(image_ids), plan.num_experts, plan.num_routers
    logits_NRE = rng.normal(0, 0.8, (num, routers, experts)).astype(np.float32)
    logits_NRE[:, :, list(plan.dead)] -= 8
    rows = np.arange(num)
    strength_N = rng.gamma(plan.sureness, 1.0, num)
    for router in range(routers):
        top_N = logits_NRE[:, router].max(axis=1)
        logits_NRE[rows, router, expert_N] = top_N + strength_N * (1 + router) / routers + 0.05
    probabilities = np.exp(logits_NRE - logits_NRE.max(axis=2, keepdims=True))
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    order_NRE = np.argsort(-probabilities, axis=2, kind="stable")
    told_N, group_L = told_of(plan), np.array(plan.group_of)
    is_right_N = (rng.random(num) < 0.75) & (expert_N == group_L[plan.truth_N])
    guess_N = np.array([rng.choice(np.flatnonzero(group_L == group_L[truth])) for truth in plan.truth_N.tolist()])
    stray_N = np.array(
        [
            _one_of(rng, np.flatnonzero(group_L == expert), guess)
            for expert, guess in zip(expert_N, guess_N, strict=True)
        ]
    )
    predicted_N = np.where(is_right_N, plan.truth_N, np.where(rng.random(num) < 0.5, guess_N, stray_N))
    predicted_N[list(plan.mislabelled)] = plan.truth_N[list(plan.mislabelled)]
    held_out_N = (rng.random(num) < 0.25).astype(np.uint8)
    is_mean = probabilities[:, :, :].mean(axis=0)
    final = [np.bincount(order_NRE[:, router, 0], minlength=experts) / max(num, 1) for router in range(routers)]
    accuracy = float((order_NRE[:, 0, 0] == group_L[told_N]).mean()) if num else 0.0
    top1 = float((predicted_N == told_N).mean()) if num else 0.0
    header = RoutingHeader(
        run_id=run_id,
        checkpoint_id=checkpoint_id,
        name=f"experts {run_id[-6:]}",
        routing=plan.routing,
        class_ids=tuple(class_ids),
        class_names=plan.class_names,
        superclass_names=plan.group_names,
        superclass_of=plan.group_of,
        num_experts=experts,
        num_active=plan.num_active,
        layers=(5, 6) if routers == 1 else tuple(range(5, 5 + routers)),
        depth=6 if routers == 1 else 4 + routers,
        epoch=plan.num_epochs,
        num_epochs=plan.num_epochs,
        epochs=_epochs(plan, final, is_mean, accuracy, top1),
    )
    return RoutingTable(
        header=header,
        image_ids=np.asarray(image_ids, np.int64),
        contents=contents,
        probabilities=probabilities.astype(np.float16),
        experts=order_NRE[:, :, : plan.num_active].astype(np.int16),
        predicted=predicted_N.astype(np.int32),
        scores=np.clip(0.35 + 0.6 * rng.random(num), 0, 1).astype(np.float16),
        truth=told_N.astype(np.int32),
        superclasses=group_L[told_N].astype(np.int16),
        held_out=held_out_N,
    )


def write_run(project, run_id, plan, class_ids, image_ids, contents, expert_N, *, title="") -> RunFolder:
    """A finished run with a checkpoint, its events, its table and what its dense twin confused."""
    config = RunConfig(kind="vmoe", checkpoint="", title=title, vmoe=VmoeTraining(num_epochs=plan.num_epochs))
    folder = _placed(project, config, run_id)
    checkpoint = write_vmoe_checkpoint(folder.checkpoints / "best", f"experts {run_id[-6:]}", plan)
    checkpoint_id = checkpoint_info(checkpoint).id
    table = table_of(plan, run_id, checkpoint_id, class_ids, image_ids, contents, expert_N)
    write_routing(folder.results, table)
    write_confusion(folder.results, confusion_of(plan, run_id, class_ids, table))
    _write_events(folder, plan, table)
    return folder


def write_vmoe_checkpoint(folder: Path, name: str, plan: Plan) -> Path:
    """A checkpoint with experts, without weights worth loading."""
    config = VmoeConfig(
        name=name,
        classes=plan.class_names,
        superclasses=plan.group_names,
        superclass_of=plan.group_of,
        routing=plan.routing,
        num_experts=plan.num_experts,
        num_active=plan.num_active,
    )
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    (partial / "config.json").write_bytes(msgspec.json.encode(config))
    (partial / "weights.safetensors").write_bytes(EMPTY_WEIGHTS)
    (partial / "card.md").write_text(f"# {name}\n")
    (partial / "metrics.json").write_text(json.dumps({"top1": 0.5, "router_accuracy": 0.8}))
    seal_checkpoint(partial, folder)
    return folder


def confusion_of(plan: Plan, run_id, class_ids, table: RoutingTable) -> Confusion:
    """Mostly right, and what is wrong mostly within a superclass."""
    rng = np.random.default_rng(plan.seed + 3)
    group_L = np.array(plan.group_of)
    num_L = np.bincount(plan.truth_N, minlength=len(group_L)).astype(np.float32)
    share_LL = rng.gamma(0.4, 1.0, (len(group_L), len(group_L))) * np.where(group_L[:, None] == group_L, 1.0, 0.06)
    np.fill_diagonal(share_LL, 0)
    share_LL = 0.35 * share_LL / np.maximum(share_LL.sum(axis=1, keepdims=True), 1e-9)
    np.fill_diagonal(share_LL, 0.65)
    last = table.header.epochs[-1] if table.header.epochs else None
    header = ConfusionHeader(
        run_id=run_id,
        class_ids=tuple(class_ids),
        class_names=plan.class_names,
        num_images=len(plan.truth_N),
        group_names=plan.group_names,
        group_of=plan.group_of,
        dense_top1=max((last.top1 or 0) - 0.03, 0) if last else None,
        moe_top1=last.top1 if last else None,
        router_accuracy=last.router_accuracy if last else None,
    )
    return Confusion(header, (share_LL * num_L[:, None]).astype(np.float32))


def contents_of(dataset: Dataset, image_ids) -> np.ndarray:
    """SHA-256 of each image's file as it is now, uint8 (N, 32); the dataset is told."""
    found = np.zeros((len(image_ids), 32), np.uint8)
    told = []
    for row, image in enumerate(dataset.images([int(image_id) for image_id in image_ids])):
        digest = hashlib.sha256(dataset.image_file(image).read_bytes())
        found[row] = np.frombuffer(digest.digest(), np.uint8)
        if not image.sha256:
            told.append(ImageChange(image, replace(image, sha256=digest.hexdigest())))
    if told:
        dataset.apply(Edit("Hash", tuple(told)), actor="import")
    return found


def _one_of(rng, candidates, otherwise):
    return rng.choice(candidates) if len(candidates) else otherwise


def _epochs(plan: Plan, final, mean_RE, accuracy: float, top1: float) -> tuple[EpochRouting, ...]:
    rng = np.random.default_rng(plan.seed + 2)
    found = []
    for epoch in range(1, plan.num_epochs + 1):
        share = epoch / plan.num_epochs
        load = []
        for of_router in final:
            mixed = (1 - share) * rng.dirichlet(np.full(plan.num_experts, 4.0)) + share * of_router
            if share == 1:
                mixed = of_router
            load.append(tuple(round(float(each), 6) for each in mixed))
        found.append(
            EpochRouting(
                epoch=epoch,
                load=tuple(load),
                margin=round(0.15 + 0.6 * share, 4),
                router_accuracy=round(accuracy * (0.35 + 0.65 * share), 4) if plan.routing == "superclass" else None,
                top1=round(top1 * (0.2 + 0.8 * share), 4),
            )
        )
    return tuple(found)


def _write_events(folder: RunFolder, plan: Plan, table: RoutingTable) -> None:
    """What the run has said: a dense twin's epochs, then as many of the experts."""
    log = EventLog(folder)
    steps, num = 10, len(plan.truth_N)
    first, total = plan.num_epochs * steps, 2 * plan.num_epochs * steps

    def say(kind, **fields):
        log.append(kind(sequence=log.next_sequence, **fields))

    def progress(step, parts):
        numbers = {"images_per_second": 400.0, "seconds_left": float(total - step), "learning_rate": 1e-3}
        say(Progress, step=step, num_steps=total, loss=sum(parts.values()), parts=parts, **numbers)

    say(
        Started,
        device="CPU, 2 cores",
        num_images=num,
        num_regions=num,
        num_steps=total,
        num_held_out=int(table.held_out.sum()),
        steps_per_epoch=steps,
    )
    say(Note, text=f"The dense twin is trained first ({plan.num_epochs} epochs).")
    for entry in table.header.epochs:
        progress(entry.epoch * steps, {"dense": 2.4 / entry.epoch**0.5})
        say(Evaluated, step=entry.epoch * steps, metrics={"dense_top1": round(0.9 * (entry.top1 or 0.0), 4)})
    for entry in table.header.epochs:
        step = first + entry.epoch * steps
        progress(step, {"class": 1.8 / entry.epoch**0.5, "router": 0.6 / entry.epoch**0.5})
        load_E = np.mean(entry.load, axis=0)
        metrics = {"top1": entry.top1 or 0.0, "margin": entry.margin}
        metrics |= {} if entry.router_accuracy is None else {"router_accuracy": entry.router_accuracy}
        metrics["dead_experts"] = float((load_E * plan.num_experts < 0.1).sum())
        metrics |= {f"expert_{number}": float(share) for number, share in enumerate(load_E, 1)}
        say(Evaluated, step=step, metrics=metrics)
    say(Saved, step=total, path="checkpoints/best")
    say(Finished)
    log.close()


def class_results_of(table: RoutingTable) -> ClassResults:
    """What an evaluation of a table's model says, class by class."""
    header = table.header
    lines = []
    for place, (class_id, name) in enumerate(zip(header.class_ids, header.class_names, strict=True)):
        is_its = table.truth == place
        num = int(is_its.sum())
        top1 = float((table.predicted[is_its] == place).mean()) if num else None
        negatives = len(table) - num
        lines.append(
            ClassPrecision(class_id=class_id, name=name, num_positives=num, num_negatives=negatives, top1=top1)
        )
    metrics = {"top1": float((table.predicted == table.truth).mean()), "top5": 0.93, "router_accuracy": 0.88}
    return ClassResults(
        checkpoint_id=header.checkpoint_id,
        name=header.name,
        num_images=len(table),
        num_held_out=len(table),
        metrics=metrics,
        classes=tuple(lines),
    )


def evaluate_run(project, run_id=SECOND_RUN) -> RunFolder:
    """A finished evaluation of a run's checkpoint, on all of its images."""
    table = read_routing(project.runs / run_id / "results")
    config = RunConfig(kind="evaluate", checkpoint="x", evaluate=Evaluation(task="classes"))
    folder = _placed(project, config, "20260803T100000Z-evaluate-cccccc")
    write_class_results(folder.results / "predictions", class_results_of(table))
    write_routing(folder.results, table)
    _finish(folder)
    return folder


def compare_run(project, old_run=FIRST_RUN, new_run=SECOND_RUN) -> RunFolder:
    """A finished comparison of two runs' checkpoints, which the new one passes."""
    new = project.runs / new_run / "checkpoints" / "best"
    config = RunConfig(kind="compare", checkpoint="x", parent_run=new_run, compare=Comparison(new=str(new)))
    folder = _placed(project, config, "20260804T100000Z-compare-dddddd")
    values = []
    for part, run_id in (("old", old_run), ("new", new_run)):
        table = read_routing(project.runs / run_id / "results")
        write_class_results(folder.results / part, class_results_of(table))
        write_routing(folder.results / part, table)
        values.append((table.header.checkpoint_id, class_results_of(table).metrics["top1"]))
    (old_id, was), (new_id, now) = values
    sentence = f"It names the class of the held-out images as well: {now:.3f} against {was:.3f} are right."
    check = GateCheck(name="metric", passed=True, sentence=sentence, old=was, new=now)
    write_gate(folder.results, Gate(passed=True, old_id=old_id, new_id=new_id, checks=(check,)))
    _finish(folder)
    return folder


def _placed(project, config, run_id) -> RunFolder:
    made = RunFolder.create(project.runs, config)
    made.path.rename(project.runs / run_id)
    return RunFolder(project.runs / run_id)


def _finish(folder: RunFolder) -> None:
    log = EventLog(folder)
    log.append(Finished(sequence=log.next_sequence))
    log.close()
