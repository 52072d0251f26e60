"""The two themes: readable by measure, not by taste."""

import pytest
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication

from locstudio.ui import theme

THEMES = [theme.DARK, theme.LIGHT]


def test_that_black_on_white_has_the_highest_contrast():
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21.0)


@pytest.mark.parametrize("look", THEMES, ids=lambda look: look.name)
@pytest.mark.parametrize("ink", ["text", "muted", "danger", "warning", "success"])
@pytest.mark.parametrize("ground", ["window", "base", "raised"])
def test_that_text_reaches_the_contrast_of_wcag_aa(look, ink, ground):
    assert theme.contrast(getattr(look, ink), getattr(look, ground)) >= 4.5


@pytest.mark.parametrize("look", THEMES, ids=lambda look: look.name)
def test_that_text_stays_readable_on_accent_and_selection(look):
    assert theme.contrast(look.accent_text, look.accent) >= 4.5
    assert theme.contrast(look.text, look.selection) >= 4.5
    assert theme.contrast(look.accent, look.window) >= 4.5


@pytest.mark.parametrize("look", THEMES, ids=lambda look: look.name)
def test_that_an_unchecked_box_can_be_seen(look):
    assert theme.contrast(look.outline, look.base) >= 3.0
    assert theme.contrast(look.outline, look.window) >= 3.0


@pytest.mark.parametrize("look", THEMES, ids=lambda look: look.name)
def test_that_the_style_sheet_has_no_unfilled_colour(look):
    assert "@" not in theme.style_sheet_of(look)


def test_that_applying_a_theme_changes_palette_and_tells_who_paints(qapp: QApplication, qtbot):
    with qtbot.waitSignal(theme.notifier.changed, timeout=1000):
        theme.apply(qapp, "light")
    assert theme.current() is theme.LIGHT
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == theme.LIGHT.window
    theme.apply(qapp, "dark")
    assert theme.current() is theme.DARK


def test_that_an_unknown_theme_is_refused(qapp):
    with pytest.raises(ValueError, match="pink"):
        theme.apply(qapp, "pink")


def test_that_the_theme_of_the_desktop_is_dark_where_it_does_not_say(qapp):
    theme.apply(qapp, "system")
    assert theme.current() is theme.DARK
    theme.apply(qapp, "dark")
