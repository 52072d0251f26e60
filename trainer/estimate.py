"""A timed dry run: a few images through the tower and a few real steps tell how long the whole run would take.

Every part of a run is timed on a sample and multiplied, nothing is taken from a table: starting, encoding what no cache
holds, texts, steps, evaluations, checkpoints, and embedding the collection at the end.  What it writes, it writes into
a temporary folder; cache, checkpoints and results of the project stay as they are.
"""

import resource
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining, Embedding
from locstudio.jobs.token_cache import TokenCache
from locstudio.jobs.training_files import HeldOut
from locstudio.models.checkpoint import save_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset, ImageFilter, open_snapshot
from trainer.batches import batches_of, pixels_of
from trainer.checkpoint import NUM_KEPT, save_step
from trainer.context import RunContext
from trainer.data import ImageRegions, images_with_regions, steps_per_epoch
from trainer.device import describe_device, num_loading_threads, use_fast_products
from trainer.encoding import TEXT_BATCH, ImageFile, TokenSource, bytes_of_tokens, embed_texts
from trainer.gradient import gradient_of
from trainer.images import Unreadable
from trainer.index_filling import IndexFilling
from trainer.loop import StepMetrics
from trainer.optim import make_optimizer
from trainer.recipes.cloc_batch import ClocBatch
from trainer.recipes.cloc_lesson import Lesson, read_lesson
from trainer.recipes.cloc_loop import SAVE_EVERY
from trainer.recipes.cloc_measuring import HeldOutMeasure
from trainer.recipes.cloc_model import TrainedStep, can_keep, model_to_train, words_kept
from trainer.recipes.embed import MAX_PHRASES, embed_image
from trainer.recipes.keeping import Parent
from trainer.timing import process_age, times_of, typical
from trainer.tokens import MAX_REMEMBERED_BYTES, key_of
from trainer.training_step import LossDiverged, TrainingStep

NUM_IMAGES = 4
NUM_STEPS = 6
_NUM_PROPOSALS = Embedding().num_proposals
_BYTES_PER_ROW = 64
"""Of an index, beside the vector in half precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Seconds of every part of a run, as often as it comes."""

    start: float
    encoding: float
    texts: float
    steps: float
    evaluations: float
    saves: float
    embedding: float

    @property
    def total(self) -> float:
        """The whole run, from the click to its last word."""
        return self.start + self.encoding + self.texts + self.steps + self.evaluations + self.saves + self.embedding


def estimate(context: RunContext) -> bool:
    """Say ``Estimated``; True if it was stopped before it knew.

    Raises:
        BadInput: there is nothing to learn from.
    """
    with open_snapshot(context.folder.snapshot) as dataset, tempfile.TemporaryDirectory() as scratch:
        return _DryRun(context, dataset, Path(scratch)).run()


class _RememberingCache(TokenCache):
    """The project's tokens, and in memory those that the dry run makes; nothing is written."""

    def put(self, key: str, tokens_NC: NDArray[np.float16]) -> None:
        self._remember(key, tokens_NC)


