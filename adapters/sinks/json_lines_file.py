"""Events as lines of JSON in a file, on disk when they count as delivered."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from adapters.sinks.contract import Opening

LOOKED_AT = 16 << 20
"""Bytes at the end of a file that are looked at when it is not known how far it was delivered to."""


class JsonLinesFile:
    """Appends to a file; lines are on disk when `deliver` returns.

    What lies beyond the committed length at the start was written by a run that died before it could store the length:
    its whole lines stay, in `beyond`; the part of a line is cut off. A file shorter than that, or not there, was
    rotated: it goes on at its end. A file renamed while running (logrotate) is noticed at the next delivery, which
    starts the new one. A FIFO nobody reads from is waited for.

    Args:
        path: The file; its directory must exist.
        committed_bytes: What the last successful `deliver` of any run returned; None leaves the file as it is, and
            `beyond` has its newest lines.

    Raises:
        OSError: The file cannot be opened for writing.
    """

    def __init__(self, path: str | Path, committed_bytes: int | None) -> None:
        self._path = Path(path)
        self._fd, self._committed = -1, 0
        self.beyond: list[bytes] = []
        try:
            self._adopt(self._open())
        except OSError as error:
            if error.errno != errno.ENXIO:  # a FIFO without a reader
                raise
            return
        if self._regular():
            self._keep(committed_bytes)

    def deliver(self, lines: list[bytes]) -> int:
        """Append lines, wait until they are on disk, return the file's length; a failed delivery leaves no trace.

        Raises:
            OSError: They could not be written, or nobody reads from a FIFO; deliver them again.
        """
        if self._rotated():
            self._adopt(self._open())
        if not lines:
            return self._committed
        data = memoryview(b"".join(line + b"\n" for line in lines))
        try:
            while data:
                data = data[os.write(self._fd, data) :]
            if self._regular():
                os.fsync(self._fd)
        except OSError:
            if self._regular():
                os.ftruncate(self._fd, self._committed)
            raise
        self._committed = self._size()
        return self._committed

    def status(self) -> Mapping[str, float]:
        """Nothing is ever left out."""
        return {}

    def close(self) -> None:
        """Release the descriptor; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _keep(self, committed_bytes: int | None) -> None:
        """Keep the whole lines of JSON beyond the committed length; cut off what follows, which is no line."""
        start = max(0, self._committed - LOOKED_AT) if committed_bytes is None else committed_bytes
        if start >= self._committed:
            return
        with self._path.open("rb") as file:
            file.seek(start)
            *lines, _ = file.read(self._committed - start).split(b"\n")
        if committed_bytes is None:
            self.beyond = [line for line in lines if _is_json(line)]
            os.fsync(self._fd)
            return
        self.beyond = list(takewhile(_is_json, lines))
        os.ftruncate(self._fd, start + sum(len(line) + 1 for line in self.beyond))
        os.fsync(self._fd)  # who wrote them may have died before that, and they count as delivered from now on
        self._committed = self._size()

    def _open(self) -> int:
        # without O_NONBLOCK this would wait for a FIFO's reader; writing may wait
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NONBLOCK)
        try:
            self._sync_name()
        except OSError:
            os.close(fd)
            raise
        return fd

    def _sync_name(self) -> None:
        """Have the file keep its name over a power cut, whoever made it: else what is synced in it is lost."""
        with contextlib.suppress(PermissionError):  # the directory may be another's, who made the file
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def _adopt(self, fd: int) -> None:
        """Go on with an open file. Only then is the one before let go: a failed opening leaves no stale number."""
        self.close()
        self._fd = fd
        self._committed = self._size()

    def _size(self) -> int:
        return os.fstat(self._fd).st_size

    def _regular(self) -> bool:
        return stat.S_ISREG(os.fstat(self._fd).st_mode)

    def _rotated(self) -> bool:
        """Whether the path is another file than the open one by now, or none."""
        if self._fd < 0:
            return True
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        ours = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


def made(settings: Any, opening: Opening) -> JsonLinesFile:
    """As `events.file` has it."""
    return JsonLinesFile(settings, opening.committed_bytes)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
