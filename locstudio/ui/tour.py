"""A guided tour without hands: search, pseudo-labels, heatmaps, experts and a real retraining, with a report.

Meant for machines without a display, where it shows that everything is there and how fast it answers.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QEventLoop, QMessageLogContext, QPointF, Qt, QTimer, QtMsgType
from PySide6.QtGui import QColor, QMouseEvent, QPainter
from PySide6.QtWidgets import QApplication, QWidget

from locstudio.domain.errors import UserError
from locstudio.domain.regions import Region
from locstudio.ui import theme
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.curation.curation import Curation
from locstudio.ui.desk import Desk
from locstudio.ui.heatmaps.heatmaps import HeatPages
from locstudio.ui.main_window import MainWindow
from locstudio.ui.routing.expert_pages import ExpertPages
from locstudio.ui.search.hits_model import HitItem
from locstudio.ui.tour_curation import CurationTour
from locstudio.ui.tour_experts import ExpertTour
from locstudio.ui.tour_heatmaps import HeatTour
from locstudio.ui.tour_report import page
from locstudio.ui.tour_training import TrainingTour
from locstudio.ui.training.retraining import Retraining
from locstudio.ui.workspace import Panel

_LOOK_MS = 20
_SETTLE_MS = 400
_NUM_LISTED = 10
_FAVOURITES = ("dog", "car", "horse", "cat", "fox")
_WORDS = "a red car"
_MEDIUM = (0.02, 0.25)  # of the image


@dataclass(slots=True)
class Tour:
    """Walks through an open project.  ``window`` is what the pictures show; ``started`` is a ``time.perf_counter``."""

    window: MainWindow
    desk: Desk
    curation: Curation
    heatmaps: HeatPages
    experts: ExpertPages
    retraining: Retraining
    folder: Path
    started: float
    report: dict[str, Any] = field(default_factory=dict)
    _pictures: list[str] = field(default_factory=list)

    def walk(self) -> dict[str, Any]:
        """Go through every station; returns the report, which is also left in the folder.

        Raises:
            UserError: the model or the index is not there, or an answer does not come.
        """
        dataset = self.desk.opened.dataset
        self.report = {
            "project": str(self.desk.opened.project.path),
            "images": dataset.count_images(),
            "regions": dataset.count_regions(),
        }
        self.wait_for(lambda: self.desk.engine.state.phase in ("ready", "failed"), 180, "the model")
        if self.desk.engine.state.phase == "failed":
            raise UserError(self.desk.engine.state.text)
        if not self.desk.searching.can_search:
            raise UserError("This project has no index of this model. Open it and choose “Index now”, then tour it.")
        self.report["device"] = self.desk.engine.state.text
        region = self._telling_region()
        self.desk.browsing.open_image(region.image_id)
        self.wait_for(lambda: not self.desk.opening.crop(region.box).isNull(), 30, "the picture")
        self._shoot("1-collection")
        self._search_by_box(region)
        self._search_by_words(self._telling_words(region))
        self._find_in_image(region.phrase)
        self._edit_box(region)
        self._curate()
        self._look_at_heat()
        self._look_at_experts()
        self._retrain()
        self._show_light()
        self.report["pictures"] = self._pictures
        (self.folder / "report.json").write_text(json.dumps(self.report, indent=2, ensure_ascii=False) + "\n", "utf-8")
        (self.folder / "report.md").write_text(page(self.report), "utf-8")
        return self.report

    def _telling_region(self) -> Region:
        """A box of medium size around something that the collection has several times, a dog where there is one."""
        dataset = self.desk.opened.dataset
        regions = [region for region in dataset.region_page(0, 5000) if region.phrase]
        if not regions:
            raise UserError("The tour needs a project with phrases at its regions; import some, or take the demo.")
        counts = dict(dataset.phrases(500))

        def worth(region: Region) -> tuple[bool, int, int, float]:
            is_medium = _MEDIUM[0] < region.box.area < _MEDIUM[1]
            words = region.phrase.split()
            favour = max((len(_FAVOURITES) - i for i, name in enumerate(_FAVOURITES) if name in words), default=0)
            count = counts.get(region.phrase, 0)
            return is_medium and count > 1, favour, count, region.box.area

        return max(regions, key=worth)

    def _telling_words(self, region: Region) -> str:
        """Words that name a thing and how it looks; another thing than in the region."""
        phrases = [phrase for phrase, _ in self.desk.opened.dataset.phrases(500) if phrase != region.phrase]
        if _WORDS in phrases:
            return _WORDS
        return max(phrases, key=lambda phrase: len(phrase.split()) == 3, default=region.phrase)  # an article and two

    def _search_by_box(self, region: Region) -> None:
        self.desk.canvas.set_query_box(region.box)
        seconds = self._asked(lambda: self.desk.searching.search_box(region.box))
        self.report["seconds_to_first_hits"] = round(time.perf_counter() - self.started, 2)
        image = self.desk.browsing.image
        self.report["search_by_box"] = {
            "image": image.path if image else "",
            "box": [round(corner, 5) for corner in region.box.as_tuple()],
            "phrase_of_the_box": region.phrase,
            "seconds": seconds,
            "phrases": [[phrase, round(score, 5)] for phrase, score in self.desk.search.phrases],
            "stand_out": self.desk.search.num_above,
            "hits": _listed(self.desk.search.hits),
        }
        self._shoot("2-search-by-box")

    def _search_by_words(self, words: str) -> None:
        seconds = self._asked(lambda: self.desk.search_words(words))
        self.report["search_by_words"] = {
            "words": words,
            "seconds": seconds,
            "stand_out": self.desk.search.num_above,
            "hits": _listed(self.desk.search.hits),
        }
        self._shoot("3-search-by-words")

    def _find_in_image(self, words: str) -> None:
        found: list[tuple[Any, str, float]] = []
        self.desk.searching.grounded.connect(lambda *args: found.append(args))
        self.desk.canvas.set_query_box(None)
        self._asked(lambda: self.desk.search_words(words))
        self.desk.searching.ground()
        self.wait_for(lambda: bool(found), 30, "the place of the words")
        box, _, score = found[0]
        image = self.desk.browsing.image
        self.report["find_in_image"] = {
            "words": words,
            "image": image.path if image else "",
            "box": [round(corner, 5) for corner in box.as_tuple()],
            "score": round(score, 5),
        }
        self._shoot("4-find-in-image")

    def _edit_box(self, region: Region) -> None:
        """Take a box by its corner, beside the table of regions, and let go of it without a change."""
        canvas = self.desk.canvas
        canvas.set_marks([])
        self.desk.workspace.show_panel(Panel.REGIONS)
        canvas.select([region.id])
        corner = QPointF(canvas.screen_rect(region.id).bottomRight())
        _drag(canvas, corner, corner + QPointF(28, 20))
        self._shoot("5-editing")
        canvas.run(CanvasCommand.ESCAPE)

    def _curate(self) -> None:
        """Propose regions, review some, and take the decisions back."""
        tour = CurationTour(self.window, self.desk, self.curation, self._shoot, self.wait_for)
        self.report["curation"] = tour.walk()
        self.window.show_collection()

    def _look_at_heat(self) -> None:
        """Go through what is expected and not labelled, and paint; all of it is taken back."""
        tour = HeatTour(self.window, self.desk, self.heatmaps, self._shoot, self.wait_for)
        self.report["heatmaps"] = tour.walk()
        self.window.show_collection()

    def _look_at_experts(self) -> None:
        """Go through the experts and their superclasses; what is moved is taken back."""
        tour = ExpertTour(self.window, self.desk, self.experts, self._shoot, self.wait_for)
        self.report["experts"] = tour.walk()
        self.window.show_collection()

    def _retrain(self) -> None:
        """Retrain with the quick preset and show what has changed; the model in use stays in use."""
        self.report["retrain"] = TrainingTour(self.retraining, self._shoot, self.wait_for).walk()
        self.window.show_collection()

    def _show_light(self) -> None:
        self.desk.workspace.show_panel(Panel.SEARCH)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        theme.apply(app, "light")
        self._shoot("24-light")

    def _asked(self, ask: Callable[[], None]) -> float:
        answered: list[object] = []
        self.desk.searching.searched.connect(answered.append)
        start = time.perf_counter()
        ask()
        self.wait_for(lambda: bool(answered), 60, "the hits")
        return round(time.perf_counter() - start, 4)

    def _shoot(self, name: str, over: QWidget | None = None) -> None:
        """A picture of the window, with a sheet ``over`` it where one is open."""
        pause(_SETTLE_MS)
        self.wait_for(lambda: not self.desk.crops.is_busy and not self.desk.thumbnails.is_busy, 30, "the tiles")
        pause(_SETTLE_MS)
        file = self.folder / f"{name}.png"
        picture = self.window.grab()
        if over is not None:
            painter = QPainter(picture)
            middle = self.window.rect().center() - over.rect().center()
            painter.fillRect(self.window.rect(), QColor(0, 0, 0, 110))
            painter.drawPixmap(middle, over.grab())
            painter.end()
        picture.save(str(file))
        self._pictures.append(str(file))

    @staticmethod
    def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Let the window live until something is so.

        Raises:
            UserError: it does not become so in time.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise UserError(f"The tour waited {seconds:.0f} s for {what}, and it did not come.")
            pause(_LOOK_MS)


def pause(milliseconds: int) -> None:
    """Let the window live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def _drag(widget: QWidget, start: QPointF, end: QPointF) -> None:
    """Press the left button at one place of a widget and move to another, without letting go."""
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    for kind, button, where in (
        (QEvent.Type.MouseMove, none, start),
        (QEvent.Type.MouseButtonPress, left, start),
        (QEvent.Type.MouseMove, none, (start + end) / 2),
        (QEvent.Type.MouseMove, none, end),
    ):
        held = none if kind == QEvent.Type.MouseMove and where == start else left
        place = QPointF(widget.mapToGlobal(where))
        QApplication.sendEvent(widget, QMouseEvent(kind, where, place, button, held, Qt.KeyboardModifier.NoModifier))


def _listed(hits: tuple[HitItem, ...]) -> list[dict[str, Any]]:
    return [
        {
            "image": hit.image.path,
            "box": [round(corner, 5) for corner in hit.box.as_tuple()],
            "score": round(hit.score, 5),
            "phrase": hit.phrase,
            "region": hit.region_id,
        }
        for hit in hits[:_NUM_LISTED]
    ]


def on_qt_message(_kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
    """Qt's messages on stderr, but for one that says only that there is no screen."""
    if text != "This plugin does not support propagateSizeHints()":
        print(text, file=sys.stderr)
