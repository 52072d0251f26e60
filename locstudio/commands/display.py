"""Is there a display to open a window on?  Asked before Qt is, which aborts the process instead of raising."""

import ctypes
import ctypes.util
import importlib.util
import os
import sys
from pathlib import Path

from locstudio.domain.errors import NoDisplay

_ADVICE = "The other commands need no display; `locstudio demo --tour OUT` leaves screenshots in a folder."


def require_display() -> None:
    """Return when a window can be opened.

    Raises:
        NoDisplay: there is no display, it does not answer, or a system library of Qt's is missing.
    """
    if not sys.platform.startswith("linux"):
        return
    chosen = os.environ.get("QT_QPA_PLATFORM", "").split(":")[0].split(";")[0]
    if chosen and chosen not in ("xcb", "wayland"):
        return
    if os.environ.get("WAYLAND_DISPLAY") and chosen != "xcb" and _plugin("libqwayland.so"):
        return
    if not os.environ.get("DISPLAY"):
        raise NoDisplay(f"There is no display to open a window on (DISPLAY is not set). {_ADVICE}")
    plugin = _plugin("libqxcb.so")
    if plugin is None:
        raise NoDisplay(f"PySide6 is not installed completely: its X11 plugin is missing. {_ADVICE}")
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        library = str(error).split(":")[0]
        raise NoDisplay(
            f"A system library is missing: {library}. On Debian or Ubuntu: sudo apt-get install libxcb-cursor0 "
            f"libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxkbcommon-x11-0 libegl1 libgl1. {_ADVICE}"
        ) from error
    if not _x_server_answers():
        raise NoDisplay(f"The display {os.environ['DISPLAY']} does not answer. {_ADVICE}")


def _plugin(name: str) -> Path | None:
    """The platform plugin, found without importing PySide6."""
    package = importlib.util.find_spec("PySide6")
    folders = list(package.submodule_search_locations or []) if package else []
    files = [Path(folder) / "Qt" / "plugins" / "platforms" / name for folder in folders]
    return next((file for file in files if file.is_file()), None)


def _x_server_answers() -> bool:
    name = ctypes.util.find_library("xcb")
    if name is None:
        return True
    xcb = ctypes.CDLL(name)
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    failed = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return not failed
