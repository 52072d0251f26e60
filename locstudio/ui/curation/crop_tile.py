"""How one item looks as a tile: the image around its box, the box, what it is said to be, and what was decided."""

from collections import OrderedDict

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from locstudio.domain.regions import Origin, Review
from locstudio.ui import theme
from locstudio.ui.curation.crop_model import CROP_ROLE, Crop
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import shown
from locstudio.ui.search.context import inside

CAPTION_HEIGHT = 22
ORIGIN_SIGNS = {Origin.HUMAN: "person", Origin.IMPORTED: "import", Origin.MODEL: "machine", Origin.EDITED: "pencil"}
"""Who made an item first, as a sign that is read without colour."""

_INSET = 3
_DIMMED = 0.42
_MAX_TILES = 400
_BADGE = 18
_SIGN = 12
_DARK = QColor(10, 12, 16, 205)
_TileKey = tuple[int, tuple[float, float, float, float], tuple[str, bool], int, int, float]


class CropDelegate(QStyledItemDelegate):
    """Paints the tiles of a ``CropModel``; what was decided since the view was made is dimmed."""

    def __init__(self, crops: PictureLoader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._crops = crops
        self._tiles: OrderedDict[_TileKey, QPixmap] = OrderedDict()
        self._signs = {origin: drawn.pixmap(name, 2 * _SIGN, "#ffffff") for origin, name in ORIGIN_SIGNS.items()}
        self._pin = drawn.pixmap("pin", 24, "#ffffff")
        self.pinned = ""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        rect: QRect = option.rect
        crop: Crop = index.data(CROP_ROLE)
        is_current = bool(option.state & QStyle.StateFlag.State_HasFocus)
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_chosen:
            painter.fillRect(rect, QColor(look.selection))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(look.raised))
        area = QRect(rect.left(), rect.top(), rect.width(), rect.width()).adjusted(_INSET, _INSET, -_INSET, -_INSET)
        painter.fillRect(area, QColor(look.raised if not is_chosen else look.canvas))
        painter.setOpacity(_DIMMED if crop.is_done and not is_current else 1.0)
        self._paint_picture(painter, area, crop)
        _paint_words(painter, area, "" if crop.item.score is None else f"{crop.item.score:.2f}")
        _paint_words(painter, area, crop.routing, is_above=crop.item.score is not None)
        _paint_sign(painter, area, self._signs[crop.item.origin])
        _paint_caption(painter, rect, crop)
        painter.setOpacity(1.0)
        paint_badge(painter, QPointF(area.right() - _BADGE / 2 - 3, area.top() + _BADGE / 2 + 4), crop.review)
        if self.pinned and crop.item.key == self.pinned:
            _paint_pinned(painter, area, self._pin)
        if is_current:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(look.accent), 2))
            painter.drawRect(rect.adjusted(1, 1, -1, -1))

    def _paint_picture(self, painter: QPainter, area: QRect, crop: Crop) -> None:
        target = target_of(area, crop)
        picture = self._crops.picture(crop.crop_key)
        if picture is not None:
            ratio = painter.device().devicePixelRatioF()
            painter.drawPixmap(target.topLeft(), self._tile(picture, target.size(), ratio, crop))
            return
        if self._crops.failure(crop.crop_key):
            sign = drawn.pixmap("missing", 24, theme.current().muted)
            painter.drawPixmap(area.center().x() - 12, area.center().y() - 12, sign)
        paint_box(painter, QRectF(target), crop)

    def _tile(self, picture: QPixmap, size: QSize, ratio: float, crop: Crop) -> QPixmap:
        """The crop scaled to the tile, with its box; kept, since a scroll or a decision paints the same tiles again."""
        look = (crop.color, crop.review is Review.PENDING)
        key = (picture.cacheKey(), crop.item.box.as_tuple(), look, size.width(), size.height(), ratio)
        tile = self._tiles.get(key)
        if tile is None:
            tile = picture.scaled(
                size * ratio, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
            tile.setDevicePixelRatio(ratio)
            painter = QPainter(tile)
            paint_box(painter, QRectF(QRect(QPoint(0, 0), size)), crop)
            painter.end()
            self._tiles[key] = tile
            if len(self._tiles) > _MAX_TILES:
                self._tiles.popitem(last=False)
        else:
            self._tiles.move_to_end(key)
        return tile


def target_of(area: QRect, crop: Crop) -> QRect:
    """Where the view of an item lies in an area, as large as it fits."""
    width = (crop.view.x1 - crop.view.x0) * crop.size[0]
    height = (crop.view.y1 - crop.view.y0) * crop.size[1]
    scale = min(area.width() / width, area.height() / height)
    target = QRect(0, 0, max(1, round(width * scale)), max(1, round(height * scale)))
    target.moveCenter(area.center())
    return target


def paint_box(painter: QPainter, area: QRectF, crop: Crop, *, width: float = 2) -> None:
    """The box in the colour of its class, within dark so that it is seen on any picture.

    It is dashed as long as nobody has decided it: the stroke that a pending region has on the canvas.
    """
    x0, y0, x1, y1 = inside(crop.item.box, crop.view)
    box = QRectF(
        area.left() + x0 * area.width(),
        area.top() + y0 * area.height(),
        (x1 - x0) * area.width(),
        (y1 - y0) * area.height(),
    ).adjusted(1, 1, -1, -1)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(8, 12, 20, 190), width + 2))
    painter.drawRect(box)
    pen = QPen(QColor(crop.color or "#6ea8fe"), width)
    if crop.review is Review.PENDING:
        pen.setDashPattern([3, 2])
    painter.setPen(pen)
    painter.drawRect(box)


