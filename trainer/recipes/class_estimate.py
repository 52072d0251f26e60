"""A timed dry run of a consistency run: every part is timed on a few images and multiplied.

What it writes, it writes into a temporary folder; cache, checkpoints and results of the project stay as they are.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from locstudio.jobs.configs import ConsistencyTraining
from locstudio.models.consistency_files import save_consistency
from locstudio.store.dataset import open_snapshot
from trainer.cells import MAX_REMEMBERED_BYTES, bytes_of_tokens, cell_tokens
from trainer.checkpoint import NUM_KEPT, save_step
from trainer.class_batches import batches_of, steps_in_epoch
from trainer.consistency_step import ConsistencyStep, learn
from trainer.context import RunContext
from trainer.device import describe_device, num_loading_threads, use_fast_products
from trainer.estimate import NUM_STEPS, is_known
from trainer.heat_memory import HeatMemory
from trainer.heat_plan import key_epochs_of
from trainer.images import Unreadable
from trainer.label_reading import num_expected_of
from trainer.recipes.class_lesson import ClassLesson, read_class_lesson
from trainer.recipes.class_looking import BATCH, seen
from trainer.recipes.cloc_measuring import measured_ids
from trainer.recipes.consistency import Made, memory_bytes, memory_maker, with_beta
from trainer.timing import process_age, times_of, typical

NUM_IMAGES = 6


def estimate_classes(context: RunContext) -> bool:
    """Say ``Estimated``; True if it was stopped before it knew.

    Raises:
        BadInput: there is nothing to learn from.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return _DryRun(context, Path(scratch)).run()


