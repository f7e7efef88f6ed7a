"""Events and traces as tables of pandas."""

from __future__ import annotations

import doctest
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

import daemon.presentation.frame
from daemon.engine.messages.events import Event
from daemon.presentation.frame import to_frame
from daemon.replay import trace
from daemon.replay.trace import ReadingTrace
from tests.daemon.store.contents import event

TEXTS = {"id": "string", "stream": "string", "series": "string", "variable": "string", "network": "string"}
READ = TEXTS | {"state": "string", "reasons": "string", "members": "Int64"}


def test_every_key_of_an_event_is_a_column() -> None:
    """An event's keys stand in the table, but for what it nests, of which the greatest or the number stands."""
    frame = to_frame([event("a")])
    nested = {"contributions", "variables", "networks"}
    assert {each.name for each in fields(Event)} - nested <= set(frame.columns)
    (row,) = frame.to_dict("records")
    assert (row["id"], row["reasons"], row["members"]) == ("a", "model, limit", 2)
    assert (row["rarity"], row["threshold"], row["reconstruction_error"]) == (0.1 + 0.2, 5e-324, 1e300)
    assert row["started_at"] == pd.Timestamp("1970-01-01 00:01:40", tz="UTC")


def test_each_variable_has_its_column() -> None:
    """Two variables are two columns; where an event has one or none, its cells are missing."""
    named = ({"variable": "flow", "share": 0.9}, {"variable": "level", "share": 0.1})
    frame = to_frame([event("a"), replace(event("b"), value=None, members=None, variables=named)])
    assert frame["value"].tolist()[0] == 1.0
    assert frame["value_2"].tolist()[0] == 0.0
    assert frame["lower"].tolist()[0] == 0.1
    assert frame[["value", "value_2"]].isna().sum().tolist() == [1, 1]
    assert frame["expected"].isna().all()
    assert frame["lower_2"].isna().all()
    assert frame["variable"].fillna("none").tolist() == ["none", "flow"]
    assert frame["members"].isna().tolist() == [False, True]


def test_a_table_without_rows_has_the_columns_and_types_of_one_with() -> None:
    """What is written for one event works for none."""
    assert to_frame([]).dtypes.to_dict() == to_frame([replace(event("a"), value=(1.0,))]).dtypes.to_dict()
    assert trace.to_frame([]).dtypes.to_dict() == trace.to_frame([one_trace()]).dtypes.to_dict()


def test_a_file_gives_the_table_back(tmp_path: Path) -> None:
    """CSV loses neither a digit of a number nor the series that is called like one."""
    frame = to_frame([event("1e10", series="007"), event("b", revision=1, series='"a", b')])
    frame.to_csv(tmp_path / "events.csv", index=False)
    instants = ["started_at", "ended_at", "at", "value_at"]
    again = pd.read_csv(tmp_path / "events.csv", dtype=READ, parse_dates=instants)
    pd.testing.assert_frame_equal(again, frame, check_dtype=False, check_exact=True)


def one_trace() -> ReadingTrace:
    """Three readings, the last two anomalous."""
    numbers = np.array([1.0, 2.0, np.nan])
    return ReadingTrace(
        series="7",
        at=np.array([0, 60, 120]),
        value=numbers,
        expected=numbers,
        lower=numbers,
        upper=numbers,
        error=numbers,
        rank=numbers,
        rarity=numbers,
        reasons=np.array([0, 1, 0b101]),
    )


def test_a_trace_is_a_row_a_reading() -> None:
    """Series by series, with reasons in words and instants that know their zone."""
    frame = trace.to_frame([one_trace(), replace(one_trace(), series="8")])
    assert set(frame.columns) == {each.name for each in fields(ReadingTrace)} - {"label"} | {"series"}
    assert frame["series"].tolist() == ["7"] * 3 + ["8"] * 3
    assert frame["reasons"].tolist() == ["", "model", "model, limit"] * 2
    assert frame["at"].iloc[1] == pd.Timestamp("1970-01-01 00:01", tz="UTC")
    assert frame["rarity"].isna().tolist() == [False, False, True] * 2


def test_the_example_of_an_instant() -> None:
    """The docstring's numbers are what comes out."""
    assert doctest.testmod(daemon.presentation.frame) == (0, 1)
