"""Maintenance: in a window nobody is told, what lasts is told at its end, and what is not to be learned never is."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Configured, Tick
from daemon.metrics.snapshot import snapshots
from tests.daemon.engine.machine.test_silence import now
from tests.daemon.engine.small_engines import FIRST, INTERVAL, config, engine, feed, noise, row_of, the, together

LIMITED = {"limits": {"max": 100}, "refractory": "0s"}
NIGHT = {"start": "2000-01-01T10:00", "end": "2000-01-01T15:00"}
"""Slots 20 to 29."""


def told(events: list[Event]) -> list[tuple[int, str, bool, bool]]:
    """Slot, state, whether somebody is told, and whether it is in maintenance, of each revision."""
    return [(e.at // INTERVAL - FIRST, e.state, e.notify, e.maintenance) for e in events]


def limited(window: dict[str, Any] | None = None, **more: Any) -> Engine:
    """An engine with a limit, and a window."""
    return engine(maintenance=[NIGHT if window is None else window], alerts=LIMITED, **more)


def odd(*slots: int, value: float = 500.0) -> dict[int, float]:
    return dict.fromkeys(slots, value)


def rows(slots: range, values: dict[int, float], series: str = "a") -> list[tuple[str, int, float]]:
    return [(series, slot, values.get(slot, 10.0 + slot % 7)) for slot in slots]


def test_nobody_is_told_and_all_is_recorded() -> None:
    """An episode within a window has all its revisions, marked, and wakes nobody; the next one outside does."""
    events = feed(limited(), rows(range(40), odd(22, 23, 33)))
    assert told(events) == [
        (22, "open", False, True),
        (26, "closed", False, True),
        (33, "open", True, False),
        (36, "closed", False, False),
    ]
    assert not any(e.notified for e in events[:2])


def test_a_window_for_all_streams_is_journaled_with_them() -> None:
    """It is part of what the state depends on: a reload adds it, another takes it away, and a replay has both."""
    made = engine(alerts=LIMITED)
    given = config(alerts=LIMITED)
    events = feed(made, rows(range(20), {}))
    made.step(Configured(given | {"maintenance": [NIGHT]}))
    assert made.config["maintenance"][0]["start"] == NIGHT["start"]
    events += feed(made, rows(range(20, 27), odd(22)))
    made.step(Configured(given))
    events += feed(made, rows(range(27, 32), odd(28)))
    assert "maintenance" not in made.config
    assert [(e.at // INTERVAL - FIRST, e.notify) for e in events if e.state == "open"] == [(22, False), (28, True)]


def test_what_was_hushed_starts_no_refractory_time() -> None:
    """Nobody was told in the window, so what comes after it is told at once."""
    made = engine(maintenance=[NIGHT], alerts=LIMITED | {"refractory": "1d"})
    assert [e.notify for e in feed(made, rows(range(40), odd(28, 34))) if e.state == "open"] == [False, True]


def test_what_lasts_is_told_when_the_window_is_over() -> None:
    """An episode that began in the window and goes on is told with its first odd reading after it, once."""
    events = feed(limited(), rows(range(40), odd(*range(25, 35))))
    assert told(events) == [(25, "open", False, True), (30, "open", True, False), (37, "closed", False, False)]
    assert len({e.id for e in events}) == 1 and [e.revision for e in events] == [0, 1, 2]


def test_an_episode_from_before_stays_told() -> None:
    """One that was told before the window is not told again in it, nor after it."""
    events = feed(limited(), rows(range(40), odd(*range(15, 35))))
    assert [e.notify for e in events] == [True, *[False] * (len(events) - 1)]


def test_a_silence_is_told_when_the_window_is_over() -> None:
    """A gap of the window that goes on is told at its end; one that ended in it is not."""
    made = limited({**NIGHT, "series": "a"}, gap_after=3)
    silent = [row for row in noise(range(40), "a") if not 21 <= row[1] < 35]
    short = [row for row in noise(range(40), "b") if not 21 <= row[1] < 25]
    events = [e for e in feed(made, together(silent, short, noise(range(40), "c"))) if e.reasons == ("gap",)]
    assert [(e.series, *told([e])[0]) for e in events] == [
        ("a", 23, "open", False, True),
        ("b", 23, "open", True, False),
        ("b", 24, "closed", False, False),
        ("a", 30, "open", True, False),
        ("a", 34, "closed", False, False),
    ]
    back = [row for row in noise(range(40), "a") if not 21 <= row[1] < 26]
    events = [e for e in feed(limited(gap_after=3), together(back, noise(range(40), "b"))) if e.reasons == ("gap",)]
    assert [e.notify for e in events] == [False, False]


def test_a_silence_of_many_is_told_when_it_is_over_for_the_first() -> None:
    """One event of the stream, hushed while all of its series are in a window."""
    made = limited(gap_after=3)
    names = [f"s{n}" for n in range(6)]
    silent = [[row for row in noise(range(40), name) if row[1] < 21] for name in names]
    events = [e for e in feed(made, together(*silent, noise(range(40), "b"))) if e.reasons == ("gap",)]
    assert [(e.series, e.notify, e.maintenance) for e in events] == [(None, False, True), (None, True, False)]


def test_a_silence_of_many_that_is_told_is_no_maintenance() -> None:
    """What the metrics say of its series is what was done: nobody told in the window, somebody after it and without."""
    silent = together(*(noise(range(40 if n > 5 else 21), f"s{n}") for n in range(7)))
    for made, during in ((limited(gap_after=3), True), (engine(gap_after=3, clock="event"), False)):
        feed(made, [row for row in silent if row[1] < 25])
        (before,) = snapshots(made, (), lambda stream: None).values()
        assert before.series.hushed[:6].tolist() == [during] * 6
        feed(made, [row for row in silent if row[1] >= 25])
        (after,) = snapshots(made, (), lambda stream: None).values()
        assert not after.series.hushed[:6].any()


def test_a_silent_stream_is_told_by_the_wall_clock() -> None:
    """Where nothing comes at all, the tick after the window tells what is still silent; the next one does not again."""
    made = engine(maintenance=[NIGHT], gap_after=3, clock="wall")
    feed(made, noise(range(21), "a"), received_at_ms=now(21))
    events = [told(made.step(Tick(now(slot))).events) for slot in (25, 28, 31, 32)]
    assert events == [[(24, "open", False, True)], [], [(30, "open", True, False)], []]


def test_only_the_series_that_are_meant() -> None:
    """A window is for the series that its pattern fits, and for those that come later, too."""
    made = limited({**NIGHT, "series": "pump-*"})
    events = feed(made, together(rows(range(40), odd(22), "pump-1"), rows(range(40), odd(22), "tank")))
    assert [(e.series, e.notify) for e in events if e.state == "open"] == [("pump-1", False), ("tank", True)]


def test_readings_that_are_not_to_be_learned_never_are() -> None:
    """They fill their slots: no gap, no event, and series and networks are as if nobody had measured there.

    What the odd readings were makes no difference to anything that follows.
    """
    states = []
    for value in (500.0, 50.0):
        made = limited({**NIGHT, "learn": False}, gap_after=3)
        events = feed(made, rows(range(60), odd(*range(22, 29), value=value)))
        assert [e for e in events if e.at < (FIRST + 30) * INTERVAL] == []
        states.append((made.dump(), [e.to_json() for e in events]))
        assert the(made).counters.accepted == 60 and not any(the(made).counters.guessed.values())
    assert states[0] == states[1]
    learned = limited(gap_after=3)
    feed(learned, rows(range(60), odd(*range(22, 29))))
    assert row_of(learned, "a")["anomalies"].sum() > 0 and learned.dump() != states[0][0]


@pytest.mark.parametrize("aggregate", ["none", "mean"])
def test_nothing_of_the_window_is_trained_on(aggregate: str) -> None:
    """No window for training holds a reading of it, nor does the range know its values, aggregated or not."""
    made = engine(maintenance=[{**NIGHT, "learn": False}], aggregate=aggregate)
    feed(made, rows(range(80), odd(*range(20, 30), value=77.0)))
    table = the(made).table
    assert float(table.arrays.high[table.row_of["a"], 0]) < 20
    assert float(the(made).reservoir.x.max()) < 3


def test_windows_that_follow_one_another_are_one() -> None:
    """A gap that was noticed in the first is told at the end of the last."""
    first, second = dict(NIGHT), {"start": "2000-01-01T14:00", "end": "2000-01-01T17:00"}
    made = engine(maintenance=[first, second], gap_after=3)
    silent = [row for row in noise(range(50), "a") if row[1] < 21]
    events = [e for e in feed(made, together(silent, noise(range(50), "b"))) if e.reasons == ("gap",)]
    assert told(events) == [(23, "open", False, True), (34, "open", True, False)]
