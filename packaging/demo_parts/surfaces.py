"""Surfaces near at hand, from above or at a slant: tables, boards, stone, leaves; and the bare hall."""

import numpy as np
from demo_parts.backdrops import Backdrop, bokeh, canvas, crop_of, tinted
from demo_parts.noise import Array, blur, fractal, mix, smoothstep


def showroom(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """A bare hall with a smooth floor."""
    tint = np.asarray(rng.choice([(0.90, 0.91, 0.93), (0.92, 0.90, 0.87), (0.80, 0.84, 0.88)]), np.float32)
    line = int(height * rng.uniform(0.42, 0.5))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    lamp = np.exp(-(((x / width - rng.uniform(0.35, 0.65)) / 0.42) ** 2) - ((y / height - 0.22) / 0.42) ** 2)
    wall = tint * (0.66 + 0.34 * lamp)[..., None]
    floor = tint * (0.50 + 0.32 * np.exp(-(((x / width - 0.5) / 0.6) ** 2)) - 0.12 * (y / height - 0.5))[..., None]
    rgb = mix(wall.astype(np.float32), floor.astype(np.float32), smoothstep(y, line - 3, line + 3))
    return Backdrop(
        rgb,
        line - height * 0.16,
        line + height * 0.10,
        height * 0.92,
        "in a bright hall",
        (1, 1, 1),
        (0.85, 0.86, 0.88),
        "",
        0.6,
    )


def planks(
    rng: np.random.Generator, width: int, height: int, colour: tuple[float, float, float], boards: float
) -> Array:
    """Boards of wood, side by side, grain along the width."""
    rgb = canvas(width, height)
    row = -rng.uniform(0, height / boards)
    while row < height:
        high = height / boards * rng.uniform(0.85, 1.15)
        first, last = max(0, int(row)), min(height, int(row + high))
        if last > first + 1:
            grain = fractal(rng, width, last - first, (1.5, 9), 6, 0.66)
            fine = fractal(rng, width, last - first, (6, 70), 3, 0.7)
            tone = rng.uniform(0.86, 1.10) * (0.76 + 0.30 * grain + 0.12 * fine)
            rgb[first:last] = np.asarray(colour, np.float32) * tone[..., None]
            seam = np.minimum(np.arange(last - first), np.arange(last - first)[::-1])[:, None]
            rgb[first:last] *= (1 - 0.55 * np.exp(-((seam / 1.6) ** 2)))[..., None].astype(np.float32)
        row += high
    return np.clip(rgb, 0, 1)


WOODS = [(0.62, 0.43, 0.27), (0.74, 0.58, 0.40), (0.46, 0.31, 0.20), (0.80, 0.74, 0.66), (0.40, 0.38, 0.37)]


def table(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """A wooden table before a blurred room or garden."""
    edge = int(height * rng.uniform(0.36, 0.46))
    name = str(rng.choice(["Garden", "TwoWings", "LadyBird", "FreshFlower", "Wood", "Wood"]))
    rgb = canvas(width, height)
    rgb[: edge + 4] = tinted(bokeh(rng, name, width, edge + 4, 30), (0.86, 0.86, 0.86), 0.7)
    wood = planks(rng, width, height, WOODS[int(rng.integers(0, 4))], 5)
    depth = (np.linspace(0, 1, height - edge) ** 1.5 * (height - 1)).astype(int)
    shade = np.linspace(1.08, 0.95, height - edge, dtype=np.float32)[:, None, None]
    rgb[edge:] = np.clip(wood[depth] * shade, 0, 1)
    rgb[edge - 3 : edge + 4] = blur(rgb[edge - 3 : edge + 4], 1.2)
    return Backdrop(
        rgb,
        -height * 0.10,
        edge + height * 0.16,
        height * 0.94,
        "on a wooden table",
        (1.03, 1.0, 0.95),
        (0.8, 0.78, 0.74),
        "",
        0.55,
        [f"{name}.jpg"],
    )


def boards(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Wooden boards from above."""
    rgb = planks(rng, width, height, WOODS[int(rng.integers(0, len(WOODS)))], float(rng.uniform(3.5, 5.5)))
    return flat(rng, rgb, "on wooden boards", [])


def stone(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """A pale photographed surface from above, in one of several tints."""
    tint = [(1.02, 1.0, 0.94), (0.72, 0.80, 0.86), (0.60, 0.60, 0.60), (0.98, 0.90, 0.78)][int(rng.integers(0, 4))]
    rgb = tinted(crop_of(rng, "Wood", width, height, (0.0, 0.25, 1, 1)), tint, 0.9)
    return flat(rng, rgb, "on a stone surface", ["Wood.jpg"])


def leaves(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Large leaves from above."""
    name = str(rng.choice(["RainDrops", "Blinds"]))
    rgb = tinted(
        crop_of(rng, name, width, height),
        [(1, 1, 1), (0.9, 0.95, 0.9), (1.04, 1.0, 0.8)][int(rng.integers(0, 3))],
        rng.uniform(0.7, 0.95),
    )
    return flat(rng, rgb, "on green leaves", [f"{name}.jpg"])


def flat(rng: np.random.Generator, rgb: Array, words: str, photos: list[str]) -> Backdrop:
    """A surface seen from above: uneven light, no horizon."""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = 1.06 - 0.22 * np.hypot(x / width - rng.uniform(0.2, 0.6), y / height - rng.uniform(0.1, 0.4))
    return Backdrop(
        np.clip(rgb * light[..., None], 0, 1), 0, 0, height, words, (1, 1, 0.98), (1, 1, 1), "", 0.55, photos
    )
