"""Slots: from stamps to slot numbers, and from slots to instants and local time of day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from daemon.config.holidays import Holidays

SUNDAY = 6  # days after Monday
_LATEST_S = 6_311_433_600  # 2170: as far as zones are asked
NEVER = -(1 << 40)  # the slot of what has not happened yet


class SlotClock:
    """Slot arithmetic of one stream. Slot n begins n intervals after the epoch.

    Args:
        interval_s: Length of a slot in seconds.
        timezone: IANA name; what "time of day" means.
        stamp: Whether a stamp marks the start or the end of its interval.
        holidays: Days that count as Sundays, as `Holidays` takes them; None: no day.
    """

    def __init__(
        self, interval_s: int, timezone: str, stamp: Literal["start", "end"], holidays: Sequence[str] | None = None
    ) -> None:
        self.interval_s = interval_s
        self._zone = ZoneInfo(timezone)
        self.end = stamp == "end"
        self.set_holidays(holidays)

    def set_holidays(self, holidays: Sequence[str] | None) -> None:
        """From now on, have these days count as Sundays."""
        self._holidays = Holidays(holidays or ())
        self._offsets: dict[int, int] = {}
        self._days: dict[int, list[tuple[int, int]]] = {}

    def slots(self, at_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Slot in which each stamp lies, epoch milliseconds; one at the end of an interval belongs to that interval."""
        return (at_ms - (1 if self.end else 0)) // (self.interval_s * 1000)

    def slot(self, at: int) -> int:
        """Slot that begins at `at`, epoch seconds, or is in progress then."""
        return at // self.interval_s

    def slot_of_now(self, now_ms: int) -> int:
        """Slot in progress at `now_ms`."""
        return now_ms // (self.interval_s * 1000)

    def at(self, slot: int) -> int:
        """Start of a slot, epoch seconds."""
        return slot * self.interval_s

    def local_s(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Start of each slot as seconds since the epoch on the local clock, shape as given.

        On a holiday it is the same time of that week's Sunday, so that the time of week is a Sunday's.
        """
        start_s = slots * self.interval_s
        quarters, inverse = np.unique(start_s // 900, return_inverse=True)
        offsets = np.array([self._offset(int(q)) for q in quarters], np.int64)
        return start_s + offsets[inverse] if len(slots) else start_s

    def hours(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Local hour of day of each slot, 0 to 23."""
        return self.local_s(slots) % 86400 // 3600

    def offsets(self, first_s: int, last_s: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Instants (epoch seconds) at which the local clock is set otherwise, and by how much it is ahead from then on.

        The first instant is at or before `first_s`, and those up to `last_s` are there. Where a slot is longer than an
        hour, only whole days count: holidays, and no daylight saving time.
        """
        pieces: list[tuple[int, int]] = []
        for day in range(max(first_s, 0) // 86400, min(max(last_s, 0), _LATEST_S) // 86400 + 1):
            for at, offset in self._day(day):
                if not pieces or pieces[-1][1] != offset:
                    pieces.append((at, offset))
        found = np.array(pieces or [(0, 0)], np.int64)
        if self.interval_s > 3600:
            found[:, 1] = (found[:, 1] + 36000) // 86400 * 86400
        return found[:, 0].copy(), found[:, 1].copy()

    def _day(self, day: int) -> list[tuple[int, int]]:
        """What `offsets` has of a day of UTC."""
        known = self._days.get(day)
        if known is None:
            first = self._offset(day * 96)
            known = [(day * 86400, first)]
            if self._offset(day * 96 + 95) != first:
                known += [(q * 900, self._offset(q)) for q in range(day * 96 + 1, day * 96 + 96)]
            self._days[day] = known
        return known

    def _offset(self, quarter: int) -> int:
        """Seconds that `local_s` is ahead of UTC in a quarter of an hour; zones change on quarters only."""
        known = self._offsets.get(quarter)
        if known is None:
            if len(self._offsets) > 100_000:
                self._offsets.clear()
            local = datetime.fromtimestamp(quarter * 900, UTC).astimezone(self._zone)
            offset, days = local.utcoffset(), 0
            if local.date() in self._holidays:
                days = SUNDAY - local.weekday()
            known = 86400 * days + (int(offset.total_seconds()) if offset is not None else 0)
            self._offsets[quarter] = known
        return known
