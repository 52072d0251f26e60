"""The model that a consistency run trains: of a checkpoint, or a new one."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch

from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import CheckpointInfo, checkpoint_info
from locstudio.jobs.configs import ConsistencyTraining
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.consistency import Consistency, ConsistencyConfig, fit_reduction
from locstudio.models.consistency_files import (
    backbone_classifier,
    lite_classifier,
    load_consistency,
    new_consistency,
)
from locstudio.models.towers import LITE
from trainer.encoding import TokenSource
from trainer.images import Unreadable
from trainer.recipes.class_lesson import ClassImage

NUM_FITTED = 100
"""So many images tell what the principal components of their tokens are."""


def model_to_train(
    checkpoint: str, training: ConsistencyTraining, class_names: tuple[str, ...], *, name: str, device: str
) -> tuple[Consistency, CheckpointInfo | None]:
    """The checkpoint's model with these classes, or a new one where there is none, with gradients where it learns.

    Args:
        checkpoint: Its folder; empty for a new model on ``training.backbone``.
        training: How it will be trained.
        class_names: What it shall name.
        name: Of a new model.
        device: Where it will be.

    Returns:
        The model, and what is known of the checkpoint that it was made from.

    Raises:
        BadInput: the checkpoint or the backbone's file is damaged, or there is no such backbone.
        CheckpointMismatch: they do not fit together.
    """
    if not checkpoint:
        return _new(training, class_names, name).to(device), None
    info = checkpoint_info(Path(checkpoint))
    base = load_consistency(Path(checkpoint))
    config = _as_trained(base.config, training, class_names)
    if training.trains == "all" and config.tower is not None:
        # The packaged tower shall learn, so it becomes a part of the model.
        config = msgspec.structs.replace(config, tower=None, tokens_sha256="", token_width=config.tower.width)
    return new_consistency(config, base=base).to(device), info


def needs_reduction(model: Consistency, parent: CheckpointInfo | None) -> bool:
    """Whether the model's cells are still to be chosen, by what the images look like."""
    return parent is None and model.config.trains == "head" and isinstance(model.reduce, torch.nn.Linear)


def fit_cells(
    model: Consistency,
    source: TokenSource,
    images: Sequence[ClassImage],
    *,
    seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Choose the cells of a new model: the principal components of the tokens of some images.

    The same images give the same components, so a resumed run has those of the run before.
    """
    order = sorted(images, key=lambda one: hashlib.sha256(str(one.image.id).encode()).digest())
    random = torch.Generator().manual_seed(seed)
    width = model.config.width
    parts: list[torch.Tensor] = []
    for batch in source.stream(order[:NUM_FITTED]):
        for _, encoded in batch:
            if isinstance(encoded, Unreadable):
                continue
            grid_MD = encoded.tokens[1:].cpu()
            parts.append(grid_MD[torch.randperm(len(grid_MD), generator=random)[: max(width, len(grid_MD) // 4)]])
        if should_stop():
            return
    if sum(len(part) for part in parts) < width:
        return  # nothing can be read, which is said where it is looked for
    weight_CD, bias_C = fit_reduction(torch.cat(parts), width)
    # Half precision is what a checkpoint keeps.
    model.reduce.load_state_dict({"weight": weight_CD.half().float(), "bias": bias_C.half().float()})


def _new(training: ConsistencyTraining, class_names: tuple[str, ...], name: str) -> Consistency:
    if training.backbone == LITE and training.trains == "head":
        cloc = load_checkpoint(bundled_checkpoint())
        config = lite_classifier(cloc, name=name, classes=class_names)
        return new_consistency(_as_trained(config, training, class_names), cloc=cloc)
    config = backbone_classifier(training.backbone, name=name, classes=class_names)
    file = Path(training.backbone_file) if training.backbone_file else None
    return new_consistency(_as_trained(config, training, class_names), weights=file)


def _as_trained(
    config: ConsistencyConfig, training: ConsistencyTraining, class_names: tuple[str, ...]
) -> ConsistencyConfig:
    return msgspec.structs.replace(
        config,
        classes=class_names,
        grid=training.grid,
        trains=training.trains,
        pools=training.pools,
        boost=training.boost,
        dropout=training.dropout,
    )
