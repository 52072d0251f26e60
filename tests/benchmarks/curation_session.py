"""A measured session: a scripted person reviews proposals through the real key handlers, and draws from nothing.

    python tests/benchmarks/curation_session.py --data DIR [--row pass] [--images 100]

``DIR`` holds the development data (coco_dev.tar and coco_dev.json).  The person knows the truth and works until every
true region is there with an overlap (IoU) of at least 0.5 and the right class, and every proposal that she is shown has
been decided.  Every act of hers is a real event of keyboard or mouse on the real window, offscreen, and is counted.

    pass            proposals by the names of the classes in the canvas pass, at the run's own threshold of 0.2: of the
                    boxes that she sees she takes the right ones, the current one with Enter, others with a click and
                    Enter, a wrong name with the digit of a suggestion or Ctrl+E; what no proposal shows she draws; then
                    Shift+X rejects the rest of the image
    pass from 0.1   the same with proposals that are less sure
    crops           the gallery of crops, in its order of value: each is accepted, rejected or named by a key, and the
                    sheet of identical mistakes is taken where it opens; then what is missing is drawn, image by image
    pass, captions  as ``pass``, with the phrases of the captions instead
    nothing         the same images without proposals: R or N (same label again), a drag, the name where it is another

Seconds are a Keystroke-Level Model's with assumed constants: a key 0.28 s, pointing with the mouse 1.1 s, pressing or
releasing its button 0.1 s, a hand between mouse and keyboard 0.4 s, making up one's mind 1.35 s (once a region that is
taken, once an image whose rest is rejected, once a box that is drawn, once a name that is written; in the gallery once
a crop).  They are an estimate: nobody was timed.  A box drawn by hand takes people longer than two aimed presses; "by
hand" assumes 7.0 s for each, the time of somebody who is fast.

On 100 photos of coco_dev (793 true regions), an image's share:

                    keys   acts   drawn   accepted   relabelled   rejected   seconds   by hand   found   precise
    pass            24.5   6.66    5.94       1.72         0.27       5.21      39.4      66.7   0.956     0.956
    pass from 0.1   23.8   6.58    5.27       2.13         0.53      14.59      38.1      62.3   0.957     0.957
    crops           31.1   5.83    5.83       1.81         0.29       7.81      49.6      76.5   0.956     0.959
    pass, captions  26.2   6.89    6.50       0.99         0.44       2.50      41.0      70.9   0.942     0.942
    nothing         26.7   7.93    7.93       0.00         0.00       0.00      44.0      80.5   0.960     0.960

"Acts" are drags and clicks of the mouse; "found" is the share of true regions that are there afterwards, and
"precise" the share of what is there that is true.  What is missing after drawing is small, looked up on 20 photos: its
box, drawn on whole pixels, overlaps the truth by less than a half.

So the canvas pass costs less than drawing, by 7 to 14 % of the model's seconds and 12 to 23 % by hand, and not more,
since two thirds or more of the true regions are still drawn.  Proposals below the run's threshold pay here, since one
key rejects what is left of an image.  Judging every crop by itself costs 13 % more than drawing by the model, 5 % less
by hand: three of four are rejected.  Of the 29 names that were set right among the crops 16 opened the sheet of
identical mistakes, and in none of these was as much as half of it the same mistake, so that it was left each time.

It is no test and no part of CI: a run takes minutes, and its result is a table.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from locstudio.app import Studio
from locstudio.domain.geometry import UnitBox, iou_matrix
from locstudio.domain.regions import Region, Review
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.canvas.phrase_editor import PhraseEditor
from locstudio.ui.curation.alike_sheet import AlikeSheet
from locstudio.ui.curation.canvas_pass import CanvasPass
from locstudio.ui.curation.curation_desk import CurationDesk
from locstudio.ui.desk import Desk
from locstudio.ui.preferences import Preferences

ROOT = Path(__file__).resolve().parents[2]
SAME_IOU = 0.5
PATIENCE_S = 60.0
SHEET_S = 3.0  # within which a sheet of identical mistakes opens, if it does
NOTHING = "nothing"
NO_MODIFIER = Qt.KeyboardModifier.NoModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
KEY_S, POINT_S, BUTTON_S, HOME_S, THINK_S, DRAWN_S = 0.28, 1.1, 0.1, 0.4, 1.35, 7.0
SPOTS = (0.5, 0.25, 0.75, 0.1, 0.9, 0.38, 0.62)  # of a box's sides: where a person would try to click it
# What the person takes for the same thing when she reads a phrase of a caption.
SYNONYMS = {
    "person": "man woman men women boy girl boys girls people child children kid player skier surfer rider lady guy",
    "airplane": "plane jet aircraft airplanes planes",
    "motorcycle": "motorbike bike motorcycles",
    "bicycle": "bike bikes bicycles",
    "couch": "sofa",
    "tv": "television monitor screen",
    "cell phone": "phone smartphone",
    "dining table": "table tables",
    "potted plant": "plant plants flowers",
    "sports ball": "ball",
    "teddy bear": "teddy bears bear",
    "donut": "doughnut donuts doughnuts",
    "sheep": "lamb sheep",
    "laptop": "computer",
    "train": "locomotive trains",
}


@dataclass(slots=True)
class Effort:
    """What the hands and the mind have done."""

    keys: int = 0
    points: int = 0
    buttons: int = 0
    homings: int = 0
    clicks: int = 0
    thoughts: int = 0
    accepted: int = 0
    rejected: int = 0
    relabelled: int = 0
    sheets: int = 0
    together: int = 0
    drawn: int = 0
    is_at_mouse: bool = False

    @property
    def seconds(self) -> float:
        """The Keystroke-Level Model's estimate."""
        parts = (KEY_S * self.keys, POINT_S * self.points, BUTTON_S * self.buttons, HOME_S * self.homings)
        return sum(parts) + THINK_S * self.thoughts

    @property
    def seconds_by_hand(self) -> float:
        """The same, with a box drawn as fast as people were timed to draw one."""
        return self.seconds + self.drawn * (DRAWN_S - 2 * POINT_S - 2 * BUTTON_S)


