"""Which files there are: those a pattern matches, and those beside them that a rotation renamed or copied."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from adapters.base import Position
from adapters.files.content import Compressed
from adapters.files.directories import Directories
from adapters.files.generation import GZIP, Opened, packed
from adapters.files.identity import Window, head_of, lines_of
from adapters.files.parked import Signature
from adapters.files.rotation import is_rotated
from adapters.text_file import AUTO

_COMPRESSED = (".xz", ".bz2", ".zst")
_SIBLINGS = 1000
_LATER = 128
_BACK_OFF_S = 60.0
_FORGIVEN_S = 600.0
_START_BYTES = 2048
Likely = Callable[[Opened, Position], bool]


class Names:
    """The files of a path or glob; those that cannot be opened are tried again after growing pauses.

    Args:
        pattern: Absolute path or glob.
        pause_s: Pause after the first failure; it doubles up to a minute.
        encoding: Of the files, see `Recoder`.
    """

    def __init__(self, pattern: str, pause_s: float, encoding: str = AUTO) -> None:
        self._pattern = pattern
        self._root = _root(pattern)
        self._pause_s, self._encoding = pause_s, encoding
        self._refused: dict[str, tuple[int, float]] = {}
        parent = Path(pattern).parent
        self._parents = set() if _magic(str(parent)) else {str(parent)}
        self._found_in: set[str] = set()
        self.unreadable = 0
        self.compressed = 0

    def look(self) -> dict[str, Signature]:
        """What the system says of each file there is now, by name, in order of names. Raises OSError."""
        anchor = Path(self._pattern).anchor
        globbed = _magic(self._pattern)
        names = sorted(map(str, Path(anchor).glob(self._pattern[len(anchor) :]))) if globbed else [self._pattern]
        self._found_in = {str(Path(name).parent) for name in names}
        plain = [name for name in names if not name.endswith(_COMPRESSED)]
        self.compressed = len(names) - len(plain)
        plain = [name for name in plain if not (name.endswith(GZIP) and os.path.lexists(name.removesuffix(GZIP)))]
        keys: dict[str, Signature] = {}
        for name in plain:
            try:
                status = os.stat(name)  # noqa: PTH116 - called for every file at every scan
            except OSError:
                continue
            keys[name] = Signature.of(status)
        self._refused = {name: refusal for name, refusal in self._refused.items() if name in keys}
        return keys

    def directories(self) -> set[str]:
        """Directories where such files may come: the pattern's, and those where some were at the last look."""
        return self._parents | self._found_in

    def matches(self, name: str) -> bool:
        """Whether a file of this name would be one of them, as far as the last part of the pattern tells."""
        return fnmatch(Path(name).name, Path(self._pattern).name)

    def came_along(self, path: str, name: str) -> bool:
        """Whether `path` had the name that `name` has below the pattern's directory, in a directory of another name.

        So it is where a state directory and its files went to another place or machine together.
        """
        if not Path(name).is_relative_to(self._root) or Path(path).is_relative_to(self._root):
            return False
        below = Path(name).relative_to(self._root).parts
        return Path(path).parts[-len(below) :] == below

    def open(self, name: str, now: float) -> Opened | None:
        """Open a file; None when that fails, is not to be tried yet, or it is no regular file."""
        if self._refused.get(name, (0, now))[1] > now:
            return None
        try:
            opened = Opened.at(name, self._encoding)
        except FileNotFoundError:
            return None
        except OSError:
            self.refuse(name, now)
            return None
        return opened

    def refuse(self, name: str, now: float) -> None:
        """Count a file that could not be opened or read, and leave it alone for a while."""
        failures, again_at = self._refused.get(name, (0, now))
        failures = 0 if now - again_at > _FORGIVEN_S else failures
        self._refused[name] = (failures + 1, now + min(_BACK_OFF_S, self._pause_s * 2 ** min(failures, 10)))
        self.unreadable += 1


