"""Files that were read to their end and keep no descriptor: what they were like, so that a change is seen by a look."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

_SHARE, _LEAST, _MOST = 4, 16, 512


def descriptor_limit() -> int:
    """Files that one source keeps open: a quarter of what the process may have, between 16 and 512."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if allowed < 0 else max(_LEAST, min(_MOST, allowed // _SHARE))


@dataclass(frozen=True, slots=True)
class Signature:
    """What the system says of a file; while it is the same, so is the content."""

    device: int
    inode: int
    size: int
    changed_ns: int
    status_changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        """Of a file's status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class Parked:
    """A file without a descriptor.

    Attributes:
        place: Its generation; its position waits while anything was read of it.
        path: Where that was first met.
        signature: Of the file when nothing was new in it.
        offset: Bytes read.
    """

    place: str
    path: str
    signature: Signature
    offset: int


class Parking(dict[str, Parked]):
    """Parked files by name."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[str, str] = {}
        self.offsets = 0

    def put(self, name: str, parked: Parked) -> None:
        """Park a file."""
        self[name] = parked
        self._names[parked.path] = name
        self.offsets += parked.offset

    def fetch(self, name: str) -> Parked:
        """A file that is to be opened again, or is gone."""
        parked = self.pop(name)
        self._names.pop(parked.path, None)
        self.offsets -= parked.offset
        return parked

    def name_of(self, path: str) -> str | None:
        """The name of the parked file that was first met as `path`; None when it is not parked."""
        return self._names.get(path)
