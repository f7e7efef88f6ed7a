"""Where a reading belongs: new, late, repeated, a revision or too old; gaps, windows, counters."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Promoted
from daemon.engine.table.overdue import COUNTER_RESETS
from daemon.engine.table.ring import fill_window
from tests.daemon.engine.small_engines import (
    FIRST,
    INTERVAL,
    STREAM,
    Row,
    batch,
    bundle,
    engine,
    feed,
    noise,
    row_of,
    the,
)


def history(made: Engine, slots: range) -> list[float]:
    """Values of series `a` in warm-up; NaN is a gap."""
    values = the(made).table.arrays.history[row_of(made, "a")["buffer"], :, 0]
    return [float(values[(FIRST + slot) % len(values)]) for slot in slots]


def test_late_readings_fill_their_slot() -> None:
    """A reading for an older free slot fills it and counts as late; it is not a new reading and moves no statistic."""
    made = engine()
    feed(made, [("a", 0, 1.0), ("a", 3, 4.0), ("a", 1, 2.0)])
    assert history(made, range(4)) == pytest.approx([1.0, 2.0, float("nan"), 4.0], nan_ok=True)
    assert the(made).counters.late == 1
    assert row_of(made, "a")["late"] == 1
    assert row_of(made, "a")["readings"] == 2


def test_a_late_reading_is_not_scored() -> None:
    """A late value outside all that was seen raises nothing and widens nothing, but is in the ring."""
    made = engine()
    feed(made, noise([slot for slot in range(40) if slot != 38]))
    before = row_of(made, "a")["statistics"].copy(), the(made).table.arrays.high[0, 0]
    assert feed(made, [("a", 38, 1e6)]) == []
    assert (row_of(made, "a")["statistics"], the(made).table.arrays.high[0, 0]) == before
    assert the(made).table.arrays.ring[0, (FIRST + 38) % 8, 0] == 4.0


def test_another_value_for_a_slot_is_a_revision() -> None:
    """The first reading of a slot stands, be it the newest slot, an older one, or one that was filled late."""
    made = engine()
    feed(made, [("a", 0, 1.0), ("a", 2, 3.0), ("a", 1, 2.0)])
    feed(made, [("a", slot, 9.0) for slot in (0, 1, 2)])
    assert the(made).counters.rejected == {"revision": 3}
    assert history(made, range(3)) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("slots", "reach"), [(range(0, 16), 16), (range(0, 41), 8)])
def test_older_than_what_is_kept_is_too_old(slots: range, reach: int) -> None:
    """In warm-up the warm-up's slots can still be filled, afterwards the window's; older is rejected."""
    made = engine()
    feed(made, noise(slots))
    last = slots[-1]
    feed(made, [("a", last - reach, 1.0)])
    assert the(made).counters.rejected == {"too_old": 1}
    feed(made, [("a", last - reach + 1, 1.0)])
    assert the(made).counters.rejected == {"too_old": 1, "revision": 1}


def test_gaps_are_marked_where_the_ring_comes_round() -> None:
    """Slots without a reading hold none of the values that lay there a window before."""
    made = engine()
    feed(made, noise([*range(40), 44]))
    ring = the(made).table.arrays.ring[0, :, 0]
    gaps = {slot for slot in range(37, 45) if np.isnan(ring[(FIRST + slot) % 8])}
    assert gaps == {40, 41, 42, 43}
    feed(made, noise([100]))
    assert np.isnan(the(made).table.arrays.ring[0, :, 0]).sum() == 7


def test_windows_fill_gaps_with_the_value_before() -> None:
    """A gap has the last value before it, gaps at the start the first value after them; all gaps are counted."""
    nan = np.nan
    ring = np.array([[nan], [5.0], [nan], [nan], [7.0], [nan], [1.0], [2.0]], np.float32)
    x, observed = np.zeros((8, 1), np.float32), np.zeros(8, np.bool_)
    # slot 12 lies at 4: the window is 5, 6, 7, 0, 1, 2, 3, 4
    assert fill_window(ring, 12, x, observed) == 4
    assert x[:, 0].tolist() == [1.0, 1.0, 2.0, 2.0, 5.0, 5.0, 5.0, 7.0]
    assert observed.tolist() == [False, True, True, False, True, False, False, True]


@pytest.mark.parametrize(("missing", "unscored"), [([34, 35, 36, 38], 0), ([34, 35, 36, 37, 38], 1)])
def test_a_window_with_more_than_half_missing_is_not_scored(missing: list[int], unscored: int) -> None:
    """Four of eight slots missing are scored, five are not, and that is counted."""
    made = engine()
    feed(made, noise(range(34)))
    feed(made, noise([slot for slot in range(34, 40) if slot not in missing]))
    assert the(made).counters.unscored >= unscored
    assert (the(made).counters.unscored > 0) == bool(unscored)


def test_counter_counts_increases_per_slot() -> None:
    """The first reading is the base; over a gap the increase is spread; a reset shows when three stay low."""
    made = engine(kind="counter")
    feed(made, [("a", 0, 100.0), ("a", 1, 110.0), ("a", 4, 140.0), ("a", 5, 3.0), ("a", 6, 8.0), ("a", 7, 15.0)])
    wanted = [float("nan"), 10.0, float("nan"), float("nan"), 10.0, float("inf"), float("inf"), 7.0]
    assert history(made, range(8)) == pytest.approx(wanted, nan_ok=True)
    assert the(made).arrivals.clock[COUNTER_RESETS] == 1
    assert the(made).counters.accepted == 6


def test_a_late_counter_reading_fills_nothing() -> None:
    """The increase was spread over the gap already; the late reading is accepted, counted and told apart no more."""
    made = engine(kind="counter")
    feed(made, [("a", 0, 100.0), ("a", 1, 110.0), ("a", 4, 140.0), ("a", 2, 120.0)])
    assert np.isnan(history(made, range(2, 3))).all()
    assert the(made).counters.late == 1


def test_a_vector_counter_is_read_as_a_whole() -> None:
    """One variable's dip puts the whole reading in doubt; when it is back, all increases go on over it."""
    made = engine(kind="counter", format={"value": ["x", "y"]})
    feed(made, [("a", 0, [10.0, 10.0]), ("a", 1, [12.0, 15.0]), ("a", 2, [1.0, 20.0]), ("a", 3, [14.0, 25.0])], width=2)
    assert the(made).table.arrays.history[0, (FIRST + 3) % 16].tolist() == [1.0, 5.0]
    assert the(made).arrivals.clock[COUNTER_RESETS] == 0


