"""The part of a tour about experts: their images, the matrix, load, superclasses, and what another expert would say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from locstudio.services.routing.book import RoutingBook
from locstudio.services.routing.graph_layout import WITHOUT
from locstudio.services.routing.matrices import class_matrix
from locstudio.services.routing.runs import routing_runs
from locstudio.ui.desk import Desk
from locstudio.ui.main_window import MainWindow
from locstudio.ui.routing.expert_pages import ExpertPages
from locstudio.ui.routing.page_commands import ExpertCommand
from locstudio.ui.routing.superclass_picture import GraphPicture
from locstudio.ui.tour_heatmaps import Shoot
from locstudio.ui.workspace import Panel

_PATIENCE_S = 60


@dataclass(slots=True)
class ExpertTour:
    """Goes through the views of the page of experts, moves a class, and asks about an image."""

    window: MainWindow
    desk: Desk
    pages: ExpertPages
    shoot: Shoot
    wait_for: Callable[[Callable[[], bool], float, str], None]

    def walk(self) -> dict[str, Any]:
        """Show every view, and take the superclass that was moved back; returns what the report says of it.

        A project whose images no experts have seen gives an empty report.

        Raises:
            UserError: something of it does not come in time.
        """
        opened = self.desk.opened
        if not routing_runs(opened.project, opened.dataset):
            return {}
        book = RoutingBook.open(opened.project, opened.dataset)
        self.pages.show()
        model = self.pages.desk.page.model
        self.wait_for(lambda: model.rowCount() > 0, _PATIENCE_S, "the images of an expert")
        self._shoot_page("15-experts")
        report: dict[str, Any] = {
            "experts": [
                [name, int(count)]
                for name, count in zip(
                    book.expert_names, np.bincount(book.experts_N, minlength=len(book.expert_names)), strict=True
                )
            ],
            "mismatched": int(np.count_nonzero(book.mismatch_N)),
        }
        self._look_at_cell(book)
        self.pages.run(ExpertCommand.LOAD)
        self.shoot("17-load")
        report["moved"] = self._move_a_class()
        report["asked"] = self._ask(book)
        return report

    def _shoot_page(self, name: str) -> None:
        """A picture of the page, once its tiles are there."""
        self.window.grab()  # what is painted asks for its pictures
        self.wait_for(lambda: not self.pages.desk.cells.is_busy, _PATIENCE_S, "the tiles of the experts")
        self.shoot(name)

    def _look_at_cell(self, book: RoutingBook) -> None:
        """Open the cell with most images that are not where their class belongs, else the fullest one."""
        page = self.pages.desk.page
        self.pages.run(ExpertCommand.MATRIX)
        of_mismatched = np.zeros((len(book.table.header.class_names), book.num_experts), np.int64)
        np.add.at(of_mismatched, (book.truth_N[book.mismatch_N], book.experts_N[book.mismatch_N]), 1)
        if of_mismatched.any():
            row, expert = divmod(int(of_mismatched.argmax()), book.num_experts)
        else:
            matrix = class_matrix(book)
            place, expert = divmod(int(matrix.counts.argmax()), book.num_experts)
            row = matrix.row_ids[place]
        page.matrix.cell_opened.emit("truth", row, expert)
        self.wait_for(lambda: page.model.rowCount() > 0, _PATIENCE_S, "the images of a cell")
        self._shoot_page("16-matrix")

    def _move_a_class(self) -> str:
        """Put a class where it is confused, and take that back; its name, or nothing where no other one is.

        It is the class that pulls hardest to another superclass, else one of the most confused two that are apart.
        """
        desk = self.pages.desk
        newest = next((entry.id for entry in self.desk.opened.dataset.history(1)), 0)
        self.pages.run(ExpertCommand.SUPERCLASSES)
        view = desk.superclasses
        assert view is not None
        self.wait_for(lambda: view.picture is not None and not view.is_busy, _PATIENCE_S, "the superclasses")
        self.shoot("18-superclasses")
        picture = view.picture
        found = _class_to_move(picture) if picture is not None else None
        if found is None or self.desk.opened.dataset.is_read_only:
            return ""
        class_id, key = found
        view.choose((class_id,))
        view.edits.move((class_id,), key)
        self._settle()
        self.wait_for(lambda: view.picture is not picture and not view.is_busy, _PATIENCE_S, "the superclasses")
        self.shoot("19-superclass-moved")
        self.desk.editing.go_to(newest)
        self._settle()
        return next(one.name for one in self.desk.opened.dataset.classes() if one.id == class_id)

    def _ask(self, book: RoutingBook) -> dict[str, Any]:
        """Open the image that the router was least sure of, and ask what the other expert would have said."""
        image_id = int(book.table.image_ids[int(np.argmin(book.margins_N))])
        panel = self.desk.routing_panel
        self.window.show_collection()
        self.desk.workspace.show_panel(Panel.EXPERTS)
        self.desk.browsing.open_image(image_id)

        def has_answer() -> bool:
            read = self.desk.routing.read
            return (
                read is not None and read.image.id == image_id and read.found is not None and bool(read.found.what_if_E)
            )

        panel.experts.setFocus()
        self.wait_for(has_answer, _PATIENCE_S, "what the experts say of an image")
        read = self.desk.routing.read
        assert read is not None
        found = read.found
        assert found is not None
        other = found.second if found.second is not None else found.expert
        place = panel.experts.rows.place_of((0, other))
        if place is not None:
            panel.experts.setCurrentIndex(panel.experts.rows.index(place))
        self.shoot("20-what-if")
        return {
            "image": read.image.path,
            "expert": found.expert_names[found.expert],
            "margin": round(found.margin, 4),
            "class": list(found.classes[0]),
            "other": found.expert_names[other],
            "other_class": list(found.what_if_E[other][0]),
        }

    def _settle(self) -> None:
        self.wait_for(lambda: self.desk.editing.is_idle, _PATIENCE_S, "the edits")


def _class_to_move(picture: GraphPicture) -> tuple[int, int] | None:
    """A class, and the superclass it is put into."""
    for pull in picture.pulls.values():
        return pull.class_id, pull.group
    ids, group_of = picture.graph.class_ids.tolist(), picture.group_of
    for first, second in zip(picture.edges.first.tolist(), picture.edges.second.tolist(), strict=True):
        here, there = group_of.get(ids[first], WITHOUT), group_of.get(ids[second], WITHOUT)
        if WITHOUT not in (here, there) and here != there:
            return ids[first], there
    return None