@dataclass(frozen=True, slots=True)
class Truth:
    """A true region."""

    box: UnitBox
    name: str


@dataclass(slots=True)
class Person:
    """Two hands on a desk: every key and every move is an event of the window, and is counted.

    One hand stays on the keyboard for single keys; to write a name the other one comes from the mouse.
    """

    desk: Desk
    classes: dict[int | None, str]
    effort: Effort = field(default_factory=Effort)
    last_name: str = ""

    def press(self, target: QWidget, key: Qt.Key, modifiers: Qt.KeyboardModifier = NO_MODIFIER) -> None:
        """One key; a modifier held with it is a key as well."""
        self.effort.keys += 2 if modifiers != NO_MODIFIER else 1
        QTest.keyClick(target, key, modifiers)

    def write(self, name: str, editor: PhraseEditor) -> None:
        """A name in an open editor: its beginning, and a step to the suggestion where that is shorter."""
        self.effort.thoughts += 1
        if self.effort.is_at_mouse:
            self.effort.homings += 1
            self.effort.is_at_mouse = False
        for number, letter in enumerate(name, 1):
            self.effort.keys += 1
            QTest.keyClicks(editor.line, letter)
            if 3 <= number < len(name) - 2:
                settle(0.06)  # the editor suggests after a moment; she would not wait longer
                shown = [editor.suggestions.item(row).text() for row in range(min(3, editor.suggestions.count()))]
                if name in shown:
                    for _ in range(shown.index(name) + 1):
                        self.press(editor.line, Qt.Key.Key_Down)
                    break
        self.press(editor.line, Qt.Key.Key_Return)

    def drag(self, box: UnitBox) -> None:
        """A box on the canvas from corner to corner."""
        canvas = self.desk.canvas
        x0, y0, x1, y1 = box.to_pixels(*canvas.image_size)
        start, end = (QPoint(*map(round, canvas.view.to_screen(*at))) for at in ((x0, y0), (x1, y1)))
        if not self.effort.is_at_mouse:
            self.effort.homings += 1
            self.effort.is_at_mouse = True
        self.effort.points += 2
        self.effort.buttons += 2
        QTest.mouseMove(canvas, start)
        QTest.mousePress(canvas, Qt.MouseButton.LeftButton, NO_MODIFIER, start)
        QTest.mouseMove(canvas, (start + end) / 2)
        QTest.mouseMove(canvas, end)
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, NO_MODIFIER, end)

    def spot_of(self, region_id: int) -> QPoint | None:
        """A place on the canvas where a click means this region; None where others lie over all of it."""
        canvas, ground = self.desk.canvas, self.desk.canvas.ground
        rect = canvas.screen_rect(region_id).intersected(canvas.rect().adjusted(2, 2, -2, -2))
        for share_y in SPOTS:
            for share_x in SPOTS:
                at = QPoint(rect.left() + round(rect.width() * share_x), rect.top() + round(rect.height() * share_y))
                point = (float(at.x()), float(at.y()))
                is_free = canvas.box_tool.grip_at(point, ground) is None and canvas.childAt(at) is None
                if is_free and canvas.box_tool.hit(point, ground) == region_id:
                    return at
        return None

    def click(self, region_id: int) -> None:
        """A region on the canvas."""
        spot = self.spot_of(region_id)
        assert spot is not None
        if not self.effort.is_at_mouse:
            self.effort.homings += 1
            self.effort.is_at_mouse = True
        self.effort.points += 1
        self.effort.clicks += 1
        self.effort.buttons += 2
        QTest.mouseMove(self.desk.canvas, spot)
        QTest.mouseClick(self.desk.canvas, Qt.MouseButton.LeftButton, NO_MODIFIER, spot)

    def draw(self, truths: Iterable[Truth]) -> None:
        """Boxes that are not there yet, those of one name after another."""
        canvas = self.desk.canvas
        for truth in sorted(truths, key=lambda each: (each.name != self.last_name, each.name)):
            self.effort.thoughts += 1
            self.effort.drawn += 1
            is_again = truth.name == self.last_name
            self.press(canvas, Qt.Key.Key_N if is_again else Qt.Key.Key_R)
            self.drag(truth.box)
            if canvas.phrase_editor.isVisible():
                self.write(truth.name, canvas.phrase_editor)
            elif not is_again:
                self.effort.drawn -= 1  # too small to be drawn at this zoom
                self.press(canvas, Qt.Key.Key_Escape)
            self.last_name = truth.name if not is_again else self.last_name
            until(lambda: self.desk.editing.is_idle)


