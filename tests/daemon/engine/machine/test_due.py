"""A series is silent when it misses readings that are due: by its own week, learned, or by a calendar."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from daemon.config.due_calendar import quarters
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Configured
from tests.daemon.engine.small_engines import STREAM, PureTrainer, config

START = datetime(2023, 9, 4, tzinfo=UTC)
"""A Monday, three weeks before the days get shorter than the nights."""


def asked(interval_s: int = 1800, **stream: Any) -> dict[str, Any]:
    """A configuration on defaults, as far as silence goes."""
    model = {"window": 8, "masked": 2, "copies": 1, "retrain_every": 0}
    return config(interval=interval_s, **{"warm_up": 14 * 86400, "max_series": 64, "model": model} | stream)


def driven(interval_s: int = 1800, **stream: Any) -> Engine:
    """An engine whose series are watched and, so that it is quick, never scored."""
    made = Engine(PureTrainer())
    made.step(Configured(asked(interval_s, **stream)))
    made.streams[STREAM].learner.start = lambda request, slot: None  # type: ignore[method-assign]
    return made


def fed(made: Engine, readings: dict[str, list[datetime]]) -> list[tuple[str | None, datetime, datetime]]:
    """Series, first missing slot and slot at which it was found, of the gaps that readings in order of time open."""
    rows = sorted((at, name) for name, stamps in readings.items() for at in stamps)
    names = sorted(readings)
    events: list[Event] = []
    for start in range(0, len(rows), 20_000):
        part = rows[start : start + 20_000]
        events += made.step(
            Batch(
                STREAM,
                0,
                names,
                np.array([names.index(name) for _, name in part], np.int32),
                np.array([int(at.timestamp()) * 1000 for at, _ in part], np.int64),
                np.zeros(len(part), np.int32),
                np.array([[hash((at.hour, at.minute)) % 97 / 7.0 + at.day] for at, _ in part]),
            )
        ).events
    return [
        (e.series, datetime.fromtimestamp(e.started_at, UTC), datetime.fromtimestamp(e.at, UTC))
        for e in events
        if e.reasons == ("gap",) and e.state == "open"
    ]


def slots(days: float, interval_s: int = 1800) -> list[datetime]:
    """Every slot of so many days."""
    return [START + timedelta(seconds=interval_s * k) for k in range(int(days * 86400 / interval_s))]


def sunrise(at: datetime, latitude: float) -> float:
    """Hours from sunrise to noon on a day, by declination (Cooper 1969)."""
    declination = math.radians(23.45) * math.sin(2 * math.pi * (284 + at.timetuple().tm_yday) / 365)
    cosine = -math.tan(math.radians(latitude)) * math.tan(declination)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine)))) / 15


def by_daylight(days: float, interval_s: int, latitude: float, jitter_h: float = 0.0) -> list[datetime]:
    """Stamps of an inverter that reports from half an hour after sunrise to half an hour before sunset."""
    found = []
    for at in slots(days, interval_s):
        early, late = np.random.default_rng([1, at.timetuple().tm_yday]).uniform(0, jitter_h, 2) if jitter_h else (0, 0)
        half, hour = sunrise(at, latitude) - 0.5, at.hour + at.minute / 60 + at.second / 3600
        if 12 - half + early <= hour <= 12 + half - late:
            found.append(at)
    return found


@pytest.mark.parametrize(
    ("latitude", "interval_s", "days"), [(35.0, 300, 60), (52.0, 1800, 300), (60.0, 900, 120), (52.0, 3600, 300)]
)
def test_night_silent_inverters_raise_nothing(latitude: float, interval_s: int, days: int) -> None:
    """From the first night on and on defaults, though sunrise moves by up to three quarters of an hour a week."""
    made = driven(interval_s)
    assert fed(made, {"clock": slots(days, interval_s), "inverter": by_daylight(days, interval_s, latitude)}) == []


def test_dawn_and_dusk_may_jitter() -> None:
    """An inverter that begins and ends up to an hour late or early, as clouds have it, raises nothing."""
    made = driven()
    assert fed(made, {"clock": slots(120), "inverter": by_daylight(120, 1800, 48.0, jitter_h=1.0)}) == []


@pytest.mark.parametrize("day", [20, 60, 250])
def test_an_inverter_that_dies_by_day_is_found_within_gap_after_slots(day: int) -> None:
    """Three slots after noon, in the shortest days and the longest, and in the warm-up's third week as after it."""
    made, end = driven(), START + timedelta(days=day, hours=12)
    alive = [at for at in by_daylight(day + 2, 1800, 52.0) if at < end]
    found = fed(made, {"clock": slots(day + 2), "inverter": alive})
    assert found == [("inverter", end, end + timedelta(hours=1))]


def office(days: int, off: tuple[date, ...] = ()) -> list[datetime]:
    """Stamps of a meter that reports from 9 to 17 h on weekdays, but on some days off."""
    return [at for at in slots(days) if at.weekday() < 5 and 9 <= at.hour < 17 and at.date() not in off]


def test_business_hours_and_weekends_are_learned() -> None:
    """Nights and weekends raise nothing from the first on; a meter that dies on a Tuesday noon is found at once."""
    end = START + timedelta(days=57, hours=12)
    alive = [at for at in office(60) if at < end]
    found = fed(driven(), {"clock": slots(60), "office": office(60), "dying": alive})
    assert found == [("dying", end, end + timedelta(hours=1))]


def test_holidays_are_sundays() -> None:
    """A weekday-only meter that is off on a holiday of the configuration raises nothing; without it, it is silent."""
    off = (date(2023, 10, 3),)
    readings = {"clock": slots(60), "office": office(60, off)}
    assert fed(driven(timezone="Europe/Berlin", holidays=["DE"]), readings) == []
    (found,) = fed(driven(timezone="Europe/Berlin"), readings)
    assert found[0] == "office"
    assert found[1].date() == off[0]


