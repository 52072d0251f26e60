"""Train CLOC on the curated regions, then embed the collection with what was learnt.

What learns are the Prompter, the projections, the grounding head and the temperature; the towers only if asked, since
a frozen tower is run once per image and its tokens are cached.  The proposal head is left as it is: a person's boxes
are not all objects of an image, so what is not boxed is no background.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch

from locstudio.domain.errors import BadInput, LocStudioError, StorageFailed
from locstudio.jobs.checkpoint_folder import CheckpointInfo, checkpoint_info
from locstudio.jobs.configs import ClocTraining, Embedding
from locstudio.jobs.token_cache import TokenCache
from locstudio.models.checkpoint import load_checkpoint, save_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset, open_snapshot
from trainer.checkpoint import restore_step, step_folders
from trainer.context import RunContext
from trainer.data import HELD_OUT_SPLITS, TrainingImage, at_most, read_training_images
from trainer.device import describe_device
from trainer.encoding import TokenSource, bytes_of_tokens, cache_of
from trainer.images import Unreadable
from trainer.optim import make_optimizer
from trainer.recipes.cloc_loop import ClocWork, go_round
from trainer.recipes.cloc_model import TrainedStep, model_to_train
from trainer.recipes.embed import fill_index
from trainer.recipes.evaluate import GroundTruth, measure, read_ground_truth

MIN_FREE_BYTES = 2 << 30


def train_cloc(context: RunContext) -> bool:
    """The recipe; True if it was stopped before its end.

    Raises:
        BadInput: there is nothing to learn from.
        StorageFailed: too little space is left for checkpoints.
    """
    training = context.config.cloc or ClocTraining()
    torch.manual_seed(context.config.seed)
    parent = checkpoint_info(Path(context.config.checkpoint))
    model = model_to_train(Path(context.config.checkpoint), training, str(context.device))
    optimizer = make_optimizer(model, learning_rate=training.learning_rate, weight_decay=training.weight_decay)
    first_step = _resume(context, model, optimizer)
    cache = cache_of(model, context.cache, checkpoint_id=parent.id)
    with open_snapshot(context.folder.snapshot) as dataset:
        images = read_training_images(dataset, include_pending=training.include_pending)
        if not any(image.phrases for image in images):
            raise BadInput("No region has a phrase or a class yet; describe some regions, then train.")
        images = at_most(images, training.num_steps * training.batch_size, context.config.seed)
        _require_space(context.cache.parent, len(images) * bytes_of_tokens(model) if training.is_tower_frozen else 0)
        context.reporter.started(
            device=describe_device(context.device),
            num_images=len(images),
            num_regions=sum(len(image.phrases) for image in images),
            num_steps=training.num_steps,
            first_step=first_step,
        )
        source = TokenSource(model, cache if training.is_tower_frozen else None, keeps=True)
        readable = _read_ahead(context, source, images, first_step)
        if readable is None:
            return True
        metrics: dict[str, float] = {}
        evaluate = _evaluation(model, dataset, source, metrics, context.reporter.alive)
        write_model = _writer(model, parent, context, training, readable, metrics)
        step = TrainedStep(model, training)
        step.remember(readable, context.reporter.alive)
        work = ClocWork(
            context=context,
            training=training,
            model=model,
            step=step,
            optimizer=optimizer,
            images=readable,
            source=source,
            evaluate=evaluate,
            write_model=write_model,
            first_step=first_step,
        )
        was_stopped = go_round(work)
        return was_stopped or _embed_with_result(context, dataset, cache, training)


def _resume(context: RunContext, model: Cloc, optimizer: torch.optim.Optimizer) -> int:
    """Go on from the newest checkpoint of the run that is whole; 0 when there is none."""
    for folder in step_folders(context.folder.checkpoints):
        try:
            return restore_step(folder, model, optimizer)
        except LocStudioError as problem:
            context.reporter.note(f"{problem} An earlier one is tried.")
    return 0


def _read_ahead(
    context: RunContext, source: TokenSource, images: Sequence[TrainingImage], first_step: int
) -> list[TrainingImage] | None:
    """The images that can be read, their tokens in the cache; None if the run was stopped meanwhile."""
    num_steps = (context.config.cloc or ClocTraining()).num_steps
    readable: list[TrainingImage] = []
    begun = said = time.monotonic()
    num_read = 0
    for batch in source.stream(images):
        if context.should_stop():
            return None
        for image, encoded in batch:
            if isinstance(encoded, Unreadable):
                context.reporter.note(encoded.sentence)
            else:
                readable.append(image)
        num_read += len(batch)
        now = time.monotonic()
        if now - said > 1.0:
            said, rate = now, num_read / (now - begun)
            context.reporter.progress(
                first_step, num_steps, images_per_second=rate, seconds_left=(len(images) - num_read) / rate
            )
    if not readable:
        raise BadInput("None of the images with described regions can be read; nothing can be learnt.")
    return readable


def _evaluation(
    model: Cloc, dataset: Dataset, source: TokenSource, metrics: dict[str, float], alive: Callable[[], object]
) -> Callable[[], dict[str, float]]:
    """Naming and grounding on the first held-out split that has ground truth; nothing where none is held out.

    What was found last is also put into ``metrics``, for the checkpoint that is saved next.
    """
    truths: list[GroundTruth] = []
    for split in HELD_OUT_SPLITS:
        tasks = [read_ground_truth(dataset, "regions", split), read_ground_truth(dataset, "grounding", split)]
        truths = [truth for truth in tasks if truth.images]
        if truths:
            break

    def evaluate() -> dict[str, float]:
        for truth in truths:
            measured = measure(model, truth, source, alive=alive) or {}
            metrics.update((name, value) for name, value in measured.items() if name != "n")
        return metrics

    return evaluate


def _writer(
    model: Cloc,
    parent: CheckpointInfo,
    context: RunContext,
    training: ClocTraining,
    images: Sequence[TrainingImage],
    metrics: dict[str, float],
) -> Callable[[Path], str]:
    num_regions = sum(len(image.phrases) for image in images)
    settings = msgspec.json.format(msgspec.json.encode(training)).decode()
    card = (
        f"# {parent.name}, retrained\n\nTrained from {parent.id} by LocStudio on the project "
        f"{context.folder.path.parent.parent.name}: {len(images)} images with {num_regions} described regions "
        f"(run {context.folder.id}, seed {context.config.seed}).\n\n```json\n{settings}\n```\n"
    )
    return lambda folder: save_checkpoint(model, folder, card=card, metrics=dict(metrics), parent=parent.id)


def _embed_with_result(context: RunContext, dataset: Dataset, cache: TokenCache, training: ClocTraining) -> bool:
    """Embed the collection with the checkpoint as it was saved, so that both can be adopted together."""
    folder = step_folders(context.folder.checkpoints)[0]
    model = load_checkpoint(folder, str(context.device))
    if training.is_tower_frozen:
        cache.share_with(context.cache / "tokens" / model.id)
    context.reporter.note("The weights are trained; the collection is embedded with them.")
    return fill_index(context, dataset, model, Embedding(), lambda _step, _metrics: context.reporter.alive())


def _require_space(folder: Path, num_token_bytes: int) -> None:
    free, needed = shutil.disk_usage(folder).free, MIN_FREE_BYTES + num_token_bytes
    if free < needed:
        raise StorageFailed(
            f"Training needs {needed / 2**30:.1f} GB of free space at {folder}; there are {free / 2**30:.1f} GB."
        )
