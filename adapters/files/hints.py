"""What the kernel says has changed (inotify): a hint where to look first, never a reason not to look."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_MODIFY, _ATTRIB, _OVERFLOW, _IGNORED = 0x2, 0x4, 0x4000, 0x8000
_NAMES = 0x40 | 0x80 | 0x100 | 0x200  # moved from, moved to, created, deleted
_ONLY_DIRECTORIES = 0x0100_0000
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_READ_BYTES = 1 << 16
_DIRECTORIES = 256


@dataclass(slots=True)
class Hint:
    """What has changed since the last look.

    Attributes:
        changed: Paths that were written to, or whose name or mode changed.
        named: Those of them that came or went.
        overflowed: The kernel had more to say than it keeps: anything may have changed.
    """

    changed: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    overflowed: bool = False


class Hints:
    """Watches directories. Where that is not possible nothing is watched, and nothing else is different.

    It says nothing of changes that another machine makes on a network file system, that go through a memory map or a
    hard link elsewhere, or that are made to the target of a symbolic link.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._fd = -1
        self._directories: dict[int, str] = {}

    def watch(self, directories: Collection[str]) -> None:
        """Watch these directories, at most 256 of them, and no others; to be repeated, for a name may change hands."""
        if self._fd < 0:
            with suppress(AttributeError):  # no Linux
                self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            return
        mask = _MODIFY | _ATTRIB | _NAMES | _ONLY_DIRECTORIES
        watches: dict[int, str] = {}
        for directory in sorted(directories)[:_DIRECTORIES]:
            watch = self._libc.inotify_add_watch(self._fd, os.fsencode(directory), mask)
            if watch >= 0:
                watches[watch] = directory
        for watch in self._directories.keys() - watches.keys():
            self._libc.inotify_rm_watch(self._fd, watch)
        self._directories = watches

    def covers(self, path: str) -> bool:
        """Whether changes of a file would be heard of."""
        return str(Path(path).parent) in self._directories.values() and not Path(path).is_symlink()

    def take(self) -> Hint:
        """What was said since the last call, as much of it as one read gives."""
        hint = Hint()
        data = b""
        if self._fd >= 0:
            with suppress(BlockingIOError):
                data = os.read(self._fd, _READ_BYTES)
        at = 0
        while at < len(data):
            watch, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size + length
            hint.overflowed |= bool(mask & _OVERFLOW)
            if mask & _IGNORED:
                self._directories.pop(watch, None)
            elif watch in self._directories and length:
                name = os.fsdecode(data[at - length : at].rstrip(b"\0"))
                path = str(Path(self._directories[watch], name))
                hint.changed.add(path)
                if mask & _NAMES:
                    hint.named.add(path)
        return hint

    def close(self) -> None:
        """Release the descriptor; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._directories.clear()
