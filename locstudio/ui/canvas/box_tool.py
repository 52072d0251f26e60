"""Drawing, moving and resizing boxes with the mouse: one state machine, in screen space.

The tool knows where boxes lie and what the mouse does; it stores nothing.  A gesture ends in exactly one report to the
canvas (``Outcome``), or in none when it was cancelled.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from locstudio.ui.canvas.drag_geometry import HANDLES, BoxPx, Side, drawn, handle_points, moved, resized
from locstudio.ui.canvas.overlay_boxes import BoxArrays
from locstudio.ui.canvas.snapping import TOLERANCE, SnapEdges, snap_shift
from locstudio.ui.canvas.view import View

CLICK_SLOP = 4.0  # screen pixels that a hand may tremble in a click
HANDLE_REACH = 8.0  # screen pixels around a handle
EDGE_REACH = 5.0  # screen pixels around an edge
QUERY_ID = 0  # stands for the search box wherever a region's identity is asked for

Point = tuple[float, float]


class Tool(StrEnum):
    """What a press on the picture begins."""

    SELECT = "select"
    BOX = "box"
    SEARCH = "search"
    POINTS = "points"
    PAINT_IN = "paint_in"
    PAINT_OUT = "paint_out"
    ERASE = "erase"


@dataclass(frozen=True, slots=True)
class Keys:
    """Modifier keys at a mouse event: ``adds`` to the selection, ``is_square``, ``is_free`` of snapping."""

    adds: bool = False
    is_square: bool = False
    is_free: bool = False


@dataclass(frozen=True, slots=True)
class Ground:
    """What lies under the mouse: the picture's size in pixels, the view, the boxes, and which of them are selected.

    ``boxes`` holds only what can be seen; ``query`` is the search box in image pixels.  Without ``can_edit`` boxes can
    be selected but not drawn or changed.
    """

    width: int
    height: int
    view: View
    boxes: BoxArrays
    selected: frozenset[int]
    query: BoxPx | None
    can_edit: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """What a gesture shows while it lasts, in image pixels.

    ``drawn`` is a box that does not exist yet, ``placed`` are other places for existing boxes by identity, ``band`` a
    rubber band, ``guide_x`` and ``guide_y`` edges that the mouse has snapped to.
    """

    drawn: BoxPx | None = None
    is_query: bool = False
    placed: dict[int, BoxPx] = field(default_factory=dict)
    band: BoxPx | None = None
    guide_x: float | None = None
    guide_y: float | None = None


@dataclass(frozen=True, slots=True)
class Drew:
    """A new box was drawn."""

    box: BoxPx
    is_query: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """Existing boxes got other places, by identity."""

    boxes: dict[int, BoxPx]
    is_resize: bool


@dataclass(frozen=True, slots=True)
class Chose:
    """Regions to select, together with what is selected (``adds``: those already in it leave it) or instead of it."""

    ids: tuple[int, ...]
    adds: bool


Outcome = Drew | Placed | Chose


@dataclass(slots=True)
class _Gesture:
    """A press and what became of it.  ``kind`` is one of draw, move, resize, band, click."""

    kind: str
    press: Point  # screen
    anchor: Point  # image pixels
    ids: tuple[int, ...] = ()
    start: NDArray[np.float64] | None = None
    sides: Side = Side.NONE
    is_query: bool = False
    adds: bool = False
    has_moved: bool = False
    is_sticky: bool = False  # drawn by two clicks: follows the mouse with no button held
    edges: SnapEdges | None = None
    click: Chose | None = None  # what a release without movement means


class BoxTool:
    """The state machine.  ``draft`` is what to paint; ``press``, ``move`` and ``release`` take screen positions."""

    def __init__(self) -> None:
        self.tool = Tool.SELECT
        self.draft = Draft()
        self._gesture: _Gesture | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a gesture has begun and not ended."""
        return self._gesture is not None

    @property
    def is_drawing(self) -> bool:
        """Whether a half-drawn box hangs at the mouse."""
        return self._gesture is not None and self._gesture.kind == "draw"

    def cancel(self) -> bool:
        """Forget the gesture; whether there was one."""
        was_busy = self.is_busy
        self._gesture, self.draft = None, Draft()
        return was_busy

    def press(self, at: Point, keys: Keys, ground: Ground) -> Outcome | None:
        """The left button went down.  Selects at once where that cannot be the beginning of something else."""
        if self._gesture is not None and self._gesture.is_sticky:
            return None  # the second click of two; its release ends the box
        grip = self.grip_at(at, ground)
        if grip is not None:
            self._begin_resize(at, grip, ground)
            return None
        if self.tool is not Tool.SELECT:
            if ground.can_edit:
                self._begin_draw(at, keys, ground)
            return None
        return self._press_select(at, keys, ground)

    def move(self, at: Point, keys: Keys, ground: Ground) -> None:
        """The mouse moved with a gesture going on; brings ``draft`` up to date."""
        gesture = self._gesture
        if gesture is None:
            return
        if not gesture.has_moved:
            if max(abs(at[0] - gesture.press[0]), abs(at[1] - gesture.press[1])) < CLICK_SLOP:
                return
            gesture.has_moved = True
        if gesture.kind == "draw":
            self._draw_to(gesture, at, keys, ground)
        elif gesture.kind == "resize":
            self._resize_to(gesture, at, keys, ground)
        elif gesture.kind == "move":
            self._move_to(gesture, at, keys, ground)
        elif gesture.kind == "band":
            x, y = ground.view.to_px(*at)
            ax, ay = gesture.anchor
            self.draft = Draft(band=(min(ax, x), min(ay, y), max(ax, x), max(ay, y)))

    def release(self, at: Point, keys: Keys, ground: Ground) -> Outcome | None:
        """The left button came up: what the gesture has led to."""
        gesture = self._gesture
        if gesture is None:
            return None
        self.move(at, keys, ground)
        if gesture.kind == "draw" and not gesture.has_moved and not gesture.is_sticky:
            gesture.is_sticky = True  # click-move-click: the box hangs at the mouse until the next click
            return None
        draft = self.draft
        self.cancel()
        if not gesture.has_moved:
            return gesture.click
        if gesture.kind == "draw" and draft.drawn is not None:
            return Drew(draft.drawn, gesture.is_query)
        if gesture.kind in ("resize", "move") and draft.placed:
            return Placed(draft.placed, gesture.kind == "resize")
        if gesture.kind == "band" and draft.band is not None:
            return Chose(tuple(ground.boxes.inside(*draft.band)), gesture.adds)
        return None

    def grip_at(self, at: Point, ground: Ground) -> tuple[int, Side] | None:
        """The box and the sides that a press here would drag: the search box's, or the only selected region's."""
        if not ground.can_edit:
            return None
        if ground.query is not None and self.tool in (Tool.SELECT, Tool.SEARCH):
            sides = sides_at(at, ground.query, ground.view)
            if sides is not Side.NONE:
                return QUERY_ID, sides
        if len(ground.selected) != 1 or self.tool is not Tool.SELECT:
            return None
        (region_id,) = ground.selected
        row = ground.boxes.rows.get(region_id)
        if row is None or ground.boxes.regions[row].is_locked:
            return None
        sides = sides_at(at, _row_box(ground.boxes, row), ground.view)
        return None if sides is Side.NONE else (region_id, sides)

    def hit(self, at: Point, ground: Ground) -> int | None:
        """Identity of the region that a click here means."""
        row = ground.boxes.at(*ground.view.to_px(*at), CLICK_SLOP / ground.view.scale)
        return None if row is None else ground.boxes.regions[row].id

    def _press_select(self, at: Point, keys: Keys, ground: Ground) -> Outcome | None:
        anchor = ground.view.to_px(*at)
        hit = self.hit(at, ground)
        if keys.adds:
            if hit is not None:
                self._gesture = _Gesture("click", at, anchor, click=Chose((hit,), True))
            else:
                self._gesture = _Gesture("band", at, anchor, adds=True)
            return None
        on_selected = self._selected_under(anchor, ground)
        if hit is None and not on_selected:
            if ground.query is not None and ground.can_edit and _contains(ground.query, anchor):
                self._begin_move(at, anchor, (QUERY_ID,), ground, None)
            else:
                self._gesture = _Gesture("band", at, anchor, click=Chose((), False))
            return None
        chosen = () if hit is None else (hit,)
        # Inside the selection a drag moves it, whatever smaller box lies there; only a plain click chooses anew.
        ids = tuple(ground.selected) if on_selected else chosen
        self._begin_move(at, anchor, ids, ground, Chose(chosen, False))
        return None if on_selected else Chose(chosen, False)

    def _selected_under(self, px: Point, ground: Ground) -> bool:
        rows = [ground.boxes.rows[i] for i in ground.selected if i in ground.boxes.rows]
        return any(_contains(_row_box(ground.boxes, row), px) for row in rows)

    def _begin_draw(self, at: Point, keys: Keys, ground: Ground) -> None:
        edges = SnapEdges.of(ground.boxes.boxes_px, ground.width, ground.height)
        gesture = _Gesture("draw", at, (0.0, 0.0), is_query=self.tool is Tool.SEARCH, edges=edges)
        gesture.anchor = self._point(at, keys, ground, gesture)[0]
        self._gesture = gesture

    def _begin_resize(self, at: Point, grip: tuple[int, Side], ground: Ground) -> None:
        region_id, sides = grip
        start = _boxes_of((region_id,), ground)
        edges = _edges_without((region_id,), ground)
        self._gesture = _Gesture("resize", at, ground.view.to_px(*at), (region_id,), start, sides, edges=edges)

    def _begin_move(self, at: Point, anchor: Point, ids: tuple[int, ...], ground: Ground, click: Chose | None) -> None:
        rows = [ground.boxes.rows.get(i) for i in ids]
        free = tuple(
            i
            for i, row in zip(ids, rows, strict=True)
            if i == QUERY_ID or (row is not None and not ground.boxes.regions[row].is_locked)
        )
        if not free or not ground.can_edit:
            self._gesture = _Gesture("click", at, anchor, click=click)
            return
        edges = _edges_without(free, ground)
        self._gesture = _Gesture("move", at, anchor, free, _boxes_of(free, ground), edges=edges, click=click)

    def _point(self, at: Point, keys: Keys, ground: Ground, gesture: _Gesture) -> tuple[Point, Draft]:
        """The image pixel meant by a screen position: whole pixels, or an edge near by; and its guides."""
        x, y = ground.view.to_px(*at)
        if keys.is_free or keys.is_square or gesture.edges is None:
            return (float(round(x)), float(round(y))), Draft()
        reach = TOLERANCE / ground.view.scale
        snap_x, snap_y = gesture.edges.snap_x(x, reach), gesture.edges.snap_y(y, reach)
        point = (
            snap_x.value if snap_x.guide is not None else float(round(x)),
            snap_y.value if snap_y.guide is not None else float(round(y)),
        )
        return point, Draft(guide_x=snap_x.guide, guide_y=snap_y.guide)

    def _draw_to(self, gesture: _Gesture, at: Point, keys: Keys, ground: Ground) -> None:
        point, guides = self._point(at, keys, ground, gesture)
        box = drawn(gesture.anchor, point, ground.width, ground.height, keys.is_square)
        self.draft = replace(guides, drawn=box, is_query=gesture.is_query)

    def _resize_to(self, gesture: _Gesture, at: Point, keys: Keys, ground: Ground) -> None:
        assert gesture.start is not None
        point, guides = self._point(at, keys, ground, gesture)
        x0, y0, x1, y1 = gesture.start[0].tolist()
        box = resized((x0, y0, x1, y1), gesture.sides, point, ground.width, ground.height, keys.is_square)
        across, down = bool(gesture.sides & (Side.LEFT | Side.RIGHT)), bool(gesture.sides & (Side.TOP | Side.BOTTOM))
        self.draft = Draft(
            placed={gesture.ids[0]: box},
            guide_x=guides.guide_x if across else None,
            guide_y=guides.guide_y if down else None,
        )

    def _move_to(self, gesture: _Gesture, at: Point, keys: Keys, ground: Ground) -> None:
        assert gesture.start is not None
        x, y = ground.view.to_px(*at)
        dx, dy = float(round(x - gesture.anchor[0])), float(round(y - gesture.anchor[1]))
        guide_x = guide_y = None
        if not keys.is_free and gesture.edges is not None:
            reach = TOLERANCE / ground.view.scale
            low, high = gesture.start[:, :2].min(axis=0), gesture.start[:, 2:].max(axis=0)
            snap_x = snap_shift(gesture.edges.xs, low[0] + dx, high[0] + dx, reach)
            snap_y = snap_shift(gesture.edges.ys, low[1] + dy, high[1] + dy, reach)
            dx, dy, guide_x, guide_y = dx + snap_x.value, dy + snap_y.value, snap_x.guide, snap_y.guide
        boxes = moved(gesture.start, dx, dy, ground.width, ground.height)
        placed = {i: (b[0], b[1], b[2], b[3]) for i, b in zip(gesture.ids, boxes.tolist(), strict=True)}
        self.draft = Draft(placed=placed, guide_x=guide_x, guide_y=guide_y)


