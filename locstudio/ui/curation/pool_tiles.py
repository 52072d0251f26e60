"""Rows of the pool as tiles of a sheet.  Reads the dataset: call it on a worker."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import UnitBox
from locstudio.services.curation.pool import Pool
from locstudio.store.view import DatasetView
from locstudio.ui.search.hits_model import HitItem

MAX_TILES = 20_000
"""More than a person looks through at once; what is left comes when these are done."""

Rows = NDArray[np.int64]


def tiles_of(
    dataset: DatasetView, pool: Pool, rows: Rows, scores: NDArray[np.floating] | Sequence[float] | None = None
) -> tuple[tuple[HitItem, ...], Rows]:
    """Tiles of the first rows, each with its score, and the rows that they stand for.

    ``scores`` are shown instead of the pool's.  What is no longer there is left out.
    """
    rows = rows[:MAX_TILES]
    shown = pool.scores[rows] if scores is None else np.asarray(scores)[:MAX_TILES]
    images = {image.id: image for image in dataset.images(np.unique(pool.image_ids[rows]).tolist())}
    image_ids, boxes = pool.image_ids[rows].tolist(), pool.boxes[rows].tolist()
    region_ids, names = pool.region_ids[rows].tolist(), names_of(pool, rows)
    is_there = pool.is_there[rows].tolist()
    tiles, kept = [], []
    for number, score in enumerate(shown.tolist()):
        image = images.get(image_ids[number])
        if image is None or not is_there[number]:
            continue
        box = UnitBox(*boxes[number])
        tiles.append(HitItem.of(image, box, score, names[number], region_ids[number] or None))
        kept.append(number)
    return tuple(tiles), rows[kept]


def names_of(pool: Pool, rows: Rows) -> list[str]:
    """What rows are said to be: their phrase, else their class."""
    phrases, classes = pool.phrase_rows[rows].tolist(), pool.class_ids[rows].tolist()
    return [
        pool.phrases[phrase] or pool.class_name(class_id) for phrase, class_id in zip(phrases, classes, strict=True)
    ]


def tile_of(dataset: DatasetView, pool: Pool, row: int, name: str = "") -> HitItem | None:
    """One row, without a score, under another name where one is given; None where its image is gone."""
    image = dataset.image(int(pool.image_ids[row]))
    if image is None:
        return None
    words = name or names_of(pool, np.array([row]))[0]
    return HitItem.of(image, UnitBox(*pool.boxes[row].tolist()), math.nan, words, int(pool.region_ids[row]) or None)
