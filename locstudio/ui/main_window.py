"""The window: menus, the top bar, the status line, and either the welcome page or the workspace of a project."""

from collections.abc import Iterable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import QMainWindow, QMenu, QMenuBar, QStackedWidget, QVBoxLayout, QWidget

from locstudio.domain.text import shown
from locstudio.ui.actions import Actions, canvas_action, curation_action
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.curation.commands import MENU
from locstudio.ui.icons import drawn
from locstudio.ui.key_sheet import KeySheet
from locstudio.ui.notice_bar import NoticeBar
from locstudio.ui.plain_text import action_text
from locstudio.ui.status_line import StatusLine
from locstudio.ui.top_bar import Page, TopBar
from locstudio.ui.welcome import WelcomePage
from locstudio.ui.workspace import Workspace

_FIRST_SIZE = (1440, 900)
_NEEDS_PROJECT = (
    "add_folder",
    "look_again",
    "relink",
    "import_annotations",
    "take_captions_in",
    "export_annotations",
    "checkpoint",
    "close_project",
    "undo",
    "redo",
    "next",
    "previous",
    "next_unreviewed",
    "previous_unreviewed",
    "verify",
    "search",
    "more",
    "ground",
    "clear_search",
    "index",
    "show_search",
    "show_regions",
    "show_history",
    "larger_tiles",
    "smaller_tiles",
    "retrain",
    "show_changes",
    "show_collection",
    "show_training",
    "show_curation",
    "propose",
    "offer_alike",
    "choose_sam",
    "bundled_masks",
)
_ONLY_COLLECTION = (
    "next",
    "previous",
    "next_unreviewed",
    "previous_unreviewed",
    "verify",
    "more",
    "ground",
    "larger_tiles",
    "smaller_tiles",
)
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
_TOOL_COMMANDS = (CanvasCommand.SELECT, CanvasCommand.DRAW, CanvasCommand.SEARCH, CanvasCommand.REPEAT)