def sides_at(at: Point, box: BoxPx, view: View) -> Side:
    """The sides of a box that a press at a screen position takes hold of; the reach is the same at every zoom.

    Inside a small box the reach shrinks, so that there is always a place to move it by.
    """
    x, y = at
    (x0, y0), (x1, y1) = view.to_screen(box[0], box[1]), view.to_screen(box[2], box[3])
    inner = min(x1 - x0, y1 - y0) / 4
    is_inside = x0 < x < x1 and y0 < y < y1
    reach = min(HANDLE_REACH, inner) if is_inside else HANDLE_REACH
    for sides, (handle_x, handle_y) in zip(HANDLES, handle_points((x0, y0, x1, y1)), strict=True):
        if abs(x - handle_x) <= reach and abs(y - handle_y) <= reach:
            return sides
    reach = min(EDGE_REACH, inner) if is_inside else EDGE_REACH
    if y0 <= y <= y1 and min(abs(x - x0), abs(x - x1)) <= reach:
        return Side.LEFT if abs(x - x0) < abs(x - x1) else Side.RIGHT
    if x0 <= x <= x1 and min(abs(y - y0), abs(y - y1)) <= reach:
        return Side.TOP if abs(y - y0) < abs(y - y1) else Side.BOTTOM
    return Side.NONE


def _contains(box: BoxPx, px: Point) -> bool:
    return box[0] <= px[0] <= box[2] and box[1] <= px[1] <= box[3]


def _row_box(boxes: BoxArrays, row: int) -> BoxPx:
    x0, y0, x1, y1 = boxes.boxes_px[row].tolist()
    return x0, y0, x1, y1


def _boxes_of(ids: tuple[int, ...], ground: Ground) -> NDArray[np.float64]:
    boxes = [ground.query if i == QUERY_ID else _row_box(ground.boxes, ground.boxes.rows[i]) for i in ids]
    return np.array(boxes, np.float64)


def _edges_without(ids: tuple[int, ...], ground: Ground) -> SnapEdges:
    keep = np.ones(len(ground.boxes.boxes_px), bool)
    keep[[ground.boxes.rows[i] for i in ids if i != QUERY_ID]] = False
    return SnapEdges.of(ground.boxes.boxes_px[keep], ground.width, ground.height)
