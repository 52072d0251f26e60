"""Colours, spacing and the style sheet: one dark and one light theme of our own on Qt's Fusion style.

Colours are ``#rrggbb`` strings, so that painters, palettes and style sheets use the same ones.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

SPACE = 4  # every margin and gap is a multiple of this many pixels
RADIUS = 5

_ICONS = Path(__file__).parent / "icons"


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one look, each by what it is for.

    ``base`` is behind lists and text fields, ``raised`` behind buttons and cards, ``canvas`` behind the image.
    ``selection`` is behind selected rows (``text`` stays readable on it); ``handle`` fills the handles of a box.
    """

    name: str
    is_dark: bool
    window: str
    base: str
    raised: str
    text: str
    muted: str
    accent: str
    accent_text: str
    border: str
    danger: str
    warning: str
    success: str
    canvas: str
    canvas_grid: str
    selection: str
    handle: str

    @property
    def hover(self) -> str:
        """Behind what the mouse is over: ``raised`` moved towards ``text``."""
        return mixed(self.raised, self.text, 0.08)

    @property
    def outline(self) -> str:
        """Edge of a control that must be seen (check boxes): at least 3:1 against ``base``."""
        return mixed(self.border, self.muted, 0.75)


DARK = Theme(
    name="dark",
    is_dark=True,
    window="#1c1e23",
    base="#15171b",
    raised="#272a31",
    text="#e7e9ed",
    muted="#a0a7b4",
    accent="#6ea8fe",
    accent_text="#0a1526",
    border="#32363f",
    danger="#ff8a80",
    warning="#e8b84a",
    success="#67d391",
    canvas="#0f1114",
    canvas_grid="#1b1e23",
    selection="#2a4674",
    handle="#ffffff",
)

LIGHT = Theme(
    name="light",
    is_dark=False,
    window="#f3f4f6",
    base="#ffffff",
    raised="#fafbfc",
    text="#1a1e26",
    muted="#596273",
    accent="#1f5fc9",
    accent_text="#ffffff",
    border="#d6dae1",
    danger="#b3261e",
    warning="#855600",
    success="#17753a",
    canvas="#e3e5e9",
    canvas_grid="#d7dae0",
    selection="#cfe0fc",
    handle="#ffffff",
)


class _Notifier(QObject):
    """Tells who paints by hand that the colours are others now.

    Signals:
        changed: the theme was applied; ``current`` already returns the new one.
    """

    changed = Signal()


notifier = _Notifier()


class _State:
    """The one theme that is on.  A process has one application and so one look."""

    theme = DARK
    choice = "dark"
    is_following = False


def current() -> Theme:
    """The theme that is on."""
    return _State.theme


def apply(app: QApplication, choice: str) -> None:
    """Give the whole application a look.

    Args:
        app: The application.
        choice: "dark", "light", or "system" for what the desktop prefers (dark where it does not say).

    Raises:
        ValueError: another choice.
    """
    if choice not in ("dark", "light", "system"):
        raise ValueError(f"theme must be dark, light or system, not {choice!r}")
    _State.choice = choice
    if choice == "system":
        _follow_desktop(app)
        choice = "light" if app.styleHints().colorScheme() == Qt.ColorScheme.Light else "dark"
    theme = LIGHT if choice == "light" else DARK
    _State.theme = theme
    app.setStyle(QStyleFactory.create("Fusion"))
    app.setPalette(palette_of(theme))
    app.setStyleSheet(style_sheet_of(theme))
    notifier.changed.emit()


def _follow_desktop(app: QApplication) -> None:
    """Change with the desktop from now on, as long as that is the choice."""
    if not _State.is_following:
        _State.is_following = True
        app.styleHints().colorSchemeChanged.connect(
            lambda _: apply(app, "system") if _State.choice == "system" else None
        )


def use_interface_font(app: QApplication, folder: Path) -> None:
    """Use the interface font from this folder, where there is one; else the system's own stays."""
    families: list[str] = []
    for file in sorted(folder.glob("*.[ot]tf")):
        families += QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(file)))
    font = QFont(app.font())
    if families:
        font.setFamilies([families[0], *font.families()])
        font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    font.setPointSizeF(max(font.pointSizeF(), 9.75))
    app.setFont(font)


@lru_cache(maxsize=512)
def mixed(a: str, b: str, share: float) -> str:
    """The colour ``share`` of the way from ``a`` to ``b``."""
    first, second = QColor(a), QColor(b)
    return QColor(
        *(
            round(x + (y - x) * share)
            for x, y in zip(
                (first.red(), first.green(), first.blue()), (second.red(), second.green(), second.blue()), strict=True
            )
        )
    ).name()


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours in [1, 21].

    Source: WCAG 2.2, "contrast ratio" and "relative luminance".
    """
    brighter, darker = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    c = QColor(color)
    return 0.2126 * linear(c.redF()) + 0.7152 * linear(c.greenF()) + 0.0722 * linear(c.blueF())


def palette_of(theme: Theme) -> QPalette:
    """The palette that Fusion paints the theme with."""
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.base,
        QPalette.ColorRole.AlternateBase: mixed(theme.base, theme.raised, 0.5),
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.muted,
        QPalette.ColorRole.Button: theme.raised,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.BrightText: theme.danger,
        QPalette.ColorRole.ToolTipBase: theme.raised,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.Highlight: theme.selection,
        QPalette.ColorRole.HighlightedText: theme.text,
        QPalette.ColorRole.Accent: theme.accent,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.LinkVisited: theme.accent,
        QPalette.ColorRole.Light: mixed(theme.raised, theme.text, 0.12),
        QPalette.ColorRole.Midlight: mixed(theme.raised, theme.text, 0.06),
        QPalette.ColorRole.Mid: theme.border,
        QPalette.ColorRole.Dark: mixed(theme.border, theme.text, 0.15),
        QPalette.ColorRole.Shadow: theme.canvas if theme.is_dark else theme.muted,
    }
    palette = QPalette()
    for role, color in roles.items():
        palette.setColor(role, QColor(color))
    faint = QColor(mixed(theme.muted, theme.window, 0.45))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, faint)
    return palette


def style_sheet_of(theme: Theme) -> str:
    """The style sheet of a theme, from ``style.qss``.

    Widgets ask for a variant by a property: ``role`` = "heading", "muted", "chip", "primary", "flat", "card" or "bar".
    """
    values = {name: getattr(theme, name) for name in Theme.__dataclass_fields__}
    values |= {
        "hover": theme.hover,
        "outline": theme.outline,
        "faint": mixed(theme.muted, theme.window, 0.45),
        "pressed": mixed(theme.raised, theme.text, 0.16),
        "accent_hover": mixed(theme.accent, theme.text, 0.15),
        "accent_soft": mixed(theme.window, theme.accent, 0.18),
        "groove": mixed(theme.window, theme.text, 0.10),
        "thumb": mixed(theme.window, theme.text, 0.24),
        "thumb_hover": mixed(theme.window, theme.text, 0.38),
        "radius": f"{RADIUS}px",
        "check": (_ICONS / f"check_{theme.name}.svg").as_posix(),
        "arrow": (_ICONS / f"arrow_{theme.name}.svg").as_posix(),
    }
    sheet = (Path(__file__).parent / "style.qss").read_text(encoding="utf-8")
    for name, value in values.items():
        sheet = sheet.replace(f"@{name}@", str(value))
    return sheet
