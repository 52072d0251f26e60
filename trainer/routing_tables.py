"""Tables of which expert looks at which image, as a training and a ``route`` run write them.

Axes: N = images, L = classes, R = routers, E = experts, k = experts that compute.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.jobs.routing import EpochRouting, RoutingHeader, RoutingTable
from locstudio.models.mobile_vmoe import MobileVmoe
from trainer.recipes.class_lesson import ClassImage
from trainer.vmoe_measuring import Routes


def header_of(
    model: MobileVmoe,
    run_id: str,
    class_ids: Sequence[int],
    *,
    groups: tuple[tuple[str, ...], tuple[int, ...]] | None = None,
) -> RoutingHeader:
    """The header of a table about this model; ``groups`` are superclasses where the model has none of its own."""
    config = model.config
    names, group_of = groups if groups is not None else (config.superclasses, config.superclass_of)
    return RoutingHeader(
        run_id=run_id,
        checkpoint_id=model.id,
        name=config.name,
        routing=config.routing,
        class_ids=tuple(class_ids),
        class_names=config.classes,
        superclass_names=names,
        superclass_of=group_of,
        num_experts=config.num_experts,
        num_active=config.num_active,
        layers=model.moe_layers,
        depth=config.depth,
    )


def table_of(
    header: RoutingHeader,
    files: Sequence[ClassImage],
    routes: Routes,
    truth_N: NDArray[np.int32],
    is_held_out_N: NDArray[np.bool_],
) -> RoutingTable:
    """The table of some images in the order of their ids.

    Args:
        header: What it is about.
        files: The images.
        routes: What was said of each.
        truth_N: Position of the class that each is known to show, -1 where none is.
        is_held_out_N: Nothing was learnt from them.
    """
    predicted_N = routes.predicted_N
    group_L = np.array([*(header.superclass_of or [-1] * len(header.class_names)), -1], np.int16)
    return RoutingTable(
        header=header,
        image_ids=np.array([file.image.id for file in files], np.int64),
        contents=contents_of(files),
        probabilities=routes.router_NRE.astype(np.float16),
        experts=routes.experts_NRk.astype(np.int16),
        predicted=predicted_N.astype(np.int32),
        scores=routes.scores_NL[np.arange(len(files)), predicted_N].astype(np.float16),
        truth=truth_N.astype(np.int32),
        superclasses=group_L[truth_N],
        held_out=is_held_out_N.astype(np.uint8),
    )


def contents_of(files: Sequence[ClassImage]) -> NDArray[np.uint8]:
    """The SHA-256 of each image's file as the snapshot knows it, (N, 32); zeros where it does not."""
    content = b"".join(bytes.fromhex(file.image.sha256) if file.image.sha256 else bytes(32) for file in files)
    return np.frombuffer(content, np.uint8).reshape(-1, 32).copy()


def with_epoch(
    header: RoutingHeader, said: EpochRouting, num_epochs: int, *, keeps_later: bool = False
) -> RoutingHeader:
    """The header of a table of this epoch, with what is said of it among what was said of others.

    What a run that was resumed will say again, of later epochs, goes unless ``keeps_later``.
    """
    others = [one for one in header.epochs if one.epoch < said.epoch or (keeps_later and one.epoch > said.epoch)]
    epochs = tuple(sorted([*others, said], key=lambda one: one.epoch))
    return msgspec.structs.replace(header, epoch=said.epoch, num_epochs=num_epochs, epochs=epochs)
