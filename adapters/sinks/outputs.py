"""Where events go besides the store's table. Delivery is at least once: after a crash the last lines may come again."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Protocol


class Sink(Protocol):
    """Takes lines of JSON, each at least once."""

    def deliver(self, lines: list[bytes]) -> int | None:
        """Hand on whole lines without their newlines; returns the committed length in bytes where there is one.

        Raises:
            OSError: They could not be delivered; deliver them again.
        """

    def close(self) -> None:
        """Release the descriptor."""


class JsonLinesFile:
    """Appends to a file; lines are on disk when `deliver` returns.

    What lies beyond the committed length at the start was written by a run that died before it could store the length;
    it is cut off, and those lines are delivered again. A file shorter than that, or not there, was rotated: it goes on
    at its end. A file renamed while running (logrotate) is noticed at the next delivery, which starts the new one.

    Args:
        path: The file; its directory must exist.
        committed_bytes: What the last successful `deliver` of any run returned; None leaves the file as it is.

    Raises:
        OSError: The file cannot be opened for writing.
    """

    def __init__(self, path: str | Path, committed_bytes: int | None) -> None:
        self._path = Path(path)
        self._fd = self._open()
        if committed_bytes is not None and committed_bytes < self._size() and self._regular():
            os.ftruncate(self._fd, committed_bytes)
        self._committed = self._size()

    def deliver(self, lines: list[bytes]) -> int:
        """Append lines, wait until they are on disk, return the file's length; a failed delivery leaves no trace."""
        if self._rotated():
            os.close(self._fd)
            self._fd = self._open()
            self._committed = self._size()
        if not lines:
            return self._committed
        data = memoryview(b"".join(line + b"\n" for line in lines))
        try:
            while data:
                data = data[os.write(self._fd, data) :]
            os.fsync(self._fd)
        except OSError:
            if self._regular():
                os.ftruncate(self._fd, self._committed)
            raise
        self._committed = self._size()
        return self._committed

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self._fd)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _size(self) -> int:
        return os.fstat(self._fd).st_size

    def _regular(self) -> bool:
        return stat.S_ISREG(os.fstat(self._fd).st_mode)

    def _rotated(self) -> bool:
        """Whether the path is another file by now, or none."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        ours = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


class StandardOutput:
    """Prints lines on a binary stream.

    Args:
        stream: Usually `sys.stdout.buffer`; left open by `close`.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def deliver(self, lines: list[bytes]) -> None:
        """Write and flush; nothing can be committed."""
        self._stream.write(b"".join(line + b"\n" for line in lines))
        self._stream.flush()

    def close(self) -> None:
        """Nothing to release."""
