"""Where a reading belongs: new, late, repeated, a revision or too old; rings, gaps, silence, and the windows to score.

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
from daemon.engine.table import registers
from daemon.engine.table.series import FREE, QUEUED, READY, Arrays

NEW, LATE, REPEATED, REVISION, REVISED, TOO_OLD, BASELINE = 0, 1, 2, 3, 4, 5, 6
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


class Beside(NamedTuple):
    """What comes with N readings beside row, slot and value, and the physical limits of each policy (P, 2)."""

    phase: npt.NDArray[np.int32]  # (N,) of the series after each, see `phases`
    strays: npt.NDArray[np.int8]  # (N,)
    quality: npt.NDArray[np.int8]  # (N,) 0 actual; else it fills its slot, and nothing more
    limits: npt.NDArray[np.float64]


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


MISREAD, METER_REPLACED, VALUE_REVISED = 0, 1, 2


class Notes(NamedTuple):
    """What is to be said of readings that are no entries, in order of arrival."""

    kind: npt.NDArray[np.int8]
    row: npt.NDArray[np.int32]
    first: npt.NDArray[np.int64]  # slot of the first reading meant
    last: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int64]  # at which that turned out
    arrival: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]  # (N, F) of the first reading meant
    expected: npt.NDArray[np.float64]  # (N, F) NaN where there is none

    @classmethod
    def room(cls, n: int, width: int) -> Notes:
        """Room for `n` of them."""
        return cls(
            np.empty(n, np.int8),
            np.empty(n, np.int32),
            np.empty(n, np.int64),
            np.empty(n, np.int64),
            np.empty(n, np.int64),
            np.empty(n, np.int64),
            np.empty((n, width)),
            np.empty((n, width)),
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
    """Write the window that ends at `slot`, oldest first; gaps hold the value before them. Returns the gaps' number.

    What is not for use (outside the limits, estimated, misread) is a gap, too.
    """
    size = len(x)
    missing = 0
    before = -1
    for j in range(size):
        at = (slot - size + 1 + j) % size
        observed[j] = math.isfinite(ring[at, 0])
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
def _write(a: Arrays, row: int, slot: int, value: Any, usable: bool) -> None:
    """Put a value into the series' ring: the warm-up's, or the scaled one; what is not `usable` takes its slot only."""
    s = a.rows[row]
    if s.status != READY:
        at = slot % a.history.shape[1]
        a.history[s.buffer, at] = np.inf
        if usable:
            a.history[s.buffer, at] = value
        return
    at = slot % a.ring.shape[1]
    a.ring[row, at] = np.inf
    if usable:
        for f in range(len(value)):
            a.ring[row, at, f] = scaled(value[f], a.origin[row, f], a.scale[row, f])


@compiled
def _is_possible(value: Any, limits: Any) -> bool:
    """Whether a value lies within the physical limits in all variables."""
    possible = True
    for f in range(len(value)):
        possible = possible and limits[0] <= value[f] <= limits[1]
    return possible


@compiled
def _held(a: Arrays, row: int, slot: int) -> float:
    """What a slot that is kept holds of the first variable: NaN where it is free."""
    s = a.rows[row]
    if s.status == READY:
        return float(a.ring[row, slot % a.ring.shape[1], 0])
    return float(a.history[s.buffer, slot % a.history.shape[1], 0])


@compiled
def _is_held(a: Arrays, row: int, slot: int, value: Any, usable: bool) -> bool:
    """Whether a taken slot holds just this value; of what is not usable it is only known that it is not."""
    s = a.rows[row]
    if not usable or math.isinf(_held(a, row, slot)):
        return not usable and math.isinf(_held(a, row, slot))
    for f in range(len(value)):
        if s.status == READY:
            x = scaled(value[f], a.origin[row, f], a.scale[row, f])
            if np.float32(x) != a.ring[row, slot % a.ring.shape[1], f]:
                return False
        elif value[f] != a.history[s.buffer, slot % a.history.shape[1], f]:
            return False
    return True


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
def _place_old(a: Arrays, row: int, slot: int, value: Any, usable: bool, actual: bool, rules: Rules) -> int:
    """A reading that is not newer than the series' last: it fills its slot if that is free and kept, or revises it."""
    s = a.rows[row]
    size = a.ring.shape[1] if s.status == READY else a.history.shape[1]
    if slot <= s.last - size:
        return TOO_OLD
    if slot != s.last and math.isnan(_held(a, row, slot)):
        s.late += 1
        if not rules.counter:  # a late counter reading cannot be told apart into its slots any more
            _write(a, row, slot, value, usable)
        return LATE
    if rules.counter:
        known = not actual or registers.same(a, row, slot, value)
    else:
        known = _is_held(a, row, slot, value, usable)
    if known:
        return REPEATED
    return TOO_OLD if rules.aggregated else _revise(a, row, slot, value, usable, rules)


@compiled
def _revise(a: Arrays, row: int, slot: int, value: Any, usable: bool, rules: Rules) -> int:
    """Another value for a slot: REVISED where it is taken; of a counter only the last reading can be read anew."""
    if not rules.revised:
        return REVISION
    if rules.counter and (slot != a.rows[row].last or not registers.revise(a, row, value, rules.meter)):
        return REVISION
    _write(a, row, slot, value, usable)
    return REVISED


