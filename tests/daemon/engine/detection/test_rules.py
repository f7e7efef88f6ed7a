"""Reasons that need no network: outside the physical range, outside all that was seen, constant for too long."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest

from daemon.config.alert_settings import AlertSettings
from daemon.engine.detection.policies import budget_rarity, scarcity
from daemon.engine.detection.rules import FLAT_FACTOR, FLAT_LEAST
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Configured, Promoted
from tests.daemon.engine.small_engines import (
    FIRST,
    INTERVAL,
    STREAM,
    Row,
    bundle,
    config,
    engine,
    feed,
    noise,
    row_of,
    the,
)


def said(events: list[Event], reason: str) -> list[tuple[str, int]]:
    """State and slot of the revisions that name a reason."""
    return [(event.state, event.at // INTERVAL - FIRST) for event in events if reason in event.reasons]


def ready(rows: Iterable[Row], **stream: Any) -> Engine:
    """An engine with a bundle in service that has seen `rows`."""
    made = engine(**stream)
    made.step(Promoted(STREAM, bundle().to_bytes()))
    feed(made, rows)
    return made


def test_limit_holds_from_the_first_reading() -> None:
    """A value outside the physical range is an anomaly in warm-up too; one on its border is not."""
    made = engine(alerts={"limits": {"min": 0, "max": 100}})
    events = feed(made, [("a", 0, 100.0), ("a", 1, 0.0), ("a", 2, 100.5), ("a", 3, 50.0), ("b", 0, -0.1)])
    assert said(events, "limit") == [("open", 2), ("open", 0)]
    assert row_of(made, "a")["anomalies"][2] == 1


def test_limit_is_live() -> None:
    """Without limits no value is outside."""
    made = engine()
    assert feed(made, [("a", 0, -1e300), ("a", 1, 1e300)]) == []


def novel(made: Engine, rows: list[Row]) -> int:
    """How many of the readings are outside all that was seen."""
    before = int(row_of(made, "a")["anomalies"][1])
    feed(made, rows)
    return int(row_of(made, "a")["anomalies"][1]) - before


def test_novelty_is_outside_all_seen_by_a_margin() -> None:
    """Two percent of the range beyond the extremes: less is quiet; what was seen once is no longer new."""
    made = ready(noise(range(60)))
    low, high = the(made).table.arrays.low[0, 0], the(made).table.arrays.high[0, 0]
    assert novel(made, [("a", 60, high + 0.015 * (high - low))]) == 0
    assert novel(made, [("a", 61, high + 0.5 * (high - low))]) == 1
    assert novel(made, [("a", 62, high + 0.5 * (high - low))]) == 0
    assert novel(made, [("a", 63, low - 0.5 * (high - low))]) == 1


def test_novelty_opens_an_episode() -> None:
    """A quiet series' value outside all that was seen opens an episode at once."""
    made = ready(noise(range(130)), alerts={"false_alarms_per_month": 0.001})
    assert row_of(made, "a")["episode"] == 0
    event = feed(made, [("a", 130, 50.0)])[0]
    assert (event.state, event.value) == ("open", (50.0,))
    assert "novelty" in event.reasons
    assert event.score > 1


def test_a_stuck_sensor_is_found() -> None:
    """A run far longer than any in the series' own history is `flatline`, from its 24th equal reading on."""
    made = ready(noise(range(60)))
    events = feed(made, [("a", slot, 10.0) for slot in range(60, 100)])
    assert said(events, "flatline")[0] == ("open", 60 + FLAT_LEAST - 1)
    assert row_of(made, "a")["anomalies"][3] == 40 - FLAT_LEAST + 1


def test_a_stuck_sensor_that_recovers_is_closed() -> None:
    """The episode closes after three usual readings, and the run does not count as history."""
    made = ready(noise(range(60)))
    events = feed(made, [("a", slot, 10.0) for slot in range(60, 90)])
    events += feed(made, noise(range(90, 120)))
    assert said(events, "flatline")[-1][0] == "closed"
    assert row_of(made, "a")["longest_run"] == 1


def test_a_constant_meter_is_quiet() -> None:
    """A meter that was constant throughout its warm-up may stay so; stuck again after a change it is found."""
    rows: list[Row] = [("a", slot, 5.0) for slot in range(200)]
    made = ready([])
    assert said(feed(made, rows), "flatline") == []
    changed: list[Row] = [("a", 200, 6.0), *(("a", slot, 5.0) for slot in range(201, 1100))]
    assert said(feed(made, changed), "flatline")[0] == ("open", 201 + FLAT_FACTOR * 200 - 1)


def test_runs_of_its_own_history_are_usual() -> None:
    """A meter that is zero every night may be zero for less than four nights."""
    rows = [(name, slot, 0.0 if slot % 48 < 12 else value) for name, slot, value, *_ in noise(range(150))]
    made = ready(rows)
    longest = int(row_of(made, "a")["longest_run"])
    assert longest == 12
    events = feed(made, [("a", slot, 3.25) for slot in range(150, 150 + FLAT_FACTOR * longest)])
    assert said(events, "flatline")[0] == ("open", 150 + FLAT_FACTOR * longest - 1)


def test_a_vector_is_constant_only_as_a_whole() -> None:
    """One variable that still moves is no flatline."""
    made = engine(format={"value": ["x", "y"]})
    rows: list[Row] = [(name, slot, [value, value]) for name, slot, value, *_ in noise(range(60))]
    feed(made, rows, width=2)
    stuck: list[Row] = [(name, slot, [10.0, value]) for name, slot, value, *_ in noise(range(60, 130))]
    assert said(feed(made, stuck, width=2), "flatline") == []


@pytest.mark.parametrize(
    ("budget", "novelty", "wanted"),
    [(1.0, False, 3.1647), (10.0, False, 2.1647), (1000.0, False, 0.5), (1.0, True, 3.4657), (10.5, True, 2.1647)],
)
def test_the_threshold_follows_from_the_budget(budget: float, novelty: bool, wanted: float) -> None:
    """Half-hourly, one episode a month is a rarity of 3.16; novelty takes half a budget, at most half an episode."""
    alerts = AlertSettings(false_alarms_per_month=budget, novelty=novelty)
    assert budget_rarity(alerts, 1800) == pytest.approx(wanted, abs=1e-3)


def test_novelty_can_be_left_out() -> None:
    """With `novelty: false` no value is novel, and the networks have the whole budget; both hold from a reload on."""
    made = ready(noise(range(60)), alerts={"novelty": False})
    assert novel(made, [("a", 60, 50.0)]) == 0
    made.step(Configured(config()))
    assert novel(made, [("a", 61, 100.0)]) == 1


def test_novelty_is_scarcer_with_more_variables_and_smaller_budgets() -> None:
    """The margin follows the budget below 1 and the number of variables: the budget is the series', for all of them."""
    assert scarcity(AlertSettings(), 1) == 0.0
    assert scarcity(AlertSettings(false_alarms_per_month=5), 1) == 0.0
    assert scarcity(AlertSettings(false_alarms_per_month=0.5), 4) == pytest.approx(math.log(8))
