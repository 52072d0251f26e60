"""Train CLOC on the curated regions, then embed the collection with what was learnt.

What learns are the Prompter, the projections, the grounding head and the temperature; the towers only if asked, since
a frozen tower is run once per image and its tokens are cached.  The proposal head is left as it is: a person's boxes
are not all objects of an image, so what is not boxed is no background.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from locstudio.domain.errors import BadInput, LocStudioError, StorageFailed
from locstudio.jobs.checkpoint_folder import CheckpointInfo, checkpoint_info
from locstudio.jobs.configs import ClocTraining, Embedding
from locstudio.jobs.token_cache import TokenCache
from locstudio.models.checkpoint import load_checkpoint, new_model, save_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset, open_snapshot
from trainer.batches import batches_of, pixels_of
from trainer.checkpoint import restore_step, save_step, step_folders
from trainer.context import RunContext
from trainer.data import HELD_OUT_SPLITS, TrainingImage, at_most, read_training_images
from trainer.device import autocast, describe_device
from trainer.encoding import TEXT_BATCH, TokenSource, bytes_of_tokens, cache_of
from trainer.hooks import EvaluateEvery, ReportProgress, SaveCheckpoints
from trainer.images import Unreadable
from trainer.loop import run_loop
from trainer.optim import learning_rate_at, make_optimizer
from trainer.recipes.cloc import ClocStep, ClocStepConfig
from trainer.recipes.cloc_batch import ClocBatch
from trainer.recipes.embed import fill_index
from trainer.recipes.evaluate import GroundTruth, measure, read_ground_truth
from trainer.training_step import TrainingStep

SAVE_EVERY = 200
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
    model = _model_to_train(Path(context.config.checkpoint), training, str(context.device))
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
        was_stopped = _loop(context, training, model, optimizer, readable, source, first_step, evaluate, write_model)
        return was_stopped or _embed_with_result(context, dataset, cache, training)


def _loop(
    context: RunContext,
    training: ClocTraining,
    model: Cloc,
    optimizer: torch.optim.Optimizer,
    images: Sequence[TrainingImage],
    source: TokenSource,
    first_step: int,
    evaluate: Callable[[], dict[str, float]],
    write_model: Callable[[Path], object],
) -> bool:
    """Assemble batches, step and hooks, go round, and save where it ends; True if it was stopped."""
    needs_pixels = not training.is_tower_frozen or model.config.prompter.extractor == "crop"
    batches = batches_of(
        images,
        range(first_step, training.num_steps),
        batch_size=training.batch_size,
        num_regions=training.regions_per_image,
        seed=context.config.seed,
        tokens=source.tokens_of if training.is_tower_frozen else None,
        preprocess=(lambda image: model.preprocess(pixels_of(image, model.input_px))) if needs_pixels else None,
    )
    step = TrainingStep(
        _loss(model, training, images, context.reporter.alive),
        lambda batch: len(batch.captions),
        optimizer,
        lambda number: learning_rate_at(
            number,
            peak=training.learning_rate,
            num_warmup_steps=training.num_warmup_steps,
            num_steps=training.num_steps,
        ),
        first_step=first_step,
    )
    saving = SaveCheckpoints(
        context.reporter,
        context.folder.path,
        lambda number: save_step(context.folder.checkpoints, number, model, optimizer, write_model),
        SAVE_EVERY,
    )
    end = run_loop(
        batches,
        step,
        [
            ReportProgress(context.reporter, training.num_steps),
            EvaluateEvery(context.reporter, evaluate, training.evaluate_every, training.num_steps),
            saving,
        ],
        should_stop=context.should_stop,
        first_step=first_step,
    )
    saving.save_now(end.step)
    return end.was_stopped


def _loss(
    model: Cloc, training: ClocTraining, images: Sequence[TrainingImage], alive: Callable[[], object]
) -> Callable[[ClocBatch], dict[str, Tensor]]:
    """The loss of a batch.  A tower that learns computes in bfloat16 where the device has it, the losses never do."""
    loss_of = ClocStep(model, ClocStepConfig(text_filter=training.text_filter, has_grounding=training.has_grounding))
    if training.is_tower_frozen:
        # In one order and size whatever step the run begins with: padding changes a text's last bits.
        texts = sorted({text for image in images for text in (*image.phrases, *image.captions)})
        for start in range(0, len(texts), TEXT_BATCH):
            loss_of.remember(texts[start : start + TEXT_BATCH], size=TEXT_BATCH)
            alive()
        return loss_of

    def through_tower(batch: ClocBatch) -> dict[str, Tensor]:
        assert batch.pixels_B3HW is not None
        with autocast(model.device):
            tokens_BND = model.encode_image(batch.pixels_B3HW.to(model.device))
        return loss_of(replace(batch, tokens_BND=tokens_BND.float()))

    return through_tower


def _model_to_train(folder: Path, training: ClocTraining, device: str) -> Cloc:
    """The checkpoint's model with gradients where it shall learn; another extractor begins anew on the same towers."""
    model = load_checkpoint(folder, device)
    held = "prompter" if model.config.prompter.extractor == "literal" else model.config.prompter.extractor
    if held != training.extractor:
        prompter = msgspec.structs.replace(model.config.prompter, extractor=training.extractor)
        other = new_model(msgspec.structs.replace(model.config, prompter=prompter)).to(device)
        own = other.state_dict()
        kept = {name: value for name, value in model.state_dict().items() if not name.startswith("prompter.")}
        other.load_state_dict(own | {name: value for name, value in kept.items() if name in own})
        model = other
    model.requires_grad_(False)
    learning: list[torch.nn.Module] = [model.prompter, model.image_project, model.text_project, model.grounding]
    learning += [model.crop_project] if model.crop_project is not None else []
    if not training.is_tower_frozen:
        learning += [model.towers, model.reduce]
        # A tower that has learnt is no longer the package's, so the checkpoint must hold it.
        model.config = msgspec.structs.replace(
            model.config, tower=msgspec.structs.replace(model.config.tower, is_packaged=False)
        )
    for module in learning:
        module.requires_grad_(True)
    model.logit_scale.requires_grad_(True)
    return model


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
