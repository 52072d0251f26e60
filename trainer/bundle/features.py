"""Tokens of every scene, made once and kept in half precision.

Axes: S = scenes, N = tokens, C = token width, R = boxes, F = features of the tower.
"""

import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstudio.models.cloc import Cloc
from locstudio.models.extractors import crop_pixels
from locstudio.models.prompter import box_weights
from trainer.bundle.colours import tinted_photos
from trainer.bundle.photos import Photo, coco_photos, object_photos
from trainer.bundle.scenes import Scene, mosaics, plain, zoomed

_WHITENING = 0.5
_RANDOM_BOXES = 24
_MOSAICS_FOR_BASIS = 60
_NUM_TINTED = 1500
CROP_PX = 256
TINTED = "tinted mosaic"


@dataclass(frozen=True, slots=True, eq=False)
class SceneSet:
    """Scenes with their tokens (S, N, C), float16, mapped from disk."""

    scenes: list[Scene]
    tokens_SNC: "NDArray[np.float16] | Joined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is made of the data; the second preset is for a try."""

    num_zooms: int = 4
    per_caltech_class: int = 8
    per_tiny_class: int = 6
    num_photos: int = 10_000


def fit_reduction(model: Cloc, data: Path, amount: Amount) -> None:
    """Set the model's reduction of tokens: principal components of averages over boxes, half whitened.

    Averages over true and random boxes of coco_train and over tiles of mosaics; single tokens are noisier, and their
    components name boxes worse (0.544 against 0.554 top-1 at 512 components under a linear map).
    """
    assert isinstance(model.reduce, torch.nn.Linear)
    random = np.random.default_rng(1)
    averages = []
    grid = round((model.config.tower.num_tokens - 1) ** 0.5)
    for square, scene in _basis_scenes(data, model.input_px, amount, random):
        with torch.inference_mode():
            tokens = model.towers.image_tokens(model.preprocess(square)[None])[0, 1:]
        boxes = np.concatenate([scene.boxes_R4, random_boxes(_RANDOM_BOXES, random)])
        averages.append(box_weights(torch.from_numpy(boxes)[None], grid)[0] @ tokens)
    features_RF = torch.cat(averages)
    mean_F, spread_F = features_RF.mean(dim=0), features_RF.std(dim=0) + 1e-3
    _, strength, basis = torch.linalg.svd((features_RF - mean_F) / spread_F, full_matrices=False)
    width = model.config.token_width
    strength = strength[:width] / len(features_RF) ** 0.5
    weight_CF = basis[:width] / strength[:, None] ** _WHITENING / spread_F
    with torch.no_grad():
        model.reduce.weight.copy_(weight_CF)
        model.reduce.bias.copy_(-weight_CF @ mean_F)