def test_more_series_than_the_limit_are_rejected() -> None:
    """Readings of series beyond `max_series` are counted and change nothing else; known ones go on."""
    made = engine(max_series=2)
    feed(made, [("a", 0, 1.0), ("b", 0, 1.0), ("c", 0, 1.0), ("a", 1, 1.0), ("c", 1, 1.0)])
    assert the(made).counters.rejected == {"series_limit": 2}
    assert the(made).counters.accepted == 3
    assert set(the(made).table.row_of) == {"a", "b"}


def test_future_stamps_are_rejected_by_the_wall_clock() -> None:
    """A stamp further ahead than `future` is rejected; one just within it is not."""
    now = (FIRST + 10) * INTERVAL * 1000
    for clock, rejected in (("wall", {"future": 1}), ("event", {})):
        made = engine(clock=clock, future=2 * INTERVAL)
        feed(made, [("a", 12, 1.0), ("a", 13, 1.0)], received_at_ms=now)
        assert the(made).counters.rejected == rejected


def test_rejections_of_a_batch_are_counted() -> None:
    """Lines that never became readings arrive as counts, also with a batch that holds nothing else."""
    made = engine()
    made.step(batch([], rejected={"bad_time": 2}))
    made.step(batch([("a", 0, 1.0)], rejected={"bad_time": 1, "binary": 4}))
    assert the(made).counters.rejected == {"bad_time": 3, "binary": 4}


def test_values_are_clipped_to_a_range_around_the_warm_up() -> None:
    """A ring holds values in units of the warm-up's range, between -3 and 4, whatever comes."""
    made = engine()
    made.step(Promoted(STREAM, bundle().to_bytes()))
    rows: list[Row] = [*noise(range(17)), ("a", 17, 1e300), ("a", 18, -1e300)]
    feed(made, rows)
    ring = the(made).table.arrays.ring[0, :, 0]
    assert ring[(FIRST + 17) % 8] == 4.0
    assert ring[(FIRST + 18) % 8] == -3.0
