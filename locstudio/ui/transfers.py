"""Files in and out: folders of images, annotations.  Asks where, works in the background, shows the report."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

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
from locstudio.store.dataset import Dataset
from locstudio.store.project import DATASET_NAME
from locstudio.ui.background import DatasetWorker

if TYPE_CHECKING:
    from locstudio.ui.export_sheet import ExportChoice
    from locstudio.ui.import_sheet import ImportChoice


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

    def ask_import(self, path: Path | None = None) -> None:
        """Ask what to import, and how; ``path`` is what the person has named already."""
        from locstudio.ui.import_sheet import ImportSheet  # the formats take time to load, and few sessions need them

        sheet = ImportSheet(path, self._window)
        sheet.start_wanted.connect(self.import_from)
        sheet.open()

    def take_dropped(self, path: Path, otherwise: Callable[[Path], None]) -> None:
        """Ask how to import what was dropped on the window; a project or a folder of images is for ``otherwise``."""
        self._work.ask(
            _is_for_import,
            path,
            on_result=lambda is_ours: self.ask_import(path) if is_ours else otherwise(path),
            on_error=lambda error: self.said.emit(str(error)),
        )

    def import_from(self, choice: "ImportChoice") -> None:
        """Import what was chosen."""
        options = choice.options

        def work(tell: Callable[[int, int], None]) -> object:
            from locstudio.services.importing import import_annotations

            return import_annotations(
                self._dataset,
                choice.path,
                choice.image_root,
                format=choice.format,
                review=options.review,
                rescale=options.rescale,
                create_classes=options.create_classes,
                group_classes=options.group_classes,
                progress=tell,
                cancel=self._stop,
            )

        self._run("Importing", work)

    def take_captions_in(self) -> None:
        """Take in the captions that stand beside and inside the images."""

        def work(tell: Callable[[int, int], None]) -> object:
            from locstudio.services.captioning import take_captions_in

            return take_captions_in(self._dataset, progress=tell, cancel=self._stop)

        self._run("Taking captions in", work)

    def ask_export(self) -> None:
        """Ask for a format and a name, and export to it."""
        from locstudio.ui.export_sheet import ExportSheet  # as above

        project = self._dataset.project
        folder = project.path.parent if project else Path.home()
        sheet = ExportSheet(folder, project.path.name if project else "regions", self._window)
        sheet.start_wanted.connect(self.export_to)
        sheet.open()

    def export_to(self, choice: "ExportChoice") -> None:
        """Export as was chosen."""

        def work(tell: Callable[[int, int], None]) -> object:
            from locstudio.services.exporting import export_annotations

            return export_annotations(
                self._dataset,
                choice.destination,
                format=choice.format,
                reviews=choice.reviews,
                progress=tell,
                cancel=self._stop,
            )

        self._run("Exporting", work, False)

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


def _is_for_import(path: Path) -> bool:
    """On the worker: whether it is annotations, or a file that is nothing else here."""
    from locstudio.interchange.formats import guess_format

    if path.name == DATASET_NAME or (path / DATASET_NAME).is_file():
        return False
    return not path.is_dir() or guess_format(path) is not None


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
