"""`arrival: batch`: a delivery takes effect when it has ended, by slots, whatever the order of its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.engine.machine import held_readings
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Command, Configured, Delivered, Tick
from tests.daemon.engine.machine.test_batches import Case, assert_same, cut
from tests.daemon.engine.machine.test_silence import gaps, now
from tests.daemon.engine.small_engines import STREAM, PureTrainer, Row, config, engine, feed, noise, the

NIGHT = 12
"""Slots of a delivery."""


def night(number: int, series: list[str]) -> list[Row]:
    """A delivery in the order of series."""
    return [row for name in series for row in noise(range(number * NIGHT, (number + 1) * NIGHT), name)]


def deliver(made: Engine, rows: list[Row], **how: Any) -> list[Event]:
    """Events of a whole delivery."""
    return feed(made, rows, **how) + made.step(Delivered(STREAM)).events


def quiet(**stream: Any) -> Engine:
    """An engine under `arrival: batch` whose series are in their warm-up all the time, so that only gaps are said."""
    return engine(arrival="batch", due="always", warm_up=100 * 1800, max_series=64, **stream)


def names(count: int) -> list[str]:
    """Series."""
    return [f"meter-{n:03}" for n in range(count)]


def run(case: Case, deliveries: list[list[Any]], *, reload_each: bool = False) -> tuple[list[Event], Engine]:
    """Events and engine after deliveries, each a list of batches."""
    made = Engine(PureTrainer())
    made.step(Configured(config(**case.stream, arrival="batch")))
    events: list[Event] = []
    for parts in deliveries:
        for item in (*parts, Delivered(STREAM)):
            if reload_each:
                dumped = made.dump()
                made = Engine(PureTrainer())
                made.load(dumped)
                assert made.dump() == dumped
            events += made.step(item).events
    return events, made


STREAMS = st.fixed_dictionaries(
    {
        "lateness": st.sampled_from([0, 0, 1, 4]),
        "aggregate": st.sampled_from(["none", "none", "mean", "sum", "last"]),
        "kind": st.sampled_from(["gauge", "gauge", "counter"]),
        "stamp": st.sampled_from(["start", "end"]),
        "max_series": st.sampled_from([2, 5, 16]),
        "gap_after": st.sampled_from([1, 3]),
        "retire_after": st.sampled_from([12 * 1800, 60 * 1800]),
        "format": st.sampled_from([{"value": "value"}, {"value": "value"}, {"value": ["x", "y", "z"]}]),
        "model": st.sampled_from([{"retrain_every": 0}, {"retrain_every": 12}]),
    }
)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(STREAMS, st.integers(0, 10**6), st.integers(1, 9), st.booleans(), st.lists(st.integers(1, 400), max_size=3))
def test_no_order_of_series_matters(
    stream: dict[str, Any], seed: int, series: int, folds: bool, ends: list[int]
) -> None:
    """Any deliveries, their rows by series, by time or mixed, cut anywhere: equal events and equal bytes of state."""
    case = Case(seed, stream, slots=45, series=series, folds=folds)
    deliveries = cut(case.batch(), sorted({min(end, len(case.batch())) for end in ends}))
    rng = np.random.default_rng(seed)

    def by_series(part: Any) -> Any:
        return part.part(0, len(part)), np.argsort(part.codes, kind="stable")

    def mixed(part: Any) -> Any:  # each series' own rows stay in their order
        order, ranked = rng.permutation(part.codes), np.argsort(part.codes, kind="stable")
        at = np.empty(len(part), np.int64)
        at[np.argsort(order, kind="stable")] = ranked
        return part, at

    def ordered(part: Any, at: Any) -> Any:
        return replace(
            part,
            codes=part.codes[at],
            at_ms=part.at_ms[at],
            fold_s=part.fold_s[at],
            values=part.values[at],
        )

    wanted = run(case, [[part] for part in deliveries])
    assert_same(wanted, run(case, [[ordered(*by_series(part))] for part in deliveries]))
    shuffled = [ordered(*mixed(part)) for part in deliveries]
    assert_same(wanted, run(case, [cut(part, list(range(0, len(part), 17))) for part in shuffled], reload_each=True))


def test_a_delivery_in_the_order_of_series_is_no_gap() -> None:
    """Complete series, file after file in the order of series: no gap, where `arrival: live` sees them every night."""
    series = names(12)
    batches, live = engine(arrival="batch"), engine()
    found, false = [], []
    for number in range(6):
        found += gaps(deliver(batches, night(number, series)))
        false += gaps(feed(live, night(number, series)))
    assert found == []
    assert len(false) == 10
    assert the(batches).counters.accepted == 6 * 12 * NIGHT


def test_rows_of_one_series_may_come_backwards() -> None:
    """Within a delivery the newest reading may come first; each is scored in its turn, none is late."""
    forward, backward = engine(arrival="batch"), engine(arrival="batch")
    for number in range(6):
        rows = night(number, names(3))
        assert deliver(forward, rows) == deliver(backward, rows[::-1])
    assert the(backward).counters.late == 0
    assert forward.dump() == backward.dump()


def test_what_is_missing_when_a_delivery_ends_is_silent() -> None:
    """A series that the file lacks is silent from its first missing slot on, and back with its next file."""
    made, series = quiet(), names(12)
    for number in range(3):
        assert deliver(made, night(number, series)) == []
    assert gaps(feed(made, night(3, series[1:]))) == []
    assert gaps(made.step(Delivered(STREAM)).events) == [(series[0], "open", 36, 38)]
    assert gaps(deliver(made, night(4, series))) == [(series[0], "closed", 36, 47)]


def test_a_file_in_two_pieces_is_no_silence() -> None:
    """Where more than a few are missing at once, silence waits for the next delivery, which has the rest."""
    made, series = quiet(), names(20)
    for number in range(3):
        deliver(made, night(number, series))
    assert deliver(made, night(3, series[:12])) == []
    assert gaps(deliver(made, night(3, series[13:]))) == [(series[12], "open", 36, 47)]
    assert gaps(deliver(made, night(4, series))) == [(series[12], "closed", 36, 47)]


def test_silence_of_many_is_said_one_delivery_later() -> None:
    """When the next delivery goes beyond and does not have them either, they are silent."""
    made, series = quiet(), names(20)
    for number in range(3):
        deliver(made, night(number, series))
    assert deliver(made, night(3, series[:12])) == []
    assert gaps(deliver(made, night(4, series[:12]))) == [(None, "open", 36, 47)]


def test_the_next_night_begins_where_most_of_it_is_new() -> None:
    """A third piece that reaches one slot further is still of the same night, and nobody is silent for it."""
    made, series = quiet(), names(18)
    for number in range(3):
        deliver(made, night(number, series))
    found = deliver(made, night(3, series[:6]))
    found += deliver(made, [*night(3, series[6:12]), *noise([4 * NIGHT], series[6])])
    found += deliver(made, night(3, series[12:]))
    assert gaps(found + deliver(made, night(4, series))) == []


def test_a_late_file_is_no_silence() -> None:
    """A night that comes after the one that follows it fills its slots and raises nothing."""
    made, series = quiet(model={"window": 24}), names(12)
    for number in (0, 1, 2, 3, 5, 4, 6):
        assert gaps(deliver(made, night(number, series))) == []
    assert the(made).counters.late == 12 * NIGHT


def test_a_repeated_file_changes_nothing_but_its_count() -> None:
    """The same file again is counted, raises nothing and moves nothing."""
    made, series = engine(arrival="batch"), names(6)
    for number in range(4):
        deliver(made, night(number, series))
    before = the(made).table.arrays.ring.copy()
    assert deliver(made, night(3, series)) == []
    assert (the(made).table.arrays.ring == before).all()
    counters = the(made).counters
    assert counters.repeated + sum(counters.rejected.values()) == 6 * NIGHT


def test_a_delivery_larger_than_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken up in pieces, however it is cut into batches, and no slot is complete before it has ended."""
    series = names(12)
    monkeypatch.setattr(held_readings, "MOST_NUMBERS", 4 * 50)
    found = []
    for size in (7, 1000):
        made, events = engine(arrival="batch"), []
        for number in range(6):
            rows = night(number, series[1:] if number == 4 else series)
            for start in range(0, len(rows), size):
                events += feed(made, rows[start : start + size])
                assert len(the(made).held) <= 50
            events += made.step(Delivered(STREAM)).events
        assert gaps(events) == [(series[0], "open", 48, 50), (series[0], "closed", 48, 59)]
        assert the(made).counters.accepted == (6 * 12 - 1) * NIGHT
        found.append([event.to_json() for event in events])
    assert found[0] == found[1]


