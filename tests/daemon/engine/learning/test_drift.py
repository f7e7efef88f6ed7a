"""Drift of the model's error: what ADWIN is given, when, and that its state survives to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from river.drift import ADWIN

from daemon.engine.learning.drift import MOST_SERIES, Drift, collect

WINDOW, INTERVAL = 8, 1800


def watch(drift: Drift, errors: np.ndarray, start: int = 0) -> list[int]:
    """Slots at which a detection was made; `errors` has a row for each slot and a column for each series."""
    found = []
    drift.begin(start - 1)
    for slot, row in enumerate(errors, start):
        if drift.due is not None and drift.due < slot:
            found += [drift.due] * drift.look(drift.due, slot - 1, errors.shape[1])
        for series, error in enumerate(row):
            collect(drift.errors, series, slot, float(error))
    return found


def test_quiet_on_noise() -> None:
    """No detection in a year of half-hourly errors of noise, of one series and of four."""
    rng = np.random.default_rng(0)
    for series in (1, 4):
        assert watch(Drift(WINDOW, INTERVAL), np.abs(rng.standard_normal((365 * 48, series)))) == []


def test_a_rise_is_found_and_a_fall_is_not() -> None:
    """Within days; what falls is a model that became better."""
    rng = np.random.default_rng(0)
    errors = np.abs(rng.standard_normal((100 * 48, 1)))
    errors[50 * 48 :] *= 2
    (found,) = watch(Drift(WINDOW, INTERVAL), errors)
    assert 50 * 48 <= found <= 54 * 48
    assert watch(Drift(WINDOW, INTERVAL), errors[::-1]) == []


def test_of_few_series_each_is_watched_by_itself() -> None:
    """One of forty that drifts is found, which their mean hides; of more than `MOST_SERIES` none is."""
    rng = np.random.default_rng(0)
    for series, expected in ((40, True), (MOST_SERIES + 1, False)):
        errors = np.abs(rng.standard_normal((40 * 48, series)))
        errors[20 * 48 :, 3] += 1.0
        assert bool(watch(Drift(WINDOW, INTERVAL), errors)) is expected


def test_the_order_of_series_in_a_slot_does_not_matter() -> None:
    """Sums are whole numbers."""
    errors, drifts = np.random.default_rng(0).exponential(size=(200, 5)), []
    for order in (range(5), reversed(range(5))):
        drift, series = Drift(WINDOW, INTERVAL), list(order)
        drift.begin(-1)
        for slot in range(40):
            for row in series:
                collect(drift.errors, row, slot, float(errors[slot, row]))
        drifts.append({name: array.tobytes() for name, array in drift.state()[1].items()})
    assert drifts[0] == drifts[1]


def test_a_restored_detector_goes_on_to_the_bit() -> None:
    """From any slot on it has the state and the detections of the one that was never stored."""
    rng = np.random.default_rng(1)
    errors = np.abs(rng.standard_normal((60 * 48, 2)))
    errors[30 * 48 :] *= 3
    for cut in (100, 30 * 48 + 17, 31 * 48):
        whole, first, second = (Drift(WINDOW, INTERVAL) for _ in range(3))
        wanted = watch(whole, errors)
        found = watch(first, errors[:cut])
        second.restore(*first.state())
        assert found + watch(second, errors[cut:], cut) == wanted
        assert wanted
        assert {n: a.tobytes() for n, a in second.state()[1].items()} == {
            n: a.tobytes() for n, a in whole.state()[1].items()
        }


def test_detections_are_those_of_river() -> None:
    """Slot by slot river's own detector finds the same rises."""
    errors = np.abs(np.random.default_rng(2).standard_normal((50 * 48, 1)))
    errors[20 * 48 :] *= 2
    own, found = ADWIN(), []
    for slot, (error,) in enumerate(errors):
        before = own.estimation
        own.update(round(error * (1 << 20) - 0.5) / (1 << 20))
        if own.drift_detected and own.estimation > before:
            found.append(slot)
    assert [-(-slot // 48) * 48 for slot in found] == watch(Drift(WINDOW, INTERVAL), errors)


@pytest.mark.parametrize("interval", [1, 60, 86400, 7 * 86400])
def test_any_interval_is_looked_at(interval: int) -> None:
    """At least daily, and at every slot of a stream with longer ones."""
    drift = Drift(WINDOW, interval)
    drift.begin(10)
    assert drift.due is not None and 10 < drift.due <= 10 + 256
