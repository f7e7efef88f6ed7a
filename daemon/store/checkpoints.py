"""Checkpoint files: the engine's state after one journal entry, each under its own checksum."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.store.errors import CheckpointDamaged
from daemon.store.faults import Reached, nowhere
from daemon.store.files import quarantine, write_whole
from models.atomic_file import sync_directory

DIRECTORY = "checkpoints"

_FIXED = struct.Struct("<4sIQqQQ32s")
_SIGNED = _FIXED.size - 32
_MAGIC = b"TGC1"
_FORMAT = 1
_NAME = re.compile(r"checkpoint-(\d{12,})\.tgc")
_DAY_MS = 86_400_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint as read and verified.

    Attributes:
        seq: Number of the last journal entry that is in `data`.
        at_ms: When it was written, epoch milliseconds.
        versions: Versions and CPU of the machine that wrote it.
        carried: What a fresh database takes from it: positions, sinks, model records.
        data: The engine's bytes.
    """

    seq: int
    at_ms: int
    versions: dict[str, str]
    carried: dict[str, Any]
    data: bytes


class Checkpoints:
    """The files of one `checkpoints/` directory. Uses no database: `write` may run in another thread."""

    def __init__(self, directory: Path, reached: Reached = nowhere) -> None:
        """Look at `directory`, which exists."""
        self.directory = directory
        self.quarantined = 0
        self._reached = reached

    def sequences(self) -> list[int]:
        """Numbers of the checkpoints there are, newest first."""
        if not self.directory.is_dir():
            return []
        names = (_NAME.fullmatch(path.name) for path in self.directory.iterdir())
        return sorted((int(name[1]) for name in names if name), reverse=True)

    def path(self, seq: int) -> Path:
        """File of the checkpoint of entry `seq`."""
        return self.directory / f"checkpoint-{seq:012d}.tgc"

    def write(self, seq: int, at_ms: int, versions: Mapping[str, str], carried: Mapping[str, Any], data: bytes) -> int:
        """Write one, then drop those that are neither of the newest two nor the last of their day; its size in bytes.

        Raises:
            StoreFull: There is no room; the earlier checkpoints are as they were.
        """
        header = json.dumps({"versions": versions, "carried": carried}, allow_nan=False, sort_keys=True).encode()
        signed = _FIXED.pack(_MAGIC, _FORMAT, seq, at_ms, len(header), len(data), b"")[:_SIGNED]
        digest = _digest(signed, header, data)
        write_whole(self.path(seq), (signed, digest, header, data), lambda: self._reached("checkpoint.before_rename"))
        self._reached("checkpoint.after_rename")
        self.retain()
        return _FIXED.size + len(header) + len(data)

    def read(self, seq: int) -> Checkpoint:
        """The checkpoint of entry `seq`. Raises CheckpointDamaged when it is not what was written."""
        path = self.path(seq)
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise CheckpointDamaged(f"{path}: cannot be read ({error})") from error
        if len(raw) < _FIXED.size or raw[:4] != _MAGIC:
            raise CheckpointDamaged(f"{path}: is not a checkpoint; an earlier one is used")
        _, version, found, at_ms, header_bytes, data_bytes, digest = _FIXED.unpack_from(raw)
        if version != _FORMAT:
            raise CheckpointDamaged(f"{path}: is of format {version}, this Tidegauge reads {_FORMAT}")
        body = memoryview(raw)[_FIXED.size :]
        if len(body) != header_bytes + data_bytes or found != seq:
            raise CheckpointDamaged(f"{path}: is cut short or has grown; an earlier one is used")
        if _digest(raw[:_SIGNED], body) != digest:
            raise CheckpointDamaged(f"{path}: does not have the SHA-256 recorded in it; an earlier one is used")
        header = json.loads(bytes(body[:header_bytes]))
        return Checkpoint(seq, at_ms, header["versions"], header["carried"], bytes(body[header_bytes:]))

    def newest_sound(self, low: int, high: int | None, before: int | None = None) -> Checkpoint | None:
        """Newest sound one from `low` to `high`; newer ones and damaged ones on the way are quarantined.

        Those of `before` and later are passed over.
        """
        for seq in self.sequences():
            if before is not None and seq >= before:
                continue
            if high is not None and seq > high:
                self.set_aside(seq, f"it is of entry {seq}, but the journal ends with {high}")
            elif seq >= low:
                try:
                    return self.read(seq)
                except CheckpointDamaged as error:
                    self.set_aside(seq, str(error))
        return None

    def set_aside(self, seq: int, why: str) -> None:
        """Quarantine the checkpoint of entry `seq`, loudly."""
        moved = quarantine(self.path(seq))
        self.quarantined += 1
        log.error("checkpoint quarantined", extra={"file": str(self.path(seq)), "moved_to": str(moved), "why": why})

    def keep_copies(self, version: Any) -> None:
        """Give every checkpoint a second name, which says what version of the state is in it."""
        for seq in self.sequences():
            path = self.path(seq)
            with contextlib.suppress(FileExistsError):
                path.with_name(f"{path.name}.version-{version}").hardlink_to(path)
        sync_directory(self.directory)

    def drop_others(self, kept: int | None) -> None:
        """Remove all checkpoints but that of entry `kept`."""
        for seq in self.sequences():
            if seq != kept:
                self.path(seq).unlink(missing_ok=True)

    def retain(self, since_ms: int | None = None, since_seq: int = 0) -> None:
        """Keep the newest two, and of each day from `since_ms` on the last one that is not before entry `since_seq`."""
        days: set[int] = set()
        for rank, seq in enumerate(self.sequences()):
            at_ms = self._at_ms(seq)
            is_last_of_day = at_ms // _DAY_MS not in days
            days.add(at_ms // _DAY_MS)
            is_recent = since_ms is None or at_ms >= since_ms
            if rank >= 2 and not (is_last_of_day and is_recent and seq >= since_seq):
                self.path(seq).unlink(missing_ok=True)

    def _at_ms(self, seq: int) -> int:
        """When the checkpoint was written, 0 when that cannot be read."""
        try:
            with self.path(seq).open("rb") as file:
                fixed = file.read(_FIXED.size)
        except OSError:
            return 0
        return int(_FIXED.unpack(fixed)[3]) if len(fixed) == _FIXED.size else 0


def _digest(*parts: bytes | memoryview) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()
