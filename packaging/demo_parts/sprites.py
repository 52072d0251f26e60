"""From a stamp to a sprite that fits its scene: clean edges, size, hue, light and haze.

Axes: H, W rows and columns of the sprite.  Colours are plain (not premultiplied), float32 in [0, 1].
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from demo_parts.noise import Array, blur, mix, sharpen, smoothstep
from demo_parts.stamps import Stamp
from demo_parts.words import open_stamp
from PIL import Image, ImageFilter

# Hue (0 to 1), saturation factor, brightness factor of the paints that cars may wear.
PAINTS: dict[str, tuple[float, float, float]] = {
    "red": (0.995, 1.15, 1.0),
    "blue": (0.61, 1.0, 1.0),
    "green": (0.36, 0.9, 0.85),
    "yellow": (0.135, 1.1, 1.2),
    "orange": (0.065, 1.15, 1.12),
    "white": (0.6, 0.03, 1.5),
    "black": (0.6, 0.08, 0.34),
    "turquoise": (0.49, 0.95, 1.0),
}
COATS: list[tuple[float, float, float]] = [(0.05, 1.0, 1.0), (0.045, 0.9, 0.55), (0.08, 1.0, 1.25), (0.07, 0.10, 1.15)]


@dataclass(slots=True)
class Sprite:
    """A cut-out in its final size: colours (H, W, 3) and opacity (H, W)."""

    rgb: Array
    alpha: Array


@cache
def cleaned(stamp: Stamp) -> Image.Image:
    """The stamp without the pale fringe of its old background: edge pixels take the colour of the inside."""
    picture = open_stamp(stamp)
    alpha = np.asarray(picture.getchannel("A"), np.float32) / 255
    if max(picture.size) >= 100 and stamp.name not in ("birch", "liberia-palm", "tree336", "holm_oak"):
        eroded = picture.getchannel("A").filter(ImageFilter.MinFilter(3))
        alpha = 0.35 * alpha + 0.65 * np.asarray(eroded, np.float32) / 255
    alpha = np.clip((alpha - 0.10) / 0.85, 0, 1)
    rgb: Array = np.asarray(picture.convert("RGB"), np.float32) / 255
    inside = smoothstep(alpha, 0.75, 0.99)
    if inside.mean() > 0.02:
        spread, weight = rgb * inside[..., None], inside
        filled, total = spread.copy(), weight.copy()
        for radius in (1.0, 2.5, 6.0):
            total_next = blur(weight, radius)
            filled = np.where((total > 0.05)[..., None], filled, blur(spread, radius))
            total = np.where(total > 0.05, total, total_next)
        rgb = mix(np.clip(filled / np.maximum(total, 1e-3)[..., None], 0, 1).astype(np.float32), rgb, inside)
    stacked = np.dstack([rgb, alpha])
    return Image.fromarray((np.clip(stacked, 0, 1) * 255 + 0.5).astype(np.uint8))


def painted(rgb: Array, paint: tuple[float, float, float]) -> Array:
    """Give the coloured parts another hue; grey parts (glass, tyres, chrome) stay."""
    target, saturate, brighten = paint
    hsv = np.asarray(Image.fromarray((rgb * 255).astype(np.uint8)).convert("HSV"), np.float32) / 255
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    body = smoothstep(saturation, 0.22, 0.42) * smoothstep(value, 0.12, 0.25)
    bright = np.where(brighten > 1.3, 0.30 + 0.70 * np.minimum(value * brighten, 1), np.minimum(value * brighten, 1))
    spread = np.mod(target + np.clip(np.mod(hue - np.median(hue[body > 0.5]) + 0.5, 1) - 0.5, -0.03, 0.03) * 0.3, 1)
    new = np.stack([spread, np.clip(saturation * saturate, 0, 1), bright], axis=2)
    out = np.asarray(Image.fromarray((new * 255).astype(np.uint8), "HSV").convert("RGB"), np.float32) / 255
    return mix(rgb, out, body.astype(np.float32))


def variant_of(rng: np.random.Generator, stamp: Stamp) -> tuple[float, float, float] | None:
    """Another hue for a stamp that allows it, or None for its own."""
    if stamp.label == "horse":
        return COATS[int(rng.integers(0, len(COATS)))]
    return PAINTS[str(rng.choice(["red", *PAINTS]))]


def cut(
    stamp: Stamp, length: float, *, is_flipped: bool, degrees: float, paint: tuple[float, float, float] | None
) -> Sprite:
    """Resize (``length`` is that of the longest side, in pixels), mirror, turn and paint a stamp."""
    picture = cleaned(stamp)
    scale = length / max(picture.size)
    rgb: Array = np.asarray(picture.convert("RGB"), np.float32) / 255
    alpha = np.asarray(picture.getchannel("A"), np.float32) / 255
    if stamp.name == "whale":  # its own blue is stronger than any sea
        rgb = mix(rgb.mean(axis=2, keepdims=True), rgb, 0.4)
    if paint is not None:
        rgb = painted(rgb, paint)
    # Premultiplied while it is resampled, so that no colour of the outside bleeds in.
    layers = np.dstack([rgb * alpha[..., None], alpha])
    size = (max(8, round(picture.width * scale)), max(8, round(picture.height * scale)))
    planes = []
    for number in range(4):
        plane = Image.fromarray(layers[..., number]).resize(size, Image.Resampling.LANCZOS)
        if degrees:
            plane = plane.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
        planes.append(np.asarray(plane, np.float32))
    opacity = np.clip(planes[3], 0, 1)
    colours: Array = np.clip(np.dstack(planes[:3]) / np.maximum(opacity, 0.02)[..., None], 0, 1)
    if is_flipped:
        opacity, colours = opacity[:, ::-1], colours[:, ::-1]
    if scale > 1.1:
        colours = sharpen(colours, 45)
    soft = blur(opacity, 0.7) if scale > 1.3 else opacity
    return Sprite(np.ascontiguousarray(colours, np.float32), np.ascontiguousarray(np.minimum(soft, 1), np.float32))


def lit_by(
    sprite: Sprite,
    light: tuple[float, float, float],
    haze: tuple[float, float, float],
    distance: float,
    *,
    is_gained: bool = True,
) -> Sprite:
    """The sprite in the light of its scene, paler with distance (0 near to 1 far)."""
    weight = sprite.alpha / max(float(sprite.alpha.sum()), 1.0)
    mean = float((sprite.rgb.mean(axis=2) * weight).sum())
    gain = np.clip(0.44 / max(mean, 0.05), 0.86, 1.16) if is_gained else 0.80
    rgb = np.clip(sprite.rgb * gain * np.asarray(light, np.float32), 0, 1)
    rgb = mix(rgb.astype(np.float32), np.ones_like(rgb) * np.asarray(haze, np.float32), 0.22 * distance**1.5)
    return Sprite(rgb, sprite.alpha)
