"""The pool of curation: dataset regions and the raw proposals that nobody has decided yet.

``read_pool`` reads it, for a worker; ``pool_after`` follows an edit in the time that its changes take.  For each image
the newest run that has seen it supplies its raw proposals; one that shows what a region of the same name shows already
is not offered.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.domain.phrase_rules import PhraseRule, classes_by_name
from locstudio.jobs.raw_proposals import RawProposals, read_raw_proposals
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.curation.columns import Phrases, columns_of_table, raw_columns, slots_of
from locstudio.services.curation.following import pool_after, ruled, settled
from locstudio.services.curation.overlaps import overlap_edges
from locstudio.services.curation.table import (
    COLUMNS,
    CurationItem,
    Pool,
    Supply,
    item_of,
    key_of,
    row_of_key,
    source_of,
)
from locstudio.services.runs_of import run_folders
from locstudio.store.columns import ImageSizes
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

__all__ = ["CurationItem", "Pool", "Supply", "item_of", "key_of", "pool_after", "read_pool", "row_of_key", "source_of"]


def read_pool(project: Project, dataset: Dataset) -> Pool:
    """Everything that can be decided in the project, as it is now.

    A run whose proposals are damaged is left out, and ``Pool.problems`` says so.

    Raises:
        StorageFailed: the dataset cannot be read.
    """
    revision = dataset.revision()
    regions, sizes, rules = dataset.region_columns(), dataset.image_sizes(), dataset.phrase_rules()
    classes = {entry.id: entry for entry in dataset.classes()}
    runs, problems = _runs_with_proposals(project)
    phrases = Phrases()
    supplies = _supplies(runs, sizes, phrases, rules, classes_by_name(classes.values()))
    own = columns_of_table(regions, supplies, phrases)
    slots = slots_of(own, supplies)
    is_new = slots < 0
    raw = [raw_columns(supply, row, np.flatnonzero(supply.slots >= 0)) for row, supply in enumerate(supplies)]
    columns: dict[str, Any] = {
        name: np.concatenate([*(part[name] for part in raw), own[name][is_new]]) for name in COLUMNS
    }
    for name in COLUMNS:
        if name != "times":  # it was proposed when it was proposed
            columns[name][slots[~is_new]] = own[name][~is_new]
    num = len(columns["image_ids"])
    pool = Pool(
        **columns,
        is_there=np.ones(num, bool),
        is_covered=np.zeros(num, bool),
        num_raw=num - int(np.count_nonzero(is_new)),
        phrases=phrases.texts,
        classes=classes,
        rules=rules,
        supplies=supplies,
        edges=overlap_edges(columns["image_ids"], columns["boxes"], columns["scores"]),
        sizes=sizes,
        problems=problems,
        revision=revision,
    )
    return settled(pool, np.arange(num))


def _runs_with_proposals(project: Project) -> tuple[list[tuple[RunFolder, str, RawProposals]], tuple[str, ...]]:
    """Every run that has proposed something, oldest first, with its title; and what is wrong with the others."""
    found, problems = [], []
    for folder in run_folders(project):
        try:
            config = folder.config()
            proposals = read_raw_proposals(folder.results) if config.kind == "vesl" else None
        except BadInput as error:
            if (folder.results / "proposals").exists():
                problems.append(str(error))
            continue
        if proposals is not None:
            found.append((folder, config.title or folder.id, proposals))
    return found, tuple(problems)


def _supplies(
    runs: Sequence[tuple[RunFolder, str, RawProposals]],
    sizes: ImageSizes,
    phrases: Phrases,
    rules: Mapping[str, PhraseRule],
    named: Mapping[str, int],
) -> tuple[Supply, ...]:
    num_slots, supplies = 0, []
    for (folder, title, proposals), is_newest in zip(runs, _newest(runs, sizes), strict=True):
        slots = np.full(len(proposals), -1, np.int32)
        slots[is_newest] = num_slots + np.arange(np.count_nonzero(is_newest))
        num_slots += int(np.count_nonzero(is_newest))
        phrase_rows, class_ids = ruled(proposals.phrases, phrases, rules, named)
        supplies.append(Supply(folder.id, title, _began_ms(folder.id), proposals, slots, phrase_rows, class_ids))
    return tuple(supplies)


def _newest(runs: Sequence[tuple[RunFolder, str, RawProposals]], sizes: ImageSizes) -> list[NDArray[np.bool_]]:
    """Of each run's proposals, those of images of the dataset that no newer run has seen."""
    left = sizes.ids
    found = []
    for _, _, proposals in reversed(runs):
        image_ids = np.asarray(proposals.image_ids)
        found.append(np.isin(image_ids, left))
        left = left[~np.isin(left, np.concatenate([np.asarray(proposals.seen_image_ids), image_ids]))]
    return found[::-1]


def _began_ms(run_id: str) -> int:
    try:
        began = datetime.strptime(run_id.split("-")[0], "%Y%m%dT%H%M%SZ")
    except ValueError:
        return 0
    return int(began.replace(tzinfo=UTC).timestamp() * 1000)
