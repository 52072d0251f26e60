"""The composition root: builds the window and what stands behind it, and connects every signal.  No torch."""

import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QFileSystemWatcher, QObject, Signal, qInstallMessageHandler
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QApplication, QFileDialog

from locstudio import __version__
from locstudio.domain.errors import DatasetInUse, UserError
from locstudio.services.demo import open_demo
from locstudio.ui import theme
from locstudio.ui.application import make_application
from locstudio.ui.background import DatasetWorker
from locstudio.ui.curation.curation import NOTICE as CURATION_NOTICE
from locstudio.ui.curation.curation import Curation
from locstudio.ui.desk import Desk
from locstudio.ui.desk_actions import desk_actions
from locstudio.ui.engine_client import EngineClient, EngineState
from locstudio.ui.heatmaps.heatmaps import HeatPages
from locstudio.ui.joining import ProjectParts, join_project
from locstudio.ui.main_window import MainWindow
from locstudio.ui.mask_choice import MaskChoice
from locstudio.ui.preferences import Preferences
from locstudio.ui.process_end import deliver, on_signals, wants_to_lose
from locstudio.ui.project_loading import OpenedProject, SearchState, call_owner, open_project
from locstudio.ui.routing.expert_pages import ExpertPages
from locstudio.ui.tour import Tour, on_qt_message
from locstudio.ui.training.retraining import NOTICE, Retraining
from locstudio.ui.transfers import show_report

_log = logging.getLogger(__name__)
_TOUR_SIZE = (1440, 900)
_ASK_PROJECT, _ASK_IMAGES = "Open a project", "Open a folder of images"


