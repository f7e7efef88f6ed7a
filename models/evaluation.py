"""Judging events against labelled windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

Window = tuple[float, float]  # first and last instant, epoch seconds


class Match(NamedTuple):
    """How events and windows met.

    Attributes:
        windows_found: How many windows at least one event overlaps.
        found: For each window, whether it was found.
        false_episodes: How many events overlap no window.
    """

    windows_found: int
    found: list[bool]
    false_episodes: int


def read_windows(path: Path, file_name: str, timezone: str = "UTC") -> list[Window]:
    """Labelled windows of one file of readings, in order.

    Args:
        path: NAB's `combined_windows.json` (file name -> list of pairs), or a plain JSON list of pairs. A stamp is
            local time text, or a number of epoch seconds.
        file_name: The readings' file; its path's end selects the key, so `data/nab/realKnownCause/nyc_taxi.csv` and
            `nyc_taxi.csv` both find `realKnownCause/nyc_taxi.csv`.
        timezone: Zone of stamps without one (IANA name).

    Returns:
        Pairs of first and last instant, epoch seconds, by start.

    Raises:
        ValueError: The file has another layout, or its keys leave open which one is meant.
    """
    try:
        content = orjson.loads(path.read_bytes())
        pairs = _pairs_of(content, file_name) if isinstance(content, dict) else content
        zone = ZoneInfo(timezone)
        return sorted((_epoch_s(start, zone), _epoch_s(end, zone)) for start, end in pairs)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: {error}; expected pairs of stamps, or an object of such lists by file name"
        ) from error


def match_events(windows: Sequence[Window], events: Sequence[Window]) -> Match:
    """Which windows are found by an event that overlaps them, ends included, and how many events are false.

    >>> match_events([(100, 200), (500, 600)], [(150, 160), (190, 210), (300, 310)])
    Match(windows_found=1, found=[True, False], false_episodes=1)
    """
    overlaps = [[start <= last and end >= first for first, last in windows] for start, end in events]
    found = [any(row[i] for row in overlaps) for i in range(len(windows))]
    return Match(sum(found), found, sum(not any(row) for row in overlaps))


def _pairs_of(labels: dict[str, Any], file_name: str) -> Any:
    """The value of the key that shares the most trailing path parts with `file_name`."""
    shared = {key: _shared_parts(key, file_name) for key in labels}
    most = max(shared.values(), default=0)
    keys = [key for key, count in shared.items() if count == most]
    if most == 0:
        raise ValueError(f"no key ends in {PurePath(file_name).name}")
    if len(keys) > 1:
        raise ValueError(f"{file_name} could be any of {', '.join(sorted(keys))}; name more of its path")
    return labels[keys[0]]


def _shared_parts(a: str, b: str) -> int:
    """How many trailing path parts are the same."""
    count = 0
    for x, y in zip(reversed(PurePath(a).parts), reversed(PurePath(b).parts), strict=False):
        if x != y:
            break
        count += 1
    return count


def _epoch_s(stamp: Any, zone: ZoneInfo) -> float:
    if isinstance(stamp, int | float):
        return float(stamp)
    at = datetime.fromisoformat(stamp)
    return (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()
