"""What an evaluation found, image by image, on disk and read without torch.

    predictions/
      summary.json        which checkpoint, on what, with which metrics
      classes.json        [[class id, name], ...]: the columns of ``scores_NC`` and the rows that classes are named by
      phrases.json        [phrase, ...]: the rows that phrases are named by
      regions.npz  grounding.npz  detections.npz  retrieval.npz  images.npz  proposals.npz    one per measured task
      held_out_retrieval.npz  held_out_images.npz     the same among what was held out alone

A folder is complete when it has its final name.  Scores are cosines unless it says otherwise; a rank is the number of
wrong answers that stand before the right one, ties counted against the model; boxes are ``unit`` XYXY.
Axes: N = regions, C = classes, Q = phrases asked of an image, P = detections, I = images, T = texts.
"""

import secrets
import shutil
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.domain.geometry import BoxArray
from locstudio.jobs.json_files import read_json
from locstudio.jobs.run_folder import sync_folder, write_whole

MAX_TABLE_BYTES = 8 << 30
Ints = NDArray[np.int64]
_ClassId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


class Summary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured.  ``metrics`` are over everything, ``held_out_metrics`` over what was never learnt from.

    Each metric is a share in [0, 1]; ``n_...`` counts queries.  ``logit_scale`` turns the checkpoint's cosines into
    logits.
    """

    checkpoint_id: str
    name: str
    split: str = ""
    num_images: int = 0
    num_held_out_images: int = 0
    logit_scale: float = 1.0
    metrics: dict[str, float] = {}
    held_out_metrics: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its axes (a digit is a length), its type, and what its whole numbers are rows of."""

    axes: str
    dtype: type[np.generic]
    of: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class RegionPredictions:
    """How true boxes were named.

    ``boxes`` and ``true_rows`` are what was true when it was measured; ``found_rows`` is the class that stands first,
    ``ranks`` the place of the right one.  They come from float32; ``scores`` are rounded to half precision.
    """

    region_ids: Annotated[Ints, Column("N", np.int64)]
    image_ids: Annotated[Ints, Column("N", np.int64)]
    boxes: Annotated[BoxArray, Column("N4", np.float32)]
    true_rows: Annotated[Ints, Column("N", np.int64, of="classes")]
    found_rows: Annotated[Ints, Column("N", np.int64, of="classes")]
    ranks: Annotated[Ints, Column("N", np.int64)]
    is_held_out: Annotated[Bools, Column("N", np.bool_)]
    scores: Annotated[NDArray[np.float16], Column("NC", np.float16)]


@dataclass(frozen=True, slots=True, eq=False)
class GroundingPredictions:
    """Where phrases were found: one row for each distinct phrase of an image.

    ``region_ids`` is the true region of the phrase that the found box overlaps most (the oldest where it overlaps
    none), ``true_boxes`` its box, ``ious`` their overlap.
    """

    region_ids: Annotated[Ints, Column("Q", np.int64)]
    image_ids: Annotated[Ints, Column("Q", np.int64)]
    phrase_rows: Annotated[Ints, Column("Q", np.int64, of="phrases")]
    true_boxes: Annotated[BoxArray, Column("Q4", np.float32)]
    found: Annotated[BoxArray, Column("Q4", np.float32)]
    ious: Annotated[Floats, Column("Q", np.float32)]
    scores: Annotated[Floats, Column("Q", np.float32)]
    is_held_out: Annotated[Bools, Column("Q", np.bool_)]


