"""Which deviations an operator wants to hear of: a side, and a least distance from the expected value."""

from __future__ import annotations

from typing import Any

import pytest

from tests.daemon.engine.field_readings import Values, events_of, household, instant, slot

DIP, SPIKE = (20, 18.0, 20.5), (23, 3.0, 5.0)
"""Day and hours in which nothing is used, and at night twice as much as in any evening."""
JUDGED = {"model", "novelty"}


@pytest.fixture(scope="module")
def values() -> Values:
    """Use of a household, about 0.15 at night and 0.75 in the evening."""
    made = household(26, seed=3)
    for (day, since, until), value in ((DIP, 0.0), (SPIKE, 1.6)):
        made[slot(day, since) : slot(day, until)] = value
    return made


def told(values: Values, **alerts: Any) -> set[tuple[int, float, float]]:
    """Which of the two is told while it lasts; what the network makes of normal readings after it is not asked."""
    events = events_of(values, warm_up="14d", alerts={"false_alarms_per_month": 2.0, **alerts})
    judged = [event for event in events if JUDGED & set(event.reasons)]
    begun = {event.started_at for event in judged}
    return {each for each in (DIP, SPIKE) if any(instant(*each[:2]) <= at < instant(each[0], each[2]) for at in begun)}


@pytest.mark.parametrize(
    ("alerts", "faults"),
    [
        ({}, {DIP, SPIKE}),
        ({"direction": "above"}, {SPIKE}),
        ({"direction": "below"}, {DIP}),
        ({"min_deviation": 1.0}, {SPIKE}),
        ({"min_deviation": 3.0}, set()),
        ({"series": [{"match": "a", "direction": "below"}]}, {DIP}),
        ({"series": [{"match": "b", "direction": "below"}]}, {DIP, SPIKE}),
    ],
)
def test_only_wanted_deviations_are_told(
    values: Values, alerts: dict[str, Any], faults: set[tuple[int, float, float]]
) -> None:
    """The wrong side, and what lies too near the expected value, is no anomaly by model or novelty."""
    assert told(values, **alerts) == faults
