"""Where a reading belongs: new, late, repeated, a revision or too old; and the windows to score.

One compiled pass over readings in order of arrival. It decides everything that depends on order and touches no
statistic, so that the forward passes of all its windows can then be done at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.due_hours import Skipped, learn
from daemon.engine.kernel.slots import NEVER
from daemon.engine.table import registers
from daemon.engine.table.entries import METER_REPLACED, MISREAD, VALUE_REVISED, Beside, Entries, Notes
from daemon.engine.table.overdue import (
    BACK,
    COUNTER_RESETS,
    GREATEST_SLOT,
    NEXT_SILENCE,
    SKIPPED,
    Rules,
    Silences,
    find_silent,
    note,
)
from daemon.engine.table.ring import MOST_MISSING, fill_window, forget_between, held, is_held, write
from daemon.engine.table.series import READY, Arrays

NEW, LATE, REPEATED, REVISION, REVISED, TOO_OLD, BASELINE = 0, 1, 2, 3, 4, 5, 6


@compiled
def _is_possible(value: Any, limits: Any) -> bool:
    """Whether a value lies within the physical limits in all variables."""
    possible = True
    for f in range(len(value)):
        possible = possible and limits[0] <= value[f] <= limits[1]
    return possible


@compiled
def _allot_old(a: Arrays, row: int, slot: int, value: Any, usable: bool, actual: bool, rules: Rules) -> int:
    """A reading that is not newer than the series' last: it fills its slot if that is free and kept, or revises it."""
    s = a.rows[row]
    size = a.ring.shape[1] if s.status == READY else a.history.shape[1]
    if slot <= s.last - size:
        return TOO_OLD
    if slot != s.last and math.isnan(held(a, row, slot)):
        s.late += 1
        if not rules.counter:  # a late counter reading cannot be told apart into its slots any more
            write(a, row, slot, value, usable)
        return LATE
    repeats = registers.same(a, row, slot, value) if rules.counter else is_held(a, row, slot, value, usable)
    if repeats or (rules.counter and not actual):
        return REPEATED
    return TOO_OLD if rules.aggregated else _revise(a, row, slot, value, usable, rules)


@compiled
def _revise(a: Arrays, row: int, slot: int, value: Any, usable: bool, rules: Rules) -> int:
    """Another value for a slot: REVISED where it is taken; of a counter only the last reading can be read anew."""
    if not rules.revised:
        return REVISION
    if rules.counter and (slot != a.rows[row].last or not registers.revise(a, row, value, rules.meter)):
        return REVISION
    write(a, row, slot, value, usable)
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
        write(a, row, first, value, False)
    if s.status == READY and (not overshot or registers.is_far_over(a, row)):
        last = first if overshot else at[registers.DOUBTED]
        n = _say(out, n, MISREAD, row, first, last, slot, arrival, reg[registers.FIRST])
        out.expected[n - 1] = reg[registers.PREVIOUS]
    return True, n


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
        forget_between(a, row, s.last, slot)
    s.last = slot
    s.readings += 1
    write(a, row, slot, value, usable)


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
def _advance(clock: Any, slot: int, rules: Rules) -> None:
    """The stream comes to a slot; in a delivery the slots that it passes over are skipped, by all series."""
    if rules.waiting and clock[GREATEST_SLOT] != NEVER and slot > clock[GREATEST_SLOT] + 1:
        clock[SKIPPED], clock[SKIPPED + 1] = clock[GREATEST_SLOT] + 1, slot - 1
    clock[GREATEST_SLOT] = slot


@compiled
def _come_back(s: Any, row: int, slot: int, clock: Any, arrival: int, out: Silences, found: int) -> None:
    """Close the gap of a series that has a reading again, as the silence of number `found`."""
    s.silent = 0
    back = clock[SKIPPED] if s.last < clock[SKIPPED] and slot == clock[SKIPPED + 1] + 1 else slot
    note(out, found, BACK, row, back, s.last, arrival)


@compiled
def allot(
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
    """Allot readings to slots, in order of arrival.

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
            _advance(clock, slot, rules)
            silences = find_silent(a, used, clock, slot - 1 - rules.lateness, rules, i, out, silences)
        if s.last != NEVER and slot <= s.last:
            usable = actual and (rules.counter or _is_possible(values[i], beside.limits[s.policy]))
            verdicts[i] = _allot_old(a, row, slot, values[i], usable, actual, rules)
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
            _come_back(s, row, slot, clock, i, out, silences)
            silences += 1
        usable = judged and _is_possible(values[i], beside.limits[s.policy])
        _move_on(a, row, slot, values[i], usable)
        clock[NEXT_SILENCE] = min(clock[NEXT_SILENCE], slot + rules.due.gap_after)
        if judged:
            windows = _enter(a, row, slot, values[i], usable, i, e, entries, windows)
            entries += 1
    return entries, windows, silences, noted
