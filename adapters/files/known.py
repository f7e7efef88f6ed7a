"""What was read of files that are not followed now: their positions wait, for their content may come back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.base import Position
from adapters.files.generation import Opened
from adapters.files.identity import Window, valid
from adapters.files.names import Likely, same_inode, window_of

_WAITING = 10_000


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
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: dict[str, Position] = {}
        self._drained: set[str] = set()
        self._since_ns: dict[str, int] = {}
        self._numbers: Counter[str] = Counter()
        self._forgotten: list[str] = []

    def load(self, positions: Mapping[str, Position]) -> None:
        """Positions to start from; those of other sources or of another shape are left aside."""
        for place, position in positions.items():
            if place.startswith(f"{self._name}:") and valid(position):
                self._waiting[place] = dict(position)
                path, number = position["path"], re.search(r"#(\d+)$", place)
                self._numbers[path] = max(self._numbers[path], int(number[1]) if number else 0)
                if isinstance(since_ns := position.get("since_ns"), int):  # the first version had none
                    self.was_read(path, since_ns)

    def paths(self) -> set[str]:
        """Paths of which a position waits."""
        return {position["path"] for position in self._waiting.values()}

    def of(self, path: str) -> list[str]:
        """Places of a path whose positions wait."""
        return [place for place, position in self._waiting.items() if position["path"] == path]

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
        """The waiting position that a file continues, by its content."""
        places = self._waiting if only is None else {only} & self._waiting.keys()
        for place in sorted(places, key=lambda place: -self._waiting[place]["offset"]):
            position = self._waiting[place]
            # one line at most was read of it, which other files may begin with too
            done = place in self._drained and not position["head_bytes"] and not same_inode(opened, position)
            window = window_of(opened, position) if likely(opened, position) and not done else None
            if window is not None:
                return Found(place, position, window)
        return None

    def take(self, place: str) -> None:
        """A position waits no longer: its content is followed."""
        del self._waiting[place]
        self._drained.discard(place)

    def keep(self, place: str, position: Position, *, drained: bool) -> None:
        """Have a position wait; `drained` when its file was read to its end."""
        self._waiting[place] = position
        if drained:
            self._drained.add(place)
        for old in list(self._waiting)[:-_WAITING]:
            self.forget(old)

    def position(self, place: str) -> Position:
        """A position that waits."""
        return self._waiting[place]

    def has_head(self, place: str) -> bool:
        """Whether a position waits of which more than one line was read, so that its file can be told from others."""
        return place in self._waiting and self._waiting[place]["head_bytes"] > 0

    def forget(self, place: str) -> None:
        """A position that is not needed any longer, whether it waits or not."""
        if self._waiting.pop(place, None) is not None:
            self._drained.discard(place)
            self._forgotten.append(place)

    def forgotten(self) -> list[str]:
        """See `Source.forgotten`."""
        told, self._forgotten = self._forgotten, []
        return told
