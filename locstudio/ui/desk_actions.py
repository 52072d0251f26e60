"""What the actions of the window mean to the open project: one table, so that the composition root stays short."""

from collections.abc import Callable
from functools import partial

from locstudio.ui.desk import Desk
from locstudio.ui.main_window import MainWindow
from locstudio.ui.workspace import Panel

_TILE_STEP = 20
_PANELS = {
    "show_search": Panel.SEARCH,
    "show_regions": Panel.REGIONS,
    "show_history": Panel.HISTORY,
    "show_heat": Panel.HEAT,
    "show_experts_panel": Panel.EXPERTS,
}


def desk_actions(window: MainWindow) -> dict[str, Callable[[Desk], object]]:
    """By the name of the action, what is done with the desk."""
    acts: dict[str, Callable[[Desk], object]] = {
        "undo": lambda desk: desk.undo(),
        "redo": lambda desk: desk.redo(),
        "next": lambda desk: desk.browsing.step(1),
        "previous": lambda desk: desk.browsing.step(-1),
        "next_unreviewed": lambda desk: desk.browsing.step_unreviewed(1),
        "previous_unreviewed": lambda desk: desk.browsing.step_unreviewed(-1),
        "verify": lambda desk: desk.verify_and_next(),
        "more": lambda desk: desk.more(),
        "ground": lambda desk: desk.searching.ground(),
        "clear_search": partial(_clear_search, window),
        "larger_tiles": lambda desk: desk.gallery.set_side(desk.gallery.side + _TILE_STEP),
        "smaller_tiles": lambda desk: desk.gallery.set_side(desk.gallery.side - _TILE_STEP),
    }
    return acts | {name: partial(_show_panel, window, panel) for name, panel in _PANELS.items()}


def _show_panel(window: MainWindow, panel: Panel, desk: Desk) -> None:
    workspace = desk.workspace
    if workspace.isVisible() and workspace.panel is panel:
        workspace.hand_keys()  # it is there: asked for again, it is to be worked in
        return
    window.show_collection()
    workspace.show_panel(panel)


def _clear_search(window: MainWindow, desk: Desk) -> None:
    window.top.set_words("")
    desk.canvas.set_query_box(None)
    desk.canvas.set_marks([])
    desk.searching.clear()
