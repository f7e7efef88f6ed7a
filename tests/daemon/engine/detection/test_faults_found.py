"""The table of docs/detection.md: faults of a sensor, the reason each is found by, and how soon."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.table.overdue import COUNTER_RESETS
from tests.daemon.engine.small_engines import FIRST, INTERVAL, PureTrainer, Row, engine, feed, the

WARM_UP, QUIET, DAY = 14 * 48, 7 * 48, 48
START = WARM_UP + QUIET

Change = Callable[[int, float], float | None]
"""What a fault makes of slot and value; None: no reading."""


def consumption(slot: int) -> float:
    """A household's half-hourly consumption, kWh: a day's shape, a weekend, noise, never twice the same."""
    rng = np.random.default_rng([5, slot])
    day = 0.4 + 0.25 * np.sin(2 * np.pi * (slot % DAY) / DAY - 2)
    return float(day * (1.15 if slot // DAY % 7 >= 5 else 1.0) + rng.gamma(4, 0.02))


def run(change: Change, slots: int = 2 * DAY, kind: str = "gauge") -> tuple[Engine, list[Event]]:
    """A meter that is sound until `START`, then changed, beside a sound one; the events from `START` on."""
    made = engine(
        PureTrainer(),
        kind=kind,
        warm_up=WARM_UP * INTERVAL,
        model={"window": 16, "copies": 2, "retrain_every": 200, "apply_after": 8},
    )
    rows: list[Row] = []
    for slot in range(START + slots):
        value = change(slot, consumption(slot)) if slot >= START or kind == "counter" else consumption(slot)
        rows.append(("sound", slot, float(slot) if kind == "counter" else consumption(slot + 10_000)))
        if value is not None:
            rows.append(("meter", slot, value))
    events = [e for e in feed(made, rows) if e.series == "meter" and e.started_at >= (FIRST + START - 1) * INTERVAL]
    return made, events


TABLE: list[tuple[str, Change, str, int]] = [
    ("a stuck sensor", lambda slot, value: 0.41, "flatline", 24),
    ("a series that stops", lambda slot, value: None, "gap", 3),
    ("a unit change, times 1000", lambda slot, value: value * 1000, "novelty", 1),
    ("a unit change, divided by 1000", lambda slot, value: value / 1000, "novelty", 1),
    ("a sign turned round", lambda slot, value: -value, "novelty", 1),
    ("no consumption at all", lambda slot, value: 0.0, "novelty", 1),
]


@pytest.mark.parametrize(("change", "reason", "slots"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_fault_is_found_by_its_reason_in_time(change: Change, reason: str, slots: int) -> None:
    """The meter's event names the reason, at most so many slots after the fault began."""
    _, events = run(change)
    at = [(event.at // INTERVAL) - FIRST - START for event in events if reason in event.reasons]
    assert at
    assert min(at) < slots + 1  # silence is seen when the slot after it closes


def test_a_sound_meter_is_quiet() -> None:
    """Without a fault there is no event of `flatline`, `gap` or `novelty` in those days."""
    _, events = run(lambda slot, value: value)
    assert not {"flatline", "gap", "novelty"} & {reason for event in events for reason in event.reasons}


def test_a_constant_meter_is_quiet() -> None:
    """A meter that reads zero from its first reading on has no event, and gets one when it moves."""
    made = engine(PureTrainer(), warm_up=WARM_UP * INTERVAL, model={"window": 16})
    assert feed(made, [("empty flat", slot, 0.0) for slot in range(WARM_UP + 60 * DAY)]) == []
    events = feed(made, [("empty flat", WARM_UP + 60 * DAY, 0.3)])
    assert [event.state for event in events] == ["open"]


def test_a_counter_reset_is_counted_and_no_consumption() -> None:
    """A counter that starts again at zero is counted as a reset: what it measures goes on without a jump."""
    total = np.cumsum([consumption(slot) for slot in range(START + 2 * DAY)])

    def reading(slot: int, value: float) -> float:
        return float(total[slot] - (total[START - 1] if slot >= START else 0.0))

    made, events = run(reading, kind="counter")
    assert int(the(made).arrivals.clock[COUNTER_RESETS]) == 1
    assert events == []
