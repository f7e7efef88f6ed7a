"""Readings of several variables: one error from many, and which variable it came from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from daemon.config.file import effective, from_effective
from daemon.engine.kernel.variables import combine, learn
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Configured
from daemon.trainer.trainer import InlineTrainer

DAYS, DAY = 17, 48
ERRORS = arrays(np.float64, 5, elements=st.floats(1e-3, 10))


def combined(errors: list[float], usual: list[float]) -> tuple[float, list[float]]:
    surprise = np.empty(len(errors))
    return combine(np.array(errors), np.array(usual), surprise), surprise.tolist()


def test_of_one_variable_the_error_is_its_own() -> None:
    """A single variable's error stays as it is, bit for bit, whatever is usual."""
    assert combined([0.123], [0.7])[0] == 0.123


def test_usual_errors_make_the_usual_error() -> None:
    """When every variable has its usual error, the combined one is their mean."""
    value, surprise = combined([0.1, 0.3], [0.1, 0.3])
    assert value == pytest.approx(0.2)
    assert surprise == pytest.approx([1, 1])


def test_one_of_a_thousand_shows() -> None:
    """One variable at ten times its usual error quadruples the combined error of a thousand."""
    usual = np.full(1000, 0.1)
    errors = usual.copy()
    errors[7] = 1.0
    surprise = np.empty(1000)
    assert combine(errors, usual, surprise) > 4 * 0.1
    assert surprise.argmax() == 7


@given(ERRORS, ERRORS, st.permutations(range(5)))
def test_the_order_of_variables_does_not_matter(
    errors: np.ndarray[tuple[int], np.dtype[np.float64]],
    usual: np.ndarray[tuple[int], np.dtype[np.float64]],
    order: list[int],
) -> None:
    """Variables in another order give the same combined error, and more error of any of them never gives less."""
    value = combined(errors.tolist(), usual.tolist())[0]
    assert combined(errors[order].tolist(), usual[order].tolist())[0] == pytest.approx(value, rel=1e-9)
    more = errors.copy()
    more[0] *= 2
    assert combined(more.tolist(), usual.tolist())[0] >= value


def test_a_fault_teaches_little() -> None:
    """A thousand times the usual error moves what is usual by half a per cent of it."""
    usual = np.array([0.1, 0.1])
    learn(np.array([100.0, 0.1]), usual)
    assert usual == pytest.approx([0.1004, 0.1])


def pump(seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Four sensors that follow one hidden load each in its own way, shape (N, 4)."""
    rng = np.random.default_rng(seed)
    n = DAYS * DAY
    load = np.sin(2 * np.pi * np.arange(n) / DAY) + np.convolve(rng.normal(0, 0.4, n + 9), np.ones(10) / 3, "valid")
    sensors = np.stack([load, -2 * load + 50, np.tanh(load), 10 + load**2 / 4 + load], 1)
    return np.asarray(sensors + rng.normal(0, 0.02, sensors.shape))


def watch(values: np.ndarray[tuple[int, int], np.dtype[np.float64]], rows: int = 500) -> list[Event]:
    """Every event of a stream that gets these readings."""
    names = [f"sensor_{f}" for f in range(values.shape[1])]
    stream = {"clock": "event", "format": {"value": names}}
    made = Engine(InlineTrainer())
    made.step(Configured(effective(from_effective({"version": 1, "streams": {"pump": stream}}))))
    n = len(values)
    at, none = (1_000_000 + np.arange(n)) * 1_800_000, np.zeros(n, np.int32)
    events: list[Event] = []
    for start in range(0, n, rows):
        part = slice(start, start + rows)
        events += made.step(Batch("pump", 0, ["a"], none[part], at[part], none[part], values[part])).events
    return events


def test_a_broken_relation_is_found_and_named() -> None:
    """A sensor that turns round for three hours, all of it in range, is an event that names the sensor."""
    values = pump(3)
    start = 16 * DAY + 20
    values[start : start + 6, 2] = -values[start : start + 6, 2]
    events = [e for e in watch(values) if e.reasons and e.series and "model" in e.reasons]
    here = [e for e in events if (1_000_000 + start) * 1800 <= e.started_at <= (1_000_000 + start + 8) * 1800]
    assert here
    assert here[-1].variables[0]["variable"] == "sensor_2"
    assert sum(v["share"] for v in here[-1].variables) == pytest.approx(1)
    assert watch(values, rows=77) == watch(values)
