"""PySide6 6.12.0 on Python <= 3.11 loses a reference to None in most void calls and aborts in the end."""

import sys

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QImage, QPainter

NUM_CALLS = 400


class _Sender(QObject):
    happened = Signal(bool)


def test_that_void_calls_keep_the_references_to_none(qapp):
    image = QImage(8, 8, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    before = sys.getrefcount(None)
    for _ in range(NUM_CALLS):
        painter.setPen(QColor("red"))
        painter.drawRect(1, 1, 2, 2)
        painter.fillRect(0, 0, 8, 8, QColor("blue"))
    lost = before - sys.getrefcount(None)
    painter.end()
    assert abs(lost) < NUM_CALLS / 4


def test_that_emitted_booleans_keep_their_references(qapp):
    sender, seen = _Sender(), []
    sender.happened.connect(seen.append)
    before = sys.getrefcount(True)
    for _ in range(NUM_CALLS):
        sender.happened.emit(True)
    lost = before - sys.getrefcount(True) + len(seen)  # the list holds one reference each
    assert abs(lost) < NUM_CALLS / 4
