"""Ask a model with experts about every image of the collection, or about some: ``results/routing``.

An image that an earlier table of the same checkpoint has, with the same content, is not asked about again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, TooNew
from locstudio.jobs.configs import Route
from locstudio.jobs.routing import RoutingTable, has_routing, read_routing, read_routing_header, write_routing
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import load_vmoe
from locstudio.store.dataset import Dataset, open_snapshot
from trainer.class_measuring import MAX_KEPT_BYTES
from trainer.context import RunContext
from trainer.device import describe_device
from trainer.hooks import ReportProgress
from trainer.images import Unreadable, batched
from trainer.label_reading import Ints, LabelTable, read_boxes, read_labels
from trainer.loop import StepMetrics
from trainer.recipes.class_lesson import ClassImage
from trainer.recipes.vmoe_lesson import images_of, shares_of
from trainer.routing_tables import contents_of, header_of, table_of
from trainer.vmoe_inputs import VmoeInputs
from trainer.vmoe_measuring import BATCH, Routes, joined_routes, routes_of, truth_of


def route(context: RunContext) -> bool:
    """The recipe; True if it was stopped before its end, with what was found so far written.

    Raises:
        BadInput: the checkpoint has no experts or is damaged, or no image can be read.
        CheckpointMismatch: the checkpoint is of another kind of model.
        StorageFailed: the disk refuses.
    """
    wanted = context.config.route or Route()
    model = load_vmoe(Path(context.config.checkpoint), device=str(context.device))
    if not model.config.num_moe_layers:
        raise BadInput(f"{model.config.name} is a dense model: it has no experts, so nothing is routed.")
    with open_snapshot(context.folder.snapshot) as dataset:
        asked = _Asked(dataset, model)
    earlier = earlier_table(context.folder, model.config, model.id)
    known = np.zeros(0, np.int64) if earlier is None else same_images(earlier, asked.files)
    is_wanted = np.isin(asked.image_ids, wanted.image_ids) if wanted.image_ids else np.ones(len(asked.files), bool)
    fresh = np.flatnonzero(is_wanted & ~np.isin(asked.image_ids, known))
    if not len(fresh) and not len(known):
        raise BadInput("There is no image to route: the collection is empty, or none of its images is sound.")
    context.reporter.started(
        device=describe_device(context.device),
        num_images=len(fresh),
        num_regions=0,
        num_steps=len(fresh),
    )
    rows, routes, was_stopped = _ask(context, model, asked, fresh)
    if not len(rows) and not len(known):
        if was_stopped:
            return True
        raise BadInput("None of the images can be read; nothing was routed.")
    header = header_of(model, context.folder.id, asked.class_ids)
    files = [asked.files[row] for row in rows.tolist()]
    made = table_of(header, files, routes, asked.truth_N[rows], np.ones(len(rows), bool))
    write_routing(context.folder.results, _joined(made, earlier, known, asked))
    return was_stopped


class _Asked:
    """All sound images, and what is known of them in the classes of the model.

    Attributes:
        files: The images in the order of their ids.
        image_ids: Their ids.
        class_ids: The project's id of each class of the model, 0 where it has none.
        truth_N: Position of the class that each is known to show, -1 where the model knows none of its classes.
    """

    def __init__(self, dataset: Dataset, model: MobileVmoe) -> None:
        table = read_labels(dataset)
        by_id = {one.image.id: one for one in images_of(dataset)}
        self.files = [by_id[key] for key in table.image_ids.tolist()]
        self.image_ids: Ints = table.image_ids
        ids = dict(zip(table.class_names, table.class_ids, strict=True))
        self.class_ids = tuple(ids.get(name, 0) for name in model.config.classes)
        self.truth_N = truth_of(shares_in(dataset, table, model.config.classes))


def shares_in(dataset: Dataset, table: LabelTable, class_names: Sequence[str]) -> NDArray[np.float32]:
    """How much of an image each of these classes takes, by position, as in a training; (N, number of names)."""
    share_NL = shares_of(table.labels_NL, read_boxes(dataset, table))
    place = {name: at for at, name in enumerate(table.class_names)}
    found = np.zeros((len(table), len(class_names)), np.float32)
    for at, name in enumerate(class_names):
        if name in place:
            found[:, at] = share_NL[:, place[name]]
    return found


def earlier_table(folder: RunFolder, config: VmoeConfig, checkpoint_id: str) -> RoutingTable | None:
    """The newest whole table that a run of this project, be it this one, has of the same checkpoint.

    One that calls the checkpoint by its identity, and is of other classes or experts, is none of it.
    """
    for run in sorted(folder.path.parent.iterdir(), reverse=True):
        results = RunFolder(run).results
        if not has_routing(results):
            continue
        try:
            header = read_routing_header(results)
            mine = (config.classes, config.routing, config.num_experts, config.num_active, config.num_moe_layers)
            theirs = (header.class_names, header.routing, header.num_experts, header.num_active, len(header.layers))
            if header.checkpoint_id == checkpoint_id and mine == theirs:
                return read_routing(results)
        except (BadInput, TooNew):
            continue
    return None


def same_images(table: RoutingTable, files: Sequence[ClassImage]) -> Ints:
    """Ids of the images whose content is known and what it was when the table was made."""
    mine = {file.image.id: content for file, content in zip(files, contents_of(files), strict=True)}
    return np.array(
        [
            key
            for key, content in zip(table.image_ids.tolist(), table.contents, strict=True)
            if key in mine and content.any() and bool((mine[key] == content).all())
        ],
        np.int64,
    )


def _ask(context: RunContext, model: MobileVmoe, asked: _Asked, fresh: Ints) -> tuple[Ints, Routes, bool]:
    """What the model says of these rows, as far as they can be read and nobody stops the run."""
    keeps = len(fresh) * 2 * model.config.grid**2 * model.config.stem_width <= MAX_KEPT_BYTES
    inputs = VmoeInputs(model, context.cache if keeps else None)
    group_L = np.array([*(model.config.superclass_of or [-1] * len(model.config.classes)), -1], np.int64)
    report = ReportProgress(context.reporter, len(fresh))
    rows: list[int] = []
    parts: list[Routes] = [routes_of(model, inputs, [])]
    was_stopped = False
    num_done = 0
    for part in batched(fresh.tolist(), BATCH):
        if context.should_stop():
            was_stopped = True
            break
        read = list(inputs.read(asked.files[row] for row in part))
        for _, problem in read:
            if isinstance(problem, Unreadable):
                context.reporter.note(problem.sentence)
        sound = [row for row, (_, problem) in zip(part, read, strict=True) if problem is None]
        files = [asked.files[row] for row in sound]
        parts.append(routes_of(model, inputs, files, superclass_N=group_L[asked.truth_N[sound]]))
        rows += sound
        num_done += len(part)
        report(num_done, StepMetrics(len(part)))
        inputs.forget()
    return np.array(rows, np.int64), joined_routes(parts), was_stopped


def _joined(made: RoutingTable, earlier: RoutingTable | None, known: Ints, asked: _Asked) -> RoutingTable:
    """The new rows and those of the earlier table that still hold, which keep what they were not learnt from."""
    if earlier is None or not len(known):
        return made
    kept = np.flatnonzero(np.isin(earlier.image_ids, known) & ~np.isin(earlier.image_ids, made.image_ids))
    header = made.header
    truth = asked.truth_N[np.searchsorted(asked.image_ids, earlier.image_ids[kept])]
    group_L = np.array([*(header.superclass_of or [-1] * len(header.class_names)), -1], np.int16)
    order = np.argsort(np.concatenate([earlier.image_ids[kept], made.image_ids]), kind="stable")

    def both(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([old, new])[order]

    joined = {
        name: both(getattr(earlier, name)[kept], getattr(made, name))
        for name in ("image_ids", "contents", "probabilities", "experts", "predicted", "scores", "held_out")
    }
    return RoutingTable(
        header=header,
        truth=both(truth, made.truth),
        superclasses=both(group_L[truth], made.superclasses),
        **joined,
    )
