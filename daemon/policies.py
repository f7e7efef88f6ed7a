"""From the alert settings to the records that compiled code decides by."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.deciding import POLICY
from daemon.settings import AlertSettings

MONTH_S = 30.44 * 86400
_SIDES = {"both": 0, "above": 1, "below": -1}


def threshold(false_alarms_per_month: float, interval_s: int) -> float:
    """Rarity that a calibrated series reaches `false_alarms_per_month` times a month of 30.44 days."""
    return max(-math.log10(false_alarms_per_month * interval_s / MONTH_S), 0.5)


def policies(alerts: AlertSettings, interval_s: int) -> npt.NDArray[Any]:
    """One `POLICY` record for the stream, then one for each exception."""
    return np.array([_record(alerts, interval_s)] + [_record(one, interval_s) for one in _exceptions(alerts)], POLICY)


def policy_of(alerts: AlertSettings, label: str) -> int:
    """Index of the record that holds for a series."""
    rule = alerts.rule_of(label)
    return 0 if rule is None else rule + 1


def _exceptions(alerts: AlertSettings) -> list[AlertSettings]:
    return [alerts.exception(i) for i in range(len(alerts.series))]


def _record(alerts: AlertSettings, interval_s: int) -> tuple[float, int, int, float, float, float, float]:
    limits = alerts.limits
    return (
        threshold(alerts.false_alarms_per_month, interval_s),
        -(-alerts.refractory // interval_s),
        _SIDES[alerts.direction],
        alerts.min_deviation,
        alerts.min_relative_deviation,
        -math.inf if limits.min is None else limits.min,
        math.inf if limits.max is None else limits.max,
    )
