"""Train the multi-label classifier with heatmaps that remember (arXiv:2203.06127), from few labels an image.

With ``trains="head"`` the backbone is as it came: an image goes through it once, and views are cut out of its cells.
With ``trains="all"`` views are cut out of the pixels, and everything learns.

Every image's scores and heatmaps are remembered as running averages over the epochs, in ``results/heatmaps``.  Images
that are held out, and some that have no label, are looked at after each epoch that has a key frame, so that their
heatmaps are there as well; nothing is learnt from them.

What it is worth: 588 photos and mosaics with one label each of about seven, 80 classes, 20 epochs, mAP on 100 others,
mean of three seeds (all arms, settings and caveats: ``assets/checkpoints/consistency-lite/claims.md``):

    all labels .513   AN .361   LS .400   LL-R .386   EM .419   EN .364   EN + CL .404   EN + SCL .425
    all labels + SCL .555   EN + SCL + BoostLU .437   AN + SCL .431

EN alone does not help, and under SCL it adds nothing to AN; consistency does, of heatmaps more than of scores.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from msgspec.structs import replace

from locstudio.domain.errors import BadInput, LocStudioError, TooNew
from locstudio.jobs.checkpoint_folder import CheckpointInfo
from locstudio.jobs.configs import ConsistencyTraining
from locstudio.jobs.heatmaps import HeatHeader, Heatmaps
from locstudio.jobs.training_files import held_out_file, write_document
from locstudio.models.consistency import Consistency
from locstudio.models.consistency_files import save_consistency
from locstudio.store.dataset import open_snapshot
from trainer.card import CardFacts, write_card
from trainer.cells import CellSource, bytes_of_tokens, cell_tokens
from trainer.checkpoint import Course, Restored, restore_step, step_folders
from trainer.class_batches import steps_in_epoch
from trainer.consistency_step import ConsistencyStep
from trainer.context import RunContext
from trainer.device import describe_device, num_loading_threads, use_fast_products
from trainer.encoding import TokenSource
from trainer.heat_memory import HeatMemory
from trainer.heat_plan import bytes_of_memory, key_epochs_of
from trainer.history import RunHistory
from trainer.images import Unreadable, loaded_ahead
from trainer.label_reading import Ints, num_expected_of
from trainer.optim import make_optimizer
from trainer.recipes.class_lesson import ClassImage, ClassLesson, read_class_lesson
from trainer.recipes.class_looking import Eyes, HeldOutClasses
from trainer.recipes.class_loop import ClassWork, go_round
from trainer.recipes.class_model import fit_cells, model_to_train, needs_reduction
from trainer.recipes.cloc_measuring import measured_ids
from trainer.recipes.train_cloc import require_space

BETA_OF_SINGLE_LABELS = 3.0
"""What consistency weighs where an image has one label; 1 where it has more."""


def consistency(context: RunContext) -> bool:
    """The recipe; True if it was stopped before its end.

    Raises:
        BadInput: there is nothing to learn from.
        StorageFailed: too little space is left, or the disk refuses.
        UserError: the loss is no number again and again, or memory is too small.
    """
    training = context.config.consistency or ConsistencyTraining()
    if training.is_dry_run:
        from trainer.recipes.class_estimate import estimate_classes

        return estimate_classes(context)
    use_fast_products(context.device)
    with open_snapshot(context.folder.snapshot) as dataset:
        lesson = read_class_lesson(dataset, training, context.config.seed, context.reporter.note)
    made = Made.of(context, training, lesson)
    start = _restore_newest(context, made)
    _begin(context, training, made, lesson, start.step)
    unreadable = _read_ahead(context, training, made, lesson, start.step)
    if unreadable is None:
        return True
    rows = np.setdiff1d(lesson.learnt, unreadable)
    if not len(rows):
        raise BadInput("None of the images with a class can be read; nothing can be learnt.")
    history = RunHistory(context.folder, start.step)
    if start.step:
        history.happen(f"Resumed after step {start.step}.")
    training = with_beta(training, lesson)
    num_expected = training.num_expected or num_expected_of(lesson.told.labels_NL[rows])
    work = ClassWork(
        context=context,
        training=training,
        model=made.model,
        step=ConsistencyStep(made.model, training, num_expected=num_expected),
        optimizer=made.optimizer,
        lesson=lesson,
        rows=rows,
        watched=np.setdiff1d(lesson.watched, unreadable),
        eyes=made.eyes,
        paint=lesson.paint(training),
        new_memory=memory_maker(context, training, lesson),
        history=history,
        evaluate=HeldOutClasses(made.model, made.eyes, lesson, unreadable, context.reporter.alive),
        write_model=_writer(context, made, lesson, rows, history),
        restore=lambda: _restore_newest(context, made, starts_over=True),
        start=start,
    )
    return go_round(work)


class Made:
    """The model and what belongs to it.

    Attributes:
        model: What learns.
        parent: The checkpoint that it was made from, or None.
        optimizer: Over its parameters that want gradients.
        source: Tokens of images, or None where the backbone learns.
        cells: Cells of images, or None where the backbone learns.
        eyes: What the model takes of images.
    """

    def __init__(
        self,
        context: RunContext,
        training: ConsistencyTraining,
        model: Consistency,
        parent: CheckpointInfo | None,
        *,
        keeps: bool,
    ) -> None:
        self.model = model
        self.parent = parent
        self.optimizer = make_optimizer(model, learning_rate=training.learning_rate, weight_decay=training.weight_decay)
        self.source: TokenSource | None = None
        self.cells: CellSource | None = None
        if training.trains == "head":
            cache = cell_tokens(model, context.cache, context.folder.path.parent)
            self.source = TokenSource(model, cache, keeps=keeps)
            self.cells = CellSource(model, self.source)
        self.eyes = Eyes(model, training, self.cells)

    @classmethod
    def of(
        cls, context: RunContext, training: ConsistencyTraining, lesson: ClassLesson, *, is_dry: bool = False
    ) -> "Made":
        """As the run begins; a new model's cells are chosen by the images.  A dry run keeps no tokens."""
        torch.manual_seed(context.config.seed)
        model, parent = model_to_train(
            context.config.checkpoint,
            training,
            lesson.told.class_names,
            name=context.folder.path.parent.parent.name,
            device=str(context.device),
        )
        made = cls(context, training, model, parent, keeps=not is_dry)
        if parent is None and made.model.backbone is not None and not training.backbone_file:
            _say_what_is_random(context, training)
        if made.source is not None and needs_reduction(model, parent) and not is_dry:
            images = [lesson.images[row] for row in lesson.learnt.tolist()]
            fit_cells(model, made.source, images, seed=context.config.seed, should_stop=context.should_stop)
        return made

    def start_over(self, context: RunContext, training: ConsistencyTraining, class_names: tuple[str, ...]) -> None:
        """The weights and the optimiser as the run began; the cells stay as they were chosen."""
        torch.manual_seed(context.config.seed)
        name = self.model.config.name
        fresh, _ = model_to_train(context.config.checkpoint, training, class_names, name=name, device="cpu")
        own = self.model.state_dict()
        kept = {key: own[key] for key in own if training.trains == "head" and key.startswith("reduce.")}
        self.model.load_state_dict(fresh.state_dict() | kept)
        self.optimizer.state.clear()


