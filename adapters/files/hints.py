"""What the kernel says has changed (inotify): a hint where to look first, never a reason not to look."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from inotify_simple import INotify, flags, parse_events

_NAMES = flags.MOVED_FROM | flags.MOVED_TO | flags.CREATE | flags.DELETE
_WATCHED = flags.MODIFY | flags.ATTRIB | flags.ONLYDIR | _NAMES
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
        self._kernel: INotify | None = None
        self._directories: dict[int, str] = {}

    def watch(self, directories: Collection[str]) -> None:
        """Watch these directories, at most 256 of them, and no others; to be repeated, for a name may change hands."""
        if self._kernel is None:
            with suppress(OSError, AttributeError):  # too many instances, or no Linux
                self._kernel = INotify(nonblocking=True, closefd=False)  # `close` does it
        if self._kernel is None:
            return
        watches: dict[int, str] = {}
        for directory in sorted(directories)[:_DIRECTORIES]:
            with suppress(OSError):  # it is not there, or there are too many watches
                watches[self._kernel.add_watch(directory, _WATCHED)] = directory
        for watch in self._directories.keys() - watches.keys():
            with suppress(OSError):  # the kernel has dropped it with its directory
                self._kernel.rm_watch(watch)
        self._directories = watches

    def covers(self, path: str) -> bool:
        """Whether changes of a file would be heard of."""
        return str(Path(path).parent) in self._directories.values() and not Path(path).is_symlink()

    def drain(self) -> Hint:
        """What was said since the last call, as much of it as one read gives."""
        hint, data = Hint(), b""
        if self._kernel is not None:
            with suppress(BlockingIOError):
                data = os.read(self._kernel.fileno(), _READ_BYTES)
        for watch, mask, _, name in parse_events(data):
            hint.overflowed |= bool(mask & flags.Q_OVERFLOW)
            if mask & flags.IGNORED:
                self._directories.pop(watch, None)
            elif watch in self._directories and name:
                path = str(Path(self._directories[watch], name))
                hint.changed.add(path)
                if mask & _NAMES:
                    hint.named.add(path)
        return hint

    def close(self) -> None:
        """Release the descriptor; a second call does nothing."""
        if self._kernel is not None:
            os.close(self._kernel.fileno())
            self._kernel = None
        self._directories.clear()
