"""From photos to the squares a model sees: plain and flipped photos, zooms, mosaics of photos of one thing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from locstudio.domain.geometry import BoxArray
from trainer.bundle.photos import Photo

PADDING = (124, 116, 104)
_MIN_VISIBLE = 0.5
_MIN_SIDE_PX = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is known of one square: boxes in the ``square`` frame and their words.

    ``source`` is the photo's name, ``places`` says which of the photo's boxes these are; of several photos it is empty.
    """

    source: str
    boxes_R4: BoxArray
    phrases: tuple[tuple[str, ...], ...]
    captions: tuple[str, ...]
    class_index: tuple[int, ...]
    is_exhaustive: bool
    places: tuple[int, ...] = ()


def plain(photo: Photo, side: int, *, is_flipped: bool = False) -> tuple[NDArray[np.uint8], Scene]:
    """The whole photo, long side to ``side``, padded."""
    height, width = photo.rgb.shape[:2]
    square, scene = _render(photo, (0.0, 0.0, float(width), float(height)), side, None)
    return flipped(square, scene) if is_flipped else (square, scene)


def zoomed(photo: Photo, side: int, random: np.random.Generator) -> tuple[NDArray[np.uint8], Scene]:
    """A random part of the photo, 0.4 to 1 of each side, in slightly other colours, flipped half of the time."""
    height, width = photo.rgb.shape[:2]
    share = random.uniform(0.4, 1.0)
    part_w = width * min(1.0, share * random.uniform(0.85, 1.2))
    part_h = height * min(1.0, share * random.uniform(0.85, 1.2))
    x0, y0 = random.uniform(0, width - part_w), random.uniform(0, height - part_h)
    square, scene = _render(photo, (x0, y0, x0 + part_w, y0 + part_h), side, random)
    return flipped(square, scene) if random.random() < 0.5 else (square, scene)


def mosaics(
    photos: Sequence[Photo], side: int, random: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint8], Scene]]:
    """Every photo once, several on a square: 1 to 4 tiles a side, each tile a photo at a random size and place."""
    order = list(random.permutation(len(photos)))
    while order:
        tiles = int(random.choice([1, 2, 3, 4], p=[0.1, 0.35, 0.4, 0.15]))
        chosen, order = order[: tiles * tiles], order[tiles * tiles :]
        yield _mosaic([photos[row] for row in chosen], tiles, side, random)


def composed(photos: Sequence[Photo], side: int, random: np.random.Generator) -> tuple[NDArray[np.uint8], Scene]:
    """Four photos, one a quarter, at 0.75 to 1 of its side; boxes below a thirty-second of the square are left out."""
    square = np.empty((side, side, 3), np.uint8)
    square[:] = PADDING
    cell = side // 2
    boxes, phrases, classes = [], [], []
    for place, photo in enumerate(photos):
        row, column = divmod(place, 2)
        tile, scene = plain(photo, int(cell * random.uniform(0.75, 1.0)))
        left, top = (int(start + random.integers(0, cell - len(tile) + 1)) for start in (column * cell, row * cell))
        square[top : top + len(tile), left : left + len(tile)] = tile
        moved = (scene.boxes_R4 * len(tile) + np.array([left, top, left, top], np.float32)) / side
        for region in np.flatnonzero((moved[:, 2:] - moved[:, :2]).max(axis=1, initial=0.0) >= 1 / 32):
            boxes.append(moved[region])
            phrases.append(scene.phrases[region])
            classes.append(scene.class_index[region])
    return square, Scene(
        source="+".join(photo.name for photo in photos),
        boxes_R4=np.array(boxes, np.float32).reshape(-1, 4),
        phrases=tuple(phrases),
        captions=(),
        class_index=tuple(classes),
        is_exhaustive=True,
    )


def flipped(square: NDArray[np.uint8], scene: Scene) -> tuple[NDArray[np.uint8], Scene]:
    """Left and right exchanged."""
    boxes = scene.boxes_R4.copy()
    boxes[:, [0, 2]] = 1.0 - boxes[:, [2, 0]]
    mirrored = replace(scene, boxes_R4=boxes)
    return np.ascontiguousarray(square[:, ::-1]), mirrored


def _render(
    photo: Photo, part: tuple[float, float, float, float], side: int, random: np.random.Generator | None
) -> tuple[NDArray[np.uint8], Scene]:
    x0, y0, x1, y1 = part
    scale = side / max(x1 - x0, y1 - y0)
    width, height = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    picture = Image.fromarray(photo.rgb).resize((width, height), Image.Resampling.BICUBIC, box=part)
    if random is not None:
        picture = _recoloured(picture, random)
    left, top = (side - width) // 2, (side - height) // 2
    square = np.empty((side, side, 3), np.uint8)
    square[:] = PADDING
    square[top : top + height, left : left + width] = np.asarray(picture)
    moved = (photo.boxes_R4 - np.array([x0, y0, x0, y0], np.float32)) * scale
    cut = np.clip(moved, 0, [width, height, width, height]).astype(np.float32)
    is_seen = (_area(cut) >= _MIN_VISIBLE * _area(moved)) & ((cut[:, 2:] - cut[:, :2]).min(axis=1, initial=side) >= 1.0)
    if random is not None:
        is_seen &= (cut[:, 2:] - cut[:, :2]).max(axis=1, initial=0.0) >= _MIN_SIDE_PX
    rows = np.flatnonzero(is_seen)
    boxes = (cut[rows] + np.array([left, top, left, top], np.float32)) / side
    return square, Scene(
        source=photo.name,
        boxes_R4=boxes.astype(np.float32),
        phrases=tuple(photo.phrases[row] for row in rows),
        captions=photo.captions,
        class_index=tuple(photo.class_index[row] for row in rows) if photo.class_index else (),
        is_exhaustive=photo.is_exhaustive,
        places=tuple(int(row) for row in rows),
    )


def _mosaic(
    photos: Sequence[Photo], tiles: int, side: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], Scene]:
    square = np.empty((side, side, 3), np.uint8)
    square[:] = random.integers(0, 256, 3) if random.random() < 0.5 else PADDING
    cell = side / tiles
    boxes = []
    for place, photo in enumerate(photos):
        row, column = divmod(place, tiles)
        height, width = photo.rgb.shape[:2]
        longest = cell * random.uniform(0.55, 1.0)
        tile_w = max(8, int(longest * width / max(width, height)))
        tile_h = max(8, int(longest * height / max(width, height)))
        left = int(column * cell + random.uniform(0, cell - tile_w))
        top = int(row * cell + random.uniform(0, cell - tile_h))
        picture = Image.fromarray(photo.rgb)
        if random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture = _recoloured(picture.resize((tile_w, tile_h), Image.Resampling.BICUBIC), random)
        square[top : top + tile_h, left : left + tile_w] = np.asarray(picture)
        boxes.append((left, top, left + tile_w, top + tile_h))
    single = (f"a photo of a {photos[0].phrases[0][0]}",) if len(photos) == 1 else ()
    return square, Scene(
        source=f"mosaic of {len(photos)}",
        boxes_R4=np.array(boxes, np.float32) / np.float32(side),
        phrases=tuple(photo.phrases[0] for photo in photos),
        captions=single,
        class_index=(),
        is_exhaustive=False,
    )


def _recoloured(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Color, ImageEnhance.Contrast):
        picture = enhance(picture).enhance(random.uniform(0.75, 1.25))
    return picture


def _area(boxes_N4: BoxArray) -> NDArray[np.float32]:
    return np.clip(boxes_N4[:, 2:] - boxes_N4[:, :2], 0, None).prod(axis=1)
