"""Superclasses and their classes as a tree of two levels: the same as the graph, in text."""

from dataclasses import dataclass

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFont

from locstudio.services.routing.graph_layout import WITHOUT
from locstudio.ui import theme
from locstudio.ui.plain_text import shown, tip
from locstudio.ui.routing.superclass_picture import GraphPicture, Group, group_color
from locstudio.ui.routing.superclass_words import area_sentence, class_sentence, percent

AnyIndex = QModelIndex | QPersistentModelIndex
KEY_ROLE = int(Qt.ItemDataRole.UserRole)
"""Of a superclass its key, of a class its id."""

_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_TITLES = ("Superclass and class", "Itself")
_ITSELF = "What the dense twin gave the true class of an image, on average"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A group with those of its classes that the search leaves."""

    group: Group
    number: int
    class_ids: tuple[int, ...]


def itself_of(picture: GraphPicture, group: Group) -> float | None:
    """What the dense twin gave the true class of a superclass's images, on average; None where it has seen none."""
    graph = picture.graph
    places = [place for place in map(graph.position, group.class_ids) if place >= 0]
    seen = float(graph.totals_L[places].sum())
    return float(graph.counts_LL[places, places].sum()) / seen if seen > 0 else None


def _share(share: float | None) -> str:
    return "–" if share is None else percent(share)


class SuperclassRows(QAbstractItemModel):
    """The rows of the tree; a search leaves classes and superclasses whose name has its words."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._picture: GraphPicture | None = None
        self._listed: tuple[_Listed, ...] = ()
        self._search = ""

    def set_picture(self, picture: GraphPicture | None) -> None:
        """List these superclasses."""
        self.beginResetModel()
        self._picture = picture
        self._list()
        self.endResetModel()

    def set_search(self, text: str) -> None:
        """List only what has this in its name."""
        self.beginResetModel()
        self._search = text.casefold().strip()
        self._list()
        self.endResetModel()

    @property
    def is_searched(self) -> bool:
        """Whether a search leaves something out."""
        return bool(self._search)

    def _list(self) -> None:
        self._listed = ()
        if self._picture is None:
            return
        found = []
        for number, group in enumerate(self._picture.groups):
            name_of = self._picture.name_of
            has_all = self._search in group.name.casefold()
            ids = [each for each in group.class_ids if has_all or self._search in name_of(each).casefold()]
            if ids or has_all:
                in_order = sorted(ids, key=lambda each: name_of(each).casefold())
                found.append(_Listed(group, number, tuple(in_order)))
        self._listed = tuple(found)

    # model ------------------------------------------------------------------------------------------------------

    def index(self, row: int, column: int, parent: AnyIndex = QModelIndex()) -> QModelIndex:  # noqa: B008
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        return self.createIndex(row, column, parent.row() + 1 if parent.isValid() else 0)

    def parent(self, index: AnyIndex = QModelIndex()) -> QModelIndex:  # type: ignore[override]  # noqa: B008
        if not index.isValid() or not index.internalId():
            return QModelIndex()
        return self.createIndex(int(index.internalId()) - 1, 0, 0)

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        if not parent.isValid():
            return len(self._listed)
        if parent.internalId() or parent.column() > 0:
            return 0
        return len(self._listed[parent.row()].class_ids)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008, ARG002
        return len(_TITLES)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _TITLES[section]
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole and section:
            return _RIGHT
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole and section:
            return _ITSELF
        return None

    def is_group(self, index: AnyIndex) -> bool:
        """Whether a row is a superclass."""
        return index.isValid() and not index.internalId()

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or self._picture is None:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if index.column() else None
        if not index.internalId():
            return self._group_data(self._picture, self._listed[index.row()], index.column(), role)
        listed = self._listed[int(index.internalId()) - 1]
        return self._class_data(self._picture, listed.class_ids[index.row()], index.column(), role)

    def _group_data(self, picture: GraphPicture, listed: _Listed, column: int, role: int) -> object:
        group = listed.group
        if role == KEY_ROLE:
            return group.key
        if role == Qt.ItemDataRole.DisplayRole:
            itself = itself_of(picture, group) if column else None
            return f"{shown(group.name)} · {len(group.class_ids)}" if not column else _share(itself)
        if role == Qt.ItemDataRole.FontRole and not column:
            font = QFont()
            font.setWeight(QFont.Weight.DemiBold)
            return font
        if role == Qt.ItemDataRole.DecorationRole and not column and group.key != WITHOUT:
            return QColor(group_color(group.color, listed.number))
        if role == Qt.ItemDataRole.ForegroundRole and column:
            return QColor(theme.current().muted)
        sentence = area_sentence(picture, group.key)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(sentence)
        return sentence if role == Qt.ItemDataRole.AccessibleTextRole and not column else None

    def _class_data(self, picture: GraphPicture, class_id: int, column: int, role: int) -> object:
        if role == KEY_ROLE:
            return class_id
        pull = picture.pulls.get(class_id)
        if role == Qt.ItemDataRole.DisplayRole:
            if column:
                return _share(picture.graph.itself_share(class_id))
            target = picture.group(pull.group) if pull is not None else None
            return shown(picture.name_of(class_id)) + (f"  ↗ {shown(target.name)}" if target is not None else "")
        if role == Qt.ItemDataRole.ForegroundRole and column:
            return QColor(theme.current().muted)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(class_sentence(picture, class_id))
        if role == Qt.ItemDataRole.AccessibleTextRole and not column:
            return class_sentence(picture, class_id)
        return None

    # finding ----------------------------------------------------------------------------------------------------

    def index_of_group(self, key: int) -> QModelIndex:
        """The row of a superclass; an invalid one where the search leaves it out."""
        row = next((row for row, listed in enumerate(self._listed) if listed.group.key == key), -1)
        return self.index(row, 0) if row >= 0 else QModelIndex()

    def index_of_class(self, class_id: int) -> QModelIndex:
        """The row of a class; an invalid one where the search leaves it out."""
        for row, listed in enumerate(self._listed):
            if class_id in listed.class_ids:
                return self.index(listed.class_ids.index(class_id), 0, self.index(row, 0))
        return QModelIndex()

    def first_class(self) -> int | None:
        """The first class that the search leaves."""
        return next((listed.class_ids[0] for listed in self._listed if listed.class_ids), None)
