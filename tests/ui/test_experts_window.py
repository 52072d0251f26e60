"""The page of the experts in the window: its key, its menu, the ways to it and from it."""

import shutil

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from locstudio.services.routing.runs import routing_runs
from locstudio.store.project import Project
from locstudio.ui.routing import route_starting
from locstudio.ui.routing.page_commands import VIEWS, ExpertCommand
from locstudio.ui.top_bar import Page
from locstudio.ui.workspace import Panel


@pytest.fixture
def opened(studio, routing, tmp_path, qtbot):
    """The whole window on a project with two routed runs, its page of experts shown."""
    made = routing.make_routed_project(tmp_path / "made", num_images=12)
    project = Project(shutil.copytree(made.path, tmp_path / "project"))
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.open_path(project.path)
    QTest.keyClick(studio.window, Qt.Key.Key_5, Qt.KeyboardModifier.ControlModifier)
    shown = studio.experts.desk
    qtbot.waitUntil(lambda: len(shown.page.model.rows) > 0, timeout=10_000)
    return shown


def unnamed(window):
    """Widgets that the keyboard reaches and a screen reader cannot name."""
    found = []
    for widget in window.findChildren(QWidget):
        is_reached = widget.focusPolicy() != Qt.FocusPolicy.NoFocus and widget.isVisibleTo(window)
        if is_reached and not widget.objectName().startswith("qt_"):
            interface = QAccessible.queryAccessibleInterface(widget)
            if interface is None or not interface.text(QAccessible.Text.Name):
                found.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}")
    return found


def test_that_the_page_is_the_fifth_and_every_view_of_it_has_names_and_room(studio, opened, qtbot):
    window = studio.window
    assert window.page is Page.EXPERTS
    assert window.focusWidget() is opened.page.gallery.grid
    for view in VIEWS:
        window.expert_wanted.emit(view)  # as the menu does
        qtbot.waitUntil(lambda: not opened.reviewing._matrices.is_busy, timeout=5_000)
        assert opened.page.view is view
        assert unnamed(window) == []
        assert window.minimumSizeHint().width() <= 1280
    QTest.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert window.page is Page.COLLECTION


def test_that_an_image_goes_to_the_collection_and_its_expert_comes_back(studio, opened, routing, qtbot):
    desk = studio.desk
    image_id = opened.page.gallery.grid.current.image_id
    QTest.keyClick(opened.page.gallery.grid, Qt.Key.Key_Return)
    assert studio.window.page is Page.COLLECTION
    assert desk.workspace.panel is Panel.EXPERTS
    qtbot.waitUntil(lambda: desk.browsing.image is not None and desk.browsing.image.id == image_id, timeout=5_000)
    desk.routing.expert_wanted.emit(routing.FIRST_RUN, 2)
    assert studio.window.page is Page.EXPERTS
    qtbot.waitUntil(lambda: opened.page.gallery.words.startswith("Expert 3 · food"), timeout=5_000)
    assert opened.reviewing.run_id == routing.FIRST_RUN


def test_that_training_is_asked_for_and_routing_is_started_once(studio, opened, monkeypatch, qtbot):
    started, made = [], []

    def start_route(project, dataset):
        made.append(dataset)
        return routing_runs(project, dataset)[0]

    monkeypatch.setattr(route_starting, "start_route", start_route)
    monkeypatch.setattr(studio.retraining.book, "start", lambda folder: started.append(folder) or True)
    opened.page.head._route.click()
    opened.page.head._route.click()  # somebody who is in a hurry
    qtbot.waitUntil(lambda: len(started) == 1, timeout=5_000)
    assert studio.window.status.currentMessage().startswith("Every image is routed in the background")
    monkeypatch.setattr(studio.retraining.book, "start", lambda _: False)
    opened.page.head._route.click()
    qtbot.waitUntil(lambda: studio.window.notice.text.startswith("The process of the run"), timeout=5_000)
    assert len(made) == 2
    opened.page.head._train.click()
    qtbot.waitUntil(lambda: studio.retraining.planning.sheet is not None, timeout=5_000)
    assert studio.retraining.planning.sheet.choice.model == "vmoe"
    opened.page.run(ExpertCommand.TIDY)  # and nothing is lost when it is read again
    qtbot.waitUntil(lambda: len(opened.page.model.rows) > 0, timeout=5_000)
