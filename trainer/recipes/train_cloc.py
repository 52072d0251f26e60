"""Train CLOC on the curated regions, then embed the collection with what was learnt.

What learns are the Prompter, the projections, the grounding head and the temperature; the towers only if asked, since
a frozen tower is run once per image and its tokens are cached.  The proposal head is left as it is: a person's boxes
are not all objects of an image, so what is not boxed is no background.

What the quick preset gives on 150 corrected regions, measured on images that the project does not have; mean and
standard deviation of three seeds.  By ``python tests/benchmarks/one_click.py --data DIR``:

    project                top-1                              mAcc                               gate
    the demo's scenes      0.509 -> 0.700   +0.191 +- 0.010   0.452 -> 0.685   +0.234 +- 0.025   passes 3 of 3
    half of coco_dev       0.561 -> 0.536   -0.024 +- 0.042   0.455 -> 0.451   -0.003 +- 0.005   passes 1 of 3
    coco_train (coco_dev)  0.559 -> 0.543   -0.016 +- 0.003   0.470 -> 0.458   -0.012 +- 0.009   passes 3 of 3

Where the collection looks unlike what the model has learnt, much is gained; on photos like those of COCO, which it was
trained on, nothing is to be gained from so few regions, and the gate sees it only where enough regions are held out.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from locstudio.domain.errors import BadInput, LocStudioError, StorageFailed
from locstudio.jobs.checkpoint_folder import CheckpointInfo, checkpoint_info
from locstudio.jobs.configs import ClocTraining, Embedding
from locstudio.jobs.token_cache import TokenCache
from locstudio.jobs.training_files import HeldOut, held_out_file, read_best, write_document
from locstudio.models.checkpoint import load_checkpoint, save_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset, ImageFilter, open_snapshot
from trainer.averaging import RunningMean
from trainer.card import CardFacts, write_card
from trainer.checkpoint import Course, Restored, restore_step, step_folders
from trainer.context import RunContext
from trainer.data import TrainingImage, steps_per_epoch
from trainer.device import describe_device, use_fast_products
from trainer.encoding import ImageFile, TokenSource, bytes_of_tokens, cache_of
from trainer.estimate import estimate, seconds_to_embed
from trainer.history import RunHistory
from trainer.hooks import ReportProgress
from trainer.images import Unreadable
from trainer.optim import make_optimizer
from trainer.recipes.cloc_lesson import Lesson, read_lesson
from trainer.recipes.cloc_loop import ClocWork, go_round
from trainer.recipes.cloc_measuring import HeldOutMeasure, measured_ids
from trainer.recipes.cloc_model import TrainedStep, can_keep, model_to_train
from trainer.recipes.embed import fill_index
from trainer.recipes.keeping import Parent
from trainer.samples import choose_samples, take_samples

MIN_FREE_BYTES = 2 << 30


def train_cloc(context: RunContext) -> bool:
    """The recipe; True if it was stopped before its end.

    Raises:
        BadInput: there is nothing to learn from.
        StorageFailed: too little space is left for checkpoints.
        UserError: the loss is no number again and again, or memory is too small.
    """
    training = context.config.cloc or ClocTraining()
    if training.is_dry_run:
        return estimate(context)
    torch.manual_seed(context.config.seed)
    use_fast_products(context.device)
    parent = checkpoint_info(Path(context.config.checkpoint))
    model = model_to_train(Path(context.config.checkpoint), training, str(context.device))
    before = Parent(model) if can_keep(model, training) else None
    optimizer = make_optimizer(model, learning_rate=training.learning_rate, weight_decay=training.weight_decay)
    start = restore_newest(context, model, optimizer)
    mean = RunningMean(model, training.ema) if training.ema > 0 else None
    if mean is not None:
        mean.restore(start.mean)
    cache = cache_of(model, context.cache, checkpoint_id=parent.id)
    with open_snapshot(context.folder.snapshot) as dataset:
        lesson = read_lesson(dataset, training, context.config.seed, context.reporter.note)
        _begin(context, training, model, lesson, start.step)
        source = TokenSource(model, cache if training.is_tower_frozen else None, keeps=True)
        measure = HeldOutMeasure(model, dataset, lesson.held_out, source, context.reporter.alive)
        readable = _read_ahead(context, source, lesson.images, measure.files, start.step)
        if readable is None:
            return True
        _require_same_start(context, model, start, len(readable))
        history = RunHistory(context.folder, start.step, is_kept=context.ranks.is_first)
        if start.step:
            history.happen(f"Resumed after step {start.step}.")
        step = TrainedStep(model, training, before)
        step.remember(readable, context.reporter.alive)
        choice = choose_samples(dataset, lesson.held_out)
        known = cache if source.keeps_tokens else None
        seconds_after = seconds_to_embed(model, dataset, source, known) if context.ranks.is_first else 0.0
        work = ClocWork(
            context=context,
            training=training,
            model=model,
            step=step,
            optimizer=optimizer,
            mean=mean,
            images=readable,
            source=source,
            history=history,
            evaluate=measure,
            sample=lambda number: take_samples(model, choice, source, number),
            write_model=_writer(context, model, parent, readable, lesson.held_out, history),
            restore=lambda: restore_newest(context, model, optimizer, starts_over=True),
            start=start,
            seconds_after=seconds_after,
        )
        was_stopped = go_round(work)
        context.ranks.leave()
        return was_stopped or (context.ranks.is_first and _embed_best(context, dataset, cache, training))


def _begin(context: RunContext, training: ClocTraining, model: Cloc, lesson: Lesson, first_step: int) -> None:
    """Say what the run will do, once there is room for it."""
    if context.ranks.is_first:
        write_document(held_out_file(context.folder), lesson.held_out)
    num_token_bytes = len(lesson.images) * bytes_of_tokens(model) if training.is_tower_frozen else 0
    require_space(context.cache.parent, num_token_bytes)
    context.reporter.started(
        device=describe_device(context.device, context.ranks.world),
        num_images=len(lesson.images),
        num_regions=lesson.num_regions,
        num_steps=training.num_steps,
        first_step=first_step,
        num_held_out=lesson.held_out.num_regions,
        steps_per_epoch=steps_per_epoch(len(lesson.images), training.batch_size),
    )


def restore_newest(
    context: RunContext, model: Cloc, optimizer: torch.optim.Optimizer, *, starts_over: bool = False
) -> Restored:
    """Go on from the newest checkpoint of the run that is whole; from the beginning when there is none.

    ``starts_over``: model and optimiser have learnt since, so the beginning must be made anew.
    """
    for folder in step_folders(context.folder.checkpoints):
        try:
            return restore_step(folder, model, optimizer)
        except LocStudioError as problem:
            context.reporter.note(f"{problem} An earlier one is tried.")
    if starts_over:
        torch.manual_seed(context.config.seed)
        training = context.config.cloc or ClocTraining()
        fresh = model_to_train(Path(context.config.checkpoint), training, str(context.device))
        model.load_state_dict(fresh.state_dict())
        optimizer.state.clear()
    return Restored(0, Course(), {})


def _read_ahead(
    context: RunContext,
    source: TokenSource,
    images: Sequence[TrainingImage],
    measured: Sequence[ImageFile],
    first_step: int,
) -> list[TrainingImage] | None:
    """The images that can be learnt from, None if the run was stopped meanwhile.

    Tokens of a frozen tower are in the cache then, also those of what is measured.  Of several processes each reads its
    share, and all know in the end what none could read.
    """
    num_steps, ranks = (context.config.cloc or ClocTraining()).num_steps, context.ranks
    own: Sequence[ImageFile] = ranks.share_of([*images, *(measured if source.keeps_tokens else ())])
    unreadable: dict[str, str] = {}
    begun = said = time.monotonic()
    num_read, is_stopped = 0, False
    for batch in source.stream(own) if source.keeps_tokens else source.decoded(own):
        is_stopped = context.should_stop()
        if is_stopped:
            break
        for image, found in batch:
            if isinstance(found, Unreadable):
                unreadable[str(image.image.id)] = found.sentence
                context.reporter.note(found.sentence)
        num_read += len(batch)
        now = time.monotonic()
        if now - said > 1.0:
            said, rate = now, num_read / (now - begun)
            context.reporter.progress(
                first_step, num_steps, images_per_second=rate * ranks.world, seconds_left=(len(own) - num_read) / rate
            )
    ranks.meet(context.reporter.alive)
    if ranks.largest(int(is_stopped)):
        return None
    for sentences in ranks.all_texts(list(unreadable.values()))[1:]:
        for sentence in sentences:
            context.reporter.note(sentence)
    missing = {int(key) for keys in ranks.all_texts(list(unreadable)) for key in keys}
    readable = [image for image in images if image.image.id not in missing]
    if not readable:
        raise BadInput("None of the images with described regions can be read; nothing can be learnt.")
    return readable


def _require_same_start(context: RunContext, model: Cloc, start: Restored, num_images: int) -> None:
    """Refuse where the processes of a run would not take the same steps.

    Raises:
        BadInput: they see other files than each other, or a batch has fewer images than there are processes.
    """
    training, ranks = context.config.cloc or ClocTraining(), context.ranks
    smallest = min(training.batch_size, num_images)
    if smallest < ranks.world:
        raise BadInput(
            f"A batch has {smallest} images, which {ranks.world} processes cannot share; start fewer processes."
        )
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    ranks.require_same([torch.tensor([start.step, num_images]), *learning], "weights or images")


def _writer(
    context: RunContext,
    model: Cloc,
    parent: CheckpointInfo,
    images: Sequence[TrainingImage],
    held_out: HeldOut,
    history: RunHistory,
) -> Callable[[Path, int], str]:
    """Writes the model's own files; its metrics are those measured after this very step, or none."""

    def write(folder: Path, step: int) -> str:
        metrics = history.metrics_at(step)
        facts = CardFacts(
            parent=parent,
            name=parent.name,
            project=context.folder.path.parent.parent.name,
            run=context.folder.id,
            config=context.config,
            device=describe_device(context.device, context.ranks.world),
            num_images=len(images),
            num_regions=sum(len(image.phrases) for image in images),
            held_out=held_out,
            num_measured=len(measured_ids(held_out)),
            step=step,
            num_steps=(context.config.cloc or ClocTraining()).num_steps,
            before=history.before,
            after=metrics,
            happened=history.happened,
        )
        return save_checkpoint(model, folder, card=write_card(facts), metrics=metrics, parent=parent.id)

    return write


def _embed_best(context: RunContext, dataset: Dataset, cache: TokenCache, training: ClocTraining) -> bool:
    """Embed the collection with the best checkpoint as it was saved, so that both can be adopted together."""
    best = read_best(context.folder)
    folder = context.folder.path / best.path if best is not None else step_folders(context.folder.checkpoints)[0]
    model = load_checkpoint(folder, str(context.device))
    if training.is_tower_frozen:
        cache.share_with(context.cache / "tokens" / model.id)
    step = folder.name.removeprefix("step_")
    context.reporter.note(f"The weights are trained; the collection is embedded with those of step {step}.")
    num_images = dataset.count_images(ImageFilter())
    report = ReportProgress(context.reporter, num_images, says_step=training.num_steps)
    return fill_index(context, dataset, model, Embedding(), report)


def require_space(folder: Path, num_token_bytes: int) -> None:
    """Refuse a run for which the disk is too small.

    Raises:
        StorageFailed: with what is needed and what is there.
    """
    free, needed = shutil.disk_usage(folder).free, MIN_FREE_BYTES + num_token_bytes
    if free < needed:
        raise StorageFailed(
            f"Training needs {needed / 2**30:.1f} GB of free space at {folder}; there are {free / 2**30:.1f} GB."
        )
