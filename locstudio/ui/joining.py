"""Where an open project meets the window: signals of its parts, connected in one place, and closed with the project."""

from PySide6.QtWidgets import QWidget

from locstudio.services.checkpoints import active_folder
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.commands import CanvasCommand, title
from locstudio.ui.curation.curation import NOTICE as CURATION_NOTICE
from locstudio.ui.curation.curation import Curation
from locstudio.ui.desk import Desk
from locstudio.ui.engine_client import EngineState
from locstudio.ui.index_keeping import IndexKeeping
from locstudio.ui.main_window import MainWindow
from locstudio.ui.opening import Place
from locstudio.ui.training.retraining import NOTICE, Retraining

_TOOL_WORDS = {
    Tool.SELECT: CanvasCommand.SELECT,
    Tool.BOX: CanvasCommand.DRAW,
    Tool.SEARCH: CanvasCommand.SEARCH,
    Tool.POINTS: CanvasCommand.POINTS,
    Tool.PAINT_IN: CanvasCommand.PAINT_IN,
    Tool.PAINT_OUT: CanvasCommand.PAINT_OUT,
    Tool.ERASE: CanvasCommand.ERASE,
}


def show_desk(window: MainWindow, desk: Desk) -> None:
    """Let the window tell what happens in the collection: status line, search field and notices."""
    status, canvas = window.status, desk.canvas
    desk.said.connect(status.say)
    desk.engine.state_changed.connect(lambda state: _show_engine(window, desk, state))
    desk.phrases_read.connect(window.top.set_phrases)
    desk.box_measured.connect(status.set_box_size)
    desk.not_saved.connect(lambda text: window.notice.say("unsaved", text, "Try again", is_problem=True))
    desk.searching.searched.connect(lambda query: window.top.set_words(query.text))
    canvas.pointer_moved.connect(status.set_position)
    canvas.zoom_changed.connect(status.set_zoom)
    canvas.tool_changed.connect(lambda tool: status.set_tool(title(_TOOL_WORDS[tool])))
    status.set_tool(title(_TOOL_WORDS[canvas.tool]))


def _show_engine(window: MainWindow, desk: Desk, state: EngineState) -> None:
    ready = state.ready
    active = desk.opened.dataset.active_checkpoint() if ready is not None else None
    is_own = active is not None and ready is not None and active.id == ready.checkpoint_id
    window.top.set_engine(state, active.name if active is not None and is_own else "")
    window.status.set_device(ready.device if ready is not None else "")


def join_retraining(window: MainWindow, desk: Desk, index: IndexKeeping) -> Retraining:
    """Retraining for the open project, told and heard by the window, the collection and the index."""

    def show_place(place: Place) -> None:
        window.show_collection()
        desk.show_place(place)

    def change_model() -> None:
        desk.change_model(active_folder(desk.opened.project, desk.opened.dataset))
        index.set_opened(desk.opened)

    def show_training(page: QWidget) -> None:
        window.notice.withdraw(NOTICE)
        window.show_training(page)

    retraining = Retraining(desk, window, desk)
    retraining.page_wanted.connect(show_training)
    retraining.place_wanted.connect(show_place)
    retraining.progressed.connect(window.status.set_training)
    retraining.said.connect(window.status.say)
    retraining.noticed.connect(
        lambda sentence, button, is_problem: window.notice.say(NOTICE, sentence, button, is_problem=is_problem)
    )
    retraining.model_changed.connect(change_model)
    return retraining


def join_curation(window: MainWindow, desk: Desk, index: IndexKeeping, retraining: Retraining) -> Curation:
    """Curation for the open project, told and heard by the window, the collection and the list of runs."""

    def show_place(place: Place) -> None:
        window.show_collection()
        desk.show_place(place)

    def show_curation(page: QWidget) -> None:
        window.notice.withdraw(CURATION_NOTICE)
        window.show_curation(page)

    curation = Curation(desk, window, window.actions_by_name["propose"], desk)
    curation.page_wanted.connect(show_curation)
    curation.place_wanted.connect(show_place)
    curation.collection_wanted.connect(window.show_collection)
    curation.progressed.connect(window.status.show_share)
    curation.said.connect(window.status.say)
    curation.noticed.connect(
        lambda sentence, button, is_problem: window.notice.say(CURATION_NOTICE, sentence, button, is_problem=is_problem)
    )
    offer = window.actions_by_name["offer_alike"]
    offer.setChecked(True)
    offer.toggled.connect(curation.set_offering)
    curation.offer_changed.connect(offer.setChecked)
    index.service_changed.connect(curation.set_service)
    retraining.proposing_resumed.connect(curation.proposing.follow)
    window.curation_wanted.connect(curation.run)
    return curation
