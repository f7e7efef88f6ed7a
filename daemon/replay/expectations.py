"""Recorded events: writing them, and telling how a run's events differ from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from daemon.engine.messages.events import Event

TOLERANCE = 1e-4  # relative, of numbers; bits differ across CPU types
_MOST_SHOWN = 20


def write_events(path: Path, events: Iterable[Event]) -> None:
    """Write event revisions as JSON lines."""
    path.write_bytes(b"".join(orjson.dumps(event.to_json()) + b"\n" for event in events))


def read_events(path: Path) -> list[Event]:
    """Event revisions that `write_events` or the file sink wrote.

    Raises:
        ValueError: A line is no event; the message names it.
    """
    events = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            events.append(Event.from_json(orjson.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}:{number}: not an event: {error}") from error
    return events


def differences(expected: Sequence[Event], found: Sequence[Event], exact: bool = False) -> list[str]:
    """Readable lines, one for each difference, or one in all where only digits of numbers differ; empty without any.

    Args:
        expected: The recorded revisions.
        found: The run's.
        exact: Whether numbers must be equal; otherwise within 1e-4 (relative).
    """
    wanted = {(e.id, e.revision): e for e in expected}
    got = {(e.id, e.revision): e for e in found}
    if wanted.keys() == got.keys() and (line := _only_digits(wanted, got, exact)):
        return [line]
    lines = []
    for key in sorted({*wanted, *got}, key=lambda k: _order(wanted.get(k) or got[k])):
        if key not in got:
            lines.append(f"- {describe(wanted[key])}")
        elif key not in wanted:
            lines.append(f"+ {describe(got[key])}")
        else:
            lines += [f"~ {describe(got[key])}: {text}" for text in _changes(wanted[key], got[key], exact)]
    if not lines and exact and list(wanted) != list(got):
        lines.append("the same revisions came in another order")
    more = len(lines) - _MOST_SHOWN
    return lines[:_MOST_SHOWN] + ([f"... and {more} more"] if more > 0 else [])


def _only_digits(wanted: Mapping[Any, Event], got: Mapping[Any, Event], exact: bool) -> str | None:
    """One line for revisions that differ in digits of numbers alone; None where none does, or anything else differs."""
    found: dict[str, float] = {}
    revisions = 0
    for key in wanted:
        before, after = wanted[key].to_json(), got[key].to_json()
        names = [name for name in before if not _equal(before[name], after[name], exact)]
        revisions += bool(names)
        for name in names:
            if (most := _digits(before[name], after[name])) is None:
                return None
            found[name] = max(most, found.get(name, 0.0))
    if not found:
        return None
    where = f"in {revisions} of {len(wanted)} revisions, by at most {max(found.values()):.1e} of a number"
    return f"~ only digits differ, {where}: {', '.join(found)}"


def _order(event: Event) -> tuple[int, str, int]:
    return event.at, event.series or "", event.revision


def describe(event: Event) -> str:
    """One line that names an event revision."""
    at = datetime.fromtimestamp(event.at, UTC).strftime("%Y-%m-%dT%H:%MZ")
    series = "(whole stream)" if event.series is None else event.series
    return f"{at} {event.stream}/{series} {'+'.join(event.reasons)} {event.state} (revision {event.revision})"


def _changes(wanted: Event, got: Event, exact: bool) -> list[str]:
    before, after = wanted.to_json(), got.to_json()
    return [
        f"{name} is {after[name]!r}, recorded was {before[name]!r}"
        for name in before
        if not _equal(before[name], after[name], exact)
    ]


def _equal(a: Any, b: Any, exact: bool) -> bool:
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_equal(x, y, exact) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k], exact) for k in a)
    if not exact and isinstance(a, (int, float)) and isinstance(b, float):
        return abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))
    return bool(a == b)


def _digits(a: Any, b: Any) -> float | None:
    """The greatest relative difference of the numbers in two values that are alike but for these; else None.

    Slots and counts are whole numbers, and no digits.
    """
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        parts = [_digits(x, y) for x, y in zip(a, b, strict=True)]
    elif isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        parts = [_digits(a[k], b[k]) for k in a]
    elif isinstance(a, (int, float)) and isinstance(b, (int, float)) and float in (type(a), type(b)):
        parts = [abs(a - b) / max(1.0, abs(a), abs(b))]
    else:
        return 0.0 if a == b else None
    return None if None in parts else max((each for each in parts if each is not None), default=0.0)
