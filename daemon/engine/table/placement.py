"""Where a reading belongs: new, late, duplicate or too old; rings, gaps, silence, and the windows to score.

One compiled pass over readings in order of arrival. It decides everything that depends on order and touches no
statistic, so that the forward passes of all its windows can then be done at once.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.due_hours import NOT_BEFORE_LONG, Due, Skipped, learn, silent_from
from daemon.engine.kernel.slots import NEVER
from daemon.engine.table.series import FREE, QUEUED, READY, Arrays

NEW, LATE, DUPLICATE, TOO_OLD, BASELINE = 0, 1, 2, 3, 4
SILENT, BACK = 0, 1
MOST_MISSING = 0.5  # of a window; above it the window is not scored
LOWEST, GREATEST = -3.0, 4.0  # scaled values are clipped to this

GREATEST_SLOT, NEXT_SILENCE, COUNTER_RESETS, HELD_SILENCE, HEARD_SLOT, SKIPPED = 0, 1, 2, 3, 4, 5  # fields of the clock
CLOCK = 7  # fields; of SKIPPED there are two

FEW = 4  # series that may fall silent at once in a delivery without its being taken for a part
FEW_SHARE = 50  # or one in so many


class Rules(NamedTuple):
    """What placing needs of a stream's configuration; durations in slots.

    Attributes:
        due: When readings are.
        retire_after: Slots without a reading after which a series is forgotten.
        lateness: Slots the stream waits.
        counter: Whether only the increase counts.
        waiting: Whether silence of many at once waits, because what they sent may come in another file.
        lead: Slots by which one reading may move the stream.
    """

    due: Due
    retire_after: int
    lateness: int
    counter: bool
    waiting: bool
    lead: int


class Entries(NamedTuple):
    """Readings that filled a new slot, in order of arrival; E of them, K with a window to score."""

    row: npt.NDArray[np.int32]  # (E,)
    slot: npt.NDArray[np.int64]  # (E,)
    value: npt.NDArray[np.float64]  # (E, F)
    arrival: npt.NDArray[np.int64]  # (E,) index of the reading
    window: npt.NDArray[np.int32]  # (E,) index of its window, -1 when it is not scored
    x: npt.NDArray[np.float32]  # (K, W, F)
    observed: npt.NDArray[np.bool_]  # (K, W)

    @classmethod
    def room(cls, n: int, window: int, width: int) -> Entries:
        """Room for `n` entries, all with windows."""
        return cls(
            row=np.empty(n, np.int32),
            slot=np.empty(n, np.int64),
            value=np.empty((n, width)),
            arrival=np.empty(n, np.int64),
            window=np.empty(n, np.int32),
            x=np.empty((n, window, width), np.float32),
            observed=np.empty((n, window), np.bool_),
        )


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
def fill_window(ring: Any, slot: int, x: Any, observed: Any) -> int:
    """Write the window that ends at `slot`, oldest first; gaps hold the value before them. Returns the gaps' number."""
    size = len(x)
    missing = 0
    before = -1
    for j in range(size):
        at = (slot - size + 1 + j) % size
        observed[j] = not math.isnan(ring[at, 0])
        if observed[j]:
            x[j] = ring[at]
            if before < 0:
                for i in range(j):
                    x[i] = x[j]
            before = j
        else:
            missing += 1
            if before >= 0:
                x[j] = x[before]
    return missing


@compiled
def scaled(value: float, origin: float, scale: float) -> float:
    """A value in units of the warm-up's range, clipped."""
    return min(max((value - origin) / scale, LOWEST), GREATEST)


@compiled
def _write(a: Arrays, row: int, slot: int, value: Any) -> None:
    """Put a value into the series' ring: the warm-up's, or the scaled one."""
    s = a.rows[row]
    if s.status == READY:
        for f in range(len(value)):
            a.ring[row, slot % a.ring.shape[1], f] = scaled(value[f], a.origin[row, f], a.scale[row, f])
    else:
        a.history[s.buffer, slot % a.history.shape[1]] = value


@compiled
def _forget_between(a: Arrays, row: int, last: int, slot: int) -> None:
    """Mark the slots between two readings as gaps."""
    s = a.rows[row]
    if s.status == READY:
        size = a.ring.shape[1]
        for t in range(max(last + 1, slot - size + 1), slot):
            a.ring[row, t % size] = np.nan
    else:
        size = a.history.shape[1]
        for t in range(max(last + 1, slot - size + 1), slot):
            a.history[s.buffer, t % size] = np.nan


@compiled
def _place_old(a: Arrays, row: int, slot: int, value: Any, counter: bool) -> int:
    """A reading that is not newer than the series' last: fill its slot if that is free and still in the window."""
    s = a.rows[row]
    ready = s.status == READY
    size = a.ring.shape[1] if ready else a.history.shape[1]
    if slot <= s.last - size:
        return TOO_OLD
    held = a.ring[row, slot % size, 0] if ready else a.history[s.buffer, slot % size, 0]
    if slot == s.last or not math.isnan(held):
        return DUPLICATE
    s.late += 1
    if not counter:  # a late counter reading cannot be told apart into its slots any more
        _write(a, row, slot, value)
    return LATE


