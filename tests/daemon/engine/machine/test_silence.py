"""Missing is not normal: gaps of one series and of many, by the stream's slots and by the wall clock."""

from __future__ import annotations

import pytest

from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Tick
from tests.daemon.engine.small_engines import FIRST, INTERVAL, engine, feed, noise, row_of, the, together

NAMES = [f"series-{n:02}" for n in range(30)]


def at(slot: int) -> int:
    """Start of a slot, epoch seconds."""
    return (FIRST + slot) * INTERVAL


def now(slot: int) -> int:
    """Wall clock a second into a slot, epoch milliseconds."""
    return at(slot) * 1000 + 1000


def gaps(events: list[Event]) -> list[tuple[str | None, str, int, int]]:
    """Series, state, start and end in slots of the gap events."""
    return [
        (e.series, e.state, e.started_at // INTERVAL - FIRST, e.ended_at // INTERVAL - FIRST)
        for e in events
        if e.reasons == ("gap",)
    ]


def test_a_series_that_stops_reporting_is_an_event() -> None:
    """After `gap_after` closed slots without a reading a gap opens; the next reading closes it at its last slot."""
    made = engine(gap_after=3)
    rows = together(noise([*range(10), *range(20, 25)], "a"), noise(range(25), "b"))
    assert gaps(feed(made, rows)) == [("a", "open", 10, 12), ("a", "closed", 10, 19)]
    assert row_of(made, "a")["anomalies"][4] == 1
    assert the(made).silence.total == 1


def test_a_gap_keeps_its_id_and_counts_its_revisions() -> None:
    """Opening and closing are revisions 0 and 1 of one event, and only the first notifies."""
    events = feed(engine(), together(noise([*range(10), *range(20, 25)], "a"), noise(range(25), "b")))
    assert [(e.revision, e.notify) for e in events if e.reasons == ("gap",)] == [(0, True), (1, False)]
    assert len({e.id for e in events if e.reasons == ("gap",)}) == 1


def test_a_series_is_watched_after_a_window_of_readings() -> None:
    """A series that reported fewer times than a window has slots and never again is no gap; with one more it is."""
    for readings, silent in ((7, []), (8, [("a", "open", 8, 10)])):
        made = engine()
        assert gaps(feed(made, together(noise(range(readings), "a"), noise(range(30), "b")))) == silent


def test_lateness_delays_the_gap() -> None:
    """With `lateness: 2` a slot counts as missing two slots later."""
    rows = together(noise(range(10), "a"), noise(range(30), "b"))
    noticed = []
    for lateness in (0, 2):
        made = engine(lateness=lateness)
        noticed += [slot for slot in range(30) if gaps(feed(made, [row for row in rows if row[1] == slot]))]
    assert noticed == [13, 15]


def test_many_silent_series_are_one_event() -> None:
    """Series that fall silent at one slot are one stream event, closed when the last of them is back."""
    made = engine(max_series=64)
    rows = together(*(noise(range(10), name) for name in NAMES[:6]), noise(range(30), "other"))
    events = feed(made, rows)
    assert gaps(events) == [(None, "open", 10, 12)]
    assert events[0].members == {"count": 6, "series": NAMES[:6]}
    for name in NAMES[:5]:
        assert gaps(feed(made, noise([30], name))) == []
    assert gaps(feed(made, noise([31], NAMES[5]))) == [(None, "closed", 10, 30)]


def test_few_of_many_are_single_gaps() -> None:
    """Five silent series of thirty-one are less than a fifth: five events, by row."""
    made = engine(max_series=64)
    rows = together(*(noise(range(10 if n < 5 else 14), name) for n, name in enumerate(NAMES)))
    assert gaps(feed(made, together(rows, noise(range(14), "other")))) == [(name, "open", 10, 12) for name in NAMES[:5]]


@pytest.mark.parametrize("size", [1, 10_000])
def test_a_group_is_a_share_of_the_series_known_by_then(size: int) -> None:
    """Five of twenty-five fall silent: a group, even where further series appear later in the same batch."""
    made = engine(max_series=64)
    rows = together(*(noise(range(10 if n < 5 else 14), name) for n, name in enumerate(NAMES[:25])))
    rows += [row for n in range(20) for row in noise([13], f"new-{n}")]
    events = [e for start in range(0, len(rows), size) for e in feed(made, rows[start : start + size])]
    assert gaps(events) == [(None, "open", 10, 12)]


def test_the_wall_clock_notices_silence_without_data() -> None:
    """Under `clock: wall` a tick opens the gap; a second tick says nothing new."""
    made = engine(clock="wall")
    assert feed(made, noise(range(10)), received_at_ms=now(10)) == []
    assert made.step(Tick(now(12))).events == []
    assert gaps(made.step(Tick(now(13))).events) == [("a", "open", 10, 12)]
    assert made.step(Tick(now(20))).events == []
    assert gaps(feed(made, noise([20]), received_at_ms=now(20))) == [("a", "closed", 10, 19)]


def test_the_event_clock_does_not_notice() -> None:
    """Under `clock: event` a tick is nothing; a lone series' gap is said when it reports again."""
    made = engine()
    feed(made, noise(range(10)))
    before = made.dump()
    assert made.step(Tick(now(1000))).events == []
    assert made.dump() == before
    assert gaps(feed(made, noise([30]))) == [("a", "open", 10, 29), ("a", "closed", 10, 29)]


def test_a_tick_before_any_reading_changes_nothing() -> None:
    """A stream without readings has no silent series."""
    made = engine(clock="wall")
    before = made.dump()
    assert made.step(Tick(now(1000))).events == []
    assert made.dump() == before


def test_series_that_return_from_the_past_fall_silent_again() -> None:
    """Readings of a backlog end a group gap in part; further ticks at the same slot make a second group, not a mix."""
    made = engine(clock="wall")
    names = NAMES[:8]
    feed(made, together(*(noise(range(10), name) for name in names)), received_at_ms=now(10))
    assert gaps(made.step(Tick(now(20))).events) == [(None, "open", 10, 19)]
    assert feed(made, together(*(noise([12], name) for name in names[:6])), received_at_ms=now(20)) == []
    assert gaps(made.step(Tick(now(20))).events) == [(None, "open", 13, 19)]
    back = feed(made, together(*(noise([20], name) for name in names)), received_at_ms=now(20))
    assert sorted(gaps(back)) == [(None, "closed", 10, 19), (None, "closed", 13, 19)]
