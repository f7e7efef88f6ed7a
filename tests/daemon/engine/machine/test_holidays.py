"""What a holiday changes: a day like a Sunday is expected where it would be a surprise."""

from __future__ import annotations

import numpy as np

from tests.daemon.engine.small_engines import FIRST, INTERVAL, PureTrainer, engine, feed, row_of, the

DAY = 86400 // INTERVAL
HOLIDAY = 40  # days after Saturday, 2000-01-01: a Thursday


def office(days: range) -> list[tuple[str, int, float]]:
    """A building that is busy by day but on weekends and on the holiday."""
    rows, rng = [], np.random.default_rng(7)
    noise = rng.standard_normal(60 * DAY)
    for day in days:
        idle = day % 7 < 2 or day == HOLIDAY
        for at in range(DAY):
            slot = day * DAY + at
            busy = 0.0 if idle else 10.0 * float(8 <= at * 24 / DAY < 18)
            rows.append(("a", slot, 2.0 + busy + 0.2 * float(noise[slot])))
    return rows


def surprise(holidays: list[str] | None) -> tuple[float, float, int]:
    """Mean distance from what was expected at noon of the days before, and of the holiday; anomalous slots of it."""
    made = engine(
        PureTrainer(),
        warm_up=14 * 86400,
        holidays=holidays,
        model={"window": 32, "copies": 4, "retrain_every": 100},
        alerts={"novelty": False},
    )
    feed(made, office(range(HOLIDAY - 1)))
    expected: list[tuple[int, float]] = []

    def watch(e: object, count: int, columns: object, out: object) -> None:
        expected.append((int(row_of(made, "a")["last"]) - FIRST, float(the(made).table.arrays.expected[0, 0])))

    the(made).scoring.observers.append(watch)
    before = int(row_of(made, "a")["anomalies"][0])
    rows = office(range(HOLIDAY - 1, HOLIDAY + 1))
    for row in rows:
        feed(made, [row])
    off = np.abs(np.array([value for _, _, value in rows]) - np.array([value for _, value in expected]))
    noon = slice(DAY // 2 - 4, DAY // 2 + 4)
    return float(off[:DAY][noon].mean()), float(off[DAY:][noon].mean()), int(row_of(made, "a")["anomalies"][0]) - before


def test_a_holiday_is_expected() -> None:
    """The same network sees a Sunday in it: half of the surprise at most, the day before is as it was, fewer alarms."""
    usual, unknown, alarms = surprise(None)
    usual_too, known, fewer = surprise(["2000-02-10"])
    assert usual_too == usual
    assert unknown > 2 * usual
    assert known < 0.5 * unknown, (usual, unknown, known)
    assert fewer <= alarms
