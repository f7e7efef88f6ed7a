"""The phase of each series: how far from the beginning of its slots its stamps lie, learned as they come.

A sender stamps its readings a little off the grid, by a jitter or by a clock that drifts, and a stamp just before the
edge of a slot belongs to the slot at whose edge it lies. So a series has a phase, in milliseconds; a stamp goes to the
nearest slot of that phase. What is far from all of them (`NEAR`) goes to the slot in which it lies, and teaches nothing
until there are `STRAYS` in a row. Stamps on the grid have a phase of 0 for ever.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.compiled import compiled
from daemon.engine.table.series import NO_PHASE

EARLY = 4  # a first stamp up to a fourth of a slot before one (`stamp: end`: after its end) belongs to it
NEAR = 0.4  # of a slot: how far a stamp may be from where its series' stamps lie
FOLLOW = 8  # the phase moves by an eighth of what a stamp is off
STRAYS = 3  # far stamps in a row after which the phase begins anew
ROWLESS, UNSEEN, KNOWN = 0, 1, 2


class Phases(NamedTuple):
    """Of N readings in order of arrival: their slots, and what their series' phase is after each."""

    slot: npt.NDArray[np.int64]  # (N,)
    phase: npt.NDArray[np.int32]  # (N,) milliseconds
    strays: npt.NDArray[np.int8]  # (N,)

    @classmethod
    def room(cls, n: int) -> Phases:
        """Room for `n` of them."""
        return cls(np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.int8))


@compiled
def slots_in_phase(
    at_ms: Any, codes: Any, interval_ms: int, end: bool, seen: Any, free: int, phase: Any, strays: Any, out: Phases
) -> None:
    """The slot of each reading, by the phase that its series has by then.

    Args:
        at_ms: Stamps, shape (N,).
        codes: Series of each reading, shape (N,).
        interval_ms: Length of a slot.
        end: Whether a stamp marks the end of its interval.
        seen: Of each series, `KNOWN` where the table has a row for it, else `UNSEEN`; changed.
        free: Rows left for series that are not known. One that finds none has no phase to keep.
        phase: Of each series, NO_PHASE where it has none; changed.
        strays: Of each series, far stamps in a row; changed.
        out: Written.
    """
    begin = -(interval_ms // EARLY) if not end else interval_ms // EARLY - interval_ms
    for i in range(len(at_ms)):
        c = codes[i]
        if seen[c] == UNSEEN:
            seen[c] = KNOWN if free > 0 else ROWLESS
            free -= 1
        at = at_ms[i] - (interval_ms if end else 0)
        if seen[c] == ROWLESS or phase[c] == NO_PHASE:
            slot = (at - begin) // interval_ms
            phase[c], strays[c] = at - slot * interval_ms, 0
        else:
            slot = (at - phase[c] + interval_ms // 2) // interval_ms
            off = at - phase[c] - slot * interval_ms
            if abs(off) <= NEAR * interval_ms:
                slot += _follow(c, int(off / FOLLOW), begin, interval_ms, phase)
                strays[c] = 0
            else:
                slot = -((-at) // interval_ms) if end else at // interval_ms
                strays[c] += 1
                if strays[c] == STRAYS:
                    slot = (at - begin) // interval_ms
                    phase[c], strays[c] = at - slot * interval_ms, 0
        out.slot[i], out.phase[i], out.strays[i] = slot, phase[c], strays[c]


@compiled
def _follow(c: int, by: int, begin: int, interval_ms: int, phase: Any) -> int:
    """Move a phase; slots to add because it has drifted out of the slot it began in, and a fourth further."""
    phase[c] += by
    if phase[c] >= begin + interval_ms + interval_ms // EARLY:
        phase[c] -= interval_ms
        return 1
    if phase[c] < begin - interval_ms // EARLY:
        phase[c] += interval_ms
        return -1
    return 0
