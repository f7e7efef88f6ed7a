"""Which series are this daemon's, where several share them, and readings without those of the others."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np

from adapters.base import Readings
from adapters.formats.rows import chosen
from daemon.config.shard_settings import ShardSettings


def part_of(series: str, of: int) -> int:
    """Part that a series is in, 0 to `of` - 1: what `hashmod` in Prometheus' relabelling makes of its name.

    That is the last eight bytes of its MD5 as a big-endian number, modulo `of`. It must not be the series' CRC-32,
    which spreads the work of one daemon's series over its slots.

    >>> [part_of(name, 4) for name in ("meter-1", "meter-2", "meter-3")]
    [1, 0, 0]
    """
    return int.from_bytes(hashlib.md5(series.encode(), usedforsecurity=False).digest()[8:]) % of


class Shard:
    """One part of all series.

    Args:
        settings: Which.

    Attributes:
        passed_over: Readings of other parts that were left out, by source.
    """

    def __init__(self, settings: ShardSettings) -> None:
        self._index, self._of = settings.index, settings.of
        self.passed_over: Counter[str] = Counter()

    def own(self, readings: Readings, source: str = "") -> Readings:
        """Readings of a source without those of other parts; refused lines stay, whosever they would have been."""
        if self._of == 1 or not len(readings):
            return readings
        own = np.fromiter((part_of(name, self._of) == self._index for name in readings.series), np.bool_)
        kept = own[readings.codes]
        if kept.all():
            return readings
        self.passed_over[source] += int(np.count_nonzero(~kept))
        return chosen(readings, kept)

    def status(self, source: str) -> dict[str, float]:
        """Gauges of a source, none where all series are in this part."""
        return {} if self._of == 1 else {"passed_over": float(self.passed_over[source])}

    def words(self) -> str:
        """What was left out, for whoever reads a file; "" for nothing."""
        count = self.passed_over.total()
        return f"{count} readings are not of shard {self._index} of {self._of} and were passed over" if count else ""
