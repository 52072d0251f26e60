"""The middle of a tour: regions are proposed for real and reviewed by the keys of the gallery, and all of it undone."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QWidget

from locstudio.domain.errors import UserError
from locstudio.domain.regions import Review
from locstudio.jobs.configs import Vesl
from locstudio.store.dataset import ImageFilter
from locstudio.ui.curation.commands import CurationCommand
from locstudio.ui.curation.curation import Curation
from locstudio.ui.desk import Desk
from locstudio.ui.main_window import MainWindow

_NUM_IMAGES = 48
_PATIENCE_S = 900
_NUM_DECIDED = 4
_MAX_TRIES = 12
_MAX_READ = 2_000


class Shoot(Protocol):
    """Leaves a picture of the window under a name, with a sheet ``over`` it where one is open."""

    def __call__(self, name: str, over: QWidget | None = None) -> None: ...


@dataclass(slots=True)
class CurationTour:
    """Proposes regions for some images of the open project, and decides a few of them."""

    window: MainWindow
    desk: Desk
    curation: Curation
    shoot: Shoot
    wait_for: Callable[[Callable[[], bool], float, str], None]

    def walk(self) -> dict[str, Any]:
        """Go through proposing, gallery, identical mistakes and canvas pass; returns what the report says of them.

        Raises:
            UserError: the run does not end well, or nothing was proposed.
        """
        newest = next((entry.id for entry in self.desk.opened.dataset.history(1)), 0)
        report = self._propose()
        report |= self._decide()
        report |= self._fix_alike()
        self._take_back(newest)
        report |= self._pass()
        self._take_back(newest)
        return report

    def _propose(self) -> dict[str, Any]:
        image_ids = self.desk.opened.dataset.image_ids(ImageFilter())[:_NUM_IMAGES].tolist()
        begun = time.monotonic()
        self.curation.start(Vesl(image_ids=tuple(image_ids), has_class_names=True))
        self.wait_for(lambda: not self.curation.is_proposing, _PATIENCE_S, "the proposals")
        seconds = round(time.monotonic() - begun, 1)
        self.curation.show()
        curating = self.curation.desk.curating
        self.wait_for(lambda: curating.pool is not None and curating.measuring.vectors is not None, 60, "the pool")
        pool = curating.pool
        assert pool is not None
        if not pool.supplies:
            raise UserError("Nothing was proposed; the log of the run says why.")
        self._refresh()
        return {
            "images": len(image_ids),
            "seconds_to_propose": seconds,
            "raw_proposals": sum(len(supply.proposals) for supply in pool.supplies),
            "to_review": len(self.curation.desk.page.model.rows),
        }

    def _decide(self) -> dict[str, Any]:
        """Accept and reject by turns, by the keys; how long each takes until the next item is current."""
        grid = self.curation.desk.page.grid
        took: list[float] = []
        for number in range(_NUM_DECIDED):
            before = grid.place
            begun = time.perf_counter()
            _press(grid, Qt.Key.Key_X if number % 2 else Qt.Key.Key_Return)
            took.append(time.perf_counter() - begun)
            if grid.place == before:
                raise UserError("A decision did not lead to the next item.")
        self._settle()
        self.shoot("6-curation")
        return {"seconds_a_decision": round(sorted(took)[len(took) // 2], 4)}

    def _fix_alike(self) -> dict[str, Any]:
        """Reject an item of the phrase that most items have, and show what looks the same in the sheet."""
        desk, alike = self.curation.desk, self.curation.desk.sheets.alike
        for place in self._telling_places():
            desk.page.grid.go_to(place)
            _press(desk.page.grid, Qt.Key.Key_X)
            self._settle()
            _press(desk.page.grid, Qt.Key.Key_Backspace)
            _press(desk.page.grid, Qt.Key.Key_F)
            self.wait_for(lambda: not alike.is_looking, 30, "the identical mistakes")
            sheet = alike.sheet
            if sheet is None:
                continue
            question = sheet.question
            self.shoot("7-alike", sheet)
            sheet.reject()
            return {"alike": question}
        return {"alike": ""}

    def _telling_places(self) -> Iterator[int]:
        """An undecided item of each of the phrases that most items have."""
        model = self.curation.desk.page.model
        places: dict[str, list[int]] = {}
        for place in range(min(model.rowCount(), _MAX_READ)):
            if model.review(place) is Review.PENDING:
                places.setdefault(model.crop(place).item.phrase, []).append(place)
        most = sorted(places.values(), key=len, reverse=True)
        yield from (of_phrase[0] for of_phrase in most[:_MAX_TRIES])

    def _pass(self) -> dict[str, Any]:
        canvas_pass = self.curation.desk.sheets.canvas_pass
        self.curation.desk.page.run(CurationCommand.CANVAS)
        self.wait_for(lambda: canvas_pass.current is not None, 60, "the first region of the canvas pass")
        self.shoot("8-canvas-pass")
        num_waiting = len(canvas_pass.waiting)
        canvas_pass.leave()
        self._settle()
        return {"canvas_pass": num_waiting}

    def _take_back(self, newest: int) -> None:
        """Undo what the tour has decided: the project is as it was."""
        self.desk.editing.go_to(newest)
        self._settle()

    def _settle(self) -> None:
        self.wait_for(lambda: self.desk.editing.is_idle, 30, "the edits")

    def _refresh(self) -> None:
        model = self.curation.desk.page.model
        self.wait_for(lambda: model.rowCount() > _NUM_DECIDED, 60, "items to review")


def _press(widget: QWidget, key: Qt.Key) -> None:
    for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        QApplication.sendEvent(widget, QKeyEvent(kind, key, Qt.KeyboardModifier.NoModifier))
