"""Episodes: opened and closed with hysteresis, revised, held back by the refractory time, always recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.engine.detection.hysteresis import CHANGED, CLOSED, NOTHING, OPENED, PEAK, follow_episode
from daemon.engine.detection.rules import MODEL
from daemon.engine.kernel.slots import NEVER
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event, event_id
from daemon.engine.messages.inputs import Promoted
from daemon.engine.table.series import SERIES
from tests.daemon.engine.small_engines import (
    FIRST,
    INTERVAL,
    STREAM,
    PureTrainer,
    Row,
    bundle,
    engine,
    feed,
    noise,
    the,
)

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


def test_an_episode_closes_after_three_quiet_slots() -> None:
    """A break of two slots belongs to the episode; the third quiet slot closes it, with the last revision."""
    made = engine(alerts=LIMITED)
    events = feed(made, with_values(range(20), {2: 200.0, 5: 200.0}))
    assert [(e.state, e.revision, e.started_at, e.ended_at, e.at) for e in events] == [
        ("open", 0, at(2), at(2), at(2)),
        ("closed", 1, at(2), at(5), at(8)),
    ]
    assert [e.notify for e in events] == [True, False]


def test_a_longer_break_makes_two_episodes() -> None:
    """After three quiet slots the next anomaly is an episode of its own, with an id of its own."""
    made = engine(alerts=LIMITED)
    events = feed(made, with_values(range(20), {2: 200.0, 6: 200.0}))
    assert [(e.state, e.started_at) for e in events] == [
        ("open", at(2)),
        ("closed", at(2)),
        ("open", at(6)),
        ("closed", at(6)),
    ]
    assert len({e.id for e in events}) == 2


def test_ids_are_deterministic() -> None:
    """The id follows from stream, series, kind and first slot: the same in every run."""
    first, second = (feed(engine(alerts=LIMITED), with_values(range(9), {2: 200.0})) for _ in range(2))
    assert first == second
    assert {e.id for e in first} == {event_id(STREAM, "a", "episode", at(2))}


@pytest.mark.parametrize(("refractory", "notified"), [(0, [2, 8, 14]), (8 * INTERVAL, [2, 14]), (86400, [2])])
def test_refractory_holds_back_notifications_only(refractory: int, notified: list[int]) -> None:
    """Every episode is recorded; one that opens within the refractory time of the last notification does not notify."""
    made = engine(alerts=LIMITED | {"refractory": refractory})
    events = feed(made, with_values(range(20), {2: 200.0, 8: 200.0, 14: 200.0}))
    opened = [e for e in events if e.state == "open"]
    assert [e.started_at for e in opened] == [at(2), at(8), at(14)]
    assert [e.started_at for e in opened if e.notify] == [at(slot) for slot in notified]


def follow(rarities: list[float], refractory: int = 1000, known: range = range(0)) -> list[tuple[int, bool]]:
    """What becomes of the episode of one series whose slots have these rarities, against a threshold of 3.

    In the slots of `known` a remembered fault is back.
    """
    row = np.zeros(1, SERIES)
    row["notified"] = NEVER
    out = []
    for slot, rarity in enumerate(rarities):
        rare = rarity >= 3.0
        back = slot in known and not rare
        out.append(follow_episode(row[0], slot, MODEL if rare or back else 0, back, rarity, 3.0, refractory))
    return out


def test_hysteresis() -> None:
    """Between half the threshold and the threshold an episode neither opens nor closes."""
    assert [code for code, _ in follow([2.9, 3.1, 1.6, 1.6, 1.6, 1.6, 1.4, 1.4, 1.4])] == [
        *[NOTHING, OPENED, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING],
        CLOSED,
    ]


def test_something_clearly_worse_is_said() -> None:
    """A revision comes when rarity exceeds what was last said by more than 1; an episode notifies once."""
    assert follow([3.5, 4.4, 4.6, 5.0, 5.7]) == [
        (OPENED, True),
        (PEAK, False),
        (CHANGED, False),
        (PEAK, False),
        (CHANGED, False),
    ]


@pytest.mark.parametrize(
    ("rarities", "notified"),
    [
        ([4.0, 0.0, 0.0, 0.0, 4.9, 0.0, 0.0, 0.0, 5.1], [0, 8]),
        ([4.0, 6.0, 0.0, 0.0, 0.0, 6.5, 0.0, 0.0, 0.0, 7.1], [0, 9]),
        ([4.0, 0.0, 0.0, 0.0, 4.5, 5.6], [0, 5]),
    ],
)
def test_clearly_worse_breaks_the_refractory_time(rarities: list[float], notified: list[int]) -> None:
    """Within the refractory time an episode notifies only once its rarity exceeds the last notified one's peak by 1."""
    assert [slot for slot, (_, notify) in enumerate(follow(rarities)) if notify] == notified


