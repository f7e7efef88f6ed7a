"""Counters: what a fall of a register may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.engine.machine.stream import Stream
from daemon.engine.messages.events import Event
from daemon.engine.table.overdue import COUNTER_RESETS
from tests.daemon.engine.field_readings import (
    STREAM,
    Values,
    at_slots,
    begun,
    household,
    instant,
    opened,
    readings,
    slot,
)

DIP = slot(16, 12)
NOISY = {"alerts": {"false_alarms_per_month": 0.01}}


def register(days: int = 18, start: float = 400.0) -> Values:
    """What a household's meter shows."""
    return start + np.cumsum(household(days))


def run(values: Values, missing: tuple[int, ...] = (), size: int = 10_000, **stream: Any) -> tuple[list[Event], Stream]:
    """Events and stream of a counter."""
    made, events = begun(kind="counter", **(NOISY | stream)), []
    kept = ~np.isin(np.arange(len(values)), missing)
    at_ms, values = at_slots(len(values))[kept], values[kept]
    for start in range(0, len(values), size):
        events += made.step(readings(at_ms[start : start + size], values[start : start + size])).events
    return opened(events, "gap"), made.streams[STREAM]


def resets(stream: Stream) -> int:
    """Resets counted."""
    return int(stream.arrivals.clock[COUNTER_RESETS])


@pytest.mark.parametrize("size", [10_000, 1])
@pytest.mark.parametrize("shown", [[0.0], [0.0, 0.0], [123.4], [5.0, 2.0], [99_999.0], [99_999.0, 99_999.0]])
def test_a_reading_that_returns_was_misread(shown: list[float], size: int) -> None:
    """A dip or a jump that returns is one event of its own reason, with the reading; no consumption is made of it."""
    values = register()
    good, after = values[DIP - 1], values[DIP + len(shown)]
    values[DIP : DIP + len(shown)] = shown
    events, stream = run(values, size=size)
    assert [(e.reasons, e.value, e.value_at) for e in events] == [(("counter",), (shown[0],), instant(16, 12))]
    event = events[0]
    assert (event.state, event.expected, event.notified) == ("closed", (good,), True)
    assert event.ended_at == instant(16, 12) + (len(shown) - 1) * 1800
    assert event.at == event.ended_at + 1800
    assert resets(stream) == 0
    assert stream.table.arrays.high[0, 0] < 2.0 < after - good + 2.0


def test_the_increase_over_a_dip_goes_on() -> None:
    """What is used over two slots of which one was misread is spread over both, as over a gap."""
    values = register(10)
    expected = (values[301] - values[299]) / 2
    values[300] = 0.0
    _, stream = run(values)
    history = stream.table.arrays.history[0, :, 0]
    last, p = int(stream.table.rows["last"][0]), len(history)
    assert history[(last - (len(values) - 1 - 301)) % p] == pytest.approx(expected)
    assert np.isinf(history[(last - (len(values) - 1 - 300)) % p])


def test_a_dip_across_a_gap() -> None:
    """A dip, three slots of silence, and the register goes on."""
    values = register()
    values[DIP] = 0.0
    events, stream = run(values, missing=(DIP + 1, DIP + 2, DIP + 3))
    assert [event.reasons for event in events] == [("counter",)]
    assert stream.table.arrays.high[0, 0] < 2.0


def test_a_dip_in_the_warm_up_blinds_nothing() -> None:
    """It raises nothing, and a burst of 6 kWh in one slot after the warm-up is found at its slot."""
    values = register()
    values[DIP:] += 6.0
    values[slot(5, 3)] = 0.0
    events, stream = run(values)
    assert [event.started_at for event in events] == [instant(16, 12)]
    assert "model" in events[0].reasons or "novelty" in events[0].reasons
    assert resets(stream) == 0


def test_a_register_that_stays_low_was_reset_or_replaced() -> None:
    """Near zero it was reset, which is only counted; elsewhere it is another meter, an event of its own."""
    for shown, reasons in ((0.2, []), (150.0, [("replaced",)]), (7_000.0, [("replaced",)])):
        values = register()
        values[DIP:] += shown - values[DIP]
        events, stream = run(values)
        assert [event.reasons for event in events] == reasons
        assert resets(stream) == 1
        assert stream.table.arrays.high[0, 0] < 2.0, "no consumption"
        assert [event.started_at for event in events] == [instant(16, 12)][: len(reasons)]


def test_a_small_fall_is_noise() -> None:
    """A fall up to the tolerance, by default a ten-thousandth of the register, is no increase and nothing else."""
    values = register() + np.random.default_rng(0).uniform(0, 0.02, 18 * 48)
    events, stream = run(values)
    assert (events, resets(stream)) == ([], 0)
    values[DIP] = values[DIP - 1] - 5.0
    assert run(values, fall_tolerance=6.0)[0] == []


@pytest.mark.parametrize("size", [10_000, 1])
def test_a_register_comes_round(size: int) -> None:
    """With `modulus` a five-digit register goes on from 99999.9 to 0; without, it begins anew at zero."""
    values = register()
    values = (values - values[DIP - 1] + 99_999.9) % 100_000
    events, stream = run(values, modulus=100_000, size=size)
    assert (events, resets(stream)) == ([], 0)
    events, stream = run(values)
    assert (events, resets(stream)) == ([], 1)


def test_dips_do_not_storm() -> None:
    """A dip every hour is an event each, of which one a day is notified."""
    values = register()
    values[DIP : DIP + 24 : 2] = 0.0
    events, _ = run(values)
    assert [event.notified for event in events] == [True] + [False] * 11