def random_boxes(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Boxes of log-uniform sides (0.05 to 1) anywhere in the square."""
    sides = np.exp(random.uniform(np.log(0.05), 0.0, (count, 2)))
    low = random.uniform(0, 1 - sides)
    return np.concatenate([low, low + sides], axis=1).astype(np.float32)


def training_set(model: Cloc, data: Path, amount: Amount, folder: Path, say: Callable[[str], None]) -> SceneSet:
    """Every training scene: coco_train plain, flipped and zoomed, then mosaics of photos of one thing."""

    def made() -> Iterator[tuple[NDArray[np.uint8], Scene]]:
        random = np.random.default_rng(2)
        for photo in _some(coco_photos(data, "train"), amount):
            yield plain(photo, model.input_px)
            yield plain(photo, model.input_px, is_flipped=True)
            for _ in range(amount.num_zooms):
                yield zoomed(photo, model.input_px, random)
        yield from mosaics(_object_photos(data, amount), model.input_px, random)

    return encoded(model, made(), folder / "training", say)


def dev_set(model: Cloc, data: Path, folder: Path, say: Callable[[str], None]) -> SceneSet:
    """coco_dev, plain; never trained on."""
    return encoded(model, (plain(photo, model.input_px) for photo in coco_photos(data, "dev")), folder / "dev", say)


def colour_set(model: Cloc, data: Path, amount: Amount, folder: Path, say: Callable[[str], None]) -> SceneSet:
    """Mosaics of photos of one thing, tinted in a colour and called by it: further training scenes of some arms."""

    def made() -> Iterator[tuple[NDArray[np.uint8], Scene]]:
        random = np.random.default_rng(41)
        photos = tinted_photos(_object_photos(data, amount), _NUM_TINTED, random)
        for square, scene in mosaics(photos, model.input_px, random):
            yield square, replace(scene, source=TINTED)

    return encoded(model, made(), folder / "training-colours", say)


def crop_states(
    model: Cloc, made: Iterator[tuple[int, NDArray[np.uint8], Scene]], path: Path, say: Callable[[str], None]
) -> dict[int, NDArray[np.float16]]:
    """What the tower says of every box's crop, for each scene by its row; read where an earlier call has kept it."""
    if not path.exists():
        found = {}
        for row, square, scene in made:
            boxes = torch.from_numpy(scene.boxes_R4)[None]
            with torch.inference_mode():
                crops = crop_pixels(model.preprocess(square)[None], boxes, CROP_PX)[0]
                found[row] = model.crop_states(crops).half().numpy()
        say(f"{path.stem}: crops of {len(found)} scenes")
        path.write_bytes(pickle.dumps(found))
    return pickle.loads(path.read_bytes())  # our own file of a minute ago, in a scratch folder


def plain_scenes(data: Path, split: str, side: int, amount: Amount) -> Iterator[tuple[int, NDArray[np.uint8], Scene]]:
    """The plain scenes of coco_train or coco_dev, each with its row in ``training_set`` or ``dev_set``."""
    photos = coco_photos(data, split)
    stride = 2 + amount.num_zooms if split == "train" else 1
    for position, photo in enumerate(_some(photos, amount) if split == "train" else photos):
        yield position * stride, *plain(photo, side)


def encoded(
    model: Cloc, made: Iterator[tuple[NDArray[np.uint8], Scene]], path: Path, say: Callable[[str], None]
) -> SceneSet:
    """Encode scenes one by one, or read what an earlier call with the same folder made."""
    listing, matrix = path.with_suffix(".pickle"), path.with_suffix(".f16")
    shape = (model.config.tower.num_tokens, model.config.token_width)
    if not listing.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        scenes, begun = [], time.monotonic()
        with open(matrix, "wb") as file:
            for square, scene in made:
                with torch.inference_mode():
                    tokens_NC = model.encode_image(model.preprocess(square)[None])[0]
                file.write(tokens_NC.half().numpy().tobytes())
                scenes.append(scene)
                if len(scenes) % 200 == 0:
                    say(f"{path.name}: {len(scenes)} scenes, {time.monotonic() - begun:.0f} s")
        listing.write_bytes(pickle.dumps(scenes))
    scenes = pickle.loads(listing.read_bytes())  # our own file of a minute ago, in a scratch folder
    return SceneSet(scenes, np.memmap(matrix, np.float16, "r", shape=(len(scenes), *shape)))


def _basis_scenes(
    data: Path, side: int, amount: Amount, random: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint8], Scene]]:
    for photo in _some(coco_photos(data, "train"), amount):
        yield plain(photo, side)
    for row, made in enumerate(mosaics(_object_photos(data, amount), side, random)):
        if row == _MOSAICS_FOR_BASIS:
            return
        yield made


def _object_photos(data: Path, amount: Amount) -> list[Photo]:
    photos = object_photos(
        data, per_caltech_class=amount.per_caltech_class, per_tiny_class=amount.per_tiny_class, seed=3
    )
    return photos[: amount.num_photos]


def _some(photos: Iterator[Photo], amount: Amount) -> Iterator[Photo]:
    for row, photo in enumerate(photos):
        if row >= amount.num_photos:
            return
        yield photo


class Joined:
    """Tokens of two sets, one after the other, each left where it lies."""

    def __init__(self, first_SNC: NDArray[np.float16], second_SNC: NDArray[np.float16]) -> None:
        self._parts = first_SNC, second_SNC
        self.shape = (len(first_SNC) + len(second_SNC), *first_SNC.shape[1:])

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """The tokens of these scenes."""
        first, second = self._parts
        return np.stack([first[row] if row < len(first) else second[row - len(first)] for row in rows])


def joined(first: SceneSet, second: SceneSet) -> SceneSet:
    """The scenes of both."""
    assert isinstance(first.tokens_SNC, np.ndarray)
    assert isinstance(second.tokens_SNC, np.ndarray)
    return SceneSet([*first.scenes, *second.scenes], Joined(first.tokens_SNC, second.tokens_SNC))


def as_tensor(tokens_SNC: "NDArray[np.float16] | Joined", rows: NDArray[np.int64]) -> Tensor:
    """Tokens of some scenes as float32."""
    return torch.from_numpy(np.array(tokens_SNC[rows])).float()
