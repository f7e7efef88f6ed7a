"""The files that are followed, in one lane for each path: the first of a lane is read, the others wait behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from adapters.files.generation import Generation, Opened

Entry = Generation | Opened
"""A file in a lane: one whose generation is known, or one that must be told apart first."""

Key = tuple[int, int]
"""Device and inode."""


class Lanes(dict[str, deque[Entry]]):
    """Lane of each path; it may be empty between two looks at the names."""

    def entries(self) -> Iterator[Entry]:
        """All files."""
        for lane in self.values():
            yield from lane

    def keys_followed(self) -> set[Key]:
        """Device and inode of all files."""
        return {key(entry) for entry in self.entries()}


def opened_of(entry: Entry) -> Opened:
    """The open file of an entry."""
    return entry.opened if isinstance(entry, Generation) else entry


def key(entry: Entry) -> Key:
    """Device and inode of a file."""
    opened = opened_of(entry)
    return opened.device, opened.inode


def changed_ns(entry: Entry) -> int:
    """When a file was changed, epoch nanoseconds."""
    return opened_of(entry).content.status().st_mtime_ns


def leave(entry: Entry, now: float) -> None:
    """A file has lost its name."""
    if isinstance(entry, Generation):
        entry.leaving_at = entry.grown_at = now
