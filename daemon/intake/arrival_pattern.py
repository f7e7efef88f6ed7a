"""How readings arrive, by what has come: as they are measured, or in deliveries, which `arrival: batch` is for."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

LEAST_READINGS = 500
BEHIND = 0.5  # of the readings are older than others before them: they come series by series
DAYS_SLOTS = 8  # slots that a delivery spans at least
QUIET_S = 60.0  # between two deliveries at least
TWICE = 2  # deliveries in a row before anything is said

Found = Literal["by series", "by time"]
"""Order of the rows in the deliveries that were found."""


class ArrivalPattern:
    """Watches one stream's readings for deliveries.

    Args:
        interval_s: Length of a slot.
        slack: Slots that a reading may be behind others without being out of order.
    """

    def __init__(self, interval_s: int, slack: int) -> None:
        self._interval_ms, self._slack_ms = interval_s * 1000, (slack + 1) * interval_s * 1000
        self._greatest = -(1 << 62)
        self._rows = self._behind = 0
        self._last_s: float | None = None
        self._since = self._until = 0
        self._bursts = 0
        self._first = True

    @property
    def behind(self) -> float:
        """Share of the readings so far that are older than others before them, beyond the slack."""
        return self._behind / self._rows if self._rows else 0.0

    @property
    def by_series(self) -> bool:
        """Whether the rows so far come series by series."""
        return self._rows >= LEAST_READINGS and self.behind > BEHIND

    def add(self, at_ms: npt.NDArray[np.int64]) -> None:
        """Take in stamps in their order of arrival."""
        if not len(at_ms):
            return
        reach = np.maximum(np.maximum.accumulate(at_ms), self._greatest)
        self._rows += len(at_ms)
        self._behind += int((at_ms < reach - self._slack_ms).sum())
        self._greatest = int(reach[-1])

    def arrived(self, at_ms: npt.NDArray[np.int64], now_s: float) -> Found | None:
        """Take in what came just now; what kind of deliveries these are, once it is plain."""
        if not len(at_ms):
            return None
        self.add(at_ms)
        if self.by_series:
            return "by series"
        if self._last_s is None or now_s - self._last_s >= QUIET_S:
            self._end_burst()
            self._since, self._until = int(at_ms.min()), int(at_ms.max())
        self._last_s = now_s
        self._since, self._until = min(self._since, int(at_ms.min())), max(self._until, int(at_ms.max()))
        return "by time" if self._bursts >= TWICE else None

    def _end_burst(self) -> None:
        """One has ended; the first after a start may be a backlog and says nothing."""
        spans = self._until - self._since >= DAYS_SLOTS * self._interval_ms
        backlog, self._first = self._first or self._last_s is None, self._last_s is None
        if not backlog:
            self._bursts = self._bursts + 1 if spans else 0
