"""What keys, buttons and menus ask of the editor of superclasses, done on what is chosen."""

from PySide6.QtCore import QObject, QPoint, Qt, Signal
from PySide6.QtWidgets import QMenu

from locstudio.services.routing.graph_layout import WITHOUT
from locstudio.ui.plain_text import action_text
from locstudio.ui.routing.superclass_canvas import SuperclassCanvas
from locstudio.ui.routing.superclass_commands import KEYS, MENU, TITLES, SuperclassCommand
from locstudio.ui.routing.superclass_editing import SuperclassEdits
from locstudio.ui.routing.superclass_picture import NEW, GraphPicture
from locstudio.ui.routing.superclass_side import SuperclassSide


class SuperclassActs(QObject):
    """Turns commands into edits, asking for a target where one is needed.

    Signals:
        said: a sentence.
        arrange_wanted: lay everything out anew.
        area_made: the key of a superclass that has just been made.
    """

    said = Signal(str)
    arrange_wanted = Signal()
    area_made = Signal(int)

    def __init__(
        self, canvas: SuperclassCanvas, side: SuperclassSide, edits: SuperclassEdits, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._side = side
        self._edits = edits
        self._name_next = ""
        edits.made_one.connect(self._on_making)
        canvas.move_wanted.connect(self._on_dropped)
        canvas.merge_wanted.connect(edits.merge)
        canvas.name_wanted.connect(edits.name)
        side.tree.name_wanted.connect(edits.name)
        canvas.menu_wanted.connect(self.open_menu)
        side.tree.menu_wanted.connect(self.open_menu)

    @property
    def chosen_area(self) -> int | None:
        """The superclass that is chosen, else that of the class that is."""
        area = self._canvas.marks.area
        if area is not None or self._canvas.picture is None or not self._canvas.chosen:
            return area
        return self._canvas.picture.group_of.get(self._canvas.chosen[-1], WITHOUT) or None

    def run(self, command: SuperclassCommand) -> None:
        """Do what a key, a button or a menu has asked for."""
        canvas = self._canvas
        if canvas.picture is None:
            return
        zooms = {
            SuperclassCommand.FIT: canvas.fit,
            SuperclassCommand.ZOOM_IN: lambda: canvas.zoom(1.25),
            SuperclassCommand.ZOOM_OUT: lambda: canvas.zoom(0.8),
            SuperclassCommand.ARRANGE: self.arrange_wanted.emit,
            SuperclassCommand.FIND: self._find,
            SuperclassCommand.IMAGES: self._side.detail.open_first,
        }
        if command in zooms:
            zooms[command]()
        elif command in (SuperclassCommand.RENAME, SuperclassCommand.MERGE, SuperclassCommand.RETIRE):
            self._run_on_area(command)
        else:
            self._run_on_classes(command, canvas.picture)

    def _find(self) -> None:
        self._side.search.setFocus()
        self._side.search.selectAll()

    def _run_on_area(self, command: SuperclassCommand) -> None:
        key = self.chosen_area
        if not key:
            self.said.emit("Choose a superclass first.")
        elif command is SuperclassCommand.RENAME:
            group = self._canvas.picture.group(key) if self._canvas.picture is not None else None
            is_in_tree = group is not None and self._side.tree.hasFocus()
            if group is None or not (is_in_tree and self._side.tree.edit_name(key, group.name)):
                self._canvas.edit_name(key)
        elif command is SuperclassCommand.MERGE:
            self._open_targets(key)
        else:
            self._edits.retire(key)

    def _run_on_classes(self, command: SuperclassCommand, picture: GraphPicture) -> None:
        ids = self._canvas.chosen
        if command is SuperclassCommand.NEW:
            self._edits.make(ids)
        elif not ids:
            self.said.emit("Choose one class or several first.")
        elif command is SuperclassCommand.MOVE:
            self._open_targets(None)
        elif command is SuperclassCommand.FOLLOW:
            self._edits.follow(picture, ids)
        else:
            self._edits.move(ids, WITHOUT)

    def _on_dropped(self, class_ids: tuple[int, ...], key: int) -> None:
        if key == NEW:
            self._edits.make(class_ids)
        else:
            self._edits.move(class_ids, key)

    def _on_making(self, name: str) -> None:
        self._name_next = name

    def name_new(self, picture: GraphPicture) -> None:
        """Ask for the name of a superclass that has just been made."""
        name, self._name_next = self._name_next, ""
        made = next((group for group in picture.groups if group.name == name and group.key > 0), None) if name else None
        if made is not None:
            self.area_made.emit(made.key)
            self._canvas.edit_name(made.key)
        elif name and not self._edits.is_idle:
            self._name_next = name

    # menus ------------------------------------------------------------------------------------------------------

    def _menu_at(self) -> QPoint:
        """Below what is chosen, where the keys are."""
        tree, scene = self._side.tree, self._canvas.scene
        if tree.hasFocus():
            return tree.viewport().mapToGlobal(tree.visualRect(tree.currentIndex()).bottomLeft())
        if scene is not None and self._canvas.chosen:
            return self._canvas.mapToGlobal(self._canvas.below(self._canvas.chosen[-1]))
        return self._canvas.mapToGlobal(self._canvas.rect().center())

    def _open_targets(self, merged_key: int | None) -> None:
        """Ask for the superclass to move to, or to merge into."""
        picture, ids = self._canvas.picture, self._canvas.chosen
        if picture is None:
            return
        homes = {picture.group_of.get(class_id, WITHOUT) for class_id in ids} if merged_key is None else {merged_key}
        menu = self._new_menu("Merge into" if merged_key is not None else "Move to")
        for group in picture.groups:
            if group.key == WITHOUT or homes == {group.key}:
                continue
            action = menu.addAction(action_text(f"{group.name}   ({len(group.class_ids)})"))
            if merged_key is not None:
                action.triggered.connect(lambda _=False, key=group.key: self._edits.merge(merged_key, key))
            else:
                action.triggered.connect(lambda _=False, key=group.key: self._edits.move(ids, key))
        if merged_key is None:
            menu.addSeparator()
            menu.addAction("New superclass").triggered.connect(lambda: self._edits.make(ids))
            if homes != {WITHOUT}:
                menu.addAction("No superclass").triggered.connect(lambda: self._edits.move(ids, WITHOUT))
        if menu.isEmpty():
            self.said.emit("There is no other superclass.")
            return
        menu.popup(self._menu_at())
        menu.setActiveAction(menu.actions()[0])

    def open_menu(self, at: QPoint) -> None:
        picture, ids, key = self._canvas.picture, self._canvas.chosen, self.chosen_area
        if picture is None:
            return
        menu = self._new_menu("Superclasses")
        group = picture.group(key) if key else None
        can = {
            SuperclassCommand.MOVE: bool(ids),
            SuperclassCommand.FOLLOW: any(class_id in picture.pulls for class_id in ids),
            SuperclassCommand.NEW: True,
            SuperclassCommand.TAKE_OUT: any(picture.group_of.get(class_id, WITHOUT) for class_id in ids),
            SuperclassCommand.RENAME: group is not None,
            SuperclassCommand.MERGE: group is not None and len(picture.groups) > 1,
            SuperclassCommand.RETIRE: group is not None and not group.class_ids,
            SuperclassCommand.IMAGES: len(ids) == 1,
        }
        for command in MENU:
            if command is None:
                menu.addSeparator()
                continue
            action = menu.addAction(f"{TITLES[command]}\t{KEYS[command][0]}")
            action.setEnabled(can[command])
            action.triggered.connect(lambda _=False, chosen=command: self.run(chosen))
        menu.popup(at)

    def _new_menu(self, name: str) -> QMenu:
        menu = QMenu(self._canvas)
        menu.setAccessibleName(name)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return menu