Work = Callable[[Studio, Person, dict[int, list[Truth]]], None]


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Measure reviewing proposals against drawing from nothing.")
    parser.add_argument("--data", type=Path, required=True, help="the development data")
    parser.add_argument("--row", choices=(*ROWS, NOTHING), action="append", help="only this one of the table")
    parser.add_argument("--images", type=int, default=100)
    options = parser.parse_args()
    app = QApplication.instance() or QApplication([])
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        images, coco = _unpacked(options.data, scratch, options.images)
        rows = {}
        for number, title in enumerate(options.row or (*ROWS, NOTHING)):
            project = scratch / f"row-{number}"
            if title == NOTHING:
                _project(project, images, coco)
                work: Work = _draw_all
            else:
                case, way, min_score = ROWS[title]
                if not (scratch / case).exists():
                    _proposed(scratch / case, images, coco, case)
                shutil.copytree(scratch / case, project)
                work = partial(way, min_score=min_score)
            rows[title] = _session(app, title, project, coco, work)
    _print_table(rows, len(coco["images"]))
    return 0


# the sessions ---------------------------------------------------------------------------------------------------


def _session(app: Any, title: str, path: Path, coco: dict[str, Any], work: Work) -> dict[str, float]:
    studio = Studio(app, Preferences())
    studio.window.resize(1440, 900)
    studio.window.show()
    studio.open_path(path)
    until(lambda: getattr(studio, "desk", None) is not None and studio.desk.browsing.image is not None)
    names = {each.id: each.name for each in studio.desk.opened.dataset.classes()}
    person = Person(studio.desk, dict(names))
    begun = time.monotonic()
    work(studio, person, _truths(studio.desk.opened.dataset, coco))
    until(lambda: studio.desk.editing.is_idle)
    print(f"{title}: {time.monotonic() - begun:.0f} s of the machine's time", flush=True)
    studio.window.close()
    settle(0.2)
    with Dataset.open(Project(path), read_only=True) as dataset:
        found, precision = _measured(dataset, _truths(dataset, coco))
    effort = person.effort
    row = {
        "keys": effort.keys,
        "drags": effort.drawn,
        "points": effort.points,
        "accepted": effort.accepted,
        "rejected": effort.rejected,
        "relabelled": effort.relabelled,
        "sheets": effort.sheets,
        "together": effort.together,
        "clicks": effort.clicks,
        "seconds": effort.seconds,
        "by hand": effort.seconds_by_hand,
        "found": found,
        "precision": precision,
    }
    print(json.dumps({title: row}), flush=True)
    return row