def _say_what_is_random(context: RunContext, training: ConsistencyTraining) -> None:
    if training.backbone != "locstudio-lite":
        context.reporter.note(
            f"{training.backbone} begins with random weights, for no file of weights was named; it will need many "
            "images and epochs."
        )


def _restore_newest(context: RunContext, made: Made, *, starts_over: bool = False) -> Restored:
    """Go on from the newest checkpoint of the run that is whole; from the beginning when there is none."""
    for folder in step_folders(context.folder.checkpoints):
        try:
            return restore_step(folder, made.model, made.optimizer)
        except LocStudioError as problem:
            context.reporter.note(f"{problem} An earlier one is tried.")
    if starts_over:
        training = context.config.consistency or ConsistencyTraining()
        made.start_over(context, training, made.model.config.classes)
    return Restored(0, Course(), {})


def _begin(
    context: RunContext, training: ConsistencyTraining, made: Made, lesson: ClassLesson, first_step: int
) -> None:
    """Say what the run will do, once there is room for it."""
    write_document(held_out_file(context.folder), lesson.held_out)
    num_images = len(lesson.images)
    num_bytes = num_images * bytes_of_tokens(made.model) if made.cells is not None else 0
    num_bytes += memory_bytes(training, num_images, len(lesson.told.class_ids))
    require_space(context.cache.parent, num_bytes)
    per_epoch = steps_in_epoch(len(lesson.learnt), training.batch_size)
    context.reporter.started(
        device=describe_device(context.device),
        num_images=len(lesson.learnt),
        num_regions=lesson.num_positives,
        num_steps=training.num_epochs * per_epoch,
        first_step=first_step,
        num_held_out=lesson.held_out.num_regions,
        steps_per_epoch=per_epoch,
    )


def with_beta(training: ConsistencyTraining, lesson: ClassLesson) -> ConsistencyTraining:
    """With the weight of consistency that the labels ask for, where none was given."""
    if training.beta:
        return training
    has_single = bool(((lesson.told.labels_NL[lesson.learnt] == 1).sum(axis=1) <= 1).all())
    return replace(training, beta=BETA_OF_SINGLE_LABELS if has_single else 1.0)