@dataclass(frozen=True, slots=True, eq=False)
class ProposalPredictions:
    """Which true boxes the proposals cover, whatever they are.

    ``ranks`` is how many proposals stand before the first that overlaps the box by a half (so many as there could be,
    where none does), ``ious`` the best overlap of all.  ``true_rows`` is 0 where ``has_class`` is False.
    """

    region_ids: Annotated[Ints, Column("N", np.int64)]
    image_ids: Annotated[Ints, Column("N", np.int64)]
    boxes: Annotated[BoxArray, Column("N4", np.float32)]
    true_rows: Annotated[Ints, Column("N", np.int64)]
    has_class: Annotated[Bools, Column("N", np.bool_)]
    ranks: Annotated[Ints, Column("N", np.int64)]
    ious: Annotated[Floats, Column("N", np.float32)]
    is_held_out: Annotated[Bools, Column("N", np.bool_)]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Proposals named by class; ``scores`` say how likely each shows its class, in [0, 1]."""

    image_ids: Annotated[Ints, Column("P", np.int64)]
    boxes: Annotated[BoxArray, Column("P4", np.float32)]
    class_rows: Annotated[Ints, Column("P", np.int64, of="classes")]
    scores: Annotated[Floats, Column("P", np.float32)]
    is_held_out: Annotated[Bools, Column("P", np.bool_)]


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalPredictions:
    """How regions and phrases found each other; ``ranks_t2r`` has one entry for each phrase of ``phrases.json``."""

    region_ids: Annotated[Ints, Column("N", np.int64)]
    image_ids: Annotated[Ints, Column("N", np.int64)]
    phrase_rows: Annotated[Ints, Column("N", np.int64, of="phrases")]
    ranks_r2t: Annotated[Ints, Column("N", np.int64)]
    is_held_out: Annotated[Bools, Column("N", np.bool_)]
    ranks_t2r: Annotated[Ints, Column("T", np.int64)]


@dataclass(frozen=True, slots=True, eq=False)
class ImageTextPredictions:
    """How images and captions found each other: ranks of images (I) and of captions (T)."""

    image_ids: Annotated[Ints, Column("I", np.int64)]
    ranks_i2t: Annotated[Ints, Column("I", np.int64)]
    is_held_out: Annotated[Bools, Column("I", np.bool_)]
    caption_ids: Annotated[Ints, Column("T", np.int64)]
    caption_image_ids: Annotated[Ints, Column("T", np.int64)]
    ranks_t2i: Annotated[Ints, Column("T", np.int64)]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Predictions:
    """All that one evaluation found; a task that was not measured, or had no ground truth, is None.

    What is searched decides a rank: ``held_out_...`` are queries among what was held out, and nothing else.
    """

    summary: Summary
    classes: tuple[tuple[int, str], ...] = ()
    phrases: tuple[str, ...] = ()
    regions: RegionPredictions | None = None
    grounding: GroundingPredictions | None = None
    proposals: ProposalPredictions | None = None
    detections: Detections | None = None
    retrieval: RetrievalPredictions | None = None
    images: ImageTextPredictions | None = None
    held_out_retrieval: RetrievalPredictions | None = None
    held_out_images: ImageTextPredictions | None = None


_TABLES: dict[str, type] = {
    "regions": RegionPredictions,
    "grounding": GroundingPredictions,
    "proposals": ProposalPredictions,
    "detections": Detections,
    "retrieval": RetrievalPredictions,
    "images": ImageTextPredictions,
    "held_out_retrieval": RetrievalPredictions,
    "held_out_images": ImageTextPredictions,
}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PredictionFolder:
    """Predictions on disk.  Everything that is read is checked, since a project may come from a stranger."""

    path: Path

    @property
    def is_present(self) -> bool:
        """Whether an evaluation has left its predictions here."""
        return (self.path / "summary.json").is_file()

    def summary(self) -> Summary:
        """What was measured.

        Raises:
            BadInput: it is missing or none of ours.
        """
        return self._json("summary.json", Summary)

    def read(self) -> Predictions:
        """Everything.

        Raises:
            BadInput: a file is missing, damaged, too large, or holds what cannot be.
        """
        summary = self.summary()
        classes = tuple(self._json("classes.json", list[tuple[_ClassId, str]]))
        phrases = tuple(self._json("phrases.json", list[str]))
        lengths = {"classes": len(classes), "phrases": len(phrases)}
        tables = {name: self._table(name, kind, lengths) for name, kind in _TABLES.items()}
        if tables["regions"] is not None and tables["regions"].scores.shape[1] != len(classes):
            raise self._damaged("regions.npz", f"it has scores of other than {len(classes)} classes")
        for name in ("retrieval", "held_out_retrieval"):
            if tables[name] is not None and len(tables[name].ranks_t2r) != len(phrases):
                raise self._damaged(f"{name}.npz", f"it has ranks of other than {len(phrases)} phrases")
        return Predictions(summary=summary, classes=classes, phrases=phrases, **tables)

    def write(self, predictions: Predictions) -> None:
        """Write everything beside the final name, then give it that name; older predictions there are replaced.

        Raises:
            ValueError: a column has another type or length than it should, or is not finite.
            StorageFailed: the disk is full or read-only.
        """
        for leftover in self.path.parent.glob(f"{self.path.name}.*.partial"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        partial = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.partial")
        try:
            partial.mkdir(parents=True)
            for name in _TABLES:
                table = getattr(predictions, name)
                if table is not None:
                    columns = {column.name: getattr(table, column.name) for column in fields(table)}
                    if problem := _problem(
                        table, {"classes": len(predictions.classes), "phrases": len(predictions.phrases)}
                    ):
                        raise ValueError(f"{name}: {problem}")
                    np.savez(partial / f"{name}.npz", allow_pickle=False, **columns)
            write_whole(partial / "classes.json", msgspec.json.encode(predictions.classes))
            write_whole(partial / "phrases.json", msgspec.json.encode(predictions.phrases))
            document = msgspec.json.format(msgspec.json.encode(predictions.summary))
            write_whole(partial / "summary.json", document + b"\n")
            shutil.rmtree(self.path, ignore_errors=True)
            partial.rename(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise StorageFailed(f"{self.path} could not be written: {error.strerror or error}.") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _json(self, name: str, kind: type[_T]) -> _T:
        try:
            return read_json(self.path / name, kind)
        except (OSError, msgspec.MsgspecError) as error:
            raise self._damaged(name, str(error)) from error

    def _table(self, name: str, kind: type[Any], lengths: dict[str, int]) -> Any:
        file = self.path / f"{name}.npz"
        if not file.exists():
            return None
        wanted = [column.name for column in fields(kind)]
        try:
            with zipfile.ZipFile(file) as archive:
                members = {member.filename: member for member in archive.infolist()}
                # Stored, not deflated: a small file cannot unpack into a large one.
                if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
                    raise ValueError("it is compressed")
            if set(members) != {f"{column}.npy" for column in wanted}:
                raise ValueError("its columns are not those of this table")
            if file.stat().st_size > MAX_TABLE_BYTES:
                raise ValueError(f"it is larger than {MAX_TABLE_BYTES >> 30} GiB")
            with np.load(file, allow_pickle=False) as arrays:
                table = kind(**{column: arrays[column] for column in wanted})
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, MemoryError) as error:
            raise self._damaged(file.name, str(error)) from error
        if problem := _problem(table, lengths):
            raise self._damaged(file.name, problem)
        return table

    def _damaged(self, name: str, why: str) -> BadInput:
        return BadInput(f"The evaluation in {self.path} cannot be read: {name} is damaged ({why}). Evaluate again.")


class GateCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that was looked at before a checkpoint may take another's place; ``sentence`` says what was found.

    ``old`` and ``new`` are the numbers that were compared, None where there were none.
    """

    name: str
    passed: bool
    sentence: str
    old: float | None = None
    new: float | None = None


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the checkpoint ``new_id`` may take the place of ``old_id``, and why.

    ``new_id`` is empty where the new checkpoint could not be read at all.
    """

    passed: bool
    old_id: str
    new_id: str
    checks: tuple[GateCheck, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences of the checks that failed."""
        return tuple(check.sentence for check in self.checks if not check.passed)


