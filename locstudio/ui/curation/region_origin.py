"""Where the region that is selected on the canvas comes from: the panel of provenance below the table of regions."""

from PySide6.QtCore import QObject, Signal

from locstudio.services.curation.pool import item_of, key_of, row_of_key
from locstudio.ui.curation.curating import Curating
from locstudio.ui.curation.pool_source import row_of_region
from locstudio.ui.curation.provenance_flow import ProvenanceFlow
from locstudio.ui.curation.provenance_panel import ProvenancePanel
from locstudio.ui.desk import Desk
from locstudio.ui.opening import Place


class RegionOrigin(QObject):
    """Follows the selection on the canvas.

    Signals:
        place_wanted: a ``Place``: another box of the same caption, to be shown on the canvas.
        propose_again_wanted: identity of an image whose caption was edited.
        said: a sentence for the status line.
    """

    place_wanted = Signal(object)
    propose_again_wanted = Signal(int)
    said = Signal(str)

    def __init__(self, collection: Desk, curating: Curating, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas = collection.canvas
        self._curating = curating
        self._flow = ProvenanceFlow(collection.opened.dataset, curating, collection.editing, ProvenancePanel(), self)
        self._flow.item_wanted.connect(self._on_item_wanted)
        self._flow.propose_again_wanted.connect(self.propose_again_wanted)
        self._flow.said.connect(self.said)
        self._canvas.selection_changed.connect(lambda _: self._follow())
        curating.pool_changed.connect(lambda _: self._follow())
        collection.workspace.regions_pane.set_origin(self._flow.panel)
        self._follow()

    @property
    def panel(self) -> ProvenancePanel:
        """What shows it."""
        return self._flow.panel

    def close(self) -> None:
        """Wait for what is being read."""
        self._flow.close()

    def _follow(self) -> None:
        pool, selected = self._curating.pool, self._canvas.editor.selected_regions
        row = row_of_region(pool, selected[-1]) if pool is not None and selected else -1
        self._flow.show_item(key_of(pool, row) if pool is not None and row >= 0 else "")

    def _on_item_wanted(self, key: str) -> None:
        pool = self._curating.pool
        row = row_of_key(pool, key) if pool is not None else None
        if pool is None or row is None:
            return
        item = item_of(pool, row)
        self.place_wanted.emit(Place(item.image_id, item.box, item.phrase, item.region_id))
