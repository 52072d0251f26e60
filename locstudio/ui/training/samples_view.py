"""What the model says of a few held-out regions, evaluation by evaluation: the crop, the truth, and its guesses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListView,
    QSlider,
    QStackedWidget,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.ui import theme
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label, shown, tip
from locstudio.ui.search.context import context_of, inside
from locstudio.ui.search.hits_model import CropKey

SAMPLE_ROLE = int(Qt.ItemDataRole.UserRole)
_HEIGHT = 132
_MIN_WIDTH = 300
_INSET = 5
_EMPTY = (
    "At every evaluation the model names a few regions that are held out. What it says then appears here.\n\n"
    "Nothing has been evaluated yet, or this project holds nothing out."
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One held-out region and what the model takes it for: names with their shares in [0, 1], best first."""

    image: Image
    region_id: int
    box: UnitBox
    truth: str
    guesses: tuple[tuple[str, float], ...]

    @property
    def is_right(self) -> bool:
        """Whether the best guess is the truth."""
        return bool(self.guesses) and self.guesses[0][0] == self.truth

    @property
    def view(self) -> UnitBox:
        """The part of the image on the card."""
        return context_of(self.box, max(self.image.width, 1), max(self.image.height, 1))

    @property
    def crop_key(self) -> CropKey:
        """What the picture of the card is kept under."""
        return self.image.id, self.view.as_tuple()

    def sentence(self) -> str:
        """The sample in words."""
        how = "right" if self.is_right else "wrong"
        said = ", ".join(f"“{name}” {score:.2f}" for name, score in self.guesses) or "nothing"
        return f"“{self.truth}” in {self.image.path}, named {how}: {said}"


@dataclass(frozen=True, slots=True)
class SampleSheet:
    """All samples of one evaluation."""

    step: int
    samples: tuple[Sample, ...]

    @property
    def num_right(self) -> int:
        """How many are named right."""
        return sum(sample.is_right for sample in self.samples)


class SamplesView(QWidget):
    """The samples of one evaluation, with a slider over evaluations.

    Signals:
        sample_wanted: a ``Sample`` to be opened in the collection.
    """

    sample_wanted = Signal(object)

    def __init__(self, crops: PictureLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sheets: tuple[SampleSheet, ...] = ()
        self._is_following = True
        self._model = _SamplesModel(self)
        self._cards = _Cards(self._model, crops, self)
        self._cards.activated.connect(self._on_activated)
        self._place = label("", "heading", self)
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setAccessibleName("Evaluation that is shown")
        self._slider.setMaximumWidth(320)
        self._slider.setPageStep(1)
        self._slider.valueChanged.connect(self._on_moved)
        self._earlier = self._arrow("previous", "Earlier evaluation", -1)
        self._later = self._arrow("next", "Later evaluation", 1)
        hint = label("Double click or Enter opens the image", "muted", self)
        row = QHBoxLayout()
        row.setContentsMargins(16, 8, 16, 8)
        row.setSpacing(8)
        for widget in (self._earlier, self._slider, self._later, self._place):
            row.addWidget(widget)
        row.addStretch()
        row.addWidget(hint)
        full = QWidget(self)
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(self._cards, 1)
        empty = label(_EMPTY, "muted", self)
        empty.setWordWrap(True)
        empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        empty.setContentsMargins(64, 32, 64, 96)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(empty)
        self._pages.addWidget(full)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._pages)

    def _arrow(self, icon: str, sentence: str, by: int) -> QToolButton:
        button = QToolButton(self)
        button.setAccessibleName(sentence)
        button.setToolTip(sentence)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        drawn.follow(button, icon)
        button.clicked.connect(lambda: self._slider.setValue(self._slider.value() + by))
        return button

    @property
    def text(self) -> str:
        """Which evaluation is shown and how many samples it names right."""
        return self._place.text()

    def set_sheets(self, sheets: Sequence[SampleSheet]) -> None:
        """Show the evaluations of a run; the newest one, unless a person has gone back to an earlier one."""
        sheets = tuple(sheets)
        if sheets == self._sheets:
            return
        is_same_run = bool(self._sheets) and sheets[: len(self._sheets)] == self._sheets
        at = self._slider.value() if is_same_run and not self._is_following else len(sheets) - 1
        self._sheets = sheets
        self._slider.blockSignals(True)
        self._slider.setRange(0, max(0, len(sheets) - 1))
        self._slider.setValue(at)
        self._slider.blockSignals(False)
        self._pages.setCurrentIndex(1 if sheets else 0)
        self._show()

    def _on_moved(self) -> None:
        self._is_following = self._slider.value() == self._slider.maximum()
        self._show()

    def _show(self) -> None:
        if not self._sheets:
            self._model.set_samples(())
            return
        at = self._slider.value()
        sheet = self._sheets[at]
        self._place.setText(f"Step {sheet.step:,}: {sheet.num_right} of {len(sheet.samples)} named right")
        self._earlier.setEnabled(at > 0)
        self._later.setEnabled(at < len(self._sheets) - 1)
        self._model.set_samples(sheet.samples)

    def _on_activated(self, index: QModelIndex) -> None:
        self.sample_wanted.emit(index.data(SAMPLE_ROLE))


