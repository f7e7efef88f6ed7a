"""An event names the reading that was odd."""

from __future__ import annotations

import pytest

from daemon.engine.messages.events import RULE_SCORE, Event
from daemon.presentation.console import event_line, listed_line
from tests.daemon.engine.field_readings import events_of, household, instant, slot
from tests.daemon.engine.small_engines import engine, feed, noise, together


def episode(events: list[Event], started_at: int) -> list[Event]:
    """All revisions of the episode that began then."""
    return [event for event in events if event.started_at == started_at]


@pytest.mark.parametrize("hour", [3.0, 19.5])
def test_every_revision_names_the_spike(hour: float) -> None:
    """One reading of 6: value, expected value and time of all revisions are its own, and the episode ends with it."""
    values = household(33)
    at, usual = slot(30, hour), values[slot(30, hour)]
    values[at] = 6.0
    found = episode(events_of(values), instant(30, hour))
    assert len(found) > 2, "the mean over ten readings grows meanwhile, which is said"
    assert {event.value for event in found} == {(6.0,)}
    assert {event.value_at for event in found} == {instant(30, hour)}
    assert {event.ended_at for event in found} == {instant(30, hour)}
    assert all(event.expected is not None and abs(event.expected[0] - usual) < 0.4 for event in found)
    assert found[-1].rarity > found[0].rarity
    assert found[-1].at > found[-1].ended_at


def test_a_lasting_fault_ends_with_its_last_reading() -> None:
    """Six hours at 1.6: the oddest of its readings is named, and the last of them ends it."""
    values = household(33)
    values[slot(30, 2) : slot(30, 8)] = 1.6
    last = episode(events_of(values), instant(30, 2))[-1]
    assert last.state == "closed"
    assert instant(30, 7) <= last.ended_at <= instant(30, 8)
    assert instant(30, 2) <= (last.value_at or 0) <= last.ended_at
    assert last.value == (1.6,)


def test_a_list_says_when_it_began_and_whether_it_was_notified() -> None:
    """A closed event that was notified is not called held back; one that a rule found has no score."""
    values = household(33)
    values[slot(30, 3)] = 6.0
    events = events_of(values, alerts={"limits": {"max": 5.0}})
    first, last = events[0], events[-1]
    assert listed_line(last).startswith("2024-01-31 03:00 UTC  closed")
    assert "held back" not in listed_line(last)
    assert event_line(first).endswith("rule") == (first.score == RULE_SCORE)
    assert first.notified
    assert last.notified
    assert not last.notify


def test_no_event_ends_before_it_starts() -> None:
    """A gap that a backlog fills from its beginning ends at its first slot, not before it."""
    made = engine(gap_after=3)
    feed(made, together(noise(range(40)), noise(range(60), "b")))
    events = feed(made, noise(range(40, 60)))
    assert [event.state for event in events if event.reasons == ("gap",)] == ["closed"]
    assert all(event.ended_at >= event.started_at for event in events)