class _DryRun:
    """One run as it would be, timed part by part."""

    def __init__(self, context: RunContext, scratch: Path) -> None:
        self._start = process_age()
        begun = time.monotonic()
        self._context = context
        self._scratch = scratch
        self._training = training = context.config.consistency or ConsistencyTraining()
        use_fast_products(context.device)
        with open_snapshot(context.folder.snapshot) as dataset:
            self._lesson = read_class_lesson(dataset, training, context.config.seed, context.reporter.note)
        self._made = Made.of(context, training, self._lesson, is_dry=True)
        self._start += time.monotonic() - begun
        self._few: ClassLesson | None = None

    def run(self) -> bool:
        """Time the parts and say what they come to; True if it was stopped."""
        lesson, training, context = self._lesson, self._training, self._context
        per_epoch = steps_in_epoch(len(lesson.learnt), training.batch_size)
        context.reporter.started(
            device=describe_device(context.device),
            num_images=len(lesson.learnt),
            num_regions=lesson.num_positives,
            num_steps=training.num_epochs * per_epoch,
            num_held_out=lesson.held_out.num_regions,
            steps_per_epoch=per_epoch,
        )
        fresh = self._to_encode()
        found: dict[str, float] = {}
        for name, timed in (
            ("image", partial(self._read, fresh)),
            ("step", self._step),
            ("look", self._look),
            ("save", self._save),
        ):
            if context.should_stop():
                return True
            found[name] = timed()
            context.reporter.alive()
        num_evaluations = 1 + -(-training.num_epochs // training.evaluate_every)
        num_measured = len(measured_ids(lesson.held_out)) if lesson.held_out.num_regions else 0
        num_keys = len(key_epochs_of(training.num_epochs, training.num_key_frames))
        num_read = len(fresh) if self._made.cells is not None else len(lesson.images)
        seconds = self._start + num_read * found["image"] + training.num_epochs * per_epoch * found["step"]
        seconds += (num_evaluations * num_measured + num_keys * len(lesson.watched)) * found["look"]
        seconds += training.num_epochs * found["save"]
        context.reporter.estimated(
            seconds=round(seconds, 1),
            seconds_per_step=round(found["step"], 4),
            num_images_to_encode=len(fresh),
            memory_bytes=self._memory(),
            disk_bytes=self._disk(len(fresh)),
        )
        return False

    def _to_encode(self) -> set[int]:
        """Rows of images that must go through the backbone."""
        if self._made.cells is None:
            return set()
        cache = cell_tokens(self._made.model, self._context.cache, self._context.folder.path.parent)
        return {row for row, image in enumerate(self._lesson.images) if not is_known(cache, image)}

    def _read(self, fresh: set[int]) -> float:
        """Seconds an image takes that nothing is known of; the ones that were read are what the steps are timed on."""
        lesson, made = self._lesson, self._made
        rows: list[int] = []
        times: list[float] = []
        begun = time.monotonic()
        for row in sorted(lesson.learnt.tolist(), key=lambda row: row not in fresh):
            image = lesson.images[row]
            if made.source is None or made.cells is None:
                problem: Unreadable | None = made.eyes.problem_of(image)
            else:
                (((_, encoded),),) = list(made.source.stream([image]))
                problem = encoded if isinstance(encoded, Unreadable) else None
                if not isinstance(encoded, Unreadable):
                    made.cells.remember(image.image.id, encoded)
            times.append(time.monotonic() - begun)
            begun = time.monotonic()
            rows += [] if problem is not None else [row]
            if len(rows) >= NUM_IMAGES:
                break
        if rows:
            self._few = self._only(np.array(rows, np.int64))
        return typical(times)

    def _only(self, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> ClassLesson:
        lesson = self._lesson
        return replace(
            lesson,
            images=tuple(lesson.images[row] for row in rows.tolist()),
            told=lesson.told.rows(rows),
            truth=lesson.truth.rows(rows),
            learnt=np.arange(len(rows)),
            corrections={
                at: lesson.corrections[row] for at, row in enumerate(rows.tolist()) if row in lesson.corrections
            },
            boxes={at: lesson.boxes[row] for at, row in enumerate(rows.tolist()) if row in lesson.boxes},
        )

    def _step(self) -> float:
        """Seconds of a step on batches as large as the run's, its memory included."""
        if self._few is None:
            return 0.0
        memory = memory_maker(self._context, self._training, self._few)(self._scratch / "heatmaps")
        try:
            return typical(times_of(self._steps(self._few, memory)))
        finally:
            memory.close()

    def _steps(self, few: ClassLesson, memory: HeatMemory) -> Iterator[None]:
        made, training, context = self._made, with_beta(self._training, self._lesson), self._context
        trains_all = training.trains == "all"
        size = min(training.batch_size, len(self._lesson.learnt))
        # The same few images again and again, in batches of the run's size.
        rows = np.resize(few.learnt, size)
        step = ConsistencyStep(made.model, training, num_expected=num_expected_of(few.told.labels_NL))
        made.model.train()
        batches = batches_of(
            few.images,
            few.told,
            rows,
            range(NUM_STEPS),
            training,
            seed=context.config.seed,
            paint=few.paint(training),
            inputs=made.eyes.inputs,
            frame=None if trains_all else made.model.frame,
            num_threads=num_loading_threads(context.device) if trains_all else 1,
        )
        epoch = training.num_warmup_epochs + training.num_ramp_epochs
        for batch in batches:
            made.optimizer.zero_grad(set_to_none=True)
            terms = learn(step, batch.to(context.device), memory, epoch)
            if torch.isfinite(terms["loss"]):
                made.optimizer.step()
            if context.device.type == "cuda":
                torch.cuda.synchronize(context.device)
            context.reporter.alive()
            yield

    def _look(self) -> float:
        """Seconds to look at an image of which everything is known."""
        if self._few is None:
            return 0.0
        rows = np.resize(self._few.learnt, BATCH)
        made, few = self._made, self._few

        def look() -> int:
            return len(list(seen(made.model, made.eyes, few.images, rows)))

        return typical(times_of(look() for _ in range(3))) / BATCH

    def _save(self) -> float:
        """Seconds of one checkpoint, written beside nothing of the run."""
        model = self._made.model

        def write(folder: Path) -> None:
            save_consistency(model, folder, card="", metrics={})

        begun = time.monotonic()
        with suppress(OSError):
            save_step(self._scratch, 1, model, self._made.optimizer, write)
        return time.monotonic() - begun

    def _memory(self) -> int:
        """The most that was taken so far, of the GPU or of the machine, and the cells that a run keeps in memory."""
        if self._context.device.type == "cuda":
            return torch.cuda.max_memory_reserved(self._context.device)
        unit = 1 if sys.platform == "darwin" else 1024
        config = self._made.model.config
        cells = 2 * config.width * config.cell_grid**2 * len(self._lesson.images) if self._made.cells is not None else 0
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit + min(cells, MAX_REMEMBERED_BYTES)

    def _disk(self, num_to_encode: int) -> int:
        """Tokens, heatmaps, the checkpoints that are kept and one that is being written."""
        tokens = num_to_encode * bytes_of_tokens(self._made.model) if self._made.cells is not None else 0
        checkpoint = sum(path.stat().st_size for path in (self._scratch / "step_1").rglob("*") if path.is_file())
        heat = memory_bytes(self._training, len(self._lesson.images), len(self._lesson.told.class_ids))
        return tokens + heat + (NUM_KEPT + 2) * checkpoint
