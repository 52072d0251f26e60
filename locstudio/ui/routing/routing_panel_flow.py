"""Routing of the open image: read while its panel is in front, asked of the model, and shown."""

from PySide6.QtCore import QObject, Signal

from locstudio.domain.edits import Edit
from locstudio.domain.regions import Image
from locstudio.ui.editing import images_of
from locstudio.ui.routing.routing_panel import RoutingPanel
from locstudio.ui.routing.routing_panel_reading import ReadRouting
from locstudio.ui.routing.routing_panel_source import RoutingSource


class ImageRouting(QObject):
    """Keeps the panel of experts in step with the open image.

    Signals:
        said: a sentence.
        train_wanted: the person wants to train experts.
        route_wanted: she wants the model in use to be asked about every image.
        expert_wanted: identity of a run and an expert, counted from 0, whose images she wants to see.
        filter_wanted: an expert whose images alone the collection is to show.
        refreshed: the model in use may be another one.
    """

    said = Signal(str)
    train_wanted = Signal()
    route_wanted = Signal()
    expert_wanted = Signal(str, int)
    filter_wanted = Signal(int)
    refreshed = Signal()

    def __init__(self, source: RoutingSource, panel: RoutingPanel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source, self._panel = source, panel
        self.read: ReadRouting | None = None
        source.arrived.connect(self._on_read)
        source.failed.connect(self.said)
        panel.run_chosen.connect(source.set_run)
        panel.train_wanted.connect(self.train_wanted)
        panel.route_wanted.connect(self.route_wanted)
        panel.filter_wanted.connect(self.filter_wanted)
        panel.gallery_wanted.connect(self._on_gallery)

    def set_image(self, image: Image | None) -> None:
        """Take another open image; the same one again may have other fields."""
        self._source.set_image(image)

    def set_watched(self, is_watched: bool) -> None:
        """Say whether the panel is in front; otherwise nothing is read and nothing asked."""
        self._source.set_active(is_watched)

    def refresh(self) -> None:
        """Look again: runs, or the model in use, may be others."""
        self._source.read_again(forgets_answer=True)
        self.refreshed.emit()

    def on_applied(self, edit: Edit) -> None:
        """An edit is on disk: the open image may be called something else now."""
        image = self._source.image
        if image is not None and image.id in images_of(edit):
            self._source.read_again()

    def close(self) -> None:
        """Wait for what is being read; nothing arrives any more."""
        self._source.close()

    def _on_read(self, read: ReadRouting) -> None:
        self.read = read
        self._panel.show_read(read)

    def _on_gallery(self, expert: int) -> None:
        if self.read is not None and self.read.run is not None:
            self.expert_wanted.emit(self.read.run.id, expert)
