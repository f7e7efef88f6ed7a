"""Readings none of which closes a due slot, taken in: rows of their series, slots, judgement, and what is said.

`Stream` cuts readings where something is due; what is between two cuts comes here, and nothing that is learned or
closed on the way depends on where the cuts are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from daemon.config.settings import StreamSettings
from daemon.engine.detection.policies import policy_of
from daemon.engine.kernel.slots import SlotClock
from daemon.engine.machine.arrivals import Arrivals, Arrived, Coded
from daemon.engine.machine.assessment import Assessment
from daemon.engine.machine.counters import Counters
from daemon.engine.machine.meters import Meters
from daemon.engine.machine.schedule import Schedule
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch
from daemon.engine.table import overdue
from daemon.engine.table.aggregation import MODES, Combined, combine, finish
from daemon.engine.table.phases import KNOWN, UNSEEN, Phases, slots_in_phase
from daemon.engine.table.series import NO_PHASE, NO_SERIES, UNKNOWN, SeriesTable

MISSING = 3  # of `adapters.base.QUALITIES`
UNLEARNED = 4  # of a reading that fills its slot, and nothing more, because its window of maintenance says so


class Reception:
    """Takes in one stream's readings, a chunk at a time.

    Args:
        table: The stream's series; changed, as all of these.
        slots: From stamps to slots.
        schedule: How far the stream has come.
        arrivals: Which slots readings get.
        assessment: What they are worth.
        meters: What is said of registers.
        counters: What is counted.
    """

    def __init__(
        self,
        table: SeriesTable,
        slots: SlotClock,
        schedule: Schedule,
        arrivals: Arrivals,
        assessment: Assessment,
        meters: Meters,
        counters: Counters,
    ) -> None:
        self._table, self._slots, self._schedule, self._arrivals = table, slots, schedule, arrivals
        self._assessment, self._meters, self._counters = assessment, meters, counters

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings."""
        self._settings, self._mode = settings, MODES[settings.aggregate]

    @property
    def aggregates(self) -> bool:
        """Whether several readings make a slot."""
        return bool(self._mode)

    def sift(self, batch: Batch) -> Batch:
        """The readings of a batch that are readings: not stamped too far ahead, and not called missing."""
        return self._without_missing(self._without_future(batch))

    def _without_future(self, batch: Batch) -> Batch:
        """The readings that are not stamped too far ahead of the wall clock, where the stream goes by it."""
        if self._settings.clock != "wall":
            return batch
        ahead = batch.at_ms > batch.received_at_ms + self._settings.future * 1000
        self._counters.reject("future", int(ahead.sum()))
        return batch.only(~ahead) if ahead.any() else batch

    def _without_missing(self, batch: Batch) -> Batch:
        """The readings that their senders do not call missing: those are gaps."""
        if batch.quality is None:
            return batch
        missing = batch.quality == MISSING
        self._counters.reject("missing_value", int(missing.sum()))
        return batch.only(~missing) if missing.any() else batch

    def take_in(
        self, readings: Coded, rows: npt.NDArray[np.int32] | None = None, lead: int | None = None
    ) -> list[Event]:
        """Readings none of which closes a due slot; `lead` as `Arrivals.allot` has it."""
        rows = self._table.lookup(readings.series) if rows is None else rows
        self._admit(readings.series, readings.codes, rows)
        row, phases = rows[readings.codes], readings.phases
        beside = phases.phase, phases.strays, readings.quality
        return self._enter(Arrived(row, readings.slots, readings.shift, readings.values, *beside), lead)

    def in_phase(self, readings: Coded, rows: npt.NDArray[np.int32]) -> Coded:
        """The readings with their slots, by the phases that their series, which are in `rows`, have by then.

        Where several readings make a slot, they have no phase: each belongs to the slot in which it lies.
        """
        if self._mode:
            return readings
        out, known = Phases.room(len(readings)), rows >= 0
        records, at = self._table.arrays.rows, np.maximum(rows, 0)
        slots_in_phase(
            readings.at_ms.copy(),
            readings.codes.copy(),
            self._settings.interval * 1000,
            self._slots.end,
            np.where(known, KNOWN, UNSEEN).astype(np.int8),
            self._table.max_series - len(self._table),
            np.where(known, records["phase"][at], NO_PHASE).astype(np.int32),
            records["strays"][at],
            out,
        )
        return replace(readings, phases=out)

    def _admit(self, series: list[str], codes: npt.NDArray[np.int32], rows: npt.NDArray[np.int32]) -> None:
        """Give rows to series seen for the first time, in order of arrival."""
        unknown = codes[rows[codes] == UNKNOWN]
        if not len(unknown):
            return
        _, first = np.unique(unknown, return_index=True)
        for at in np.sort(first):
            code = int(unknown[at])
            row = rows[code] = self._table.admit(series[code])
            if row != NO_SERIES:
                self._table.arrays.rows["policy"][row] = policy_of(self._settings.alerts, series[code])

    def _enter(self, readings: Arrived, lead: int | None = None) -> list[Event]:
        """A chunk of readings none of which closes a due slot."""
        known = readings.row != NO_SERIES
        if not known.all():
            self._counters.reject("series_limit", int((~known).sum()))
            readings = readings.part(known)
        if not len(readings.row):
            return []
        if (left := self._assessment.maintenance.unlearned(readings.row, readings.slot)).any():
            readings = readings._replace(quality=np.where(left, UNLEARNED, readings.quality).astype(np.int8))
        if self._mode:
            return self._combine(readings, lead)
        events = self._allot(readings._replace(value=readings.value.copy()), lead=lead)
        self._schedule.greatest = max(self._schedule.greatest, int(self._arrivals.clock[overdue.GREATEST_SLOT]))
        return events

    def _allot(
        self, readings: Arrived, finished: npt.NDArray[np.bool_] | None = None, lead: int | None = None
    ) -> list[Event]:
        """Allot, score and decide on a chunk; its values may be changed, `finished` ones are counted already."""
        allotted = self._arrivals.allot(readings, self._schedule.greatest, lead)
        if finished is None:
            self._counters.judge(allotted.verdicts, readings.quality)
        else:
            counted = allotted.verdicts[~finished]
            self._counters.judge(counted, np.zeros(len(counted), np.int8))
        said, unscored = self._assessment.assess(allotted)
        self._counters.unscored += unscored
        merged = [(arrival, 0, event) for arrival, event in allotted.silences]
        merged += [(arrival, 1, event) for arrival, event in said]
        odd = self._meters.tell(allotted.notes, allotted.noted, self._assessment.policies)
        merged += [(arrival, 2, event) for arrival, event in odd]
        return [event for _, _, event in sorted(merged, key=lambda item: item[:2])]

    def _combine(self, readings: Arrived, lead: int | None) -> list[Event]:
        """Collect a chunk's readings into slots, and pass on those that can no longer change."""
        table, schedule = self._table, self._schedule
        out = Combined.room(len(readings.row) + table.used, table.width)
        count, taken, schedule.greatest = combine(
            table.arrays,
            table.used,
            self._mode,
            self._settings.lateness,
            schedule.lead if lead is None else lead,
            schedule.greatest,
            readings.row,
            readings.slot,
            readings.shift,
            readings.value,
            readings.quality,
            out,
        )
        self._counters.accepted += taken
        self._counters.guess(readings.quality)
        return self._allot_combined(out, count, lead)

    def finish_slots(self, closed: int) -> list[Event]:
        """Pass on aggregated slots up to `closed`."""
        if not self._mode:
            return []
        out = Combined.room(self._table.used, self._table.width)
        return self._allot_combined(out, finish(self._table.arrays, self._table.used, self._mode, closed, out, 0))

    def _allot_combined(self, out: Combined, count: int, lead: int | None = None) -> list[Event]:
        n = len(out.slot)
        shift, phase, strays = np.zeros(n, np.int64), np.full(n, NO_PHASE, np.int32), np.zeros(n, np.int8)
        readings = Arrived(out.row, out.slot, shift, out.value, phase, strays, out.quality)
        events: list[Event] = []
        for start in range(0, count, self._arrivals.size):
            cut = slice(start, min(start + self._arrivals.size, count))
            events += self._allot(readings.part(cut), out.finished[cut], lead)
        return events
