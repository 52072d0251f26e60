"""What an evaluation of a model that names the classes of images found, on disk and read without torch.

    class_results.json    which checkpoint, on what, its metrics, and the average precision of each class

The folder is ``results/predictions`` of an evaluation, ``results/old`` and ``results/new`` of a comparison.
"""

from pathlib import Path

import msgspec

from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.jobs.json_files import read_json
from locstudio.jobs.run_folder import write_whole

_NAME = "class_results.json"


class ClassPrecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One class: in how many images it is and is not, and its average precision, None where it is in none of them.

    ``top1`` is the share of the images that show it of which it was the likeliest class; None where that was not asked.
    """

    class_id: int
    name: str
    num_positives: int
    num_negatives: int
    average_precision: float | None = None
    top1: float | None = None


class ClassResults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One evaluation.  ``split`` empty means every labelled image.

    ``metrics`` are shares in [0, 1] by name: ``map`` is the mean of the average precisions of the classes, ``top1`` how
    often the likeliest class was a right one.
    ``num_held_out`` of the ``num_images`` were not learnt from.
    """

    checkpoint_id: str
    name: str
    split: str = ""
    num_images: int
    num_held_out: int = 0
    metrics: dict[str, float] = {}
    classes: tuple[ClassPrecision, ...] = ()


def has_class_results(folder: Path) -> bool:
    """Whether an evaluation of classes has left its results here."""
    return (folder / _NAME).is_file()


def read_class_results(folder: Path) -> ClassResults:
    """What was found.

    Raises:
        BadInput: the file is missing or none of ours.
    """
    try:
        return read_json(folder / _NAME, ClassResults)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(f"The evaluation in {folder} cannot be read: {error}. Evaluate again.") from error


def write_class_results(folder: Path, results: ClassResults) -> None:
    """Write what was found, whole.

    Raises:
        StorageFailed: the disk is full or read-only.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / _NAME, msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    except OSError as error:
        raise StorageFailed(f"{folder} could not be written: {error.strerror or error}.") from error
