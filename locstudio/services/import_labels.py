"""Labels of whole images that a file brings, against what the dataset says already."""

from collections.abc import Sequence
from dataclasses import dataclass

from locstudio.domain.edits import LabelChange
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Origin
from locstudio.interchange.report import Conflict, ImportReport, Outcome, RowNote
from locstudio.interchange.rows import LabelRow
from locstudio.services.import_known import Memory, row_name
from locstudio.store.dataset import Dataset

_A_PERSONS = (Origin.HUMAN, Origin.EDITED)


@dataclass(frozen=True, slots=True)
class FoundLabel:
    """A row of a file, what it says of an image here, and how it is told in a report."""

    row: LabelRow
    value: ImageLabel
    name: str


class LabelImport:
    """Decides of each label whether it is new, known, an update or a conflict, over all batches of one import."""

    def __init__(self, dataset: Dataset, report: ImportReport, memory: Memory) -> None:
        self._dataset = dataset
        self._report = report
        self._memory = memory
        self._said: dict[tuple[int, int], Presence] = {}

    def changes(self, found: Sequence[FoundLabel]) -> list[LabelChange]:
        """What these rows change; each pair of image and class at most once in the whole import."""
        new = [each for each in found if self._is_first(each)]
        known = self._dataset.labels_of_images(sorted({each.value.image_id for each in new}))
        here = {(label.image_id, label.class_id): label for labels in known.values() for label in labels}
        changes = (self._change(each, here.get((each.value.image_id, each.value.class_id))) for each in new)
        return [change for change in changes if change is not None]

    def _is_first(self, found: FoundLabel) -> bool:
        """Whether no row before spoke of this class of this image; one that says otherwise than that is noted."""
        place, presence = (found.value.image_id, found.value.class_id), found.value.presence
        before = self._said.get(place)
        if before is None:
            self._said[place] = presence
        elif before is not presence:
            row, reason = found.row, "another row says otherwise of its class"
            self._report.note(RowNote(row.table, row.row, found.name, Outcome.DROPPED, reason, f"{before}, {presence}"))
        return before is None

    def _change(self, found: FoundLabel, old: ImageLabel | None) -> LabelChange | None:
        new, report = found.value, self._report
        if old is None:
            if self._memory.was_here(row_name(new)):
                self._conflict(found, "you have taken this label away")
                return None
            report.num_labels_added += 1
            return LabelChange(None, new)
        is_better = old.origin is Origin.MODEL and new.origin is not Origin.MODEL
        if old.presence is new.presence and not is_better:
            report.num_labels_known += 1
            return None
        if old.origin in _A_PERSONS:
            self._conflict(found, f"you have said that it is {old.presence}")
            return None
        if old.origin is Origin.IMPORTED and old.source != new.source:
            self._conflict(found, f"another file has said that it is {old.presence}")
            return None
        report.num_labels_updated += 1
        return LabelChange(old, new)

    def _conflict(self, found: FoundLabel, reason: str) -> None:
        self._report.conflict(Conflict(found.name, 0, reason))
