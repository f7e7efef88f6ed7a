"""What is due at which slot of a stream, and where its readings are cut for it, so that no cut of batches matters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from daemon.config.settings import StreamSettings
from daemon.engine.kernel.slots import NEVER
from daemon.engine.learning.learner import Learner
from daemon.engine.machine.corroboration import lead_of
from daemon.engine.machine.maintenance import Maintenance
from daemon.engine.table.series import FREE, WARMING, SeriesTable

NOTHING_DUE = 1 << 40


class Schedule:
    """How far a stream has come, and what is due next.

    Args:
        table: The stream's series.
        learner: Its trainings.
        maintenance: Its windows: what was not told in one may be told at its end.

    Attributes:
        greatest: Greatest slot of its readings, NEVER before the first.
        closed: Last slot up to which everything due is done.
        lead: Slots by which one reading may move the stream.
        next_retiring: Slot at which series that are silent for long are looked for next, NEVER before the first.
    """

    def __init__(self, table: SeriesTable, learner: Learner, maintenance: Maintenance) -> None:
        self.table, self.learner, self.maintenance = table, learner, maintenance
        self.greatest = self.closed = self.next_retiring = NEVER

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings."""
        self._each_slot = settings.alerts.alarms_per_day is not None  # what waits to be told is looked at
        self._lateness, self._aggregated = settings.lateness, settings.aggregate != "none"
        self.lead = lead_of(settings.gap_after)
        self._retire_after = -(-settings.retire_after // settings.interval)
        self._retire_every = max(1, 86400 // settings.interval)

    def begin(self, slot: int) -> None:
        """The slot at which the stream begins sets when series retire."""
        if self.next_retiring == NEVER:
            self.next_retiring = slot + self._retire_after

    # -- what is due -------------------------------------------------------------------------------------------------

    def next_due(self) -> int | None:
        """The next slot whose closing causes something."""
        rows = self.table.rows
        warming = (rows["status"] == WARMING) & (rows["last"] != NEVER)
        dues = [int(rows["mature"][warming].min())] if bool(warming.any()) else []
        if self._aggregated:  # a first slot being collected will be allotted
            first = self.table.arrays.pending_slot[: len(rows)][(rows["status"] == WARMING) & (rows["last"] == NEVER)]
            dues += [int(first.min()) + self.table.warm_up_slots - 1] if len(first) else []
        learning = self.learner.due(self.closed)
        if learning is not None:
            dues.append(learning)
        if self.next_retiring != NEVER:
            dues.append(self.next_retiring)
        if (over := self.maintenance.next_end(self.closed_by_now())) is not None:
            dues.append(over)
        return min(dues, default=None)

    def closed_by(self, slot: int) -> int:
        """Last slot that readings up to `slot` have closed; `greatest` may be beyond."""
        return max(slot, self.greatest) - 1 - self._lateness

    def closed_by_now(self) -> int:
        """Last slot that the readings so far have closed."""
        return max(self.closed, self.closed_by(self.greatest))

    def is_due(self, closing: int) -> bool:
        """Whether closing all slots up to `closing` causes something."""
        due = self._next_cut()
        return due is not None and due <= closing and closing > self.closed_by_now()

    def _next_cut(self) -> int | None:
        """The next slot at whose closing readings are cut: something is due then, or, with a budget, may be."""
        return self.closed_by_now() + 1 if self._each_slot else self.next_due()

    def close(self, upto: int) -> Iterator[int]:
        """Close all slots up to `upto`; gives each at which something is due, as the last one closed."""
        self.closed = self.closed_by_now()
        while (due := self.next_due()) is not None and (slot := max(due, self.closed + 1)) <= upto:
            self.closed = slot
            yield slot
        self.closed = upto

    def retiring(self, slot: int) -> npt.NDArray[np.int64]:
        """Rows of the series to forget at `slot`; they are looked for once a day."""
        if slot < self.next_retiring:
            return np.zeros(0, np.int64)
        self.next_retiring = slot + self._retire_every
        rows = self.table.rows
        last = np.maximum(rows["last"], self.table.arrays.pending_slot[: len(rows)])
        return np.flatnonzero((rows["status"] != FREE) & (last != NEVER) & (last + self._retire_after <= slot))

    # -- where readings are cut --------------------------------------------------------------------------------------

    def cut(
        self,
        rows: npt.NDArray[np.int32],
        slots: npt.NDArray[np.int64],
        shift: npt.NDArray[np.int64],
        leaping: bool = False,
    ) -> int:
        """How many readings may be taken before one that might close a due slot, or, not `leaping`, is ahead.

        Too few does no harm.
        A series that appears among them is due a warm-up later, and the first of all sets when series retire, so
        readings after its first are held to that too. A reading's own slot is not known before it is allotted where a
        local hour repeats: there each reading that may close a due slot ends the cut.
        """
        reach = np.maximum(np.maximum.accumulate(slots + shift), self.greatest)
        before = np.maximum.accumulate(np.concatenate([[self.greatest], slots[:-1]]))
        leaps = np.flatnonzero((slots + shift > before + self.lead) & (not leaping))
        closing = reach - 1 - self._lateness
        by_now = self.closed_by_now()
        advances = closing > (by_now if shift.any() else np.concatenate([[by_now], closing[:-1]]))
        due = self._next_cut()
        dues = np.full(len(slots), NOTHING_DUE if due is None else due)
        ahead = min(self.table.warm_up_slots - 1, self._retire_after)
        fresh = np.where(self.table.unbegun(rows), slots + ahead, NOTHING_DUE)
        dues[1:] = np.minimum(dues[1:], np.minimum.accumulate(fresh)[:-1])
        crossing = np.flatnonzero(advances & (dues <= closing))
        return min(int(found[0]) if len(found) else len(slots) for found in (crossing, leaps))

    def slot_of(self, row: int, slot: int, shift: int) -> int:
        """The slot a reading will take, given that a repeated local hour counts as the second when it is taken."""
        if not shift or row < 0:
            return slot
        a = self.table.arrays
        last = max(int(a.rows["last"][row]), int(a.passed[row]), int(a.pending_slot[row]) - 1)
        return slot + shift if slot <= last else slot
