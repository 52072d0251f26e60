"""The window: menus, the top bar, the status line, and either the welcome page or the workspace of a project."""

from collections.abc import Iterable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from locstudio.domain.text import shown
from locstudio.ui.actions import Actions
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.key_sheet import KeySheet
from locstudio.ui.menus import Menus
from locstudio.ui.notice_bar import NoticeBar
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
    "show_heat",
    "show_experts_panel",
    "larger_tiles",
    "smaller_tiles",
    "retrain",
    "show_changes",
    "show_collection",
    "show_training",
    "show_curation",
    "show_heatmaps",
    "show_experts",
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


class MainWindow(QMainWindow):
    """Shows; decides nothing.

    Signals:
        theme_chosen: "dark", "light" or "system".
        recent_chosen: the path of a project from the list of recent ones.
        dropped: paths that were dropped on the window.
        curation_wanted: a ``CurationCommand`` from the menu, while the curation page is shown.
        heat_wanted: a ``HeatCommand`` from the menu, while the heatmaps page is shown.
        expert_wanted: an ``ExpertCommand`` from the menu, while the page of the experts is shown.
        closing: the ``QCloseEvent``: whoever hears it puts everything in order before it returns, or refuses.
    """

    theme_chosen = Signal(str)
    recent_chosen = Signal(str)
    dropped = Signal(list)
    curation_wanted = Signal(object)
    heat_wanted = Signal(object)
    expert_wanted = Signal(object)
    closing = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setAcceptDrops(True)
        self.actions_by_name = Actions(self)
        self.workspace: Workspace | None = None
        self._pages: dict[Page, QWidget] = {}
        self._menus = Menus(self.actions_by_name, self)
        for mine, of_menus in (
            (self.theme_chosen, self._menus.theme_chosen),
            (self.recent_chosen, self._menus.recent_chosen),
            (self.curation_wanted, self._menus.curation_wanted),
            (self.heat_wanted, self._menus.heat_wanted),
            (self.expert_wanted, self._menus.expert_wanted),
        ):
            of_menus.connect(mine)
        self._menus.canvas_wanted.connect(self._run_on_canvas)
        self.top = TopBar(self._menus, self.actions_by_name["retrain"], self)
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

    def show_heatmaps(self, widget: QWidget) -> None:
        """Show the heatmaps page of the open project; it stays until the project is closed."""
        self._show_page(Page.HEATMAPS, widget)

    def show_experts(self, widget: QWidget) -> None:
        """Show the page of the experts of the open project; it stays until the project is closed."""
        self._show_page(Page.EXPERTS, widget)

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
        self._menus.set_page(self.page)
        is_gallery = self.page in (Page.CURATION, Page.HEATMAPS, Page.EXPERTS)
        self.actions_by_name.set_enabled(not is_gallery, "look_again")  # F5 tidies the gallery there
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
        self._menus.set_page(None)
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
        self._menus.set_recent(paths)

    def set_theme_choice(self, choice: str) -> None:
        """Mark a theme in the menu."""
        self._menus.set_theme_choice(choice)

    def show_keys(self) -> None:
        """Open the sheet of all keys."""
        sheet = KeySheet(self)
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.open()

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
