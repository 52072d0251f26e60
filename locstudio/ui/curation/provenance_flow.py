"""The panel of provenance at work: what is known of the current item, and an edited caption for the dataset."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from PySide6.QtCore import QDateTime, QEvent, QLocale, QObject, Signal

from locstudio.domain.edits import CaptionChange, Edit, reworded
from locstudio.domain.regions import Caption, Origin
from locstudio.services.curation.pool import Pool, row_of_key, source_of
from locstudio.services.curation.provenance import HistoryLine, Provenance, provenance
from locstudio.store.dataset import Dataset
from locstudio.store.imported import captions_from
from locstudio.ui.background import LatestOnly
from locstudio.ui.curation.caption_view import PhraseAt
from locstudio.ui.curation.curating import Curating
from locstudio.ui.curation.pool_tiles import names_of
from locstudio.ui.curation.provenance_panel import ProvenancePanel, ShownProvenance, Step
from locstudio.ui.editing import Editing

_GONE = "This item is gone meanwhile."
_CAPTION_WORDS = {
    Origin.HUMAN: "written by a person",
    Origin.IMPORTED: "your own, imported",
    Origin.MODEL: "written by a model",
    Origin.EDITED: "edited by a person",
}


@dataclass(frozen=True, slots=True)
class _Told:
    key: str
    shown: ShownProvenance


class ProvenanceFlow(QObject):
    """Shows where one item comes from.

    Signals:
        item_wanted: the key of another item of the same caption, to be selected.
        propose_again_wanted: an image whose caption was edited: only phrases and boxes of it are to be made anew.
        said: a sentence for the status line.
    """

    item_wanted = Signal(str)
    propose_again_wanted = Signal(int)
    said = Signal(str)

    def __init__(
        self,
        dataset: Dataset,
        curating: Curating,
        editing: Editing,
        panel: ProvenancePanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._curating = curating
        self._editing = editing
        self.panel = panel
        self._key = ""
        self._saved: Edit | None = None
        self._reads = LatestOnly(self)
        self._reads.arrived.connect(self._on_told)
        self._reads.failed.connect(lambda error: panel.clear(str(error)))
        panel.item_wanted.connect(self.item_wanted)
        panel.caption_saved.connect(self._on_caption_saved)
        panel.installEventFilter(self)
        curating.pool_changed.connect(lambda _: self._read())
        editing.applied.connect(self._on_applied)

    def show_item(self, key: str) -> None:
        """Show where the item with this key comes from; nothing for an empty one."""
        if key != self._key:
            if self.panel.is_editing:
                self.panel.caption.save()  # what she typed counts
            self._key = key
            self._read()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The panel is seen again: what was not read meanwhile is read now."""
        if watched is self.panel and event.type() == QEvent.Type.Show:
            self._read()
        return super().eventFilter(watched, event)

    def close(self) -> None:
        """Wait for what is being read."""
        self._reads.close()

    def _read(self) -> None:
        pool = self._curating.pool
        if self.panel.is_editing:
            return
        row = row_of_key(pool, self._key) if pool is not None and self._key else None
        if pool is None or row is None:
            self._reads.forget()
            self.panel.clear(_GONE if self._key else "")
        elif self.panel.isVisible():
            self._reads.submit(_tell, self._dataset, pool, row)

    def _on_told(self, told: _Told) -> None:
        if told.key == self._key and not self.panel.is_editing:
            self.panel.show_provenance(told.shown)

    # the caption ------------------------------------------------------------------------------------------------

    def _on_caption_saved(self, caption_id: int, text: str) -> None:
        pool = self._curating.pool
        row = row_of_key(pool, self._key) if pool is not None else None
        if pool is None or row is None:
            return

        def make() -> Edit | None:
            edit = caption_edit(self._dataset, pool, row, caption_id, text)
            self._saved = edit
            return edit

        self._editing.apply_made(make, self._on_refused)

    def _on_refused(self, error: Exception) -> None:
        self.said.emit(f"The caption was not saved: {error}")
        self._read()

    def _on_applied(self, edit: Edit) -> None:
        saved = self._saved
        if saved is None or edit is not saved:
            return
        self._saved = None
        change = next(change for change in edit.changes if isinstance(change, CaptionChange))
        assert change.after is not None
        self.propose_again_wanted.emit(change.after.image_id)


