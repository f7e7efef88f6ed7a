"""Which files there are: those a pattern matches, and those beside them that a rotation renamed or copied."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from adapters.base import Position
from adapters.generation import Opened
from adapters.identity import Window

_COMPRESSED = (".gz", ".xz", ".bz2", ".zst")
_SIBLINGS = 1000
_LATER = 16
_BACK_OFF_S = 60.0
_ROTATED = re.compile(r"[.\-_][0-9][0-9T:._\-]*")
"""What logrotate and its like append to a name."""

Likely = Callable[[Opened, Position], bool]


class Names:
    """The files of a path or glob; those that cannot be opened are tried again after growing pauses.

    Args:
        pattern: Absolute path or glob.
        pause_s: Pause after the first failure; it doubles up to a minute.
    """

    def __init__(self, pattern: str, pause_s: float) -> None:
        self._pattern = pattern
        self._pause_s = pause_s
        self._refused: dict[str, tuple[int, float]] = {}
        self.unreadable = 0
        self.compressed = 0

    def keys(self) -> dict[str, tuple[int, int]]:
        """Device and inode of each file there is now, by name, in order of names."""
        anchor = Path(self._pattern).anchor
        magic = any(character in self._pattern for character in "*?[")
        names = sorted(map(str, Path(anchor).glob(self._pattern[len(anchor) :]))) if magic else [self._pattern]
        plain = [name for name in names if not name.endswith(_COMPRESSED)]
        self.compressed = len(names) - len(plain)
        keys = {}
        for name in plain:
            try:
                status = os.stat(name)  # noqa: PTH116 - called for every file at every scan
            except OSError:
                continue
            keys[name] = (status.st_dev, status.st_ino)
        self._refused = {name: refusal for name, refusal in self._refused.items() if name in keys}
        return keys

    def open(self, name: str, now: float) -> Opened | None:
        """Open a file; None when that fails, is not to be tried yet, or it is no regular file."""
        failures, again_at = self._refused.get(name, (0, now))
        if again_at > now:
            return None
        try:
            opened = Opened.at(name)
        except FileNotFoundError:
            return None
        except OSError:
            self._refused[name] = (failures + 1, now + min(_BACK_OFF_S, self._pause_s * 2 ** min(failures, 10)))
            self.unreadable += 1
            return None
        self._refused.pop(name, None)
        return opened


def siblings(path: str) -> Iterator[Opened]:
    """Files beside `path` whose name starts with its stem, newest first; the caller closes what it is given."""
    for _, name in sorted(((-changed, name) for changed, name in _beside(path, Path(path).stem)))[:_SIBLINGS]:
        try:
            opened = Opened.at(name)
        except OSError:
            continue
        if opened is not None:
            yield opened


def later(path: str, found: Opened) -> list[Opened]:
    """Rotated files of `path` that were changed after `found`, oldest first, as if they still had that name."""
    since, base, files = os.fstat(found.fd).st_mtime_ns, Path(path).name, []
    for changed, name in sorted(_beside(path, base)):
        if changed > since and _ROTATED.fullmatch(Path(name).name[len(base) :]):
            try:
                opened = Opened.at(name)
            except OSError:
                continue
            if opened is not None:
                opened.name = path
                files.append(opened)
    return files[-_LATER:]


def _beside(path: str, start: str) -> list[tuple[int, str]]:
    """Time of change (nanoseconds) and name of the plain files in the directory of `path` that begin with `start`."""
    found = []
    try:
        with os.scandir(Path(path).parent) as entries:
            for entry in entries:
                if entry.name.startswith(start) and entry.path != path and not entry.name.endswith(_COMPRESSED):
                    found.append((entry.stat().st_mtime_ns, entry.path))
    except OSError:
        return []
    return found


def window_of(opened: Opened, position: Position) -> Window | None:
    """Where `position` lies in a file; None when the file is another one, or too little was read to tell."""
    if not position["head_bytes"]:  # one line at most: the content alone would match too much
        near = bool(position["offset"]) and same_inode(opened, position)
        if opened.lost_partial or not (near or same_path(opened, position)):
            return None
    try:
        return Window.find(opened.fd, position)
    except OSError:  # it cannot be read now; whoever reads it next will say so
        return None


def same_inode(opened: Opened, position: Position) -> bool:
    """Whether device and inode are those of the position: a hint only."""
    return (position.get("device"), position.get("inode")) == (opened.device, opened.inode)


def same_path(opened: Opened, position: Position) -> bool:
    """Whether the position's generation was first met under this name."""
    return bool(position["path"] == opened.name)


def same_file(opened: Opened, position: Position) -> bool:
    """The likeliest candidate: same path, same device and inode."""
    return same_path(opened, position) and same_inode(opened, position)


def anything(opened: Opened, position: Position) -> bool:
    """Any candidate."""
    return True
