"""Where an open project meets the window: signals of its parts, connected in one place, and closed with the project."""

from dataclasses import dataclass

from PySide6.QtWidgets import QWidget

from locstudio.services.checkpoints import active_folder
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.commands import CanvasCommand, title
from locstudio.ui.curation.curation import NOTICE as CURATION_NOTICE
from locstudio.ui.curation.curation import Curation
from locstudio.ui.desk import Desk
from locstudio.ui.engine_client import EngineState
from locstudio.ui.heatmaps.heatmaps import HeatPages
from locstudio.ui.index_keeping import IndexKeeping
from locstudio.ui.main_window import MainWindow
from locstudio.ui.opening import Place
from locstudio.ui.routing.expert_pages import ExpertPages
from locstudio.ui.routing.route_starting import RouteStarting
from locstudio.ui.training.retraining import NOTICE, Retraining
from locstudio.ui.transfers import Transfers
from locstudio.ui.workspace import Panel

_TOOL_WORDS = {
    Tool.SELECT: CanvasCommand.SELECT,
    Tool.BOX: CanvasCommand.DRAW,
    Tool.SEARCH: CanvasCommand.SEARCH,
    Tool.POINTS: CanvasCommand.POINTS,
    Tool.PAINT_IN: CanvasCommand.PAINT_IN,
    Tool.PAINT_OUT: CanvasCommand.PAINT_OUT,
    Tool.ERASE: CanvasCommand.ERASE,
}


@dataclass(frozen=True, slots=True, eq=False)
class ProjectParts:
    """What an open project has beside its desk; all of it comes and goes with the project."""

    desk: Desk
    index: IndexKeeping
    transfers: Transfers
    retraining: Retraining
    curation: Curation
    heatmaps: HeatPages
    experts: ExpertPages

    def read(self) -> None:
        """Look for what is there: an index, runs, proposals."""
        self.index.read()
        self.retraining.read()
        self.curation.read()

    def refresh(self) -> None:
        """Read everything again, as after images or annotations came in."""
        self.desk.refresh()
        self.index.read()
        self.curation.refresh()
        self.heatmaps.refresh()
        self.experts.refresh()

    def cancel(self) -> None:
        """Stop what goes on in the background and can be seen in the status line."""
        if self.transfers.is_running:
            self.transfers.cancel()
        elif self.curation.is_proposing:
            self.curation.stop()
        else:
            self.index.stop()

    def close(self) -> None:
        """Put everything on disk, and end the engine."""
        self.transfers.cancel()
        self.index.leave()
        self.retraining.close()
        self.curation.close()
        self.heatmaps.close()
        self.experts.close()
        self.desk.close()
        self.index.close()


def join_project(window: MainWindow, desk: Desk) -> ProjectParts:
    """Everything of an open project, told and heard by the window."""
    opened = desk.opened
    index = IndexKeeping(opened, desk.work, window.notice, window.status, desk)
    index.service_changed.connect(desk.searching.set_service)
    index.service_changed.connect(desk.following.set_service)
    desk.following.too_much.connect(index.offer)
    desk.following.progressed.connect(index.show_following)
    transfers = Transfers(opened.dataset, desk.work, window, desk)
    transfers.progressed.connect(window.status.show_share)
    transfers.said.connect(window.status.say)
    retraining = join_retraining(window, desk, index)
    curation = join_curation(window, desk, index, retraining)
    heatmaps = join_heatmaps(window, desk, retraining)
    experts = join_experts(window, desk, retraining)
    show_desk(window, desk)
    return ProjectParts(desk, index, transfers, retraining, curation, heatmaps, experts)


def show_desk(window: MainWindow, desk: Desk) -> None:
    """Let the window tell what happens in the collection: status line, search field and notices."""
    status, canvas = window.status, desk.canvas
    desk.said.connect(status.say)
    desk.engine.state_changed.connect(lambda state: _show_engine(window, desk, state))
    desk.phrases_read.connect(window.top.set_phrases)
    desk.box_measured.connect(status.set_box_size)
    desk.heat.pointed.connect(status.set_heat)
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


def join_heatmaps(window: MainWindow, desk: Desk, retraining: Retraining) -> HeatPages:
    """The heatmaps page for the open project, told and heard by the window, the collection and the list of runs."""

    def open_image(image_id: int, class_id: int) -> None:
        window.show_collection()
        desk.workspace.show_panel(Panel.HEAT)
        desk.browsing.open_image(image_id)
        desk.heat.show_class(class_id)

    def do(name: str) -> None:
        if name == "train":
            retraining.ask("consistency")
        else:
            window.actions_by_name[name].trigger()

    def read_again() -> None:
        pages.refresh(has_other_files=False)
        desk.heat.refresh()

    def show_new(run_id: str) -> None:
        window.notice.withdraw(NOTICE)
        desk.heat.refresh()
        pages.show(run_id)

    pages = HeatPages(desk, desk)
    retraining.noticed.connect(lambda *_: desk.browsing.count_models())  # a training has ended
    pages.page_wanted.connect(window.show_heatmaps)
    pages.open_wanted.connect(open_image)
    pages.wanted.connect(do)
    pages.said.connect(window.status.say)
    window.heat_wanted.connect(pages.run)
    desk.heat.train_wanted.connect(lambda: retraining.ask("consistency"))
    retraining.heatmaps_wanted.connect(show_new)
    retraining.classes_changed.connect(read_again)
    return pages


def join_experts(window: MainWindow, desk: Desk, retraining: Retraining) -> ExpertPages:
    """The page of the experts for the open project, told and heard by the window, the collection and the runs."""

    def open_image(image_id: int) -> None:
        window.show_collection()
        desk.workspace.show_panel(Panel.EXPERTS)
        desk.browsing.open_image(image_id)

    def do(name: str) -> None:
        if name == "train":
            retraining.ask("vmoe")
        elif name == "route":
            starting.start()
        else:
            window.actions_by_name[name].trigger()

    def read_again() -> None:
        pages.refresh(has_other_files=False)
        desk.routing.refresh()
        desk.browsing.count_models()

    def show_new(run_id: str) -> None:
        window.notice.withdraw(NOTICE)
        desk.routing.refresh()
        pages.show(run_id)

    pages = ExpertPages(desk, desk)
    starting = RouteStarting(desk, retraining.book, desk)
    starting.said.connect(window.status.say)
    starting.refused.connect(lambda sentence: window.notice.say(NOTICE, sentence, "", is_problem=True))
    pages.page_wanted.connect(window.show_experts)
    pages.open_wanted.connect(open_image)
    pages.wanted.connect(do)
    pages.said.connect(window.status.say)
    window.expert_wanted.connect(pages.run)
    desk.routing.train_wanted.connect(lambda: do("train"))
    desk.routing.route_wanted.connect(lambda: do("route"))
    desk.routing.expert_wanted.connect(lambda run_id, expert: pages.show_expert(expert, run_id))
    retraining.noticed.connect(lambda *_: read_again())  # a run has ended
    retraining.experts_changed.connect(read_again)
    retraining.experts_wanted.connect(show_new)
    return pages
