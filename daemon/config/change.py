"""What differs between two configurations, and what a running state says to that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from daemon.config.schema import NAME, keys
from daemon.config.settings import Settings


class RefusedError(ValueError):
    """A configuration that an engine cannot be brought under, or not with its state; nothing was changed."""


def changes(old: Settings, new: Settings) -> list[tuple[str, str]]:
    """Keys that differ, each with what a reload needs for it: `live`, `retrain` or `state`; sorted by key.

    A stream that is added is `live`, it starts with a state of its own; one that is removed is `state`, its state goes.
    So is a `format.value` with more or fewer variables.
    """
    effects = {key.path: key.effect or "live" for key in keys()}
    before, after = dict(_flat(old.model_dump(mode="json"))), dict(_flat(new.model_dump(mode="json")))
    found = [(f"streams.{name}", "live") for name in new.streams if name not in old.streams]
    found += [(f"streams.{name}", "state") for name in old.streams if name not in new.streams]
    for key, value in after.items():
        if key in before and before[key] != value:
            widened = key.endswith(".format.value") and _width(value) != _width(before[key])
            found.append((key, "state" if widened else effects[pattern(key)]))
    return sorted(found)


def _width(value: str | list[str]) -> int:
    return len(value) if isinstance(value, list) else 1


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def pattern(key: str) -> str:
    """A key's path as the schema has it, `NAME` for a stream's name."""
    return re.sub(r"^streams\.[^.]+", f"streams.{NAME}", key)
