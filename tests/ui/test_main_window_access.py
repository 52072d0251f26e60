"""The window for every hand and eye: names for screen readers, keys that do not collide, foreign text as text."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QKeySequence
from PySide6.QtWidgets import QLabel, QToolButton, QWidget

from locstudio.ui import theme
from locstudio.ui.actions import ACTIONS, key_table
from locstudio.ui.canvas.commands import COMMANDS, CanvasCommand
from locstudio.ui.curation.pass_keys import PassCommand
from locstudio.ui.engine_client import EngineState
from locstudio.ui.key_sheet import KeySheet
from locstudio.ui.preferences import Preferences
from locstudio.ui.top_bar import Page
from locstudio.ui.workspace import Panel

NASTY = "<img src=x onerror=alert(1)>\n&amp; <b>bold</b>"


def unnamed(window: QWidget) -> list[str]:
    """Widgets that the keyboard reaches and a screen reader cannot name."""
    found = []
    for widget in window.findChildren(QWidget):
        if widget.focusPolicy() == Qt.FocusPolicy.NoFocus or not widget.isVisibleTo(window):
            continue
        if widget.objectName().startswith("qt_"):  # Qt's own parts of a widget that has a name
            continue
        interface = QAccessible.queryAccessibleInterface(widget)
        if interface is None or not interface.text(QAccessible.Text.Name):
            found.append(f"{type(widget).__name__} {widget.objectName()} in {type(widget.parent()).__name__}")
    return found


def test_that_every_widget_the_keyboard_reaches_has_a_name(studio, desk):
    assert unnamed(studio.window) == []
    studio.window.actions_by_name["show_regions"].trigger()
    assert unnamed(studio.window) == []


def test_that_the_first_page_and_the_key_sheet_have_names_too(studio, qtbot):
    assert unnamed(studio.window) == []
    sheet = KeySheet(studio.window)
    qtbot.addWidget(sheet)
    assert unnamed(sheet) == []


def test_that_every_tab_of_the_training_page_and_the_retrain_sheet_have_names(studio, desk):
    studio.window.actions_by_name["show_training"].trigger()
    page = studio.retraining._desk.page
    for tab in type(page.tab):
        page.show_tab(tab)
        assert unnamed(studio.window) == []
    studio.window.actions_by_name["retrain"].trigger()
    sheet = studio.retraining.planning.sheet
    sheet._fold.click()
    assert unnamed(sheet) == []
    sheet.choose_model("consistency")
    assert unnamed(sheet) == []


def test_that_the_curation_page_and_its_sheet_have_names(studio, desk, qtbot):
    studio.window.actions_by_name["show_curation"].trigger()
    assert unnamed(studio.window) == []
    studio.window.actions_by_name["propose"].trigger()
    qtbot.waitUntil(lambda: studio.curation.sheet is not None)
    sheet = studio.curation.sheet
    sheet._detector.setCurrentIndex(1)
    assert unnamed(sheet) == []


def test_that_no_key_means_two_things():
    keys = [QKeySequence(key).toString() for spec in ACTIONS for key in spec.keys]
    keys += [
        QKeySequence(key).toString()
        for command, info in COMMANDS.items()
        if command is not CanvasCommand.VERIFY  # the window's own action does this and goes on
        for key in info.keys
    ]
    assert sorted(key for key in set(keys) if keys.count(key) > 1) == []


def test_that_the_key_sheet_shows_every_action_that_has_a_key():
    shown = [words for _, rows in key_table() for _, words in rows]
    assert all(spec.text.rstrip("…") in shown for spec in ACTIONS if spec.keys)


def test_that_the_key_sheet_has_the_keys_of_the_canvas_pass():
    rows = {words: keys for keys, words in dict(key_table())["Canvas pass"]}
    assert len(rows) == len(PassCommand)
    assert rows["Reject what is left in the image"] == "Shift+X"
    assert rows["Take a suggestion"] == "1 – 5"


@pytest.mark.parametrize("name", ["vmoe-lite", "after the birds of the second expedition"])
def test_that_menus_and_a_search_field_have_room_in_a_window_of_1280(studio, desk, name):
    top = studio.window.top
    studio.window.resize(1280, 800)
    top.set_engine(EngineState("ready", ready=SimpleNamespace(name=name, device="CPU, 2 cores")), name)
    for page in Page:
        top.set_page(page)
        top.layout().activate()
        assert top.field.width() >= 180
        assert top._menus.width() >= top._menus.sizeHint().width()
    studio.window.resize(1920, 1080)
    top.layout().activate()
    assert top.engine_text.endswith("on CPU")


def test_that_a_panel_that_is_in_front_takes_the_keys_and_gives_them_back(studio, desk):
    window = studio.window
    window.actions_by_name["show_experts_panel"].trigger()
    assert window.focusWidget() is desk.canvas
    window.actions_by_name["show_experts_panel"].trigger()
    assert desk.workspace.panel is Panel.EXPERTS
    assert window.focusWidget() is not desk.canvas
    window.actions_by_name["show_experts_panel"].trigger()
    assert window.focusWidget() is desk.canvas


def test_that_no_label_of_the_window_guesses_at_markup(studio, desk):
    studio.window.top.set_engine(EngineState("failed", NASTY))
    studio.window.notice.say("index", NASTY, "A & B")
    studio.window.status.say(NASTY)
    studio.window.set_recent([NASTY])
    desk.search.set_query(NASTY, NASTY)
    desk.search.set_history([NASTY])
    for label in studio.window.findChildren(QLabel):
        assert label.textFormat() == Qt.TextFormat.PlainText or not label.text(), label.text()
    for button in studio.window.findChildren(QToolButton):
        assert "<img" not in button.toolTip()
    assert "\n" not in studio.window.notice.text
    assert studio.window.status.currentMessage().startswith("<img")


@pytest.mark.parametrize("choice", ["light", "dark"])
def test_that_the_theme_changes_while_a_project_is_open(studio, desk, choice):
    studio.window.theme_chosen.emit(choice)
    assert theme.current().name == choice
    corner = studio.window.grab().toImage().pixelColor(3, studio.window.height() - 3)
    assert corner.name() == getattr(theme, choice.upper()).window


def test_that_preferences_survive_and_broken_ones_are_put_aside(tmp_path):
    file = tmp_path / "window.json"
    preferences = Preferences(theme="light")
    preferences.add_recent("/b")
    preferences.add_recent("/a")
    preferences.add_recent("/b")
    preferences.save(file)
    assert Preferences.load(file).recent == ["/b", "/a"]
    file.write_text("{broken")
    assert Preferences.load(file) == Preferences()
    assert file.with_suffix(".bad").read_text() == "{broken"


def test_that_the_window_never_loads_torch():
    code = "import sys, locstudio.app; print([name for name in sys.modules if name.split('.')[0] in ('torch', 'timm')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_that_sizes_of_panes_leave_room_at_1280_by_800(studio, desk):
    left, middle, right = desk.workspace.sizes()
    assert left >= 240
    assert right >= 320
    assert middle >= 560


def test_that_the_window_is_no_larger_than_the_screen_at_first(studio):
    first = type(studio.window)()
    available = studio.window.screen().availableSize()
    assert first.width() <= available.width()
    assert first.height() <= available.height()
    first.deleteLater()
