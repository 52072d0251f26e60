"""The boxes of the open image, the selection among them, and the edits that a person wishes for."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PySide6.QtCore import QCoreApplication, QObject, QTimer, Signal
from PySide6.QtGui import QGuiApplication

from locstudio.domain.edits import Edit, RegionChange
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Region, Review
from locstudio.ui.canvas import clipboard, region_edits
from locstudio.ui.canvas.drag_geometry import BoxPx, grown, moved, to_unit
from locstudio.ui.canvas.overlay_boxes import BoxArrays

NUDGE_IDLE_MS = 400  # nudges closer together than this are one undo step

translate = QCoreApplication.translate


class BoxEditor(QObject):
    """Holds what is edited and makes the edits.  Paints nothing and knows no mouse.

    An edit is shown at once, and stays shown until ``set_regions`` says what the dataset made of it.

    Signals:
        edit_requested: an ``Edit`` to apply; whoever applies it, or refuses to, answers with ``set_regions``.
        selection_changed: identities of the selected regions, in the order in which they were selected.
        notice: a sentence: why nothing happened, or what will.
        changed: the boxes or how they look have changed.
        stirred: the selection or the nudges have changed: only what is painted over the boxes.
        nudging: a ``UnitBox`` and an identity: the only selected region follows the arrow keys.
        nudged: the same, when the keys have come to rest and the edit has been asked for.
    """

    edit_requested = Signal(object)
    selection_changed = Signal(list)
    notice = Signal(str)
    changed = Signal()
    stirred = Signal()
    nudging = Signal(object, object)
    nudged = Signal(object, object)

    def __init__(self, allocate_id: Callable[[], int], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._allocate_id = allocate_id
        self.image: Image | None = None
        self.size = (0, 0)
        self.boxes = BoxArrays.of((), 1, 1)
        self.classes: tuple[LabelClass, ...] = ()
        self.selected: tuple[int, ...] = ()
        self.last_phrase = ""
        self.last_class_id: int | None = None
        self.next_class_id: int | None = None
        self.nudges: dict[int, BoxPx] = {}
        self._is_resize = False
        self._idle = QTimer(self, singleShot=True, interval=NUDGE_IDLE_MS)
        self._idle.timeout.connect(self.flush)

    def set_image(self, image: Image | None, size: tuple[int, int]) -> None:
        """Take another image, without regions yet; what was still to be asked for is asked for first."""
        self.flush()
        self.image, self.size = image, size
        self.set_regions(())

    def set_size(self, size: tuple[int, int]) -> None:
        """Learn the true size of the picture; boxes are stored in units of it, so nothing else changes."""
        if size != self.size:
            self.size = size
            self._show(self.boxes.regions)

    def set_regions(self, regions: Sequence[Region]) -> None:
        """Show exactly these regions; the selection keeps those of its members that still exist."""
        self._show(regions)
        self.nudges = {i: box for i, box in self.nudges.items() if i in self.boxes.rows}
        self.select(i for i in self.selected if i in self.boxes.rows)

    def set_classes(self, classes: Sequence[LabelClass]) -> None:
        """Take the vocabulary; the digits 1-9 mean the first nine classes in use."""
        self.classes = tuple(classes)
        self.changed.emit()

    def _show(self, regions: Sequence[Region]) -> None:
        self.boxes = BoxArrays.of(regions, max(self.size[0], 1), max(self.size[1], 1))
        self.changed.emit()

    @property
    def usable_classes(self) -> list[LabelClass]:
        """The classes that are not retired, in their order."""
        return [label for label in self.classes if not label.is_retired]

    @property
    def selected_regions(self) -> list[Region]:
        """The selected regions as they are shown."""
        return [self.boxes.regions[self.boxes.rows[i]] for i in self.selected]

    def select(self, ids: Iterable[int]) -> None:
        """Select these regions instead of those selected before."""
        chosen = tuple(dict.fromkeys(i for i in ids if i in self.boxes.rows))
        if chosen == self.selected:
            return
        self.flush()
        self.selected = chosen
        self.stirred.emit()
        self.selection_changed.emit(list(chosen))

    def toggle(self, ids: Iterable[int]) -> None:
        """Add regions to the selection, or take out those that are in it."""
        ids = tuple(ids)
        kept = [i for i in self.selected if i not in ids]
        self.select(kept + [i for i in ids if i not in self.selected])

    def step(self, by: int) -> None:
        """Select the region after (1) or before (-1) the last selected one, round and round."""
        if not self.boxes.regions:
            return
        if not self.selected:
            row = 0 if by > 0 else len(self.boxes.regions) - 1
        else:
            row = (self.boxes.rows[self.selected[-1]] + by) % len(self.boxes.regions)
        self.select([self.boxes.regions[row].id])

    def add(self, box: UnitBox, phrase: str = "", mask: str | None = None) -> int:
        """Ask for a new region, select it and return its identity."""
        assert self.image is not None
        region = region_edits.new_region(self._allocate_id(), self.image.id, box, phrase, self.next_class_id, mask)
        self.next_class_id = None
        self.last_phrase, self.last_class_id = phrase, region.class_id
        self._ask(region_edits.add(region))
        self.select([region.id])
        return region.id

    def place(self, boxes: dict[int, BoxPx], is_resize: bool) -> None:
        """Ask for other places (image pixels) for regions."""
        places = {i: to_unit(box, *self.size) for i, box in boxes.items() if i in self.boxes.rows}
        old = [self.boxes.regions[self.boxes.rows[i]] for i in places]
        self._ask(region_edits.place(old, places, is_resize))

    def set_masks(self, masks: dict[int, str], *, is_by_points: bool = False) -> None:
        """Ask to give regions masks, by identity."""
        self.flush()
        old = [self.boxes.regions[self.boxes.rows[i]] for i in masks if i in self.boxes.rows]
        self._ask(region_edits.set_masks(old, masks, is_by_points))

    def tighten(self) -> None:
        """Ask to fit the boxes of the selected regions to their masks."""
        self.flush()
        regions = self.selected_regions
        edit = region_edits.tighten(regions, *self.size)
        if edit is None and not any(region.mask for region in regions):
            self.notice.emit(translate("Canvas", "The selection has no mask. Press G to make one."))
        self._ask(edit)
        self._say_locked(regions)

    def delete(self) -> None:
        """Ask to delete what is selected; locked regions stay and are said to."""
        self.flush()
        regions = self.selected_regions
        self._ask(region_edits.delete(regions))
        self._say_locked(regions)

    def relabel(self, phrase: str | None, class_id: int | None, ids: Iterable[int] | None = None) -> None:
        """Ask to give regions (the selected ones, where none are named) a phrase and a class; None leaves what is."""
        self.flush()
        label = next((c for c in self.classes if c.id == class_id), None)
        if phrase is not None:
            self.last_phrase = phrase
        if label is not None:
            self.last_class_id = label.id
        named = self.selected if ids is None else ids
        regions = [self.boxes.regions[self.boxes.rows[i]] for i in named if i in self.boxes.rows]
        self._ask(region_edits.relabel(regions, phrase, label))
        self._say_locked(regions)

    def choose_class(self, digit: int) -> None:
        """Give the selection the class behind a digit; without a selection, the next box gets it."""
        usable = self.usable_classes
        if digit > len(usable):
            self.notice.emit(translate("Canvas", "There is no class {digit}.").format(digit=digit))
        elif self.selected:
            self.relabel(None, usable[digit - 1].id)
        else:
            self.next_class_id = usable[digit - 1].id
            self.notice.emit(translate("Canvas", "The next box will be: {name}").format(name=usable[digit - 1].name))

    def review(self, verdict: Review) -> None:
        """Ask to accept or reject what is selected."""
        self.flush()
        self._ask(region_edits.review(self.selected_regions, verdict))

    def lock(self) -> None:
        """Ask to lock what is selected, or to unlock it when all of it is locked."""
        self.flush()
        self._ask(region_edits.lock(self.selected_regions))

    def duplicate(self) -> None:
        """Ask for copies of the selected regions, a little aside, and select them."""
        self._copy_in(self.selected_regions, translate("Canvas", "Duplicate"))

    def copy(self) -> None:
        """Put the selected regions on the clipboard."""
        if self.selected:
            QGuiApplication.clipboard().setMimeData(clipboard.to_mime(self.selected_regions, self.classes))

    def paste(self) -> None:
        """Ask for the clipboard's boxes in this image, at the same place, and select them."""
        regions = clipboard.from_mime(QGuiApplication.clipboard().mimeData(), self.classes)
        if not regions:
            self.notice.emit(translate("Canvas", "There are no boxes on the clipboard."))
        self._copy_in(regions, translate("Canvas", "Paste"))

    def _copy_in(self, regions: Sequence[Region], title: str) -> None:
        self.flush()
        if self.image is None:
            return
        image = (self.image.id, *self.size)
        made = region_edits.copies(regions, image, self.boxes.regions, self._allocate_id, title)
        if made is not None:
            edit, ids = made
            self._ask(edit)
            self.select(ids)

    def nudge(self, dx: int, dy: int, is_resize: bool) -> None:
        """Move the selected regions by image pixels, or their right and bottom sides; asked for after a short rest."""
        if self.nudges and is_resize != self._is_resize:
            self.flush()
        free = [region for region in self.selected_regions if not region.is_locked]
        self._say_locked(self.selected_regions)
        if not free:
            return
        boxes = np.array([self.place_of(region.id) for region in free], np.float64)
        if is_resize:
            placed = [grown((b[0], b[1], b[2], b[3]), dx, dy, *self.size) for b in boxes.tolist()]
        else:
            placed = [(b[0], b[1], b[2], b[3]) for b in moved(boxes, dx, dy, *self.size).tolist()]
        self._is_resize = is_resize
        self.nudges = {region.id: box for region, box in zip(free, placed, strict=True)}
        self._idle.start()
        self.stirred.emit()
        if len(placed) == 1:
            self.nudging.emit(to_unit(placed[0], *self.size), free[0].id)

    def flush(self) -> None:
        """Ask now for what the arrow keys have done, instead of after their rest."""
        self._idle.stop()
        nudges, self.nudges = self.nudges, {}
        if nudges:
            self.place(nudges, self._is_resize)
        if len(nudges) == 1:
            ((region_id, box),) = nudges.items()
            self.nudged.emit(to_unit(box, *self.size), region_id)

    def place_of(self, region_id: int) -> BoxPx:
        """Where a region is shown, in image pixels."""
        if region_id in self.nudges:
            return self.nudges[region_id]
        x0, y0, x1, y1 = self.boxes.boxes_px[self.boxes.rows[region_id]].tolist()
        return x0, y0, x1, y1

    def _say_locked(self, regions: Sequence[Region]) -> None:
        if any(region.is_locked for region in regions):
            self.notice.emit(translate("Canvas", "A locked box stays as it is. Press L to unlock it."))

    def _ask(self, edit: Edit | None) -> None:
        if edit is None:
            return
        shown = {region.id: region for region in self.boxes.regions}
        for change in edit.changes:
            if isinstance(change, RegionChange) and change.after is not None:
                shown[change.after.id] = change.after
            elif isinstance(change, RegionChange) and change.before is not None:
                shown.pop(change.before.id, None)
        self.set_regions(tuple(shown.values()))
        self.edit_requested.emit(edit)
