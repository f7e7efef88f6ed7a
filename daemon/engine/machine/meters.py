"""Events of counters: a reading that its register cannot have shown, and a meter that was replaced."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.slots import SlotClock
from daemon.engine.machine.episodes import telling
from daemon.engine.machine.maintenance import Maintenance
from daemon.engine.messages.events import RULE_SCORE, Event, Reason, event_id
from daemon.engine.table.entries import METER_REPLACED, MISREAD, Notes
from daemon.engine.table.series import SeriesTable

_REASONS = {MISREAD: Reason.COUNTER, METER_REPLACED: Reason.REPLACED}


class Meters:
    """Says what is odd about the registers of one stream's counters, one revision each.

    Attributes:
        notified: Slot of the last notification by row.
        ended: As `Episodes` has it.
    """

    def __init__(self, stream: str, table: SeriesTable, slots: SlotClock, maintenance: Maintenance) -> None:
        self.stream, self.table, self.slots, self.maintenance = stream, table, slots, maintenance
        self.notified: dict[int, int] = {}
        self.ended: list[Event] | None = None

    def tell(self, notes: Notes, count: int, policies: npt.NDArray[Any]) -> list[tuple[int, Event]]:
        """Events of the first `count` notes, each with its arrival index; those of other kinds have none."""
        meant = [i for i in range(count) if int(notes.kind[i]) in _REASONS]
        return [(int(notes.arrival[i]), self._event(notes, i, policies)) for i in meant]

    def _event(self, notes: Notes, i: int, policies: npt.NDArray[Any]) -> Event:
        row, slot, reason = int(notes.row[i]), int(notes.slot[i]), _REASONS[int(notes.kind[i])]
        record = self.table.arrays.rows[row]
        record["anomalies"][reason] += 1
        hushed = self.maintenance.holds(row, slot)
        held = row in self.notified and slot - self.notified[row] < int(policies["refractory"][record["policy"]])
        held |= hushed
        if not held:
            self.notified[row] = slot
        series, started_at = self.table.names[row], self.slots.at(int(notes.first[i]))
        expected = notes.expected[i]
        event = Event(
            id=event_id(self.stream, series, "register", started_at),
            revision=0,
            stream=self.stream,
            series=series,
            state="closed",
            reasons=(reason.word,),
            started_at=started_at,
            ended_at=self.slots.at(int(notes.last[i])),
            at=self.slots.at(slot),
            **telling(not held, self.ended),
            maintenance=hushed,
            score=RULE_SCORE,
            rarity=0.0,
            threshold=0.0,
            reconstruction_error=0.0,
            value=tuple(float(v) for v in notes.value[i]),
            value_at=started_at,
            expected=None if np.isnan(expected).any() else tuple(float(v) for v in expected),
            lower=None,
            upper=None,
        )
        if self.ended is not None and event.withheld:
            self.ended.append(event)
        return event

    def forget(self, row: int) -> None:
        """The series of a row is forgotten."""
        self.notified.pop(row, None)

    def state(self) -> dict[str, int]:
        """JSON that `restore` continues from."""
        return {str(row): slot for row, slot in sorted(self.notified.items())}

    def restore(self, state: dict[str, int]) -> None:
        """Continue from what `state` returned."""
        self.notified = {int(row): slot for row, slot in state.items()}
