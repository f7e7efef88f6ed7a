"""What counts in the rate of alarms that a stream says it has."""

from __future__ import annotations

import numpy as np

from tests.daemon.engine.field_readings import DAY, STREAM, at_slots, begun, household, opened, readings, slot

DAYS = 24


def measured(values: np.ndarray) -> tuple[int, int, int]:
    """Readings judged, episodes counted, and events opened, of a series with a limit of 5."""
    engine = begun(warm_up="14d", alerts={"limits": {"min": 0, "max": 5}})
    events = engine.step(readings(at_slots(len(values)), values)).events
    rates = engine.streams[STREAM].scoring.rates
    return int(rates.measured[:, 1].sum()), int(rates.measured[:, 2].sum()), len(opened(events))


def test_an_episode_counts_once_however_long_it_is() -> None:
    """Fourteen readings beyond the limit, and two such runs a week apart: as many are counted as there are events."""
    values = household(DAYS)
    judged, before, raised = measured(values)
    assert (judged > (DAYS - 15) * DAY, before) == (True, raised)
    for day in (16, 22):
        values[slot(day, 3) : slot(day, 10)] = 9.0
        _, counted, found = measured(values)
        assert raised < found == counted
        raised = found
