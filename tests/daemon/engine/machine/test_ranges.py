"""What a warm-up takes for the range of a series, and what is found by it."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.engine.learning.warm_up_values import span
from tests.daemon.engine.field_readings import events_of, household, instant, opened, slot


@pytest.mark.parametrize("odd", [-999.0, 9999.0, 1e6, -1e30, 40.0])
@pytest.mark.parametrize("count", [1, 3, 13])
def test_no_few_values_set_a_range(odd: float, count: int) -> None:
    """Up to two in a hundred values of a warm-up at either end, whatever they are, leave its range as it is."""
    values = household(14)
    low, high = values.min(), values.max()
    values[slot(4, 6) : slot(4, 6) + count] = odd
    found = span(values)
    assert found[0] >= low
    assert found[1] <= high
    assert found[1] - found[0] > 0.9 * (high - low)


def test_a_range_is_that_of_all_usual_values() -> None:
    """Peaks, however rare, that lie no further out than three widths of all the others belong to the range."""
    values = household(14)
    values[100] = 2.5
    assert span(values) == (values.min(), 2.5)
    assert span(np.array([5.0])) == (5.0, 5.0)
    assert span(np.array([1.0, 9.0])) == (1.0, 9.0)


@pytest.mark.parametrize(
    ("level", "others", "expected"),
    [
        (0.0, [1.0, 1.0, 2.0], (0.0, 2.0)),  # rare counts
        (50.0, [50.1, 49.9], (49.9, 50.1)),
        (50.0, [-999.0, 9999.0], (50.0, 50.0)),
        (0.0, [], (0.0, 0.0)),
    ],
)
def test_a_series_that_mostly_stands_still(level: float, others: list[float], expected: tuple[float, float]) -> None:
    """Around a level, what lies within the level's own size counts; around 0, what is not far beyond the others."""
    values = np.full(672, level)
    values[: len(others)] = others
    assert span(values) == expected


@pytest.mark.parametrize("odd", [-999.0, 1e6])
def test_sentinels_in_the_warm_up_blind_no_series(odd: float) -> None:
    """With three sentinels in its warm-up a series' fault is found at its first slot, as without them."""
    values = household(32)
    for day in (4, 7, 10):
        values[slot(day, 9)] = odd
    values[slot(30, 2) : slot(30, 8)] = 1.6
    found = opened(events_of(values))
    assert [event.started_at for event in found if event.started_at > instant(29, 0)] == [instant(30, 2)]


@pytest.mark.parametrize(("level", "moved"), [(50.0, 49.2), (50.0, 50.02), (230.0, 229.9), (21.0, 21.5), (-3.0, 0.0)])
def test_a_constant_level_that_moves_is_found_at_once(level: float, moved: float) -> None:
    """A series that was constant in its warm-up is found when it moves by a five-thousandth of its level."""
    values = np.full(slot(20, 0), level)
    values[slot(18, 0) : slot(18, 6)] = moved
    found = opened(events_of(values))
    assert [(event.started_at, event.value) for event in found[:1]] == [(instant(18, 0), (moved,))]


def test_a_constant_level_stays_quiet() -> None:
    """While it does not move, or by less than its least move, nothing is raised."""
    values = np.full(slot(20, 0), 50.0)
    values[slot(18, 0) :: 2] = 50.005
    assert events_of(values) == []
