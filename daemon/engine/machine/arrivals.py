"""Readings as they arrive: a chunk of them gets its slots, and some series fall silent meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.config.due_calendar import quarters
from daemon.config.settings import StreamSettings
from daemon.engine.detection.policies import policies
from daemon.engine.kernel.due_hours import ALWAYS, CALENDAR, LEARNED, WEEK_QUARTERS, Due
from daemon.engine.kernel.slots import NEVER, SlotClock
from daemon.engine.machine.corroboration import lead_of
from daemon.engine.machine.silence import Silence
from daemon.engine.messages.events import Event
from daemon.engine.table import overdue
from daemon.engine.table.allotment import allot
from daemon.engine.table.entries import Beside, Entries, Notes
from daemon.engine.table.overdue import Rules, Silences
from daemon.engine.table.phases import Phases
from daemon.engine.table.registers import meter_of
from daemon.engine.table.series import SeriesTable

CHUNK = 8192  # readings allotted and scored at once
CHUNK_NUMBERS = 1 << 21  # numbers in the windows of one chunk
LEAST_LEARNED_S = 86400  # warm-up in which a series shows when it reports
LOOK_BACK_S = 32 * 86400  # local time is looked up so far around a reading


@dataclass(frozen=True, slots=True)
class Coded:
    """N readings in order of arrival, their series dictionary-encoded."""

    series: list[str]
    codes: npt.NDArray[np.int32]  # (N,) index into `series`
    at_ms: npt.NDArray[np.int64]  # (N,) stamps
    shift: npt.NDArray[np.int64]  # (N,) as in `Arrived`
    values: npt.NDArray[np.float64]  # (N, F)
    quality: npt.NDArray[np.int8]  # (N,) as in `Arrived`
    phases: Phases  # slots, and phases of their series

    @property
    def slots(self) -> npt.NDArray[np.int64]:
        """Slot of each, shape (N,)."""
        return self.phases.slot

    def __len__(self) -> int:
        return len(self.codes)

    def part(self, start: int, stop: int) -> Coded:
        """Readings `start` to `stop`."""
        cut = slice(start, stop)
        phases = Phases(self.phases.slot[cut], self.phases.phase[cut], self.phases.strays[cut])
        own = self.codes[cut], self.at_ms[cut], self.shift[cut], self.values[cut], self.quality[cut]
        return Coded(self.series, *own, phases)


class Arrived(NamedTuple):
    """N readings in order of arrival."""

    row: npt.NDArray[np.int32]  # (N,) of its series
    slot: npt.NDArray[np.int64]  # (N,)
    shift: npt.NDArray[np.int64]  # (N,) slots to add where its own is taken: a local hour that repeats
    value: npt.NDArray[np.float64]  # (N, F)
    phase: npt.NDArray[np.int32]  # (N,) of the series after each, see `daemon.engine.table.phases`
    strays: npt.NDArray[np.int8]  # (N,)
    quality: npt.NDArray[np.int8]  # (N,) 0 actual, else guessed

    def part(self, chosen: slice | npt.NDArray[np.bool_]) -> Arrived:
        """The chosen ones."""
        return Arrived(
            self.row[chosen],
            self.slot[chosen],
            self.shift[chosen],
            self.value[chosen],
            self.phase[chosen],
            self.strays[chosen],
            self.quality[chosen],
        )


class Allotted(NamedTuple):
    """What became of a chunk's readings."""

    verdicts: npt.NDArray[np.int8]  # of each reading, `allotment.NEW` and so on
    entries: Entries  # their arrays are used again by the next chunk
    filled: int  # entries that hold a reading
    windows: int  # of entries that have one to score
    silences: list[tuple[int, Event]]  # revisions of gaps, each with the arrival index that caused it
    notes: Notes  # what is to be said of readings that are no entries
    noted: int  # how many of them


