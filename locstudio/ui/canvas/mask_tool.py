"""Points that say what a mask is of, and the mask they have led to so far."""

from dataclasses import dataclass

from locstudio.domain.geometry import UnitBox


@dataclass(frozen=True, slots=True)
class MaskPoint:
    """A click in the ``unit`` frame: in the thing, or not."""

    x: float
    y: float
    is_inside: bool


@dataclass(frozen=True, slots=True)
class PointsAsked:
    """What a mask is wanted for: the points so far, and the box of the region that it will belong to, if any."""

    points: tuple[MaskPoint, ...]
    box: UnitBox | None = None


@dataclass(frozen=True, slots=True)
class FoundMask:
    """A mask as ``Region.mask`` holds it, and its tight box; nothing found is an empty text without box."""

    text: str
    box: UnitBox | None


@dataclass(slots=True)
class MaskTool:
    """Points and their mask, until they are accepted or forgotten.

    ``region_id`` is the region whose mask it will be, 0 for a new one.
    """

    points: tuple[MaskPoint, ...] = ()
    region_id: int = 0
    found: FoundMask | None = None

    @property
    def is_busy(self) -> bool:
        """Whether there is a point."""
        return bool(self.points)

    def add(self, point: MaskPoint, region_id: int) -> bool:
        """Take a point; whether it can be used: the first one of a new thing must be inside it."""
        if not self.points:
            if not region_id and not point.is_inside:
                return False
            self.region_id = region_id
        self.points = (*self.points, point)
        return True

    def take_back(self) -> None:
        """Forget the newest point, and the mask with the last one."""
        self.points = self.points[:-1]
        has_meaning = self.region_id or any(point.is_inside for point in self.points)
        if not has_meaning:
            self.points = ()
        if not self.points:
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.points, self.region_id, self.found = (), 0, None
