"""What a consistency run remembers of every image, on disk: written here, read by ``locstudio.jobs.heatmaps``.

A row is read from the side that is whole and written to the other one, so an epoch that was begun can be done again
from any of its steps, and a reader that keeps up sees whole epochs only.  Rows are read and written by system calls
rather than through a mapping: a full disk is an error with a sentence then, not the end of the process.

Axes: B = rows of a batch, N = images, L = classes, K = maps an image, W = side of a map, T = maps of a key frame.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from locstudio.domain.errors import StorageFailed
from locstudio.jobs.heatmaps import HeatHeader, Heatmaps, Side
from locstudio.jobs.run_folder import sync_folder, write_whole
from trainer.heat_bytes import Floats, threshold_of, to_bytes
from trainer.row_file import RowFile, Rows

_CHUNK_BYTES = 16 << 20


class HeatMemory:
    """Running-average scores and heatmaps of a run, row by row and epoch by epoch.

    ``begin_epoch``, then ``rows_before`` and ``put`` for every row, each at most once an epoch, then ``end_epoch``.
    ``flush`` goes before a checkpoint is written.

    Args:
        folder: Complete already; ``create`` makes one.
        header: What it holds.
        key_epochs: Epochs of which a key frame is to be kept.
        num_key_slots: Maps an image of a key frame, at most.
        makes: Make its larger files, which are not there yet.
    """

    def __init__(
        self, folder: Path, header: HeatHeader, *, key_epochs: Sequence[int], num_key_slots: int, makes: bool = False
    ) -> None:
        self._folder = folder
        self._header = header
        self._key_epochs = frozenset(key_epochs)
        self._num_key_slots = min(num_key_slots, header.num_maps)
        self._num_classes = len(header.class_ids)
        self._labels_NL: NDArray[np.int8] = np.load(folder / "labels.npy", allow_pickle=False)
        self._files = _files_of(folder, header, makes=makes)
        self._is_seen_N = np.zeros(header.num_images, bool)
        self._threshold_WW = threshold_of(header.grid, header.epoch)

    @classmethod
    def create(
        cls,
        folder: Path,
        header: HeatHeader,
        *,
        image_ids: NDArray[np.int64],
        contents: Sequence[str],
        labels_NL: NDArray[np.int8],
        starts_with_label: bool,
        known: Heatmaps | None = None,
        key_epochs: Sequence[int] = (),
        num_key_slots: int = 12,
    ) -> "HeatMemory":
        """A memory that has seen nothing yet; what was in the folder goes.

        Args:
            folder: Where it will lie.
            header: Of epoch 0.
            image_ids: Rising.
            contents: SHA-256 of each image's file, empty where it is not known.
            labels_NL: 1 there, 0 not there, -1 not known.
            starts_with_label: Scores of what is there begin with ones; heatmaps begin with zeros.
            known: Images with the same content begin with what this run remembers of them instead.
            key_epochs: Epochs of which a key frame is to be kept.
            num_key_slots: Maps an image of a key frame, at most.

        Raises:
            StorageFailed: the disk refuses; nothing is left.
        """
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        with _storage(folder, 0):
            try:
                partial.mkdir(parents=True)
                np.save(partial / "image_ids.npy", image_ids.astype(np.int64))
                np.save(partial / "contents.npy", np.array([text.encode() for text in contents], "S64"))
                np.save(partial / "labels.npy", labels_NL.astype(np.int8))
                memory = cls(partial, header, key_epochs=key_epochs, num_key_slots=num_key_slots, makes=True)
                try:
                    memory._begin_with(image_ids, contents, starts_with_label=starts_with_label, known=known)
                    memory.flush()
                    _write_header(partial, header)
                finally:
                    memory.close()
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            sync_folder(folder.parent)
        return cls(folder, header, key_epochs=key_epochs, num_key_slots=num_key_slots)

    @classmethod
    def resume(
        cls, folder: Path, epoch: int, *, key_epochs: Sequence[int] = (), num_key_slots: int = 12
    ) -> "HeatMemory":
        """Go on after this many whole epochs.

        One epoch more may have been finished than the weights know of; it is taken back then, and done again.
        ``epoch`` of the memory says where it really stands: another number than was asked for where the right side has
        been written over since.

        Raises:
            BadInput: the folder is damaged, or there is none.
            StorageFailed: the disk refuses.
        """
        header = Heatmaps.open(folder).header
        if header.epoch != epoch and header.other_epoch == epoch:
            keys = tuple(key for key in header.key_epochs if key <= epoch)
            header = replace(header, epoch=epoch, side=_other(header.side), key_epochs=keys, other_epoch=-1)
            with _storage(folder, epoch):
                _write_header(folder, header)
        return cls(folder, header, key_epochs=key_epochs, num_key_slots=num_key_slots)

    @property
    def epoch(self) -> int:
        """How many epochs are whole."""
        return self._header.epoch

    @property
    def header(self) -> HeatHeader:
        """What a reader sees."""
        return self._header

    def count_from(self, epoch: int, done: Rows) -> None:
        """Take what is remembered for the state after this epoch, and after these rows of the one that was begun.

        For weights whose own state is no longer here.

        Raises:
            StorageFailed: the disk refuses.
        """
        keys = tuple(key for key in self._header.key_epochs if key <= epoch)
        with _storage(self._folder, epoch):
            self._header = replace(self._header, epoch=epoch, key_epochs=keys, other_epoch=-1)
            self._carry_over(done)
            self._sync()
            _write_header(self._folder, self._header)

    def begin_epoch(self, done: Rows | None = None) -> None:
        """Begin the epoch after the whole ones, or go on with it where these rows have been put already."""
        self._is_seen_N[:] = False
        if done is not None:
            self._is_seen_N[done] = True
        self._threshold_WW = threshold_of(self._header.grid, self._header.epoch + 1)

    def rows_before(self, rows: Rows) -> tuple[Floats, Floats]:
        """Running-average scores (B, L) and heatmaps (B, L, W, W) as they were before this epoch.

        The map of a class that none is kept of is its score everywhere.
        """
        side = self._header.side
        averages_BL: Floats = self._files[f"averages_{side}"].read(rows)
        maps_BKWW = self._files[f"maps_{side}"].read(rows)
        scaled_BKWW = np.multiply(maps_BKWW, np.float32(1 / 255), dtype=np.float32)
        if not self._header.num_slots:
            return averages_BL, scaled_BKWW
        grid = self._header.grid
        maps_BLWW = np.repeat(averages_BL, grid * grid, axis=1).reshape(*averages_BL.shape, grid, grid)
        slots_BK = self._files[f"slots_{side}"].read(rows)
        at_B, at_K = np.nonzero(slots_BK >= 0)
        maps_BLWW[at_B, slots_BK[at_B, at_K]] = scaled_BKWW[at_B, at_K]
        return averages_BL, maps_BLWW

    def put(self, rows: Rows, scores_BL: Floats, averages_BL: Floats, maps_BLWW: Floats) -> None:
        """Remember what this epoch made of these rows.

        Args:
            rows: Which.
            scores_BL: The scores as they were.
            averages_BL: Their running averages.
            maps_BLWW: Running averages of the heatmaps.

        Raises:
            StorageFailed: the disk refuses; the epochs before stand.
        """
        with _storage(self._folder, self._header.epoch):
            if self._header.other_epoch >= 0:
                self._change_header(other_epoch=-1)
            self._put(_other(self._header.side), rows, averages_BL, maps_BLWW)
            self._scores(rows, np.rint(np.clip(scores_BL, 0, 1) * 255).astype(np.uint8))
        self._is_seen_N[rows] = True

    def flush(self) -> None:
        """Make everything durable that was put; for a checkpoint that is about to be written.

        Raises:
            StorageFailed: the disk refuses.
        """
        with _storage(self._folder, self._header.epoch):
            self._sync()

    def end_epoch(self) -> None:
        """The epoch is whole and durable: rows that were not put stay as they were, and readers see it from now on.

        Raises:
            StorageFailed: the disk refuses; the epochs before stand.
        """
        new, epoch = _other(self._header.side), self._header.epoch + 1
        with _storage(self._folder, self._header.epoch):
            self._carry_over(np.flatnonzero(~self._is_seen_N))
            self._sync()
            keys = self._header.key_epochs
            if epoch in self._key_epochs:
                self._write_key_frame(new, epoch)
                keys = (*(key for key in keys if key < epoch), epoch)
            self._change_header(epoch=epoch, side=new, key_epochs=keys, other_epoch=self._header.epoch)
        self.begin_epoch()

    def name_checkpoint(self, checkpoint_id: str) -> None:
        """Say whose scores these are.

        Raises:
            StorageFailed: the disk refuses.
        """
        with _storage(self._folder, self._header.epoch):
            self._change_header(checkpoint_id=checkpoint_id)

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files.values():
            file.close()

    def _put(self, side: Side, rows: Rows, averages_BL: Floats, maps_BLWW: Floats) -> None:
        self._files[f"averages_{side}"].write(rows, averages_BL)
        if self._header.num_slots:
            slots_BK = self._best(rows, averages_BL, self._header.num_slots)
            self._files[f"slots_{side}"].write(rows, slots_BK)
            maps_BLWW = maps_BLWW[np.arange(len(rows))[:, None], slots_BK]
        self._files[f"maps_{side}"].write(rows, to_bytes(maps_BLWW, self._threshold_WW))

    def _carry_over(self, rows: Rows) -> None:
        """Have the epoch leave these rows as they were before it."""
        old, new = self._header.side, _other(self._header.side)
        for some in self._chunks(rows):
            for name in ("averages", "maps", *(("slots",) if self._header.num_slots else ())):
                self._files[f"{name}_{new}"].write(some, self._files[f"{name}_{old}"].read(some))
            self._scores(some, self._scores_before(some))

    def _best(self, rows: Rows, averages_BL: Floats, count: int) -> NDArray[np.int16]:
        """The classes worth a map, rising: what is known to be there, then what is expected."""
        labels_BL = self._labels_NL[rows]
        worth_BL = averages_BL + 2.0 * (labels_BL == 1) - 2.0 * (labels_BL == 0)
        order_BL = np.argsort(-worth_BL, axis=1, kind="stable")
        return np.sort(order_BL[:, :count], axis=1).astype(np.int16)

    def _scores(self, rows: Rows, scores_BL: NDArray[np.uint8]) -> None:
        self._files["scores"].write(self._header.epoch * self._header.num_images + rows, scores_BL)

    def _scores_before(self, rows: Rows) -> NDArray[np.uint8]:
        before = self._header.epoch - 1
        if before < 0:
            return np.zeros((len(rows), self._num_classes), np.uint8)
        found: NDArray[np.uint8] = self._files["scores"].read(before * self._header.num_images + rows)
        return found

    def _begin_with(
        self, image_ids: NDArray[np.int64], contents: Sequence[str], *, starts_with_label: bool, known: Heatmaps | None
    ) -> None:
        """Write epoch 0; heatmaps of zeros are not written at all and take no space."""
        grid, side = self._header.grid, self._header.side
        for rows in self._chunks(np.arange(self._header.num_images, dtype=np.int64)):
            averages_BL = np.zeros((len(rows), self._num_classes), np.float32)
            if starts_with_label:
                averages_BL[self._labels_NL[rows] == 1] = 1.0
            if known is None and not self._header.num_slots:
                self._files[f"averages_{side}"].write(rows, averages_BL)
                continue
            maps_BLWW = np.zeros((*averages_BL.shape, grid, grid), np.float32)
            if known is not None:
                for at, row in enumerate(rows):
                    _take_over(known, int(image_ids[row]), contents[row], self._header, averages_BL[at], maps_BLWW[at])
            self._put(side, rows, averages_BL, maps_BLWW)

    def _write_key_frame(self, side: Side, epoch: int) -> None:
        header, count = self._header, self._num_key_slots
        frame, slots = f"key_{epoch:04d}.npy", f"key_slots_{epoch:04d}.npy"
        for name in (frame, slots):
            (self._folder / f"{name}.partial").unlink(missing_ok=True)
        shape = (count, header.grid, header.grid)
        maps = RowFile(self._folder / f"{frame}.partial", np.uint8, header.num_images, shape, makes=True)
        chosen = RowFile(self._folder / f"{slots}.partial", np.int16, header.num_images, (count,), makes=True)
        try:
            for rows in self._chunks(np.arange(header.num_images, dtype=np.int64)):
                maps_BKWW = self._files[f"maps_{side}"].read(rows)
                best_BT: NDArray[np.int16] = self._best(rows, self._files[f"averages_{side}"].read(rows), count)
                at_BT = best_BT
                if header.num_slots:
                    # Both choices are by the same order, so what is best is among the slots.
                    slots_BK = self._files[f"slots_{side}"].read(rows)
                    at_BT = (slots_BK[:, None, :] == best_BT[:, :, None]).argmax(axis=2).astype(np.int16)
                maps.write(rows, maps_BKWW[np.arange(len(rows))[:, None], at_BT])
                chosen.write(rows, best_BT)
            for file in (maps, chosen):
                file.sync()
        finally:
            maps.close()
            chosen.close()
        for name in (frame, slots):
            os.replace(self._folder / f"{name}.partial", self._folder / name)

    def _chunks(self, rows: Rows) -> Iterator[Rows]:
        size = max(1, _CHUNK_BYTES // max(1, 4 * self._num_classes * self._header.grid**2))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _sync(self) -> None:
        for file in self._files.values():
            file.sync()

    def _change_header(self, **changes: Any) -> None:
        header = replace(self._header, **changes)
        _write_header(self._folder, header)
        self._header = header


def _files_of(folder: Path, header: HeatHeader, *, makes: bool) -> dict[str, RowFile]:
    num_images, num_classes, maps = header.num_images, len(header.class_ids), header.num_maps

    def opened(name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> RowFile:
        return RowFile(folder / f"{name}.npy", dtype, num_images, shape, makes=makes)

    files: dict[str, RowFile] = {}
    for side in ("a", "b"):
        files[f"maps_{side}"] = opened(f"maps_{side}", np.uint8, (maps, header.grid, header.grid))
        files[f"averages_{side}"] = opened(f"averages_{side}", np.float32, (num_classes,))
        if header.num_slots:
            files[f"slots_{side}"] = opened(f"slots_{side}", np.int16, (maps,))
    files["scores"] = RowFile(
        folder / "scores.npy",
        np.uint8,
        header.num_epochs * num_images,
        (num_classes,),
        leading=(header.num_epochs, num_images),
        makes=makes,
    )
    return files


def _take_over(
    known: Heatmaps, image_id: int, content: str, header: HeatHeader, averages_L: Floats, maps_LWW: Floats
) -> None:
    """Begin with what an earlier run remembers of this image, if it is still the same file and grid."""
    row = known.rows.get(image_id)
    if row is None or known.header.grid != header.grid:
        return
    seen = known.content_of(image_id)
    if seen and content and seen != content:
        return
    maps = known.maps_of(image_id)
    for position, class_id in enumerate(header.class_ids):
        at = known.positions.get(class_id)
        if at is None:
            continue
        averages_L[position] = np.clip(np.nan_to_num(known.averages_NL[row, at]), 0, 1)  # of any file
        found = maps.get(class_id)
        maps_LWW[position] = averages_L[position] if found is None else found.astype(np.float32) / 255


def _write_header(folder: Path, header: HeatHeader) -> None:
    """By rename, so that a reader sees the one or the other."""
    write_whole(folder / "header.json", msgspec.json.format(msgspec.json.encode(header)) + b"\n")


def _other(side: Side) -> Side:
    return "b" if side == "a" else "a"


@contextmanager
def _storage(folder: Path, epoch: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        stands = f"those of epoch {epoch} stand; " if epoch else ""
        why = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
        raise StorageFailed(
            f"The heatmaps could not be written to {folder}: {why}; {stands}free some space and resume the run."
        ) from error
