"""Line icons drawn from a table, coloured by the theme and redrawn when it changes."""

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt
from PySide6.QtGui import QAction, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton
from shiboken6 import isValid

from locstudio.ui import theme

_SIZES = (16, 24, 32, 48)

_GLYPHS = {
    "search": '<circle cx="7" cy="7" r="4.2"/><path d="M10.2 10.2 14 14"/>',
    "close": '<path d="M4 4l8 8M12 4l-8 8"/>',
    "select": '<path d="M4 2.5v9.6l2.6-2.4 1.7 3.8 1.8-.8-1.7-3.7h3.5z"/>',
    "draw": '<rect x="2.5" y="3.5" width="9" height="9" rx="1"/><path d="M11.5 10v5M9 12.5h5"/>',
    "query": '<path d="M2.5 5.5v-3h3M10.5 2.5h3v3M2.5 10.5v3h3"/><circle cx="9" cy="9" r="2.7"/><path d="M11 11l3 3"/>',
    "fit": '<path d="M2.5 6v-3.5h3.5M10 2.5h3.5v3.5M13.5 10v3.5h-3.5M6 13.5h-3.5v-3.5"/>',
    "zoom_in": '<circle cx="7" cy="7" r="4.5"/><path d="M10.4 10.4 14 14M5 7h4M7 5v4"/>',
    "zoom_out": '<circle cx="7" cy="7" r="4.5"/><path d="M10.4 10.4 14 14M5 7h4"/>',
    "undo": '<path d="M3 6.5h6.5a3.5 3.5 0 0 1 0 7h-3.5M5.8 3.5 2.8 6.5l3 3"/>',
    "redo": '<path d="M13 6.5h-6.5a3.5 3.5 0 0 0 0 7h3.5M10.2 3.5l3 3-3 3"/>',
    "previous": '<path d="M10 3.5 5.5 8l4.5 4.5"/>',
    "next": '<path d="M6 3.5 10.5 8 6 12.5"/>',
    "check": '<path d="M3 8.5 6.5 12 13 4.5"/>',
    "folder": '<path d="M2 4.5a1 1 0 0 1 1-1h3l1.5 1.7H13a1 1 0 0 1 1 1V12a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1z"/>',
    "import": '<path d="M8 2.5v7M5 7l3 3 3-3M2.5 11v2.5h11v-2.5"/>',
    "export": '<path d="M8 10v-7.5M5 5.3l3-3 3 3M2.5 11v2.5h11v-2.5"/>',
    "filter": '<path d="M2.5 3.5h11l-4.2 5v4.5l-2.6-1.3v-3.2z"/>',
    "theme": '<circle cx="8" cy="8" r="5.3"/><path d="M8 2.7a5.3 5.3 0 0 1 0 10.6z" fill="INK"/>',
    "keys": '<rect x="1.5" y="4" width="13" height="8.5" rx="1.5"/><path d="M4 6.8h.1M6.7 6.8h.1M9.3 6.8h.1'
    'M12 6.8h.1M5 9.8h6"/>',
    "target": '<circle cx="8" cy="8" r="4.6"/><path d="M8 1.5v3M8 11.5v3M1.5 8h3M11.5 8h3"/>',
    "history": '<path d="M2.8 8a5.3 5.3 0 1 0 1.7-3.9L2.7 5.8M2.7 2.7v3.1h3.1M8 5v3.3l2.2 1.3"/>',
    "delete": '<path d="M3 4.5h10M6.3 4.5v-1.7h3.4v1.7M4.3 4.5l.6 9h6.2l.6-9"/>',
    "retry": '<path d="M13 8a5 5 0 1 1-1.6-3.7L13.2 6M13.2 2.8v3.2h-3.2"/>',
    "layers": '<path d="M8 2.5 14 5.7 8 8.9 2 5.7zM2.3 8.6 8 11.6l5.7-3M2.3 11.2 8 14.2l5.7-3"/>',
    "warning": '<path d="M8 2.5 14.3 13.5H1.7zM8 6.5v3.3M8 11.7h.1"/>',
    "missing": '<rect x="2" y="3" width="12" height="10" rx="1"/><path d="M2 13 14 3"/>',
    "image": '<rect x="2" y="3" width="12" height="10" rx="1"/><circle cx="5.5" cy="6.3" r="1.1"/>'
    '<path d="M2.5 11.5 6 8.5l2.2 2L11 7.5l3 3"/>',
    "more": '<rect x="2.5" y="2.5" width="4.5" height="4.5" rx=".8"/>'
    '<rect x="9" y="2.5" width="4.5" height="4.5" rx=".8"/>'
    '<rect x="2.5" y="9" width="4.5" height="4.5" rx=".8"/><path d="M11.3 9v4.6M9 11.3h4.6"/>',
    "grid": '<rect x="2.5" y="2.5" width="4.5" height="4.5" rx=".8"/>'
    '<rect x="9" y="2.5" width="4.5" height="4.5" rx=".8"/>'
    '<rect x="2.5" y="9" width="4.5" height="4.5" rx=".8"/><rect x="9" y="9" width="4.5" height="4.5" rx=".8"/>',
    "review": '<path d="M2.3 4.6 3.8 6.1 6.6 3M2.3 11 3.8 12.5 6.6 9.4M9 4.7h4.8M9 11.1h4.8"/>',
    "menu": '<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/>',
    "eye": '<path d="M1.5 8C3 5.2 5.3 3.8 8 3.8S13 5.2 14.5 8C13 10.8 10.7 12.2 8 12.2S3 10.8 1.5 8z"/>'
    '<circle cx="8" cy="8" r="1.9"/>',
    "run": '<circle cx="8" cy="8" r="5.6"/><path d="M6.6 5.6 10.6 8l-4 2.4z" fill="INK"/>',
    "pause": '<circle cx="8" cy="8" r="5.6"/><path d="M6.5 5.8v4.4M9.5 5.8v4.4"/>',
    "stop": '<circle cx="8" cy="8" r="5.6"/><rect x="6" y="6" width="4" height="4" fill="INK"/>',
    "curves": '<path d="M2.5 2.5v11h11M4.5 6c2 .5 2 4 4 4.5s3-.8 4.5-.8"/>',
    "train": '<path d="M8 1.8 9.5 6l4.2 1.5L9.5 9 8 13.2 6.5 9 2.3 7.5 6.5 6zM13 11.5v3M11.5 13h3"/>',
    "person": '<circle cx="8" cy="5" r="2.6"/><path d="M3 13.5c.4-3 2.3-4.6 5-4.6s4.6 1.6 5 4.6"/>',
    "machine": '<rect x="4" y="4" width="8" height="8" rx="1"/><path d="M6.5 1.8v2.2M9.5 1.8v2.2M6.5 12v2.2M9.5 12v2.2'
    'M1.8 6.5h2.2M1.8 9.5h2.2M12 6.5h2.2M12 9.5h2.2"/>',
    "pencil": '<path d="M3 13l.7-2.9 7-7a1.5 1.5 0 0 1 2.2 2.2l-7 7zM9.4 4.4l2.2 2.2"/>',
    "pin": '<path d="M5.5 2.5h5M6.3 2.5l-.4 4-2 2.7h8.2l-2-2.7-.4-4M8 9.2v4.8"/>',
    "sort": '<path d="M2.5 4h11M2.5 8h7.5M2.5 12h4"/>',
    "propose": '<path d="M2.5 5v-2.5h2.5M7 2.5h2M11 2.5h2.5v2.5M2.5 7v2M2.5 11v2.5h2.5M13.5 7v1.5M7 13.5h1.5M12 10.3v4'
    'M10 12.3h4"/>',
    "heat": '<path d="M8 1.8c.4 2.6 3.9 3.8 3.9 7.4a3.9 3.9 0 0 1-7.8 0c0-1.7.8-2.7 1.7-3.6.2 1 .6 1.5 1.2 1.8'
    'C6.7 5.3 7 3.3 8 1.8z"/>',
    "experts": '<circle cx="3.2" cy="8" r="1.5"/><circle cx="12.6" cy="3.2" r="1.5"/><circle cx="12.6" cy="8" r="1.5"/>'
    '<circle cx="12.6" cy="12.8" r="1.5"/><path d="M4.7 7.6 11.2 3.9M4.7 8h6.4M4.7 8.4l6.5 3.7"/>',
    "paint_in": '<circle cx="8" cy="8" r="5.4"/><path d="M8 5.3v5.4M5.3 8h5.4"/>',
    "paint_out": '<circle cx="8" cy="8" r="5.4" stroke-dasharray="2.4 1.8"/><path d="M5.3 8h5.4"/>',
    "eraser": '<path d="M6.3 13.3 2.6 9.6 9.2 3l4.2 4.2-6.1 6.1zM5.6 6.6l4.2 4.2M6.3 13.3h7.2"/>',
    "logo": '<path d="M2.5 5.5v-3h3M10.5 2.5h3v3M2.5 10.5v3h3M13.5 10.5v3h-3"/>'
    '<rect x="5.3" y="5.3" width="5.4" height="5.4" rx="1" fill="INK"/>',
}