def _review(studio: Studio, person: Person, truths: dict[int, list[Truth]], *, min_score: float | None) -> None:
    desk, curation = person.desk, studio.curation.desk
    _await_pool(curation, min_score)
    studio.window.show_collection()
    curation.sheets.alike.set_offering(False)  # measured is one box after another
    walk: CanvasPass = curation.sheets.canvas_pass
    left = {image_id: list(there) for image_id, there in truths.items()}
    walk.start()
    person.press(desk.canvas, Qt.Key.Key_F)  # the whole image, always
    while walk.is_on:
        until(lambda: not walk.is_on or (walk.current is not None and desk.canvas.has_picture and desk.editing.is_idle))
        if walk.is_on:
            _judge(walk, person, left)
    _draw_missing(person, left)  # in images of which nothing was proposed


def _await_pool(curation: CurationDesk, min_score: float | None) -> None:
    """Wait until the proposals are there, and show those from this score on."""
    curating = curation.curating
    until(lambda: curating.pool is not None)
    if min_score is not None:
        curation.page.thresholds.set_thresholds(min_score, curating.wish.max_overlap)
        curating.set_wish(replace(curating.wish, min_score=min_score))


def _draw_missing(person: Person, left: dict[int, list[Truth]]) -> None:
    """Go through the images in which something is missing, and draw it."""
    for image_id, missing in left.items():
        if missing:
            person.desk.browsing.open_image(image_id)
            person.effort.keys += 1  # D
            _wait_for(person.desk, image_id)
            person.draw(missing)
            missing.clear()


def _judge(walk: CanvasPass, person: Person, left: dict[int, list[Truth]]) -> None:
    """What a person does who sees the whole image: the boxes that are right, then what is missing, then the rest."""
    desk, current = person.desk, walk.current
    assert current is not None
    missing = left[current.image_id]
    picked = _pick(walk, person, missing)
    if picked is None:
        person.draw(missing)
        missing.clear()
        person.effort.thoughts += 1
        person.effort.rejected += len(walk.waiting)
        person.press(desk.canvas, Qt.Key.Key_X, SHIFT)
        return
    region, truth, is_named = picked
    missing.remove(truth)
    if len(walk.waiting) == 1:  # after it the pass goes on
        person.draw(missing)
        missing.clear()
    person.effort.thoughts += 1
    if region.id != current.id:
        person.click(region.id)
        until(lambda: walk.current is not None and walk.current.id == region.id)
    number = None if is_named else _suggested(walk, truth.name)
    if is_named:
        person.effort.accepted += 1
        person.press(desk.canvas, Qt.Key.Key_Return)
    elif number is not None:
        person.effort.relabelled += 1
        person.press(desk.canvas, Qt.Key(Qt.Key.Key_1.value + number))
    else:
        person.effort.relabelled += 1
        person.press(desk.canvas, Qt.Key.Key_E, CONTROL)
        person.write(truth.name, desk.canvas.phrase_editor)
        until(lambda: desk.editing.is_idle)
        person.press(desk.canvas, Qt.Key.Key_Return)


