from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features import calendar

MONDAY = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("after_s", "expected"),
    [
        (0, [0, 1, 0, 1]),
        (6 * 3600, [1, 0, 0.2225, 0.9749]),
        (84 * 3600, [0, -1, 0, -1]),
        (7 * 86400, [0, 1, 0, 1]),
    ],
)
def test_the_week_starts_on_monday_and_the_day_at_midnight(after_s: int, expected: list[float]) -> None:
    """Sine and cosine begin anew each midnight and each Monday."""
    np.testing.assert_allclose(calendar(np.array([MONDAY + after_s]), True, True)[0], expected, atol=1e-4)


@pytest.mark.parametrize(("daily", "weekly"), [(False, False), (True, False), (False, True), (True, True)])
def test_a_column_that_is_off_is_zero(daily: bool, weekly: bool) -> None:
    """Turning one pair of columns off zeroes it and leaves the other's bits alone."""
    at = MONDAY + np.arange(500, dtype=np.int64) * 1801
    both = calendar(at, True, True)
    assert np.array_equal(calendar(at, daily, weekly), both * np.array([daily, daily, weekly, weekly], np.float32))


def test_no_instants_give_no_rows() -> None:
    """An empty batch is as good as any."""
    assert calendar(np.zeros(0, np.int64), True, True).shape == (0, 4)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=40), st.data())
def test_a_row_depends_on_its_own_instant_only(at: list[int], data: st.DataObject) -> None:
    """The same instant has the same bits alone, in any batch and at any place, before 1970 too."""
    whole = calendar(np.array(at, np.int64), True, True)
    place = data.draw(st.integers(0, len(at) - 1))
    assert calendar(np.array(at[place:], np.int64), True, True).tobytes() == whole[place:].tobytes()
    assert calendar(np.array(at[place : place + 1], np.int64), True, True).tobytes() == whole[place].tobytes()