class Studio(QObject):
    """The window, and the project that is open in it.

    Signals:
        ready: a project is shown and its index, if any, is open.
        not_opened: the exception of a project that could not be opened.
    """

    ready = Signal()
    not_opened = Signal(object)
    _scanned = Signal(int)

    def __init__(
        self,
        app: QApplication,
        preferences: Preferences | None = None,
        make_engine: Callable[[Path, Path], EngineClient] = EngineClient,
    ) -> None:
        """Make the window.  With ``preferences`` it looks as they say and remembers nothing.

        ``make_engine`` is called with the checkpoint's folder and the project's cache.
        """
        super().__init__()
        self._app = app
        self._remembers = preferences is None
        self._make_engine = make_engine
        self.preferences = preferences or Preferences.load()
        theme.apply(app, self.preferences.theme)
        self.window = MainWindow()
        self.parts: ProjectParts | None = None
        self._worker = DatasetWorker(self)
        self._masks = MaskChoice(self.window, self.preferences, self._save_preferences)
        self._wanted = Path()
        self._scanned.connect(lambda n: self.window.status.set_work(f"Looking at images: {n:,}", can_cancel=False))
        self._connect_window()
        self._connect_actions()
        self.window.set_recent(self.preferences.existing_recent())
        self.window.set_theme_choice(self.preferences.theme)
        if self.preferences.geometry:
            self.window.restoreGeometry(QByteArray(self.preferences.geometry_bytes()))

    def _connect_window(self) -> None:
        window = self.window
        window.theme_chosen.connect(self._on_theme_chosen)
        window.recent_chosen.connect(lambda path: self.open_path(Path(path)))
        window.dropped.connect(self._on_dropped)
        window.closing.connect(self._on_closing)
        window.notice.accepted.connect(self._on_notice_accepted)
        window.status.cancel_wanted.connect(lambda: self._with_parts(lambda parts: parts.cancel()))
        window.welcome.demo_wanted.connect(self._open_demo)
        window.welcome.project_wanted.connect(lambda: self._ask_folder(_ASK_PROJECT))
        window.welcome.folder_wanted.connect(lambda: self._ask_folder(_ASK_IMAGES))
        window.top.words_typed.connect(self._search_words)
        window.top.retry_wanted.connect(lambda: self._with_desk(lambda desk: desk.engine.retry()))

    def _connect_actions(self) -> None:
        on_window: dict[str, Callable[[], object]] = {
            "open_project": partial(self._ask_folder, _ASK_PROJECT),
            "open_folder": partial(self._ask_folder, _ASK_IMAGES),
            "open_demo": self._open_demo,
            "close_project": self.close_project,
            "about": self._show_about,
            "checkpoint": lambda: self.window.status.say(
                "Everything is saved already: each change goes to disk as you make it."
            ),
            "add_folder": lambda: self._with_parts(lambda parts: parts.transfers.ask_folder()),
            "look_again": lambda: self._with_parts(lambda parts: parts.transfers.look_again()),
            "relink": lambda: self._with_parts(lambda parts: parts.transfers.ask_relink()),
            "import_annotations": lambda: self._with_parts(lambda parts: parts.transfers.ask_import()),
            "take_captions_in": lambda: self._with_parts(lambda parts: parts.transfers.take_captions_in()),
            "export_annotations": lambda: self._with_parts(lambda parts: parts.transfers.ask_export()),
            "index": lambda: self._with_parts(lambda parts: parts.index.start()),
            "retrain": lambda: self._with_parts(lambda parts: parts.retraining.ask()),
            "show_changes": lambda: self._with_parts(lambda parts: parts.retraining.show_changes()),
            "show_training": lambda: self._with_parts(lambda parts: parts.retraining.show()),
            "show_collection": self.window.show_collection,
            "show_curation": lambda: self._with_parts(lambda parts: parts.curation.show()),
            "show_heatmaps": lambda: self._with_parts(lambda parts: parts.heatmaps.show()),
            "show_experts": lambda: self._with_parts(lambda parts: parts.experts.show()),
            "propose": lambda: self._with_parts(lambda parts: parts.curation.ask()),
        }
        for name, act in on_window.items():
            self.window.actions_by_name[name].triggered.connect(partial(_call, act))
        for name, wish in (desk_actions(self.window) | self._masks.actions()).items():
            self.window.actions_by_name[name].triggered.connect(partial(self._with_desk, wish))

    def _with_desk(self, wish: Callable[[Desk], object], _is_checked: bool = False) -> None:
        if self.desk is not None:
            wish(self.desk)

    def _with_parts(self, wish: Callable[[ProjectParts], object]) -> None:
        if self.parts is not None:
            wish(self.parts)

    @property
    def desk(self) -> Desk | None:
        """The collection of the open project."""
        return self.parts.desk if self.parts is not None else None

    @property
    def retraining(self) -> Retraining | None:
        """The runs of the open project."""
        return self.parts.retraining if self.parts is not None else None

    @property
    def curation(self) -> Curation | None:
        """The review of what was proposed in the open project."""
        return self.parts.curation if self.parts is not None else None

    @property
    def heatmaps(self) -> HeatPages | None:
        """The heatmaps of the open project."""
        return self.parts.heatmaps if self.parts is not None else None

    @property
    def experts(self) -> ExpertPages | None:
        """The experts of the open project."""
        return self.parts.experts if self.parts is not None else None

    @property
    def search_state(self) -> SearchState | None:
        """The index of the open project, once it has been looked for."""
        return self.parts.index.state if self.parts is not None else None

    # opening and closing ----------------------------------------------------------------------------------------

    def open_path(self, path: Path, *, read_only: bool = False) -> None:
        """Open a project, or the project of a folder of images, in place of the one that is open."""
        self._wanted = path
        self.window.notice.hide()
        self.window.status.set_work(f"Opening {path.name}", can_cancel=False)
        self._worker.ask(
            lambda: open_project(path, read_only=read_only, progress=lambda done, _: self._scanned.emit(done)),
            on_result=self._on_opened,
            on_error=self._on_not_opened,
        )

    def _on_opened(self, opened: OpenedProject) -> None:
        self.close_project()
        self.window.status.set_work("")
        checkpoint = opened.checkpoint or Path("no-model")
        engine = self._make_engine(checkpoint, opened.project.cache)
        desk = Desk(opened, engine, self)
        engine.setParent(desk)
        self._masks.apply(desk)
        engine.state_changed.connect(self._on_engine_state)
        parts = self.parts = join_project(self.window, desk)
        parts.index.settled.connect(self.ready)
        parts.transfers.ended.connect(self._on_transfer_ended)
        desk.title_changed.connect(self._on_title_changed)
        desk.search.phrase_chosen.connect(self.search_for)
        self.window.show_workspace(desk.workspace)
        if len(self.preferences.panes) == 3:
            desk.workspace.set_sizes(self.preferences.panes)
        if self.preferences.tile_side:
            desk.gallery.set_side(self.preferences.tile_side)
        self.preferences.add_recent(str(opened.project.path))
        self.window.set_recent(self.preferences.existing_recent())
        self._save_preferences()
        if not opened.dataset.is_read_only:
            watcher = QFileSystemWatcher([str(opened.project.owner_path)], desk)
            watcher.fileChanged.connect(lambda _: self.window.come_forward())
        desk.start()
        if opened.checkpoint is not None:
            engine.start()
        if opened.dataset.is_read_only:
            self.window.notice.say(
                "read-only", "This project is open read-only: look and search, but edits are refused."
            )
        parts.read()

    def search_for(self, text: str) -> None:
        """Search for words as if they had been typed."""
        self.window.top.set_words(text)
        self._search_words(text)

    def _search_words(self, text: str) -> None:
        if text:
            self.window.show_collection()
        self._with_desk(lambda desk: desk.search_words(text))

    def _on_not_opened(self, error: Exception) -> None:
        self.window.status.set_work("")
        self.not_opened.emit(error)
        if isinstance(error, DatasetInUse):
            self._worker.ask(call_owner, self._wanted)
            self.window.notice.say("in use", str(error), "Open read-only", is_problem=True)
        else:
            self.window.notice.say("not opened", str(error), is_problem=True)
            if not isinstance(error, UserError):
                _log.error("a project could not be opened", exc_info=error)

    def close_project(self) -> None:
        """Put everything on disk, end the engine, and show the first page."""
        parts, self.parts = self.parts, None
        if parts is None:
            return
        self.preferences.panes = parts.desk.workspace.sizes()
        self.preferences.tile_side = parts.desk.gallery.side
        parts.close()
        self.window.notice.hide()
        self.window.status.set_work("")
        self.window.status.set_training("", -1.0)
        self.window.show_welcome()
        self.window.top.set_engine(EngineState("off"))
        parts.desk.deleteLater()

    def _on_closing(self, event: QCloseEvent) -> None:
        num_unsaved = self.desk.editing.num_unsaved if self.desk is not None else 0
        if num_unsaved and not wants_to_lose(self.window, num_unsaved):
            event.ignore()
            return
        self.close()

    def close(self) -> None:
        """Close the project and remember the window; called when the window closes."""
        self.close_project()
        self._worker.close()
        self.preferences.set_geometry(self.window.saveGeometry().data())
        self._save_preferences()

    # facts ------------------------------------------------------------------------------------------------------

    def _on_engine_state(self, state: EngineState) -> None:
        if (ready := state.ready) is not None:
            self._with_parts(lambda parts: parts.index.set_model(ready.checkpoint_id))

    def _on_title_changed(self, name: str, number: int, count: int) -> None:
        self._with_desk(lambda desk: self.window.set_title(name, number, count, desk.opened.title))

    def _on_transfer_ended(self, has_changed: bool) -> None:
        self.window.status.set_work("")
        if has_changed:
            self._with_parts(lambda parts: parts.refresh())

    def _on_notice_accepted(self, name: str) -> None:
        self.window.notice.hide()
        if name == "index":
            self._with_parts(lambda parts: parts.index.start())
        elif name == "in use":
            self.open_path(self._wanted, read_only=True)
        elif name == "unsaved":
            self._with_desk(lambda desk: desk.editing.retry())
        elif name == NOTICE:
            self._with_parts(lambda parts: parts.retraining.show_news())
        elif name == CURATION_NOTICE:
            self._with_parts(lambda parts: parts.curation.show())

    def _on_theme_chosen(self, choice: str) -> None:
        self.preferences.theme = choice
        theme.apply(self._app, choice)
        self._save_preferences()

    def _save_preferences(self) -> None:
        if self._remembers:
            self.preferences.save()

    def _on_dropped(self, paths: list[str]) -> None:
        path = Path(paths[0])
        if self.parts is not None:
            self.parts.transfers.take_dropped(path, self.open_path)
        elif path.is_dir():
            self.open_path(path)
        else:
            self.window.status.say("Drop a project or a folder of images; into a project, also annotations.")

    # dialogs ----------------------------------------------------------------------------------------------------

    def _ask_folder(self, title: str) -> None:
        folder = QFileDialog.getExistingDirectory(self.window, title)
        if folder:
            self.open_path(Path(folder))

    def _open_demo(self) -> None:
        self.window.status.set_work("Opening the demo", can_cancel=False)
        self._worker.ask(
            open_demo, on_result=lambda project: self.open_path(project.path), on_error=self._on_not_opened
        )

    def _show_about(self) -> None:
        text = (
            f"LocStudio {__version__}\n\nApache License 2.0. The interface font is Inter (SIL Open Font License 1.1)."
        )
        show_report(self.window, text)