def test_the_wall_clock_does_not_move_the_watermark() -> None:
    """Between deliveries nobody is silent, however late the next one is."""
    made = engine(arrival="batch", clock="wall")
    deliver(made, night(0, names(3)), received_at_ms=now(NIGHT))
    assert made.step(Tick(now(1000))).events == []


def test_going_over_to_live_takes_up_what_is_held() -> None:
    """A reload in mid-delivery loses nothing; nor does a `warm_up` command."""
    made, series = engine(arrival="batch"), names(3)
    feed(made, night(0, series))
    made.step(Configured(config()))
    feed(made, noise([NIGHT], series[0]))
    assert the(made).counters.accepted == 3 * NIGHT + 1
    other = quiet()
    feed(other, night(0, series) + night(1, series))
    assert other.step(Command("warm_up", STREAM)).joined == 3


def test_an_end_without_a_delivery_is_nothing() -> None:
    """Nothing has come, or all of it is taken up."""
    made = engine(arrival="batch")
    before = made.dump()
    assert made.step(Delivered(STREAM)).events == []
    assert made.dump() == before
    live = engine()
    feed(live, noise(range(5)))
    before = live.dump()
    assert live.step(Delivered(STREAM)).events == []
    assert live.dump() == before


def test_the_limit_of_series_goes_by_names() -> None:
    """Readings that the table has no room for are rejected in the order of slots and names, not of rows."""
    made = engine(arrival="batch", max_series=2)
    deliver(made, night(0, ["c", "b", "a"]))
    assert sorted(the(made).table.row_of) == ["a", "b"]
    assert the(made).counters.rejected["series_limit"] == NIGHT
