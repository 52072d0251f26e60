"""What a training run leaves in its folder besides checkpoints and messages, each file JSON and written whole.

results/held_out.json        which images are measured and not learnt from
results/best.json            which checkpoint is the best so far
results/history.json         metrics before and during the run, and what happened to it
results/bad_batch.json       the images of the batch whose loss was no number, when the run failed by it
results/samples/step_N.json  what the model said of a few held-out regions after N steps
"""

from pathlib import Path
from typing import TypeVar

import msgspec

from locstudio.domain.errors import BadInput
from locstudio.jobs.json_files import read_json
from locstudio.jobs.run_folder import RunFolder, write_whole

_Document = TypeVar("_Document", bound=msgspec.Struct)


class HeldOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Images that are measured and not learnt from: those of ``split``, or drawn by their content where that is empty.

    ``num_regions`` are their regions that count as true and have a description.
    """

    split: str = ""
    image_ids: tuple[int, ...] = ()
    num_regions: int = 0


class BestStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The checkpoint to adopt.  ``path`` is relative to the run folder.

    Where nothing could be measured it is the newest one, ``metric`` is empty and ``value`` None.
    """

    step: int
    path: str
    metric: str = ""
    value: float | None = None


class History(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Metrics on what is held out, before the first step and by the number of steps done; and what happened, in words.

    Metrics are empty, not 0, where nothing could be measured.
    """

    before: dict[str, float] = {}
    evaluations: dict[int, dict[str, float]] = {}
    happened: tuple[str, ...] = ()


class BadBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The images of the batch of the step with this number, counted from 1."""

    step: int
    image_ids: tuple[int, ...]


class SampledRegion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One held-out region: its box (``unit``, XYXY), its true name, and the best guesses, each a share in [0, 1]."""

    image_id: int
    region_id: int
    box: tuple[float, float, float, float]
    truth: str
    guesses: tuple[tuple[str, float], ...]


class Samples(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model said after ``step`` steps, of the same regions every time."""

    step: int
    regions: tuple[SampledRegion, ...]


def write_document(path: Path, document: msgspec.Struct) -> None:
    """Write one of these files whole, its folder made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.format(msgspec.json.encode(document)) + b"\n")


def held_out_file(folder: RunFolder) -> Path:
    """Where the run says what it holds out."""
    return folder.results / "held_out.json"


def best_file(folder: RunFolder) -> Path:
    """Where the run names its best checkpoint."""
    return folder.results / "best.json"


def history_file(folder: RunFolder) -> Path:
    """Where the run keeps its metrics and what happened."""
    return folder.results / "history.json"


def bad_batch_file(folder: RunFolder) -> Path:
    """Where the run names the images that it failed by."""
    return folder.results / "bad_batch.json"


def samples_file(folder: RunFolder, step: int) -> Path:
    """Where the run puts its samples after this step; ``Sampled.path`` names the same file."""
    return folder.results / "samples" / f"step_{step}.json"


def read_held_out(folder: RunFolder) -> HeldOut | None:
    """What the run holds out, or None before it has said so."""
    return _read(held_out_file(folder), HeldOut)


def read_best(folder: RunFolder) -> BestStep | None:
    """The run's best checkpoint, or None before the first."""
    return _read(best_file(folder), BestStep)


def read_history(folder: RunFolder) -> History:
    """The run's history so far."""
    return _read(history_file(folder), History) or History()


def read_bad_batch(folder: RunFolder) -> BadBatch | None:
    """The batch that the run failed by, or None."""
    return _read(bad_batch_file(folder), BadBatch)


def read_samples(path: Path) -> Samples:
    """The samples of one evaluation.

    Raises:
        BadInput: there are none, or the file is not one of ours.
    """
    samples = _read(path, Samples)
    if samples is None:
        raise BadInput(f"There are no samples at {path}.")
    return samples


def _read(path: Path, kind: type[_Document]) -> _Document | None:
    try:
        return read_json(path, kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
