"""Stamps off the grid: jitter and clocks that drift lose no reading."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from daemon.engine.machine.stream import Stream
from tests.daemon.engine.field_readings import STREAM, at_slots, begun, readings

MINUTE = 60_000
DAYS_10 = 480


def placed(at_ms: npt.NDArray[np.int64], sizes: int = 10_000, interval: int = 1800, **stream: Any) -> Stream:
    """The stream that has taken readings with these stamps, in batches of `sizes`."""
    made, values = begun(interval, **stream), np.asarray(np.arange(len(at_ms)) % 7 + 1, np.float64)
    for start in range(0, len(at_ms), sizes):
        made.step(readings(at_ms[start : start + sizes], values[start : start + sizes]))
    return made.streams[STREAM]


def filled(stream: Stream) -> tuple[int, int]:
    """How many readings filled a slot of their own, and over how many slots."""
    row = stream.table.rows[0]
    return int(row["readings"]), int(row["last"] - row["first"]) + 1


@pytest.mark.parametrize("stamp", ["start", "end"])
@pytest.mark.parametrize(
    ("phase", "jitter"), [(0, 1_500), (0, 5 * MINUTE), (-2_000, 1_500), (7 * MINUTE, MINUTE), (22 * MINUTE, 9 * MINUTE)]
)
def test_jitter_loses_nothing(phase: int, jitter: int, stamp: str) -> None:
    """Each reading has a slot of its own, wherever in the slot the sender stamps, and in whatever batches they come."""
    rng = np.random.default_rng([abs(phase), jitter])
    at_ms = at_slots(DAYS_10) + phase + rng.integers(-jitter, jitter + 1, DAYS_10)
    stream = placed(at_ms, stamp=stamp)
    assert filled(stream) == (DAYS_10, DAYS_10)
    assert (stream.counters.rejected, stream.counters.repeated) == ({}, 0)
    assert (
        placed(at_ms, 7, stamp=stamp).state()[1]["series/rows"].tobytes() == stream.state()[1]["series/rows"].tobytes()
    )


@pytest.mark.parametrize("interval", [60, 1800])
def test_a_clock_that_falls_behind_loses_nothing(interval: int) -> None:
    """A sender that waits a thousandth too long fills a slot with each reading, and leaves one out in a thousand."""
    at_ms = at_slots(3000, interval) + np.arange(3000) * interval
    stream = placed(at_ms, interval=interval)
    count, slots = filled(stream)
    assert count == 3000
    assert 3001 <= slots <= 3004
    assert stream.counters.rejected == {}


def test_a_clock_that_is_set_right_again_loses_nothing() -> None:
    """Drifting by five minutes and set right, again and again, each reading still has a slot of its own."""
    at_ms = at_slots(DAYS_10) + np.arange(DAYS_10) % 60 * 5_000
    assert filled(placed(at_ms)) == (DAYS_10, DAYS_10)


@pytest.mark.parametrize(("stamp", "first"), [("start", 0), ("end", -1)])
def test_stamps_on_the_grid_stay_where_they_are(stamp: str, first: int) -> None:
    """A stamp at the beginning of an interval, or at its end, belongs to that interval."""
    stream = placed(at_slots(10), stamp=stamp)
    assert stream.table.rows["first"][0] == at_slots(1)[0] // 1_800_000 + first


def test_a_first_stamp_that_was_off_is_forgotten() -> None:
    """A reading at boot, half a slot off, does not set where all others lie."""
    at_ms = np.concatenate(
        [at_slots(1) + 15 * MINUTE, at_slots(DAYS_10)[1:] + np.tile([-2_000, 2_000], DAYS_10)[1:DAYS_10]]
    )
    assert filled(placed(at_ms))[0] >= DAYS_10 - 2


def test_several_readings_of_a_slot_have_no_phase() -> None:
    """With `aggregate`, a reading belongs to the slot in which it lies, be it in the last minute of it."""
    stream = placed(np.sort(np.concatenate([at_slots(8), at_slots(8) + 29 * MINUTE])), aggregate="sum")
    assert np.nanmax(stream.table.arrays.history[0, :, 0]) > 7.0
    assert stream.counters.accepted == 16