def slots_of(training: ConsistencyTraining, num_classes: int) -> int:
    """How many heatmaps an image are kept; 0 for one of every class."""
    return min(training.num_slots, num_classes) if num_classes > training.max_dense_classes else 0


def memory_bytes(training: ConsistencyTraining, num_images: int, num_classes: int) -> int:
    """How much of the disk the run's heatmaps take in the end."""
    return bytes_of_memory(
        num_images,
        num_classes,
        grid=training.grid,
        num_slots=slots_of(training, num_classes),
        num_epochs=training.num_epochs,
        num_key_frames=len(key_epochs_of(training.num_epochs, training.num_key_frames)),
        num_key_slots=training.num_key_slots,
    )


def memory_maker(
    context: RunContext, training: ConsistencyTraining, lesson: ClassLesson
) -> Callable[[Path], HeatMemory]:
    """Makes a memory of these images in a folder; with what an earlier run remembers of them, where one is named."""
    told = lesson.told

    def make(folder: Path) -> HeatMemory:
        known: Heatmaps | None = None
        if training.known:
            try:
                known = Heatmaps.open(Path(training.known))
            except (BadInput, TooNew) as problem:
                context.reporter.note(f"{problem} The run begins without them.")
        header = HeatHeader(
            run_id=context.folder.id,
            class_ids=told.class_ids,
            class_names=told.class_names,
            grid=training.grid,
            num_images=len(told),
            num_slots=slots_of(training, len(told.class_ids)),
            num_epochs=training.num_epochs,
            momentum=training.momentum,
        )
        return HeatMemory.create(
            folder,
            header,
            image_ids=told.image_ids,
            contents=[one.image.sha256 for one in lesson.images],
            labels_NL=told.labels_NL,
            starts_with_label=training.starts_with_label,
            known=known,
            key_epochs=key_epochs_of(training.num_epochs, training.num_key_frames),
            num_key_slots=training.num_key_slots,
        )

    return make


def _read_ahead(
    context: RunContext, training: ConsistencyTraining, made: Made, lesson: ClassLesson, first_step: int
) -> Ints | None:
    """The rows that cannot be read, None if the run was stopped meanwhile.

    Where the backbone is frozen, cells of all images are known then, in memory or as tokens on disk.
    """
    unreadable: set[int] = set()
    begun = said = time.monotonic()
    rows = {one.image.id: row for row, one in enumerate(lesson.images)}
    num_steps = training.num_epochs * steps_in_epoch(len(lesson.learnt), training.batch_size)
    for num_read, (image, problem) in enumerate(_readings(context, made, lesson.images), start=1):
        if context.should_stop():
            return None
        if problem is not None:
            unreadable.add(rows[image.image.id])
            context.reporter.note(problem.sentence)
        now = time.monotonic()
        if now - said > 1.0:
            said, rate = now, num_read / (now - begun)
            left = (len(lesson.images) - num_read) / rate
            context.reporter.progress(first_step, num_steps, images_per_second=rate, seconds_left=left)
    return np.array(sorted(unreadable), np.int64)


def _readings(
    context: RunContext, made: Made, images: Iterable[ClassImage]
) -> Iterable[tuple[ClassImage, Unreadable | None]]:
    if made.source is None or made.cells is None:
        yield from loaded_ahead(images, made.eyes.problem_of, num_threads=num_loading_threads(context.device))
        return
    for batch in made.source.stream(images):
        for image, found in batch:
            if isinstance(found, Unreadable):
                yield image, found
            else:
                made.cells.remember(image.image.id, found)
                yield image, None


def _writer(
    context: RunContext, made: Made, lesson: ClassLesson, rows: Ints, history: RunHistory
) -> Callable[[Path, int], str]:
    """Writes the model's own files; its metrics are those measured after this very step, or none."""
    training = context.config.consistency or ConsistencyTraining()

    def write(folder: Path, step: int) -> str:
        metrics = history.metrics_at(step)
        facts = CardFacts(
            parent=made.parent,
            name=made.model.config.name,
            project=context.folder.path.parent.parent.name,
            run=context.folder.id,
            config=context.config,
            device=describe_device(context.device),
            num_images=len(rows),
            num_regions=int((lesson.told.labels_NL[rows] == 1).sum()),
            held_out=lesson.held_out,
            num_measured=len(measured_ids(lesson.held_out)),
            step=step,
            num_steps=training.num_epochs * steps_in_epoch(len(rows), training.batch_size),
            before=history.before,
            after=metrics,
            happened=history.happened,
        )
        parent = made.parent.id if made.parent is not None else ""
        return save_consistency(made.model, folder, card=write_card(facts), metrics=metrics, parent=parent)

    return write
