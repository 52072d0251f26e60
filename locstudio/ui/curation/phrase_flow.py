"""The phrase sheet at work: table and groups from a worker, and all that is wished as one step for the dataset."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from locstudio.domain.edits import Change, Edit, RegionChange, RuleChange
from locstudio.domain.phrase_rules import PhraseRule
from locstudio.domain.regions import LabelClass, Region
from locstudio.index.vocabulary import Vocabulary
from locstudio.services.curation.phrases import map_phrases, merge_candidates, merge_phrases, phrase_table
from locstudio.services.curation.pool import Pool
from locstudio.store.dataset import Dataset
from locstudio.ui.background import LatestOnly
from locstudio.ui.curation.curating import Curating
from locstudio.ui.curation.phrase_sheet import PhraseSheet, PhraseWishes
from locstudio.ui.curation.phrases_model import PhraseLine
from locstudio.ui.curation.synonyms_model import Synonym, SynonymGroup
from locstudio.ui.editing import Editing


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    lines: tuple[PhraseLine, ...]
    groups: tuple[SynonymGroup, ...]
    classes: list[LabelClass]


class PhraseFlow(QObject):
    """Opens the sheet and answers it.

    Signals:
        said: a sentence for the status line.
    """

    said = Signal(str)

    def __init__(
        self,
        dataset: Dataset,
        curating: Curating,
        editing: Editing,
        vocabulary: Callable[[], Vocabulary | None],
        parent: QObject | None = None,
    ) -> None:
        """``vocabulary`` is that of the index as it is now; it says which phrases mean the same."""
        super().__init__(parent)
        self._dataset = dataset
        self._curating = curating
        self._editing = editing
        self._vocabulary = vocabulary
        self._reads = LatestOnly(self)
        self._reads.arrived.connect(self._on_found)
        self._reads.failed.connect(lambda error: self.said.emit(str(error)))
        self.sheet: PhraseSheet | None = None

    def open(self, window: QWidget) -> None:
        """Open the sheet."""
        pool = self._curating.pool
        if pool is None or self.sheet is not None:
            return
        sheet = self.sheet = PhraseSheet(window)
        sheet.apply_wanted.connect(self._on_apply_wanted)
        sheet.finished.connect(self._on_closed)
        sheet.open()
        self._reads.submit(_find, self._dataset, pool, self._vocabulary())

    def close(self) -> None:
        """Close the sheet and wait for what is being read."""
        if self.sheet is not None:
            self.sheet.reject()
        self._reads.close()

    def _on_found(self, found: _Found) -> None:
        if self.sheet is not None:
            self.sheet.show_phrases(found.lines, found.classes, found.groups)

    def _on_apply_wanted(self, wishes: PhraseWishes) -> None:
        make = partial(phrases_edit, self._dataset, wishes.classes, wishes.merges)
        self._editing.apply_made(make, lambda error: self.said.emit(str(error)))

    def _on_closed(self) -> None:
        if self.sheet is not None:
            self._reads.forget()
            self.sheet.deleteLater()
            self.sheet = None


def phrases_edit(dataset: Dataset, classes: Mapping[str, int | None], merges: Mapping[str, str]) -> Edit | None:
    """Phrases mapped and merged in one edit; None where the dataset has it so already."""
    edits: list[Edit] = []
    world = _World(dataset)
    if classes:
        edits.append(world.take(map_phrases(cast(Dataset, world), classes)))
    for kept in dict.fromkeys(merges.values()):
        phrases = [phrase for phrase, becomes in merges.items() if becomes == kept]
        edits.append(world.take(merge_phrases(cast(Dataset, world), phrases, kept)))
    edits = [edit for edit in edits if edit.changes]
    changes: tuple[Change, ...] = tuple(change for edit in edits for change in edit.changes)
    if not changes:
        return None
    return Edit(edits[0].title if len(edits) == 1 else f"Tidy {len(classes) + len(merges)} phrases", changes)


class _World:
    """The dataset as it will be when the edits so far are applied: each of them is made of what the one before left."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._rules = dict(dataset.phrase_rules())
        self._regions: dict[int, Region] = {}

    def take(self, edit: Edit) -> Edit:
        """See the dataset with this edit from now on."""
        for change in edit.changes:
            if isinstance(change, RuleChange):
                rule = change.after or change.before
                assert rule is not None
                if change.after is None:
                    self._rules.pop(rule.phrase, None)
                else:
                    self._rules[rule.phrase] = change.after
            elif isinstance(change, RegionChange) and change.after is not None:
                self._regions[change.after.id] = change.after
        return edit

    def phrase_rules(self) -> dict[str, PhraseRule]:
        """What phrases are taken for."""
        return dict(self._rules)

    def regions_with_phrases(self, phrases: Sequence[str]) -> list[Region]:
        """Regions whose phrase is one of these."""
        wanted = set(phrases)
        stored = {region.id: region for region in self._dataset.regions_with_phrases(phrases)}
        known = stored | self._regions
        return [known[key] for key in sorted(known) if known[key].phrase in wanted]


def _find(dataset: Dataset, pool: Pool, vocabulary: Vocabulary | None) -> _Found:
    lines = tuple(
        PhraseLine(row.phrase, row.num, row.num_pending, row.num_accepted, row.num_rejected, row.class_id)
        for row in phrase_table(pool)
    )
    groups = tuple(
        SynonymGroup(
            group.canonical,
            (
                Synonym(group.canonical, group.num, 1.0),
                *(Synonym(other.phrase, other.num, other.likeness) for other in group.others),
            ),
        )
        for group in merge_candidates(pool, vocabulary)
    )
    return _Found(lines, groups, dataset.classes())
