"""Many series join at once as each would by itself, and compiled code scales as numpy does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.learning import admission, warm_up_values
from daemon.engine.messages.inputs import Command
from daemon.engine.table.ring import GREATEST, LOWEST
from daemon.engine.table.series import READY, SeriesTable
from tests.daemon.engine.small_engines import STREAM, Row, engine, feed, the

P, WINDOW = 24, 4
READING = st.one_of(
    st.sampled_from([0.0, 1.0, 50.0, -999.0, 9999.0, float("nan"), float("inf")]),
    st.floats(-1e6, 1e6, allow_subnormal=False),
)


def table_of(warm_ups: npt.NDArray[np.float64], ranged: bool) -> SeriesTable:
    """Series in warm-up that hold values of shape (N, P, F), oldest first; the newest slots differ."""
    count, p, width = warm_ups.shape
    table = SeriesTable(count, WINDOW, width, p, ranged)
    for i in range(count):
        row = table.admit(f"s{i}")
        last = table.rows["last"][row] = 1000 + 7 * i
        table.arrays.history[table.rows["buffer"][row], (last + 1 + np.arange(p)) % p] = warm_ups[i]
    return table


def by_numpy(values: npt.NDArray[np.float64], ranged: bool) -> tuple[float, float, float, npt.NDArray[np.float32]]:
    """Least, greatest, median and scaled values of a warm-up of one variable, written for reading and not for speed."""
    ordered = np.sort(values[np.isfinite(values)])
    few = min(int(np.ceil(warm_up_values.FEW * len(ordered))), (len(ordered) - 1) // 2)
    low, high = ordered[few], ordered[len(ordered) - 1 - few]
    reach = warm_up_values.REACH * (high - low)
    if reach == 0.0:
        others = np.abs(ordered[ordered != low])
        reach = abs(low) if low else warm_up_values.REACH * float(np.median(others)) if len(others) else 0.0
    kept = ordered[(ordered >= low - reach) & (ordered <= high + reach)]
    low, high = kept[0], kept[-1]
    origin, scale = 0.0, 1.0
    if ranged:
        origin, scale = low, high - low if high > low else max(warm_up_values.OF_LEVEL * abs(high), 1e-6)
    x = np.clip((np.where(np.isinf(values), np.nan, values) - origin) / scale, LOWEST, GREATEST)
    return low, high, float(np.nanmedian(x)), np.where(np.isinf(values), np.inf, x).astype(np.float32)


@given(st.lists(st.lists(READING, min_size=P, max_size=P), min_size=1, max_size=4), st.booleans())
def test_warm_ups_are_scaled_as_numpy_scales_each(warm_ups: list[list[float]], ranged: bool) -> None:
    """Range, median and scaled values are equal to the bit, whatever gaps, sentinels and constant runs there are."""
    values = np.array(warm_ups) + 0.0  # no -0.0, which is equal to 0.0 and may take its place in an order
    values[:, -1] = 3.0  # the newest slot of a warm-up holds a reading
    table = table_of(values[:, :, None], ranged)
    rows = np.arange(len(values))
    scaled = admission.windows(table, rows).scaled
    for i, row in enumerate(rows.tolist()):
        low, high, median, x = by_numpy(values[i], ranged)
        a = table.arrays
        assert (a.low[row, 0], a.high[row, 0], a.median[row, 0]) == (low, high, median)
        np.testing.assert_array_equal(scaled[i, :, 0], x)


def test_windows_of_many_series_are_those_of_each() -> None:
    """Cut together, windows are the same as cut series by series, and are counted the same; gaps leave some out."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, P, 2))
    values[rng.random((5, P)) < 0.4] = np.nan
    values[2] = np.inf  # nothing for use
    rows = np.arange(5)
    together = admission.windows(table_of(values, True), rows)
    alone = table_of(values, True)
    parts = [admission.windows(alone, rows[i : i + 1]) for i in range(5)]
    for name in ("x", "observed", "slot", "scaled"):
        np.testing.assert_array_equal(getattr(together, name), np.concatenate([getattr(p, name) for p in parts]))
    _, scored = admission.countable(alone, rows)
    np.testing.assert_array_equal(np.diff(together.begin), scored)
    assert scored[2] == 0 < scored[0]


def test_it_does_not_matter_how_many_join_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """State and events are equal to the bit whether series join one at a time or all together."""

    def run(at_once: int) -> tuple[str, int]:
        monkeypatch.setattr(admission, "AT_ONCE", at_once)
        made = engine()
        rng = np.random.default_rng(1)
        for slot in range(24):
            readings: list[Row] = [
                (f"s{i}", slot, float(np.sin(slot / 3 + i) + rng.normal(0, 0.1)))
                for i in range(9)
                if rng.random() < 0.8 or slot == 23
            ]
            feed(made, readings)
        made.step(Command("warm_up", STREAM, 0))
        for slot in range(24, 40):
            feed(made, [(f"s{i}", slot, float(np.sin(slot / 3 + i))) for i in range(9)])
        return made.digest(), int(np.count_nonzero(the(made).table.rows["status"] == READY))

    assert run(1) == run(1 << 14)
    assert run(1)[1] == 9
