"""What the window remembers between starts: theme, recent projects, sizes.  Losing it costs nothing."""

import base64
import logging
from pathlib import Path

import msgspec
import platformdirs

from locstudio.jobs.run_folder import write_whole

MAX_RECENT = 10
_log = logging.getLogger(__name__)


class Preferences(msgspec.Struct, kw_only=True):
    """``theme`` is "dark", "light" or "system"; ``geometry`` is Qt's own, base64; ``recent`` is newest first.

    ``sam`` is the file of the Segment Anything checkpoint that makes masks; empty for the bundled head.
    """

    theme: str = "dark"
    recent: list[str] = []
    geometry: str = ""
    panes: list[int] = []
    tile_side: int = 0
    sam: str = ""

    @classmethod
    def load(cls, path: Path | None = None) -> "Preferences":
        """What was remembered; the defaults where there is nothing readable (the file is then kept as ``.bad``)."""
        file = path or preferences_file()
        try:
            return msgspec.json.decode(file.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("the preferences %s cannot be read and are made anew: %s", file, error)
            try:
                file.replace(file.with_suffix(".bad"))
            except OSError:
                _log.warning("the unreadable preferences stay where they are")
            return cls()

    def save(self, path: Path | None = None) -> None:
        """Remember; a disk that refuses is only noted in the log."""
        file = path or preferences_file()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, msgspec.json.format(msgspec.json.encode(self)))
        except OSError as error:
            _log.warning("the preferences were not saved: %s", error)

    def add_recent(self, path: str) -> None:
        """Put a project at the head of the recent ones."""
        self.recent = [path, *(other for other in self.recent if other != path)][:MAX_RECENT]

    def existing_recent(self) -> list[str]:
        """Recent projects that are still there."""
        return [path for path in self.recent if Path(path).exists()]

    def geometry_bytes(self) -> bytes:
        """The window's geometry as Qt wants it."""
        return base64.b64decode(self.geometry.encode(), validate=False)

    def set_geometry(self, value: bytes | bytearray | memoryview) -> None:
        """Remember the window's geometry."""
        self.geometry = base64.b64encode(value).decode()


def preferences_file() -> Path:
    """Where preferences are kept."""
    return platformdirs.user_config_path("locstudio") / "window.json"
