"""Series that are overdue: gaps that open when readings are missed, and the fields of the clock that go with them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.due_hours import NOT_BEFORE_LONG, Due, Skipped, silent_from
from daemon.engine.kernel.slots import NEVER
from daemon.engine.table import registers
from daemon.engine.table.series import FREE, QUEUED, Arrays

SILENT, BACK = 0, 1

GREATEST_SLOT, NEXT_SILENCE, COUNTER_RESETS, HELD_SILENCE, HEARD_SLOT, SKIPPED = 0, 1, 2, 3, 4, 5  # fields of the clock
CLOCK = 7  # fields; of SKIPPED there are two

FEW = 4  # series that may fall silent at once in a delivery without its being taken for a part
FEW_SHARE = 50  # or one in so many


class Rules(NamedTuple):
    """What allotting needs of a stream's configuration; durations in slots.

    Attributes:
        due: When readings are.
        retire_after: Slots without a reading after which a series is forgotten.
        lateness: Slots the stream waits.
        counter: Whether only the increase counts.
        aggregated: Whether several readings make a slot, and what was passed on stays.
        revised: Whether another value for a slot is taken.
        meter: How registers are read.
        waiting: Whether silence of many at once waits, because what they sent may come in another file.
        lead: Slots by which one reading may move the stream.
    """

    due: Due
    retire_after: int
    lateness: int
    counter: bool
    aggregated: bool
    revised: bool
    meter: registers.Meter
    waiting: bool
    lead: int


class Silences(NamedTuple):
    """Gaps that opened or closed, in order."""

    kind: npt.NDArray[np.int8]  # SILENT or BACK
    row: npt.NDArray[np.int32]
    slot: npt.NDArray[np.int64]  # the slot the stream had reached
    last: npt.NDArray[np.int64]  # the slot before the first one that was missed
    arrival: npt.NDArray[np.int64]
    known: npt.NDArray[np.int64]  # series that the stream had by then; of SILENT only

    @classmethod
    def room(cls, n: int) -> Silences:
        """Room for `n` of them."""
        return cls(
            np.empty(n, np.int8),
            np.empty(n, np.int32),
            np.empty(n, np.int64),
            np.empty(n, np.int64),
            np.empty(n, np.int64),
            np.empty(n, np.int64),
        )


@compiled
def note(out: Silences, n: int, kind: int, row: int, slot: int, last: int, arrival: int) -> None:
    """Write the `n`-th gap opened or closed."""
    out.kind[n] = kind
    out.row[n] = row
    out.slot[n] = slot
    out.last[n] = last
    out.arrival[n] = arrival


@compiled
def find_silent(
    a: Arrays, used: int, clock: Any, closed: int, rules: Rules, arrival: int, out: Silences, found: int
) -> int:
    """Open a gap for every series that has missed `gap_after` readings due up to `closed`; returns the new count.

    A series is watched once it has filled a window's worth of slots, and not where it retires before. Under
    `rules.waiting` nothing opens where more than a few would: `HELD_SILENCE` says so then.
    """
    if closed < clock[NEXT_SILENCE]:
        if clock[HELD_SILENCE] == NEVER:
            clock[HEARD_SLOT] = max(clock[HEARD_SLOT], closed)
        return found
    following, known, start = closed + rules.due.gap_after, 0, found
    skipped = Skipped(clock[SKIPPED], clock[SKIPPED + 1])
    clock[HELD_SILENCE] = NEVER
    for row in range(used):
        s = a.rows[row]
        if s.status == FREE or s.last == NEVER:
            continue
        known += 1
        if s.silent == 1:
            continue
        since = NEVER
        if s.due.overdue <= closed and s.readings >= a.ring.shape[1]:
            s.due.overdue, since = silent_from(s.due, rules.due, s.last, closed, s.status >= QUEUED, skipped)
            if s.due.overdue >= s.last + rules.retire_after:
                s.due.overdue = NOT_BEFORE_LONG
        if s.due.overdue > closed:
            following = min(following, s.due.overdue)
        elif since != NEVER:
            note(out, found, SILENT, row, closed, since - 1, arrival)
            found += 1
    if rules.waiting and found - start > max(FEW, known // FEW_SHARE):
        clock[NEXT_SILENCE] = clock[HELD_SILENCE] = closed
        return start
    clock[HEARD_SLOT] = max(clock[HEARD_SLOT], closed)
    for i in range(start, found):
        a.rows[out.row[i]].silent = 1
    out.known[start:found] = known
    clock[NEXT_SILENCE] = following
    return found
