"""The superclasses of a project on the graph of what is confused: looked at, edited, compared with before."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from locstudio.domain.edits import ClassChange, Edit, SuperclassChange
from locstudio.services.routing.graph_layout import Layout
from locstudio.services.superclass_files import write_superclasses
from locstudio.ui.background import DatasetWorker
from locstudio.ui.desk import Desk
from locstudio.ui.gallery.gallery_model import GalleryItem
from locstudio.ui.heatmaps.page_empty import EmptyPane
from locstudio.ui.notice_bar import NoticeBar
from locstudio.ui.routing.superclass_acting import SuperclassActs
from locstudio.ui.routing.superclass_before import BeforeAndAfter
from locstudio.ui.routing.superclass_canvas import SuperclassCanvas
from locstudio.ui.routing.superclass_commands import SuperclassCommand, command_for
from locstudio.ui.routing.superclass_comparing import Compared, compared, first_choice
from locstudio.ui.routing.superclass_editing import SuperclassEdits
from locstudio.ui.routing.superclass_head import SuperclassHead
from locstudio.ui.routing.superclass_picture import GraphPicture
from locstudio.ui.routing.superclass_reading import (
    Behind,
    SuperclassBase,
    images_behind,
    picture_of,
    read_base,
    with_grouping,
)
from locstudio.ui.routing.superclass_side import SuperclassSide
from locstudio.ui.routing.superclass_telling import tell
from locstudio.ui.routing.superclass_words import quoted

_FILTER = "Superclasses (*.json)"
_Read = tuple[SuperclassBase, GraphPicture]


class SuperclassView(QWidget):
    """A view of the experts' page.

    Signals:
        said: a sentence for the status line.
        train_wanted: experts shall be trained.
        image_wanted: an image to be opened in the collection.
    """

    said = Signal(str)
    train_wanted = Signal()
    image_wanted = Signal(int)

    def __init__(self, collection: Desk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Superclasses")
        opened = collection.opened
        self._project, self._dataset = opened.project, opened.dataset
        self._work = DatasetWorker(self)
        self._number = 0  # of the newest read
        self._base: SuperclassBase | None = None
        self._layout: Layout | None = None
        self._must_read = True
        self._pair = (0, 0)
        self.edits = SuperclassEdits(self._dataset, collection.editing, self)
        self.head = SuperclassHead(self)
        self.notice = NoticeBar(self)
        self.canvas = SuperclassCanvas(self)
        self.side = SuperclassSide(collection.thumbnails, self)
        self.acts = SuperclassActs(self.canvas, self.side, self.edits, self)
        self.before = BeforeAndAfter(self)
        self.empty = EmptyPane(self)
        self._split = QSplitter(Qt.Orientation.Horizontal, self)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(3)
        self._split.addWidget(self.canvas)
        self._split.addWidget(self.side)
        self._split.setStretchFactor(0, 1)
        self._split.setSizes([900, 340])
        self._pages = QStackedWidget(self)
        for page in (self._split, self.before, self.empty):
            self._pages.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget in (self.head, self.notice):
            column.addWidget(widget)
        column.addWidget(self._pages, 1)
        self._connect(collection)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Pass the keys on; a focus proxy did it too, but Tab jumped over the head to it."""
        super().focusInEvent(event)
        self.canvas.setFocus()

    def _connect(self, collection: Desk) -> None:
        head, canvas, side, edits = self.head, self.canvas, self.side, self.edits
        head.run_chosen.connect(self.read)
        head.take_wanted.connect(edits.take_over)
        head.compare_toggled.connect(self._on_compare)
        head.import_wanted.connect(self._ask_import)
        head.export_wanted.connect(self._ask_export)
        self.notice.accepted.connect(self._on_notice)
        self.before.compare_wanted.connect(self._compare)
        self.before.use_wanted.connect(edits.take_from)
        for part in (head, canvas, side.tree, side.detail):
            part.command_wanted.connect(self.run)
        canvas.chosen_changed.connect(lambda ids: self._on_chosen(ids, canvas))
        side.tree.chosen_changed.connect(lambda ids: self._on_chosen(ids, side.tree))
        canvas.area_chosen.connect(self._on_area)
        side.tree.area_chosen.connect(self._on_area)
        canvas.edge_chosen.connect(self._on_edge)
        side.class_found.connect(lambda class_id: self.choose((class_id,)))
        side.detail.class_wanted.connect(lambda class_id: self.choose((class_id,)))
        side.detail.area_wanted.connect(self._on_area)
        side.detail.images_wanted.connect(self._show_images)
        side.images.turned.connect(self._show_images)
        side.images.image_wanted.connect(self.image_wanted)
        side.images.model.items_wanted.connect(self._read_items)
        edits.said.connect(self.said)
        self.acts.said.connect(self.said)
        self.acts.arrange_wanted.connect(self.arrange)
        self.acts.area_made.connect(self._on_area)
        collection.editing.applied.connect(self._on_applied)

    # reading ----------------------------------------------------------------------------------------------------

    def read(self, run_id: str = "") -> None:
        """Show the confusions of this run, else of the one that is shown; of the newest where that was the newest."""
        self._must_read = False
        base, old, aspect = self._base, self._layout, self._aspect()
        shown = base.run.id if base is not None and base.run is not None else ""
        is_newest = base is None or not base.runs or base.runs[0].id == shown
        wanted = run_id or ("" if is_newest else shown)
        project, dataset = self._project, self._dataset

        def work() -> _Read:
            now = read_base(project, dataset, wanted)
            is_same = old is not None and (now.run.id if now.run is not None else "") == shown
            return now, picture_of(now, old if is_same else None, aspect)

        self._ask(work)

    def wake(self) -> None:
        """The view is seen again."""
        if self._must_read:
            self.read()
        (self.before if self.is_comparing else self.canvas).setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._must_read:
            QTimer.singleShot(0, self.wake)  # once the layout has given the graph its size

    def close_view(self) -> None:
        """Wait for what is being read."""
        self._work.close()

    @property
    def is_busy(self) -> bool:
        """Whether something is being read."""
        return self._work.num_pending > 0

    @property
    def picture(self) -> GraphPicture | None:
        """What is shown."""
        return self.canvas.picture

    @property
    def base(self) -> SuperclassBase | None:
        """What it was made of."""
        return self._base

    def _aspect(self) -> float:
        size: QSize = self.canvas.size()
        return min(max(size.width() / max(1, size.height()), 0.7), 2.4)

    def _ask(self, work: Callable[[], _Read], *, is_new: bool = False) -> None:
        self._number += 1
        number = self._number

        def take(found: _Read) -> None:
            if number == self._number:
                was_shown = self._base.run if self._base is not None else None
                self._show(*found, is_new=is_new or self._base is None or found[0].run != was_shown)

        self._work.ask(work, on_result=take, on_error=lambda error: self.said.emit(str(error)))

    def _on_applied(self, edit: Edit) -> None:
        """Show what an edit, an undo or a redo has made of the superclasses."""
        if not any(isinstance(change, ClassChange | SuperclassChange) for change in edit.changes):
            return
        if self._base is None or not self.isVisible():
            self._must_read = True
            return
        base, old, aspect, project, dataset = self._base, self._layout, self._aspect(), self._project, self._dataset

        def work() -> _Read:
            now = with_grouping(base, project, dataset)
            return now, picture_of(now, old, aspect)

        self._ask(work)

    def arrange(self) -> None:
        """Lay everything out anew."""
        if self._base is not None:
            base, aspect = self._base, self._aspect()
            self._ask(lambda: (base, picture_of(base, None, aspect)), is_new=True)

    def _show(self, base: SuperclassBase, picture: GraphPicture, *, is_new: bool) -> None:
        area = self.canvas.marks.area
        self._base, self._layout = base, picture.layout
        self.edits.set_base(base)
        self.head.set_runs(base.runs, base.run.id if base.run is not None else "")
        self.canvas.set_picture(picture, is_new=is_new)
        self.side.tree.set_picture(picture)
        tell(self.head, self.notice, self.empty, base, picture)
        if not self.is_comparing:
            self._pages.setCurrentWidget(self._split if len(picture.graph) else self.empty)
        else:
            self._on_compare(True)
        if area is not None and picture.group(area) is not None:
            self._on_area(area)
        else:
            self._on_chosen(self.canvas.chosen, self.canvas)
        self.acts.name_new(picture)

    def _on_notice(self, name: str) -> None:
        if name == "no run":
            self.train_wanted.emit()

    # choosing ---------------------------------------------------------------------------------------------------

    def choose(self, class_ids: tuple[int, ...]) -> None:
        """Choose classes everywhere, and bring the last into sight."""
        self.canvas.choose(class_ids, is_shown=True)
        self.side.tree.choose(class_ids)
        self._on_chosen(class_ids, None)

    def _on_chosen(self, class_ids: tuple[int, ...], source: QWidget | None) -> None:
        picture = self.picture
        if picture is None:
            return
        if source is self.canvas:
            self.side.tree.choose(class_ids)
        elif source is self.side.tree:
            self.canvas.choose(class_ids, is_shown=True)
        self.side.leave_images(takes_focus=False)
        if not class_ids:
            self.side.detail.show_all(picture)
        elif len(class_ids) == 1:
            self.side.detail.show_class(picture, class_ids[0])
        else:
            self.side.detail.show_several(picture, class_ids)

    def _on_area(self, key: int) -> None:
        group = self.picture.group(key) if self.picture is not None else None
        if self.picture is None or group is None:
            return
        self.canvas.choose_area(key)
        self.side.tree.choose((), group=key)
        self.side.leave_images(takes_focus=False)
        self.side.detail.show_group(self.picture, group)

    def _on_edge(self, first_id: int, second_id: int) -> None:
        if self.picture is not None:
            self.side.tree.choose(())
            self.side.leave_images(takes_focus=False)
            self.side.detail.show_edge(self.picture, first_id, second_id)

    # images -----------------------------------------------------------------------------------------------------

    def _show_images(self, first_id: int, second_id: int) -> None:
        run = self._base.run if self._base is not None else None
        picture = self.picture
        if picture is None:
            return
        self._pair = first_id, second_id

        def take(found: Behind) -> None:
            if self._pair == (found.first, found.second):
                self.side.show_images(picture, found)

        self._work.ask(
            images_behind,
            self._project,
            run.id if run is not None else "",
            first_id,
            second_id,
            on_result=take,
            on_error=lambda error: self.said.emit(str(error)),
        )

    def _read_items(self, image_ids: object) -> None:
        dataset = self._dataset
        self._work.ask(
            lambda: [GalleryItem(image) for image in dataset.images(image_ids.tolist())],  # type: ignore[attr-defined]
            on_result=self.side.images.model.put_items,
        )

    # keys -------------------------------------------------------------------------------------------------------

    def run(self, command: SuperclassCommand) -> None:
        """Do what a key, a button or a menu has asked for."""
        if not self.is_comparing:
            self.acts.run(command)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that the focused part has no use for are the graph's."""
        command = command_for(event)
        if event.key() == Qt.Key.Key_Escape and self.is_comparing:
            self.head.set_comparing(False)
        elif command is not None and not self.is_comparing:
            self.run(command)
        else:
            super().keyPressEvent(event)

    # files ------------------------------------------------------------------------------------------------------

    def _ask_import(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Import superclasses", "", _FILTER)
        if path:
            self.edits.import_from(Path(path))

    def _ask_export(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export superclasses", "superclasses.json", _FILTER)
        if path:
            self.export_to(Path(path))

    def export_to(self, path: Path) -> None:
        """Write the superclasses that are shown into a file."""
        if self._base is not None:
            self._work.ask(
                write_superclasses,
                self._base.seen,
                path,
                on_result=lambda _: self.said.emit(f"Superclasses written to {quoted(path.name)}."),
                on_error=lambda error: self.said.emit(str(error)),
            )

    # before and after -------------------------------------------------------------------------------------------

    @property
    def is_comparing(self) -> bool:
        """Whether before and after stand side by side."""
        return self._pages.currentWidget() is self.before

    def _on_compare(self, is_wanted: bool) -> None:
        base = self._base
        self.head.set_comparing(is_wanted)
        if not is_wanted or base is None:
            self._pages.setCurrentWidget(self._split)
            return
        was_comparing = self.is_comparing
        chosen = self.before.chosen if was_comparing else first_choice(base)
        self._pages.setCurrentWidget(self.before)
        self.before.set_runs(base.runs, chosen, has_now=base.grouping.is_own)
        self._compare(*self.before.chosen)

    def _compare(self, before_id: str, after_id: str) -> None:
        base, project = self._base, self._project
        if base is None:
            return

        def take(found: Compared) -> None:
            if self.is_comparing and self.before.chosen == (before_id, after_id):
                self.before.show_compared(found)

        aspect = self.before.aspect
        self._work.ask(
            compared,
            project,
            base,
            before_id,
            after_id,
            aspect,
            on_result=take,
            on_error=lambda error: self.said.emit(str(error)),
        )
