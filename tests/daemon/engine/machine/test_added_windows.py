"""Maintenance windows added at run time: they are inputs, part of the state, and mean what configured ones mean."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Maintained, decode, encode
from daemon.metrics.snapshot import snapshots
from tests.daemon.engine.machine.test_maintenance import LIMITED, NIGHT, limited, odd, rows, told
from tests.daemon.engine.small_engines import PureTrainer, engine, feed, the


def maintained(window: dict[str, Any] | None = None, **more: Any) -> Maintained:
    """A window that is added, by default that of slots 20 to 29."""
    return Maintained("s", NIGHT if window is None else window, **more)


def plain(**more: Any) -> Engine:
    """An engine with a limit and no window."""
    return engine(alerts=LIMITED, **more)


def said(made: Engine, added: int, slots: range, values: dict[int, float]) -> list[Event]:
    """What is told where the window is added before slot `added`."""
    events = feed(made, rows(range(slots.start, added), values))
    made.step(maintained())
    return events + feed(made, rows(range(added, slots.stop), values))


@pytest.mark.parametrize("added", [0, 10, 20])
def test_it_means_what_one_of_the_configuration_means(added: int) -> None:
    """What is told, and when what lasts is told, is the same, whenever it is added before it begins."""
    for values in (odd(22, 23, 33), odd(*range(25, 35)), odd(*range(15, 35))):
        expected = told(feed(limited(), rows(range(40), values)))
        assert told(said(plain(), added, range(40), values)) == expected


def test_ended_early_it_is_over() -> None:
    """What lasts is told with the first odd reading after the end, and what comes later as ever."""
    made = plain()
    events = said(made, 10, range(25), odd(*range(22, 40)))
    made.step(maintained(NIGHT | {"end": "2000-01-01T13:00"}))
    events += feed(made, rows(range(25, 40), odd(*range(22, 40))))
    assert told(events)[:2] == [(22, "open", False, True), (26, "open", True, False)]


def test_taken_away_before_it_begins_it_never_was() -> None:
    """The state has the bytes that it has without it."""
    made, without = plain(), plain()
    made.step(maintained())
    assert made.digest() != without.digest()
    made.step(maintained(dropped=True))
    assert made.digest() == without.digest()
    assert told(feed(made, rows(range(40), odd(22)))) == told(feed(without, rows(range(40), odd(22))))


def test_nothing_is_learned_where_it_says_so() -> None:
    """Its readings are neither judged nor learned from."""
    made = plain()
    made.step(maintained(NIGHT | {"learn": False}))
    assert feed(made, rows(range(40), odd(22, 23))) == []


def test_the_state_has_it() -> None:
    """Through the journal's bytes, a dump and a load: the same events and the same bits."""
    item = maintained(NIGHT | {"series": "a*"}, note="painting")
    assert decode(*encode(item)) == item
    made = plain()
    feed(made, rows(range(10), {}))
    made.step(item)
    again = Engine(PureTrainer())
    again.load(made.dump())
    values = odd(*range(25, 35))
    assert told(feed(again, rows(range(10, 40), values))) == told(feed(made, rows(range(10, 40), values)))
    assert again.digest() == made.digest()


def test_beside_as_many_as_the_configuration_may_have() -> None:
    """Sixty windows that are configured, and thirty added ones, of which each counts by itself."""
    far = [{"start": f"2001-01-{1 + i % 28:02d}T{i // 28:02d}:00", "end": "2002-01-01T00:00"} for i in range(29)]
    made = engine(alerts=LIMITED, maintenance=far)
    for i in range(29):
        made.step(maintained({"start": f"2003-01-01T{i % 24:02d}:{i:02d}", "end": "2003-02-01T00:00"}))
    for _ in range(2):
        made.step(maintained())  # the later one takes the place
    assert len(the(made).maintenance.added.windows) == 30
    assert told(feed(made, rows(range(40), odd(22)))) == [(22, "open", False, True), (25, "closed", False, True)]


def test_the_picture_shows_what_holds() -> None:
    """One that runs, one that is ahead and one that is over, with their names."""
    made = engine(alerts=LIMITED, maintenance=[{"weekly": "Sun 02:00", "duration": "1h"}])
    made.step(maintained())
    feed(made, rows(range(25), {}))
    made.step(maintained({"start": "2000-01-02T10:00", "end": "2000-01-02T15:00"}, note="tomorrow"))
    made.step(maintained({"start": "2000-01-01T01:00", "end": "2000-01-01T02:00"}))
    (found,) = snapshots(made, (), lambda name: None).values()
    assert [(w["state"], w["note"], w["id"] is None) for w in found.maintenance] == [
        ("weekly", "", True),
        ("running", "", False),
        ("ahead", "tomorrow", False),
        ("over", "", False),
    ]
    assert len({w["id"] for w in found.maintenance}) == 4
