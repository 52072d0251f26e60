"""One function per kind of place; each takes a random generator and a size and returns a `Backdrop`."""

from collections.abc import Callable

import numpy as np
from demo_parts.backdrops import (
    GRASSES,
    SKIES,
    Backdrop,
    bokeh,
    canvas,
    crop_of,
    grass,
    ground,
    hills,
    sky,
    soften,
    tinted,
    water,
)
from demo_parts.noise import Array, blur, fractal, mix, ridge, smoothstep

Place = Callable[[np.random.Generator, int, int], Backdrop]


def lit(mood: str) -> tuple[float, float, float]:
    """The colour of the light under a sky."""
    return {"evening": (1.07, 0.98, 0.86), "grey": (0.94, 0.96, 0.98), "noon": (1.03, 1.01, 0.97)}.get(
        mood, (1.0, 1.0, 1.0)
    )


def open_land(rng: np.random.Generator, width: int, height: int, kind: str, moods: list[str]) -> Backdrop:
    """Sky, hills and a field of grass of one of the kinds."""
    mood = str(rng.choice(moods))
    rgb = canvas(width, height)
    horizon = int(height * rng.uniform(0.26, 0.42))
    rgb[: horizon + 8] = sky(rng, width, horizon + 8, mood)
    wooded = (
        [(0.36, 0.48, 0.46), (0.24, 0.38, 0.26)]
        if kind in ("green", "spring")
        else [(0.50, 0.50, 0.46), (0.46, 0.40, 0.26)]
    )
    hills(rng, rgb, horizon + 4, wooded, height * rng.uniform(0.06, 0.20))
    haze = SKIES[mood][1]
    grass(rng, rgb, horizon + 2, horizon - height * 0.02, kind, haze)
    return Backdrop(
        rgb,
        horizon,
        horizon + height * 0.10,
        height * 0.96,
        GRASSES[kind][2],
        lit(mood),
        haze,
        "grass",
        0.45,
        ["GreenMeadow.jpg"],
    )


