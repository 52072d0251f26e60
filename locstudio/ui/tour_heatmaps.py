"""The part of a tour about heatmaps: what is expected and not labelled, heat over a picture, a stroke, all undone."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget

from locstudio.domain.errors import UserError
from locstudio.services.heat.runs import heat_runs
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.desk import Desk
from locstudio.ui.heatmaps.heatmaps import HeatPages
from locstudio.ui.heatmaps.page_commands import HeatCommand
from locstudio.ui.main_window import MainWindow

_PATIENCE_S = 60
_NUM_EARLIER = 4
_NUM_SHOWN = 4


class Shoot(Protocol):
    """Leaves a picture of the window under a name."""

    def __call__(self, name: str, over: QWidget | None = None) -> None: ...


@dataclass(slots=True)
class HeatTour:
    """Goes through the worklist of the open project, and over one of its images with the brush."""

    window: MainWindow
    desk: Desk
    pages: HeatPages
    shoot: Shoot
    wait_for: Callable[[Callable[[], bool], float, str], None]

    def walk(self) -> dict[str, Any]:
        """Show the three views, decide two of what is expected, paint; returns what the report says of it.

        A project whose heatmaps nobody has trained gives an empty report.

        Raises:
            UserError: heat does not come in time, or nothing is expected that is not labelled.
        """
        if not heat_runs(self.desk.opened.project):
            return {}
        newest = next((entry.id for entry in self.desk.opened.dataset.history(1)), 0)
        page = self.pages.desk.page
        self.pages.show()
        self.wait_for(lambda: page.model.rowCount() > 0, _PATIENCE_S, "what is expected and not labelled")
        report: dict[str, Any] = {"expected": page.model.rowCount(), "first": self._first()}
        self._shoot_page("9-expected")
        report["seconds_a_decision"] = self._decide()
        self._take_back(newest)
        for command, name in ((HeatCommand.ONE_CLASS, "10-one-class"), (HeatCommand.ONE_IMAGE, "11-one-image")):
            page.run(command)
            self.wait_for(lambda: page.model.rowCount() > 0, _PATIENCE_S, "the tiles of heat")
            self._shoot_page(name)
        page.run(HeatCommand.EXPECTED)
        self.wait_for(lambda: page.model.rowCount() > 0, _PATIENCE_S, "the tiles of heat")
        page.run(HeatCommand.OPEN)
        self._over_the_picture()
        self._take_back(newest)
        self.desk.heat.switch(False)
        return report

    def _shoot_page(self, name: str) -> None:
        """A picture of the page, once its tiles are there."""
        desk = self.pages.desk

        def is_busy() -> bool:
            return desk.cells.is_busy or desk.parts.is_busy or desk.large.is_busy

        self.window.grab()  # what is painted asks for its pictures
        self.wait_for(lambda: not is_busy(), _PATIENCE_S, "the tiles of heat")
        self.shoot(name)

    def _first(self) -> list[str]:
        """The first lines of the worklist, in words."""
        model = self.pages.desk.page.model
        return [
            str(model.index(row, 0).data(Qt.ItemDataRole.AccessibleTextRole) or "")
            for row in range(min(model.rowCount(), _NUM_SHOWN))
        ]

    def _decide(self) -> float:
        """Add what is expected first and deny the next, by their keys; seconds until the next one is current."""
        grid = self.pages.desk.page.grid
        took = []
        for key in (Qt.Key.Key_Return, Qt.Key.Key_N):
            before, begun = grid.place, time.perf_counter()
            _press(grid, key)
            took.append(time.perf_counter() - begun)
            if grid.place == before:
                raise UserError("A decision did not lead to the next tile.")
        self._settle()
        return round(max(took), 4)

    def _over_the_picture(self) -> None:
        canvas = self.desk.canvas
        self.wait_for(lambda: canvas.heat is not None, _PATIENCE_S, "the heat of the open image")
        self.shoot("12-heat")
        for _ in range(_NUM_EARLIER):
            canvas.run(CanvasCommand.EARLIER)
        self.shoot("13-earlier-epoch")
        for _ in range(_NUM_EARLIER):
            canvas.run(CanvasCommand.LATER)
        self._paint()
        self.shoot("14-correction")

    def _paint(self) -> None:
        """Paint the class into the middle of the picture, beside where it is hot."""
        canvas = self.desk.canvas
        canvas.run(CanvasCommand.PAINT_IN)
        middle = QPointF(canvas.rect().center())
        _drag(canvas, middle - QPointF(60, 0), middle + QPointF(60, 30))
        self._settle()
        canvas.run(CanvasCommand.SELECT)

    def _take_back(self, newest: int) -> None:
        self.desk.editing.go_to(newest)
        self._settle()

    def _settle(self) -> None:
        self.wait_for(lambda: self.desk.editing.is_idle, _PATIENCE_S, "the edits")


def _press(widget: QWidget, key: Qt.Key) -> None:
    for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        QApplication.sendEvent(widget, QKeyEvent(kind, key, Qt.KeyboardModifier.NoModifier))


def _drag(widget: QWidget, start: QPointF, end: QPointF) -> None:
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    for kind, button, held, where in (
        (QEvent.Type.MouseButtonPress, left, left, start),
        (QEvent.Type.MouseMove, none, left, (start + end) / 2),
        (QEvent.Type.MouseMove, none, left, end),
        (QEvent.Type.MouseButtonRelease, left, none, end),
    ):
        place = QPointF(widget.mapToGlobal(where))
        QApplication.sendEvent(widget, QMouseEvent(kind, where, place, button, held, Qt.KeyboardModifier.NoModifier))
