"""Episodes: opened and closed with hysteresis, revised, held back by the refractory time, always recorded."""

from __future__ import annotations

from typing import Any

from daemon.engine import Engine
from daemon.events import Event
from daemon.inputs import Promoted
from tests.engine.making import FIRST, INTERVAL, STREAM, Row, bundle, engine, feed, noise

LIMITED = {"limits": {"min": 0, "max": 100}}


def at(slot: int) -> int:
    """Start of a slot, epoch seconds."""
    return (FIRST + slot) * INTERVAL


def ready(slots: int = 60, **stream: Any) -> Engine:
    """An engine whose series `a` is ready and quiet for `slots` slots."""
    made = engine(**stream)
    made.step(Promoted(STREAM, bundle().to_bytes()))
    feed(made, noise(range(slots)))
    return made


def with_values(slots: range, values: dict[int, float]) -> list[Row]:
    """Readings of `a` with some of them replaced."""
    return [(label, slot, values.get(slot, value)) for label, slot, value, *_ in noise(slots)]


def of_rule(events: list[Event]) -> list[Event]:
    """Revisions of episodes that the physical range is among the reasons of."""
    return [event for event in events if "limit" in event.reasons]


def test_an_episode_ends_at_its_own_last_slot() -> None:
    """Two episodes in one batch: each closing names its own last anomalous slot, not the later episode's."""
    made = engine(alerts=LIMITED)
    events = feed(made, with_values(range(14), {2: 200.0, 3: 200.0, 9: 200.0}))
    closed = [event for event in events if event.state == "closed"]
    assert [event.ended_at for event in closed] == [at(3), at(9)]
