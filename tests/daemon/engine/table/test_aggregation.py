"""Several readings make one slot: `aggregate: mean|sum|last`."""

from __future__ import annotations

import pytest

from daemon.engine.messages.inputs import Command
from tests.daemon.engine.small_engines import FIRST, STREAM, Row, engine, feed, noise, row_of, the


@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_slot_that_was_passed_on_is_not_collected_again(one_by_one: bool) -> None:
    """A reading for a slot that another series' reading has closed is too old, in the same batch or a later one."""
    made = engine(aggregate="mean")
    rows: list[Row] = [("a", 5, 1.0), ("b", 6, 1.0), ("a", 5, 3.0), ("a", 7, 1.0)]
    for part in [[row] for row in rows] if one_by_one else [rows]:
        feed(made, part)
    assert the(made).counters.rejected == {"too_old": 1}
    assert the(made).counters.accepted == 3


def test_the_warm_up_command_says_what_its_readings_cause() -> None:
    """Slots that `warm_up` passes on before their time are decided on like any other, events included."""
    made = engine(aggregate="last", alerts={"limits": {"max": 100}})
    assert feed(made, [("a", 0, 1.0), ("a", 1, 200.0)]) == []
    events = made.step(Command("warm_up", STREAM)).events
    assert [(event.reasons, event.state) for event in events] == [(("limit",), "open")]


@pytest.mark.parametrize(("mode", "value"), [("mean", 4.0), ("sum", 12.0), ("last", 5.0)])
def test_readings_of_a_slot_are_combined(mode: str, value: float) -> None:
    """The slot's value is the mean, the sum or the last of its readings, allotted once the slot is closed."""
    made = engine(aggregate=mode)
    feed(made, [("a", 0, 3.0), ("a", 0, 4.0), ("a", 0, 5.0)])
    assert row_of(made, "a")["readings"] == 0
    feed(made, [("a", 1, 7.0)])
    assert row_of(made, "a")["readings"] == 1
    assert the(made).table.arrays.value[0, 0] == value
    assert the(made).counters.accepted == 4


def test_a_combined_slot_waits_for_late_readings() -> None:
    """With `lateness: 2` a slot takes readings until the stream is two slots on, unless its series is on already."""
    made = engine(aggregate="sum", lateness=2)
    feed(made, [("a", 0, 3.0), ("b", 2, 1.0), ("a", 0, 4.0), ("b", 3, 1.0)])
    assert the(made).table.arrays.value[0, 0] == 7.0
    feed(made, [("a", 0, 5.0)])
    assert the(made).counters.rejected == {"too_old": 1}


def test_an_earlier_slot_is_filled_by_its_first_reading() -> None:
    """A reading before the slot being collected, but after the last one allotted, makes its slot alone."""
    made = engine(aggregate="sum", lateness=5)
    feed(made, [("a", 0, 1.0), ("a", 3, 1.0), ("a", 2, 4.0), ("a", 2, 5.0)])
    assert the(made).counters.accepted == 3
    assert the(made).counters.rejected == {"too_old": 1}


@pytest.mark.parametrize("one_by_one", [False, True])
def test_both_passes_of_a_repeated_hour_are_combined(one_by_one: bool) -> None:
    """Where a local hour repeats, readings for a slot that was passed on belong to the second pass."""
    made = engine(aggregate="sum")
    hour = [("a", slot, value, 3600) for slot in (10, 11) for value in (1.0, 2.0)]
    rows: list[Row] = [("a", 9, 1.0), *hour, *hour, ("a", 14, 1.0)]
    for part in [[row] for row in rows] if one_by_one else [rows]:
        feed(made, part)
    assert the(made).counters.rejected == {}
    assert row_of(made, "a")["readings"] == 5
    history = the(made).table.arrays.history[0, :, 0]
    assert [history[(FIRST + slot) % 16] for slot in range(9, 14)] == [1.0, 3.0, 3.0, 3.0, 3.0]


@pytest.mark.parametrize("cut", [0, 1, 20])
def test_a_series_being_collected_joins_on_time(cut: int) -> None:
    """A batch that begins with a first slot still open looks at the warm-up's end as any other does."""
    made = engine(aggregate="mean")
    feed(made, noise(range(cut)))
    feed(made, noise(range(cut, 24)))
    assert the(made).learner.serving.promoted_slot == FIRST + 19
