"""Events a second time, beside the database: those recorded since the newest checkpoint but one.

When the database or the end of its log is lost, its events would be made again, or never, and sinks that count rows
would lose their place: rows put back from here are the ones that were delivered, under their numbers.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from daemon.store.database import Row
from models.atomic_file import sync_directory

NAME = "tidegauge.events"
BEFORE = NAME + ".before"
"""Those up to the newest checkpoint; `NAME` has the ones after it."""

COLUMNS = 10
"""Values of a row: those of the events' table but for its checksum."""


class Ledger:
    """The two files, open for writing. A disk without room leaves them behind, and hinders nothing."""

    def __init__(self, directory: Path) -> None:
        """Go on with the files in `directory`."""
        self._directory = directory
        self._descriptor, self._size = -1, 0

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows of the events' table."""
        data = b"".join(_line(row) for row in rows)
        try:
            if self._descriptor < 0:
                self._open()
            if os.pwrite(self._descriptor, data, self._size) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # the next one begins behind the last whole line
            os.fdatasync(self._descriptor)
            self._size += len(data)
        except OSError:
            self.close()

    def turn(self) -> None:
        """A checkpoint was written: what came before the one before it is needed no more."""
        self.close()
        with contextlib.suppress(OSError):
            (self._directory / NAME).replace(self._directory / BEFORE)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _open(self) -> None:
        """Open the file behind its last whole line."""
        path = self._directory / NAME
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        sync_directory(self._directory)  # what is synced in a file is lost with its name
        self._size = path.read_bytes().rfind(b"\n") + 1
        os.ftruncate(self._descriptor, self._size)


def read(directory: Path) -> list[Row]:
    """Rows of both files in the order they were recorded; lines that are not whole are left out."""
    found = []
    for name in (BEFORE, NAME):
        with contextlib.suppress(OSError):
            lines = (directory / name).read_bytes().split(b"\n")
            found += [row for row in map(_row, lines) if row is not None]
    return found


def _line(row: Row) -> bytes:
    body = json.dumps(row).encode()
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _row(line: bytes) -> Row | None:
    crc, _, body = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(body):
        return None
    row = tuple(json.loads(body))
    return row if len(row) == COLUMNS else None
