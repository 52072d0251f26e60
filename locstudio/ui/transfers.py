"""Files in and out: folders of images, COCO files.  Asks where, works in the background, shows the report."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QInputDialog,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from locstudio.domain.text import shown
from locstudio.services.collection import AddReport, add_folder, refresh
from locstudio.services.exporting import export_annotations
from locstudio.services.importing import import_annotations
from locstudio.store.dataset import Dataset
from locstudio.ui.background import DatasetWorker


class Transfers(QObject):
    """One transfer at a time.

    Signals:
        progressed: what is going on, and how far it is (a negative share: nobody knows).
        ended: the transfer is over; ``True`` when the collection has changed.
        said: a sentence.
    """

    progressed = Signal(str, float)
    ended = Signal(bool)
    said = Signal(str)

    def __init__(self, dataset: Dataset, work: DatasetWorker, window: QWidget, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._work = work
        self._window = window
        self._is_running = False
        self._is_cancelled = False

    @property
    def is_running(self) -> bool:
        """Whether a transfer goes on."""
        return self._is_running

    def cancel(self) -> None:
        """Stop the transfer that goes on; what it has done stays."""
        self._is_cancelled = True

    def ask_folder(self) -> None:
        """Ask for a folder of images and take it in."""
        folder = QFileDialog.getExistingDirectory(self._window, "Add a folder of images")
        if folder:
            self.add_folder(Path(folder))

    def add_folder(self, folder: Path) -> None:
        """Take a folder of images in."""
        self._run("Looking at images", lambda tell: add_folder(self._dataset, folder, progress=tell, cancel=self._stop))

    def look_again(self) -> None:
        """Look at every image file again: missing, replaced, back, or under another name."""
        self._run("Looking at image files", lambda tell: refresh(self._dataset, progress=tell, cancel=self._stop))

    def ask_relink(self) -> None:
        """Ask where a folder of images is now: of those that are not where they were, else of all."""
        roots = {str(root.path): root.id for root in self._dataset.roots()}
        gone = [path for path in roots if not Path(path).is_dir()] or list(roots)
        path = gone[0]
        if len(gone) > 1:
            path, is_chosen = QInputDialog.getItem(
                self._window, "Relink image folder", "Which folder has moved?", gone, 0, False
            )
            if not is_chosen:
                return
        folder = QFileDialog.getExistingDirectory(self._window, f"Where is {shown(path)} now?")
        if folder:
            self.relink(roots[path], Path(folder))

    def relink(self, root_id: int, folder: Path) -> None:
        """Take a folder of images from its new place, and look at its files."""

        def work(tell: Callable[[int, int], None]) -> object:
            self._dataset.relink_root(root_id, folder)
            return refresh(self._dataset, progress=tell, cancel=self._stop)

        self._run("Looking at image files", work)

    def ask_import(self) -> None:
        """Ask for a COCO file and for the folder of its images, and import it."""
        file, _ = QFileDialog.getOpenFileName(self._window, "Import a COCO file", "", "COCO files (*.json)")
        if not file:
            return
        start = str(Path(file).parent)
        folder = QFileDialog.getExistingDirectory(self._window, "Folder of the images that it names", start)
        if folder:
            self.import_file(Path(file), Path(folder))

    def import_file(self, file: Path, images: Path) -> None:
        """Import a COCO file whose images lie in a folder."""
        self._run(
            "Importing",
            lambda tell: import_annotations(
                self._dataset, file, images, format="coco", progress=tell, cancel=self._stop
            ),
        )

    def ask_export(self) -> None:
        """Ask for a name and export to it."""
        file, _ = QFileDialog.getSaveFileName(self._window, "Export as COCO", "regions.json", "COCO files (*.json)")
        if file:
            self.export_file(Path(file))

    def export_file(self, file: Path) -> None:
        """Export to a new file."""
        self._run(
            "Exporting",
            lambda tell: export_annotations(self._dataset, file, format="coco", progress=tell, cancel=self._stop),
            False,
        )

    def _stop(self) -> bool:
        return self._is_cancelled

    def _run(self, name: str, transfer: Callable[[Callable[[int, int], None]], object], changes: bool = True) -> None:
        if self._is_running:
            self.said.emit("One transfer at a time: wait for this one, or cancel it.")
            return
        self._is_running, self._is_cancelled = True, False

        def tell(done: int, total: int) -> None:
            """On the worker; a signal crosses to the window's thread."""
            self.progressed.emit(name if total else f"{name}: {done:,}", done / total if total else -1.0)

        self.progressed.emit(name, -1.0)
        self._work.ask(
            transfer,
            tell,
            on_result=lambda report: self._on_done(report, changes),
            on_error=lambda error: self._on_error(error, changes),
        )

    def _on_done(self, report: object, changes: bool) -> None:
        self._is_running = False
        self.ended.emit(changes)
        text = report.to_text() if hasattr(report, "to_text") else "Cancelled."
        if isinstance(report, AddReport) and not report.flagged and not report.skipped:
            self.said.emit(text)
        else:
            show_report(self._window, text)

    def _on_error(self, error: Exception, changes: bool) -> None:
        self._is_running = False
        self.ended.emit(changes)
        show_report(self._window, str(error))


def show_report(window: QWidget, text: str) -> None:
    """Show a text that may be long, literally."""
    dialog = QDialog(window)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle("Report")
    field = QPlainTextEdit(text, dialog)
    field.setReadOnly(True)
    field.setAccessibleName("Report")
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, dialog)
    buttons.button(QDialogButtonBox.StandardButton.Close).setIcon(QIcon())
    buttons.rejected.connect(dialog.reject)
    column = QVBoxLayout(dialog)
    column.addWidget(field)
    column.addWidget(buttons)
    dialog.resize(640, 420)
    dialog.open()
