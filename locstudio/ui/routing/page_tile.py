"""How one image of an expert looks as a tile: the picture, how sure the router was, and what is known of its class."""

from collections import OrderedDict

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from locstudio.domain.regions import Review
from locstudio.ui import theme
from locstudio.ui.curation.crop_tile import paint_badge, paint_pill, small_font
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import shown
from locstudio.ui.routing.page_model import TILE_ROLE, ExpertTile

CAPTION_HEIGHT = 22

_INSET = 3
_DIMMED = 0.42
_BADGE = 18
_SIGN = 12
_MAX_TILES = 400
_UNNAMED = "not labelled"
_TileKey = tuple[int, int, int, float]


class ExpertDelegate(QStyledItemDelegate):
    """Paints the tiles of an ``ExpertModel``; what was mended since the rows were set is dimmed and ticked."""

    def __init__(self, thumbnails: PictureLoader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thumbnails = thumbnails
        self._tiles: OrderedDict[_TileKey, QPixmap] = OrderedDict()
        self._stale = drawn.pixmap("warning", 2 * _SIGN, "#ffd479")

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        rect: QRect = option.rect
        tile: ExpertTile = index.data(TILE_ROLE)
        is_current = bool(option.state & QStyle.StateFlag.State_HasFocus)
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_chosen:
            painter.fillRect(rect, QColor(look.selection))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(look.raised))
        area = QRect(rect.left(), rect.top(), rect.width(), rect.width()).adjusted(_INSET, _INSET, -_INSET, -_INSET)
        painter.fillRect(area, QColor(look.raised if not is_chosen else look.canvas))
        painter.setOpacity(_DIMMED if tile.is_done and not is_current else 1.0)
        self._paint_picture(painter, area, tile)
        _paint_words(painter, area, f"{tile.margin:.2f}", is_left=True)
        if words := _right_words(tile):
            _paint_words(painter, area, words, is_left=False)
        _paint_caption(painter, rect, tile)
        painter.setOpacity(1.0)
        if tile.is_done:
            center = QRectF(area.right() - _BADGE - 3, area.top() + 4, _BADGE, _BADGE).center()
            paint_badge(painter, center, Review.ACCEPTED)
        if tile.is_stale:
            self._paint_stale(painter, area)
        if is_current:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(look.accent), 2))
            painter.drawRect(rect.adjusted(1, 1, -1, -1))

    def _paint_picture(self, painter: QPainter, area: QRect, tile: ExpertTile) -> None:
        picture = self._thumbnails.picture(tile.image_id)
        if picture is not None:
            made = self._scaled(picture, area, painter.device().devicePixelRatioF())
            size = made.deviceIndependentSize()
            left = area.left() + (area.width() - size.width()) / 2
            top = area.top() + (area.height() - size.height()) / 2
            painter.drawPixmap(round(left), round(top), made)
        elif self._thumbnails.failure(tile.image_id):
            sign = drawn.pixmap("missing", 24, theme.current().muted)
            painter.drawPixmap(area.center().x() - 12, area.center().y() - 12, sign)

    def _scaled(self, picture: QPixmap, area: QRect, ratio: float) -> QPixmap:
        """The picture as large as it fits; kept, since a scroll paints it again."""
        key = (picture.cacheKey(), area.width(), area.height(), ratio)
        made = self._tiles.get(key)
        if made is not None:
            self._tiles.move_to_end(key)
            return made
        made = picture.scaled(
            area.size() * ratio, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        made.setDevicePixelRatio(ratio)
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


def _right_words(tile: ExpertTile) -> str:
    """What stands at the right: how it has moved, or the expert that its class belongs to where that is another."""
    if tile.note:
        return tile.note
    return f"home {tile.home.split(' ')[0]}" if tile.home else ""


def _paint_words(painter: QPainter, area: QRect, text: str, *, is_left: bool) -> None:
    painter.setFont(small_font())
    metrics = QFontMetrics(painter.font())
    width = metrics.horizontalAdvance(text) + 10
    left = area.left() + 4 if is_left else area.right() - width - 3
    pill = QRectF(left, area.bottom() - metrics.height() - 5, width, metrics.height() + 2)
    paint_pill(painter, pill)
    painter.setPen(QColor("#ffffff"))
    painter.drawText(pill, int(Qt.AlignmentFlag.AlignCenter), text)


def _paint_caption(painter: QPainter, rect: QRect, tile: ExpertTile) -> None:
    look = theme.current()
    line = QRect(rect.left() + 5, rect.bottom() - CAPTION_HEIGHT + 1, rect.width() - 10, CAPTION_HEIGHT - 2)
    if tile.color and tile.class_name:
        painter.fillRect(QRect(line.left(), line.center().y() - 5, 3, 11), QColor(tile.color))
        line.setLeft(line.left() + 8)
    painter.setFont(QApplication.font())
    painter.setPen(QColor(look.text if tile.class_name else look.muted))
    metrics = QFontMetrics(painter.font())
    guess = f"{shown(tile.predicted)} ?" if tile.predicted else _UNNAMED  # what the model takes it for
    words = metrics.elidedText(shown(tile.class_name) or guess, Qt.TextElideMode.ElideRight, line.width())
    painter.drawText(line, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), words)
