"""Recorded readings of one series on its grid of slots: what the offline trainer is given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_DAY_S = 86400


class HistoryError(ValueError):
    """Readings that cannot be trained on; the message says which and why."""


@dataclass(frozen=True, eq=False)
class History:
    """One series.

    Attributes:
        series: The series' name.
        interval_s: Seconds between two slots.
        first: Number of the first slot; slot n begins n intervals after the epoch.
        values: Value of each slot, shape (N, F), float64; NaN is a gap.
        local_s: Start of each slot on the local clock, seconds since 1970-01-01 00:00 local, shape (N,), int64.
    """

    series: str
    interval_s: int
    first: int
    values: npt.NDArray[np.float64]
    local_s: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def at(self) -> npt.NDArray[np.int64]:
        """Start of each slot, epoch seconds, shape (N,)."""
        return (self.first + np.arange(len(self.values), dtype=np.int64)) * self.interval_s

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Whether each slot has a reading, shape (N,)."""
        return ~np.isnan(self.values[:, 0])

    @property
    def day(self) -> int:
        """Slots of a day, 1 where a slot is a day or more."""
        return max(1, _DAY_S // self.interval_s)

    def part(self, start: int, stop: int) -> History:
        """Slots `start` to `stop`, counted from the first."""
        return History(
            self.series, self.interval_s, self.first + start, self.values[start:stop], self.local_s[start:stop]
        )


def digest(histories: Sequence[History]) -> str:
    """SHA-256 of the readings, hexadecimal: whether an interrupted training may go on with them."""
    found = hashlib.sha256()
    for history in histories:
        found.update(f"{history.series}\0{history.interval_s}\0{history.first}\0{history.values.shape}".encode())
        found.update(history.values.tobytes())
        found.update(history.local_s.tobytes())
    return found.hexdigest()
