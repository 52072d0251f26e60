"""Regions by their identities as tiles.  Reads the dataset: call it on a worker."""

import math
from collections.abc import Callable, Sequence

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.store.view import DatasetView
from locstudio.ui.search.hits_model import HitItem

MAX_SHOWN = 600
_WHOLE = UnitBox(0.0, 0.0, 1.0, 1.0)

Caption = Callable[[Region | None, Image], tuple[str, float]]
"""What a tile says below its picture, and the score on it; NaN for none."""


def items_of(
    dataset: DatasetView, region_ids: Sequence[int | None], image_ids: Sequence[int], caption: Caption
) -> tuple[HitItem, ...]:
    """Tiles of the first regions; None stands for a whole image.  What is no longer in the dataset is left out."""
    region_ids, image_ids = region_ids[:MAX_SHOWN], image_ids[:MAX_SHOWN]
    images = {image.id: image for image in dataset.images(sorted(set(image_ids)))}
    regions = {region.id: region for region in dataset.regions([i for i in region_ids if i is not None])}
    items = []
    for region_id, image_id in zip(region_ids, image_ids, strict=True):
        image = images.get(image_id)
        region = None if region_id is None else regions.get(region_id)
        if image is None or (region_id is not None and region is None):
            continue
        words, score = caption(region, image)
        items.append(HitItem.of(image, region.box if region else _WHOLE, score, words, region_id))
    return tuple(items)


def named_by_itself(region: Region | None, image: Image) -> tuple[str, float]:
    """A region under its phrase, an image under its name."""
    return (region.phrase if region else image.name), math.nan


def tile_of(region: Region, image: Image, words: str) -> HitItem:
    """A region as it once was, in its image."""
    return HitItem.of(image, region.box, math.nan, words, region.id)
