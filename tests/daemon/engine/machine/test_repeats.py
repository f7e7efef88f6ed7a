"""Readings that come again, are revised, or were not measured; values outside the limits."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.engine.messages.inputs import decode, encode
from tests.daemon.engine.field_readings import DAY, STREAM, at_slots, begun, household, instant, opened, readings, slot


def test_exact_repeats_are_counted_apart() -> None:
    """A file that comes again is repeated, in the warm-up and after it: nothing is rejected, nothing changes."""
    for days in (5, 18):
        values = household(days)
        made = begun()
        made.step(readings(at_slots(len(values)), values))
        before = made.streams[STREAM].table.arrays.ring.tobytes()
        again = slice(-20, None)
        assert made.step(readings(at_slots(len(values))[again], values[again])).events == []
        counters = made.streams[STREAM].counters
        assert (counters.repeated, counters.rejected) == (20, {})
        assert made.streams[STREAM].table.arrays.ring.tobytes() == before


@pytest.mark.parametrize(("revisions", "rejected", "revised"), [("ignore", {"revision": 1}, 0), ("take", {}, 1)])
def test_another_value_is_a_revision(revisions: str, rejected: dict[str, int], revised: int) -> None:
    """It is ignored and counted, or it takes its place in the window."""
    values = household(18)
    made = begun(revisions=revisions)
    made.step(readings(at_slots(len(values)), values))
    stream = made.streams[STREAM]
    before = stream.table.arrays.ring[0].copy()
    made.step(readings(at_slots(len(values))[-3:-2], values[-3:-2] + 0.1))
    assert (stream.counters.rejected, stream.counters.revised) == (rejected, revised)
    assert int((stream.table.arrays.ring[0] != before).sum()) == revised


@pytest.mark.parametrize("later", [1, 20])
def test_an_event_says_that_its_reading_was_revised(later: int) -> None:
    """The event that named 6.0, open or closed, names what its sender now says, and what it said before."""
    values = household(20)
    at = slot(18, 3)
    values[at] = 6.0
    made = begun(revisions="take")
    made.step(readings(at_slots(at + later), values[: at + later]))
    found = made.step(readings(at_slots(len(values))[at : at + 1], np.array([0.16]))).events
    assert [(e.started_at, e.value, e.revised, e.notify) for e in found] == [(instant(18, 3), (0.16,), (6.0,), False)]


@pytest.mark.parametrize("quality", [1, 2])
def test_guesses_fill_their_slots_and_nothing_more(quality: int) -> None:
    """A day of estimates, absurd ones too, is no gap, raises nothing, sets no range and is counted."""
    values = household(22)
    qualities = np.zeros(len(values), np.int8)
    for day in (6, 18):
        values[slot(day, 0) : slot(day, 24)] = -500.0
        qualities[slot(day, 0) : slot(day, 24)] = quality
    made = begun(alerts={"false_alarms_per_month": 0.1})
    batch = readings(at_slots(len(values)), values, quality=qualities)
    assert opened(made.step(decode(*encode(batch))).events) == []
    stream = made.streams[STREAM]
    assert stream.counters.guessed == {"estimated": 2 * DAY * (quality == 1), "substituted": 2 * DAY * (quality == 2)}
    assert stream.counters.accepted == len(values)
    assert stream.table.arrays.low[0, 0] > 0.0


def test_what_is_missing_is_a_gap() -> None:
    """A reading that its sender calls missing is none: the series is silent."""
    values = household(18)
    qualities = np.where(np.arange(len(values)) >= slot(17, 0), 3, 0).astype(np.int8)
    made = begun()
    made.step(readings(at_slots(len(values)), values, quality=qualities))
    assert made.streams[STREAM].counters.rejected == {"missing_value": DAY}


@pytest.mark.parametrize("odd", [-999.0, 9999.0])
def test_values_outside_the_limits_are_gaps(odd: float) -> None:
    """They are reported, set no range, are in no window, and blind no later fault."""
    values = household(33)
    for day in (4, 7, 17):
        values[slot(day, 9)] = odd
    values[slot(30, 2) : slot(30, 8)] = 1.6
    made = begun(alerts={"limits": {"min": 0, "max": 5}})
    found = opened(made.step(readings(at_slots(len(values)), values)).events)
    limits = [event.started_at for event in found if event.reasons == ("limit",)]
    assert limits == [instant(day, 9) for day in (4, 7, 17)]
    assert instant(30, 2) in [event.started_at for event in found]
    arrays = made.streams[STREAM].table.arrays
    assert 0.0 < arrays.low[0, 0] < arrays.high[0, 0] < 5.0
