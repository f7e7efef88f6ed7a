"""What stands beside a path: directories are listed once, and again when they have changed."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from pathlib import Path

_SETTLED_NS = 100_000_000
"""A directory that was changed so lately may be changed again within the same tick of its clock."""


class Directories:
    """Names in directories, in order, as of the last change of each."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, list[str]]] = {}

    def beginning(self, directory: str, start: str) -> list[str]:
        """Paths in a directory whose names begin so; none where it cannot be listed."""
        names = self._names(directory)
        at, found = bisect_left(names, start), []
        while at < len(names) and names[at].startswith(start):
            found.append(str(Path(directory, names[at])))
            at += 1
        return found

    def _names(self, directory: str) -> list[str]:
        try:
            changed_ns = os.stat(directory).st_mtime_ns  # noqa: PTH116 - called for every file that begins
            known = self._known.get(directory)
            if known is None or known[0] != changed_ns:
                with os.scandir(directory) as entries:
                    known = (changed_ns, sorted(entry.name for entry in entries))
                if time.time_ns() - changed_ns > _SETTLED_NS:
                    self._known[directory] = known
                else:
                    self._known.pop(directory, None)
        except OSError:
            self._known.pop(directory, None)
            return []
        return known[1]