@pytest.mark.parametrize(
    ("rarities", "codes", "notified"),
    [
        ([0.0] * 4, [OPENED, NOTHING, NOTHING, NOTHING], []),
        ([2.5, 2.6, 3.1], [OPENED, PEAK, CHANGED], [2]),
        ([4.0, 0.0, 0.0, 0.0, 3.1, 0.0], [OPENED, NOTHING, NOTHING, NOTHING, CHANGED, NOTHING], [0, 4]),
        ([4.0, 0.0, 0.0, 3.1, 0.0, 0.0], [OPENED, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING], [0]),
        ([4.0, 2.0, 2.0, 2.0, 3.1, 0.0], [OPENED, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING], [0]),
    ],
)
def test_an_alarm_within_a_remembered_fault(rarities: list[float], codes: list[int], notified: list[int]) -> None:
    """A fault that is back notifies nobody; what is rare in itself does, though the episode goes on for days."""
    followed = follow(rarities, refractory=0, known=range(len(rarities)))
    assert [code for code, _ in followed] == codes
    assert [slot for slot, (_, notify) in enumerate(followed) if notify] == notified


def test_an_event_says_what_was_expected() -> None:
    """A scored slot's event has value, expected value, bounds around it, and the slots that contributed most."""
    made = ready(100)
    events = feed(made, with_values(range(100, 112), {104: 60.0}))
    event = next(e for e in events if e.at == at(104))
    assert event.value == (60.0,)
    assert event.expected is not None
    assert event.lower is not None
    assert event.upper is not None
    assert event.lower[0] < event.expected[0] < event.upper[0] < 60.0
    assert event.score > 1
    assert event.reconstruction_error > 0
    shares = [each["share"] for each in event.contributions]
    assert event.contributions[0]["at"] == at(104)
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1 + 1e-6
    assert len(shares) <= 5


def test_of_slots_as_rare_the_newest_is_said() -> None:
    """Where rarity is capped, or a rule alone is broken, the numbers of an event are those of its newest reading."""
    made = ready(100)
    feed(made, with_values(range(100, 101), {100: 30.0}))
    [event] = the(made).episodes.open.values()
    names = ("threshold", "score", "reconstruction_error")
    for rarity, newest in ((event.rarity, True), (event.rarity - 0.001, False), (event.rarity + 0.001, True)):
        seen = event.to_json() | {"rarity": rarity} | dict.fromkeys(names, 7.0)
        changed = the(made).episodes._changed(event, seen, said=False, odd=False)
        assert (changed.rarity == rarity) == newest
        assert [getattr(changed, name) == 7.0 for name in names] == [newest] * 3


def test_reasons_add_up() -> None:
    """A reason that comes later is a further revision, which names all so far in their fixed order."""
    made = ready(100, alerts=LIMITED)
    events = feed(made, with_values(range(100, 130), {104: 60.0, 105: 500.0}))
    mine = [e for e in events if e.started_at <= at(105)]
    assert mine[-1].reasons in {("novelty", "limit"), ("model", "novelty", "limit")}
    revisions = [e.revision for e in mine if e.id == mine[-1].id]
    assert revisions == list(range(len(revisions)))


def test_an_open_episode_survives_a_dump() -> None:
    """Loaded in the middle of an episode, the engine closes it as the uninterrupted one does."""
    made = engine(alerts=LIMITED)
    feed(made, with_values(range(4), {2: 200.0, 3: 200.0}))
    loaded = Engine(PureTrainer())
    loaded.load(made.dump())
    rest = with_values(range(4, 10), {4: 300.0})
    assert feed(loaded, rest) == feed(made, rest)
    assert loaded.dump() == made.dump()
