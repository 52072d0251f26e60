"""The registry in the window: read on a worker, taken into use, named, removed, compared two by two."""

import re
from contextlib import suppress
from dataclasses import replace
from typing import cast, get_args

import msgspec
from PySide6.QtCore import QObject, Signal

from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.regions import Image
from locstudio.jobs.class_results import has_class_results, read_class_results
from locstudio.jobs.json_files import read_json
from locstudio.jobs.predictions import PredictionFolder
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.services.lineage import config_of, diff_data, diff_settings, lineage
from locstudio.services.promotion import find_comparison
from locstudio.services.registry import (
    CheckpointEntry,
    activate,
    delete_checkpoint,
    label_checkpoint,
    registry,
)
from locstudio.services.starting import start_compare
from locstudio.store.dataset import Dataset
from locstudio.store.diff import RegionChangeKind, RegionDiff, RowCounts, SnapshotDiff
from locstudio.store.project import Project
from locstudio.ui.background import DatasetWorker
from locstudio.ui.search.hits_model import HitItem
from locstudio.ui.training.checkpoints_model import day_and_time
from locstudio.ui.training.checkpoints_view import CheckpointFacts, CheckpointsView
from locstudio.ui.training.crops_view import Part
from locstudio.ui.training.diff_view import DiffLine
from locstudio.ui.training.expert_words import experts_sentence
from locstudio.ui.training.region_items import MAX_SHOWN, tile_of
from locstudio.ui.training.wording import counted, metric_name

_SHARE = re.compile(r"map|map_all|top1|top5|superclass_top1|router_accuracy|macc|mean_iou|hit50|(r2t|t2r|i2t|t2i)_r10")
"""Metrics that a person compares; others are counts, times, or the bundled model's own."""
_EDITED: dict[RegionChangeKind, str] = {
    "added": "Regions added",
    "removed": "Regions removed",
    "moved": "Regions moved or resized",
    "renamed": "Regions renamed",
    "reviewed": "Regions reviewed anew",
}


