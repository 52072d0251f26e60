"""Which model makes masks: a person's own Segment Anything checkpoint, or the small head that comes with LocStudio."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from locstudio.ui.desk import Desk
from locstudio.ui.preferences import Preferences

_TITLE = "Choose a Segment Anything checkpoint"
_FILTER = "Checkpoints (*.pth *.pt *.safetensors);;All files (*)"
_CHOSEN = "Masks are made by {name} from now on; the first one takes as long as loading it."
_BUNDLED = "Masks are made by the head that comes with LocStudio."


class MaskChoice:
    """Asks for the checkpoint and remembers it for every project."""

    def __init__(self, window: QWidget, preferences: Preferences, save: Callable[[], None]) -> None:
        self._window = window
        self._preferences = preferences
        self._save = save

    def apply(self, desk: Desk) -> None:
        """Have a project that was opened make masks as was chosen before; a file that is gone is forgotten."""
        file = Path(self._preferences.sam)
        desk.engine.use_sam(file if self._preferences.sam and file.is_file() else None)

    def actions(self) -> dict[str, Callable[[Desk], object]]:
        """What the window's actions mean, by name."""
        return {"choose_sam": self._choose, "bundled_masks": lambda desk: self._use(desk, None)}

    def _choose(self, desk: Desk) -> None:
        file, _ = QFileDialog.getOpenFileName(self._window, _TITLE, self._preferences.sam, _FILTER)
        if file:
            self._use(desk, Path(file))

    def _use(self, desk: Desk, file: Path | None) -> None:
        self._preferences.sam = str(file) if file else ""
        self._save()
        desk.engine.use_sam(file)
        desk.said.emit(_CHOSEN.format(name=file.name) if file else _BUNDLED)