def paint_badge(painter: QPainter, center: QPointF, review: Review) -> None:
    """A tick on green or a cross on red; nothing where nothing was decided."""
    if review is Review.PENDING:
        return
    is_accepted = review is Review.ACCEPTED
    _paint_disc(painter, center, QColor("#1f8a4c" if is_accepted else "#c5392f"))
    x, y = center.x(), center.y()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    pen = QPen(QColor("#ffffff"), 2)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    painter.setPen(pen)
    if is_accepted:
        painter.drawPolyline([QPointF(x - 4, y + 0.3), QPointF(x - 1.2, y + 3.2), QPointF(x + 4, y - 3)])
    else:
        painter.drawLine(QPointF(x - 3, y - 3), QPointF(x + 3, y + 3))
        painter.drawLine(QPointF(x + 3, y - 3), QPointF(x - 3, y + 3))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _paint_disc(painter: QPainter, center: QPointF, color: QColor) -> None:
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setPen(QPen(QColor(255, 255, 255, 230), 1.2))
    painter.setBrush(color)
    painter.drawEllipse(center, _BADGE / 2, _BADGE / 2)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _paint_words(painter: QPainter, area: QRect, text: str, *, is_above: bool = False) -> None:
    """White on dark in the lower left corner, or above what stands there."""
    if not text:
        return
    painter.setFont(small_font())
    metrics = QFontMetrics(painter.font())
    bottom = area.bottom() - metrics.height() - 5 - (metrics.height() + 4 if is_above else 0)
    pill = QRectF(area.left() + 4, bottom, metrics.horizontalAdvance(text) + 10, metrics.height() + 2)
    paint_pill(painter, pill)
    painter.setPen(QColor("#ffffff"))
    painter.drawText(pill, int(Qt.AlignmentFlag.AlignCenter), text)


def _paint_sign(painter: QPainter, area: QRect, sign: QPixmap) -> None:
    """Who made it: a person, a file, a machine, or a pencil for what a person has changed since."""
    side = QFontMetrics(small_font()).height() + 2
    pill = QRectF(area.right() - side - 3, area.bottom() - side - 3, side, side)
    paint_pill(painter, pill)
    _draw_sign(painter, pill.center(), sign)


def _paint_pinned(painter: QPainter, area: QRect, sign: QPixmap) -> None:
    """The item that the others are compared with."""
    center = QPointF(area.left() + _BADGE / 2 + 4, area.top() + _BADGE / 2 + 4)
    _paint_disc(painter, center, QColor("#1f5fc9"))
    _draw_sign(painter, center, sign)


def _draw_sign(painter: QPainter, center: QPointF, sign: QPixmap) -> None:
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
    target = QRectF(center.x() - _SIGN / 2, center.y() - _SIGN / 2, _SIGN, _SIGN)
    painter.drawPixmap(target, sign, QRectF(sign.rect()))


def paint_pill(painter: QPainter, pill: QRectF) -> None:
    """Dark behind white words, so that they are read on any picture."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_DARK)
    painter.drawRoundedRect(pill, 4, 4)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _paint_caption(painter: QPainter, rect: QRect, crop: Crop) -> None:
    look = theme.current()
    line = QRect(rect.left() + 5, rect.bottom() - CAPTION_HEIGHT + 1, rect.width() - 10, CAPTION_HEIGHT - 2)
    if crop.color:
        painter.fillRect(QRect(line.left(), line.center().y() - 5, 3, 11), QColor(crop.color))
        line.setLeft(line.left() + 8)
    words = shown(crop.words) or "nothing said"
    painter.setFont(QApplication.font())
    painter.setPen(QColor(look.text if crop.item.phrase else look.muted))
    painter.drawText(
        line,
        int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft),
        QFontMetrics(painter.font()).elidedText(words, Qt.TextElideMode.ElideRight, line.width()),
    )


def small_font() -> QFont:
    """For what stands on a picture."""
    font = QFont(QApplication.font())
    font.setPointSizeF(max(7.5, font.pointSizeF() - 1.25))
    return font
