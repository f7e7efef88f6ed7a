"""Whether a series is in a fault that it must not learn, or in a new regime that has lasted long enough to be adopted.

The statistics look back on days: whatever recurs daily becomes usual to them, and its rarity
falls. What is here does not. While an episode is open nothing is learned from it: its windows are held out of training
(`daemon.engine.learning.uptake`), and the usual error it is measured by stands still. A fault that was plain once is
known by how far its error exceeded the usual one, and found again however often it comes back. What stays for
`adopt_after` is adopted on purpose: from then on it is what is usual.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.slots import NEVER

Record = Any
"""A numpy record; numba knows its fields, mypy does not."""

QUANTILE = 0.9  # of the errors: the usual one
RATE = 0.02  # of the level a quantile moves in one reading
NEARBY = 0.4  # weight of the newest error in the nearby one: three readings or so
PLAIN = 2.0  # times the usual error from which a nearby one is a fault
AGAIN = 0.6  # share of a remembered fault's height at which it is back
GOES_ON = 0.5  # the same while the series is in an episode
MOSTLY = 0.5  # share of the last day in episodes from which a series has departed from its regime
BETTER = 0.25  # share below which it is in it again
RECURRING = 4  # times `adopt_after` until a fault that keeps coming back is adopted too
FORGOTTEN = 2  # times `adopt_after` until a fault that does not come back is forgotten
KEPT_A_DAY = 0.99  # of that: half of it is forgotten in 69 quiet days
LN2 = 0.6931471805599453  # days that it takes a share to get from 0 to MOSTLY

RARE, BACK = 1, 2  # a reading is rare by its statistics, or by a fault remembered

REGIME = np.dtype(
    [
        ("usual", "f8"),  # quantile of the errors outside episodes
        ("lately", "f8"),  # of all errors
        ("nearby", "f8"),  # mean error of the last few readings
        ("most", "f4", (2,)),  # greatest nearby error of quiet days, and of the readings since the last one
        ("quiet_readings", "i4"),  # readings in a row outside episodes, up to a day
        ("off", "f8"),  # share of the last day in episodes
        ("since", "i8"),  # slot at which the series departed from its regime, NEVER while it is in it
        ("fault", "f8"),  # height of the fault remembered, times the usual error; 0 when there is none
        ("first", "i8"),  # slot at which it came first
        ("seen", "i8"),  # slot at which it was seen last
    ],
    align=True,
)
"""One series' state."""


class Adoption(NamedTuple):
    """Settings in slots; `after` 0 turns all of this off."""

    after: int
    day: int


@compiled
def begin(r: Record, level: float) -> None:
    """Start from the mean error of the warm-up."""
    r.usual = r.lately = 2.0 * level + 1e-9
    r.nearby = level
    r.most[:] = 0.0
    r.quiet_readings = 0
    r.off, r.fault = 0.0, 0.0
    r.since = r.first = r.seen = NEVER


@compiled
def is_back(r: Record, error: float, episode: bool) -> bool:
    """Advance the nearby error by one; whether a remembered fault is back, or goes on in an `episode`.

    What the series shows on quiet days is no fault, whatever the usual error: a meter that mostly reads 0 has next to
    none, and would be back in its fault at each 1.
    """
    r.nearby += NEARBY * (error - r.nearby)
    share = GOES_ON if episode else AGAIN
    least = max(max(PLAIN, share * r.fault) * r.usual, r.most[0])
    return bool(r.fault > 0.0 and r.nearby >= least)


@compiled
def warm_up(r: Record, error: float) -> None:
    """Take in one error of the warm-up, which has no episodes."""
    r.nearby += NEARBY * (error - r.nearby)
    r.most[0] = max(r.most[0], r.nearby)
    learn(r, error, False)


@compiled
def follow(r: Record, slot: int, error: float, fault: int, episode: bool, broken: bool, adoption: Adoption) -> int:
    """Advance by one reading.

    Args:
        r: The series' state, `is_back` already called.
        slot: The reading's slot.
        error: Its error.
        fault: `RARE`, `BACK` or 0.
        episode: Whether the series is in an episode now.
        broken: Whether that has a reason which no regime has: out of the physical range, or stuck.
        adoption: Settings.

    Returns:
        First slot of the new regime that is adopted now, NEVER when none is.
    """
    _remember(r, slot, fault, adoption)
    _learn_quiet(r, episode or fault != 0, adoption.day)
    learn(r, error, episode or r.since != NEVER)
    if broken:
        r.off, r.since = 0.0, NEVER
        return NEVER
    since = _lasting(r, slot, episode, adoption)
    if since != NEVER:
        r.usual = r.lately
        r.off, r.fault = 0.0, 0.0
        r.since = NEVER
    return since


@compiled
def learn(r: Record, error: float, apart: bool) -> None:
    """Take in one error; one that is set apart does not change what is usual."""
    r.lately = _quantile(r.lately, error)
    if not apart:
        r.usual = _quantile(r.usual, error)


@compiled
def _learn_quiet(r: Record, disturbed: bool, day: int) -> None:
    """Learn the greatest nearby error of days without an episode; of others it may be a fault's, not yet found."""
    if disturbed:
        r.most[1] = 0.0
        r.quiet_readings = 0
        return
    r.most[1] = max(r.most[1], r.nearby)
    r.quiet_readings += 1
    if r.quiet_readings >= day:
        r.most[0] = max(KEPT_A_DAY * r.most[0], r.most[1])
        r.most[1] = 0.0
        r.quiet_readings = 0


@compiled
def _quantile(q: float, error: float) -> float:
    """Advance a running quantile by one error, in proportion to itself.

    Source:
        Robbins and Monro 1951, doi:10.1214/aoms/1177729586, with a constant step.
    """
    return float(q * (1.0 + RATE * ((1.0 if error > q else 0.0) - (1.0 - QUANTILE))))


@compiled
def _remember(r: Record, slot: int, fault: int, adoption: Adoption) -> None:
    """Remember a rare reading as a fault when it is plain, and forget a fault that has not come back."""
    height = r.nearby / r.usual
    plain = r.nearby >= PLAIN * _quiet_level(r)
    if (fault == RARE and plain) or fault == BACK:
        if r.fault == 0.0:
            r.first = slot
        r.fault = max(r.fault, height)
        r.seen = slot
    elif r.fault > 0.0 and slot - r.seen > FORGOTTEN * adoption.after:
        r.fault = 0.0


@compiled
def _quiet_level(r: Record) -> float:
    """The error that a plain one is measured by: the usual one, or quiet days' greatest where that is plain itself."""
    return float(r.most[0] if r.most[0] >= PLAIN * r.usual else r.usual)


@compiled
def _lasting(r: Record, slot: int, episode: bool, adoption: Adoption) -> int:
    """First slot of what has lasted long enough to be adopted, NEVER when nothing has."""
    away = episode or r.nearby > r.usual
    r.off += ((1.0 if away else 0.0) - r.off) / adoption.day
    if r.since == NEVER and r.off >= MOSTLY:
        r.since = slot - int(LN2 * adoption.day)
    elif r.off < BETTER:
        r.since = NEVER
    if r.since != NEVER and slot - r.since >= adoption.after:
        return int(r.since)
    if r.fault > 0.0 and slot - r.first >= RECURRING * adoption.after:
        return int(r.first)
    return NEVER
