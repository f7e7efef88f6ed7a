"""How many series each source may bring into its stream, so that none uses up the room of all.

What is refused never comes into the journal but as a count, so a repetition finds the same. Which source brought in
which series is journaled with the batch, and is part of the engine's state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from adapters.base import REJECTIONS, Notice, Readings
from adapters.formats.rows import chosen

REASON = "source_series_limit"


class Census(NamedTuple):
    """The series of a stream.

    Attributes:
        known: Those that have a row.
        owned: How many of them each source brought in.
        expected: Series -> source, of those that wait for a row until their delivery ends.
        settled: Whether all that is journaled is applied.
    """

    known: Collection[str]
    owned: Mapping[str, int]
    expected: Mapping[str, str]
    settled: bool


class Quotas:
    """The limits of one stream's sources.

    Args:
        notice: Takes what an operator should read.

    Attributes:
        limits: Source -> series it may bring in; a source that is missing here brings in any number.
        census: Tells of the stream's series.
    """

    def __init__(self, notice: Notice) -> None:
        self._notice = notice
        self.limits: Mapping[str, int] = {}
        self.census: Callable[[], Census] = lambda: Census((), {}, {}, True)
        self._named: dict[str, str] = {}

    def admit(self, source: str, readings: Readings, under_way: bool) -> Readings:
        """Readings of a source, those of further series rejected than it may bring in.

        Args:
            source: Its name.
            readings: As they were parsed.
            under_way: Whether readings that were let in are not journaled yet.
        """
        limit = self.limits.get(source)
        if limit is None or not len(readings):
            return readings
        census = self.census()
        if census.settled and not under_way:
            self._named.clear()  # what has no row now was not taken: it is as new as before
        waiting = {**census.expected, **self._named}
        used = np.unique(readings.codes, return_index=True)
        order = used[0][np.argsort(used[1])].tolist()
        new = [code for code in order if (name := readings.series[code]) not in census.known and name not in waiting]
        if not new:
            return readings
        owned = census.owned.get(source, 0)
        owned += sum(of == source and name not in census.known for name, of in waiting.items())
        room = max(0, limit - owned)
        self._named.update((readings.series[code], source) for code in new[:room])
        if len(new) <= room:
            return readings
        self._notice(f"series {source}", "source has brought in as many series as it may", source=source, series=limit)
        return _without(readings, new[room:])

    def owners(self, series: Collection[str]) -> dict[str, str]:
        """Which source brings in each of these series, of those that are new."""
        return {name: self._named[name] for name in series if name in self._named} if self._named else {}

    def status(self, source: str) -> dict[str, float]:
        """Gauges of a source that has a limit."""
        limit = self.limits.get(source)
        return {} if limit is None else {"series": float(self.census().owned.get(source, 0)), "series_limit": limit}


def _without(readings: Readings, codes: list[int]) -> Readings:
    """Readings whose series is none of these; the others are rejected where they stand."""
    refused = np.isin(readings.codes, codes)
    ends = np.concatenate([readings.bad_ends, readings.ends[refused]])
    reasons = np.concatenate(
        [readings.bad_reasons, np.full(int(refused.sum()), REJECTIONS.index(REASON), readings.bad_reasons.dtype)]
    )
    order, kept = np.argsort(ends, kind="stable"), ~refused
    return replace(chosen(readings, kept), bad_reasons=reasons[order], bad_ends=ends[order])
