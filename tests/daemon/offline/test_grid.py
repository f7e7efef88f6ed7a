"""Readings on grids: what the offline trainer sees of a stream is what the engine makes of the same readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config.settings import StreamSettings
from daemon.engine.messages.inputs import Batch
from daemon.offline.grid import on_grid
from daemon.offline.histories import _accepted
from models.offline.history import HistoryError
from tests.daemon.engine.small_engines import INTERVAL, STREAM, Row, batch, engine, feed, the

KINDS: list[dict[str, Any]] = [
    {"aggregate": aggregate, "kind": kind}
    for aggregate in ("none", "mean", "sum", "last")
    for kind in ("gauge", "counter")
]
rows_of_two = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 50), st.booleans()), min_size=4, max_size=40
)


def grids(rows: Sequence[Row], **stream: Any) -> dict[str, list[float]]:
    """Values from the first slot of each series on, NaN where there is none."""
    read = [batch(rows[:3]), batch(rows[3:])]
    own = StreamSettings.model_validate({"interval": INTERVAL} | stream)
    found = on_grid([each for each in read if len(each)], own, INTERVAL, "here")
    return {h.series: h.values[:, 0].tolist() for h in found}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), rows_of_two)
def test_a_series_is_what_the_engine_holds(stream: dict[str, Any], drawn: list[tuple[str, int, int, bool]]) -> None:
    """In order of time, with gaps, repeated slots, repeated hours and resets: the engine's history, slot for slot."""
    at = {"a": 0, "b": 0}
    rows: list[tuple[str, int, float, int]] = []
    for series, step, value, repeated in drawn:
        at[series] += step
        rows.append(
            (series, at[series], float(value), 2 * INTERVAL if repeated and stream["aggregate"] == "none" else 0)
        )
        at[series] += 2 if repeated and stream["aggregate"] == "none" else 0
    rows.sort(key=lambda row: row[1])
    made = engine(warm_up=400 * INTERVAL, lateness=0, **stream)
    feed(made, rows)
    last = max(slot for _, slot, _, _ in rows) + 1
    feed(made, [(name, last + slot, 0.0) for slot in range(3) for name in "yz"])  # closes the slots being collected
    table = the(made).table
    found = grids(rows, **stream)
    for series in "ab":
        row = table.row_of.get(series)
        if row is None:
            continue
        s = table.rows[row]
        ring = table.arrays.history[s["buffer"]]
        held = np.array([ring[slot % len(ring), 0] for slot in range(int(s["first"]), int(s["last"]) + 1)])
        used = np.flatnonzero(np.isfinite(held))  # a counter's first slot has none
        usable = np.where(np.isfinite(held), held, np.nan)[used[0] :] if len(used) else np.empty(0)
        assert usable.tolist() == pytest.approx(found.get(series, []), nan_ok=True)


def test_aggregates_and_counters() -> None:
    """Three readings in two slots by each rule; an increase is spread over a gap, and begins anew at a reset.

    A register that fell is doubted until it has stayed low three times.
    """
    rows: list[Row] = [("a", 0, 1.0), ("a", 0, 5.0), ("a", 1, 2.0)]
    assert grids(rows) == {"a": [1, 2]}
    assert grids(rows, aggregate="mean") == {"a": [3, 2]}
    assert grids(rows, aggregate="sum") == {"a": [6, 2]}
    assert grids(rows, aggregate="last") == {"a": [5, 2]}
    counter = [("a", 0, 10.0), ("a", 1, 12.0), ("a", 3, 20.0), ("a", 4, 3.0)]
    assert grids(counter, kind="counter")["a"] == pytest.approx([2, np.nan, 4, np.nan], nan_ok=True)
    counter += [("a", 5, 4.0), ("a", 6, 6.0), ("a", 7, 9.0)]
    assert grids(counter, kind="counter")["a"] == pytest.approx([2, np.nan, 4, *[np.nan] * 2, 2, 3], nan_ok=True)
    assert grids([("a", 0, 10.0)], kind="counter") == {}


def test_what_is_not_learned_from_is_a_gap() -> None:
    """An estimated reading, and one beyond the physical limits; a series of nothing else is none."""
    rows: list[Row] = [("a", 0, 1.0), ("a", 1, 500.0), ("a", 2, 3.0), ("a", 3, 4.0), ("b", 0, -900.0)]
    limits = {"limits": {"max": 100}, "series": [{"match": "b", "limits": {"min": 0}}]}
    assert grids(rows, alerts=limits)["a"] == pytest.approx([1, np.nan, 3, 4], nan_ok=True)
    assert "b" not in grids(rows, alerts=limits)
    own = StreamSettings.model_validate({"interval": INTERVAL})
    guessed = replace(batch(rows[:1] + rows[2:4]), quality=np.array([0, 1, 0], np.int8))
    (found,) = on_grid([guessed], own, INTERVAL, "here")
    assert found.values[:, 0].tolist() == pytest.approx([1, np.nan, np.nan, 4], nan_ok=True)


def test_readings_of_the_future_leave_the_guesses_in_place() -> None:
    """What a journal has of readings that were rejected is left out with all that is said of it."""
    read = replace(batch([("a", slot, 1.0) for slot in range(4)]), quality=np.array([0, 1, 0, 0], np.int8))
    read.at_ms[0] += 10**12
    kept = _accepted(StreamSettings(clock="wall"), [], [], replace(read, received_at_ms=int(read.at_ms[3])))
    assert len(kept) == 3
    assert kept.quality is not None
    assert kept.quality.tolist() == [1, 0, 0]


def test_a_wrong_stamp_is_no_endless_grid() -> None:
    """A series over more slots than memory would bear is refused by name."""
    wild = Batch(
        STREAM,
        0,
        ["m1"],
        np.zeros(2, np.int32),
        np.array([0, 10**14], np.int64),
        np.zeros(2, np.int32),
        np.zeros((2, 1)),
    )
    with pytest.raises(HistoryError, match=r"here: m1 spans [\d,]+ slots of 60 s, more than 20,000,000; look for a wr"):
        on_grid([wild], StreamSettings(), 60, "here")
