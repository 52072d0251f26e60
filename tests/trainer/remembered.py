"""Small memories of a consistency run, and values to put into them."""

import numpy as np

from locstudio.jobs.heatmaps import HeatHeader
from trainer.heat_memory import HeatMemory

GRID = 4


def header_of(num_images, num_classes, *, num_slots=0, num_epochs=6):
    return HeatHeader(
        run_id="run",
        class_ids=tuple(range(10, 10 + num_classes)),
        class_names=tuple(f"class {number}" for number in range(num_classes)),
        grid=GRID,
        num_images=num_images,
        num_slots=num_slots,
        num_epochs=num_epochs,
        momentum=0.8,
    )


def make(folder, num_images=5, num_classes=3, *, labels=None, known=None, starts_with_label=True, **changes):
    header = header_of(num_images, num_classes, **changes)
    labels_NL = np.full((num_images, num_classes), -1, np.int8) if labels is None else np.asarray(labels, np.int8)
    return HeatMemory.create(
        folder,
        header,
        image_ids=np.arange(1, num_images + 1),
        contents=[f"{number:064x}" for number in range(num_images)],
        labels_NL=labels_NL,
        starts_with_label=starts_with_label,
        known=known,
        key_epochs=(1, 3),
        num_key_slots=2,
    )


def values_of(rng, rows, num_classes):
    """Scores, averages and maps; the maps are whole bytes, so that they come back as they are."""
    maps = rng.integers(0, 256, (len(rows), num_classes, GRID, GRID)).astype(np.float32) / 255
    scores, averages = rng.random((2, len(rows), num_classes), dtype=np.float32)
    return scores, averages, maps


def do_epoch(memory, rng, num_classes, rows=None, batch=2):
    rows = np.arange(memory.header.num_images) if rows is None else rows
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        memory.put(some, *values_of(rng, some, num_classes))
    memory.end_epoch()


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
