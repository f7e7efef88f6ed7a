"""Registers of counters: the increase per slot, and readings that no register shows.

A register only rises. A reading below the last one is doubted: it is kept apart until the next ones tell. When they
are back above the last good reading, the doubted ones were misread, and the increase since the good one goes on. When
`CONFIRMED` in a row stay low, the register has begun anew: near zero it was reset, elsewhere the meter was replaced,
and then what it shows is no consumption. So is a reading doubted that rises by more than `JUMP` times all before. A
fall of less than the tolerance is noise; with a modulus, a register that comes round has gone on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.config.settings import StreamSettings
from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.slots import NEVER
from daemon.engine.table.series import READY, Arrays, SeriesTable

VALUE, PREVIOUS, DOUBTED, FIRST, GREATEST = 0, 1, 2, 3, 4
"""Rows of a series' registers: the last good reading, the one before, the last and the first doubted one (after an
OVERSHOT the one that was too high); and the greatest increase per slot so far. The first four have their slots in
`register_slots`."""

RISEN, DOUBT, BACK_AGAIN, OVERSHOT, RESET, REPLACED = 0, 1, 2, 3, 4, 5

CONFIRMED = 3  # doubted readings in a row that agree with each other
JUMP = 100.0  # times the greatest increase so far, above which an increase is doubted
OVER = 10.0  # the same, above which a reading that the next one contradicts is worth an event
NOISE = 1e-4  # of the register: the tolerance where none is set
ROLLED = 0.1  # of the modulus, that a register may rise by when it comes round
ZERO = 0.01  # of the last good reading: below it a register has begun at zero
GIVEN_UP = 64  # slots of doubt after which what is read is the register


class Meter(NamedTuple):
    """What reading registers needs of the configuration."""

    tolerance: float  # a fall up to this is noise; below 0: `NOISE` of the register
    modulus: float  # 0: it does not come round


def meter_of(settings: StreamSettings) -> Meter:
    """What a stream's settings say of its registers."""
    return Meter(-1.0 if settings.fall_tolerance is None else settings.fall_tolerance, settings.modulus or 0.0)


@compiled
def begin(a: Arrays, row: int, slot: int, value: Any) -> None:
    """A counter's first reading: what the next one has increased since."""
    a.registers[row, VALUE] = value
    a.register_slots[row] = NEVER
    a.register_slots[row, VALUE] = slot


@compiled
def read(a: Arrays, row: int, slot: int, value: Any, meter: Meter) -> int:
    """What a reading makes of its register; `value` becomes the increase per slot, except where it is DOUBT.

    Args:
        a: The table's arrays.
        row: Its series.
        slot: Its slot, after all that were read.
        value: The register, shape (F,); changed.
        meter: The stream's.
    """
    s, at = a.rows[row], a.register_slots[row]
    if s.doubts == 0:
        if _rises(a, row, VALUE, slot, value, meter, s.status == READY):
            return RISEN
        a.registers[row, FIRST] = a.registers[row, VALUE]
        at[FIRST] = at[VALUE]
        falls = not _agrees(a, row, VALUE, value, meter)
        if falls and at[PREVIOUS] != NEVER and _rises(a, row, PREVIOUS, slot, value, meter, False):
            return OVERSHOT
        a.registers[row, FIRST] = value
        at[FIRST] = slot
    elif _rises(a, row, VALUE, slot, value, meter, s.status == READY):
        s.doubts = 0
        return BACK_AGAIN
    elif s.doubts == CONFIRMED - 1 and _agrees(a, row, DOUBTED, value, meter):
        began = _begins_at_zero(a, row)
        _rises(a, row, DOUBTED, slot, value, meter, False)
        s.doubts = 0
        return RESET if began else REPLACED
    s.doubts = s.doubts + 1 if s.doubts > 0 and _agrees(a, row, DOUBTED, value, meter) else 1
    a.registers[row, DOUBTED] = value
    at[DOUBTED] = slot
    if slot - at[FIRST] >= GIVEN_UP:
        begin(a, row, slot, value)
        s.doubts = 0
    return DOUBT


@compiled
def _risen(before: float, now: float, meter: Meter) -> float:
    """How much a register has risen between two readings, noise taken out; below 0 where none does that."""
    noise = meter.tolerance if meter.tolerance >= 0.0 else NOISE * abs(before)
    if before - now <= noise:
        return max(now - before, 0.0)
    round_ = now + meter.modulus - before
    return round_ if 0.0 <= round_ <= ROLLED * meter.modulus else -1.0


