"""Paint placed things into a backdrop, and keep account of what stays visible of each."""

from dataclasses import dataclass, field

import numpy as np
from demo_parts.backdrops import Backdrop, blades
from demo_parts.noise import Array, blur, mix, resize, ridge, smoothstep
from demo_parts.placing import Placed
from demo_parts.scenes import DRAUGHT
from demo_parts.sprites import Sprite, cut, lit_by


@dataclass(slots=True)
class Painted:
    """One painted thing.  ``visible`` (H, W) covers the picture; ``whole`` is its opacity summed before any loss."""

    placed: Placed
    sprite: Sprite
    whole: float
    visible: Array = field(repr=False)

    @property
    def visible_share(self) -> float:
        """How much of the thing can be seen, 0 to 1."""
        return float(self.visible.sum()) / max(self.whole, 1.0)


class Painter:
    """Paints from far to near into its own copy of the backdrop."""

    def __init__(self, rng: np.random.Generator, backdrop: Backdrop) -> None:
        self._rng = rng
        self._backdrop = backdrop
        self.rgb = backdrop.rgb.copy()
        self.painted: list[Painted] = []

    def paint(self, placed: Placed) -> None:
        """Add one thing in front of all earlier ones."""
        back = self._backdrop
        raw = cut(placed.stamp, placed.length, is_flipped=placed.is_flipped, degrees=placed.degrees, paint=placed.paint)
        sprite = lit_by(raw, back.light, back.haze, placed.distance, is_gained=placed.stamp.label != "tree")
        whole = float(sprite.alpha.sum())
        left, top = round(placed.left), round(placed.foot) - sprite.alpha.shape[0]
        if placed.mode == "stand":
            self._ground_shadow(sprite, left, round(placed.foot))
            self._cover_feet(placed, sprite)
        elif placed.mode == "flat":
            self._drop_shadow(sprite, left, top)
        elif placed.mode == "float":
            top += self._sink(placed, sprite, left)
        visible = np.zeros(self.rgb.shape[:2], np.float32)
        place(visible, sprite.alpha, left, top)
        colours = np.zeros_like(self.rgb)
        place(colours, sprite.rgb, left, top)
        self.rgb = mix(self.rgb, colours, visible)
        for other in self.painted:
            other.visible *= 1 - visible
        self.painted.append(Painted(placed, sprite, whole, visible))

    def _darken(self, shadow: Array, left: int, top: int, strength: float) -> None:
        """Darken where a small plane, laid at (left, top), is not 0."""
        plane, (x0, y0) = self._inside(shadow, left, top)
        region = self.rgb[y0 : y0 + plane.shape[0], x0 : x0 + plane.shape[1]]
        tint = np.asarray((0.10, 0.11, 0.15), np.float32) * 0.12
        region[:] = mix(region, region * 0.25 + tint, np.clip(plane * strength, 0, 0.85).astype(np.float32))

    def _inside(self, part: Array, left: int, top: int) -> tuple[Array, tuple[int, int]]:
        """What of a plane at (left, top) lies in the picture, and its corner there."""
        height, width = self.rgb.shape[:2]
        x0, y0 = min(max(0, left), width), min(max(0, top), height)
        x1, y1 = max(x0, min(width, left + part.shape[1])), max(y0, min(height, top + part.shape[0]))
        return part[y0 - top : y1 - top, x0 - left : x1 - left], (x0, y0)

    def _ground_shadow(self, sprite: Sprite, left: int, foot: int) -> None:
        """A flat soft silhouette towards one side, and a dark line where the feet touch."""
        if self._backdrop.shadow <= 0:
            return
        height, width = sprite.alpha.shape
        low = max(3, round(height * 0.20))
        silhouette = resize(sprite.alpha, width, low)
        radius = max(1.5, height * 0.020)
        margin = int(3 * radius) + 2
        plane = np.zeros((low + round(low * 0.10) + 2 * margin, width + low + 2 * margin), np.float32)
        for row in range(low):
            shift = round((low - row) * 0.9)
            place(plane, silhouette[row : row + 1], margin + shift, margin + row, is_maximum=True)
        top = foot - low + round(low * 0.10) - margin
        self._darken(blur(plane, radius), left - margin, top, self._backdrop.shadow * 0.75)
        soles = sprite.alpha[-max(2, round(height * 0.06)) :].max(axis=0)[None, :]
        thick = max(2, round(height * 0.022))
        contact = np.pad(np.repeat(soles, thick, 0), margin)
        top = foot - thick // 2 - 1 - margin
        self._darken(blur(contact, max(1.0, height * 0.012)), left - margin, top, self._backdrop.shadow * 1.25)

    def _drop_shadow(self, sprite: Sprite, left: int, top: int) -> None:
        """Shadow of a thing that lies on a surface seen from above."""
        reach = max(2.0, min(sprite.alpha.shape) * 0.045)
        for shift, radius, strength in ((reach * 1.5, reach * 1.5, 0.75), (reach * 0.4, reach * 0.5, 0.7)):
            margin = int(3 * radius) + 2
            shadow = blur(np.pad(sprite.alpha, margin), radius)
            at_left, at_top = left + round(shift * 0.7) - margin, top + round(shift) - margin
            self._darken(shadow, at_left, at_top, self._backdrop.shadow * strength)

    def _cover_feet(self, placed: Placed, sprite: Sprite) -> None:
        """Let grass or snow hide the lowest part of a standing thing."""
        cover, back = self._backdrop.cover, self._backdrop
        if not cover:
            return
        height, width = sprite.alpha.shape
        near = (placed.foot - back.horizon) / (back.rgb.shape[0] - back.horizon)
        if cover == "grass":
            tall = min(74 * (0.05 + 0.40 * near) * 0.62, height * 0.13)
            edge = tall * (0.25 + 0.9 * blades(self._rng, width, max(1.4, tall * 0.22)))
        elif cover == "tall":
            tall = height * 0.20
            edge = tall * (0.4 + 0.8 * blades(self._rng, width, 5))
        else:
            edge = max(1.5, height * 0.025) * (0.4 + ridge(self._rng, width, 8, 3))
        rows = np.arange(height, dtype=np.float32)[:, None]
        hidden = smoothstep(rows - (height - edge)[None, :], -0.8, 1.2)
        sprite.alpha = sprite.alpha * (1 - hidden)

    def _sink(self, placed: Placed, sprite: Sprite, left: int) -> int:
        """Cut a thing at the line of the water and lay its mirror image below; returns by how many rows it sinks."""
        height, width = sprite.alpha.shape
        line = round(height * (1 - DRAUGHT.get(placed.stamp.name, 0.1)))
        rows = np.arange(height, dtype=np.float32)[:, None]
        wave = line + max(1.0, height * 0.012) * (ridge(self._rng, width, 9, 3)[None, :] - 0.5) * 2
        sprite.alpha = sprite.alpha * (1 - smoothstep(rows - wave, -0.8, 0.8))
        foot = round(placed.foot)
        depth = max(4, round(line * 0.55))
        mirror = Sprite(resize(sprite.rgb[:line][::-1], width, depth), resize(sprite.alpha[:line][::-1], width, depth))
        plane, colours = np.zeros(self.rgb.shape[:2], np.float32), np.zeros_like(self.rgb)
        ripple = (self._rng.random(depth) - 0.5) * max(2.0, width * 0.020)
        fade = np.linspace(0.50, 0.04, depth, dtype=np.float32)
        for row in range(depth):
            shift = round(float(ripple[row]) * (0.3 + row / depth))
            place(plane, mirror.alpha[row : row + 1] * fade[row], left + shift, foot + row)
            place(colours, mirror.rgb[row : row + 1] * 0.75, left + shift, foot + row)
        self.rgb = mix(self.rgb, blur(colours, 0.8), blur(plane, 0.8))
        foam = np.zeros_like(plane)
        at_line = sprite.alpha[max(0, line - max(3, height // 40)) : line].max(axis=0)[None, :]
        place(foam, np.repeat(at_line, max(2, height // 70), 0), left, foot - 1)
        self.rgb = mix(self.rgb, np.ones_like(self.rgb) * 0.9, np.clip(blur(foam, 1.2) * 0.5, 0, 0.6))
        return int(height - line)

    def finished(self, strength: float = 0.0075) -> Array:
        """The picture under one grain, one vignette and a trace of blur, so that all parts look alike."""
        height, width = self.rgb.shape[:2]
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        distance = np.hypot(x / width - 0.5, y / height - 0.5)
        rgb = blur_slightly(self.rgb) * (1.03 - 0.16 * distance**2)[..., None]
        grain = self._rng.normal(0, strength, (height, width, 1)) + self._rng.normal(
            0, strength * 0.4, (height, width, 3)
        )
        out: Array = np.clip(rgb + grain, 0, 1).astype(np.float32)
        return out


def blur_slightly(rgb: Array) -> Array:
    """A 3x3 binomial filter, mixed in at 45 %."""
    padded = np.pad(rgb, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    soft = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4
    return (0.55 * rgb + 0.45 * soft).astype(np.float32)


def place(target: Array, part: Array, left: int, top: int, *, is_maximum: bool = False) -> None:
    """Write ``part`` into ``target`` in place; what lies outside is cut off."""
    height, width = target.shape[:2]
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, left + part.shape[1]), min(height, top + part.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    cut_out = part[y0 - top : y1 - top, x0 - left : x1 - left]
    target[y0:y1, x0:x1] = np.maximum(target[y0:y1, x0:x1], cut_out) if is_maximum else cut_out
