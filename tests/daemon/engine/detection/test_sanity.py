"""Does it detect? Twenty noisy seasonal series: few false alarms, and an injected level shift found in each."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from tests.daemon.engine.small_engines import FIRST, INTERVAL, PureTrainer, Row, engine, feed

SERIES = 20
WARM_UP = 14 * 48
QUIET_DAYS = 60
SPREAD = 0.5


def values(slots: np.ndarray, series: int) -> np.ndarray:
    """A day's shape and a week's with noise of `SPREAD`, each series with its own level and phase."""
    rng = np.random.default_rng([99, series])
    noise = rng.normal(0, SPREAD, 200 * 48)[slots]
    day = 3 * np.sin((slots / 48 + rng.random()) * 2 * np.pi)
    made: np.ndarray = rng.normal(50, 10) + day + 0.5 * np.sin(slots / 336 * 2 * np.pi) + noise
    return made


def rows(first: int, last: int, shift: float = 0.0) -> list[Row]:
    """Readings of all series, slot by slot."""
    slots = np.arange(first, last)
    columns = [values(slots, n) + shift for n in range(SERIES)]
    return [(f"s{n:02}", slot, columns[n][i]) for i, slot in enumerate(slots.tolist()) for n in range(SERIES)]


@pytest.fixture(scope="module")
def watched() -> tuple[Engine, list[Event]]:
    """An engine after warm-up and `QUIET_DAYS` without anomalies, and the events since the warm-up."""
    made = engine(
        PureTrainer(),
        warm_up=WARM_UP * INTERVAL,
        max_series=SERIES,
        model={"window": 16, "copies": 1, "retrain_every": 400, "apply_after": 8},
        alerts={"refractory": 0},
    )
    return made, feed(made, rows(0, WARM_UP + QUIET_DAYS * 48))


def test_false_alarms_stay_near_the_budget(watched: tuple[Engine, list[Event]]) -> None:
    """With a budget of one a month, all reasons together open fewer than five episodes a month and series."""
    opened = [event for event in watched[1] if event.revision == 0]
    rate = len(opened) / SERIES / (QUIET_DAYS / 30.44)
    assert 0 < rate < 5, "none at all would mean that nothing is looked at"


def test_a_level_shift_is_found_in_each(watched: tuple[Engine, list[Event]]) -> None:
    """Six spreads up: each series has an episode within a day."""
    made = Engine(PureTrainer())
    made.load(watched[0].dump())
    at = WARM_UP + QUIET_DAYS * 48
    events = feed(made, rows(at, at + 48, 6 * SPREAD))
    found = {event.series for event in events if event.state == "open" and event.at >= (FIRST + at) * INTERVAL}
    assert len(found) == SERIES
