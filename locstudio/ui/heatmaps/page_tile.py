"""How one class of one image looks as a tile: the picture, its heat over it, where that is, and what is said of it."""

from collections import OrderedDict
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from locstudio.domain.regions import Review
from locstudio.services.heat.known import NEGATIVE, POSITIVE, UNKNOWN
from locstudio.ui import theme
from locstudio.ui.curation.crop_tile import paint_badge, paint_pill, small_font
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.heatmaps.page_cells import WHOLE, Cell
from locstudio.ui.heatmaps.page_model import TILE_ROLE, HeatTile
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import shown
from locstudio.ui.search.context import inside

CAPTION_HEIGHT = 22

_INSET = 3
_DIMMED = 0.42
_MAX_TILES = 400
_BADGE = 18
_SIGN = 12
REVIEWS = {POSITIVE: Review.ACCEPTED, NEGATIVE: Review.REJECTED, UNKNOWN: Review.PENDING}
_EDGE = QColor(8, 12, 20, 190)
_NO_COLOR = "#6ea8fe"
_TileKey = tuple[int, int, str, bool, int, int, float, float]


@dataclass(slots=True)
class HeatInk:
    """How strong heat is on tiles and in the pane: ``opacity`` in [0, 1], and whether it is shown at all."""

    opacity: float = 0.7
    is_on: bool = True

    @property
    def strength(self) -> float:
        """0 where heat is off."""
        return self.opacity if self.is_on else 0.0


class Photos:
    """Pictures below heat: whole images as the collection has them, parts of images cut for the page."""

    def __init__(self, whole: PictureLoader, parts: PictureLoader) -> None:
        self._whole = whole
        self._parts = parts
        self.loaders = (whole, parts)

    def of(self, cell: Cell) -> PictureLoader:
        """What loads the picture of a tile."""
        return self._whole if cell.view == WHOLE else self._parts

    def picture(self, cell: Cell) -> QPixmap | None:
        """The picture of a tile if it is there; else it is on its way."""
        return self.of(cell).picture(cell.picture_key)


