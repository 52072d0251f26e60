"""What the places of the demo are made of: sky, hills, grass, sand and water, partly photographed, partly synthesised.

Photographs come from Debian's ``mate-backgrounds`` (nature/, GPL-2+); the CC-BY-SA pictures of that package are not
used, since their licence cannot be joined with the GPL-2 of the cut-outs.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from demo_parts.noise import Array, blur, fractal, grain_tile, mirrored, mix, plane, resize, ridge, smoothstep
from PIL import Image, ImageOps

PHOTO_FOLDER = Path("/usr/share/backgrounds/mate/nature")
Colour = tuple[float, float, float]


@dataclass(slots=True)
class Backdrop:
    """An empty place, ready for objects.

    Attributes:
        rgb: Picture (H, W, 3) in [0, 1].
        horizon: Row of the eye's height; the scale of standing things grows linearly below it.
        top, bottom: Rows between which things may stand.
        words: Where this is, as the end of a caption.
        light: Factor per colour channel for everything in this light.
        haze: Colour into which far things fade.
        cover: What hides the feet: "", "grass", "water", "snow".
        shadow: Strength of shadows, 0 to 1.
        photos: File names of the photographs that went into it.
    """

    rgb: Array
    horizon: float
    top: float
    bottom: float
    words: str
    light: Colour = (1.0, 1.0, 1.0)
    haze: Colour = (0.8, 0.86, 0.92)
    cover: str = ""
    shadow: float = 0.5
    photos: list[str] = field(default_factory=list)


@cache
def photo(name: str) -> Array:
    """A photograph of the package at no more than 1,600 pixels width."""
    with Image.open(PHOTO_FOLDER / f"{name}.jpg") as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    if picture.width > 1600:
        picture = picture.resize((1600, round(picture.height * 1600 / picture.width)), Image.Resampling.LANCZOS)
    return np.asarray(picture, np.float32) / 255


def crop_of(
    rng: np.random.Generator, name: str, width: int, height: int, window: tuple[float, ...] = (0, 0, 1, 1)
) -> Array:
    """A random, perhaps mirrored crop out of a window (x0, y0, x1, y1 in shares) of a photograph."""
    full = photo(name)
    x0, y0, x1, y1 = (round(s * n) for s, n in zip(window, (full.shape[1], full.shape[0]) * 2, strict=True))
    full = full[y0:y1, x0:x1]
    largest = min(full.shape[1] / width, full.shape[0] / height)
    zoom = largest * rng.uniform(0.78, 1.0)
    columns, rows = int(width * zoom), int(height * zoom)
    left = int(rng.integers(0, full.shape[1] - columns + 1))
    top = int(rng.integers(0, full.shape[0] - rows + 1))
    part = full[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return resize(np.ascontiguousarray(part), width, height)


def bokeh(rng: np.random.Generator, name: str, width: int, height: int, radius: float = 26) -> Array:
    """A photograph far out of focus."""
    return blur(crop_of(rng, name, width, height), radius)


def tinted(rgb: Array, colour: Colour, saturation: float = 1.0) -> Array:
    """Multiply by a colour, after changing the saturation."""
    grey = rgb.mean(axis=2, keepdims=True)
    out: Array = np.clip((grey + (rgb - grey) * saturation) * np.asarray(colour, np.float32), 0, 1).astype(np.float32)
    return out


SKIES: dict[str, tuple[Colour, Colour, float]] = {
    "noon": ((0.23, 0.47, 0.80), (0.78, 0.88, 0.96), 0.50),
    "soft": ((0.45, 0.62, 0.82), (0.88, 0.92, 0.95), 0.62),
    "evening": ((0.33, 0.42, 0.66), (0.98, 0.80, 0.60), 0.46),
    "grey": ((0.60, 0.66, 0.72), (0.86, 0.88, 0.90), 0.72),
    "clear": ((0.16, 0.42, 0.78), (0.70, 0.85, 0.96), 0.28),
}


def sky(rng: np.random.Generator, width: int, height: int, mood: str) -> Array:
    """Blue above, pale below, with clouds that flatten towards the horizon."""
    high, low, cloudiness = SKIES[mood]
    fall = (np.linspace(0, 1, height, dtype=np.float32) ** 0.8)[:, None]
    rgb = mix(
        np.asarray(high, np.float32)[None, None, :],
        np.asarray(low, np.float32)[None, None, :],
        np.repeat(fall, width, 1),
    )
    canvas = fractal(rng, width, max(height, 8) * 2, (2.2, 5), 7, 0.56)
    rows = (np.linspace(0.02, 1, height) ** 0.6 * (canvas.shape[0] - 1)).astype(int)
    density = smoothstep(canvas[rows], 0.98 - cloudiness, 1.27 - cloudiness * 0.75)
    shade = np.clip(0.80 + 0.24 * (canvas[rows] - np.roll(canvas, 14, axis=0)[rows]) * 4, 0.72, 1.03)
    cloud = np.asarray(low, np.float32)[None, None, :] * 0.35 + 0.65 * shade[..., None]
    rgb = mix(rgb, cloud.astype(np.float32), density * 0.9 * (1 - 0.5 * fall))
    return np.clip(rgb, 0, 1)


def hills(rng: np.random.Generator, rgb: Array, horizon: int, colours: list[Colour], height: float) -> None:
    """Draw chains of wooded hills behind the horizon, the farthest first."""
    width = rgb.shape[1]
    for number, colour in enumerate(colours):
        share = (len(colours) - number) / len(colours)
        top = horizon - height * (0.25 + 0.75 * share) * (0.3 + 0.7 * ridge(rng, width, 2.5 + number, 4))
        top -= height * 0.10 * (1 - share * 0.6) * ridge(rng, width, 70, 3)
        rows = np.arange(rgb.shape[0], dtype=np.float32)[:, None]
        inside = np.clip(rows - top[None, :], 0, 1) * (rows < horizon + 6)
        texture = 0.88 + 0.24 * fractal(rng, width, rgb.shape[0], (60, 60), 3)
        paint = np.asarray(colour, np.float32) * texture[..., None]
        paint = mix(paint, np.asarray((0.80, 0.87, 0.92), np.float32) * np.ones_like(paint), 0.45 * share)
        rgb[:] = mix(rgb, paint.astype(np.float32), inside.astype(np.float32))


GRASSES: dict[str, tuple[Colour, float, str]] = {
    "green": ((0.84, 0.90, 0.86), 0.80, "in a green meadow"),
    "spring": ((0.96, 0.94, 0.80), 0.86, "on fresh spring grass"),
    "dry": ((1.42, 0.98, 0.78), 0.62, "in dry grass"),
    "savanna": ((1.55, 1.02, 0.72), 0.66, "on the savanna"),
    "autumn": ((1.30, 0.86, 0.66), 0.62, "on an autumn meadow"),
    "dark": ((0.58, 0.66, 0.60), 0.74, "on the forest floor"),
}


def grass(rng: np.random.Generator, rgb: Array, start: int, horizon: float, kind: str, haze: Colour) -> None:
    """Fill the picture from row ``start`` down with rows of photographed grass, near ones over far ones."""
    height, width = rgb.shape[:2]
    colour, saturation, _ = GRASSES[kind]
    source = tinted(photo("GreenMeadow"), colour, saturation)
    source = source * 0.75 + source.mean(axis=(0, 1)) * 0.25
    levels = [source, *(halved(source, 2**power) for power in range(1, 5))]
    mean = source.mean(axis=(0, 1))
    row, rows = float(start), np.arange(height, dtype=np.float32)[:, None]
    while row < height:
        near = (row - horizon) / (height - horizon)
        scale = 0.06 + 0.50 * near
        tall = max(4.0, 74 * scale)
        first = max(0, int(row - tall * 0.6))
        last = min(height, int(row + tall * 2.2) + 2)
        level = max(0, min(4, int(np.log2(0.5 / scale) + 1)))
        near_source = levels[level]
        columns = mirrored(
            (np.arange(int(width / scale / 2**level) + 2) + int(rng.integers(0, 1280))).astype(np.int64),
            near_source.shape[1],
        )
        lines = min(near_source.shape[0] - 1, int((last - first) / scale / 2**level) + 2)
        begin = int(rng.integers(0, near_source.shape[0] - lines))
        patch = resize(np.ascontiguousarray(near_source[begin : begin + lines][:, columns]), width, last - first)
        patch = patch * (0.80 + 0.20 * near + 0.16 * (ridge(rng, width, 5, 3)[None, :, None] - 0.5))
        patch = mix(patch, np.asarray(haze, np.float32) * 0.55 + mean * 0.45, 0.60 * (1 - near) ** 2)
        spikes = row - tall * 0.55 * blades(rng, width, max(1.2, 7 * scale))
        mask = smoothstep(rows[first:last] - spikes[None, :], -0.5, max(1.5, tall * 0.35))
        rgb[first:last] = mix(rgb[first:last], patch.astype(np.float32), mask)
        row += max(2.0, tall * 0.40)


def halved(rgb: Array, factor: int) -> Array:
    """The picture at a fraction of its size, every pixel the mean of those it replaces."""
    rows, columns = rgb.shape[0] // factor, rgb.shape[1] // factor
    cut = rgb[: rows * factor, : columns * factor]
    out: Array = cut.reshape(rows, factor, columns, factor, 3).mean(axis=(1, 3)).astype(np.float32)
    return out


def blades(rng: np.random.Generator, width: int, pitch: float) -> Array:
    """Heights in [0, 1] of a row of pointed blades, ``pitch`` pixels apart."""
    x = np.arange(width, dtype=np.float32)
    out = np.zeros(width, np.float32)
    for _ in range(2):
        phase = x / pitch + 2.5 * ridge(rng, width, 6, 3) + rng.uniform(0, 1)
        cell = np.floor(phase).astype(np.int64)
        tall = rng.random(int(cell.max()) + 2, np.float32)[cell]
        out = np.maximum(out, (1 - np.abs(2 * (phase - cell) - 1)) * tall)
    return out


def ground(
    rng: np.random.Generator, rgb: Array, start: int, horizon: float, colour: Colour, rough: float, **look: float
) -> None:
    """Fill the picture from row ``start`` down with sand, earth, snow or tarmac."""
    height, width = rgb.shape[:2]
    strip = height - start
    tile = grain_tile(int(rng.integers(1, 5)), coarse=look.get("coarse", 0.5))
    pattern = plane(tile, width, strip, max(2.0, start - horizon), look.get("zoom", 1.0), look.get("stretch", 1.6))
    light = np.linspace(look.get("far", 1.0), 1.0, strip, dtype=np.float32)[:, None]
    paint = np.asarray(colour, np.float32) * ((1 + rough * pattern) * light)[..., None]
    edge = smoothstep(np.arange(strip, dtype=np.float32)[:, None] * np.ones((1, width), np.float32), -1, 2)
    rgb[start:] = mix(rgb[start:], np.clip(paint, 0, 1).astype(np.float32), edge)


def water(
    rng: np.random.Generator,
    rgb: Array,
    start: int,
    stop: int,
    horizon: float,
    deep: Colour,
    pale: Colour,
    look: float = 0.18,
) -> None:
    """Fill rows with water that mirrors a pale sky near the horizon and darkens towards the viewer."""
    height, width = rgb.shape[:2]
    strip = stop - start
    tile = fractal(np.random.default_rng(int(rng.integers(1, 4))), 1024, 1024, (24, 60), 5, 0.62) - 0.5
    whole = height - start
    waves = plane(tile, width, whole, max(2.0, start - horizon), 0.9, 2.4)[:strip]
    near = (np.arange(strip, dtype=np.float32) / max(whole, 1))[:, None] ** 0.55
    base = mix(
        np.asarray(pale, np.float32)[None, None, :],
        np.asarray(deep, np.float32)[None, None, :],
        np.repeat(near, width, 1),
    )
    glint = smoothstep(waves, 0.18, 0.42)[..., None] * look * (0.5 + near[..., None])
    paint = base * (1 + 0.42 * waves[..., None] * (0.35 + near[..., None])) + glint * np.asarray(pale, np.float32)
    rgb[start:stop] = np.clip(paint, 0, 1)


def soften(rgb: Array, row: int, reach: int, radius: float) -> None:
    """Put the rows above and around ``row`` out of focus, sharpening downwards over ``reach`` rows."""
    stop = min(rgb.shape[0], row + 2 * reach)
    part = rgb[:stop]
    share = 1 - smoothstep(
        np.arange(stop, dtype=np.float32)[:, None] * np.ones((1, rgb.shape[1]), np.float32), row, stop
    )
    rgb[:stop] = mix(part, blur(part, radius), share)


def canvas(width: int, height: int) -> Array:
    """An empty picture."""
    return np.zeros((height, width, 3), np.float32)