def test_a_change_of_the_clock_is_no_silence() -> None:
    """Office hours by a local clock that changes twice, in a stream of that zone and in one of UTC."""
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    local = [at for at in slots(240) if at.astimezone(berlin).weekday() < 5 and 9 <= at.astimezone(berlin).hour < 17]
    readings = {"clock": slots(240), "office": local}
    assert fed(driven(timezone="Europe/Berlin"), readings) == []
    assert fed(driven(), readings) == []


def test_who_reports_around_the_clock_is_missed_after_gap_after_slots() -> None:
    """After a day, at any hour, with one reading in fifty lost; and again after the next outage."""
    rng = np.random.default_rng(3)
    for hours in (30, 30 * 24 + 3):
        end = START + timedelta(hours=hours)
        kept = [at for at in slots(60) if (at < end or at > end + timedelta(days=1)) and rng.random() > 0.02]
        kept = [at for at in kept if abs((at - end).total_seconds()) > 3600] + [end - timedelta(minutes=30)]
        found = fed(driven(), {"clock": slots(60), "meter": kept})
        assert ("meter", end, end + timedelta(hours=1)) in found
        assert len([each for each in found if each[2] - each[1] == timedelta(hours=1)]) == len(found)


def test_the_same_day_of_two_weeks_is_missed_twice() -> None:
    """A meter that reports around the clock is missed on a Thursday, and again on the next, in its warm-up too."""
    off = [START.date() + timedelta(days=3), START.date() + timedelta(days=10)]
    stamps = [at for at in slots(20) if at.date() not in off]
    found = fed(driven(), {"clock": slots(20), "meter": stamps})
    assert [each[1].date() for each in found] == off


def test_a_new_pattern_is_learned() -> None:
    """A meter that begins to pause at night is said a few times, and then no more."""
    change = START + timedelta(days=40)
    stamps = [at for at in slots(100) if at < change or 6 <= at.hour < 20]
    found = fed(driven(), {"clock": slots(100), "meter": stamps})
    assert 1 <= len(found) <= 7
    assert found[-1][1] < change + timedelta(days=14)


def test_a_series_without_any_due_hour_is_missed_after_a_week() -> None:
    """One reading a day says of no hour that its neighbours report, too: eight days without it are silence."""
    daily = [at for at in slots(60) if at.hour == 12 and at.minute == 0 and at < START + timedelta(days=40)]
    ((series, _, found),) = fed(driven(), {"clock": slots(60), "daily": daily})
    assert series == "daily"
    assert found == START + timedelta(days=39 + 8, hours=12)


def test_daily_readings() -> None:
    """At an interval of a day nothing is learned but weekends; three due days without a reading are silence."""
    days = [START + timedelta(days=k) for k in range(120)]
    made = driven(86400, warm_up=28 * 86400)
    work = [at for at in days if at.weekday() < 5]
    dying = [at for at in days if at < START + timedelta(days=70)]
    found = fed(made, {"clock": days, "work": work, "dying": dying})
    assert found == [("dying", START + timedelta(days=70), START + timedelta(days=72))]


def test_a_calendar_says_when_readings_are_due() -> None:
    """From the first day on, for all series, whatever they did before; its quarters are local time."""
    zone = {"timezone": "America/New_York"}
    made = driven(900, due=["Mon-Fri 09:30-16:00"], **zone)
    start = START + timedelta(hours=13, minutes=30)
    market = [start + timedelta(days=d, minutes=15 * k) for d in range(12) if d % 7 < 5 for k in range(26)]
    dying = [at for at in market if at < start + timedelta(days=8)]
    found = fed(made, {"clock": slots(12, 900), "market": market, "dying": dying})
    assert found == [("dying", start + timedelta(days=8), start + timedelta(days=8, minutes=30))]


def test_a_calendar_is_read_in_words() -> None:
    """Days, lists and ranges of them, over the week's end and over midnight; anything else is refused."""
    assert sum(quarters(["Mon-Fri 08:00-18:00"])) == 5 * 40
    assert sum(quarters(["Sat,Sun 10:00-14:00", "sunday 13:00-15:00"])) == 2 * 16 + 4
    night = quarters(["Sat-Mon 22:00-06:00"])
    assert sum(night) == 3 * 32
    assert night[6 * 96 + 95] and night[0] and night[96 + 23] and not night[96 + 24]
    for wrong in ("Mon 8:00-18:00", "Foo 08:00-18:00", "Mon-Tue-Wed 08:00-09:00", "Mon 08:10-09:00", "Mon 08:00-24:15"):
        with pytest.raises(ValueError, match="days and times in quarters"):
            quarters([wrong])


def test_a_series_that_retires_before_it_is_missed_ends_quietly() -> None:
    """`retire_after` may be shorter than the silence that alarms: the series is forgotten, and nothing is said."""
    made = driven(gap_after=100, retire_after=43200)
    pods = {f"pod-{k}": [at for at in slots(20) if k <= (at - START).days < k + 3] for k in range(16)}
    assert fed(made, {"clock": slots(20), **pods}) == []
    assert len(made.streams[STREAM].table) < 8


def test_a_reload_finds_anew_who_is_silent() -> None:
    """`due: always` holds from the reload on, also for a series that pauses just then."""
    made = driven()
    assert fed(made, {"clock": slots(40), "office": office(40)}) == []
    made.step(Configured(asked(due="always")))
    later = START + timedelta(days=40)
    found = fed(made, {"clock": [later + timedelta(minutes=30 * k) for k in range(3)]})
    assert [each[0] for each in found] == ["office"]
