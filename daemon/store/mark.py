"""What was committed last, in a small file beside the database: SQLite drops the end of a damaged log without a word.

The file has two halves, written in turn, each under a checksum, so that one is whole whatever happens. It is written
after each commit, where it takes no room that is not there, and synced at most once a second: a commit costs no second
sync. So after a power cut it may be a second behind, which never looks like a loss.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
import zlib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from models.atomic_file import sync_directory

NAME = "tidegauge.mark"

_HEAD = struct.Struct("<4sIQI")  # magic, checksum of what follows, number of the write, length
_MAGIC = b"TGM1"
_PLACE = 65_536
_SYNC_S = 1.0


@dataclass(frozen=True, slots=True)
class Noted:
    """What is known of the last commit.

    Attributes:
        version: Of the database.
        seq: Newest journal entry.
        floor: As in `meta`; so are `base` and `said`.
        row: Newest row of the events.
        sinks: Name -> last row and committed bytes.
    """

    version: int
    seq: int = 0
    floor: int = 0
    base: int = 0
    said: int = 0
    row: int = 0
    sinks: dict[str, tuple[int, int]] = field(default_factory=dict)


class Mark:
    """The file, open for writing. A disk that takes no writes leaves it behind, and hinders nothing.

    Attributes:
        noted: What was noted last.
    """

    def __init__(self, directory: Path, noted: Noted) -> None:
        """Go on with the file in `directory`, or make it."""
        self.noted = noted
        self._path = directory / NAME
        self._descriptor, self._number, self._synced = -1, 0, 0.0
        self._open()

    def note(self, **changed: Any) -> None:
        """Note what a commit has changed."""
        self.noted = replace(self.noted, **changed)
        if self._descriptor < 0:
            self._open()
        with contextlib.suppress(OSError):
            self._write()

    def note_sink(self, name: str, row: int, committed_bytes: int) -> None:
        """Note how far a sink has come."""
        self.note(sinks=self.noted.sinks | {name: (row, committed_bytes)})

    def close(self) -> None:
        """Sync and close it; a second call does nothing."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.fdatasync(self._descriptor)
            os.close(self._descriptor)
        self._descriptor = -1

    def _open(self) -> None:
        """Open the file and take its room beforehand; without room it is tried again with the next note."""
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            found = _newest(os.pread(self._descriptor, 2 * _PLACE, 0))
            self._number = found[0] if found else 0
            os.posix_fallocate(self._descriptor, 0, 2 * _PLACE)
            self._write()
            sync_directory(self._path.parent)  # what is synced in a file is lost with its name
        except OSError:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def _write(self) -> None:
        body = json.dumps(asdict(self.noted)).encode()
        if self._descriptor < 0 or len(body) > _PLACE - _HEAD.size:
            return
        self._number += 1
        rest = struct.pack("<QI", self._number, len(body)) + body
        data = _MAGIC + struct.pack("<I", zlib.crc32(rest)) + rest
        os.pwrite(self._descriptor, data, self._number % 2 * _PLACE)
        if time.monotonic() - self._synced > _SYNC_S:
            os.fdatasync(self._descriptor)
            self._synced = time.monotonic()


def read(directory: Path) -> Noted | None:
    """What was noted last in a state directory; None where nothing sound is."""
    try:
        found = _newest((directory / NAME).read_bytes())
    except OSError:
        return None
    if found is None:
        return None
    known = {each.name for each in fields(Noted)}
    try:
        values = {name: value for name, value in json.loads(found[1]).items() if name in known}
        values["sinks"] = {name: (int(row), int(size)) for name, (row, size) in values.get("sinks", {}).items()}
        return Noted(**values)
    except (ValueError, TypeError, AttributeError):
        return None


def _newest(data: bytes) -> tuple[int, bytes] | None:
    """Number and body of the newer of the two halves that are whole."""
    found = [each for start in (0, _PLACE) if (each := _whole(data[start : start + _PLACE])) is not None]
    return max(found, default=None)


def _whole(half: bytes) -> tuple[int, bytes] | None:
    if len(half) < _HEAD.size:
        return None
    magic, crc, number, length = _HEAD.unpack_from(half)
    body = half[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or zlib.crc32(half[8 : _HEAD.size] + body) != crc or len(body) != length:
        return None
    return number, body
