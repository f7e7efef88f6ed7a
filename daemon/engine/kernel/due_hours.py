"""When readings of a series are due: at the hours of the week at which it reports, or by a calendar (compiled).

An hour of the week is one at which the series reports when it did so in one of the last two weeks, and when the same
hour did so on three of four of the days on which it reports at all. Readings are due in the hours inside: those whose
neighbours are such hours, too. So dawn and dusk may move and jitter, and what is due moves with them.

In its warm-up a series is known by what it has shown: an hour that was not seen yet is due only where the series has
reported around the clock for a day; and of one that did, a first outage is not taken for its week. After the warm-up
an hour that was never seen is due.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.slots import NEVER

ALWAYS, LEARNED, CALENDAR = 0, 1, 2

WEEK_HOURS, WEEK_QUARTERS, DAY_HOURS = 168, 672, 24
_BYTES = WEEK_HOURS // 8
FULL = 0.75  # of an hour's slots with a reading: the series reported in it
USUAL = 0.75  # of the days on which it reports
ROUND_THE_CLOCK = 0.8  # of the hours of a day: some hours lack a reading by chance
FROZEN_S = 84 * 3600  # a silence longer than this teaches nothing: half a week
IN_ANY_CASE_S = 8 * 86400  # without a reading: more than a week
NOT_BEFORE_LONG = 1 << 40
_NO_HOUR = -(1 << 31)

REPORTED = np.dtype(
    [
        ("seen", "u1", (_BYTES,)),  # bit of each hour of the week, Monday's first: it has come
        ("now", "u1", (_BYTES,)),  # the series reported in it when it came last
        ("before", "u1", (_BYTES,)),  # and the time before
        ("count", "u2"),  # slots filled in the hour of its last reading
        ("hour", "i4"),  # that hour, local, since the epoch
        ("overdue", "i8"),  # slot before which it is not silent
    ],
    align=True,
)
"""What one series has shown of its week."""


class Due(NamedTuple):
    """What holds for a stream; B instants at which its local clock is set otherwise."""

    mode: int
    interval_s: int
    gap_after: int
    starts: npt.NDArray[np.int64]  # (B,) epoch seconds, ascending
    offsets: npt.NDArray[np.int64]  # (B,) seconds that the local clock is ahead from then on
    calendar: npt.NDArray[np.bool_]  # (672,) quarters of the week that are due


class Skipped(NamedTuple):
    """Slots from `since` to `until` of which no series had a reading when they were passed over, none if NEVER."""

    since: int
    until: int


def begin(reported: Any) -> None:
    """A series that has shown nothing."""
    reported["hour"], reported["overdue"] = _NO_HOUR, NEVER


@compiled
def _local_s(due: Due, slot: int) -> int:
    """Start of a slot on the local clock, as seconds since the epoch."""
    at = slot * due.interval_s
    piece = int(np.searchsorted(due.starts, at, side="right")) - 1
    return int(at + due.offsets[max(piece, 0)])


@compiled
def _of_week(hour: int) -> int:
    """Hour of the week of an hour since the epoch, which was a Thursday."""
    return (hour + 3 * DAY_HOURS) % WEEK_HOURS


@compiled
def _bit(bits: Any, at: int) -> bool:
    return bool(bits[at >> 3] >> (at & 7) & 1)


@compiled
def _set(bits: Any, at: int, value: bool) -> None:
    mask = 1 << (at & 7)
    bits[at >> 3] = np.uint8(bits[at >> 3] | mask if value else bits[at >> 3] & ~mask)


@compiled
def _tell(r: Any, hour: int, value: bool, first: bool) -> None:
    """Note whether the series reported in an hour; `first`: what it did the time before, where it is seen first."""
    at = _of_week(hour)
    _set(r.before, at, _bit(r.now, at) if _bit(r.seen, at) else first)
    _set(r.now, at, value)
    _set(r.seen, at, True)


@compiled
def learn(r: Any, due: Due, last: int, slot: int, silent: bool, skipped: Skipped) -> None:
    """A reading at `slot`, the one before at `last`; `silent`: it was missed by then; `skipped` slots tell nothing."""
    r.overdue = slot + due.gap_after
    if due.mode != LEARNED:
        return
    hour = _local_s(due, slot) // 3600
    if r.hour == hour:
        r.count = min(r.count + 1, 65535)
        return
    an_hour = max(1, 3600 // due.interval_s)
    if r.hour != _NO_HOUR:
        full = r.count >= FULL * an_hour
        _tell(r, r.hour, full, full)
        if hour > r.hour + 1 and not (silent and (slot - last) * due.interval_s > FROZEN_S):
            before, doubted = r.hour, _is_round_the_clock(r, due)
            for at in range(max(last + 1, slot - IN_ANY_CASE_S // due.interval_s), slot, an_hour):
                between = _local_s(due, at) // 3600
                if between not in (before, hour) and not skipped.since <= at <= skipped.until:
                    _tell(r, between, False, doubted)
                    before = between
    r.hour, r.count = hour, 1


@compiled
def _usual(r: Any, usual: Any) -> Any:
    """Write at which hours of day the series mostly reports, on days when it does; how often each has come, (24,)."""
    reports = np.zeros(7, np.bool_)
    for at in range(WEEK_HOURS):
        reports[at // DAY_HOURS] |= _bit(r.now, at) or _bit(r.before, at)
    came, reported = np.zeros(DAY_HOURS, np.int64), np.zeros(DAY_HOURS, np.int64)
    for at in range(WEEK_HOURS):
        if _bit(r.seen, at) and reports[at // DAY_HOURS]:
            came[at % DAY_HOURS] += 2
            reported[at % DAY_HOURS] += int(_bit(r.now, at)) + int(_bit(r.before, at))
    usual[:] = reported >= USUAL * came
    return came


@compiled
def _is_round_the_clock(r: Any, due: Due) -> bool:
    """Whether the series reports at all hours of day, some of which may lack a reading by chance."""
    usual = np.zeros(DAY_HOURS, np.bool_)
    came = _usual(r, usual)
    hours = max(1, min(DAY_HOURS, 86400 // due.interval_s))
    return bool(np.count_nonzero(usual & (came > 0)) >= ROUND_THE_CLOCK * hours)


@compiled
def _due_hours(r: Any, due: Due, over: bool, out: Any) -> None:
    """Write which hours of the week are due, shape (168,); `over`: the series' warm-up is."""
    usual = np.zeros(DAY_HOURS, np.bool_)
    came = _usual(r, usual)
    trusted = over or _is_round_the_clock(r, due)
    here = np.zeros(WEEK_HOURS, np.bool_)
    for at in range(WEEK_HOURS):
        own = _bit(r.now, at) or _bit(r.before, at) if _bit(r.seen, at) else trusted
        here[at] = own and (usual[at % DAY_HOURS] if came[at % DAY_HOURS] > 0 else trusted)
    for at in range(WEEK_HOURS):
        out[at] = here[at] and here[at - 1] and here[(at + 1) % WEEK_HOURS]