def meadow(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Farmland."""
    kind = str(rng.choice(["green", "spring", "green", "autumn"]))
    return open_land(rng, width, height, kind, ["noon", "soft", "clear", "grey", "evening", "soft"])


def savanna(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Tall dry grass under a warm sky."""
    return open_land(rng, width, height, str(rng.choice(["savanna", "dry"])), ["evening", "soft", "noon"])


def dune_grass(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """The photographed grass at the sea."""
    rgb = tinted(crop_of(rng, "Dune", width, height, (0, 0.05, 1, 1)), (1, 1, 1), rng.uniform(0.8, 1.0))
    return Backdrop(
        rgb,
        height * 0.40,
        height * 0.70,
        height * 0.95,
        "in tall grass by the sea",
        (1.06, 1.0, 0.88),
        (0.7, 0.8, 0.88),
        "tall",
        0.35,
        ["Dune.jpg"],
    )


def desert(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Dunes of sand."""
    mood = str(rng.choice(["clear", "evening", "soft"]))
    rgb = canvas(width, height)
    horizon = int(height * rng.uniform(0.34, 0.42))
    rgb[: horizon + 8] = sky(rng, width, horizon + 8, mood)
    sand = (0.86, 0.70, 0.48)
    for number in range(3):
        line = horizon + 4 - height * (0.10 - 0.035 * number) * ridge(rng, width, 1.8 + number, 3)
        rows = np.arange(height, dtype=np.float32)[:, None]
        shade = 0.82 + 0.09 * number + 0.10 * (ridge(rng, width, 3, 2)[None, :] - 0.5)
        paint = np.asarray(sand, np.float32) * np.repeat(shade, height, 0)[..., None]
        rgb = mix(rgb, paint.astype(np.float32), np.clip(rows - line[None, :], 0, 1).astype(np.float32))
    ground(rng, rgb, horizon + 6, horizon - 8, sand, 0.16, coarse=0.62, zoom=0.8, stretch=2.6, far=0.98)
    return Backdrop(
        rgb,
        horizon,
        horizon + height * 0.10,
        height * 0.94,
        "in the desert",
        (1.06, 1.0, 0.88),
        SKIES[mood][1],
        "",
        0.55,
    )


def forest(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """A clearing before blurred leaves and trunks."""
    rgb = canvas(width, height)
    horizon = int(height * rng.uniform(0.36, 0.44))
    name = str(rng.choice(["RainDrops", "LadyBird", "Blinds"]))
    back = tinted(bokeh(rng, name, width, horizon + 10, 20), (0.62, 0.72, 0.56), 0.7)
    glow = fractal(rng, width, horizon + 10, (5, 3), 3)[..., None]
    back = back * (0.55 + 0.75 * glow)
    columns = np.arange(width, dtype=np.float32)
    for _ in range(int(rng.integers(7, 13))):
        centre, half = rng.uniform(0, width), rng.uniform(0.006, 0.022) * width
        wobble = half * 0.5 * np.asarray(ridge(rng, horizon + 10, 2, 2))[:, None]
        inside = smoothstep(half - np.abs(columns[None, :] - centre + wobble), -2.5, 2.5)
        round_light = 0.75 + 0.5 * np.clip((columns[None, :] - centre) / half, -1, 1)
        bark = np.asarray((0.22, 0.18, 0.13), np.float32) * (round_light * rng.uniform(0.8, 1.5))[..., None]
        back = mix(back, (bark * np.ones_like(back)).astype(np.float32), inside * rng.uniform(0.6, 0.95))
    rgb[: horizon + 10] = blur(back, 2.2)
    kind = str(rng.choice(["dark", "dark", "autumn"]))
    grass(rng, rgb, horizon + 2, horizon - height * 0.05, kind, (0.35, 0.42, 0.30))
    soften(rgb, horizon + 4, int(height * 0.07), 3.5)
    words = "in a forest clearing" if kind == "dark" else "in an autumn forest"
    return Backdrop(
        rgb,
        horizon,
        horizon + height * 0.12,
        height * 0.95,
        words,
        (0.88, 0.92, 0.84),
        (0.36, 0.42, 0.32),
        "grass",
        0.5,
        [f"{name}.jpg", "GreenMeadow.jpg"],
    )


def garden(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """A lawn before flower beds that are far out of focus."""
    rgb = canvas(width, height)
    horizon = int(height * rng.uniform(0.34, 0.46))
    name = str(rng.choice(["Garden", "LadyBird", "TwoWings", "RainDrops"]))
    rgb[: horizon + 10] = tinted(bokeh(rng, name, width, horizon + 10, 22), (0.95, 0.98, 0.95), 0.85)
    grass(rng, rgb, horizon + 2, horizon - height * 0.06, str(rng.choice(["green", "spring"])), (0.62, 0.70, 0.50))
    soften(rgb, horizon + 4, int(height * 0.08), 5)
    return Backdrop(
        rgb,
        horizon - height * 0.12,
        horizon + height * 0.14,
        height * 0.95,
        "in a garden",
        (1.0, 1.0, 0.96),
        (0.6, 0.68, 0.5),
        "grass",
        0.45,
        [f"{name}.jpg", "GreenMeadow.jpg"],
    )


def snow(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Snow and a cold sky, sometimes with a strip of sea."""
    mood = str(rng.choice(["clear", "soft", "grey"]))
    rgb = canvas(width, height)
    horizon = int(height * rng.uniform(0.32, 0.40))
    rgb[: horizon + 8] = sky(rng, width, horizon + 8, mood)
    hills(rng, rgb, horizon + 3, [(0.74, 0.80, 0.88), (0.88, 0.91, 0.96)], height * rng.uniform(0.10, 0.18))
    start = horizon
    if rng.random() < 0.5:
        start = int(horizon + height * 0.06)
        water(rng, rgb, horizon, start + 2, horizon - 6, (0.30, 0.44, 0.56), (0.62, 0.74, 0.82))
    ground(rng, rgb, start, horizon - 10, (0.90, 0.93, 0.97), 0.055, coarse=0.85, zoom=0.7, stretch=2.0, far=0.97)
    return Backdrop(
        rgb,
        horizon,
        start + height * 0.09,
        height * 0.94,
        "in the snow",
        (0.96, 0.99, 1.05),
        SKIES[mood][1],
        "snow",
        0.34,
    )


def beach(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Sky, a strip of sea, and sand."""
    mood = str(rng.choice(["clear", "noon", "soft", "evening"]))
    rgb = canvas(width, height)
    horizon = int(height * rng.uniform(0.32, 0.40))
    rgb[: horizon + 8] = sky(rng, width, horizon + 8, mood)
    shore = int(horizon + height * rng.uniform(0.09, 0.14))
    water(rng, rgb, horizon, shore + 2, horizon - 6, (0.16, 0.46, 0.56), SKIES[mood][1])
    below = canvas(width, height)
    ground(rng, below, horizon, horizon - 12, (0.88, 0.78, 0.60), 0.15, coarse=0.5, zoom=1.0, stretch=1.5)
    rows = np.arange(height, dtype=np.float32)[:, None]
    line = shore + height * 0.020 * (ridge(rng, width, 3, 3) - 0.5)[None, :]
    wet = smoothstep(rows - line, 0, height * 0.07)
    rgb = mix(rgb, below * (0.72 + 0.28 * wet)[..., None], smoothstep(rows - line, -1, 1.5))
    foam = np.exp(-(((rows - line + 2) / 2.6) ** 2)) * (0.4 + 0.6 * ridge(rng, width, 40, 3)[None, :])
    rgb = mix(rgb, np.ones_like(rgb) * 0.97, foam.astype(np.float32))
    return Backdrop(
        rgb, horizon, shore + height * 0.08, height * 0.94, "on a sandy beach", lit(mood), SKIES[mood][1], "", 0.5
    )


def sea(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Open water under the sky."""
    mood = str(rng.choice(["clear", "noon", "soft", "evening", "grey"]))
    rgb = canvas(width, height)
    horizon = int(height * rng.uniform(0.44, 0.54))
    rgb[: horizon + 8] = sky(rng, width, horizon + 8, mood)
    if rng.random() < 0.5:
        hills(rng, rgb, horizon + 1, [(0.50, 0.58, 0.64)], height * 0.06)
    deep = (0.10, 0.32, 0.46) if mood != "grey" else (0.26, 0.34, 0.40)
    water(rng, rgb, horizon, height, horizon - 5, deep, SKIES[mood][1])
    return Backdrop(
        rgb, horizon, horizon + height * 0.10, height * 0.92, "at sea", lit(mood), SKIES[mood][1], "water", 0.0
    )


def pond(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Still water before a green bank."""
    rgb = canvas(width, height)
    horizon = int(height * rng.uniform(0.20, 0.26))
    name = str(rng.choice(["RainDrops", "LadyBird", "Blinds"]))
    rgb[: horizon + 40] = tinted(bokeh(rng, name, width, horizon + 40, 18), (0.74, 0.80, 0.70), 0.75)
    bank = int(height * 0.34)
    grass(rng, rgb, horizon + 2, horizon - height * 0.1, "green", (0.45, 0.56, 0.36))
    soften(rgb, horizon + 4, int(height * 0.05), 4)
    mirror = blur(np.ascontiguousarray(rgb[: bank + 1][::-1]), 5)
    surface = canvas(width, height)
    water(rng, surface, 0, height, -60, (0.16, 0.30, 0.29), (0.44, 0.56, 0.48), 0.05)
    surface = blur(surface, 0.8)
    rows = np.arange(height, dtype=np.float32)[:, None]
    line = bank + height * 0.014 * (ridge(rng, width, 4, 4) - 0.5)[None, :]
    fade = np.zeros((height, width), np.float32)
    reflected = surface.copy()
    depth = min(height - bank, bank + 1)
    reflected[bank : bank + depth] = mirror[:depth]
    fade[bank : bank + depth] = np.linspace(0.62, 0.1, depth, dtype=np.float32)[:, None]
    surface = mix(surface, reflected, fade)
    rgb = mix(rgb, surface, smoothstep(rows - line, -1, 2))
    return Backdrop(
        rgb,
        horizon,
        bank + height * 0.14,
        height * 0.92,
        "on a pond",
        (0.97, 1.0, 0.95),
        (0.5, 0.58, 0.46),
        "water",
        0.0,
        [f"{name}.jpg", "GreenMeadow.jpg"],
    )


def underwater(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Blue water with rays of light above a sandy ground."""
    top, low = (
        ((0.42, 0.80, 0.86), (0.03, 0.22, 0.42)) if rng.random() < 0.5 else ((0.36, 0.72, 0.90), (0.02, 0.16, 0.40))
    )
    fall = np.repeat((np.linspace(0, 1, height, dtype=np.float32) ** 0.7)[:, None], width, 1)
    rgb = mix(np.asarray(top, np.float32)[None, None, :], np.asarray(low, np.float32)[None, None, :], fall)
    lean = np.arange(height, dtype=np.float32)[:, None] * rng.uniform(-0.35, 0.35)
    pattern = ridge(rng, width * 3, 36, 3)
    spread = (np.arange(width, dtype=np.float32)[None, :] - width / 2) * (1 - 0.25 * fall) + width * 1.5 + lean
    rays = pattern[np.clip(spread.astype(int), 0, width * 3 - 1)]
    rgb = np.clip(
        rgb
        + (smoothstep(blur(rays, 4), 0.5, 1.0) * (1 - fall) ** 1.3 * 0.22)[..., None]
        * np.asarray((0.8, 1, 1), np.float32),
        0,
        1,
    )
    start = int(height * rng.uniform(0.80, 0.88))
    floor = rgb.copy()
    ground(rng, floor, start - 30, start - 120, (0.46, 0.62, 0.60), 0.22, coarse=0.6, zoom=0.8, stretch=1.8)
    rows = np.arange(height, dtype=np.float32)[:, None]
    line = start + height * 0.05 * (ridge(rng, width, 3, 3) - 0.5)[None, :]
    rgb = mix(rgb, mix(floor, rgb, 0.35), smoothstep(rows - line, -10, 26))
    motes = (rng.random((height, width)) > 0.99985).astype(np.float32)
    rgb = np.clip(rgb + (blur(motes, 1.0) * 3)[..., None], 0, 1)
    return Backdrop(rgb, 0, height * 0.10, height * 0.88, "under water", (0.78, 0.97, 1.06), low, "", 0.0)


def road(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """A country road seen from its side."""
    back = open_land(
        rng, width, height, str(rng.choice(["green", "spring", "dry"])), ["noon", "soft", "clear", "grey", "evening"]
    )
    rgb = back.rgb
    start = int(back.horizon + height * rng.uniform(0.15, 0.20))
    tarmac = canvas(width, height)
    ground(
        rng,
        tarmac,
        start - 4,
        back.horizon - height * 0.10,
        (0.37, 0.37, 0.39),
        0.16,
        coarse=0.25,
        zoom=1.1,
        stretch=1.2,
        far=1.12,
    )
    rows = np.arange(height, dtype=np.float32)[:, None] * np.ones((1, width), np.float32)
    columns = np.arange(width, dtype=np.float32)[None, :]
    stop = height * 0.985

    def stripe(row: float, half: float) -> Array:
        return smoothstep(half - np.abs(rows - row), -0.8, 0.8)

    worn = 0.72 + 0.28 * fractal(rng, width, height, (60, 60), 3)
    white = np.ones_like(tarmac) * np.asarray((0.90, 0.89, 0.85), np.float32)
    middle = start + (stop - start) * 0.46
    dashes = smoothstep(np.sin((columns + rng.uniform(0, 300)) / width * 26).astype(np.float32), 0.0, 0.08)
    for row, half, there in ((start + 7, 1.6, 1.0), (middle, 3.2, dashes), (stop - 14, 5.0, 1.0)):
        tarmac = mix(tarmac, white, (stripe(row, half) * there * worn * 0.85).astype(np.float32))
    edge = start + height * 0.008 * (ridge(rng, width, 30, 4) - 0.5)[None, :]
    mask = smoothstep(rows - edge, -1.5, 1.5) * (1 - smoothstep(rows, stop, stop + 3))
    rgb[:] = mix(rgb, tarmac, mask)
    return Backdrop(
        rgb,
        back.horizon - height * 0.04,
        start + height * 0.10,
        stop - 18,
        "on a country road",
        back.light,
        back.haze,
        "",
        0.62,
        back.photos,
    )


def storm_road(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """The photographed road under a stormy sky."""
    rgb = np.clip(crop_of(rng, "Storm", width, height, (0, 0.1, 1, 1)) * rng.uniform(1.15, 1.4), 0, 1).astype(
        np.float32
    )
    return Backdrop(
        rgb,
        height * 0.50,
        height * 0.84,
        height * 0.96,
        "on a road under a stormy sky",
        (0.84, 0.88, 0.98),
        (0.45, 0.48, 0.56),
        "",
        0.6,
        ["Storm.jpg"],
    )


def high_sky(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Mostly sky, with land far below."""
    mood = str(rng.choice(["noon", "clear", "soft", "evening"]))
    rgb = canvas(width, height)
    horizon = int(height * rng.uniform(0.84, 0.90))
    rgb[: horizon + 8] = sky(rng, width, horizon + 8, mood)
    hills(rng, rgb, horizon + 4, [(0.44, 0.54, 0.56), (0.30, 0.44, 0.34)], height * 0.07)
    grass(rng, rgb, horizon + 2, horizon - height * 0.02, "green", SKIES[mood][1])
    return Backdrop(
        rgb,
        horizon,
        height * 0.06,
        height * 0.80,
        "in the sky",
        lit(mood),
        SKIES[mood][1],
        "",
        0.0,
        ["GreenMeadow.jpg"],
    )
