"""Everything the window can be asked to do: one table of names, keys and sentences for menus, tips and the key sheet.

What the canvas does with boxes is in ``canvas.commands``; the key sheet shows both.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence

from locstudio.ui.canvas.commands import ABOUT_HEAT, COMMANDS, CanvasCommand, title
from locstudio.ui.curation import pass_keys
from locstudio.ui.curation.commands import KEYS, NUM_SUGGESTIONS, TITLES, CurationCommand
from locstudio.ui.heatmaps import page_commands
from locstudio.ui.heatmaps.page_commands import HeatCommand
from locstudio.ui.icons import drawn
from locstudio.ui.routing import page_commands as expert_commands
from locstudio.ui.routing import superclass_commands
from locstudio.ui.routing.page_commands import ExpertCommand

ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action.

    ``keys`` are portable text, the first is shown in menus; ``sentence`` says what it does; what ``is_checkable`` is on
    at first.
    """

    name: str
    group: str
    text: str
    sentence: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    is_checkable: bool = False


ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec("open_project", "Project", "Open project…", "Open a project folder", ("Ctrl+O",), "folder"),
    ActionSpec(
        "open_folder", "Project", "Open folder of images…", "Make a project of a folder", ("Ctrl+Shift+O",), "image"
    ),
    ActionSpec("open_demo", "Project", "Open demo", "Open the project that comes with LocStudio"),
    ActionSpec("add_folder", "Project", "Add images…", "Add another folder of images to this project"),
    ActionSpec(
        "look_again", "Project", "Look at image files again", "Find what is missing, replaced or moved", ("F5",)
    ),
    ActionSpec("relink", "Project", "Relink image folder…", "Say where a folder of images is now"),
    ActionSpec(
        "import_annotations", "Project", "Import annotations…", "Take regions in from COCO, VOC, YOLO …", (), "import"
    ),
    ActionSpec("take_captions_in", "Project", "Take in captions", "Take in what is said beside and inside the images"),
    ActionSpec(
        "export_annotations", "Project", "Export annotations…", "Write regions as COCO, VOC, YOLO …", (), "export"
    ),
    ActionSpec("checkpoint", "Project", "Save", "Everything is saved already; says so", ("Ctrl+S",)),
    ActionSpec("close_project", "Project", "Close project", "Go back to the welcome page", ("Ctrl+W",)),
    ActionSpec("quit", "Project", "Quit", "Close LocStudio; nothing is lost", ("Ctrl+Q",)),
    ActionSpec("undo", "Edit", "Undo", "Take the last edit back, in whatever image it was", ("Ctrl+Z",), "undo"),
    ActionSpec("redo", "Edit", "Redo", "Do it again", ("Ctrl+Shift+Z", "Ctrl+Y"), "redo"),
    ActionSpec("next", "Go", "Next image", "Go to the next image of the gallery", ("D", "PgDown"), "next"),
    ActionSpec("previous", "Go", "Previous image", "Go to the previous image", ("A", "PgUp"), "previous"),
    ActionSpec("next_unreviewed", "Go", "Next unreviewed image", "Skip what is verified", ("Ctrl+Shift+D",)),
    ActionSpec("previous_unreviewed", "Go", "Previous unreviewed image", "The same, backwards", ("Ctrl+Shift+A",)),
    ActionSpec("verify", "Go", "Verified, and next", "Mark the image as verified and go on", ("Ctrl+Return",), "check"),
    ActionSpec("search", "Search", "Search by words", "Type words into the search field", ("Ctrl+F",), "search"),
    ActionSpec("more", "Search", "More like this", "Find regions like the selected one or the hit", ("M",), "more"),
    ActionSpec("ground", "Search", "Find words in this image", "Mark where the words are", ("Ctrl+G",), "target"),
    ActionSpec(
        "clear_search", "Search", "Clear the search", "Forget the query and its hits", ("Ctrl+Shift+F",), "close"
    ),
    ActionSpec("index", "Search", "Index the collection", "Embed all regions, so that search finds them", (), "layers"),
    ActionSpec(
        "propose", "Curation", "Propose regions…", "Let a model find what captions speak of", ("Ctrl+P",), "propose"
    ),
    ActionSpec(
        "offer_alike",
        "Curation",
        "Offer identical mistakes",
        "After a correction, offer to fix together what looks the same and is called the same",
        is_checkable=True,
    ),
    ActionSpec("retrain", "Training", "Retrain…", "Train a new model on what has been reviewed", ("Ctrl+R",), "train"),
    ActionSpec("show_changes", "Training", "What changed", "Show what the newest training has changed"),
    ActionSpec("choose_sam", "Training", "Choose SAM checkpoint…", "Make masks by a Segment Anything file of yours"),
    ActionSpec("bundled_masks", "Training", "Use the bundled mask head", "Make masks without a checkpoint of yours"),
    ActionSpec("show_collection", "View", "Collection", "Show images and regions", ("Ctrl+1",), "image"),
    ActionSpec("show_training", "View", "Training", "Show runs, curves and models", ("Ctrl+2",), "curves"),
    ActionSpec("show_curation", "View", "Curation", "Review what models proposed", ("Ctrl+3",), "check"),
    ActionSpec("show_heatmaps", "View", "Heatmaps", "What is expected but not labelled", ("Ctrl+4",), "layers"),
    ActionSpec("show_experts", "View", "Experts", "Which expert looks at which image", ("Ctrl+5",), "experts"),
    ActionSpec("show_search", "View", "Search panel", "Show the search panel; again: its keys", ("Alt+1",)),
    ActionSpec("show_regions", "View", "Regions panel", "Show the regions of this image; again: its keys", ("Alt+2",)),
    ActionSpec("show_history", "View", "History panel", "Show what was done; again: its keys", ("Alt+3",), "history"),
    ActionSpec("show_heat", "View", "Heat panel", "Show the heat of the classes; again: its keys", ("Alt+4",), "heat"),
    ActionSpec(
        "show_experts_panel",
        "View",
        "Experts panel",
        "Show who took this image; again: its keys",
        ("Alt+5",),
        "experts",
    ),
    ActionSpec(
        "larger_tiles", "View", "Larger tiles", "Make the tiles of the gallery larger (Ctrl+wheel)", ("Ctrl+Alt++",)
    ),
    ActionSpec("smaller_tiles", "View", "Smaller tiles", "Make them smaller", ("Ctrl+Alt+-",)),
    ActionSpec("full_screen", "View", "Full screen", "Use the whole screen", ("F11",)),
    ActionSpec("keys", "Help", "Keys", "Show every key", ("F1", "?"), "keys"),
    ActionSpec("about", "Help", "About LocStudio", "Version and licences"),
)

