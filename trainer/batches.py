"""Training batches, made a little ahead of the step that wants them.  Axes: B = images, M = regions of one at most."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstudio.domain.errors import BadInput
from trainer.data import Draw, TrainingImage, draws_of_step
from trainer.images import Unreadable, load_pixels, loaded_ahead
from trainer.recipes.cloc_batch import ClocBatch

NUM_BATCHES_AHEAD = 3
NUM_KEPT = 8


def batches_of(
    images: Sequence[TrainingImage],
    steps: range,
    *,
    batch_size: int,
    num_regions: int,
    seed: int,
    tokens: Callable[[TrainingImage], NDArray[np.float16]] | None,
    preprocess: Callable[[TrainingImage], Tensor] | None,
    share: Callable[[Sequence[Draw]], Sequence[Draw]] = lambda draws: draws,
    num_threads: int = 1,
    words: Sequence[str] = (),
) -> Iterator[ClocBatch]:
    """The batch of every step, in order.

    Args:
        images: What is learnt from.
        steps: Numbers of the steps; a batch follows from its number and ``seed`` alone.
        batch_size: Images of a batch at most.
        num_regions: Regions of an image at most.
        seed: Of the run.
        tokens: Tokens (N, D) of an image, when they are what the step sees.
        preprocess: Pixels (3, H, W) of an image, when they are.
        share: What of a batch is the work of this process.
        num_threads: Batches that are made at the same time.
        words: With boxes anywhere, what the model is held to its parent on; nothing is where there are none.
    """

    def load(step: int) -> ClocBatch:
        num_kept = NUM_KEPT if words else 0
        drawn = draws_of_step(
            images, step, batch_size=batch_size, num_regions=num_regions, seed=seed, num_kept=num_kept
        )
        draws = share(drawn)
        chosen = [images[draw.position] for draw in draws]
        return assemble(
            images,
            draws,
            tokens_BND=None if tokens is None else torch.from_numpy(np.stack([tokens(image) for image in chosen])),
            pixels_B3HW=None if preprocess is None else torch.stack([preprocess(image) for image in chosen]),
            words=words,
        )

    num_ahead = max(NUM_BATCHES_AHEAD, num_threads + 1)
    for _, batch in loaded_ahead(steps, load, num_threads=num_threads, num_ahead=num_ahead):
        yield batch


def assemble(
    images: Sequence[TrainingImage],
    draws: Sequence[Draw],
    *,
    tokens_BND: Tensor | None = None,
    pixels_B3HW: Tensor | None = None,
    words: Sequence[str] = (),
) -> ClocBatch:
    """One batch of what was drawn: regions padded to the longest draw, each phrase once."""
    num_regions = max(1, max(len(draw.regions) for draw in draws))
    boxes_BM4 = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(len(draws), num_regions, 1)
    valid_BM = torch.zeros(len(draws), num_regions, dtype=torch.bool)
    phrase_BM = torch.zeros(len(draws), num_regions, dtype=torch.int64)
    weight_BM = torch.ones(len(draws), num_regions)
    row_of: dict[str, int] = {}
    for at, draw in enumerate(draws):
        image = images[draw.position]
        for place, (region, by_name) in enumerate(zip(draw.regions.tolist(), draw.by_name.tolist(), strict=True)):
            boxes_BM4[at, place] = torch.from_numpy(image.boxes_R4[region])
            valid_BM[at, place] = True
            weight_BM[at, place] = image.weights[region] if image.weights else 1.0
            phrase_BM[at, place] = row_of.setdefault(image.words_for(region, by_name=by_name), len(row_of))
    return ClocBatch(
        boxes_BM4=boxes_BM4,
        valid_BM=valid_BM,
        phrases=tuple(row_of),
        phrase_BM=phrase_BM,
        captions=tuple(images[d.position].captions[d.caption] if d.caption >= 0 else None for d in draws),
        tokens_BND=tokens_BND,
        pixels_B3HW=pixels_B3HW,
        kept_boxes_BK4=torch.from_numpy(np.stack([draw.kept_K4 for draw in draws])) if words else None,
        kept_words=tuple(tuple(words[int(share * len(words))] for share in draw.words_K) for draw in draws)
        if words
        else (),
        weight_BM=weight_BM,
    )


def pixels_of(image: TrainingImage, side: int) -> NDArray[np.uint8]:
    """The padded square of an image.

    Raises:
        BadInput: it can no longer be read.
    """
    square = load_pixels(image.path, side)
    if isinstance(square, Unreadable):
        raise BadInput(f"{square.sentence} The run needs it; put the file back and resume the run.")
    return square