@compiled
def _say(out: Notes, n: int, kind: int, row: int, first: int, last: int, slot: int, arrival: int, value: Any) -> int:
    """Write the `n`-th note; returns how many there are now."""
    out.kind[n], out.row[n] = kind, row
    out.first[n], out.last[n], out.slot[n], out.arrival[n] = first, last, slot, arrival
    out.value[n] = value
    out.expected[n] = np.nan
    return n + 1


@compiled
def _read(a: Arrays, row: int, slot: int, value: Any, clock: Any, arrival: int, meter: Any, out: Notes, n: int) -> Any:
    """A register becomes the increase per slot; whether that is to be judged, and how many notes there are now."""
    s, at, reg = a.rows[row], a.register_slots[row], a.registers[row]
    outcome = registers.read(a, row, slot, value, meter)
    if outcome in (registers.RISEN, registers.DOUBT):
        return outcome == registers.RISEN, n
    first = at[registers.FIRST]
    if outcome in (registers.RESET, registers.REPLACED):
        clock[COUNTER_RESETS] += 1
        if outcome == registers.REPLACED and s.status == READY:
            n = _say(out, n, METER_REPLACED, row, first, slot, slot, arrival, reg[registers.FIRST])
        return True, n
    overshot = outcome == registers.OVERSHOT
    if overshot:  # the increase that was made of it is none
        _write(a, row, first, value, False)
    if s.status == READY and (not overshot or registers.is_far_over(a, row)):
        last = first if overshot else at[registers.DOUBTED]
        n = _say(out, n, MISREAD, row, first, last, slot, arrival, reg[registers.FIRST])
        out.expected[n - 1] = reg[registers.PREVIOUS]
    return True, n


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
    registers.begin(a, row, slot, value)


@compiled
def _move_on(a: Arrays, row: int, slot: int, value: Any, usable: bool) -> None:
    """Bring a series to a new slot, with the slots between as gaps."""
    s = a.rows[row]
    if s.last == NEVER:
        s.first, s.mature = slot, slot + a.history.shape[1] - 1
    else:
        _forget_between(a, row, s.last, slot)
    s.last = slot
    s.readings += 1
    _write(a, row, slot, value, usable)


@compiled
def _enter(
    a: Arrays, row: int, slot: int, value: Any, usable: bool, i: int, e: Entries, entries: int, windows: int
) -> int:
    """Write an entry, with its window where one is to be scored; returns the number of windows."""
    e.row[entries] = row
    e.slot[entries] = slot
    e.value[entries] = value
    e.arrival[entries] = i
    e.window[entries] = -1
    if a.rows[row].status != READY or not usable:
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
    beside: Beside,
    verdicts: Any,
    e: Entries,
    out: Silences,
    notes: Notes,
) -> tuple[int, int, int, int]:
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
        beside: What comes with the readings.
        verdicts: Written: what became of each reading, shape (N,).
        e: Written: entries, with room for N.
        out: Written: gaps opened and closed, with room for 2 N + used.
        notes: Written: with room for N.

    Returns:
        Numbers of entries, windows, silences and notes written.
    """
    entries, windows, silences, noted = 0, 0, 0, 0
    for i in range(len(rows)):
        row, slot, actual = rows[i], slots[i], beside.quality[i] == 0
        s = a.rows[row]
        s.phase, s.strays = beside.phase[i], beside.strays[i]
        if shifts[i] != 0 and slot <= s.last:
            slot += shifts[i]
        if clock[GREATEST_SLOT] < slot <= max(clock[GREATEST_SLOT] + rules.lead, reached):
            if rules.waiting and clock[GREATEST_SLOT] != NEVER and slot > clock[GREATEST_SLOT] + 1:
                clock[SKIPPED], clock[SKIPPED + 1] = clock[GREATEST_SLOT] + 1, slot - 1
            clock[GREATEST_SLOT] = slot
            silences = find_silent(a, used, clock, slot - 1 - rules.lateness, rules, i, out, silences)
        if s.last != NEVER and slot <= s.last:
            usable = actual and (rules.counter or _is_possible(values[i], beside.limits[s.policy]))
            verdicts[i] = _place_old(a, row, slot, values[i], usable, actual, rules)
            if verdicts[i] == REVISED:
                noted = _say(notes, noted, VALUE_REVISED, row, slot, slot, slot, i, values[i])
            continue
        judged = actual
        if rules.counter:
            if s.last == NEVER:
                _begin_counter(a, row, slot, values[i])
                verdicts[i] = BASELINE
                continue
            if actual:
                judged, noted = _read(a, row, slot, values[i], clock, i, rules.meter, notes, noted)
        verdicts[i] = NEW
        learn(s.due, rules.due, s.last, slot, s.silent == 1, Skipped(clock[SKIPPED], clock[SKIPPED + 1]))
        if s.silent == 1 and not clock[SKIPPED] <= slot <= clock[SKIPPED + 1]:
            s.silent = 0
            back = clock[SKIPPED] if s.last < clock[SKIPPED] and slot == clock[SKIPPED + 1] + 1 else slot
            _note(out, silences, BACK, row, back, s.last, i)
            silences += 1
        usable = judged and _is_possible(values[i], beside.limits[s.policy])
        _move_on(a, row, slot, values[i], usable)
        clock[NEXT_SILENCE] = min(clock[NEXT_SILENCE], slot + rules.due.gap_after)
        if judged:
            windows = _enter(a, row, slot, values[i], usable, i, e, entries, windows)
            entries += 1
    return entries, windows, silences, noted
