"""What a mouse has in hand over the graph of superclasses."""

from dataclasses import dataclass, field

from PySide6.QtCore import QPointF


@dataclass(frozen=True, slots=True)
class Hand:
    """One press of the mouse, and what it is about.

    Attributes:
        start: Where it began; None while nothing is pressed.
        at: Where the mouse is now.
        class_ids: Classes that are being moved.
        area: The superclass that is being moved, to be merged.
        was_chosen: The class that was pressed among several that were chosen: alone chosen if nothing is dragged.
        pans: Where the view was, if the view is being moved.
        has_band: A rectangle is being drawn around classes to choose.
        is_dragging: The mouse went far enough to mean it.
        words: What letting go would do.
    """

    start: QPointF | None = None
    at: QPointF = field(default_factory=QPointF)
    class_ids: tuple[int, ...] = ()
    area: int | None = None
    was_chosen: int | None = None
    pans: QPointF | None = None
    has_band: bool = False
    is_dragging: bool = False
    words: str = ""
