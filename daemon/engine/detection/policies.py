"""From the alert settings to the records that compiled code decides by, and how a budget is shared out.

Of a budget of b episodes a month and series novelty has half, at most half an episode: with its margin, a steady series
with 14 days of history raises about that in its first half year. The networks have the rest.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.config.alert_settings import AlertSettings
from daemon.config.settings import StreamSettings
from daemon.engine.detection.threshold import LEAST
from daemon.engine.kernel.calibration import MONTH_S

POLICY = np.dtype(
    [
        ("threshold", "f8"),  # of rarity, before labels move it
        ("refractory", "i8"),  # slots
        ("side", "i8"),  # 1 only above the expected value, -1 only below it, 0 both
        ("least", "f8"),  # distance from the expected value
        ("least_share", "f8"),  # the same as a share of it
        ("lowest", "f8"),  # physical range; infinite where there is none
        ("greatest", "f8"),
        ("scarcity", "f8"),  # of novelty, as `novelty.is_novel` takes it
        ("novelty", "f8"),  # the budget's share for it, likewise
    ]
)
"""What deciding needs of the alert settings: one record for the stream, then one for each exception."""

NOVELTY_SHARE, NOVELTY_MOST = 0.5, 0.5  # of the budget; episodes a month
_SIDES = {"both": 0, "above": 1, "below": -1}


def networks_share(alerts: AlertSettings) -> float:
    """Episodes a month that the networks may start."""
    return alerts.false_alarms_per_month - (novelty_share(alerts) if alerts.novelty else 0.0)


def novelty_share(alerts: AlertSettings) -> float:
    """Episodes a month that novelty may start."""
    return min(NOVELTY_SHARE * alerts.false_alarms_per_month, NOVELTY_MOST)


def budget_rarity(alerts: AlertSettings, interval_s: int) -> float:
    """Rarity that a calibrated series reaches in `networks_share` episodes a month of 30.44 days."""
    return max(-math.log10(networks_share(alerts) * interval_s / MONTH_S), LEAST)


def scarcity(alerts: AlertSettings, width: int) -> float:
    """Natural logarithm of how many times fewer novel values are wanted than one variable has at a budget of 1."""
    return max(math.log(width / alerts.false_alarms_per_month), 0.0) if alerts.novelty else math.inf


def policies(settings: StreamSettings) -> npt.NDArray[Any]:
    """One `POLICY` record for the stream, then one for each exception."""
    alerts = settings.alerts
    all_alerts = [alerts, *(alerts.exception(i) for i in range(len(alerts.series)))]
    return np.array([_record(each, settings.interval, settings.format.width) for each in all_alerts], POLICY)


def policy_of(alerts: AlertSettings, series: str) -> int:
    """Index of the record that holds for a series."""
    rule = alerts.rule_of(series)
    return 0 if rule is None else rule + 1


def _record(alerts: AlertSettings, interval_s: int, width: int) -> tuple[float, ...]:
    limits = alerts.limits
    return (
        budget_rarity(alerts, interval_s),
        # of a stream with a budget what is told, and when it was, is `Allowance`'s to know
        -(-alerts.refractory // interval_s) if alerts.alarms_per_day is None else 0,
        _SIDES[alerts.direction],
        alerts.min_deviation,
        alerts.min_relative_deviation,
        -math.inf if limits.min is None else limits.min,
        math.inf if limits.max is None else limits.max,
        scarcity(alerts, width),
        novelty_share(alerts) / width,
    )
