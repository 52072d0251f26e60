"""The routing table of a training: of what is labelled after epochs, of the whole collection in the end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, TooNew
from locstudio.jobs.routing import (
    EpochRouting,
    RoutingHeader,
    has_routing,
    read_routing_header,
    write_routing,
)
from locstudio.models.mobile_vmoe import MobileVmoe
from trainer.context import RunContext
from trainer.heat_plan import key_epochs_of
from trainer.history import RunHistory
from trainer.label_reading import Ints
from trainer.recipes.vmoe_groups import Groups
from trainer.recipes.vmoe_lesson import VmoeLesson
from trainer.routing_tables import header_of, table_of, with_epoch
from trainer.vmoe_inputs import VmoeInputs
from trainer.vmoe_measuring import routes_of

MAX_EVERY_EPOCH = 1500
"""Of more images than this the table is written after ``NUM_KEY_EPOCHS`` epochs only."""
NUM_KEY_EPOCHS = 12


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Routing:
    """What is needed to say which expert looks at which image.

    Attributes:
        context: The run.
        lesson: All images.
        inputs: What the model takes of images.
        history: What was measured after steps.
        groups: The superclasses, None where there are none.
        learnt: Rows that were learnt from.
        watched: Rows that are looked at after epochs.
        num_epochs: Of the model with experts.
        first: Steps before its first.
        steps_per_epoch: Of its epochs.
    """

    context: RunContext
    lesson: VmoeLesson
    inputs: VmoeInputs
    history: RunHistory
    groups: Groups | None
    learnt: Ints
    watched: Ints
    num_epochs: int
    first: int
    steps_per_epoch: int

    def on_epoch(self, model: MobileVmoe, epoch: int) -> None:
        """Write the table after an epoch that is worth it, unless it is there already.

        Raises:
            StorageFailed: the disk refuses.
        """
        if not model.config.num_moe_layers or epoch not in self._key_epochs():
            return
        known = self._known()
        if known is not None and known.epochs and known.epochs[-1].epoch == epoch:
            return
        self._write(model, self.watched, known, epoch)

    def finish(self, model: MobileVmoe, rows: Ints, step: int) -> None:
        """Write the table of these rows by the checkpoint of this step, the best one; its epoch is the table's.

        Raises:
            StorageFailed: the disk refuses.
        """
        if model.config.num_moe_layers:
            self._write(model, rows, self._known(), (step - self.first) // self.steps_per_epoch, is_end=True)

    def superclass_of(self, rows: Ints) -> NDArray[np.int64] | None:
        """The true superclass of each row, -1 where it is not known; None where there are no superclasses."""
        if self.groups is None:
            return None
        return np.array([*self.groups.group_L.tolist(), -1], np.int64)[self.lesson.truth_N[rows]]

    def _key_epochs(self) -> Sequence[int]:
        if len(self.watched) <= MAX_EVERY_EPOCH:
            return range(1, self.num_epochs + 1)
        return key_epochs_of(self.num_epochs, NUM_KEY_EPOCHS)

    def _known(self) -> RoutingHeader | None:
        if not has_routing(self.context.folder.results):
            return None
        try:
            return read_routing_header(self.context.folder.results)
        except (BadInput, TooNew) as problem:
            self.context.reporter.note(f"{problem} The table begins anew.")
            return None

    def _write(
        self, model: MobileVmoe, rows: Ints, known: RoutingHeader | None, epoch: int, *, is_end: bool = False
    ) -> None:
        lesson, context = self.lesson, self.context
        files = [lesson.images[row] for row in rows.tolist()]
        routes = routes_of(
            model, self.inputs, files, superclass_N=self.superclass_of(rows), alive=context.reporter.alive
        )
        groups = (self.groups.names, tuple(self.groups.group_L.tolist())) if self.groups is not None else None
        header = header_of(model, context.folder.id, lesson.table.class_ids, groups=groups)
        if known is not None:
            header = replace(header, epochs=known.epochs)
        found = self.history.metrics_at(self.first + epoch * self.steps_per_epoch)
        said = EpochRouting(
            epoch=epoch,
            load=tuple(tuple(round(share, 6) for share in load) for load in routes.load_RE.tolist()),
            margin=round(routes.margin, 6),
            router_accuracy=found.get("router_accuracy"),
            top1=found.get("top1"),
        )
        header = with_epoch(header, said, self.num_epochs, keeps_later=is_end)
        is_held_out_N = ~np.isin(rows, self.learnt)
        write_routing(context.folder.results, table_of(header, files, routes, lesson.truth_N[rows], is_held_out_N))