def _review_crops(studio: Studio, person: Person, truths: dict[int, list[Truth]], *, min_score: float | None) -> None:
    """Crop after crop in the gallery's own order; then what no proposal shows, image after image on the canvas."""
    desk, curation = person.desk, studio.curation.desk
    _await_pool(curation, min_score)
    person.press(studio.window, Qt.Key.Key_3, CONTROL)
    curating, grid, model = curation.curating, curation.page.grid, curation.page.model
    until(lambda: curating.measuring.vectors is not None)
    settle(0.5)  # the order of value is shown
    left = {image_id: list(there) for image_id, there in truths.items()}
    while model.next_open(-1) >= 0:
        until(lambda: grid.current is not None and model.review(grid.place) is Review.PENDING)
        _judge_crop(curation, person, left)
        if model.next_open(-1) < 0:
            until(lambda: desk.editing.is_idle)
            person.press(grid, Qt.Key.Key_F5)  # are there others, now that these are decided?
    until(lambda: desk.editing.is_idle)
    studio.window.show_collection()
    person.effort.keys += 2  # Ctrl+1
    _draw_missing(person, left)


def _judge_crop(curation: CurationDesk, person: Person, left: dict[int, list[Truth]]) -> None:
    """What a person does who sees one crop at a time."""
    page, grid = curation.page, curation.page.grid
    crop = grid.current
    assert crop is not None
    item = crop.item
    missing = left[item.image_id]
    truth, is_named = _best(item.box, item.class_name or item.phrase, missing)
    person.effort.thoughts += 1
    if truth is None:
        person.effort.rejected += 1
        person.press(grid, Qt.Key.Key_X)
        return
    missing.remove(truth)
    if is_named:
        person.effort.accepted += 1
        person.press(grid, Qt.Key.Key_Return)
        return
    person.effort.relabelled += 1
    settle(0.05)  # those of the crop before are gone
    until(lambda: bool(page.detail.suggestion_words), patience=1.0)
    number = _number_of(page.detail.suggestion_words, truth.name)
    if number is not None:
        person.press(grid, Qt.Key(Qt.Key.Key_1.value + number))
    else:
        person.press(grid, Qt.Key.Key_E, CONTROL)
        person.write(truth.name, page.editor)
    until(lambda: person.desk.editing.is_idle)
    alike = curation.sheets.alike
    until(lambda: alike.sheet is not None, patience=SHEET_S)
    if alike.sheet is not None:
        _judge_alike(alike.sheet, person, truth.name, left)
        until(lambda: alike.sheet is None and person.desk.editing.is_idle)


def _judge_alike(sheet: AlikeSheet, person: Person, name: str, left: dict[int, list[Truth]]) -> None:
    """Leave out what is not the same mistake and fix the others; leave the sheet where that is the most of it."""
    person.effort.thoughts += 1
    person.effort.sheets += 1
    hits = sheet.tiles.hits[: sheet.tiles.num_above]
    taken: dict[int, Truth] = {}
    for row, hit in enumerate(hits):
        missing = [truth for truth in left[hit.image.id] if truth.name == name and truth not in taken.values()]
        truth, _ = _best(hit.box, name, missing)
        if truth is not None:
            taken[row] = truth
    if 2 * len(taken) < len(hits):
        person.press(sheet.grid, Qt.Key.Key_Escape)
        return
    place = 0
    for row in (row for row in range(len(hits)) if row not in taken):
        person.effort.thoughts += 1
        for _ in range(row - place):
            person.press(sheet.grid, Qt.Key.Key_Right)
        person.press(sheet.grid, Qt.Key.Key_Space)
        place = row
    for row, truth in taken.items():
        left[hits[row].image.id].remove(truth)
    person.effort.together += len(taken)
    until(lambda: sheet.can_fix)
    person.press(sheet.grid, Qt.Key.Key_Return)