class _DryRun:
    """One run as it would be, timed part by part."""

    def __init__(self, context: RunContext, dataset: Dataset, scratch: Path) -> None:
        self._start = process_age()
        begun = time.monotonic()
        self._context = context
        self._dataset = dataset
        self._scratch = scratch
        self._training = context.config.cloc or ClocTraining()
        use_fast_products(context.device)
        torch.manual_seed(context.config.seed)
        checkpoint = Path(context.config.checkpoint)
        self._model = model_to_train(checkpoint, self._training, str(context.device))
        model, folder = self._model, context.cache / "tokens" / checkpoint_info(checkpoint).id
        shape = (model.config.tower.num_tokens, model.config.token_width)
        self._cache = _RememberingCache(folder, shape, max_bytes=None, max_remembered_bytes=MAX_REMEMBERED_BYTES)
        self._is_frozen = self._training.is_tower_frozen
        self._source = TokenSource(model, self._cache if self._is_frozen else None, keeps=True)
        self._keeps = self._source.keeps_tokens
        self._text = 0.0
        self._lesson = read_lesson(dataset, self._training, context.config.seed, context.reporter.note)
        self._start += time.monotonic() - begun

    def run(self) -> bool:
        """Time the parts and say what they come to; True if it was stopped."""
        lesson, training = self._lesson, self._training
        self._context.reporter.started(
            device=describe_device(self._context.device),
            num_images=len(lesson.images),
            num_regions=lesson.num_regions,
            num_steps=training.num_steps,
            num_held_out=lesson.held_out.num_regions,
            steps_per_epoch=steps_per_epoch(len(lesson.images), training.batch_size),
        )
        num_images = self._dataset.count_images(ImageFilter())
        num_to_encode = sum(not self._is_known(work) for work in images_with_regions(self._dataset))
        found: dict[str, float] = {}
        self._text = self._time_text()
        for name, timed in (
            ("image", self._encode_image),
            ("step", self._step),
            ("evaluation", self._evaluation),
            ("save", self._save),
            ("embedded", self._embed_image),
        ):
            if self._context.should_stop():
                return True
            found[name] = timed()
            self._context.reporter.alive()
        # Where no tokens are kept, the whole collection is encoded at the end, and before that in the steps.
        num_encoded = num_to_encode / self._context.ranks.world if self._keeps else num_images
        costs = Costs(
            start=self._start,
            encoding=num_encoded * found["image"],
            texts=self._text * (len(_texts_of(lesson)) + self._num_index_texts()),
            steps=training.num_steps * found["step"],
            evaluations=self._num_evaluations() * found["evaluation"],
            saves=self._num_saves() * found["save"],
            embedding=num_images * found["embedded"],
        )
        self._context.reporter.estimated(
            seconds=round(costs.total, 1),
            seconds_per_step=round(found["step"], 4),
            num_images_to_encode=num_to_encode,
            memory_bytes=self._memory(),
            disk_bytes=self._disk(num_to_encode, num_images),
        )
        return False

    def _encode_image(self) -> float:
        """Seconds an image of the lesson that no cache holds takes; 0 where a run would encode none."""
        fresh = [image for image in self._lesson.images if not (self._keeps and self._is_known(image))]
        times = times_of(self._source.stream(fresh[: (NUM_IMAGES + 1) * self._source.batch_size]))
        return typical(times) / self._source.batch_size

    def _time_text(self) -> float:
        """Seconds that the text tower takes for one text among many."""
        texts = sorted(_texts_of(self._lesson))[:TEXT_BATCH]
        return typical(times_of(embed_texts(self._model, texts) for _ in range(2))) / max(1, len(texts))

    def _step(self) -> float:
        """Seconds of a step, on batches as large as the run's, of images whose tokens are at hand."""
        training, model = self._training, self._model
        size = min(training.batch_size, len(self._lesson.images))
        known = (image for image in self._lesson.images if image.phrases and self._is_readable(image))
        few = list(islice(known, size))
        images = [few[at % len(few)] for at in range(size)] if few else []
        if not images:
            return 0.0
        halves = TrainedStep(model, training, Parent(model) if can_keep(model, training) else None)
        halves.remember(few, self._context.reporter.alive)
        optimizer = make_optimizer(model, learning_rate=training.learning_rate, weight_decay=training.weight_decay)
        step: TrainingStep[ClocBatch] = TrainingStep(
            lambda batch: gradient_of(halves, batch, training.micro_batch),
            lambda batch: len(batch.captions),
            optimizer,
            lambda _: training.learning_rate / NUM_STEPS,
        )
        needs_pixels = not self._is_frozen or model.config.prompter.extractor == "crop"
        batches = batches_of(
            images,
            range(NUM_STEPS),
            batch_size=training.batch_size,
            num_regions=training.regions_per_image,
            seed=self._context.config.seed,
            tokens=self._source.tokens_of if self._is_frozen else None,
            preprocess=(lambda image: model.preprocess(pixels_of(image, model.input_px))) if needs_pixels else None,
            share=self._context.ranks.share_of,
            num_threads=num_loading_threads(model.device) if needs_pixels else 1,
            words=words_kept(model, training),
        )

        def done(batch: ClocBatch) -> StepMetrics:
            metrics = step(batch)
            self._context.reporter.alive()
            if model.device.type == "cuda":
                torch.cuda.synchronize(model.device)
            return metrics

        times: list[float] = []
        with suppress(LossDiverged):
            times = times_of(done(batch) for batch in batches)
        return typical(times)

    def _evaluation(self) -> float:
        """Seconds to measure all that is held out; what of it must be encoded first is counted elsewhere."""
        held_out = self._lesson.held_out
        if not held_out.num_regions:
            return 0.0
        few = HeldOut(split=held_out.split, image_ids=held_out.image_ids[:NUM_IMAGES], num_regions=1)
        measure = HeldOutMeasure(self._model, self._dataset, few, self._source, self._context.reporter.alive)
        for truth in measure.truths:
            list(self._source.stream(truth.images))
        in_images = typical(times_of(measure() for _ in range(2))) - self._text * _num_asked(measure)
        whole = HeldOutMeasure(self._model, self._dataset, held_out, self._source)
        return self._text * _num_asked(whole) + max(0.0, in_images) * len(whole.files) / max(1, len(measure.files))

    def _save(self) -> float:
        """Seconds of one checkpoint, written beside nothing of the run."""
        optimizer = make_optimizer(self._model, learning_rate=1e-3, weight_decay=0.0)
        torch.stack([value.sum() for value in self._model.parameters() if value.requires_grad]).sum().backward()
        optimizer.step()
        begun = time.monotonic()
        name = self._model.id
        save_step(
            self._scratch,
            1,
            self._model,
            optimizer,
            lambda folder: save_checkpoint(self._model, folder, card="", metrics={}),
        )
        self._model.id = name
        return time.monotonic() - begun

    def _embed_image(self) -> float:
        """Seconds to embed an image of the collection whose tokens are there."""
        works = (work for work in images_with_regions(self._dataset) if self._is_readable(work))
        filling = IndexFilling(self._scratch, self._model.id, self._model.dim)
        try:
            batches = self._source.stream(list(islice(works, NUM_IMAGES)))
            ready = [pair for batch in batches for pair in batch]
            times = times_of(
                embed_image(self._model, work, encoded, _NUM_PROPOSALS, filling)
                for work, encoded in ready
                if not isinstance(encoded, Unreadable)
            )
        finally:
            filling.close()
        return typical(times)

    def _is_known(self, file: ImageFile) -> bool:
        return is_known(self._cache, file)

    def _is_readable(self, file: ImageFile) -> bool:
        """True if its tokens are there; where none are kept, if its file is."""
        return file.path.is_file() and (not self._keeps or self._is_known(file))

    def _num_evaluations(self) -> int:
        return 1 + -(-self._training.num_steps // self._training.evaluate_every)

    def _num_saves(self) -> int:
        """Every so often, at the end, and, as a guess, at every second evaluation, when it is the best so far."""
        return 1 + self._training.num_steps // SAVE_EVERY + self._num_evaluations() // 2

    def _num_index_texts(self) -> int:
        return len(self._dataset.phrases(MAX_PHRASES)) + len(self._dataset.classes())

    def _memory(self) -> int:
        """The most that was taken so far, of the GPU or of the machine, and the tokens that a run keeps in memory."""
        if self._model.device.type == "cuda":
            return torch.cuda.max_memory_reserved(self._model.device)
        unit = 1 if sys.platform == "darwin" else 1024
        tokens = len(self._lesson.images) * bytes_of_tokens(self._model) if self._keeps else 0
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit + min(tokens, MAX_REMEMBERED_BYTES)

    def _disk(self, num_to_encode: int, num_images: int) -> int:
        """Tokens, the checkpoints that are kept and one that is being written, and the index."""
        tokens = num_to_encode * bytes_of_tokens(self._model) if self._keeps else 0
        checkpoint = sum(path.stat().st_size for path in (self._scratch / "step_1").rglob("*") if path.is_file())
        num_rows = self._dataset.count_regions() + num_images * _NUM_PROPOSALS
        return tokens + (NUM_KEPT + 2) * checkpoint + num_rows * (2 * self._model.dim + _BYTES_PER_ROW)


def is_known(cache: TokenCache, file: ImageFile) -> bool:
    """True if the tokens of an image are there, or if its file is gone, so that nothing can be encoded."""
    try:
        return cache.has(key_of(file.image, file.path))
    except OSError:
        return True


def seconds_to_embed(model: Cloc, dataset: Dataset, source: TokenSource, cache: TokenCache | None) -> float:
    """What embedding the collection will take, by a few images whose tokens are there and a few whose are not.

    ``cache`` is None where all must be encoded anew.
    """
    num: dict[bool, int] = {True: 0, False: 0}
    few: dict[bool, list[ImageRegions]] = {True: [], False: []}
    for work in images_with_regions(dataset):
        known = cache is not None and is_known(cache, work)
        num[known] += 1
        if len(few[known]) < NUM_IMAGES:
            few[known].append(work)
    total = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        filling = IndexFilling(Path(scratch), model.id, model.dim)
        try:
            for known, works in few.items():
                begun = time.monotonic()
                for batch in source.stream(works):
                    for work, encoded in batch:
                        if not isinstance(encoded, Unreadable):
                            embed_image(model, work, encoded, _NUM_PROPOSALS, filling)
                total += num[known] * (time.monotonic() - begun) / max(1, len(works))
        finally:
            filling.close()
    return total


def _num_asked(measure: HeldOutMeasure) -> int:
    """Texts that an evaluation encodes, all its tasks together."""
    return sum(len(truth.classes) * (truth.task == "regions") + len(truth.phrases) for truth in measure.truths)


def _texts_of(lesson: Lesson) -> set[str]:
    return {text for image in lesson.images for text in (*image.phrases, *image.captions)}
