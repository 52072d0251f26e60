"""Images with all their classes known, and the tokens of cloc-lite for each, made once.

Folds are made before mosaics, and a mosaic's photos are all of one fold, so that a fold can be held out.
Axes: S = scenes, N = tokens (the global one first), D = token width, R = boxes, L = classes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray
from locstudio.models.cloc import Cloc
from trainer.bundle.photos import Photo, coco_photos, object_photos
from trainer.bundle.scenes import composed, plain

NUM_FOLDS = 5
NUM_CLASSES = 80
PER_MOSAIC = 4
_NUM_OBJECT_PHOTOS = 250
_SEED_OF_MOSAICS = 1201


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScene:
    """One image: its size in pixels, its boxes in the unit frame, the class of each; all that is there is named.

    ``fold`` is -1 for what is never trained on.
    """

    source: str
    size: tuple[int, int]
    boxes_R4: BoxArray
    class_index: tuple[int, ...]
    fold: int = -1

    @property
    def is_mosaic(self) -> bool:
        """True for four photos on a square."""
        return "+" in self.source


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSet:
    """Scenes with their tokens (S, N, D), float16, mapped from disk, and what is there (S, L)."""

    scenes: list[LabelledScene]
    tokens_SND: NDArray[np.float16]
    present_SL: NDArray[np.bool_]


Made = Iterator[tuple[NDArray[np.uint8], LabelledScene]]


def training_scenes(data: Path, side: int) -> Made:
    """The photos of coco_train, then as many mosaics: every photo is in four of them."""
    photos = sorted(coco_photos(data, "train"), key=lambda photo: photo.name)
    random = np.random.default_rng(_SEED_OF_MOSAICS)
    for row, photo in enumerate(photos):
        yield _photo(photo, side, row % NUM_FOLDS)
    for fold in range(NUM_FOLDS):
        own = photos[fold::NUM_FOLDS]
        order = np.concatenate([random.permutation(len(own)) for _ in range(PER_MOSAIC)])
        for start in range(0, len(order), PER_MOSAIC):
            yield _mosaic([own[row] for row in order[start : start + PER_MOSAIC]], side, random, fold)


def dev_scenes(data: Path, side: int) -> Made:
    """The photos of coco_dev."""
    for photo in coco_photos(data, "dev"):
        yield _photo(photo, side, -1)


def object_scenes(data: Path, side: int) -> Made:
    """Photos of one thing each, for the reduction alone; none of the 80 classes is said of them."""
    photos = object_photos(data, per_caltech_class=0, per_tiny_class=0, seed=3)
    for photo in islice(photos, 0, None, max(1, len(photos) // _NUM_OBJECT_PHOTOS)):
        square, _ = plain(photo, side)
        height, width = photo.rgb.shape[:2]
        yield square, LabelledScene(photo.name, (width, height), np.zeros((0, 4), np.float32), ())


def encoded_scenes(cloc: Cloc, made: Made, path: Path, say: Callable[[str], None]) -> LabelledSet:
    """Run the tower over every scene, or read the tokens that an earlier call with the same path has left."""
    shape = (cloc.config.tower.num_tokens, cloc.config.token_width)
    is_known = path.exists()
    scenes: list[LabelledScene] = []
    begun = time.process_time()
    partial = path.with_suffix(".partial")
    if not is_known:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            for square, scene in made:
                with torch.inference_mode():
                    tokens_ND = cloc.encode_image(cloc.preprocess(square)[None])[0]
                file.write(tokens_ND.half().numpy().tobytes())
                scenes.append(scene)
                if len(scenes) % 50 == 0:
                    say(f"{path.name}: {len(scenes)} scenes, {time.process_time() - begun:.0f} CPU s")
        partial.rename(path)
    else:
        scenes = [scene for _, scene in made]
    tokens_SND = np.memmap(path, np.float16, "r", shape=(len(scenes), *shape))
    return LabelledSet(scenes, tokens_SND, presence(scenes))


def presence(scenes: Sequence[LabelledScene]) -> NDArray[np.bool_]:
    """Which classes each scene shows (S, L)."""
    present_SL = np.zeros((len(scenes), NUM_CLASSES), np.bool_)
    for row, scene in enumerate(scenes):
        present_SL[row, list(scene.class_index)] = True
    return present_SL


def single_positives(present_SL: NDArray[np.bool_], seed: int) -> NDArray[np.int8]:
    """What is told of each scene (S, L): 1 for one class drawn from those that are there, -1 (nothing) for all others.

    Source: the protocol of Cole et al. (arXiv:2106.09708), numpy's RandomState from 1200.
    """
    random = np.random.RandomState(1200 + seed)
    told_SL = np.full(present_SL.shape, -1, np.int8)
    for row, present_L in enumerate(present_SL):
        if present_L.any():
            told_SL[row, random.choice(np.flatnonzero(present_L))] = 1
    return told_SL


def _photo(photo: Photo, side: int, fold: int) -> tuple[NDArray[np.uint8], LabelledScene]:
    square, _ = plain(photo, side)
    height, width = photo.rgb.shape[:2]
    boxes_R4 = np.clip(photo.boxes_R4 / np.array([width, height] * 2, np.float32), 0, 1).astype(np.float32)
    return square, LabelledScene(photo.name, (width, height), boxes_R4, photo.class_index, fold)


def _mosaic(
    photos: Sequence[Photo], side: int, random: np.random.Generator, fold: int
) -> tuple[NDArray[np.uint8], LabelledScene]:
    square, scene = composed(photos, side, random)
    return square, LabelledScene(scene.source, (side, side), scene.boxes_R4, scene.class_index, fold)
