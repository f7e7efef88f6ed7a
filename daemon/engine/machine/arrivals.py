"""Readings as they arrive: a chunk of them placed in its series, and the series that fall silent meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.config.settings import StreamSettings
from daemon.engine.kernel.slots import NEVER
from daemon.engine.machine.corroboration import lead_of
from daemon.engine.machine.silence import Silence
from daemon.engine.messages.events import Event
from daemon.engine.table import placement
from daemon.engine.table.placement import Entries, Rules, Silences
from daemon.engine.table.series import SeriesTable

CHUNK = 8192  # readings placed and scored at once
CHUNK_NUMBERS = 1 << 21  # numbers in the windows of one chunk


@dataclass(frozen=True, slots=True)
class Coded:
    """N readings in order of arrival, their series dictionary-encoded."""

    series: list[str]
    codes: npt.NDArray[np.int32]  # (N,) index into `series`
    slots: npt.NDArray[np.int64]  # (N,)
    shift: npt.NDArray[np.int64]  # (N,) as in `Arrived`
    values: npt.NDArray[np.float64]  # (N, F)

    def __len__(self) -> int:
        return len(self.codes)

    def part(self, start: int, stop: int) -> Coded:
        """Readings `start` to `stop`."""
        cut = slice(start, stop)
        return Coded(self.series, self.codes[cut], self.slots[cut], self.shift[cut], self.values[cut])


class Arrived(NamedTuple):
    """N readings in order of arrival."""

    row: npt.NDArray[np.int32]  # (N,) of its series
    slot: npt.NDArray[np.int64]  # (N,)
    shift: npt.NDArray[np.int64]  # (N,) slots to add where its own is taken: a local hour that repeats
    value: npt.NDArray[np.float64]  # (N, F)

    def part(self, chosen: slice | npt.NDArray[np.bool_]) -> Arrived:
        """The chosen ones."""
        return Arrived(self.row[chosen], self.slot[chosen], self.shift[chosen], self.value[chosen])


class Placed(NamedTuple):
    """What became of a chunk's readings."""

    verdicts: npt.NDArray[np.int8]  # of each reading, `placing.NEW` and so on
    entries: Entries  # their arrays are used again by the next chunk
    filled: int  # entries that hold a reading
    windows: int  # of entries that have one to score
    silences: list[tuple[int, Event]]  # revisions of gaps, each with the arrival index that caused it


class Arrivals:
    """Places one stream's readings.

    Args:
        table: The stream's series; changed.
        silence: Its open gaps; changed.

    Attributes:
        size: Readings in a chunk at the most.
        clock: The stream's clock as `placing.place` has it; part of the state.
    """

    def __init__(self, table: SeriesTable, silence: Silence) -> None:
        self.table, self.silence = table, silence
        self.size = max(32, min(CHUNK, CHUNK_NUMBERS // (table.window * table.width)))
        self.clock = np.array([NEVER, NEVER, 0], np.int64)
        self._entries: Entries | None = None

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings."""
        counter = settings.kind == "counter"
        self._rules = Rules(settings.gap_after, settings.lateness, counter, lead_of(settings.gap_after))

    def place(self, readings: Arrived, reached: int) -> Placed:
        """Place at most `size` readings, in order; values of counters are changed into increases.

        `reached` is the slot that the stream has come to.
        """
        if self._entries is None:
            self._entries = Entries.room(self.size, self.table.window, self.table.width)
        n = len(readings.row)
        verdicts, found = np.empty(n, np.int8), self._room(n)
        filled, windows, silent = placement.place(
            self.table.arrays,
            self.table.used,
            self.clock,
            self._rules,
            reached,
            readings.row,
            readings.slot,
            readings.shift,
            readings.value,
            verdicts,
            self._entries,
            found,
        )
        return Placed(verdicts, self._entries, filled, windows, self.silence.take(found, silent))

    def advance(self, reached: int, closed: int) -> list[Event]:
        """The stream has come to a slot that no reading here has moved it to; gaps that this opens."""
        self.clock[placement.GREATEST_SLOT] = reached
        return self.find_silent(closed)

    def find_silent(self, closed: int) -> list[Event]:
        """Open a gap for every series that is silent once all slots up to `closed` are."""
        table, found = self.table, self._room(0)
        count = placement.find_silent(table.arrays, table.used, self.clock, closed, self._rules, 0, found, 0)
        return [event for _, event in self.silence.take(found, count)]

    def _room(self, readings: int) -> Silences:
        return Silences.room(2 * readings + self.table.used)
