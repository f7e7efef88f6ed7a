"""A stamp far beyond what a stream has seen moves nothing until others say the same, or it goes on."""

from __future__ import annotations

from itertools import chain

import pytest

from daemon.engine.machine.corroboration import CONTINUED, GOES_ON
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from tests.daemon.engine.small_engines import (
    FIRST,
    INTERVAL,
    PureTrainer,
    Row,
    batch,
    engine,
    feed,
    noise,
    the,
    together,
)

FAR = (7_226_582_400 // INTERVAL) - FIRST
"""Slot of 2199-01-01, counted from `FIRST`."""
METERS = ["a", "b", "c", "d"]
TRAINED = {"model": {"retrain_every": 12, "apply_after": 4}, "retire_after": 40 * INTERVAL}


def meters(slots: range, *names: str) -> list[Row]:
    """Readings of all meters, slot by slot."""
    return together(*(noise(slots, name) for name in names or METERS))


def events_of(rows: list[Row], size: int = 10**6, **stream: object) -> tuple[list[Event], Engine]:
    """Events and engine after rows in batches of a size, with a dump and a load between each two."""
    made, events, trainer = engine(PureTrainer(), **(TRAINED | stream)), [], PureTrainer()
    for at in range(0, len(rows), size):
        events += feed(made, rows[at : at + size])
        if size < 10**6:
            dumped = made.dump()
            made = Engine(trainer)
            made.load(dumped)
    return events, made


BAD: dict[str, list[Row]] = {
    "one line of a known series": [("b", FAR, 1.0)],
    "one line of a new series": [("x", FAR, 1.0)],
    "a known series again and again": [("b", FAR + k, 1.0) for k in range(20)],
    "the same line again and again": [("b", FAR, 1.0)] * 300,
    "a hundred new series": [(f"x{k}", FAR, 1.0) for k in range(100)],
    "two bad senders that agree": [(name, FAR + k, 1.0) for k in range(10) for name in "ab"],
    "two years ahead": [("b", 48 * 730, 1.0)],
    "a month ahead": [("b", 48 * 30 + k, 1.0) for k in range(5)],
    "far back": [("b", -FIRST, 1.0), ("x", -FIRST, 1.0)],
}


@pytest.mark.parametrize("aggregate", ["none", "mean"])
@pytest.mark.parametrize("kind", BAD)
def test_bad_stamps_move_nothing(kind: str, aggregate: str) -> None:
    """The others' events, trainings and series are those of a stream that never saw the bad lines; they are counted."""
    good, rest = meters(range(60)), meters(range(60, 120))
    wanted, clean = events_of(good + rest, aggregate=aggregate)
    found, spoiled = events_of(good + BAD[kind] + rest, aggregate=aggregate)
    ours = [event.to_json() for event in found if event.series != "x"]
    assert ours == [event.to_json() for event in wanted]
    assert the(spoiled).schedule.greatest == the(clean).schedule.greatest == FIRST + 119
    assert the(spoiled).learner.outcomes == the(clean).learner.outcomes
    assert the(spoiled).counters.retired <= 1, "of the series far back alone"
    counters = the(spoiled).counters
    assert counters.accepted + sum(counters.rejected.values()) == len(good + rest + BAD[kind])
    assert set(counters.rejected) <= {"future", "too_old"}
    assert counters.accepted <= len(good + rest) + 1


@pytest.mark.parametrize("kind", BAD)
def test_no_cut_matters(kind: str) -> None:
    """Bad stamps in batches of any size, with dumps between them, give equal events and equal bytes."""
    rows = [row for pair in zip(meters(range(60)), BAD[kind] + BAD[kind] * 60, strict=False) for row in pair]
    rows += meters(range(60, 80))
    wanted, whole = events_of(rows)
    for size in (1, 7) if len(rows) < 500 else (13,):
        found, cut = events_of(rows, size)
        assert [event.to_json() for event in found] == [event.to_json() for event in wanted]
        assert cut.dump() == whole.dump()


def test_a_batch_of_bad_stamps_among_good_ones() -> None:
    """A bad sender between the others' readings, in one chunk, silences nobody."""
    rows = list(chain.from_iterable((row, ("b", FAR + k, 1.0)) for k, row in enumerate(meters(range(30)))))
    made = engine()
    assert not [event for event in feed(made, rows) if "gap" in event.reasons]
    assert the(made).schedule.greatest == FIRST + 29


def test_a_little_ahead_silences_nobody() -> None:
    """Under the wall clock a series six slots ahead of all others, from the start on, makes none of them silent."""
    for first in ("x", "a"):
        made, events = engine(clock="wall", interval=600, warm_up=16 * 600, max_series=16), []
        for k in range(60):
            rows = [("x", k + 6, 1.0), *((name, k, 1.0) for name in METERS)]
            rows = rows if first == "x" else rows[::-1]
            part = batch(rows, interval=600, received_at_ms=(FIRST + k + 1) * 600_000)
            events += made.step(part).events
        assert not [event for event in events if "gap" in event.reasons]
        assert the(made).counters.rejected == {}, "they are no more than an hour ahead"
        assert len(the(made).table) == 5


def test_others_corroborate() -> None:
    """After a month without readings the stream goes on once three known series say so."""
    made = engine()
    feed(made, meters(range(30)))
    feed(made, [("a", 2000, 1.0), ("b", 2000, 1.0)])
    assert the(made).schedule.greatest == FIRST + 29
    feed(made, [("c", 2000, 1.0), ("d", 2000, 1.0)])
    assert the(made).schedule.greatest == FIRST + 2000
    assert the(made).counters.rejected == {"future": 2}


def test_a_claim_that_was_overtaken_takes_nothing_back() -> None:
    """Two meters leap, the others pass where they were, one of those leaps further: the stream never goes backwards."""
    made = engine()
    feed(made, meters(range(40)))
    reached = []
    for row in [("a", 50, 1.0), ("c", 50, 1.0), *meters(range(40, 71), "b", "d"), ("d", 80, 1.0)]:
        feed(made, [row])
        reached.append(the(made).schedule.greatest)
    assert reached == sorted(reached)
    assert max(reached) == FIRST + 70


def test_two_series_corroborate_each_other() -> None:
    """Of two series both must say so."""
    made = engine()
    feed(made, meters(range(30), "a", "b"))
    feed(made, [("a", 2000 + k, 1.0) for k in range(10)])
    assert the(made).schedule.greatest == FIRST + 29
    feed(made, [("b", 2010, 1.0)])
    assert the(made).schedule.greatest == FIRST + 2010


def test_a_lone_series_corroborates_itself() -> None:
    """The only series of a stream goes on after a year when three slots in a row say so; two do not."""
    made = engine()
    feed(made, noise(range(30)))
    feed(made, noise(range(20_000, 20_000 + GOES_ON - 1)))
    assert the(made).schedule.greatest == FIRST + 29
    feed(made, noise(range(20_000 + GOES_ON - 1, 20_010)))
    assert the(made).schedule.greatest == FIRST + 20_009
    assert the(made).counters.rejected == {"future": GOES_ON - 1}


def test_the_last_series_of_many_corroborates_itself_in_the_end() -> None:
    """One of four goes on alone, far ahead: it is believed when the others have said nothing for long."""
    made = engine()
    feed(made, meters(range(30)))
    feed(made, noise(range(2000, 2000 + CONTINUED - 1)))
    assert the(made).schedule.greatest == FIRST + 29
    feed(made, noise(range(2000 + CONTINUED - 1, 2300)))
    assert the(made).schedule.greatest == FIRST + 2299


@pytest.mark.parametrize("rows", [[("x", FAR, 1.0)], [("a", FAR, 1.0)], [("x", FAR, 1.0), ("x", FAR, 1.0)]])
def test_a_first_reading_of_the_future(rows: list[Row]) -> None:
    """The stream begins where the first two readings agree; what came before them is of the future, not its past."""
    made = engine()
    good = meters(range(40))
    feed(made, rows + good)
    alone = engine()
    feed(alone, good)
    assert the(made).schedule.greatest == FIRST + 39
    assert sorted(the(made).table.row_of) == METERS
    counters = the(made).counters
    assert counters.accepted + counters.repeated + sum(counters.rejected.values()) == len(rows) + len(good)
    assert counters.accepted == the(alone).counters.accepted - 1, "the first of two that agree is not believed yet"


def test_claims_are_bounded() -> None:
    """Thousands of stamps, each somewhere else, leave a state no larger than a few."""
    made = engine()
    feed(made, meters(range(30)))
    rows: list[Row] = [(f"x{k}", FAR + 10_000 * k, 1.0) for k in range(1000)]
    feed(made, rows[:50])
    size = len(made.dump())
    feed(made, rows)
    assert len(made.dump()) < size + 200
    assert len(the(made).table) == 4
