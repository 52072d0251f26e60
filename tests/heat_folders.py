"""Runs with heatmaps as the trainer leaves them, made in a moment of plain arrays."""

import msgspec
import numpy as np

from locstudio.jobs.configs import ConsistencyTraining, RunConfig
from locstudio.jobs.heatmaps import HeatHeader, heatmaps_folder
from locstudio.jobs.messages import Finished
from locstudio.jobs.run_folder import EventLog, RunFolder, write_whole


def spot(grid, row, column, peak=255, radius=2.0):
    """A heatmap that is hottest in one cell and cold at this many cells from it."""
    rows, columns = np.mgrid[:grid, :grid]
    distance = np.hypot(rows - row, columns - column)
    return np.rint(peak * np.clip(1 - distance / radius, 0, 1)).astype(np.uint8)


def write_heatmaps(
    folder,
    image_ids,
    classes,
    averages_NL,
    *,
    maps=None,
    scores_ENL=None,
    labels_NL=None,
    contents=(),
    keys=None,
    num_slots=0,
    grid=14,
    run_id="run",
    checkpoint_id="consistency-0123456789abcdef",
    momentum=0.8,
    num_epochs=None,
):
    """A folder of heatmaps.

    Args:
        folder: Where.
        image_ids: Rising.
        classes: (id, name) of each.
        averages_NL: Running averages.
        maps: By (image id, class id), uint8 (grid, grid), the others being cold; or all of them (N, L, grid, grid).
        scores_ENL: In [0, 1]; three times the averages where nothing is said.
        labels_NL: Nothing is known where nothing is said.
        contents: SHA-256 by row.
        keys: By epoch, maps as ``maps``.
        num_slots: Keep only so many maps an image: of the classes with the highest averages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image_ids = np.asarray(image_ids, np.int64)
    averages_NL = np.asarray(averages_NL, np.float32)
    scores_ENL = np.stack([averages_NL] * 3) if scores_ENL is None else np.asarray(scores_ENL, np.float32)
    num_images, num_classes = averages_NL.shape
    class_ids = [class_id for class_id, _ in classes]
    header = HeatHeader(
        run_id=run_id,
        checkpoint_id=checkpoint_id,
        class_ids=tuple(class_ids),
        class_names=tuple(name for _, name in classes),
        grid=grid,
        num_images=num_images,
        num_slots=num_slots,
        num_epochs=num_epochs or len(scores_ENL),
        epoch=len(scores_ENL),
        side="b",
        momentum=momentum,
        key_epochs=tuple(sorted(keys or ())),
    )
    whole_NLWW = _whole(maps, image_ids, class_ids, grid)
    order_NL = np.argsort(-averages_NL, axis=1, kind="stable").astype(np.int16)
    slots_NK = order_NL[:, : num_slots or num_classes]
    np.save(folder / "image_ids.npy", image_ids)
    np.save(folder / "contents.npy", np.array([text.encode() for text in contents] or [b""] * num_images, "S64"))
    np.save(folder / "labels.npy", _or(labels_NL, np.full((num_images, num_classes), -1)).astype(np.int8))
    np.save(folder / "averages_b.npy", averages_NL)
    scores = np.zeros((header.num_epochs, num_images, num_classes), np.uint8)
    scores[: len(scores_ENL)] = np.rint(scores_ENL * 255)
    np.save(folder / "scores.npy", scores)
    if num_slots:
        np.save(folder / "slots_b.npy", slots_NK)
        whole_NLWW = np.take_along_axis(whole_NLWW, slots_NK[:, :, None, None].astype(np.int64), axis=1)
    np.save(folder / "maps_b.npy", whole_NLWW)
    for epoch, of_epoch in (keys or {}).items():
        np.save(folder / f"key_{epoch:04d}.npy", _whole(of_epoch, image_ids, class_ids, grid))
        every = np.tile(np.arange(num_classes, dtype=np.int16), (num_images, 1))
        np.save(folder / f"key_slots_{epoch:04d}.npy", every)
    write_whole(folder / "header.json", msgspec.json.encode(header))
    return folder


def heat_run(project, *arguments, title="", is_over=True, **keywords):
    """A run of a project with heatmaps; see ``write_heatmaps``."""
    config = RunConfig(kind="consistency", checkpoint="x", title=title, consistency=ConsistencyTraining())
    folder = RunFolder.create(project.runs, config)
    write_heatmaps(heatmaps_folder(folder.results), *arguments, run_id=folder.id, **keywords)
    if is_over:
        log = EventLog(folder)
        log.append(Finished(sequence=log.next_sequence))
        log.close()
    return folder


def _whole(maps, image_ids, class_ids, grid):
    if isinstance(maps, np.ndarray):
        return maps
    whole = np.zeros((len(image_ids), len(class_ids), grid, grid), np.uint8)
    for (image_id, class_id), map_WW in (maps or {}).items():
        whole[int(np.searchsorted(image_ids, image_id)), class_ids.index(class_id)] = map_WW
    return whole


def _or(array, otherwise):
    return otherwise if array is None else np.asarray(array)
