"""Fill an index: every region of the collection, and proposals where nobody has drawn one.

Axes: N = tokens, D = embedding width, R = regions of an image, P = its proposals.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from locstudio.domain.geometry import BoxArray, Letterbox
from locstudio.jobs.configs import Embedding
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset, ImageFilter, open_snapshot
from trainer.context import RunContext
from trainer.data import ImageRegions, images_with_regions
from trainer.device import describe_device
from trainer.encoding import Encoded, TokenSource, cache_of, embed_texts
from trainer.hooks import ReportProgress
from trainer.images import Unreadable
from trainer.index_filling import IndexFilling, KnownRows, Vectors
from trainer.loop import Hook, LoopEnd, StepMetrics, run_loop
from trainer.tokens import key_of

MAX_PHRASES = 50_000
SMALLEST_SIDE = 1 / 512


def embed(context: RunContext) -> bool:
    """The recipe: fill ``results/index``; True if it was stopped before the end."""
    embedding = context.config.embed or Embedding()
    model = load_checkpoint(Path(context.config.checkpoint), device=str(context.device))
    with open_snapshot(context.folder.snapshot) as dataset:
        num_images = dataset.count_images(ImageFilter())
        context.reporter.started(
            device=describe_device(context.device),
            num_images=num_images,
            num_regions=dataset.count_regions(),
            num_steps=num_images,
        )
        report = ReportProgress(context.reporter, num_images)
        return fill_index(context, dataset, model, embedding, report)


def fill_index(context: RunContext, dataset: Dataset, model: Cloc, embedding: Embedding, report: Hook) -> bool:
    """Embed every image of the dataset into ``results/index``; True if it was stopped before the end.

    ``report`` is told the number of images done, also of those that an earlier part of the run did.
    """
    filling = IndexFilling(context.folder.results, model.id, model.dim)
    known = KnownRows(Path(embedding.known), model.id) if embedding.known else None
    try:
        end = _embed_images(context, dataset, model, embedding, filling, known, report)
        if end.was_stopped:
            filling.commit()
            return True
        texts = _vocabulary(dataset)
        vectors = known.vectors_of(texts) if known else {}
        new = [text for text in texts if text not in vectors]
        vectors |= dict(zip(new, embed_texts(model, new, context.reporter.alive).cpu().numpy(), strict=True))
        filling.finish(texts, np.array([vectors[text] for text in texts], np.float32).reshape(-1, model.dim))
    finally:
        filling.close()
        if known is not None:
            known.close()
    return False


def _embed_images(
    context: RunContext,
    dataset: Dataset,
    model: Cloc,
    embedding: Embedding,
    filling: IndexFilling,
    known: KnownRows | None,
    report: Hook,
) -> LoopEnd:
    num_done = 0

    def left_to_do() -> Iterator[ImageRegions]:
        nonlocal num_done
        for work in images_with_regions(dataset):
            if filling.is_done(work.image.id) or _take_over(work, known, filling):
                num_done += 1
            else:
                yield work

    def step(batch: list[tuple[ImageRegions, Encoded | Unreadable]]) -> StepMetrics:
        nonlocal num_done
        for work, encoded in batch:
            if isinstance(encoded, Unreadable):
                context.reporter.note(encoded.sentence)
            else:
                embed_image(model, work, encoded, embedding.num_proposals, filling)
        num_done += len(batch)
        return StepMetrics(len(batch))

    tokens = cache_of(model, context.cache, remembers=False)
    source = TokenSource(model, tokens, keeps=False)
    return run_loop(
        source.stream(left_to_do()),
        step,
        [lambda _, metrics: report(num_done, metrics)],
        should_stop=context.should_stop,
    )


@torch.inference_mode()
def embed_image(model: Cloc, work: ImageRegions, encoded: Encoded, num_proposals: int, filling: IndexFilling) -> None:
    """Embed the regions and proposals of one image and put them into the index."""
    letterbox = Letterbox(work.image.width, work.image.height)
    boxes_R4 = np.array([region.box.as_tuple() for region in work.regions], np.float32).reshape(-1, 4)
    prepared = model.prepare(encoded.tokens, encoded.pixels)
    proposed_P4 = np.zeros((0, 4), np.float32)
    if num_proposals:
        proposed_P4 = _unit_proposals(model.propose(prepared, num_proposals)[0], letterbox)
    square = letterbox.to_square(np.concatenate([boxes_R4, proposed_P4]))
    vectors: Vectors = np.zeros((0, model.dim), np.float32)
    if len(square):
        vectors = model.embed_boxes(prepared, torch.from_numpy(square)).float().cpu().numpy()
    num_regions = len(boxes_R4)
    key = key_of(work.image, work.path)
    filling.put(work.image.id, key, work.regions, vectors[:num_regions], proposed_P4, vectors[num_regions:])


def _unit_proposals(square_P4: Tensor, letterbox: Letterbox) -> BoxArray:
    """Proposals in the ``unit`` frame; those that lie in the padding are left out."""
    unit_P4 = letterbox.to_unit(square_P4.float().cpu().numpy().reshape(-1, 4))
    sides = unit_P4[:, 2:] - unit_P4[:, :2]
    return unit_P4[(sides > SMALLEST_SIDE).all(axis=1)]


def _take_over(work: ImageRegions, known: KnownRows | None, filling: IndexFilling) -> bool:
    """Copy the rows of an unchanged image; False if it must be embedded."""
    if known is None:
        return False
    try:
        key = key_of(work.image, work.path)
    except OSError:
        return False
    rows = known.rows_of(work.image.id, key, work.regions)
    if rows is None:
        return False
    filling.put(work.image.id, key, work.regions, *rows)
    return True


def _vocabulary(dataset: Dataset) -> list[str]:
    """The collection's distinct phrases, most used first, and the names of its classes."""
    phrases = [phrase for phrase, _ in dataset.phrases(MAX_PHRASES)]
    names = [label.name for label in dataset.classes() if not label.is_retired]
    return [text for text in dict.fromkeys(phrases + names) if text.strip()]
