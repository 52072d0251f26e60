"""The menus of the window: every action in its place, and what canvas and galleries can do, with their keys."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from locstudio.ui.actions import Actions, canvas_action, curation_action, expert_action, heat_action
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.curation import commands as curation
from locstudio.ui.heatmaps import page_commands as heat
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text
from locstudio.ui.routing import page_commands as experts
from locstudio.ui.top_bar import Page

_BOX_COMMANDS = (
    CanvasCommand.EDIT,
    CanvasCommand.DUPLICATE,
    CanvasCommand.COPY,
    CanvasCommand.PASTE,
    CanvasCommand.SELECT_ALL,
    CanvasCommand.DELETE,
    None,
    CanvasCommand.ACCEPT,
    CanvasCommand.REJECT,
    CanvasCommand.LOCK,
)
_VIEW_COMMANDS = (
    CanvasCommand.FIT,
    CanvasCommand.FIT_WIDTH,
    CanvasCommand.ZOOM_FULL,
    CanvasCommand.ZOOM_IN,
    CanvasCommand.ZOOM_OUT,
    CanvasCommand.HIDE,
)
_HEAT_COMMANDS = (
    CanvasCommand.HEAT,
    CanvasCommand.NEXT_HEAT,
    None,
    CanvasCommand.PRESENT,
    CanvasCommand.ABSENT,
    CanvasCommand.TAKE_HEAT,
    None,
    CanvasCommand.PAINT_IN,
    CanvasCommand.PAINT_OUT,
    CanvasCommand.ERASE,
)
_TOOL_COMMANDS = (CanvasCommand.SELECT, CanvasCommand.DRAW, CanvasCommand.SEARCH, CanvasCommand.REPEAT)
_THEMES = (("dark", "Dark"), ("light", "Light"), ("system", "As the desktop"))

_Command = TypeVar("_Command")


class Menus(QMenuBar):
    """All menus.  What belongs to one page is enabled while that page is shown.

    Signals:
        theme_chosen: "dark", "light" or "system".
        recent_chosen: the path of a project from the list of recent ones.
        canvas_wanted: a ``CanvasCommand``.
        curation_wanted: a ``CurationCommand``.
        heat_wanted: a ``HeatCommand``.
        expert_wanted: an ``ExpertCommand``.
    """

    theme_chosen = Signal(str)
    recent_chosen = Signal(str)
    canvas_wanted = Signal(object)
    curation_wanted = Signal(object)
    heat_wanted = Signal(object)
    expert_wanted = Signal(object)

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._by_name = actions
        self._of_page: dict[Page, list[QAction]] = {page: [] for page in Page}
        self._recent = QMenu("Recent projects", self)
        self._themes = QMenu("Theme", self)
        self.setNativeMenuBar(False)
        self.setAccessibleName("Menus")
        self._fill()
        self._fill_themes()

    def _fill(self) -> None:
        project = self._menu("Project", "open_project", "open_folder", "open_demo")
        project.addMenu(self._recent)
        project.addSeparator()
        self._add(project, "add_folder", "look_again", "relink", "")
        self._add(project, "import_annotations", "take_captions_in", "export_annotations", "")
        self._add(project, "checkpoint", "close_project", "", "quit")
        edit = self._menu("Edit", "undo", "redo", "")
        self._add_commands(edit, Page.COLLECTION, _BOX_COMMANDS, self._canvas)
        self._menu("Go", "next", "previous", "", "next_unreviewed", "previous_unreviewed", "", "verify")
        self._menu("Search", "search", "more", "ground", "clear_search", "", "index")
        menu = self._menu("Curation", "propose", "show_curation", "offer_alike", "")
        self._add_commands(menu, Page.CURATION, curation.MENU, self._curation)
        menu = self._menu("Heat", "show_heatmaps", "")
        self._add_commands(menu, Page.HEATMAPS, heat.MENU, self._heat)
        menu.addSeparator()
        self._add_commands(menu, Page.COLLECTION, _HEAT_COMMANDS, self._canvas)
        menu = self._menu("Experts", "show_experts", "")
        self._add_commands(menu, Page.EXPERTS, experts.MENU, self._experts)
        self._menu("Training", "retrain", "", "show_training", "show_changes", "", "choose_sam", "bundled_masks")
        view = self._menu("View", "show_collection", "show_training", "show_curation", "show_heatmaps")
        self._add(view, "show_experts", "")
        self._add(view, "show_search", "show_regions", "show_history", "show_heat", "show_experts_panel", "")
        self._add_commands(view, Page.COLLECTION, (*_TOOL_COMMANDS, None, *_VIEW_COMMANDS), self._canvas)
        view.addSeparator()
        self._add(view, "larger_tiles", "smaller_tiles", "", "full_screen")
        view.addMenu(self._themes)
        self._menu("Help", "keys", "about")

    def _fill_themes(self) -> None:
        group = QActionGroup(self)
        for choice, text in _THEMES:
            action = self._themes.addAction(text)
            action.setCheckable(True)
            action.setData(choice)
            group.addAction(action)
            action.triggered.connect(lambda _=False, chosen=choice: self.theme_chosen.emit(chosen))
        drawn.follow(self._themes.menuAction(), "theme")

    def set_page(self, page: Page | None) -> None:
        """Enable what belongs to this page; None is no page of a project."""
        for of_page, actions in self._of_page.items():
            for action in actions:
                action.setEnabled(of_page is page)

    def set_recent(self, paths: Iterable[str]) -> None:
        """Projects that were open before, newest first."""
        self._recent.clear()
        for path in paths:
            action = self._recent.addAction(action_text(path))
            action.triggered.connect(lambda _=False, chosen=path: self.recent_chosen.emit(chosen))
        self._recent.setEnabled(not self._recent.isEmpty())

    def set_theme_choice(self, choice: str) -> None:
        """Mark a theme."""
        for action in self._themes.actions():
            action.setChecked(action.data() == choice)

    def _menu(self, title: str, *names: str) -> QMenu:
        menu = self.addMenu(title)
        self._add(menu, *names)
        return menu

    def _add(self, menu: QMenu, *names: str) -> None:
        for name in names:
            if name:
                menu.addAction(self._by_name[name])
            else:
                menu.addSeparator()

    def _add_commands(
        self, menu: QMenu, page: Page, commands: Iterable[_Command | None], make: Callable[[_Command], QAction]
    ) -> None:
        for command in commands:
            if command is None:
                menu.addSeparator()
                continue
            action = make(command)
            menu.addAction(action)
            self._of_page[page].append(action)

    def _canvas(self, command: CanvasCommand) -> QAction:
        return canvas_action(command, self.canvas_wanted.emit, self)

    def _curation(self, command: curation.CurationCommand) -> QAction:
        return curation_action(command, self.curation_wanted.emit, self)

    def _heat(self, command: heat.HeatCommand) -> QAction:
        return heat_action(command, self.heat_wanted.emit, self)

    def _experts(self, command: experts.ExpertCommand) -> QAction:
        return expert_action(command, self.expert_wanted.emit, self)
