"""How well a Mobile V-MoE names the classes of images whose classes are known, and how well its router chooses.

Axes: N = images, L = classes of the model.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.jobs.class_results import ClassPrecision, ClassResults
from locstudio.jobs.confusions import Confusion, ConfusionHeader
from locstudio.jobs.routing import RoutingTable
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.store.dataset import Dataset
from trainer.class_measuring import MAX_KEPT_BYTES
from trainer.class_precision import average_precisions
from trainer.context import RunContext
from trainer.images import batched
from trainer.label_reading import read_labels
from trainer.loop import Hook, StepMetrics
from trainer.recipes.class_lesson import ClassImage
from trainer.recipes.route import shares_in
from trainer.recipes.vmoe_lesson import images_of
from trainer.routing_tables import header_of, table_of
from trainer.vmoe_inputs import VmoeInputs
from trainer.vmoe_measuring import BATCH, Routes, confusion_of, joined_routes, measure_routes, routes_of, truth_of


@dataclass(frozen=True, slots=True, eq=False)
class ShownClasses:
    """Images of which a class is known, and how much each takes, by the names of classes.

    Attributes:
        files: The images in the order of their ids.
        class_ids: The project's ids of ``class_names``.
        class_names: Classes that images show.
        share_NL: Rows sum to one.
    """

    files: tuple[ClassImage, ...]
    class_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    share_NL: NDArray[np.float32]

    def of_classes(
        self, names: Sequence[str], measured: Collection[str] | None = None
    ) -> tuple["ShownClasses", NDArray[np.float32]]:
        """The images that show one of the ``measured`` classes, and their shares of ``names`` by position.

        Without ``measured`` it is ``names`` that they show; else some may show none of those.
        """
        place = {name: at for at, name in enumerate(self.class_names)}
        share_NM = np.zeros((len(self.files), len(names)), np.float32)
        for at, name in enumerate(names):
            if name in place:
                share_NM[:, at] = self.share_NL[:, place[name]]
        columns = [place[name] for name in (names if measured is None else measured) if name in place]
        rows = np.flatnonzero(self.share_NL[:, sorted(columns)].any(axis=1))
        files = tuple(self.files[row] for row in rows.tolist())
        return ShownClasses(files, self.class_ids, self.class_names, self.share_NL[rows]), share_NM[rows]


def read_shown_classes(dataset: Dataset, split: str = "", image_ids: Collection[int] | None = None) -> ShownClasses:
    """What images show, without those of which no class is known.

    Args:
        dataset: The snapshot of the run.
        split: Only its images; empty for all.
        image_ids: Only these; None for all.
    """
    table = read_labels(dataset)
    by_id = {one.image.id: one for one in images_of(dataset)}
    shown = [name for name, num in zip(table.class_names, table.num_positives_L.tolist(), strict=True) if num]
    share_NL = shares_in(dataset, table, shown)
    wanted = None if image_ids is None else frozenset(image_ids)
    rows = [
        row
        for row, key in enumerate(table.image_ids.tolist())
        if share_NL[row].any() and split in ("", by_id[key].image.split) and (wanted is None or key in wanted)
    ]
    ids = dict(zip(table.class_names, table.class_ids, strict=True))
    files = tuple(by_id[int(table.image_ids[row])] for row in rows)
    return ShownClasses(files, tuple(ids[name] for name in shown), tuple(shown), share_NL[rows])


@dataclass(frozen=True, slots=True, eq=False)
class VmoeResults:
    """What was found: metrics, the routing of the measured images, and what was taken for what."""

    results: ClassResults
    table: RoutingTable
    confusion: Confusion


def measure_vmoe(
    context: RunContext,
    model: MobileVmoe,
    shown: ShownClasses,
    *,
    class_names: Collection[str] | None = None,
    split: str = "",
    held_out: Collection[int] = (),
    hook: Hook = lambda _step, _metrics: None,
) -> VmoeResults | None:
    """Measure a model; None if the run was stopped.

    An image counts as right where the likeliest of all classes of the model is one that it shows; of several classes
    any will do.  Images that cannot be read are noted and take no part.

    Args:
        context: The run.
        model: What is measured, on its device.
        shown: What is true.
        class_names: Images that show one of these are measured, be it one that the model does not know, and so cannot
            name; None for those that show a class that it knows.
        split: What the results are said to be of.
        held_out: Images that the model has not learnt from.
        hook: Told the number of images done.

    Raises:
        BadInput: none of the images can be read.
    """
    names = model.config.classes
    shown, target_NL = shown.of_classes(names, class_names)
    group_L = np.array(model.config.superclass_of, np.int64) if model.config.superclass_of else None
    rows, routes = _ask(context, model, shown.files, target_NL, group_L, hook)
    if routes is None:
        return None
    if not len(rows):
        raise BadInput("None of the labelled images can be read; nothing was measured.")
    is_taught = model.config.routing in ("superclass", "oracle")
    metrics = measure_routes(routes, target_NL[rows], group_L, names_experts=is_taught) | {"n": float(len(rows))}
    ids = dict(zip(shown.class_names, shown.class_ids, strict=True))
    class_ids = tuple(ids.get(name, 0) for name in names)
    files = [shown.files[row] for row in rows]
    is_held_out = np.array([file.image.id in held_out for file in files])
    return _results(context, model, class_ids, files, routes, target_NL[rows], is_held_out, metrics, split)


def _results(
    context: RunContext,
    model: MobileVmoe,
    class_ids: tuple[int, ...],
    files: Sequence[ClassImage],
    routes: Routes,
    target_NL: NDArray[np.float32],
    is_held_out: NDArray[np.bool_],
    metrics: dict[str, float],
    split: str,
) -> VmoeResults:
    names = model.config.classes
    return VmoeResults(
        results=ClassResults(
            checkpoint_id=model.id,
            name=model.config.name,
            split=split,
            num_images=len(files),
            num_held_out=int(is_held_out.sum()),
            metrics=metrics,
            classes=_lines(names, class_ids, routes, target_NL),
        ),
        table=table_of(
            header_of(model, context.folder.id, class_ids),
            files,
            routes,
            truth_of(target_NL),
            is_held_out,
        ),
        confusion=Confusion(
            ConfusionHeader(
                run_id=context.folder.id,
                class_ids=class_ids,
                class_names=names,
                num_images=len(files),
                group_names=model.config.superclasses,
                group_of=model.config.superclass_of,
                moe_top1=metrics.get("top1"),
                router_accuracy=metrics.get("router_accuracy"),
            ),
            confusion_of(routes.scores_NL, target_NL),
        ),
    )


def _ask(
    context: RunContext,
    model: MobileVmoe,
    files: Sequence[ClassImage],
    target_NL: NDArray[np.float32],
    group_L: NDArray[np.int64] | None,
    hook: Callable[[int, StepMetrics], None],
) -> tuple[list[int], Routes | None]:
    """The rows that can be read, and what the model says of them; None if the run was stopped."""
    keeps = len(files) * 2 * model.config.grid**2 * model.config.stem_width <= MAX_KEPT_BYTES
    inputs = VmoeInputs(model, context.cache if keeps else None)
    parts = [routes_of(model, inputs, [])]
    rows: list[int] = []
    num_done = 0
    for part in batched(range(len(files)), BATCH):
        if context.should_stop():
            return rows, None
        sound = []
        for row, (_, problem) in zip(part, inputs.read(files[row] for row in part), strict=True):
            if problem is None:
                sound.append(row)
            else:
                context.reporter.note(problem.sentence)
        truth = None if group_L is None else np.array([*group_L.tolist(), -1])[truth_of(target_NL[sound])]
        parts.append(routes_of(model, inputs, [files[row] for row in sound], superclass_N=truth))
        rows += sound
        inputs.forget()
        num_done += len(part)
        hook(num_done, StepMetrics(len(part)))
        context.reporter.alive()
    return rows, joined_routes(parts)


def _lines(
    names: Sequence[str], class_ids: Sequence[int], routes: Routes, target_NL: NDArray[np.float32]
) -> tuple[ClassPrecision, ...]:
    """Each class that the project has: its average precision, and how often it was the likeliest where it is shown."""
    shown_NL = target_NL > 0
    precision_L = average_precisions(routes.scores_NL, shown_NL.astype(np.int8))
    predicted_N = routes.predicted_N
    lines = []
    for place, (name, class_id) in enumerate(zip(names, class_ids, strict=True)):
        if not class_id:
            continue
        num = int(shown_NL[:, place].sum())
        lines.append(
            ClassPrecision(
                class_id=class_id,
                name=name,
                num_positives=num,
                num_negatives=len(shown_NL) - num,
                average_precision=None if np.isnan(precision_L[place]) else float(precision_L[place]),
                top1=float((predicted_N[shown_NL[:, place]] == place).mean()) if num else None,
            )
        )
    return tuple(lines)