def _pick(walk: CanvasPass, person: Person, missing: list[Truth]) -> tuple[Region, Truth, bool] | None:
    """A waiting region that shows a missing thing: the current one first, then one that is called right.

    None where there is none that can be had: what lies hidden under others cannot be clicked.
    """
    current = walk.current
    assert current is not None
    found = []
    for region in walk.waiting:
        truth, is_named = _best(region.box, person.classes.get(region.class_id) or region.phrase, missing)
        if truth is not None and (region.id == current.id or person.spot_of(region.id) is not None):
            found.append((region.id != current.id, not is_named, -(region.score or 0.0), region, truth, is_named))
    if not found:
        return None
    *_, region, truth, is_named = min(found, key=lambda row: row[:3])
    return region, truth, is_named


def _suggested(walk: CanvasPass, name: str) -> int | None:
    """The digit, from 0, of a suggestion with this name."""
    end = time.monotonic() + 1.0
    while not walk.suggested and time.monotonic() < end:
        settle(0.01)
    return _number_of([each.text for each in walk.suggested], name)


def _number_of(names: Iterable[str], name: str) -> int | None:
    return next((number for number, text in enumerate(names) if _is_called(text, name)), None)


def _draw_all(studio: Studio, person: Person, truths: dict[int, list[Truth]]) -> None:
    desk = person.desk
    for number in range(len(truths)):
        image = desk.browsing.image
        assert image is not None
        _wait_for(desk, image.id)
        person.draw(truths[image.id])
        if number < len(truths) - 1:
            person.press(desk.canvas, Qt.Key.Key_D)
            until(lambda before=image.id: desk.browsing.image is not None and desk.browsing.image.id != before)


def _wait_for(desk: Desk, image_id: int) -> None:
    until(
        lambda: (
            desk.opening.image is not None
            and desk.opening.image.id == image_id
            and desk.canvas.has_picture
            and desk.canvas.can_edit
            and desk.editing.is_idle
        )
    )
    desk.canvas.setFocus()


# the truth ------------------------------------------------------------------------------------------------------


def _truths(dataset: Dataset, coco: dict[str, Any]) -> dict[int, list[Truth]]:
    """True regions by the project's images; crowds are no single things."""
    names = {row["id"]: row["name"] for row in coco["categories"]}
    rows: dict[str, list[Truth]] = {image["file_name"]: [] for image in coco["images"]}
    files = {image["id"]: image for image in coco["images"]}
    for row in coco["annotations"]:
        image = files.get(row["image_id"])
        if image is None or row.get("iscrowd"):
            continue
        x, y, width, height = row["bbox"]
        box = UnitBox.from_pixels(x, y, x + width, y + height, image["width"], image["height"])
        rows[image["file_name"]].append(Truth(box, names[row["category_id"]]))
    return {image.id: rows[image.name] for image in dataset.images(dataset.image_ids().tolist())}


def _best(box: UnitBox, called: str, missing: list[Truth]) -> tuple[Truth | None, bool]:
    """The true region that a box shows, if there is one, and whether it is called so; a right name goes first."""
    if not missing:
        return None, False
    ious = iou_matrix(_boxes([box]), _boxes(truth.box for truth in missing))[0]
    near = [truth for truth, iou in sorted(zip(missing, ious, strict=True), key=lambda p: -p[1]) if iou >= SAME_IOU]
    named = [truth for truth in near if _is_called(called, truth.name)]
    return (named[0], True) if named else (near[0] if near else None, False)


def _is_called(phrase: str, name: str) -> bool:
    words = set(phrase.casefold().split())
    return phrase.casefold() == name or set(name.split()) <= words or bool(words & set(SYNONYMS.get(name, "").split()))