@compiled
def _increase(a: Arrays, row: int, slot: int, value: Any, clock: Any) -> None:
    """Turn a counter reading into the increase per slot since the last one; after a reset, since zero."""
    slots = slot - a.rows[row].last
    reset = False
    for f in range(len(value)):
        reading = value[f]
        before = a.baseline[row, f]
        reset = reset or reading < before
        value[f] = (reading if reading < before else reading - before) / slots
        a.baseline[row, f] = reading
    clock[COUNTER_RESETS] += 1 if reset else 0


@compiled
def _note(out: Silences, n: int, kind: int, row: int, slot: int, last: int, arrival: int) -> None:
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
            _note(out, found, SILENT, row, closed, since - 1, arrival)
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


@compiled
def _begin_counter(a: Arrays, row: int, slot: int, value: Any) -> None:
    """A counter's first reading: what the next one has increased since."""
    s = a.rows[row]
    s.first, s.last, s.mature = slot + 1, slot, slot + a.history.shape[1]
    s.due.overdue = slot
    a.baseline[row] = value


@compiled
def _move_on(a: Arrays, row: int, slot: int, value: Any) -> None:
    """Bring a series to a new slot, with the slots between as gaps."""
    s = a.rows[row]
    if s.last == NEVER:
        s.first, s.mature = slot, slot + a.history.shape[1] - 1
    else:
        _forget_between(a, row, s.last, slot)
    s.last = slot
    s.readings += 1
    _write(a, row, slot, value)


@compiled
def _enter(a: Arrays, row: int, slot: int, value: Any, arrival: int, e: Entries, entries: int, windows: int) -> int:
    """Write an entry, with its window where one is to be scored; returns the number of windows."""
    e.row[entries] = row
    e.slot[entries] = slot
    e.value[entries] = value
    e.arrival[entries] = arrival
    e.window[entries] = -1
    if a.rows[row].status != READY:
        return windows
    missing = fill_window(a.ring[row], slot, e.x[windows], e.observed[windows])
    if missing > MOST_MISSING * e.x.shape[1]:
        return windows
    e.window[entries] = windows
    return windows + 1


@compiled
def place(
    a: Arrays,
    used: int,
    clock: Any,
    rules: Rules,
    reached: int,
    rows: Any,
    slots: Any,
    shifts: Any,
    values: Any,
    verdicts: Any,
    e: Entries,
    out: Silences,
) -> tuple[int, int, int]:
    """Place readings in order of arrival.

    Args:
        a: The table's arrays.
        used: Rows in use.
        clock: `GREATEST_SLOT`, `NEXT_SILENCE` and the others, int64; advanced.
        rules: The stream's rules.
        reached: The slot that the stream has come to; a reading further ahead than `rules.lead` does not move it.
        rows: Row of each reading, shape (N,).
        slots: Slot of each reading, shape (N,).
        shifts: Slots to add when the slot is taken, shape (N,).
        values: Shape (N, F); counters are turned into increases in place.
        verdicts: Written: what became of each reading, shape (N,).
        e: Written: entries, with room for N.
        out: Written: gaps opened and closed, with room for 2 N + used.

    Returns:
        Numbers of entries, windows and silences written.
    """
    entries, windows, silences = 0, 0, 0
    for i in range(len(rows)):
        row, slot = rows[i], slots[i]
        s = a.rows[row]
        if shifts[i] != 0 and slot <= s.last:
            slot += shifts[i]
        if clock[GREATEST_SLOT] < slot <= max(clock[GREATEST_SLOT] + rules.lead, reached):
            if rules.waiting and clock[GREATEST_SLOT] != NEVER and slot > clock[GREATEST_SLOT] + 1:
                clock[SKIPPED], clock[SKIPPED + 1] = clock[GREATEST_SLOT] + 1, slot - 1
            clock[GREATEST_SLOT] = slot
            silences = find_silent(a, used, clock, slot - 1 - rules.lateness, rules, i, out, silences)
        if s.last != NEVER and slot <= s.last:
            verdicts[i] = _place_old(a, row, slot, values[i], rules.counter)
            continue
        if rules.counter:
            if s.last == NEVER:
                _begin_counter(a, row, slot, values[i])
                verdicts[i] = BASELINE
                continue
            _increase(a, row, slot, values[i], clock)
        verdicts[i] = NEW
        learn(s.due, rules.due, s.last, slot, s.silent == 1, Skipped(clock[SKIPPED], clock[SKIPPED + 1]))
        if s.silent == 1 and not clock[SKIPPED] <= slot <= clock[SKIPPED + 1]:
            s.silent = 0
            back = clock[SKIPPED] if s.last < clock[SKIPPED] and slot == clock[SKIPPED + 1] + 1 else slot
            _note(out, silences, BACK, row, back, s.last, i)
            silences += 1
        _move_on(a, row, slot, values[i])
        clock[NEXT_SILENCE] = min(clock[NEXT_SILENCE], slot + rules.due.gap_after)
        windows = _enter(a, row, slot, values[i], i, e, entries, windows)
        entries += 1
    return entries, windows, silences
