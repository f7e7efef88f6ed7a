"""Positions that wait, found by path, by inode and by the head of the content, whatever their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from adapters.base import Position
from adapters.files.generation import Opened
from adapters.files.identity import Start
from adapters.files.rotation import rotated_of


class PositionIndex(dict[str, Position]):
    """Position by place, in the order in which they came; entries are replaced by `put` and `drop` only."""

    def __init__(self) -> None:
        super().__init__()
        self._paths: dict[str, dict[str, None]] = {}
        self._inodes: dict[tuple[Any, Any], dict[str, None]] = {}
        self._heads: dict[tuple[int, int], dict[str, dict[str, None]]] = {}

    def put(self, place: str, position: Position) -> None:
        """Have a position wait, the newest of all."""
        self.drop(place)
        self[place] = position
        for index, key in self._indexes(position):
            index.setdefault(key, {})[place] = None

    def drop(self, place: str) -> Position | None:
        """A position waits no longer; None when it did not."""
        position = self.pop(place, None)
        if position is not None:
            for index, key in self._indexes(position):
                places = index[key]
                places.pop(place, None)
                if not places:
                    del index[key]
            shape = _shape(position)
            if not self._heads.get(shape, True):
                del self._heads[shape]
        return position

    def of(self, path: str) -> list[str]:
        """Places of a path."""
        return list(self._paths.get(path, ()))

    def paths(self) -> set[str]:
        """All paths."""
        return set(self._paths)

    def candidates(self, opened: Opened) -> Iterator[str]:
        """Places that a file may continue: by its names, by its inode, and by what it begins with."""
        found: dict[str, None] = {}
        for path in (opened.name, *rotated_of(opened.name)):
            found |= self._paths.get(path, {})
        found |= self._inodes.get((opened.device, opened.inode), {})
        with suppress(OSError):  # it cannot be read now; whoever reads it next will say so
            start = Start(opened.content)
            for (head_at, length), heads in self._heads.items():
                if length:
                    found |= heads.get(start.head_hash(head_at, length), {})
        return iter(found)

    def _indexes(self, position: Position) -> Iterable[tuple[dict[Any, dict[str, None]], Any]]:
        yield self._paths, position["path"]
        yield self._inodes, (position.get("device"), position.get("inode"))
        yield self._heads.setdefault(_shape(position), {}), position.get("head")


def _shape(position: Position) -> tuple[int, int]:
    return int(position["head_at"]), int(position["head_bytes"])
