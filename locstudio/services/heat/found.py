"""Heat that a model finds in an image now, where no run remembers any.  Axes: L = classes, W = side of a heatmap."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.heat_corrections import corrected
from locstudio.domain.phrase_rules import bare, classes_by_name
from locstudio.domain.regions import Image
from locstudio.services.heat.book import ClassHeat, ImageHeat, Said, by_relevance, presence_of
from locstudio.store.view import DatasetView

NO_CLASS = 0
"""Stands for a class that the model knows and the vocabulary does not."""


def found_heat(
    dataset: DatasetView,
    image: Image,
    class_names: Sequence[str],
    scores_L: NDArray[np.float32],
    maps_LWW: NDArray[np.uint8],
    *,
    checkpoint_id: str = "",
) -> ImageHeat:
    """What a model has found, beside what the dataset says; classes are those of the vocabulary with the same name.

    Args:
        dataset: Says what is labelled and painted.
        image: Where it was found.
        class_names: As the model calls them.
        scores_L: Of each, in [0, 1].
        maps_LWW: Of each, 255 being certainty.
        checkpoint_id: The model's.
    """
    named, said = classes_by_name(dataset.classes()), Said.of(dataset, image)
    entries = {entry.id: entry for entry in dataset.classes()}
    rows = []
    for name, score, raw_WW in zip(class_names, scores_L.tolist(), maps_LWW, strict=True):
        class_id = named.get(bare(name), NO_CLASS)
        entry = entries.get(class_id)
        corrections = said.corrections.get(class_id, ())
        label, num_regions = said.labels.get(class_id), said.num_regions.get(class_id, 0)
        row = ClassHeat(
            class_id=class_id,
            name=name if entry is None else entry.name,
            color="" if entry is None else entry.color,
            is_retired=False,
            score=score,
            average=score,
            presence=presence_of(label, num_regions, corrections),
            label=label,
            num_regions=num_regions,
            map_WW=corrected(raw_WW, corrections, said.size),
            raw_WW=raw_WW,
            corrections=corrections,
            trajectory_E=np.zeros(0, np.float32),
            variance=0.0,
        )
        rows.append(row)
    known = {row.class_id for row in rows}
    unseen = [entry for entry in entries.values() if not entry.is_retired and entry.id not in known]
    return ImageHeat(image.id, "", checkpoint_id, 0, False, tuple(sorted(rows, key=by_relevance)), tuple(unseen))
