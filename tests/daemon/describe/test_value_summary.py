"""Figures of values are those of a textbook."""

from __future__ import annotations

import statistics

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.describe.value_summary import statistics as statistics_of


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_statistics_are_those_of_the_textbook(values: list[float]) -> None:
    """Mean, sample deviation and interpolated quartiles are those of Python's own module, and no value is lost."""
    mine = statistics_of(pd.Series(values))
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    theirs = (statistics.fmean(values), statistics.stdev(values), *quartiles, min(values), max(values))
    names = ("mean", "std", "q25", "median", "q75", "min", "max")
    for name, figure in zip(names, theirs, strict=True):
        assert getattr(mine, name) == pytest.approx(figure, rel=1e-9, abs=1e-9)
    assert sum(mine.bins) == mine.count == len(values)
    assert mine.min <= mine.lower <= mine.upper <= mine.max