class MainWindow(QMainWindow):
    """Shows; decides nothing.

    Signals:
        theme_chosen: "dark", "light" or "system".
        recent_chosen: the path of a project from the list of recent ones.
        dropped: paths that were dropped on the window.
        curation_wanted: a ``CurationCommand`` from the menu, while the curation page is shown.
        closing: the ``QCloseEvent``: whoever hears it puts everything in order before it returns, or refuses.
    """

    theme_chosen = Signal(str)
    recent_chosen = Signal(str)
    dropped = Signal(list)
    curation_wanted = Signal(object)
    closing = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setAcceptDrops(True)
        self.actions_by_name = Actions(self)
        self.workspace: Workspace | None = None
        self._pages: dict[Page, QWidget] = {}
        self._recent_menu = QMenu("Recent projects", self)
        self._theme_menu = QMenu("Theme", self)
        menus = self._make_menus()
        self.top = TopBar(menus, self.actions_by_name["retrain"], self)
        self.setMenuWidget(self.top)
        self.status = StatusLine(self)
        self.setStatusBar(self.status)
        self.welcome = WelcomePage(self)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self.welcome)
        self.notice = NoticeBar(self)
        middle = QWidget(self)
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.notice)
        column.addWidget(self._stack, 1)
        self.setCentralWidget(middle)
        self.addActions(list(self.actions_by_name))
        self.actions_by_name["keys"].triggered.connect(self.show_keys)
        self.actions_by_name["full_screen"].triggered.connect(self._switch_full_screen)
        self.actions_by_name["quit"].triggered.connect(self.close)
        self.actions_by_name["search"].triggered.connect(self._focus_search)
        self.welcome.recent_chosen.connect(self.recent_chosen)
        self.top.page_wanted.connect(lambda page: self.actions_by_name[f"show_{page.value}"].trigger())
        self.status.training_wanted.connect(self.actions_by_name["show_training"].trigger)
        self.show_welcome()
        self.resize(QSize(*_FIRST_SIZE).boundedTo(self.screen().availableSize()))

    # what is shown ----------------------------------------------------------------------------------------------

    def show_workspace(self, workspace: Workspace) -> None:
        """Show an open project."""
        self.show_welcome()
        self.workspace = workspace
        self._stack.addWidget(workspace)
        self.actions_by_name.set_enabled(True, *_NEEDS_PROJECT)
        self.top.set_active(True)
        self.show_collection()

    @property
    def page(self) -> Page:
        """The page that is shown, once a project is open."""
        shown_page = self._stack.currentWidget()
        return next((page for page, widget in self._pages.items() if widget is shown_page), Page.COLLECTION)

    def show_collection(self) -> None:
        """Show images and regions, as they were left."""
        if self.workspace is not None:
            self._stack.setCurrentWidget(self.workspace)
            self._on_page_shown()
            self.workspace.canvas.setFocus()

    def show_training(self, widget: QWidget) -> None:
        """Show the training page of the open project; it stays until the project is closed."""
        self._show_page(Page.TRAINING, widget)

    def show_curation(self, widget: QWidget) -> None:
        """Show the curation page of the open project; it stays until the project is closed."""
        self._show_page(Page.CURATION, widget)

    def _show_page(self, page: Page, widget: QWidget) -> None:
        if self.workspace is None:
            return
        if page not in self._pages:
            self._pages[page] = widget
            self._stack.addWidget(widget)
        self._stack.setCurrentWidget(widget)
        self._on_page_shown()
        widget.setFocus()

    def _on_page_shown(self) -> None:
        is_collection = self.page is Page.COLLECTION
        self.actions_by_name.set_enabled(is_collection, *_ONLY_COLLECTION)
        self._set_canvas_menus(is_collection)
        is_curation = self.page is Page.CURATION
        self._set_curation_menu(is_curation)
        self.actions_by_name.set_enabled(not is_curation, "look_again")  # F5 tidies the crop gallery there
        self.top.set_page(self.page)
        self.status.show_canvas_facts(is_collection)

    def show_welcome(self) -> None:
        """Show the first page; what was there of a project is taken out and destroyed."""
        for part in (self.workspace, *self._pages.values()):
            if part is not None:
                self._stack.removeWidget(part)
                part.deleteLater()
        self.workspace, self._pages = None, {}
        self._stack.setCurrentWidget(self.welcome)
        self.actions_by_name.set_enabled(False, *_NEEDS_PROJECT)
        self._set_canvas_menus(False)
        self._set_curation_menu(False)
        self.top.set_words("")
        self.top.set_active(False)
        self.welcome.focus_first()
        self.set_title("", 0, 0, "")

    def come_forward(self) -> None:
        """Show the window above the others, also from the task bar: another start of this project asks for it."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.raise_()
        self.activateWindow()

    def set_title(self, image: str, number: int, count: int, project: str) -> None:
        """``name (5 / 100) - project``; the parts that are empty are left out."""
        where = f"{shown(image)} ({number:,} / {count:,})" if image and number else shown(image)
        self.setWindowTitle(" - ".join(part for part in (where, shown(project), "LocStudio") if part))

    def set_recent(self, paths: Iterable[str]) -> None:
        """Projects that were open before, newest first."""
        paths = list(paths)
        self.welcome.set_recent(paths)
        self._recent_menu.clear()
        for path in paths:
            action = self._recent_menu.addAction(action_text(path))
            action.triggered.connect(lambda _=False, chosen=path: self.recent_chosen.emit(chosen))
        self._recent_menu.setEnabled(bool(paths))

    def set_theme_choice(self, choice: str) -> None:
        """Mark a theme in the menu."""
        for action in self._theme_menu.actions():
            action.setChecked(action.data() == choice)

    def show_keys(self) -> None:
        """Open the sheet of all keys."""
        sheet = KeySheet(self)
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.open()

    # menus ------------------------------------------------------------------------------------------------------

    def _make_menus(self) -> QMenuBar:
        bar = QMenuBar(self)
        bar.setNativeMenuBar(False)
        bar.setAccessibleName("Menus")
        self._canvas_actions: list[QAction] = []
        project = self._menu(bar, "Project", "open_project", "open_folder", "open_demo")
        project.addMenu(self._recent_menu)
        project.addSeparator()
        self._add(project, "add_folder", "look_again", "relink", "")
        self._add(project, "import_annotations", "take_captions_in", "export_annotations", "")
        self._add(project, "checkpoint", "close_project", "", "quit")
        edit = self._menu(bar, "Edit", "undo", "redo", "")
        self._add_canvas(edit, _BOX_COMMANDS)
        self._menu(bar, "Go", "next", "previous", "", "next_unreviewed", "previous_unreviewed", "", "verify")
        self._menu(bar, "Search", "search", "more", "ground", "clear_search", "", "index")
        self._add_curation(self._menu(bar, "Curation", "propose", "show_curation", "offer_alike", ""))
        self._menu(bar, "Training", "retrain", "", "show_training", "show_changes", "", "choose_sam", "bundled_masks")
        view = self._menu(bar, "View", "show_collection", "show_training", "show_curation", "")
        self._add(view, "show_search", "show_regions", "show_history", "")
        self._add_canvas(view, (*_TOOL_COMMANDS, None, *_VIEW_COMMANDS))
        view.addSeparator()
        self._add(view, "larger_tiles", "smaller_tiles", "", "full_screen")
        self._make_theme_menu()
        view.addMenu(self._theme_menu)
        self._menu(bar, "Help", "keys", "about")
        return bar

    def _menu(self, bar: QMenuBar, title: str, *names: str) -> QMenu:
        menu = bar.addMenu(title)
        self._add(menu, *names)
        return menu

    def _add(self, menu: QMenu, *names: str) -> None:
        for name in names:
            if name:
                menu.addAction(self.actions_by_name[name])
            else:
                menu.addSeparator()

    def _add_canvas(self, menu: QMenu, commands: Iterable[CanvasCommand | None]) -> None:
        for command in commands:
            if command is None:
                menu.addSeparator()
                continue
            action = canvas_action(command, self._run_on_canvas, self)
            menu.addAction(action)
            self._canvas_actions.append(action)

    def _add_curation(self, menu: QMenu) -> None:
        self._curation_actions: list[QAction] = []
        for command in MENU:
            if command is None:
                menu.addSeparator()
                continue
            action = curation_action(command, self.curation_wanted.emit, self)
            menu.addAction(action)
            self._curation_actions.append(action)

    def _make_theme_menu(self) -> None:
        group = QActionGroup(self)
        for choice, text in (("dark", "Dark"), ("light", "Light"), ("system", "As the desktop")):
            action = self._theme_menu.addAction(text)
            action.setCheckable(True)
            action.setData(choice)
            group.addAction(action)
            action.triggered.connect(lambda _=False, chosen=choice: self.theme_chosen.emit(chosen))
        drawn.follow(self._theme_menu.menuAction(), "theme")

    def _set_canvas_menus(self, is_enabled: bool) -> None:
        for action in self._canvas_actions:
            action.setEnabled(is_enabled)

    def _set_curation_menu(self, is_enabled: bool) -> None:
        for action in self._curation_actions:
            action.setEnabled(is_enabled)

    def _run_on_canvas(self, command: CanvasCommand) -> None:
        if self.workspace is not None:
            self.workspace.canvas.run(command)

    def _focus_search(self) -> None:
        self.top.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.top.field.selectAll()

    def _switch_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    # events -----------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that nobody wanted are the canvas's: drawing does not begin with a click on it."""
        canvas = self._canvas_for_keys()
        if canvas is not None:
            canvas.keyPressEvent(event)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        canvas = self._canvas_for_keys()
        if canvas is not None:
            canvas.keyReleaseEvent(event)
        else:
            super().keyReleaseEvent(event)

    def _canvas_for_keys(self) -> CanvasView | None:
        """The canvas, where it is on the page that is shown and has not had the key already."""
        if self.workspace is None or self.page is not Page.COLLECTION:
            return None
        canvas = self.workspace.canvas
        return None if self.focusWidget() is canvas else canvas

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.dropped.emit(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        event.accept()
        self.closing.emit(event)
