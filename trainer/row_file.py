"""Arrays on disk that are read and written row by row, by system calls: a full disk is an error, never a signal."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.jobs.run_folder import without_links

Rows = NDArray[np.int64]


class RowFile:
    """A ``.npy`` file whose rows are read and written one by one.

    Args:
        path: The file.
        dtype: Of its numbers.
        num_rows: How many rows it has.
        shape: Of a row.
        leading: The shape of all rows together where that is not one axis.
        makes: It is a new one, full of zeros and taking no space.

    Raises:
        BadInput: it is there, but damaged or another one.
        OSError: it cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        dtype: type[np.generic],
        num_rows: int,
        shape: tuple[int, ...],
        *,
        leading: tuple[int, ...] = (),
        makes: bool = False,
    ) -> None:
        self._dtype = np.dtype(dtype)
        self._shape = shape
        self._row_bytes = int(np.prod(shape)) * self._dtype.itemsize
        try:
            self._file = open(path, "x+b" if makes else "r+b", buffering=0, opener=without_links)  # noqa: SIM115
        except FileNotFoundError as error:
            raise BadInput(f"{path} is missing.") from error
        self._is_dirty = makes
        whole = (*(leading or (num_rows,)), *shape)
        if makes:
            npy.write_array_header_1_0(
                self._file, {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": whole}
            )
            self._offset = self._file.tell()
            self._file.truncate(self._offset + num_rows * self._row_bytes)
        else:
            self._offset = self._require(path, whole)

    def read(self, rows: Rows) -> NDArray[Any]:
        """The rows, one after another."""
        out = np.empty((len(rows), *self._shape), self._dtype)
        view = out.reshape(-1).view(np.uint8).data
        for at, row in enumerate(rows):
            piece = view[at * self._row_bytes : (at + 1) * self._row_bytes]
            if os.preadv(self._file.fileno(), [piece], self._offset + int(row) * self._row_bytes) != self._row_bytes:
                raise OSError(errno.EIO, "the file is shorter than it should be", self._file.name)
        return out

    def write(self, rows: Rows, values: NDArray[Any]) -> None:
        """Put these rows in place of what is there."""
        self._is_dirty = True
        view = np.ascontiguousarray(values, self._dtype).reshape(-1).view(np.uint8).data
        for at, row in enumerate(rows):
            piece = view[at * self._row_bytes : (at + 1) * self._row_bytes]
            if os.pwrite(self._file.fileno(), piece, self._offset + int(row) * self._row_bytes) != self._row_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)

    def sync(self) -> None:
        """Make what was written durable."""
        if self._is_dirty:
            os.fsync(self._file.fileno())
        self._is_dirty = False

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _require(self, path: Path, whole: tuple[int, ...]) -> int:
        """Where the rows begin in a file that is there already.

        Raises:
            BadInput: it is another one.
        """
        try:
            self._file.seek(0)
            if npy.read_magic(self._file) != (1, 0):
                raise ValueError("another version of the format")
            shape, is_fortran, dtype = npy.read_array_header_1_0(self._file)
        except ValueError as error:
            raise BadInput(f"{path} is damaged: {error}.") from error
        if shape != whole or dtype != self._dtype or is_fortran:
            raise BadInput(f"{path} is damaged: it holds {dtype} {shape}.")
        offset = self._file.tell()
        if self._file.seek(0, os.SEEK_END) != offset + int(np.prod(whole)) * self._dtype.itemsize:
            raise BadInput(f"{path} is damaged: it is cut off.")
        return offset
