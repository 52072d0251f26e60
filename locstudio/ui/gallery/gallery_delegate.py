"""Paints one tile of the gallery: a picture, its name, its count of regions, and signs of its review."""

from collections import OrderedDict

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from locstudio.domain.regions import Problem
from locstudio.media.files import ImageProblem
from locstudio.ui import theme
from locstudio.ui.gallery.gallery_model import ITEM_ROLE, TOLD_ROLE, GalleryItem
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import shown

CAPTION_HEIGHT = 20
_MAX_SCALED = 600
_INSET = 4


class GalleryDelegate(QStyledItemDelegate):
    """Light on purpose: one picture, two short texts and at most one sign a tile."""

    def __init__(self, loader: PictureLoader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loader = loader
        self._scaled: OrderedDict[tuple[int, int], QPixmap] = OrderedDict()
        self._signs: dict[tuple[str, str], QPixmap] = {}

    def forget(self) -> None:
        """Drop the scaled pictures, as when the collection is another one."""
        self._scaled.clear()

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        rect: QRect = option.rect
        item: GalleryItem | None = index.data(ITEM_ROLE)
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_selected:
            painter.fillRect(rect, QColor(look.selection))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(look.raised))
        picture = QRect(rect.left(), rect.top(), rect.width(), rect.width()).adjusted(_INSET, _INSET, -_INSET, -_INSET)
        if item is None:
            painter.fillRect(picture, QColor(look.raised))
            return
        shown_area = self._paint_picture(painter, picture, item)
        self._paint_caption(painter, rect, item)
        self._paint_sign(painter, shown_area, item)
        self._paint_told(painter, shown_area, str(index.data(TOLD_ROLE) or ""))
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(QColor(look.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(rect.adjusted(1, 1, -1, -1))

    def _paint_picture(self, painter: QPainter, area: QRect, item: GalleryItem) -> QRect:
        """Paint the thumbnail, or why there is none; returns the part of the area that it covers."""
        look = theme.current()
        key = item.image.id
        ratio = painter.device().devicePixelRatioF()
        found = self._loader.picture(key)
        if found is None:
            failure = self._loader.failure(key)
            painter.fillRect(area, QColor(look.raised))
            problem = failure.problem if isinstance(failure, ImageProblem) else Problem.UNREADABLE
            if failure or item.image.problem in (Problem.MISSING, Problem.UNREADABLE, Problem.TOO_LARGE):
                self._paint_absence(painter, area, item.image.problem or problem)
            return area
        scaled = self._scaled_to(found, round(area.width() * ratio))
        scaled.setDevicePixelRatio(ratio)
        size = scaled.deviceIndependentSize()
        left = area.left() + (area.width() - size.width()) / 2
        top = area.top() + (area.height() - size.height()) / 2
        painter.drawPixmap(QPointF(left, top), scaled)
        return QRectF(left, top, size.width(), size.height()).toRect()

    def _scaled_to(self, picture: QPixmap, side: int) -> QPixmap:
        scaled_key = (side, picture.cacheKey())
        kept = self._scaled.get(scaled_key)
        if kept is None:
            kept = picture.scaled(
                side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
            self._scaled[scaled_key] = kept
            if len(self._scaled) > _MAX_SCALED:
                self._scaled.popitem(last=False)
        return kept

    def _paint_absence(self, painter: QPainter, area: QRect, word: str) -> None:
        look = theme.current()
        sign = self._sign("missing", look.muted, 24)
        painter.drawPixmap(area.center().x() - 12, area.center().y() - 20, sign)
        painter.setPen(QColor(look.muted))
        painter.drawText(area.adjusted(2, 20, -2, 0), int(Qt.AlignmentFlag.AlignCenter), word)

    def _paint_caption(self, painter: QPainter, rect: QRect, item: GalleryItem) -> None:
        look = theme.current()
        line = QRect(rect.left() + 6, rect.bottom() - CAPTION_HEIGHT, rect.width() - 12, CAPTION_HEIGHT - 2)
        font = QFont(QApplication.font())
        font.setPointSizeF(max(7.5, font.pointSizeF() - 1.25))
        painter.setFont(font)
        metrics = QFontMetrics(font)
        count = str(item.num_regions) if item.num_regions else ""
        count_width = metrics.horizontalAdvance(count) + 6 if count else 0
        name = metrics.elidedText(
            shown(item.image.name), Qt.TextElideMode.ElideMiddle, max(0, line.width() - count_width)
        )
        painter.setPen(QColor(look.text))
        painter.drawText(line, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), name)
        if count:
            painter.setPen(QColor(look.muted))
            painter.drawText(line, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight), count)

    def _paint_sign(self, painter: QPainter, area: QRect, item: GalleryItem) -> None:
        """One sign in the corner: a problem before verified before something to review; each its own shape."""
        look = theme.current()
        if item.image.problem:
            name, color = "warning", look.danger
        elif item.image.is_verified:
            name, color = "check", look.success
        elif item.num_pending:
            name, color = "eye", look.warning
        else:
            return
        disc = QRectF(area.right() - 19, area.top() + 3, 17, 17)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(look.window))
        painter.drawEllipse(disc)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.drawPixmap(disc.adjusted(2.5, 2.5, -2.5, -2.5), self._sign(name, color, 24), QRectF(0, 0, 24, 24))

    def _paint_told(self, painter: QPainter, area: QRect, text: str) -> None:
        """What is said of it where the gallery is sorted or filtered by that: white on dark, on any picture."""
        if not text:
            return
        font = QFont(QApplication.font())
        font.setPointSizeF(max(7.5, font.pointSizeF() - 1.25))
        painter.setFont(font)
        metrics = QFontMetrics(font)
        width, height = metrics.horizontalAdvance(text) + 10, metrics.height() + 2
        pill = QRectF(area.left() + 3, area.bottom() - height - 2, min(width, area.width() - 6), height)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(10, 12, 16, 205))
        painter.drawRoundedRect(pill, 4, 4)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QColor("#ffffff"))
        painter.drawText(pill, int(Qt.AlignmentFlag.AlignCenter), text)

    def _sign(self, name: str, color: str, side: int) -> QPixmap:
        key = (name, color)
        if key not in self._signs:
            self._signs[key] = drawn.pixmap(name, side, color)
        return self._signs[key]