@compiled
def _agrees(a: Arrays, row: int, since: int, value: Any, meter: Meter) -> bool:
    """Whether a reading may follow the one of `since`, however much it rises."""
    agrees = True
    for f in range(len(value)):
        agrees = agrees and _risen(a.registers[row, since, f], value[f], meter) >= 0.0
    return agrees


@compiled
def _rises(a: Arrays, row: int, since: int, slot: int, value: Any, meter: Meter, bounded: bool) -> bool:
    """Whether a reading goes on from the one of `since`; then `value` is the increase per slot, and it is the last one.

    `bounded`: only where that is no jump.
    """
    reg, at = a.registers[row], a.register_slots[row]
    slots = slot - at[since]
    for f in range(len(value)):
        risen = _risen(reg[since, f], value[f], meter)
        jump = bounded and reg[GREATEST, f] > 0.0 and risen > JUMP * reg[GREATEST, f] * slots
        if risen < 0.0 or jump:
            return False
    for f in range(len(value)):
        risen, before, now = _risen(reg[since, f], value[f], meter), reg[since, f], value[f]
        if since == VALUE and at[PREVIOUS] != NEVER:  # the one before has turned out to be good
            usual = (reg[VALUE, f] - reg[PREVIOUS, f]) / (at[VALUE] - at[PREVIOUS])
            reg[GREATEST, f] = max(reg[GREATEST, f], usual)
        reg[PREVIOUS, f] = before
        reg[VALUE, f] = max(now, before) if risen == 0.0 else now
        value[f] = risen / slots
    at[PREVIOUS] = at[since]
    at[VALUE] = slot
    return True


@compiled
def _begins_at_zero(a: Arrays, row: int) -> bool:
    """Whether the first doubted reading is what a register shows soon after it began at zero."""
    reg, at = a.registers[row], a.register_slots[row]
    slots = at[FIRST] - at[VALUE]
    for f in range(reg.shape[1]):
        if reg[FIRST, f] < 0.0 or reg[FIRST, f] > max(ZERO * reg[VALUE, f], OVER * reg[GREATEST, f] * slots):
            return False
    return True


@compiled
def is_far_over(a: Arrays, row: int) -> bool:
    """Whether the reading before, which an OVERSHOT contradicts, was too high by far more than a slot's increase."""
    reg = a.registers[row]
    for f in range(reg.shape[1]):
        if reg[FIRST, f] - reg[VALUE, f] > OVER * reg[GREATEST, f] and reg[GREATEST, f] > 0.0:
            return True
    return False


@compiled
def same(a: Arrays, row: int, slot: int, value: Any) -> bool:
    """Whether a reading of a taken slot is the one that was read there, as far as that is remembered."""
    at = a.register_slots[row]
    which = VALUE if slot == at[VALUE] else DOUBTED if slot == at[DOUBTED] else -1
    equal = True
    for f in range(len(value) if which >= 0 else 0):
        equal = equal and a.registers[row, which, f] == value[f]
    return equal


@compiled
def revise(a: Arrays, row: int, value: Any, meter: Meter) -> bool:
    """Read the last good reading anew; whether that can be: `value` is then the increase per slot."""
    at = a.register_slots[row]
    if a.rows[row].doubts != 0 or at[PREVIOUS] == NEVER:
        return False
    slot = at[VALUE]
    return bool(_rises(a, row, PREVIOUS, slot, value, meter, False))


def increases(slots: npt.NDArray[np.int64], values: npt.NDArray[np.float64], meter: Meter) -> npt.NDArray[np.float64]:
    """The increases per slot of one series' registers, known as a whole.

    Args:
        slots: Rising, at least one, shape (N,).
        values: The register, shape (N, F).
        meter: The stream's.

    Returns:
        Shape (N, F); NaN for the first reading and for one that no register shows.
    """
    table = SeriesTable(1, 1, values.shape[1], 1, counter=True)
    table.admit("")
    made = values.copy()
    _read_all(table.arrays, slots, made, meter)
    return made


@compiled
def _read_all(a: Arrays, slots: Any, values: Any, meter: Meter) -> None:
    begin(a, 0, slots[0], values[0])
    values[0] = np.nan
    for i in range(1, len(slots)):
        outcome = read(a, 0, slots[i], values[i], meter)
        if outcome == DOUBT:
            values[i] = np.nan
        elif outcome == OVERSHOT:  # what the reading before was made into is none
            for before in range(i):
                if slots[before] == a.register_slots[0, FIRST]:
                    values[before] = np.nan