class _SamplesModel(QAbstractListModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._samples: tuple[Sample, ...] = ()

    def set_samples(self, samples: tuple[Sample, ...]) -> None:
        if [s.region_id for s in samples] == [s.region_id for s in self._samples] and samples:
            self._samples = samples
            self.dataChanged.emit(self.index(0), self.index(len(samples) - 1))
            return
        self.beginResetModel()
        self._samples = samples
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._samples)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        sample = self._samples[index.row()]
        if role == SAMPLE_ROLE:
            return sample
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(sample.truth)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(sample.sentence())
        return shown(sample.sentence(), 400) if role == Qt.ItemDataRole.AccessibleTextRole else None


class _Cards(QListView):
    """Cards in as many columns as fit, each as wide as its share of the room."""

    def __init__(self, model: _SamplesModel, crops: PictureLoader, parent: QWidget) -> None:
        super().__init__(parent)
        self.setModel(model)
        self.setItemDelegate(_SampleDelegate(crops, self))
        self.setAccessibleName("Held-out regions and what the model says of them")
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setMouseTracking(True)
        crops.arrived.connect(self.viewport().update)
        theme.notifier.changed.connect(self.viewport().update)

    def resizeEvent(self, event: QResizeEvent) -> None:
        width = self.viewport().width() - 2 * self.verticalScrollBar().sizeHint().width() - 4
        num_columns = max(1, width // _MIN_WIDTH)
        self.setGridSize(QSize(width // num_columns, _HEIGHT))
        super().resizeEvent(event)


class _SampleDelegate(QStyledItemDelegate):
    def __init__(self, crops: PictureLoader, parent: _Cards) -> None:
        super().__init__(parent)
        self._crops = crops
        self._view = parent

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: ARG002
        return self._view.gridSize()

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        sample: Sample = index.data(SAMPLE_ROLE)
        rect = option.rect.adjusted(_INSET, _INSET, -_INSET, -_INSET)
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(look.accent if is_selected else look.border), 1))
        painter.setBrush(QColor(look.raised))
        painter.drawRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS, theme.RADIUS)
        side = rect.height() - 12
        picture = QRect(rect.left() + 6, rect.top() + 6, side, side)
        self._paint_picture(painter, picture, sample)
        text = QRect(picture.right() + 12, rect.top() + 8, rect.right() - picture.right() - 22, rect.height() - 16)
        self._paint_words(painter, text, sample, option.font)
        painter.restore()

    def _paint_picture(self, painter: QPainter, area: QRect, sample: Sample) -> None:
        look = theme.current()
        painter.fillRect(area, QColor(look.canvas))
        crop = self._crops.picture(sample.crop_key)
        if crop is None:
            if self._crops.failure(sample.crop_key):
                painter.drawPixmap(
                    area.center().x() - 12, area.center().y() - 12, drawn.pixmap("missing", 24, look.muted)
                )
            return
        size = crop.size().scaled(area.size(), Qt.AspectRatioMode.KeepAspectRatio)
        target = QRectF(0, 0, size.width(), size.height())
        target.moveCenter(QRectF(area).center())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(target, crop, QRectF(crop.rect()))
        x0, y0, x1, y1 = inside(sample.box, sample.view)
        box = QRectF(
            target.left() + x0 * target.width(),
            target.top() + y0 * target.height(),
            (x1 - x0) * target.width(),
            (y1 - y0) * target.height(),
        ).adjusted(1, 1, -1, -1)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for color, width in ((QColor(8, 12, 20, 190), 4), (QColor("#6ea8fe"), 2)):
            painter.setPen(QPen(color, width))
            painter.drawRect(box)

    def _paint_words(self, painter: QPainter, area: QRect, sample: Sample, font: QFont) -> None:
        look = theme.current()
        line = painter.fontMetrics().height()
        sign, color = ("check", look.success) if sample.is_right else ("close", look.danger)
        painter.drawPixmap(area.right() - 15, area.top(), drawn.pixmap(sign, 16, color))
        bold = QFont(font)
        bold.setWeight(QFont.Weight.DemiBold)
        painter.setFont(bold)
        painter.setPen(QColor(look.text))
        _fit(painter, QRect(area.left(), area.top(), area.width() - 20, line), sample.truth)
        painter.setFont(font)
        top = area.top() + line + 8
        for number, (name, score) in enumerate(sample.guesses[:3]):
            row = QRect(area.left(), top + number * (line + 8), area.width(), line + 4)
            self._paint_guess(painter, row, (name, score), is_truth=name == sample.truth)

    def _paint_guess(self, painter: QPainter, row: QRect, guess: tuple[str, float], *, is_truth: bool) -> None:
        look = theme.current()
        name, score = guess
        color = look.success if is_truth else look.muted
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.mixed(look.raised, color, 0.22)))
        painter.drawRoundedRect(
            QRectF(row.left(), row.top(), max(4.0, row.width() * min(max(score, 0.0), 1.0)), row.height()), 3, 3
        )
        value = f"{score:.2f}"
        room = painter.fontMetrics().horizontalAdvance(value) + 8
        painter.setPen(QColor(look.text))
        _fit(painter, row.adjusted(6, 0, -room, 0), name)
        painter.setPen(QColor(look.muted))
        painter.drawText(
            row.adjusted(0, 0, -4, 0), int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight), value
        )


def _fit(painter: QPainter, place: QRect, text: str) -> None:
    fitting = painter.fontMetrics().elidedText(shown(text), Qt.TextElideMode.ElideRight, place.width())
    painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), fitting)