def read_gate(results: Path) -> Gate | None:
    """The gate of a comparison's ``results`` folder; None while there is none.

    Raises:
        BadInput: the file is none of ours.
    """
    path = results / "gate.json"
    try:
        return read_json(path, Gate)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(f"{path} cannot be read: {error}. Compare the two checkpoints again.") from error


def write_gate(results: Path, gate: Gate) -> None:
    """Put the gate into a comparison's ``results`` folder."""
    write_whole(results / "gate.json", msgspec.json.format(msgspec.json.encode(gate)) + b"\n")


def _problem(table: Any, lengths: dict[str, int]) -> str:
    """What is wrong with a table's columns, or nothing."""
    sizes: dict[str, int] = {}
    for entry in fields(table):
        name, values = entry.name, getattr(table, entry.name)
        column: Column = entry.type.__metadata__[0]  # type: ignore[union-attr]  # every column is annotated with one
        if values.dtype != np.dtype(column.dtype) or values.ndim != len(column.axes):
            return f"{name} is {values.dtype} with {values.ndim} axes"
        for axis, size in zip(column.axes, values.shape, strict=True):
            if size != (int(axis) if axis.isdigit() else sizes.setdefault(axis, size)):
                return f"{name} has {size} along {axis}"
        if not len(values):
            continue
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"{name} is not finite"
        if values.dtype.kind == "i" and values.min() < 0:
            return f"{name} is negative"
        if column.of and values.max() >= lengths[column.of]:
            return f"{name} names rows beyond the {lengths[column.of]} {column.of}"
        if column.axes.endswith("4") and not bool(((values >= 0) & (values <= 1)).all()):
            return f"{name} holds boxes that leave the image"
    return ""