def _measured(dataset: Dataset, truths: dict[int, list[Truth]]) -> tuple[float, float]:
    """Share of the true regions that are there, and share of what is there that is true."""
    num_found = num_there = 0
    names = {each.id: each.name for each in dataset.classes()}
    for image_id, true in truths.items():
        there = [region for region in dataset.regions_of(image_id) if region.is_ground_truth]
        there = [region for region in there if region.review is Review.ACCEPTED]
        num_there += len(there)
        left = list(true)
        for region in there:
            known = names.get(region.class_id or 0) or region.phrase
            for truth in left:
                iou = float(iou_matrix(_boxes([region.box]), _boxes([truth.box]))[0, 0])
                if iou >= SAME_IOU and _is_called(known, truth.name):
                    left.remove(truth)
                    num_found += 1
                    break
    return num_found / max(sum(map(len, truths.values())), 1), num_found / max(num_there, 1)


def _boxes(boxes: Iterable[UnitBox]) -> np.ndarray:
    return np.array([box.as_tuple() for box in boxes], np.float32)


# the projects ---------------------------------------------------------------------------------------------------


def _unpacked(data: Path, scratch: Path, num_images: int) -> tuple[Path, dict[str, Any]]:
    coco = json.loads((data / "coco_dev.json").read_text(encoding="utf-8"))
    coco["images"] = sorted(coco["images"], key=lambda image: image["file_name"])[:num_images]
    wanted = {image["file_name"] for image in coco["images"]}
    with tarfile.open(data / "coco_dev.tar") as tar:
        members = [member for member in tar if member.name in wanted]
        tar.extractall(scratch / "images", members, filter="data")
    ids = {image["id"] for image in coco["images"]}
    for part in ("annotations", "captions"):
        coco[part] = [row for row in coco[part] if row["image_id"] in ids]
    return scratch / "images", coco


def _project(folder: Path, images: Path, coco: dict[str, Any]) -> Path:
    """A project of these images with their captions and classes, and no regions."""
    source = folder.with_name(f"{folder.name}.json")
    source.write_text(json.dumps(coco | {"annotations": []}), encoding="utf-8")
    _locstudio("new", folder, "--images", images)
    _locstudio("import", folder, source, "--format", "coco", "--images", images)
    return folder


def _proposed(folder: Path, images: Path, coco: dict[str, Any], case: str) -> Path:
    project = _project(folder, images, coco)
    names = ",".join(row["name"] for row in coco["categories"])
    _locstudio("propose", project, *(("--phrases", names) if case == "classes" else ()))
    return project


def _locstudio(*arguments: object) -> Any:
    command = [sys.executable, "-m", "locstudio", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


# waiting and telling --------------------------------------------------------------------------------------------


def settle(seconds: float) -> None:
    """Let the window work."""
    end = time.monotonic() + seconds
    while True:
        QApplication.processEvents()
        if time.monotonic() > end:
            return
        time.sleep(0.002)


def until(is_so: Callable[[], bool], *, patience: float = 0.0) -> None:
    """Let the window work until something is so; with a ``patience`` in seconds, no longer than that."""
    end = time.monotonic() + (patience or PATIENCE_S)
    while not is_so():
        QApplication.processEvents()
        if time.monotonic() > end:
            if patience:
                return
            raise SystemExit("the window does not go on")
        time.sleep(0.001)


ROWS: dict[str, tuple[str, Callable[..., None], float | None]] = {
    "pass": ("classes", _review, None),
    "pass from 0.1": ("classes", _review, 0.1),
    "crops": ("classes", _review_crops, None),
    "pass, captions": ("captions", _review, None),
}
"""What is looked for, the way of reviewing, and the threshold where it is not the run's own."""


def _print_table(rows: dict[str, dict[str, float]], num_images: int) -> None:
    shares = ("found", "precision")
    names = list(next(iter(rows.values())))
    print(f"{'a image':20}" + "".join(f"{name:>12}" for name in names))
    for title, row in rows.items():
        values = [f"{row[name]:12.3f}" if name in shares else f"{row[name] / num_images:12.2f}" for name in names]
        print(f"{title:20}" + "".join(values))


if __name__ == "__main__":
    sys.exit(main())
