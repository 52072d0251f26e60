"""Where things stand: random places that keep to the ground, to the scale of the world and out of each other's way."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from demo_parts.backdrops import Backdrop
from demo_parts.scenes import TREES, Kind
from demo_parts.sprites import cleaned, variant_of
from demo_parts.stamps import RECOLOURED, Stamp

LARGEST_ZOOM = 1.75
SMALL_STAMP_ZOOM = 2.2
SMALLEST_SIDE = 34.0
# Never mirrored: they bear letters.
LETTERED = frozenset({"garbagetruck", "747", "toolbox", "measuring_tape"})


@dataclass(frozen=True, slots=True)
class Placed:
    """One thing in a scene: its left edge and its foot (or lower edge), in pixels, and how it is cut.

    ``distance`` runs from 0 (near) to 1 (far); ``mode`` is "stand", "float", "swim" or "flat".
    """

    stamp: Stamp
    left: float
    foot: float
    length: float
    width: float
    height: float
    degrees: float
    is_flipped: bool
    paint: tuple[float, float, float] | None
    distance: float
    mode: str

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Corners x0, y0, x1, y1."""
        return self.left, self.foot - self.height, self.left + self.width, self.foot


class Placer:
    """Fills one backdrop.  ``usage`` counts over all scenes, so that rare stamps are preferred."""

    def __init__(
        self, rng: np.random.Generator, kind: Kind, backdrop: Backdrop, stamps: dict[str, Stamp], usage: Counter[str]
    ) -> None:
        self._rng = rng
        self._kind = kind
        self._backdrop = backdrop
        self._stamps = stamps
        self._usage = usage
        self.placed: list[Placed] = []
        self._middle = float(np.median([stamps[n].metres for n in kind.main.split()]))

    def fill(self) -> list[Placed]:
        """Choose and place everything; the farthest comes first."""
        kind, rng = self._kind, self._rng
        for name in self._choose(kind.back, int(rng.integers(0, 3))):
            self._try(name, "back")
        for name in self._choose(kind.sky, int(rng.choice([0, 1, 1, 2]))):
            self._try(name, "sky")
        for name in self._choose(kind.main, int(rng.integers(kind.few, kind.many + 1))):
            self._try(name, kind.layout)
        return sorted(self.placed, key=lambda p: (p.mode != "swim", -p.distance if p.mode == "swim" else p.foot))

    def _choose(self, pool: str, number: int) -> list[str]:
        names = list(dict.fromkeys(pool.split()))
        if not names:
            return []
        weight = {}
        for name in names:
            of_class = self._usage[f"class {self._stamps[name].label}"]
            weight[name] = pool.split().count(name) / (1 + self._usage[name]) ** 1.3 / (1 + of_class) ** 0.5
        chosen: list[str] = []
        for _ in range(number):
            shares = np.asarray([weight[n] for n in names])
            name = names[int(self._rng.choice(len(names), p=shares / shares.sum()))]
            chosen.append(name)
            # A second one of the same kind is welcome now and then (a herd); a fourth is dull.
            weight[name] *= 0.30
        return chosen

    def _try(self, name: str, role: str) -> None:
        candidates: list[tuple[float, int, Placed]] = []
        stamp = self._stamps[name]
        for _ in range(40):
            thing = self._propose(stamp, role)
            cost = self._cost(thing)
            if cost is not None:
                candidates.append((cost, len(candidates), thing))
        if candidates:
            self.placed.append(min(candidates)[2])
            self._usage[name] += 1
            self._usage[f"class {stamp.label}"] += 1

    def _propose(self, stamp: Stamp, role: str) -> Placed:
        """A random place, size and turn for one stamp in one role."""
        rng = self._rng
        rows, columns = self._backdrop.rgb.shape[:2]
        picture = cleaned(stamp)
        longest = float(max(picture.size))
        largest = longest * (LARGEST_ZOOM if longest > 80 else SMALL_STAMP_ZOOM)
        mode = {"back": "stand", "sky": "swim"}.get(role, role)
        degrees, distance, foot = 0.0, 0.0, 0.0
        if mode in ("stand", "float"):
            foot, distance, length = self._stand(stamp, role, largest)
        elif mode == "swim":
            distance, length = self._swim(stamp, role, largest)
            degrees = float(rng.uniform(-8, 8)) if stamp.label in ("fish", "whale", "bird", "airplane") else 0.0
        else:
            length = min(largest, self._kind.eye * self._size(stamp) * np.sqrt(rows * columns) / 800)
            degrees = float(rng.uniform(-180, 180)) if is_turnable(stamp) else float(rng.uniform(-14, 14))
        length = min(length, 0.62 * columns * longest / picture.width, 0.66 * rows * longest / picture.height)
        width, height = turned(picture.width / longest * length, picture.height / longest * length, degrees)
        if mode == "swim":
            ceiling = 0.03 * rows if role == "sky" else self._backdrop.top
            floor = self._backdrop.horizon * 0.80 if role == "sky" else self._backdrop.bottom
            foot = float(rng.uniform(ceiling + height, max(floor, ceiling + height + 1)))
        elif mode == "flat":
            foot = float(rng.uniform(height + 0.02 * rows, max(rows * 0.98, height + 0.03 * rows)))
        left = float(rng.uniform(0.015 * columns, max(columns * 0.985 - width, 0.02 * columns)))
        if rng.random() < 0.03 and mode == "stand":
            left = float(rng.choice([-0.22 * width, columns - 0.78 * width]))
        is_repainted = stamp.name in RECOLOURED and rng.random() < (1.0 if stamp.name == "sportscar2" else 0.8)
        paint = variant_of(rng, stamp) if is_repainted else None
        is_flipped = bool(rng.random() < 0.5) and stamp.name not in LETTERED
        return Placed(stamp, left, foot, length, width, height, degrees, is_flipped, paint, distance, mode)

    def _size(self, stamp: Stamp) -> float:
        """The length that a thing has in this kind of scene, in metres: closer to the usual than in the world."""
        return float(self._middle * (stamp.metres / self._middle) ** self._kind.gamma)

    def _stand(self, stamp: Stamp, role: str, largest: float) -> tuple[float, float, float]:
        """Row of the foot, distance and length (pixels, up to ``largest``) of something on the ground."""
        kind, back, metres = self._kind, self._backdrop, self._size(stamp)
        low = min(back.bottom, back.horizon + largest * kind.eye / metres)
        top = max(back.top, back.horizon + SMALLEST_SIDE * 1.4 * kind.eye / metres)
        if role == "back":
            top, low = back.top * 0.85 + back.horizon * 0.15, back.top + 0.04 * back.rgb.shape[0]
        foot = float(top + (max(low, top) - top) * self._rng.beta(1.7, 1.1))
        length = min(largest, (foot - back.horizon) / kind.eye * metres)
        distance = float(np.clip(1 - (foot - back.horizon) / (back.bottom - back.horizon), 0, 1))
        return foot, distance, length

    def _swim(self, stamp: Stamp, role: str, largest: float) -> tuple[float, float]:
        """Distance and length in pixels of something in the air or in the water."""
        distance = float(self._rng.uniform(0, 1))
        base = self._backdrop.rgb.shape[1] * (0.22 if role != "sky" else 0.10)
        middle, gamma = (self._middle, self._kind.gamma) if role != "sky" else (1.2, 0.15)
        wanted = base * (stamp.metres / middle) ** gamma * (1.25 - 0.55 * distance)
        length = float(np.clip(wanted, SMALLEST_SIDE, largest))
        return distance, min(length, self._backdrop.horizon * 0.7) if role == "sky" else length

    def _cost(self, thing: Placed) -> float | None:
        """How bad a place is: much overlap is refused, a little is cheap, crowding at one spot costs."""
        rows, columns = self._backdrop.rgb.shape[:2]
        x0, y0, x1, y1 = thing.box
        if y0 < 0.01 * rows or min(thing.width, thing.height) < 14:
            return None
        cost: float = float(self._rng.uniform(0, 0.12)) - 0.25 * min(thing.length / (0.3 * columns), 1.0)
        if x0 < 0 or x1 > columns:
            cost += 0.45
        for other in self.placed:
            a0, b0, a1, b1 = other.box
            shared = max(0.0, min(x1, a1) - max(x0, a0)) * max(0.0, min(y1, b1) - max(y0, b0))
            share = shared / min(thing.width * thing.height, other.width * other.height)
            is_tree = other.stamp.name in TREES.split() or other.stamp.label == "tree"
            if share > (0.5 if is_tree else 0.16 if thing.mode != "flat" else 0.08):
                return None
            cost += float(share) * 2
            gap = np.hypot((x0 + x1 - a0 - a1) / 2 / columns, (y0 + y1 - b0 - b1) / 2 / rows)
            cost += max(0.0, 0.22 - float(gap)) * 2
            if thing.mode == "stand" and abs(thing.foot - other.foot) < 0.012 * rows:
                cost += 0.1
        return cost


def turned(width: float, height: float, degrees: float) -> tuple[float, float]:
    """Width and height of the upright box around a turned one."""
    cos, sin = abs(np.cos(np.deg2rad(degrees))), abs(np.sin(np.deg2rad(degrees)))
    return float(width * cos + height * sin), float(width * sin + height * cos)


def is_turnable(stamp: Stamp) -> bool:
    """Whether a thing seen from above may lie in any direction."""
    return stamp.label in ("insect", "tool", "flower", "fruit", "vegetable") and stamp.name not in ("toolbox", "mantis")
