"""Textures from nothing: fractal noise, and its projection onto a ground plane.  Arrays are float32, rows first."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Array: TypeAlias = NDArray[np.floating[Any]]


def resize(array: Array, width: int, height: int) -> Array:
    """Bicubic resampling of a plane (H, W) or a picture (H, W, C)."""
    if array.ndim == 3:
        return np.stack([resize(array[..., c], width, height) for c in range(array.shape[2])], axis=2)
    picture = Image.fromarray(array).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.float32)


def blur(array: Array, radius: float) -> Array:
    """Gaussian blur of a plane or a picture by repeated box blurs; ``radius`` in pixels."""
    if radius <= 0.2:
        return array
    if array.ndim == 3:
        return np.stack([blur(array[..., c], radius) for c in range(array.shape[2])], axis=2)
    height, width = array.shape
    if radius > 3 and min(height, width) > 12:
        # A wide blur has no detail to lose: work on a smaller copy.
        factor = min(radius / 1.5, min(height, width) / 6)
        small = Image.fromarray(array).resize((round(width / factor), round(height / factor)), Image.Resampling.BOX)
        return resize(blur(np.asarray(small, np.float32), radius / factor), width, height)
    reach = max(1, int(np.ceil(2.5 * radius)))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    out = array
    for axis in (0, 1):
        padded = np.pad(out, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        total = np.zeros_like(out)
        for number, weight in enumerate(weights):
            total += weight * (padded[number : number + height] if axis == 0 else padded[:, number : number + width])
        out = total
    return out


def fractal(
    rng: np.random.Generator, width: int, height: int, cells: tuple[float, float], octaves: int = 5, decay: float = 0.5
) -> Array:
    """Fractal noise in [0, 1]; ``cells`` are those of the coarsest octave across the width and the height."""
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for octave in range(octaves):
        columns = max(2, min(width, round(cells[0] * 2**octave)))
        rows = max(2, min(height, round(cells[1] * 2**octave)))
        total += weight * resize(rng.random((rows, columns), np.float32), width, height)
        weight *= decay
    low, high = np.percentile(total, [1, 99])
    out: Array = np.clip((total - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    return out


def ridge(rng: np.random.Generator, width: int, cells: float, octaves: int = 5) -> Array:
    """A line of heights in [0, 1] over ``width`` columns: hills, waves of sand, tops of trees."""
    out: Array = fractal(rng, width, 2, (cells, 2), octaves)[0]
    return out


def plane(tile: Array, width: int, height: int, rise: float, zoom: float, stretch: float = 1.0) -> Array:
    """Lay a square noise tile on the ground and look at it; far rows take blurred levels of the tile.

    Args:
        tile: Plane (N, N), repeated by mirroring.
        width, height: Of the strip of ground, in pixels.
        rise: Rows between the horizon and the strip's first row (at least 1).
        zoom: Tile pixels per picture pixel in the last row.
        stretch: How much longer the pattern is sideways than towards the viewer.
    """
    size = tile.shape[0]
    levels = [tile]
    for step in range(1, 6):
        levels.append(blur(tile, 2.0 ** (step - 1)))
    depth = (height + rise) / (np.arange(height, dtype=np.float32) + rise)
    u = (np.arange(width, dtype=np.float32) - width * 0.5)[None, :] * (depth * zoom)[:, None] / stretch + size * 0.37
    v = np.broadcast_to((depth * zoom * (height + rise) * 1.2)[:, None], u.shape)
    column = mirrored(u.astype(np.int64), size)
    row = mirrored(v.astype(np.int64), size)
    level = np.clip(np.log2(np.maximum(depth * zoom, 1)) + 0.5, 0, 5).astype(np.int64)
    out: Array = np.stack(levels)[level[:, None], row, column]
    return out


def mirrored(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Indices folded back and forth into [0, size)."""
    folded = np.mod(index, 2 * size)
    return np.where(folded < size, folded, 2 * size - 1 - folded)


def grain_tile(seed: int, size: int = 1024, coarse: float = 0.5) -> Array:
    """A tile of fine grain with some larger patches; ``coarse`` is the share of the patches."""
    rng = np.random.default_rng(seed)
    fine = blur(rng.random((size, size), np.float32), 0.8)
    fine = (fine - fine.mean()) / fine.std()
    patches = fractal(rng, size, size, (6, 6), 6) - 0.5
    out: Array = ((1 - coarse) * fine * 0.25 + coarse * patches * 2).astype(np.float32)
    return out


def smoothstep(value: Array, low: float, high: float) -> Array:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    out: Array = (t * t * (3 - 2 * t)).astype(np.float32)
    return out


def mix(first: Array, second: Array, share: Array | float) -> Array:
    """``first`` where the share is 0, ``second`` where it is 1; a plane of shares is spread over the colours."""
    if isinstance(share, np.ndarray) and share.ndim == 2 and max(first.ndim, second.ndim) == 3:
        share = share[..., None]
    return (first * (1 - share) + second * share).astype(np.float32)


def to_picture(rgb: Array) -> Image.Image:
    """An 8-bit picture of values in [0, 1]."""
    return Image.fromarray((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8))


def sharpen(rgb: Array, percent: int) -> Array:
    """Unsharp mask for cut-outs that were enlarged."""
    sharp = to_picture(rgb).filter(ImageFilter.UnsharpMask(radius=1.4, percent=percent, threshold=1))
    return np.asarray(sharp, np.float32) / 255