def caption_edit(dataset: Dataset, pool: Pool, row: int, caption_id: int, text: str) -> Edit | None:
    """Another text for the caption of a row; one that only its run holds comes into the dataset with it.

    ``caption_id`` is 0 where the dataset did not hold it when it was shown; a decision may have brought it meanwhile.
    """
    if caption_id:
        caption = next(iter(dataset.captions([caption_id])), None)
        return None if caption is None else _reworded(dataset, caption, text)
    run_row, number = int(pool.run_rows[row]), int(pool.raw_rows[row])
    if run_row < 0:
        return None
    supply, image_id = pool.supplies[run_row], int(pool.image_ids[row])
    source, caption_row = source_of(supply.id), str(supply.proposals.caption_rows[number])
    for caption in captions_from(dataset, source, [image_id]):
        if caption.external_id == caption_row:
            return _reworded(dataset, caption, text)
    made = Caption(dataset.next_caption_id(), image_id, text, Origin.EDITED, source, caption_row)
    return Edit("Edit caption", (CaptionChange(None, made),))


def _reworded(dataset: Dataset, caption: Caption, text: str) -> Edit | None:
    edit = reworded(caption, text, dataset.regions_of(caption.image_id))
    return edit if edit.changes else None


def _tell(dataset: Dataset, pool: Pool, row: int) -> _Told:
    known = provenance(dataset, pool, row)
    name = names_of(pool, np.array([row]))[0]
    phrases = [PhraseAt(start, end, key) for key, (start, end) in known.beside]
    if known.span is not None:
        own = PhraseAt(*known.span, known.key, is_current=True)
        # Two boxes of one phrase: its words are filled for the current one.
        phrases = [own, *(phrase for phrase in phrases if (phrase.start, phrase.end) != known.span)]
    shown = ShownProvenance(
        name=name,
        origin=origin_words(known),
        image_id=int(pool.image_ids[row]),
        caption_id=known.caption_id or 0,
        caption=known.caption,
        phrases=tuple(phrases),
        facts=facts_of(known, name),
        steps=tuple(_step(line) for line in reversed(known.history)),
        can_edit=not dataset.is_read_only,
    )
    return _Told(known.key, shown)


def origin_words(known: Provenance) -> str:
    """Who made an item, in a word."""
    if known.origin is Origin.EDITED:
        return "Proposed, then edited" if known.run else "Imported, then edited"
    words = {Origin.HUMAN: "Drawn by a person", Origin.IMPORTED: "Imported", Origin.MODEL: "Proposed"}
    return words[known.origin]


def facts_of(known: Provenance, name: str) -> tuple[tuple[str, str], ...]:
    """What is known of how it was made, as names and values."""
    caption = ""
    if known.caption_origin is not None:
        by_model = known.caption_origin is Origin.MODEL and known.captioner
        caption = known.captioner if by_model else _CAPTION_WORDS[known.caption_origin]
    pairs = (
        ("Caption", caption),
        ("Proposed as", known.proposed if known.proposed != name else ""),
        ("Detector", known.detector),
        ("Score", _number(known.score)),
        ("Objectness", _number(known.objectness)),
        ("Run", f"{known.run_title}, {_when(known.run_at_ms / 1000)}" if known.run else ""),
        ("Source", "" if known.run else known.source),
    )
    return tuple((what, value) for what, value in pairs if value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _step(line: HistoryLine) -> Step:
    at = datetime.fromisoformat(line.at)
    who = "" if line.actor == "human" else f" · {line.actor}"
    undone = " · undone" if line.is_undone else ""
    what = line.title if not line.what else f"{line.title}: {line.what}"
    return Step(f"{_when(at.replace(tzinfo=at.tzinfo or UTC).timestamp())}{who}{undone}", what)


def _when(seconds: float) -> str:
    """A moment in the person's own time."""
    return QLocale().toString(QDateTime.fromSecsSinceEpoch(int(seconds)), QLocale.FormatType.ShortFormat)
