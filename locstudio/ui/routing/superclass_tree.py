"""The list of superclasses and classes beside the graph: everything the graph can do, by keys alone."""

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QPoint, QRectF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTreeView, QWidget

from locstudio.ui import theme
from locstudio.ui.routing.superclass_commands import SuperclassCommand, command_for
from locstudio.ui.routing.superclass_naming import NameField
from locstudio.ui.routing.superclass_picture import GraphPicture
from locstudio.ui.routing.superclass_rows import KEY_ROLE, SuperclassRows

_OPEN_UP_TO = 40  # classes; of more only the superclasses are listed at first


class SuperclassTree(QTreeView):
    """Shows the rows, and says what is chosen.

    Signals:
        chosen_changed: ids of the classes that are chosen, the current one last.
        area_chosen: the key of the superclass that is current.
        command_wanted: a ``SuperclassCommand``.
        menu_wanted: where on the screen.
        name_wanted: the key of a superclass, and the name that was typed over its own.
    """

    chosen_changed = Signal(tuple)
    area_chosen = Signal(int)
    command_wanted = Signal(object)
    menu_wanted = Signal(QPoint)
    name_wanted = Signal(int, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = SuperclassRows(self)
        self._is_following = False
        self._was_filled = False
        self._open: set[int] = set()
        self.setModel(self.rows)
        self.setAccessibleName("Superclasses and their classes")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setUniformRowHeights(True)
        self.setIndentation(14)
        self.setExpandsOnDoubleClick(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(1, self.fontMetrics().horizontalAdvance("100 %") + 22)
        self.expanded.connect(lambda index: self._open.add(index.data(KEY_ROLE)))
        self.collapsed.connect(lambda index: self._open.discard(index.data(KEY_ROLE)))
        self._name = NameField(self.viewport())
        self._name.named.connect(self.name_wanted)
        self.verticalScrollBar().valueChanged.connect(self._name.leave)
        self.doubleClicked.connect(self._on_double_clicked)
        theme.notifier.changed.connect(self.viewport().update)

    def set_picture(self, picture: GraphPicture | None) -> None:
        """List these superclasses; those that were open stay open, and what was chosen stays chosen."""
        self._name.leave()
        chosen, current = self.chosen_ids(), self.current_group()
        if picture is not None and not self._was_filled:
            self._was_filled = True
            if len(picture.graph) <= _OPEN_UP_TO:
                self._open = {group.key for group in picture.groups}
        self._is_following = True
        was_open = set(self._open)
        self.rows.set_picture(picture)
        self._reopen(was_open)
        self.choose(chosen, group=current)
        self._is_following = False

    def set_search(self, text: str) -> None:
        """List only what has this in its name, opened."""
        self._is_following = True
        was_open = set(self._open)
        self.rows.set_search(text)
        if self.rows.is_searched:
            self.expandAll()
        self._open = was_open
        if not self.rows.is_searched:
            self._reopen(was_open)
        self._is_following = False

    def _reopen(self, keys: set[int]) -> None:
        for row in range(self.rows.rowCount()):
            index = self.rows.index(row, 0)
            self.setExpanded(index, index.data(KEY_ROLE) in keys or self.rows.is_searched)

    def chosen_ids(self) -> tuple[int, ...]:
        """The classes that are chosen, the current one last."""
        indexes = [index for index in self.selectionModel().selectedRows() if not self.rows.is_group(index)]
        current = self.currentIndex()
        found = [
            int(index.data(KEY_ROLE))
            for index in indexes
            if index.row() != current.row() or index.parent() != current.parent()
        ]
        if any(index.row() == current.row() and index.parent() == current.parent() for index in indexes):
            found.append(int(current.siblingAtColumn(0).data(KEY_ROLE)))
        return tuple(found)

    def current_group(self) -> int | None:
        """The superclass that is current; None while a class is."""
        index = self.currentIndex().siblingAtColumn(0)
        return int(index.data(KEY_ROLE)) if self.rows.is_group(index) else None

    def choose(self, class_ids: tuple[int, ...], *, group: int | None = None) -> None:
        """Choose rows without announcing it."""
        was_following, self._is_following = self._is_following, True
        indexes = [index for index in map(self.rows.index_of_class, class_ids) if index.isValid()]
        if not class_ids and group is not None and self.rows.index_of_group(group).isValid():
            indexes = [self.rows.index_of_group(group)]
        selection = QItemSelection()
        for index in indexes:
            selection.select(index, index.siblingAtColumn(1))
        model, flags = self.selectionModel(), QItemSelectionModel.SelectionFlag
        if indexes:
            model.setCurrentIndex(indexes[-1], flags.NoUpdate)
            self.scrollTo(indexes[-1])
        model.select(selection, flags.ClearAndSelect)
        self._is_following = was_following

    def edit_name(self, key: int, name: str) -> bool:
        """Let a person type another name over that of a superclass; False where it is not listed."""
        index = self.rows.index_of_group(key)
        if index.isValid():
            self.scrollTo(index)
            self._name.edit(key, name, QRectF(self.visualRect(index)))
        return index.isValid()

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        super().selectionChanged(selected, deselected)
        if self._is_following:
            return
        ids, group = self.chosen_ids(), self.current_group()
        if not ids and group is not None and selected.indexes():
            self.area_chosen.emit(group)
        else:
            self.chosen_changed.emit(ids)

    def _on_double_clicked(self) -> None:
        index = self.currentIndex().siblingAtColumn(0)
        if self.rows.is_group(index):
            self.command_wanted.emit(SuperclassCommand.RENAME)
        else:
            self.command_wanted.emit(SuperclassCommand.IMAGES)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys of the editor's own are commands; plus and minus stay the tree's, to open and close."""
        command = command_for(event)
        is_fold = command in (SuperclassCommand.ZOOM_IN, SuperclassCommand.ZOOM_OUT)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._on_double_clicked()
        elif command is not None and not is_fold:
            self.command_wanted.emit(command)
        else:
            super().keyPressEvent(event)

    def keyboardSearch(self, _search: str) -> None:
        """Letters are commands here; the field above finds classes."""

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        at = event.globalPos()
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            at = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).bottomLeft())
        self.menu_wanted.emit(at)
