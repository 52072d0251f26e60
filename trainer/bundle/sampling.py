"""Batches from scenes.  Axes: B = scenes of a batch, M = regions of a scene at most, K = words for one region."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.bundle.features import TINTED, SceneSet, as_tensor
from trainer.bundle.scenes import Scene
from trainer.recipes.cloc_batch import ClocBatch

_USUAL_NAME = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How batches are drawn.

    Args:
        batch_size: Scenes a batch.
        num_regions: Regions a scene at most: twice the paper's M, since reading an image's tokens is what costs.
        mosaic_share: Share of mosaics in a batch.
        balance: Regions are drawn with a weight of their class's count to minus this power.
        jitter: Corners are moved by up to this share of the box's sides.
        has_all_names: Every usual name of the training data, without its tint, is a further negative in every batch.
    """

    batch_size: int = 16
    num_regions: int = 8
    mosaic_share: float = 0.3
    balance: float = 0.25
    jitter: float = 0.08
    has_all_names: bool = True


def batches(
    scenes: SceneSet,
    rows: Sequence[int],
    sampling: Sampling,
    *,
    num_steps: int,
    seed: int,
    crops: dict[int, NDArray[np.float16]] | None = None,
    teacher: dict[int, NDArray[np.float32]] | None = None,
) -> Iterator[ClocBatch]:
    """Batches of the chosen scenes; a pure function of its arguments.

    ``crops`` and ``teacher`` have a row for every box of a scene; ``teacher`` need not know every scene.
    """
    random = np.random.default_rng([seed, 17])
    photos = [row for row in rows if scenes.scenes[row].is_exhaustive and len(scenes.scenes[row].boxes_R4)]
    if crops is not None:
        photos = [row for row in photos if row in crops]
    tiles = [row for row in rows if not scenes.scenes[row].is_exhaustive]
    counts = Counter(words[0] for row in photos for words in scenes.scenes[row].phrases)
    named = [row for row in rows if scenes.scenes[row].source != TINTED]
    names = sorted({words[0] for row in named for words in scenes.scenes[row].phrases})
    names = names if sampling.has_all_names else []
    for _ in range(num_steps):
        num_tiles = round(sampling.batch_size * sampling.mosaic_share) if crops is None and tiles else 0
        chosen = np.concatenate(
            [random.choice(photos, sampling.batch_size - num_tiles), random.choice(tiles or [0], num_tiles)]
        ).astype(np.int64)
        yield _batch(scenes, chosen, sampling, counts, names, random, crops, teacher)


def _batch(
    scenes: SceneSet,
    chosen: NDArray[np.int64],
    sampling: Sampling,
    counts: Counter[str],
    names: list[str],
    random: np.random.Generator,
    crops: dict[int, NDArray[np.float16]] | None,
    teacher: dict[int, NDArray[np.float32]] | None,
) -> ClocBatch:
    num_scenes, num_regions = len(chosen), sampling.num_regions
    boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (num_scenes, num_regions, 1))
    valid = np.zeros((num_scenes, num_regions), bool)
    phrase = np.zeros((num_scenes, num_regions), np.int64)
    states = None if crops is None else np.zeros((num_scenes, num_regions, scenes.tokens_SNC.shape[2]), np.float32)
    taught = None
    if teacher is not None:
        width = next((known.shape[1] for known in teacher.values()), 1)
        taught = np.zeros((num_scenes, num_regions, width), np.float32)
    # A red bus is a bus: what a tinted thing is without its tint is no rival of it.
    untinted = {
        words[0].split(" ", 1)[1]
        for row in chosen
        if scenes.scenes[row].source == TINTED
        for words in scenes.scenes[row].phrases
    }
    position = {name: row for row, name in enumerate(name for name in names if name not in untinted)}
    captions = []
    for place, row in enumerate(chosen):
        scene = scenes.scenes[row]
        captions.append(str(random.choice(scene.captions)) if scene.captions else None)
        drawn = _draw_regions(scene, num_regions, sampling.balance, counts, random)
        for slot, region in enumerate(drawn):
            word = _word(scene.phrases[region], random)
            phrase[place, slot] = position.setdefault(word, len(position))
            boxes[place, slot] = _jittered(scene.boxes_R4[region], sampling.jitter if crops is None else 0.0, random)
            valid[place, slot] = True
            if states is not None and crops is not None:
                states[place, slot] = crops[int(row)][region]
            if taught is not None and teacher is not None and int(row) in teacher:
                taught[place, slot] = teacher[int(row)][region]
    return ClocBatch(
        boxes_BM4=torch.from_numpy(boxes),
        valid_BM=torch.from_numpy(valid),
        phrases=tuple(position),
        phrase_BM=torch.from_numpy(phrase),
        captions=tuple(captions),
        tokens_BND=as_tensor(scenes.tokens_SNC, chosen),
        teacher_boxes_BK4=None if taught is None else torch.from_numpy(boxes),
        teacher_BKE=None if taught is None else torch.from_numpy(taught),
        crop_states_BMC=None if states is None else torch.from_numpy(states),
    )


def _draw_regions(
    scene: Scene, limit: int, balance: float, counts: Counter[str], random: np.random.Generator
) -> NDArray[np.int64]:
    weights = np.array([max(1, counts[words[0]]) ** -balance for words in scene.phrases])
    return random.choice(len(weights), min(limit, len(weights)), replace=False, p=weights / weights.sum())


def _word(words: tuple[str, ...], random: np.random.Generator) -> str:
    if len(words) == 1 or random.random() < _USUAL_NAME:
        return words[0]
    return words[int(random.integers(1, len(words)))]


def _jittered(box: NDArray[np.float32], jitter: float, random: np.random.Generator) -> NDArray[np.float32]:
    sides = np.tile(box[2:] - box[:2], 2)
    moved = np.clip(box + random.uniform(-jitter, jitter, 4) * sides, 0.0, 1.0)
    return moved.astype(np.float32) if (moved[2:] - moved[:2]).min() > 1e-3 else box
