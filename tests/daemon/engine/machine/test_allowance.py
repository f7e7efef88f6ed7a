"""The budget of a stream: at most so many alarms a day are told, the worst first; the rest is recorded as withheld."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.engine.machine.allowance import Allowance
from daemon.engine.machine.engine import Engine
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.events import Event, State, event_id
from daemon.engine.messages.inputs import Configured
from tests.daemon.engine.small_engines import FIRST, INTERVAL, STREAM, config, engine, feed, noise, the, together

DAY = 48
NAMES = [f"s{n:02}" for n in range(12)]
THRESHOLD = 3.0


def fleet(most: int = 4, **more: Any) -> Engine:
    """An engine of twelve series that have joined, with a budget of so many alarms a day, and no alarm so far.

    By the budget of a series, one a day, chance begins some twelve a day.
    """
    alerts = {"alarms_per_day": most, "refractory": "1d", "false_alarms_per_month": 30} | more.pop("alerts", {})
    made = engine(alerts=alerts, **more)
    feed(made, together(*(noise(range(40), name) for name in NAMES)))
    s = the(made)
    s.episodes.open.clear()
    s.allowance.restore(Allowance(s.table, s.maintenance, s.episodes, s.silence, s.meters).state())
    return made


def waiting(stream: Stream, series: str, excess: float, slot: int, *reasons: str) -> None:
    """An open episode of a series that is to be told, so many decades beyond its threshold."""
    rarity, at = THRESHOLD + excess, (FIRST + slot) * INTERVAL
    state: State = "open"
    named = reasons or ("model",)
    told: dict[str, Any] = {"notify": False, "notified": False, "withheld": True}
    numbers: dict[str, Any] = {
        "score": rarity / THRESHOLD,
        "rarity": rarity,
        "threshold": THRESHOLD,
        "reconstruction_error": 0.1,
    }
    none: dict[str, Any] = dict.fromkeys(("value", "expected", "lower", "upper"))
    id_ = event_id(STREAM, series, "episode", at)
    event = Event(id_, 0, STREAM, series, state, named, at, at, at, **told, **numbers, **none)
    stream.episodes.open[stream.table.row_of[series]] = event


def told(stream: Stream, slot: int) -> list[str]:
    """Series of what is told when a slot is closed."""
    return [str(event.series) for event in stream.allowance.close(FIRST + slot)]


def limited(rows_at: dict[str, range], slots: range) -> list[tuple[str, int, float]]:
    """Readings of all series, beyond the limit at some slots of some."""
    odd = {(name, slot) for name, at in rows_at.items() for slot in at}
    return [(n, s, 500.0 if (n, s) in odd else 10.0 + s % 7) for s in slots for n in NAMES]


def test_an_alarm_waits_for_the_end_of_its_slot() -> None:
    """It opens untold, and is told by the next revision when the slot is closed; its end says that it was."""
    made = engine(alerts={"alarms_per_day": 4, "limits": {"max": 100}})
    events = feed(made, limited({"s03": range(20, 22)}, range(30)))
    said = [(e.revision, e.state, e.at // INTERVAL - FIRST, e.notify, e.notified, e.withheld) for e in events]
    assert said == [
        (0, "open", 20, False, False, True),
        (1, "open", 20, True, True, False),
        (2, "closed", 24, False, True, False),
    ]
    assert (the(made).allowance.told, the(made).allowance.withheld) == (1, 0)


def test_many_at_once_leave_room_for_what_comes_later() -> None:
    """A slot takes half of what the day has left; the day never has more than its budget, and the rest stays open."""
    made = engine(alerts={"alarms_per_day": 4, "limits": {"max": 100}})
    events = feed(made, limited({name: range(20, 90) for name in NAMES}, range(90)))
    at = [e.at // INTERVAL - FIRST for e in events if e.notify]
    assert at == [20, 20, 21, 22, 68, 69, 70, 71], "and when a day has passed, the next of those that are open still"
    assert (the(made).allowance.told, the(made).allowance.withheld) == (8, 10)
    assert sum(e.revision == 0 for e in events) == 12


def test_the_order_of_readings_within_a_slot_does_not_matter() -> None:
    """Whoever reports first is not told first: the same alarms are told in the same order."""
    rng, found = np.random.default_rng(0), []
    for turn in range(3):
        names = NAMES if not turn else [NAMES[i] for i in rng.permutation(len(NAMES))]
        made = engine(alerts={"alarms_per_day": 4, "limits": {"max": 100}})
        rows = limited({name: range(20, 30) for name in NAMES[:7]}, range(40))
        rows.sort(key=lambda row, names=names: (row[1], names.index(row[0])))  # type: ignore[misc]
        found.append([(e.series, e.at) for e in feed(made, rows) if e.notify])
    assert len(found[0]) == 4 and found[0] == found[1] == found[2]


def test_the_rarest_are_told_first() -> None:
    """Of alarms that chance may have raised, those furthest beyond their threshold."""
    stream = the(fleet())
    for name, excess in zip(NAMES, (5.0, 9.0, 7.0, 11.0, 6.0), strict=False):
        waiting(stream, name, excess, 39)
    assert told(stream, 39) == ["s03", "s01"]
    assert told(stream, 40) == ["s02"]


def test_what_chance_alone_explains_is_withheld_and_told_once_it_grew() -> None:
    """At its threshold an alarm is as common as the budget of a series says; when it is far rarer, it is told."""
    stream = the(fleet(most=1))
    waiting(stream, "s00", 0.0, 39)
    assert (told(stream, 39), told(stream, 40)) == ([], [])
    assert (stream.allowance.told, stream.allowance.withheld) == (0, 1)
    waiting(stream, "s00", 6.0, 39)
    assert told(stream, 41) == ["s00"]
    assert (stream.allowance.told, stream.allowance.withheld) == (1, 1)
    (event,) = stream.episodes.open.values()
    assert (event.notified, event.withheld, event.revision) == (True, False, 1)


def test_many_that_are_rare_at_once_may_be_more_common_each() -> None:
    """The step-up: ten alarms in one slot that none alone would be told for are no chance together."""
    alone, at_once = the(fleet()), the(fleet())
    waiting(alone, "s00", 1.0, 39)
    for name in NAMES[:10]:
        waiting(at_once, name, 1.0, 39)
    assert told(alone, 39) == [], "more than one so rare a day is expected, and a fifth of four may be chance"
    assert told(at_once, 39) == ["s00", "s01"]


def test_a_fact_needs_no_rarity() -> None:
    """A stuck sensor is told though its rarity says nothing, while its stream has few of them, before what may be
    chance."""
    stream = the(fleet())
    waiting(stream, "s01", 6.0, 39)
    waiting(stream, "s05", -3.0, 39, "flatline")
    assert told(stream, 39) == ["s05", "s01"]


def test_what_a_stream_has_every_day_is_told_last() -> None:
    """Twenty stuck sensors a day are usual there: the first that is out of its limits goes before another of them."""
    stream = the(fleet(most=3))
    for slot in range(40, 40 + 5 * DAY):
        if slot % 2:
            waiting(stream, "s00", -3.0, slot, "flatline")
            stream.episodes._close(stream.table.row_of["s00"], FIRST + slot, FIRST + slot)
        stream.allowance.close(FIRST + slot)
    stream.allowance._told_at.clear()
    last = 40 + 5 * DAY
    for name, reason in zip(NAMES, ("flatline", "limit", "counter", "flatline"), strict=False):
        waiting(stream, name, -3.0, last, reason)
    assert told(stream, last) == ["s01", "s02"]
    assert told(stream, last + 1) == [], "the fourth and fifth of some twenty a day"


def test_the_refractory_time_of_a_series_holds() -> None:
    """Another alarm of a series that was told waits for a day, unless it is rarer by more than 1."""
    stream = the(fleet(most=40))
    waiting(stream, "s00", 8.0, 39)
    assert told(stream, 39) == ["s00"]
    stream.episodes._close(stream.table.row_of["s00"], FIRST + 41, FIRST + 39)
    waiting(stream, "s00", 8.5, 45)
    assert told(stream, 45) == []
    waiting(stream, "s00", 9.5, 45)
    assert told(stream, 46) == ["s00"]
    stream.episodes._close(stream.table.row_of["s00"], FIRST + 48, FIRST + 46)
    waiting(stream, "s00", 8.5, 60)
    assert (told(stream, 60), told(stream, 46 + DAY - 1), told(stream, 46 + DAY)) == ([], [], ["s00"])


def test_maintenance_goes_before_the_budget() -> None:
    """What opened before a window and is untold stays so in it, and is told after it."""
    window = {"start": "2000-01-01T20:00", "end": "2000-01-01T22:00"}  # slots 40 to 43
    stream = the(fleet(maintenance=[window]))
    waiting(stream, "s00", 8.0, 39)
    assert [told(stream, slot) for slot in (40, 43, 44)] == [[], [], ["s00"]]


def test_a_silence_of_many_is_one_alarm() -> None:
    """All series that fall silent at once are told as one; a single one later as one more."""
    made = engine(alerts={"alarms_per_day": 30}, gap_after=2)
    rows = [
        row
        for row in together(*(noise(range(60), name) for name in NAMES))
        if not (row[0] >= "s02" and row[1] in range(20, 30)) and not (row[0] == "s01" and row[1] >= 50)
    ]
    gaps = [(e.series, e.state, e.notify) for e in feed(made, rows) if e.reasons == ("gap",)]
    assert gaps == [
        (None, "open", False),
        (None, "open", True),
        (None, "closed", False),
        ("s01", "open", False),
        ("s01", "open", True),
    ]


@pytest.mark.parametrize("first", [None, 2])
def test_a_reload_begins_or_ends_it(first: int | None) -> None:
    """Without a budget an alarm is told at once, under the refractory time as it is set."""
    alerts = {"limits": {"max": 100}, "refractory": "0s"}
    given = [alerts | {"alarms_per_day": most} for most in (first, 2 if first is None else None)]
    made, events = engine(alerts=given[0]), []
    events += feed(made, limited({"s00": range(20, 21)}, range(26)))
    made.step(Configured(config(alerts=given[1])))
    events += feed(made, limited({"s00": range(28, 29)}, range(26, 40)))
    budgeted = [(0, False), (1, True)]
    at_once = [(0, True)]
    said = [(e.revision, e.notify) for e in events if e.state == "open"]
    assert said == (at_once + budgeted if first is None else budgeted + at_once)


def test_what_happened_without_a_budget_is_not_counted() -> None:
    """Switched off and on again, it knows nothing of before, and an alarm of the time between is not told late."""
    made = fleet()
    stream = the(made)
    waiting(stream, "s00", 9.0, 39)
    stream.episodes._close(stream.table.row_of["s00"], FIRST + 40, FIRST + 39)
    off = {"alerts": {"refractory": "1d", "false_alarms_per_month": 30}}
    made.step(Configured(config(**off)))
    made.step(Configured(config(alerts=off["alerts"] | {"alarms_per_day": 4})))
    assert told(stream, 60) == []
    waiting(stream, "s01", 9.0, 60)
    assert told(stream, 61) == ["s01"]


def test_readings_of_the_future_leave_nothing_behind() -> None:
    """A stream whose first readings were of years ahead begins anew, and its day of alarms with it."""
    limits = {"alarms_per_day": 2, "limits": {"max": 100}}
    made = engine(alerts=limits)
    ahead = [("x", 10_000, 500.0)]
    events = feed(made, ahead + limited({"s03": range(20, 40)}, range(12, 40)))
    assert [(e.series, e.at // INTERVAL - FIRST) for e in events if e.notify] == [("s03", 20)]
    assert the(made).allowance.state()["closed"] == FIRST + 38


def test_exceptions_have_their_own_refractory_time() -> None:
    """That of the first pattern that fits a series."""
    stream = the(fleet(most=40, alerts={"series": [{"match": "s00", "refractory": "1h"}]}))
    for name in ("s00", "s01"):
        waiting(stream, name, 8.0, 39)
    assert told(stream, 39) == ["s00", "s01"]
    for name in ("s00", "s01"):
        stream.episodes._close(stream.table.row_of[name], FIRST + 40, FIRST + 39)
        waiting(stream, name, 8.0, 41)
    assert told(stream, 41) == ["s00"]