def _call(act: Callable[[], object], _is_checked: bool = False) -> None:
    act()


def run(path: Path | None) -> int:
    """Open the window on a project, a folder of images, or the welcome page; returns the exit status."""
    app = make_application()
    studio = Studio(app)
    sys.excepthook = deliver
    studio.window.show()
    end = on_signals(studio.window.close, studio)
    if path is not None:
        studio.open_path(path)
    status = app.exec()
    end()
    return status


def run_tour(project: Path, folder: Path) -> dict[str, Any]:
    """Walk through a project without hands, leaving pictures of the window and a report in a folder.

    Raises:
        UserError: the project, its index or the model is not there.
    """
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    qInstallMessageHandler(on_qt_message)
    studio = Studio(make_application(), Preferences())
    studio.window.resize(*_TOUR_SIZE)
    studio.window.show()
    problems: list[Exception] = []
    studio.not_opened.connect(problems.append)
    try:
        studio.open_path(project)
        Tour.wait_for(lambda: studio.search_state is not None or bool(problems), 60, "the project")
        for problem in problems:
            raise problem
        parts = studio.parts
        assert parts is not None
        pages = parts.curation, parts.heatmaps, parts.experts
        return Tour(studio.window, parts.desk, *pages, parts.retraining, folder, started).walk()
    finally:
        studio.window.close()
        qInstallMessageHandler(None)
