"""One level of a stream's courses on disk: a header and blocks of a few rows, each a ring of lines.

Its pages belong to the system, which writes them when it likes: a killed process loses nothing, a power cut at most the
last half minute. Recovery repeats the journal since the last checkpoint, which writes the same cells again.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daemon.store.course_cells import FACTOR, LINES, Cells, cell

DIRECTORY = "courses"
BLOCK = 16
"""Rows of a block."""
LEFT_BYTES = 256 << 20
"""Room that is left to journal and checkpoints: where there is less, no course grows."""
_HEADER = struct.Struct("<4sHHHHI")
_MAGIC, _HEADER_BYTES = b"TGK1", 4096


def course_path(directory: Path, stream: str, level: int) -> Path:
    """The file of a level in a state directory."""
    return directory / DIRECTORY / f"{stream}.{level}"


def block_bytes(width: int) -> int:
    """Bytes of a block."""
    return BLOCK * LINES * cell(width).itemsize


def _header(width: int, interval_s: int) -> bytes:
    return _HEADER.pack(_MAGIC, cell(width).itemsize, LINES, BLOCK, FACTOR, interval_s)


class CourseFile:
    """Writes a level; a file of another layout is begun anew.

    Args:
        path: The file.
        width: Variables of a reading.
        interval_s: Length of a slot.

    Raises:
        OSError: The file cannot be made.
    """

    def __init__(self, path: Path, width: int, interval_s: int) -> None:
        self._dtype, self._block, header = cell(width), block_bytes(width), _header(width, interval_s)
        self._path = path
        self.cells: Cells = np.zeros(0, self._dtype)
        self._map: mmap.mmap | None = None
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with _opened(path, os.O_RDWR | os.O_CREAT) as file:
            if os.pread(file, _HEADER.size, 0) != header:
                os.ftruncate(file, 0)
                os.pwrite(file, header.ljust(_HEADER_BYTES, b"\0"), 0)
            self._open_map(file)

    @property
    def rows(self) -> int:
        """Rows there is room for."""
        return len(self.cells) // LINES

    @property
    def size(self) -> int:
        """Bytes of all blocks."""
        return self.cells.nbytes

    def grow(self, rows: int) -> None:
        """Take room for so many rows. Raises OSError where there is none; nothing has changed then."""
        size = _HEADER_BYTES + -(-rows // BLOCK) * self._block
        with _opened(self._path, os.O_RDWR) as file:
            found = os.fstatvfs(file)
            if size - os.fstat(file).st_size > found.f_bavail * found.f_frsize - LEFT_BYTES:
                raise OSError(errno.ENOSPC, f"less than {LEFT_BYTES >> 20} MiB would be left to journal and state")
            os.posix_fallocate(file, 0, size)
            self._open_map(file)

    def at(self, row: npt.NDArray[np.int64], bucket: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Indices into `cells`."""
        index: npt.NDArray[np.int64] = (row // BLOCK * LINES + bucket % LINES) * BLOCK + row % BLOCK
        return index

    def release(self) -> None:
        """Have the pages that were written count no longer as this process' memory; they stay the file's."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)

    def _open_map(self, file: int) -> None:
        blocks = (os.fstat(file).st_size - _HEADER_BYTES) // self._block
        if blocks > 0:
            # a copy may have left holes: to fill one through the map on a full disk would end the process (SIGBUS)
            os.posix_fallocate(file, 0, _HEADER_BYTES + blocks * self._block)
            self._map = mmap.mmap(file, _HEADER_BYTES + blocks * self._block)
            self.cells = np.frombuffer(self._map, self._dtype, blocks * BLOCK * LINES, _HEADER_BYTES)


@contextmanager
def _opened(path: Path, how: int) -> Iterator[int]:
    file = os.open(path, how | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def read_ring(path: Path, width: int, interval_s: int, row: int) -> Cells | None:
    """The ring of one row as it is now, one read of some hundred kilobytes; None where there is none."""
    try:
        with _opened(path, os.O_RDONLY) as file:
            if os.pread(file, _HEADER.size, 0) != _header(width, interval_s):
                return None
            found = os.pread(file, block_bytes(width), _HEADER_BYTES + row // BLOCK * block_bytes(width))
    except FileNotFoundError:
        return None
    if len(found) != block_bytes(width):
        return None
    cells: Cells = np.frombuffer(found, cell(width)).reshape(LINES, BLOCK)[:, row % BLOCK]
    return cells