CANVAS_ICONS = {
    CanvasCommand.SELECT: "select",
    CanvasCommand.DRAW: "draw",
    CanvasCommand.SEARCH: "query",
    CanvasCommand.FIT: "fit",
    CanvasCommand.ZOOM_IN: "zoom_in",
    CanvasCommand.ZOOM_OUT: "zoom_out",
    CanvasCommand.HIDE: "eye",
    CanvasCommand.HEAT: "heat",
    CanvasCommand.DELETE: "delete",
}

_BY_WINDOW = {CanvasCommand.VERIFY}  # the window has its own action, which also goes on


class Actions(QObject):
    """The actions of one window, by name."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._actions: dict[str, QAction] = {}
        for spec in ACTIONS:
            action = QAction(spec.text, self)
            action.setObjectName(spec.name)
            action.setShortcuts([QKeySequence(key) for key in spec.keys])
            action.setToolTip(with_key(spec.text.rstrip(ELLIPSIS), spec.keys))
            action.setStatusTip(spec.sentence)
            action.setCheckable(spec.is_checkable)
            action.setChecked(spec.is_checkable)
            if spec.icon:
                drawn.follow(action, spec.icon)
            self._actions[spec.name] = action

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def __iter__(self) -> Iterator[QAction]:
        return iter(self._actions.values())

    def set_enabled(self, is_enabled: bool, *names: str) -> None:
        """Enable or disable several."""
        for name in names:
            self._actions[name].setEnabled(is_enabled)


def canvas_action(command: CanvasCommand, run: Callable[[CanvasCommand], None], parent: QObject) -> QAction:
    """A menu entry or tool button for what the canvas can do.  Its keys are shown, but handled by the canvas."""
    words, keys = title(command), COMMANDS[command].keys
    action = QAction(f"{words}\t{native(keys[0])}", parent)
    action.setIconText(words)
    action.setToolTip(with_key(words, keys[:1]))
    action.triggered.connect(lambda: run(command))
    if command in CANVAS_ICONS:
        drawn.follow(action, CANVAS_ICONS[command])
    return action


def curation_action(command: CurationCommand, run: Callable[[CurationCommand], None], parent: QObject) -> QAction:
    """A menu entry for what the crop gallery can do.  Its keys are shown, but handled by the gallery."""
    keys = KEYS.get(command, ())
    action = QAction(f"{TITLES[command]}\t{native(keys[0])}" if keys else f"{TITLES[command]}{ELLIPSIS}", parent)
    action.setIconText(TITLES[command])
    action.triggered.connect(lambda: run(command))
    return action


def heat_action(command: HeatCommand, run: Callable[[HeatCommand], None], parent: QObject) -> QAction:
    """A menu entry for what the heatmaps page can do.  Its keys are shown, but handled by the page."""
    words = page_commands.TITLES[command]
    action = QAction(f"{words}\t{native(page_commands.KEYS[command][0])}", parent)
    action.setIconText(words)
    action.triggered.connect(lambda: run(command))
    return action


def expert_action(command: ExpertCommand, run: Callable[[ExpertCommand], None], parent: QObject) -> QAction:
    """A menu entry for what the page of the experts can do.  Its keys are shown, but handled by the page."""
    words = expert_commands.TITLES[command]
    action = QAction(f"{words}\t{native(expert_commands.KEYS[command][0])}", parent)
    action.setIconText(words)
    action.triggered.connect(lambda: run(command))
    return action


def key_table() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every key with what it does, by group: what the key sheet shows."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for spec in ACTIONS:
        if spec.keys:
            groups.setdefault(spec.group, []).append((_keys(spec.keys), spec.text.rstrip(ELLIPSIS)))
    groups["Boxes and canvas"] = [
        *_canvas_keys(frozenset(COMMANDS) - _BY_WINDOW - ABOUT_HEAT),
        ("1 – 9", "Class of the selected boxes, else of the next one"),
        ("Arrows", "Move the selected box by 1 px (Shift: 10, Ctrl: resize)"),
        ("Shift while drawing", "Draw a square"),
        ("Alt while dragging", "Do not snap to edges"),
        ("Wheel", "Zoom at the cursor"),
        ("Space or middle button", "Drag the picture"),
    ]
    groups["Heat on the canvas"] = [
        *_canvas_keys(ABOUT_HEAT),
        ("Right button with a brush", "Paint the opposite"),
        ("Ctrl+wheel with a brush", "Size of the brush"),
        ("Y, N, Delete in the list", "Class present, absent, unknown"),
    ]
    groups.setdefault("Curation", []).extend(
        [
            *((_keys(keys), TITLES[command]) for command, keys in KEYS.items()),
            (f"1 – {NUM_SUGGESTIONS}", "Take a suggestion"),
            ("Shift or Ctrl with arrows", "Select several; Ctrl+A all"),
        ]
    )
    groups["Canvas pass"] = [
        *((_keys(keys), pass_keys.TITLES[command]) for command, keys in pass_keys.KEYS.items()),
        (f"1 – {NUM_SUGGESTIONS}", "Take a suggestion"),
    ]
    groups["Heatmaps page"] = [
        *((_keys(keys), page_commands.TITLES[command]) for command, keys in page_commands.KEYS.items()),
        ("Shift or Ctrl with arrows", "Select several; Ctrl+A all"),
    ]
    groups["Experts panel"] = [
        ("Up, Down", "Ask what another expert would have said"),
        ("Enter", "Show the images of this expert"),
        ("Esc", "Back to the expert that took the image"),
    ]
    groups["Experts page"] = [
        *((_keys(keys), expert_commands.TITLES[command]) for command, keys in expert_commands.KEYS.items()),
        ("Arrows, Enter in a matrix", "Go to a cell, show its images"),
        ("Shift or Ctrl with arrows", "Select several; Ctrl+A all"),
    ]
    groups["Superclasses"] = [
        *((_keys(keys), superclass_commands.TITLES[command]) for command, keys in superclass_commands.KEYS.items()),
        ("Arrows, with Shift several", "Go from class to class on the graph"),
        ("Drag a class or a name", "Move the class, merge the superclass"),
        ("Wheel, drag the ground", "Zoom, move the graph about"),
    ]
    groups["What changed"] = [
        ("K  or  ←", "Keep what the old model says"),
        ("N  or  →", "Take what the new model says"),
        ("Space", "Skip"),
        ("Backspace", "Back"),
        ("Enter", "Open the image"),
    ]
    return list(groups.items())


def _canvas_keys(commands: frozenset[CanvasCommand]) -> list[tuple[str, str]]:
    return [(_keys(info.keys), title(command)) for command, info in COMMANDS.items() if command in commands]


def with_key(text: str, keys: tuple[str, ...]) -> str:
    """A tip: what it does, and its first key."""
    return f"{text} ({native(keys[0])})" if keys else text


def native(key: str) -> str:
    """A key as this desktop writes it."""
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)


def _keys(keys: tuple[str, ...]) -> str:
    """The first two; not Qt's own names of Shift+Tab, of the Return on the number pad, and of shifted brackets."""
    named = (key for key in keys[:2] if not any(odd in key for odd in ("Backtab", "Enter", "{", "}")))
    return "  or  ".join(dict.fromkeys(map(native, named)))
