"""From the alert settings to the records that deciding goes by."""

from __future__ import annotations

import math

import pytest

from daemon.config.settings import Settings
from daemon.engine.detection.policies import networks_share, policies, scarcity
from tests.daemon.engine.small_engines import INTERVAL, config


def made(interval: int = INTERVAL, width: int = 1, **alerts: object) -> Settings:
    """Settings of one stream."""
    stream = config(alerts=alerts, interval=interval, warm_up=16 * interval)["streams"]["s"]
    columns = {"value": [f"v{number}" for number in range(width)]} if width > 1 else {}
    return Settings.model_validate({"version": 1, "streams": {"s": stream | {"format": columns}}})


@pytest.mark.parametrize(("refractory", "slots"), [(0, 0), (1, 1), (INTERVAL, 1), (INTERVAL + 1, 2), (86400, 48)])
def test_a_refractory_ends_no_earlier_than_was_said(refractory: int, slots: int) -> None:
    """A part of a slot counts as a whole one."""
    [record] = policies(made(refractory=refractory).streams["s"])
    assert record["refractory"] == slots


@pytest.mark.parametrize(("budget", "novelty"), [(0.2, 0.1), (1.0, 0.5), (10.0, 0.5)])
def test_novelty_has_half_of_the_budget_and_at_most_half_an_episode(budget: float, novelty: float) -> None:
    """The networks have the rest, all of it where novelty is off, and each variable its part of novelty's."""
    stream = made(false_alarms_per_month=budget).streams["s"]
    assert networks_share(stream.alerts) == pytest.approx(budget - novelty)
    assert policies(stream)[0]["novelty"] == pytest.approx(novelty)
    wide = made(width=4, false_alarms_per_month=budget).streams["s"]
    assert policies(wide)[0]["novelty"] == pytest.approx(novelty / 4)
    off = made(novelty=False, false_alarms_per_month=budget).streams["s"]
    assert networks_share(off.alerts) == budget
    assert policies(off)[0]["scarcity"] == math.inf


def test_scarcity_is_nothing_at_a_budget_of_one_a_variable() -> None:
    """It grows with variables and with a smaller budget, by the logarithm."""
    assert scarcity(made(false_alarms_per_month=1.0).streams["s"].alerts, 1) == 0.0
    assert scarcity(made(false_alarms_per_month=5.0).streams["s"].alerts, 2) == 0.0
    assert scarcity(made(false_alarms_per_month=0.5).streams["s"].alerts, 3) == pytest.approx(math.log(6))
