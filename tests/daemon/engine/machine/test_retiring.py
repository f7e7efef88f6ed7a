"""Series that are silent for `retire_after` are forgotten, their rows used again, their episodes closed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.daemon.engine.small_engines import INTERVAL, Row, engine, feed, noise, row_of, the, together

AFTER: dict[str, Any] = {"retire_after": 12 * INTERVAL, "max_series": 2}
LIMITED: dict[str, Any] = {"alerts": {"limits": {"max": 100}}}


def test_a_retired_series_frees_its_row() -> None:
    """In a full table a new series takes the row of one that was forgotten, as if it had never been used."""
    made = engine(**AFTER)
    feed(made, together(noise(range(70), "a"), noise(range(5), "b")))
    assert the(made).counters.retired == 1
    row = the(made).table.row_of["a"]
    feed(made, noise([70], "c"))
    assert the(made).table.row_of == {"a": row, "c": 1 - row}
    assert row_of(made, "c")["readings"] == 1
    assert the(made).counters.rejected == {}


def test_a_retired_series_closes_its_episode_and_its_gap() -> None:
    """Nothing stays open for a series that is forgotten, and its anomalies stay counted."""
    made = engine(**AFTER, **LIMITED)
    rows: list[Row] = [("b", slot, 200.0) for slot in range(9)]
    events = feed(made, together(noise(range(70), "a"), rows))
    mine = [(event.reasons, event.state) for event in events if event.series == "b"]
    assert mine == [(("limit",), "open"), (("gap",), "open"), (("gap",), "closed"), (("limit",), "closed")]
    assert the(made).counters.retired_anomalies[2] == 9
    assert the(made).counters.retired_anomalies[4] == 1


@pytest.mark.parametrize("size", [1, 1000])
def test_the_first_series_to_retire_is_noticed_in_any_batch(size: int) -> None:
    """`retire_after` below the warm-up holds from the first batch on, however large."""
    made = engine(retire_after=4 * INTERVAL, warm_up=100 * INTERVAL)
    rows = together(noise([0], "b"), noise(range(52), "a"))
    for start in range(0, len(rows), size):
        feed(made, rows[start : start + size])
    assert the(made).counters.retired == 1


def test_a_series_whose_first_slot_is_being_collected_is_not_retired() -> None:
    """Under `aggregate` and `lateness` a reading that was accepted is allotted, though retiring comes before."""
    made = engine(**AFTER, aggregate="mean", lateness=3)
    feed(made, together(noise(range(63), "a"), noise([62], "b")))
    for slot in range(63, 68):
        feed(made, noise([slot], "a"))
    assert the(made).counters.retired == 0
    assert row_of(made, "b")["readings"] == 1
