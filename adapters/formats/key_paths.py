"""Keys of JSON objects, with dots for what lies deeper, and lists of objects on the way."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import orjson

_MOST_DEEP = 8


class KeyPaths:
    """Finds the values of some keys.

    Args:
        keys: The keys. One with dots is the key of that very name where an object has it.

    Attributes:
        nested: Whether any key may lie deeper.
        names: Every name that an object may have once only.
        quoted: The last part of each key as it stands in a line.
        cells: The values of all keys of an object that has them all. Raises KeyError, TypeError.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._parts = {key: key.split(".") for key in keys}
        self.nested = any(len(parts) > 1 for parts in self._parts.values())
        self.names = {*keys, *(part for parts in self._parts.values() for part in parts)}
        self.quoted = (
            [orjson.dumps(parts[-1]) for parts in self._parts.values()]
            if self.nested
            else list(map(orjson.dumps, keys))
        )
        self.cells = self._walk_all if self.nested else itemgetter(*keys)
        ways = {tuple(parts[:depth]) for parts in self._parts.values() for depth in range(1, len(parts))}
        self._ways = sorted(ways, key=lambda way: (len(way), way))

    def get(self, item: dict[Any, Any], key: str) -> Any:
        """The value of a key in an object; None where it has none."""
        if key in item:
            return item[key]
        found: Any = item
        for part in self._parts[key]:
            if not isinstance(found, dict):
                return None
            found = found.get(part)
        return found

    def items(self, item: Any, depth: int = 0) -> list[Any] | None:
        """The objects that hold one reading each; None when lists lie beside each other, or too deep.

        Args:
            item: An object, or a list of them.
            depth: How many lists were opened already.
        """
        if depth > _MOST_DEEP:
            return None
        if isinstance(item, list):
            parts = [self.items(each, depth + 1) for each in item]
        else:
            lists = [way for way in self._ways if _is_objects(_walk(item, way))]
            if not lists:
                return [item]
            first = lists[0]
            if any(way[: len(first)] != first for way in lists):
                return None
            parts = [self.items(_grafted(item, first, each), depth + 1) for each in _walk(item, first)]
        found: list[Any] = []
        for part in parts:
            if part is None:
                return None
            found += part
        return found

    def _walk_all(self, item: dict[str, Any]) -> tuple[Any, ...]:
        found = []
        for key, parts in self._parts.items():
            value: Any = item
            if key in item and len(parts) > 1:
                raise KeyError(key)
            for part in parts:
                value = value[part]
            found.append(value)
        return tuple(found)


def _walk(item: Any, way: Sequence[str]) -> Any:
    for part in way:
        item = item.get(part) if isinstance(item, dict) else None
    return item


def _is_objects(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(each, dict) for each in found)


def _grafted(item: dict[str, Any], way: Sequence[str], each: Any) -> dict[str, Any]:
    """A copy of an object with another one at the end of a way."""
    name, *rest = way
    return {**item, name: _grafted(item[name], rest, each) if rest else each}
