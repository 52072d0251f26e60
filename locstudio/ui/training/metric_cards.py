"""Metrics as cards: large numbers, what they are, and how far they are from another evaluation's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QApplication, QSizePolicy, QToolTip, QWidget

from locstudio.ui import theme
from locstudio.ui.flow_layout import FlowLayout

_CELL = 100
_TITLE = 20
_HEIGHT = 70


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of an evaluation: name of the program, words for a person, and what it means in a sentence."""

    key: str
    words: str
    meaning: str


GROUPS: tuple[tuple[str, tuple[Metric, ...]], ...] = (
    (
        "Naming regions",
        (
            Metric("top1", "right", "Share of regions whose class comes first among all classes (top-1)."),
            Metric("top5", "in first five", "Share of regions whose class is among the first five (top-5)."),
            Metric("macc", "mean of classes", "Named right, as a mean over classes: rare ones count as much (mAcc)."),
        ),
    ),
    (
        "Classes of images",
        (Metric("map", "mean precision", "Average precision of the classes of images, as a mean over them (mAP)."),),
    ),
    (
        "Naming images",
        (
            Metric("image_top1", "right", "Share of images whose likeliest class they show (top-1)."),
            Metric("image_top5", "in first five", "Share of images with one of their classes among the first five."),
            Metric("superclass_top1", "superclass", "Share of images whose likeliest class is of their superclass."),
            Metric("router_accuracy", "right expert", "Share of images that went to the expert of their superclass."),
        ),
    ),
    (
        "Finding the box of a phrase",
        (
            Metric("hit50", "found", "Share of phrases whose found box overlaps a true one by at least half."),
            Metric("mean_iou", "mean overlap", "Mean overlap of the found box with the true one (IoU)."),
        ),
    ),
    (
        "Proposing boxes",
        (
            Metric(
                "recall_24", "found by 24", "Share of boxes that one of 24 proposals of its image overlaps by half."
            ),
            Metric("recall_100", "found by 100", "Share of boxes that one of 100 proposals overlaps by half."),
            Metric("ar100", "fit of 100", "The same, as a mean over overlaps from 0.5 to 0.95 (AR@100)."),
            Metric("ap50", "by class name", "Average precision of boxes found by class names, mean of classes (AP50)."),
        ),
    ),
    (
        "Searching: among the first ten",
        (
            Metric("r2t_r10", "region→phrase", "Regions whose own phrase is among the first ten (recall@10)."),
            Metric("t2r_r10", "phrase→region", "Phrases with a right region among the first ten (recall@10)."),
            Metric("i2t_r10", "image→caption", "Images with an own caption among the first ten (recall@10)."),
            Metric("t2i_r10", "caption→image", "Captions whose image is among the first ten (recall@10)."),
        ),
    ),
)
"""The metrics that are shown, in this order, where an evaluation has them."""


class MetricCards(QWidget):
    """One card for each task, side by side as far as there is room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        flow = FlowLayout(self, spacing=8)
        self._cards = [_Card(title, metrics, self) for title, metrics in GROUPS]
        for card in self._cards:
            flow.addWidget(card)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def set_metrics(self, values: Mapping[str, float], older: Mapping[str, float], older_name: str = "") -> None:
        """Show what was measured, and the difference to ``older`` where both have a metric."""
        for card in self._cards:
            card.set_values(values, older, older_name)
        self.updateGeometry()

    @property
    def sentences(self) -> Sequence[str]:
        """The cards in words."""
        return [sentence for card in self._cards for sentence in card.sentences]


class _Card(QWidget):
    def __init__(self, title: str, metrics: Sequence[Metric], parent: QWidget) -> None:
        super().__init__(parent)
        self._title, self._metrics = title, tuple(metrics)
        self._shown: list[tuple[Metric, float, float | None]] = []
        self.sentences: list[str] = []
        self.hide()

    def set_values(self, values: Mapping[str, float], older: Mapping[str, float], older_name: str) -> None:
        self._shown = [(m, values[m.key], older.get(m.key)) for m in self._metrics if m.key in values]
        self.sentences = []
        for metric, value, before in self._shown:
            words = f"{self._title}, {metric.words}: {_percent(value)}"
            self.sentences.append(
                words if before is None else f"{words}, {_points(value - before)} against {older_name}"
            )
        self.setAccessibleName("; ".join(self.sentences))
        self.setVisible(bool(self._shown))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        title = self.fontMetrics().horizontalAdvance(self._title) + 20
        return QSize(max(title, _CELL * len(self._shown) + 12), _HEIGHT)

    def _cell(self, number: int) -> QRect:
        return QRect(10 + number * _CELL, _TITLE, _CELL - 6, _HEIGHT - _TITLE - 6)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            for number, (metric, _, _) in enumerate(self._shown):
                if self._cell(number).contains(event.pos()):
                    QToolTip.showText(event.globalPos(), f"{self.sentences[number]}.\n{metric.meaning}", self)
                    return True
            QToolTip.hideText()
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(look.border), 1))
        painter.setBrush(QColor(look.raised))
        painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), theme.RADIUS, theme.RADIUS)
        small, large = QFont(QApplication.font()), QFont(QApplication.font())
        small.setPointSizeF(max(7.5, small.pointSizeF() - 1.25))
        large.setPointSizeF(large.pointSizeF() * 1.35)
        large.setWeight(QFont.Weight.DemiBold)
        painter.setFont(small)
        painter.setPen(QColor(look.muted))
        painter.drawText(self.rect().adjusted(10, 5, -8, 0), int(Qt.AlignmentFlag.AlignLeft), self._title)
        for number, (metric, value, before) in enumerate(self._shown):
            cell = self._cell(number)
            painter.setFont(large)
            painter.setPen(QColor(look.text))
            text = f"{100 * value:.1f}"
            painter.drawText(cell, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop), text)
            shift = painter.fontMetrics().horizontalAdvance(text) + 5
            painter.setFont(small)
            if before is not None:
                painter.setPen(QColor(_ink(value - before)))
                painter.drawText(
                    cell.adjusted(shift, 5, 6, 0), int(Qt.AlignmentFlag.AlignLeft), _points(value - before)
                )
            painter.setPen(QColor(look.muted))
            painter.drawText(cell, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom), metric.words)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(difference: float) -> str:
    """A difference of two shares, in a sign that needs no colour."""
    points = round(100 * difference, 1)
    if points == 0:
        return "="
    return f"▲{points:.1f}" if points > 0 else f"▼{-points:.1f}"


def _ink(difference: float) -> str:
    look = theme.current()
    if round(100 * difference, 1) == 0:
        return look.muted
    return look.success if difference > 0 else look.danger
