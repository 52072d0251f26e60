"""What a consistency run is going to keep of its heatmaps: which epochs, and how much of the disk."""

import numpy as np


def key_epochs_of(num_epochs: int, num_key_frames: int) -> tuple[int, ...]:
    """Epochs, counted from 1, of which key frames are kept: the first, the last and others evenly between."""
    if num_key_frames <= 0 or num_epochs <= 0:
        return ()
    if num_key_frames == 1:
        return (num_epochs,)
    found = np.rint(np.linspace(1, num_epochs, min(num_key_frames, num_epochs))).astype(int)
    return tuple(dict.fromkeys(found.tolist()))


def bytes_of_memory(
    num_images: int,
    num_classes: int,
    *,
    grid: int,
    num_slots: int,
    num_epochs: int,
    num_key_frames: int,
    num_key_slots: int,
) -> int:
    """What a memory takes on disk when its run is done; ``num_slots`` is 0 where every class has a map."""
    maps = num_slots or num_classes
    sides = 2 * (maps * grid**2 + (2 * maps if num_slots else 0) + 4 * num_classes)
    key_frame = min(num_key_slots, maps) * (grid**2 + 2)
    fixed = 8 + 64 + num_classes
    return num_images * (sides + fixed + num_epochs * num_classes + num_key_frames * key_frame)