class Arrivals:
    """Allots one stream's readings to slots.

    Args:
        table: The stream's series; changed.
        silence: Its open gaps; changed.
        slots: From slots to local time.

    Attributes:
        size: Readings in a chunk at the most.
        clock: The stream's clock as `overdue` has it; part of the state.
    """

    def __init__(self, table: SeriesTable, silence: Silence, slots: SlotClock) -> None:
        self.table, self.silence, self.slots = table, silence, slots
        self.size = max(32, min(CHUNK, CHUNK_NUMBERS // (table.window * table.width)))
        self.clock = np.full(overdue.CLOCK, NEVER, np.int64)
        self.clock[overdue.COUNTER_RESETS] = 0
        self._entries: Entries | None = None
        self._wanted: object = None

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings."""
        mode = LEARNED if settings.due == "learned" and settings.warm_up >= LEAST_LEARNED_S else ALWAYS
        calendar = np.zeros(WEEK_QUARTERS, np.bool_)
        if not isinstance(settings.due, str):
            mode, calendar = CALENDAR, np.array(quarters(settings.due), np.bool_)
        none = np.zeros(1, np.int64)
        due = Due(mode, settings.interval, settings.gap_after, none, none, calendar)
        retire_after = -(-settings.retire_after // settings.interval)
        rules = Rules(
            due,
            retire_after,
            settings.lateness,
            settings.kind == "counter",
            settings.aggregate != "none",
            settings.revisions == "take",
            meter_of(settings),
            settings.arrival == "batch",
            lead_of(settings.gap_after),
        )
        if (wanted := (settings.due, settings.gap_after, settings.retire_after)) != self._wanted:
            self.table.rows["due"]["overdue"] = self.table.rows["last"]  # who is silent is found anew
            self.clock[overdue.NEXT_SILENCE] = NEVER
        self._rules, self._wanted, self._covered = rules, wanted, (0, -1)
        self._reach = LOOK_BACK_S // settings.interval + settings.gap_after + settings.lateness + 2
        records = policies(settings)
        self._limits = np.stack([records["lowest"], records["greatest"]], 1)

    def _cover(self, first: int, last: int) -> Rules:
        """The rules, with the local clock of all times that allotting readings from slot `first` to `last` asks for."""
        due = self._rules.due
        first, last = first - self._reach, last + self._reach
        if due.mode != ALWAYS and not self._covered[0] <= first <= last <= self._covered[1]:
            self._covered = first, last + LOOK_BACK_S // due.interval_s
            starts, offsets = self.slots.offsets(*(slot * due.interval_s for slot in self._covered))
            self._rules = self._rules._replace(due=due._replace(starts=starts, offsets=offsets))
        return self._rules

    def held_silence(self, reach: int) -> int | None:
        """Slot up to which silence was put off that a delivery reaching to `reach` puts off no longer, None for none.

        A delivery that goes a little beyond is another part of the same; one that goes beyond by half of what was put
        off is the next.
        """
        held, heard = int(self.clock[overdue.HELD_SILENCE]), int(self.clock[overdue.HEARD_SLOT])
        if held == NEVER or reach <= held:
            return None
        return held if heard == NEVER or 2 * (reach - held) >= held - heard else None

    def allot(self, readings: Arrived, reached: int, lead: int | None = None) -> Allotted:
        """Allot at most `size` readings, in order; values of counters are changed into increases.

        `reached` is the slot that the stream has come to, and `lead` by how much one reading may move it; None: as
        far as one may that nobody has corroborated.
        """
        if self._entries is None:
            self._entries = Entries.room(self.size, self.table.window, self.table.width)
        n = len(readings.row)
        rules = self._cover(int(readings.slot.min()), int((readings.slot + readings.shift).max()))
        verdicts, found, notes = np.empty(n, np.int8), self._room(n), Notes.room(n, self.table.width)
        filled, windows, silent, noted = allot(
            self.table.arrays,
            self.table.used,
            self.clock,
            rules if lead is None else rules._replace(lead=lead),
            reached,
            readings.row,
            readings.slot,
            readings.shift,
            readings.value,
            Beside(readings.phase, readings.strays, readings.quality, self._limits),
            verdicts,
            self._entries,
            found,
            notes,
        )
        return Allotted(verdicts, self._entries, filled, windows, self.silence.tell(found, silent), notes, noted)

    def advance(self, reached: int, closed: int) -> list[Event]:
        """The stream has come to a slot that no reading here has moved it to; gaps that this opens."""
        self.clock[overdue.GREATEST_SLOT] = reached
        return self.find_silent(closed)

    def find_silent(self, closed: int, waiting: bool = True) -> list[Event]:
        """Open a gap for every series that is silent once all slots up to `closed` are; `waiting` if too many are."""
        table, found, rules = self.table, self._room(0), self._cover(closed, closed)
        rules = rules._replace(waiting=rules.waiting and waiting)
        count = overdue.find_silent(table.arrays, table.used, self.clock, closed, rules, 0, found, 0)
        return [event for _, event in self.silence.tell(found, count)]

    def _room(self, readings: int) -> Silences:
        return Silences.room(2 * readings + self.table.used)
