"""How the process ends: in order on a signal, and never silently on an error that nobody expected."""

import logging
import signal
import socket
from collections.abc import Callable
from types import TracebackType

from PySide6.QtCore import QObject, QSocketNotifier, Qt
from PySide6.QtWidgets import QMessageBox, QWidget

_log = logging.getLogger(__name__)


def on_signals(close: Callable[[], object], parent: QObject) -> Callable[[], None]:
    """Call ``close`` on SIGTERM and Ctrl+C, from the event loop; returns what takes this back."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    reading.setblocking(False)
    old = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    notifier = QSocketNotifier(reading.fileno(), QSocketNotifier.Type.Read, parent)
    notifier.activated.connect(lambda *_: (reading.recv(64), close()))

    def end() -> None:
        notifier.setEnabled(False)
        signal.set_wakeup_fd(old)
        reading.close()
        writing.close()

    return end


def deliver(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The application's last handler: log what nobody expected, and say so."""
    _log.critical("an error that nobody expected", exc_info=(kind, error, trace))
    box = QMessageBox(QMessageBox.Icon.Warning, "LocStudio", "")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(f"Something went wrong that should not: {error}")
    box.setInformativeText("Your work is saved. The details are in the log.")
    box.exec()


def wants_to_lose(window: QWidget, num_unsaved: int) -> bool:
    """Ask before edits are lost that the disk has refused."""
    box = QMessageBox(QMessageBox.Icon.Warning, "LocStudio", "", parent=window)
    box.setTextFormat(Qt.TextFormat.PlainText)
    edits = "One edit is" if num_unsaved == 1 else f"{num_unsaved} edits are"
    box.setText(f"{edits} not saved, because the disk refused. Make room and try again, or close and lose them.")
    box.addButton("Stay", QMessageBox.ButtonRole.RejectRole)
    lose = box.addButton("Close anyway", QMessageBox.ButtonRole.DestructiveRole)
    box.exec()
    return box.clickedButton() is lose