class CheckpointReview(QObject):
    """Connects the registry to its view.

    Signals:
        activated: what ``activate`` returned, and whether it was in use before (``is_again``); engine and index must
            follow.
        not_activated: a sentence: the model in use stays.
        place_wanted: a ``HitItem`` to open in its image.
        run_made: the ``RunFolder`` of a comparison that waits to be started.
        comparison_found: the id of a comparison that is there already.
        said: a sentence.
    """

    activated = Signal(object)
    not_activated = Signal(str)
    place_wanted = Signal(object)
    run_made = Signal(object)
    comparison_found = Signal(str)
    said = Signal(str)

    def __init__(
        self,
        project: Project,
        dataset: Dataset,
        view: CheckpointsView,
        reads: DatasetWorker,
        work: DatasetWorker,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._project, self._dataset, self.view = project, dataset, view
        self._reads, self._work = reads, work
        self._number = 0
        self._is_activating = False
        self._diff: SnapshotDiff | None = None
        view.checkpoint_chosen.connect(self._on_chosen)
        view.against_chosen.connect(self._on_against)
        view.activate_wanted.connect(lambda checkpoint_id: self.activate(checkpoint_id, is_forced=False))
        view.compare_wanted.connect(self._on_compare)
        view.rename_wanted.connect(lambda identity, name: self._label(identity, name=name))
        view.note_wanted.connect(lambda identity, note: self._label(identity, note=note))
        view.delete_wanted.connect(self._on_delete)
        view.edited_wanted.connect(self._on_edited)
        view.place_wanted.connect(self.place_wanted)

    def refresh(self) -> None:
        """Read the registry again."""
        self._reads.ask(
            registry, self._project, self._dataset, on_result=self.view.set_entries, on_error=self._on_error
        )

    def activate(self, checkpoint_id: str, *, is_forced: bool) -> None:
        """Take a checkpoint into use, with its index where one was kept."""
        if self._is_activating:
            return
        self._set_activating(True)
        self._work.ask(
            lambda: activate(self._project, self._dataset, checkpoint_id, force=is_forced),
            on_result=self._on_activated,
            on_error=self._on_not_activated,
        )

    def _set_activating(self, is_activating: bool) -> None:
        self._is_activating = is_activating
        self.view.set_busy(is_activating)

    def _on_activated(self, adopted: dict[str, object]) -> None:
        self._set_activating(False)
        known = {entry.id for entry in self.view.model.entries if entry.was_used}  # as it was before
        self.refresh()
        self.activated.emit({**adopted, "is_again": adopted["checkpoint"] in known})

    def _on_not_activated(self, error: Exception) -> None:
        self._set_activating(False)
        self.refresh()
        self.not_activated.emit(str(error))

    def _label(self, checkpoint_id: str, **values: str) -> None:
        self._work.ask(
            lambda: label_checkpoint(self._dataset, checkpoint_id, **values),
            on_result=lambda _: self.refresh(),
            on_error=self._on_error,
        )

    def _on_delete(self, checkpoint_id: str) -> None:
        self._work.ask(
            delete_checkpoint,
            self._project,
            self._dataset,
            checkpoint_id,
            on_result=lambda _: self.refresh(),
            on_error=self._on_error,
        )

    def _on_error(self, error: Exception) -> None:
        self.said.emit(str(error))

    # two of them ------------------------------------------------------------------------------------------------

    def _on_chosen(self, checkpoint_id: str) -> None:
        self._reads.ask(
            read_facts,
            self._project,
            self._dataset,
            checkpoint_id,
            on_result=lambda facts: self._show_facts(checkpoint_id, facts),
            on_error=self._on_error,
        )

    def _show_facts(self, checkpoint_id: str, facts: CheckpointFacts) -> None:
        current = self.view.current
        if current is not None and current.id == checkpoint_id:
            self.view.show_facts(facts)

    def _on_against(self, checkpoint_id: str, other_id: str) -> None:
        entries = {entry.id: entry for entry in self.view.model.entries}
        new, old = entries.get(checkpoint_id), entries.get(other_id)
        self._number += 1
        number = self._number
        if new is None or old is None:
            self.view.show_diff([DiffLine("There is no other checkpoint to compare with yet.")], "", "")
            return

        def show(found: tuple[list[DiffLine], SnapshotDiff | None]) -> None:
            if number == self._number:
                self._diff = found[1]
                name_of = self.view.model.name_of
                self.view.show_diff(found[0], name_of(old.id), name_of(new.id))

        self._reads.ask(compare_two, self._project, self._dataset, old, new, on_result=show, on_error=self._on_error)

    def _on_compare(self, old_id: str, new_id: str) -> None:
        entries = {entry.id: entry for entry in self.view.model.entries}
        old, new = entries[old_id], entries[new_id]

        def make() -> tuple[RunFolder, bool]:
            found = find_comparison(self._project, old_id, new_id)
            if found is not None:
                return found[0], False
            return start_compare(self._project, self._dataset, old.folder, new.folder, held_out=new.run_id), True

        self._reads.ask(make, on_result=self._on_made, on_error=self._on_error)

    def _on_made(self, made: tuple[RunFolder, bool]) -> None:
        folder, is_new = made
        if is_new:
            self.said.emit("The two are being compared in the background; press the button again when that is done.")
            self.run_made.emit(folder)
        else:
            self.comparison_found.emit(folder.id)

    def _on_edited(self, name: str) -> None:
        diff, number = self._diff, self._number
        if diff is None or name not in get_args(RegionChangeKind):
            return
        kind = cast(RegionChangeKind, name)

        def show(hits: tuple[HitItem, ...]) -> None:
            if number == self._number:
                count = diff.regions.get(kind, 0)
                rest = f"The first {MAX_SHOWN:,} are shown." if count > MAX_SHOWN else ""
                self.view.edited.show_parts(_EDITED[kind], rest, [Part("", count, hits)])
                self.view.edited.show()

        self._reads.ask(edited_items, self._dataset, diff, kind, on_result=show, on_error=self._on_error)


def read_facts(project: Project, dataset: Dataset, checkpoint_id: str) -> CheckpointFacts:
    """What is known of a checkpoint, in sentences, and its card."""
    chain = lineage(project, dataset, checkpoint_id)
    entry = chain[0].entry
    if entry is None:
        return CheckpointFacts((), "")
    sentences = []
    if len(chain) > 1:
        sentences.append(
            "From " + ", from ".join(each.entry.name if each.entry else each.id for each in chain[1:]) + "."
        )
    if entry.run_id:
        sentences.append(f"Trained in the run {entry.run_id}.")
    elif entry.created_at and not entry.is_bundled:
        sentences.append(f"Taken into the project on {day_and_time(entry.created_at)}.")
    if chain[0].corrections_after:
        sentences.append(f"{counted(chain[0].corrections_after, 'correction')} newer than this model.")
    if entry.promotion is not None and entry.promotion.is_forced:
        sentences.append("It was taken into use against its gate.")
    if entry.model == "consistency":
        sentences.append("It says which classes an image shows, and where.")
    elif entry.model == "vmoe":
        with suppress(OSError, msgspec.MsgspecError):
            sentences.append(experts_sentence(read_json(entry.folder / "config.json", VmoeConfig)))
    elif not entry.is_indexed and entry.is_present:
        when_used = "" if entry.is_active else "after it is activated, "
        sentences.append(f"It has no index yet: {when_used}the collection must be indexed.")
    if entry.code_version:
        sentences.append(f"Made by LocStudio {entry.code_version}.")
    if entry.note:
        sentences.append(f"Note: {entry.note}")
    card = ""
    with suppress(OSError):
        card = (entry.folder / "card.md").read_text("utf-8", errors="replace")
    return CheckpointFacts(tuple(sentences), card or "The card of this checkpoint is not there any more.")


def compare_two(
    project: Project, dataset: Dataset, old: CheckpointEntry, new: CheckpointEntry
) -> tuple[list[DiffLine], SnapshotDiff | None]:
    """Metrics, settings and data of two checkpoints as lines, and the difference of their data where it is known."""
    lines = _measured_lines(project, old, new)
    lines.append(DiffLine("How they were trained", is_heading=True))
    try:
        settings = diff_settings(config_of(project, dataset, old.id), config_of(project, dataset, new.id))
        lines += [DiffLine(_setting(change.name), change.old, change.new) for change in settings]
        if not settings:
            lines.append(DiffLine("With the same settings."))
    except UserError:
        lines += _why_unknown(old, new)
    lines.append(DiffLine("What was edited between their data", is_heading=True))
    try:
        diff = diff_data(project, dataset, old.id, new.id)
    except (BadInput, UserError):
        return [*lines, *_why_unknown(old, new)], None
    return [*lines, *_data_lines(diff)], diff


def edited_items(dataset: Dataset, diff: SnapshotDiff, kind: RegionChangeKind) -> tuple[HitItem, ...]:
    """Tiles of the regions that were edited so: as they are afterwards, or were before they were removed."""
    page = diff.region_page(kind, limit=MAX_SHOWN)
    shown = [(each, each.after or each.before) for each in page]
    ids = sorted({region.image_id for _, region in shown if region is not None})
    images: dict[int, Image] = {image.id: image for image in dataset.images(ids)}
    return tuple(
        tile_of(region, images[region.image_id], _edit_words(each, kind))
        for each, region in shown
        if region is not None and region.image_id in images
    )


def _edit_words(diff: RegionDiff, kind: RegionChangeKind) -> str:
    before, after = diff.before, diff.after
    if kind == "renamed" and before and after:
        return f"{before.phrase} → {after.phrase}"
    if kind == "reviewed" and before and after:
        return f"{before.review} → {after.review}"
    region = after or before
    return region.phrase if region else ""


def _measured_lines(project: Project, old: CheckpointEntry, new: CheckpointEntry) -> list[DiffLine]:
    """What both measured on the same images, if they were compared; else what each brings along."""
    found = find_comparison(project, old.id, new.id)
    parts = ("old", "new")
    if found is None:
        found, parts = find_comparison(project, new.id, old.id), ("new", "old")
    with suppress(BadInput):
        if found is not None and has_class_results(found[0].results / "new"):
            earlier, later = (read_class_results(found[0].results / part) for part in parts)
            not_learnt = " not learnt from" if later.num_held_out else ""
            heading = f"Measured on {counted(later.num_images, 'image')}{not_learnt}"
            return [DiffLine(heading, is_heading=True), *_metric_lines(earlier.metrics, later.metrics)]
        if found is not None:
            before, after = (PredictionFolder(found[0].results / part).summary() for part in parts)
            if after.num_held_out_images:
                of_what = f"{counted(after.num_held_out_images, 'image')} not learnt from"
                lines = _metric_lines(before.held_out_metrics, after.held_out_metrics)
            else:
                of_what = f"the same {counted(after.num_images, 'image')}"
                lines = _metric_lines(before.metrics, after.metrics)
            return [DiffLine(f"Measured on {of_what}", is_heading=True), *lines]
    lines = [replace(line, difference="", verdict=0) for line in _metric_lines(old.metrics, new.metrics)]
    return [DiffLine("Measured when they were made, each on its own images", is_heading=True), *lines]


def _metric_lines(old: dict[str, float], new: dict[str, float]) -> list[DiffLine]:
    lines = []
    for name in [*new, *(name for name in old if name not in new)]:
        if not _SHARE.fullmatch(name):
            continue
        before, after = old.get(name), new.get(name)
        points = None if before is None or after is None else round(100 * (after - before), 1)
        sign = "" if points is None else "=" if points == 0 else f"▲ {points:.1f}" if points > 0 else f"▼ {-points:.1f}"
        verdict = 0 if not points else 1 if points > 0 else -1
        lines.append(
            DiffLine(
                _capital(metric_name(name)).replace(", recall at ", " @"), _share(before), _share(after), sign, verdict
            )
        )
    return lines or [DiffLine("Neither of them has measured anything.")]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _setting(name: str) -> str:
    return name.rpartition(".")[2].replace("_", " ").removeprefix("num ").removeprefix("has ").capitalize()


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _data_lines(diff: SnapshotDiff) -> list[DiffLine]:
    if diff.is_empty:
        return [DiffLine("Both were trained on the same data.")]
    lines = [
        DiffLine(words, "", "", f"{diff.regions[kind]:,}", edited=kind)
        for kind, words in _EDITED.items()
        if diff.regions.get(kind)
    ]
    others = {"Images": diff.images, "Classes": diff.classes, "Superclasses": diff.superclasses}
    others |= {"Captions": diff.captions, "Labels of images": diff.labels, "Heat corrections": diff.heat_corrections}
    for words, counts in others.items():
        if counts != RowCounts():
            parts = zip(("added", "removed", "changed"), (counts.added, counts.removed, counts.changed), strict=True)
            lines += [DiffLine(f"{words} {part}", "", "", f"{count:,}") for part, count in parts if count]
    return lines


def _why_unknown(old: CheckpointEntry, new: CheckpointEntry) -> list[DiffLine]:
    """Where only one of the two was trained here there is no common ground; say which."""
    missing = [entry.name for entry in (old, new) if not entry.run_id]
    if missing:
        return [DiffLine(f"Not known of {' and '.join(missing)}, not trained in this project.")]
    return [DiffLine("The run of one of them is not there any more.")]