@compiled
def silent_from(r: Any, due: Due, last: int, closed: int, over: bool, skipped: Skipped) -> tuple[int, int]:
    """When a series is silent unless it reports.

    Args:
        r: What it has shown.
        due: The stream's.
        last: Slot of its last reading.
        closed: Slot up to which the stream is complete.
        over: Whether its warm-up is.
        skipped: Slots that do not count.

    Returns:
        `(slot, since)`: the slot with whose closing it has missed `gap_after` readings that were due, or has not
        reported for more than a week; and the first slot it missed.
    """
    longest = max(due.gap_after, IN_ANY_CASE_S // due.interval_s)
    hours = np.ones(WEEK_HOURS, np.bool_)
    if due.mode == LEARNED:
        if closed - last > 2 * longest:
            return last + longest, last + 1
        _due_hours(r, due, over, hours)
    end = last + (2 * longest if due.mode == CALENDAR else longest)
    missed, since, at = 0, NEVER, last + 1
    while at <= end:
        if skipped.since <= at <= skipped.until:
            end += skipped.until + 1 - at
            at = skipped.until + 1
            continue
        n, here = due.gap_after, True
        if due.mode != ALWAYS:
            local, span = _local_s(due, at), 3600 if due.mode == LEARNED else 900
            n = -(-(span - local % span) // due.interval_s)
            here = hours[_of_week(local // 3600)]
            if due.mode == CALENDAR:
                here = due.calendar[(local // 900 + 3 * 96) % WEEK_QUARTERS]
        if at < skipped.since:
            n = min(n, skipped.since - at)
        if here:
            since = at if missed == 0 else since
            if missed + n >= due.gap_after:
                return at + due.gap_after - missed - 1, since
            missed += n
        at += n
    return end, last + 1 if since == NEVER else since
