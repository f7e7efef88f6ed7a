"""What was read of files that are not followed now: their positions wait, for their content may come back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.base import Position
from adapters.files.generation import Opened
from adapters.files.identity import Window, valid
from adapters.files.names import Likely, Names, same_inode, same_path, window_of
from adapters.files.position_index import PositionIndex
from adapters.files.rotation import is_rotated
from adapters.text_file import AUTO

_WAITING = 10_000
Ambiguous = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A waiting position whose content is in a file."""

    place: str
    position: Position
    window: Window


class Known:
    """The positions of one source that wait, and how far each path was read.

    Args:
        name: Name of the source.
        names: The names that the source follows by their own right.
        ambiguous: Told of a file, by its name, that begins like one which was read under another.
        encoding: Of its files, see `Recoder`.
    """

    def __init__(self, name: str, names: Names, ambiguous: Ambiguous, encoding: str = AUTO) -> None:
        self._name, self._names, self._ambiguous, self.encoding = name, names, ambiguous, encoding
        self._waiting = PositionIndex()
        self._drained: dict[str, None] = {}
        self._since_ns: dict[str, int] = {}
        self._numbers: Counter[str] = Counter()
        self._forgotten: list[str] = []

    def load(self, positions: Mapping[str, Position]) -> None:
        """Positions to start from; those of other sources or of another shape are left aside."""
        for place, position in positions.items():
            if place.startswith(f"{self._name}:") and valid(position):
                self._waiting.put(place, dict(position))
                path, number = position["path"], re.search(r"#(\d+)$", place)
                self._numbers[path] = max(self._numbers[path], int(number[1]) if number else 0)
                if isinstance(since_ns := position.get("since_ns"), int):  # the first version had none
                    self.was_read(path, since_ns)

    def paths(self) -> set[str]:
        """Paths of which a position waits."""
        return self._waiting.paths()

    def of(self, path: str) -> list[str]:
        """Places of a path whose positions wait."""
        return self._waiting.of(path)

    def unfinished(self, path: str) -> list[str]:
        """Those of them that were not read to their end by this process, in order."""
        return sorted(place for place in self.of(path) if place not in self._drained)

    def since_ns(self, path: str) -> int | None:
        """Time of change up to which rotated files of a path were read or are none of ours; None when unknown."""
        return self._since_ns.get(path)

    def was_read(self, path: str, changed_ns: int) -> int:
        """Rotated files of a path that were changed up to an instant were read, or are none of ours; `since_ns` now."""
        self._since_ns[path] = max(changed_ns, self._since_ns.get(path, 0))
        return self._since_ns[path]

    def fresh(self, path: str) -> str:
        """The place of a generation of a path that was not read before."""
        self._numbers[path] += 1
        return f"{self._name}:{path}#{self._numbers[path]:06d}"

    def find(self, opened: Opened, likely: Likely, only: str | None = None) -> Found | None:
        """The waiting position that a file continues, by its content, unless its name says otherwise."""
        places = set(self._waiting.candidates(opened)) if only is None else {only} & self._waiting.keys()
        contradicted = False
        for place in sorted(places, key=lambda place: (-self._waiting[place]["offset"], place)):
            position = self._waiting[place]
            # one line at most was read of it, which other files may begin with too
            done = place in self._drained and not position["head_bytes"] and not same_inode(opened, position)
            window = window_of(opened, position) if likely(opened, position) and not done else None
            if window is not None and self.may_be(opened, position):
                return Found(place, position, window)
            contradicted |= window is not None
        if contradicted:
            self._ambiguous(opened.name)
        return None

    def may_be(self, opened: Opened, position: Position) -> bool:
        """Whether nothing but its content speaks for or against a file being the one of a position.

        A name of its own speaks against it, unless the file was renamed: then inode and birth are the same; or its
        directory has another name, and its own in it is the same.
        """
        path, name = position["path"], opened.name
        if same_path(opened, position) or not self._names.matches(name) or is_rotated(path, name):
            return True
        if self._names.came_along(path, name):
            return True
        same_birth = opened.born_ns is not None and opened.born_ns == position.get("born_ns")
        return same_birth and same_inode(opened, position)

    def claim(self, place: str) -> None:
        """A position waits no longer: its content is followed."""
        self._waiting.drop(place)
        self._drained.pop(place, None)

    def keep(self, place: str, position: Position, *, drained: bool) -> None:
        """Have a position wait; `drained` when its file was read to its end."""
        self._waiting.put(place, position)
        if drained:
            self._drained[place] = None
        while len(self._drained) > _WAITING:
            self.forget(next(iter(self._drained)))

    def position(self, place: str) -> Position:
        """A position that waits."""
        return self._waiting[place]

    def has_head(self, place: str) -> bool:
        """Whether a position waits of which more than one line was read, so that its file can be told from others."""
        return place in self._waiting and self._waiting[place]["head_bytes"] > 0

    def forget(self, place: str) -> None:
        """A position that is not needed any longer, whether it waits or not."""
        if self._waiting.drop(place) is not None:
            self._drained.pop(place, None)
            self._forgotten.append(place)

    def forgotten(self) -> list[str]:
        """See `Source.forgotten`."""
        told, self._forgotten = self._forgotten, []
        return told