class HeatDelegate(QStyledItemDelegate):
    """Paints the tiles of a ``HeatModel``; of what something was said since the rows were set is dimmed."""

    def __init__(self, photos: Photos, ink: HeatInk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._photos = photos
        self._ink = ink
        self._tiles: OrderedDict[_TileKey, QPixmap] = OrderedDict()
        self._stale = drawn.pixmap("warning", 2 * _SIGN, "#ffd479")

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        rect: QRect = option.rect
        tile: HeatTile = index.data(TILE_ROLE)
        is_current = bool(option.state & QStyle.StateFlag.State_HasFocus)
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_chosen:
            painter.fillRect(rect, QColor(look.selection))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(look.raised))
        area = QRect(rect.left(), rect.top(), rect.width(), rect.width()).adjusted(_INSET, _INSET, -_INSET, -_INSET)
        painter.fillRect(area, QColor(look.raised if not is_chosen else look.canvas))
        painter.setOpacity(_DIMMED if tile.is_done and not is_current else 1.0)
        if tile.cell is not None:
            self._paint_picture(painter, area, tile, tile.cell)
        _paint_numbers(painter, area, tile)
        _paint_caption(painter, rect, tile)
        painter.setOpacity(1.0)
        paint_badge(
            painter, QPointF(area.right() - _BADGE / 2 - 3, area.top() + _BADGE / 2 + 4), REVIEWS[tile.presence]
        )
        if tile.cell is not None and tile.cell.is_stale:
            self._paint_stale(painter, area)
        if is_current:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(look.accent), 2))
            painter.drawRect(rect.adjusted(1, 1, -1, -1))

    def _paint_picture(self, painter: QPainter, area: QRect, tile: HeatTile, cell: Cell) -> None:
        target = target_of(area, cell)
        picture = self._photos.picture(cell)
        if picture is not None:
            ratio = painter.device().devicePixelRatioF()
            painter.drawPixmap(target.topLeft(), self._tile(picture, target.size(), ratio, tile, cell))
        elif self._photos.of(cell).failure(cell.picture_key):
            sign = drawn.pixmap("missing", 24, theme.current().muted)
            painter.drawPixmap(area.center().x() - 12, area.center().y() - 12, sign)

    def _tile(self, picture: QPixmap, size: QSize, ratio: float, tile: HeatTile, cell: Cell) -> QPixmap:
        """The picture scaled to the tile, heat and box on it; kept, since a scroll or a decision paints it again."""
        heat = cell.heat.cacheKey() if cell.heat is not None else 0
        is_dashed = tile.presence == UNKNOWN
        key = (picture.cacheKey(), heat, tile.color, is_dashed, size.width(), size.height(), ratio, self._ink.strength)
        made = self._tiles.get(key)
        if made is not None:
            self._tiles.move_to_end(key)
            return made
        made = picture.scaled(
            size * ratio, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        made.setDevicePixelRatio(ratio)
        painter = QPainter(made)
        paint_cell(painter, QRectF(QRect(QPoint(0, 0), size)), tile, cell, cell.heat, self._ink.strength)
        painter.end()
        self._tiles[key] = made
        if len(self._tiles) > _MAX_TILES:
            self._tiles.popitem(last=False)
        return made

    def _paint_stale(self, painter: QPainter, area: QRect) -> None:
        pill = QRectF(area.left() + 4, area.top() + 4, _BADGE, _BADGE)
        paint_pill(painter, pill)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        center = pill.center()
        sign = QRectF(center.x() - _SIGN / 2, center.y() - _SIGN / 2, _SIGN, _SIGN)
        painter.drawPixmap(sign, self._stale, QRectF(self._stale.rect()))


def target_of(area: QRect, cell: Cell) -> QRect:
    """Where the view of a cell lies in an area, as large as it fits."""
    width = (cell.view.x1 - cell.view.x0) * cell.size[0]
    height = (cell.view.y1 - cell.view.y0) * cell.size[1]
    scale = min(area.width() / width, area.height() / height)
    target = QRect(0, 0, max(1, round(width * scale)), max(1, round(height * scale)))
    target.moveCenter(area.center())
    return target


def paint_cell(
    painter: QPainter,
    area: QRectF,
    tile: HeatTile,
    cell: Cell,
    heat: QPixmap | None,
    strength: float,
    *,
    width: float = 2,
) -> None:
    """Heat over the picture that is in the area, and the box around where it is, dashed as long as nothing is said."""
    if heat is not None and strength > 0:
        side, view = heat.width(), cell.view
        source = QRectF(
            view.x0 * side, view.y0 * side, max(1e-3, view.x1 - view.x0) * side, max(1e-3, view.y1 - view.y0) * side
        )
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        opacity = painter.opacity()
        painter.setOpacity(opacity * strength)
        painter.drawPixmap(area, heat, source)
        painter.setOpacity(opacity)
    if cell.box is None:
        return
    x0, y0, x1, y1 = inside(cell.box, cell.view)
    box = QRectF(
        area.left() + x0 * area.width(),
        area.top() + y0 * area.height(),
        (x1 - x0) * area.width(),
        (y1 - y0) * area.height(),
    ).adjusted(1, 1, -1, -1)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(_EDGE, width + 2))
    painter.drawRect(box)
    pen = QPen(QColor(tile.color or _NO_COLOR), width)
    if tile.presence == UNKNOWN:
        pen.setDashPattern([3, 2])
    painter.setPen(pen)
    painter.drawRect(box)


def _paint_numbers(painter: QPainter, area: QRect, tile: HeatTile) -> None:
    """The score at the left; at the right how far the heat holds still, or else how far it contradicts."""
    _paint_number(painter, area, f"{tile.score:.2f}", is_left=True)
    if tile.agreement is not None:
        _paint_number(painter, area, f"{tile.agreement:.0%}", is_left=False)
    elif tile.inconsistency is not None:
        _paint_number(painter, area, f"≠ {tile.inconsistency:.2f}", is_left=False)


def _paint_number(painter: QPainter, area: QRect, text: str, *, is_left: bool) -> None:
    painter.setFont(small_font())
    metrics = QFontMetrics(painter.font())
    width = metrics.horizontalAdvance(text) + 10
    left = area.left() + 4 if is_left else area.right() - width - 3
    pill = QRectF(left, area.bottom() - metrics.height() - 5, width, metrics.height() + 2)
    paint_pill(painter, pill)
    painter.setPen(QColor("#ffffff"))
    painter.drawText(pill, int(Qt.AlignmentFlag.AlignCenter), text)


def _paint_caption(painter: QPainter, rect: QRect, tile: HeatTile) -> None:
    look = theme.current()
    line = QRect(rect.left() + 5, rect.bottom() - CAPTION_HEIGHT + 1, rect.width() - 10, CAPTION_HEIGHT - 2)
    if tile.color:
        painter.fillRect(QRect(line.left(), line.center().y() - 5, 3, 11), QColor(tile.color))
        line.setLeft(line.left() + 8)
    painter.setFont(QApplication.font())
    painter.setPen(QColor(look.text))
    metrics = QFontMetrics(painter.font())
    words = metrics.elidedText(shown(tile.name), Qt.TextElideMode.ElideMiddle, line.width())
    painter.drawText(line, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), words)