def _magic(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")


def _root(pattern: str) -> Path:
    """The directory above everything that a pattern finds."""
    path = Path(pattern)
    return next((each for each in path.parents if not _magic(str(each))), path.parent)


def siblings(path: str, directories: Directories, encoding: str = AUTO) -> Iterator[Opened]:
    """Files beside `path` whose name starts with its stem, newest first; the caller closes what it is given."""
    for _, name in sorted(((-changed, name) for changed, name in _beside(path, Path(path).stem, directories)))[
        :_SIBLINGS
    ]:
        try:
            opened = Opened.at(name, encoding)
        except OSError:
            continue
        if opened is not None:
            yield opened


def later(
    path: str,
    since_ns: int,
    directories: Directories,
    but: Collection[tuple[int, int]] = (),
    encoding: str = AUTO,
) -> list[Opened]:
    """Rotated files of `path` that were changed after `since_ns`, oldest first, as if they still had that name.

    At most 128: what comes after them is asked for again when these were read.

    Args:
        path: The path.
        since_ns: Epoch nanoseconds.
        directories: Of its directory.
        but: Device and inode of files to leave out.
        encoding: Of the files, see `Recoder`.
    """
    files: list[Opened] = []
    for changed, name in sorted(_beside(path, Path(path).name, directories)):
        if changed > since_ns and is_rotated(path, name) and len(files) < _LATER:
            try:
                opened = Opened.at(name, encoding)
            except OSError:
                continue
            if opened is None:
                continue
            if (opened.device, opened.inode) in but:
                opened.close()
                continue
            opened.name = path
            files.append(opened)
    return files


def rotated_ns(path: str, directories: Directories, followed: Collection[tuple[int, int]]) -> int:
    """When the newest rotated file of `path` that is not followed was changed, 0 when there is none."""
    newest = 0
    for changed, name in _beside(path, Path(path).name, directories):
        if changed > newest and is_rotated(path, name):
            with suppress(OSError):
                status = Path(name).stat()
                newest = newest if (status.st_dev, status.st_ino) in followed else changed
    return newest


def begins_as(opened: Opened, other: Opened) -> bool:
    """Whether `opened` may be a copy of `other`, which has all that it has, so far as their beginnings tell."""
    try:
        start = opened.content.read(_START_BYTES, 0)
        return opened.content.size() <= other.content.size() and other.content.read(_START_BYTES, 0).startswith(start)
    except OSError:
        return False


def _beside(path: str, start: str, directories: Directories) -> list[tuple[int, str]]:
    """Time of change (nanoseconds) and name of the files in the directory of `path` that begin with `start`.

    A compressed file beside its original is left out: it is being made.
    """
    found = {}
    for name in directories.beginning(str(Path(path).parent), start):
        if name != path and not name.endswith(_COMPRESSED):
            with suppress(OSError):  # gone meanwhile
                found[name] = os.stat(name).st_mtime_ns  # noqa: PTH116
    made = {name for name in found if name.endswith(GZIP) and name.removesuffix(GZIP) in found}
    return [(changed, name) for name, changed in found.items() if name not in made]


def window_of(opened: Opened, position: Position) -> Window | None:
    """Where `position` lies in a file; None when the file is another one, or too little was read to tell."""
    if not position["offset"] and "packed" not in position:  # nothing was read: any file would match
        return None
    if not position["head_bytes"]:  # one line at most: the content alone would match too much
        near = bool(position["offset"]) and same_inode(opened, position)
        if opened.lost_of or not (near or same_path(opened, position)):
            return None
    content = opened.content
    try:
        if isinstance(content, Compressed) and position.get("packed") == packed(content):
            head, end = head_of(content, position), int(position["offset"])
            content.skip_to_end(end)
            return None if head is None else Window(end, int(position["head_at"]), head, lines=lines_of(position))
        return Window.find(content, position)
    except OSError:  # it cannot be read now; whoever reads it next will say so
        return None


def is_copy(opened: Opened, path: str, window: Window) -> bool:
    """Whether a file is a rotated copy of what is followed as `path`: named so, and with the same head."""
    if not window.head or not is_rotated(path, opened.name):
        return False
    try:
        return opened.content.read(len(window.head), window.head_at) == window.head
    except OSError:
        return False


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