def names() -> list[str]:
    """Every icon there is."""
    return sorted(_GLYPHS)


def pixmap(name: str, side: int, color: str) -> QPixmap:
    """One icon as a square picture of ``side`` pixels.

    Raises:
        KeyError: no icon has this name.
    """
    picture = QPixmap(side, side)
    picture.fill(Qt.GlobalColor.transparent)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="INK" stroke-width="1.3" '
        f'stroke-linecap="round" stroke-linejoin="round">{_GLYPHS[name]}</svg>'
    ).replace("INK", color)
    painter = QPainter(picture)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(0, 0, side, side))
    painter.end()
    return picture


def icon(name: str, color: str = "") -> QIcon:
    """An icon in the theme's text colour (or ``color``), paler when disabled."""
    look = theme.current()
    ink = color or theme.mixed(look.text, look.muted, 0.35)
    faint = theme.mixed(look.muted, look.window, 0.5)
    result = QIcon()
    for side in _SIZES:
        result.addPixmap(pixmap(name, side, ink), QIcon.Mode.Normal)
        result.addPixmap(pixmap(name, side, faint), QIcon.Mode.Disabled)
    return result


def follow(target: QAction | QAbstractButton, name: str, role: str = "") -> None:
    """Give an action or a button this icon, now and after every change of theme.

    ``role`` names the theme's colour to draw it with ("accent_text", "danger"); empty for the usual one.
    """
    _Follower(target, name, role)


class _Follower(QObject):
    """Redraws one icon when the theme changes; lives and dies with its target."""

    def __init__(self, target: QAction | QAbstractButton, name: str, role: str) -> None:
        super().__init__(target)
        self._target = target
        self._name = name
        self._role = role
        theme.notifier.changed.connect(self._redraw)
        self._redraw()

    def _redraw(self) -> None:
        if not isValid(self._target):  # a theme can change while a window is being destroyed
            return
        self._target.setIcon(icon(self._name, getattr(theme.current(), self._role) if self._role else ""))
