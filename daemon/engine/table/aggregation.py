"""Several readings make one slot: `aggregate: mean|sum|last`. A slot is passed on once it can no longer change."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.slots import NEVER
from daemon.engine.table.series import Arrays

MEAN, SUM, LAST = 1, 2, 3
MODES = {"none": 0, "mean": MEAN, "sum": SUM, "last": LAST}


class Combined(NamedTuple):
    """Readings to allot: finished slots, and readings too old to be aggregated."""

    row: npt.NDArray[np.int32]
    slot: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int8]
    finished: npt.NDArray[np.bool_]  # True for a finished slot, whose readings were counted when they came

    @classmethod
    def room(cls, n: int, width: int) -> Combined:
        """Room for `n` readings of `width` variables; N readings make at most N and one for each row in use."""
        kinds = np.empty(n, np.int8), np.empty(n, np.bool_)
        return cls(np.empty(n, np.int32), np.empty(n, np.int64), np.empty((n, width)), *kinds)


@compiled
def _finish(a: Arrays, row: int, mode: int, out: Combined, n: int) -> int:
    """Pass on the slot a series has been collecting."""
    out.row[n], out.slot[n], out.finished[n] = row, a.pending_slot[row], True
    for f in range(out.value.shape[1]):
        total = a.pending[row, f]
        out.value[n, f] = total / a.pending_count[row] if mode == MEAN else total
    out.quality[n] = a.pending_quality[row]
    a.passed[row] = max(a.passed[row], a.pending_slot[row])  # `last` follows when it is allotted, a batch later
    a.pending_slot[row] = NEVER
    return n + 1


@compiled
def finish(a: Arrays, used: int, mode: int, closed: int, out: Combined, n: int) -> int:
    """Pass on every slot up to `closed`, in row order; returns how many readings `out` now holds."""
    for row in range(used):
        if a.pending_slot[row] != NEVER and a.pending_slot[row] <= closed:
            n = _finish(a, row, mode, out, n)
    return n


@compiled
def combine(
    a: Arrays,
    used: int,
    mode: int,
    lateness: int,
    lead: int,
    greatest: int,
    rows: Any,
    slots: Any,
    shifts: Any,
    values: Any,
    quality: Any,
    out: Combined,
) -> tuple[int, int, int]:
    """Collect readings into slots, in order of arrival; one whose slot was passed on may belong `shifts` slots later.

    Returns:
        How many readings `out` holds, how many were taken into a slot, and the greatest slot seen.
    """
    n, taken = 0, 0
    for i in range(len(rows)):
        row, slot = rows[i], slots[i]
        if shifts[i] != 0 and slot <= max(a.passed[row], a.rows[row].last, a.pending_slot[row] - 1):
            slot += shifts[i]
        if greatest < slot <= greatest + lead:
            greatest = slot
            n = finish(a, used, mode, slot - 1 - lateness, out, n)
        if a.pending_slot[row] != NEVER and slot > a.pending_slot[row]:
            n = _finish(a, row, mode, out, n)
        if a.pending_slot[row] == slot:
            a.pending_count[row] += 1
            a.pending_quality[row] = max(a.pending_quality[row], quality[i])
            taken += 1
            for f in range(values.shape[1]):
                a.pending[row, f] = values[i, f] if mode == LAST else a.pending[row, f] + values[i, f]
        elif a.pending_slot[row] == NEVER and slot > max(a.passed[row], a.rows[row].last):
            a.pending_slot[row], a.pending_count[row] = slot, 1
            a.pending[row] = values[i]
            a.pending_quality[row] = quality[i]
            taken += 1
        else:
            out.row[n], out.slot[n], out.finished[n] = row, slot, False
            out.value[n] = values[i]
            out.quality[n] = quality[i]
            n += 1
    return n, taken, greatest
