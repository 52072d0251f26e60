"""Hits as a grid of tiles: the image around the box, the box drawn, its score and phrase."""

import math
from collections import OrderedDict
from collections.abc import Callable

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QApplication, QMenu, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from locstudio.ui import theme
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.gallery.uniform_grid import UniformGrid
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, shown
from locstudio.ui.search.context import inside
from locstudio.ui.search.hits_model import HIT_ROLE, HitItem, HitsModel

CAPTION_HEIGHT = 20
_DEFAULT_SIDE = 100
_INSET = 3
_DIMMED = 0.45
_MAX_TILES = 300
_TileKey = tuple[int, tuple[float, float, float, float], bool, int, int, float]
_BELOW = "Below the cut: less alike"
_ONLY_BELOW = "The nearest"


class HitsView(UniformGrid):
    """The tiles of the hits; those below the cut are dimmed, below a line that says so.

    Signals:
        hit_chosen: a ``HitItem`` to go to: clicked, or walked to with the keys.
        more_wanted: a ``HitItem`` whose like is looked for, from the menu (the key M is the window's).
        phrase_wanted: the phrase of a hit, to search for these words.
    """

    hit_chosen = Signal(object)
    more_wanted = Signal(object)
    phrase_wanted = Signal(str)

    def __init__(
        self,
        model: HitsModel,
        crops: PictureLoader,
        thumbnail_of: Callable[[int], QPixmap | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(_DEFAULT_SIDE, CAPTION_HEIGHT, parent)
        self._model = model
        self._crops = crops
        self.setModel(model)
        self.setItemDelegate(_HitDelegate(crops, thumbnail_of, self))
        self.setSelectionMode(UniformGrid.SelectionMode.SingleSelection)
        self.setAccessibleName("Regions found")
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._open_menu)
        self.clicked.connect(lambda index: self.hit_chosen.emit(index.data(HIT_ROLE)))
        self.activated.connect(lambda index: self.hit_chosen.emit(index.data(HIT_ROLE)))
        self.shown_rows_changed.connect(self._on_shown_rows_changed)
        model.modelReset.connect(self._on_model_reset)
        model.dataChanged.connect(self._divide)
        crops.arrived.connect(self.viewport().update)
        theme.notifier.changed.connect(self.viewport().update)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Walking through the hits goes to each."""
        before = self.currentIndex().row()
        super().keyPressEvent(event)
        if self.currentIndex().isValid() and self.currentIndex().row() != before:
            self.hit_chosen.emit(self.currentIndex().data(HIT_ROLE))

    def _on_shown_rows_changed(self, first: int, last: int) -> None:
        self._crops.keep_only(hit.crop_key for hit in self._model.hits[first : last + 1])

    def _divide(self) -> None:
        num_above = self._model.num_above
        self.set_divider(num_above if num_above < len(self._model.hits) else None)

    def _paint_band(self, painter: QPainter, band: QRect) -> None:
        look = theme.current()
        painter.setFont(_small_font())
        text = _BELOW if self._model.num_above else _ONLY_BELOW
        words = QRect(band.left() + 5, band.top(), painter.fontMetrics().horizontalAdvance(text) + 8, band.height())
        painter.setPen(QColor(look.muted))
        painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
        painter.setPen(QPen(QColor(look.border), 1))
        middle = band.center().y() + 1
        painter.drawLine(words.right(), middle, band.right() - 5, middle)

    def _on_model_reset(self) -> None:
        self.verticalScrollBar().setValue(0)
        self._divide()
        self.updateGeometries()
        first, last = self.rows_in(self.viewport().rect())
        self._on_shown_rows_changed(first, last)
        self.viewport().update()

    def _open_menu(self, where: QPoint) -> None:
        hit: HitItem | None = self.indexAt(where).data(HIT_ROLE)
        if hit is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Go to this image").triggered.connect(lambda: self.hit_chosen.emit(hit))
        menu.addAction("More like this\tM").triggered.connect(lambda: self.more_wanted.emit(hit))
        if hit.phrase:
            words = QFontMetrics(self.font()).elidedText(shown(hit.phrase), Qt.TextElideMode.ElideRight, 220)
            search = menu.addAction(f"Search for “{action_text(words)}”")
            search.triggered.connect(lambda: self.phrase_wanted.emit(hit.phrase))
        menu.popup(self.viewport().mapToGlobal(where))


class _HitDelegate(QStyledItemDelegate):
    def __init__(self, crops: PictureLoader, thumbnail_of: Callable[[int], QPixmap | None], parent: QObject) -> None:
        super().__init__(parent)
        self._crops = crops
        self._thumbnail_of = thumbnail_of
        self._tiles: OrderedDict[_TileKey, QPixmap] = OrderedDict()

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        rect: QRect = option.rect
        hit: HitItem = index.data(HIT_ROLE)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(look.selection))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(look.raised))
        grid = self.parent()
        assert isinstance(grid, HitsView)
        is_below = grid.divider is not None and index.row() >= grid.divider
        is_chosen = bool(option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver))
        painter.setOpacity(_DIMMED if is_below and not is_chosen else 1.0)
        area = QRect(rect.left(), rect.top(), rect.width(), rect.width()).adjusted(_INSET, _INSET, -_INSET, -_INSET)
        self._paint_picture(painter, area, hit)
        if not math.isnan(hit.score):
            self._paint_score(painter, area, hit)
        self._paint_caption(painter, rect, hit)
        painter.setOpacity(1.0)

    def _paint_picture(self, painter: QPainter, area: QRect, hit: HitItem) -> None:
        """Paint the view of the hit with its box: from the thumbnail until the crop is here."""
        width = (hit.view.x1 - hit.view.x0) * max(hit.image.width, 1)
        height = (hit.view.y1 - hit.view.y0) * max(hit.image.height, 1)
        scale = min(area.width() / width, area.height() / height)
        target = QRect(0, 0, max(1, round(width * scale)), max(1, round(height * scale)))
        target.moveCenter(area.center())
        look = theme.current()
        painter.fillRect(area, QColor(look.raised))
        crop = self._crops.picture(hit.crop_key)
        if crop is not None:
            painter.drawPixmap(
                target.topLeft(), self._tile(crop, target.size(), painter.device().devicePixelRatioF(), hit)
            )
            return
        if self._crops.failure(hit.crop_key):
            painter.drawPixmap(area.center().x() - 12, area.center().y() - 12, drawn.pixmap("missing", 24, look.muted))
        elif (thumbnail := self._thumbnail_of(hit.image.id)) is not None:
            x0, y0, x1, y1 = hit.view.to_pixels(thumbnail.width(), thumbnail.height())
            painter.drawPixmap(QRectF(target), thumbnail, QRectF(x0, y0, x1 - x0, y1 - y0))
        _paint_box(painter, QRectF(target), hit)

    def _tile(self, crop: QPixmap, size: QSize, ratio: float, hit: HitItem) -> QPixmap:
        """The crop scaled to the tile, with its box; kept, since a box that is dragged finds the same hits often."""
        key = (crop.cacheKey(), hit.box.as_tuple(), hit.region_id is None, size.width(), size.height(), ratio)
        tile = self._tiles.get(key)
        if tile is None:
            tile = crop.scaled(
                size * ratio, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
            tile.setDevicePixelRatio(ratio)
            painter = QPainter(tile)
            _paint_box(painter, QRectF(QRect(QPoint(0, 0), size)), hit)
            painter.end()
            self._tiles[key] = tile
            if len(self._tiles) > _MAX_TILES:
                self._tiles.popitem(last=False)
        else:
            self._tiles.move_to_end(key)
        return tile

    def _paint_score(self, painter: QPainter, area: QRect, hit: HitItem) -> None:
        painter.setFont(_small_font())
        text = f"{hit.score:.2f}"
        metrics = QFontMetrics(painter.font())
        pill = QRectF(area.left() + 4, area.bottom() - metrics.height() - 5, metrics.horizontalAdvance(text) + 10, 0)
        pill.setHeight(metrics.height() + 2)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(10, 12, 16, 205))
        painter.drawRoundedRect(pill, 4, 4)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QColor("#ffffff"))
        painter.drawText(pill, int(Qt.AlignmentFlag.AlignCenter), text)

    def _paint_caption(self, painter: QPainter, rect: QRect, hit: HitItem) -> None:
        look = theme.current()
        line = QRect(rect.left() + 5, rect.bottom() - CAPTION_HEIGHT + 1, rect.width() - 10, CAPTION_HEIGHT - 2)
        text = shown(hit.phrase or hit.image.name)
        mode = Qt.TextElideMode.ElideRight if hit.phrase else Qt.TextElideMode.ElideMiddle
        painter.setPen(QColor(look.text if hit.phrase else look.muted))
        painter.drawText(
            line,
            int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft),
            QFontMetrics(painter.font()).elidedText(text, mode, line.width()),
        )


def _paint_box(painter: QPainter, area: QRectF, hit: HitItem) -> None:
    """The box, light within dark, so that it is seen on any picture; dashed when nobody has annotated it."""
    x0, y0, x1, y1 = inside(hit.box, hit.view)
    box = QRectF(
        area.left() + x0 * area.width(),
        area.top() + y0 * area.height(),
        (x1 - x0) * area.width(),
        (y1 - y0) * area.height(),
    ).adjusted(1, 1, -1, -1)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(8, 12, 20, 190), 4))
    painter.drawRect(box)
    pen = QPen(QColor("#6ea8fe"), 2)
    if hit.region_id is None:
        pen.setDashPattern([3, 2])
    painter.setPen(pen)
    painter.drawRect(box)


def _small_font() -> QFont:
    font = QFont(QApplication.font())
    font.setPointSizeF(max(7.5, font.pointSizeF() - 1.25))
    return font
