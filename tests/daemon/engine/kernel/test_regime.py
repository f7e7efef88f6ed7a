"""What a series must not learn, and what it adopts: a fault that recurs, a level that shifted for good."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.engine.kernel import regime
from daemon.engine.kernel.regime import BACK, RARE, REGIME, Adoption
from daemon.engine.kernel.slots import NEVER
from daemon.engine.learning import reservoir
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from tests.daemon.engine.small_engines import FIRST, PureTrainer, engine, feed, noise, row_of, the

ADOPTION = Adoption(after=7 * 48, day=48)
TUNED: dict[str, Any] = {
    "warm_up": 96 * 1800,
    "drift": {"adopt_after": 96 * 1800},
    "model": {"retrain_every": 100, "apply_after": 4, "copies": 2},
}


def state() -> np.ndarray:
    """A series whose usual error is 1."""
    row = np.zeros(1, REGIME)
    regime.begin(row[0], 0.5)
    row["usual"] = row["lately"] = 1.0
    return row


def follow(row: np.ndarray, slots: range, error: float, fault: int = 0, episode: bool = False) -> list[int]:
    """Slots at which a regime was adopted, and since when it lasted."""
    found = []
    for slot in slots:
        back = regime.is_back(row[0], error, episode)
        since = regime.follow(row[0], slot, error, BACK if back and not fault else fault, episode, False, ADOPTION)
        if since != NEVER:
            found += [slot, since]
    return found


def test_an_episode_does_not_change_what_is_usual() -> None:
    """Outside episodes the usual error is the 90 % quantile; inside it stands still."""
    row, rng = state(), np.random.default_rng(0)
    for error in rng.uniform(0, 2, 3000):
        regime.learn(row[0], error, False)
    assert row["usual"][0] == pytest.approx(1.8, abs=0.2)
    before = row["usual"][0]
    for _ in range(500):
        regime.learn(row[0], 50.0, True)
    assert row["usual"][0] == before
    assert row["lately"][0] > 3 * before


def test_a_plain_fault_is_known_again_until_it_stays_away() -> None:
    """Three fifths of its height is enough; after twice `adopt_after` without it, it is forgotten."""
    row = state()
    follow(row, range(8), 8.0, RARE, True)
    assert row["fault"][0] > 7
    follow(row, range(8, 100), 0.5)
    assert not returns(row, 0.6)
    assert returns(row, 6.0)
    follow(row, range(100, 100 + 2 * 336 + 10), 0.5)
    assert row["fault"][0] == 0


def test_a_fault_goes_on_at_less_than_it_comes_back_at() -> None:
    """Just over half of its height is too little to open an episode, and enough to keep one open."""
    row = state()
    follow(row, range(8), 8.0, RARE, True)
    least = 0.52 * row["fault"][0]
    assert not returns(row, least)
    assert returns(row, least, episode=True)


def returns(row: np.ndarray, error: float, episode: bool = False) -> bool:
    """Whether the fault is back after readings of one error."""
    return [regime.is_back(row[0], error, episode) for _ in range(40)][-1]


def test_a_rare_reading_that_is_not_plain_is_not_remembered() -> None:
    """Else every false alarm would come back."""
    row = state()
    follow(row, range(8), 1.5, RARE, True)
    assert row["fault"][0] == 0


def test_what_stays_is_adopted_after_its_time() -> None:
    """Counted from its beginning; from then on its error is usual."""
    row = state()
    follow(row, range(100), 0.5)
    slot, since = follow(row, range(100, 500), 4.0, RARE, True)[:2]
    assert slot - 100 == pytest.approx(336, abs=24)
    assert abs(since - 100) <= 24
    assert row["usual"][0] > 3


def test_what_recurs_is_adopted_after_four_times_that() -> None:
    """Four slots of every day, for five weeks."""
    row, adopted, rng = state(), [], np.random.default_rng(0)
    for day in range(35):
        adopted += follow(row, range(48 * day, 48 * day + 4), 8.0, RARE if day == 0 else 0, True)
        for slot in range(48 * day + 4, 48 * day + 48):
            adopted += follow(row, range(slot, slot + 1), rng.uniform(0, 1.1))
    assert adopted[0] // 48 == 28
    assert adopted[1] // 48 == 0


def shifted(slots: range, at: int, by: float) -> list[tuple[str, int, float]]:
    """A series whose level changes for good."""
    return [(label, slot, value + (by if slot >= at else 0.0)) for label, slot, value in noise(slots)]


def adoptions(events: list[Event]) -> list[Event]:
    """Those of the reason `drift`."""
    return [event for event in events if event.reasons == ("drift",)]


def test_a_lasting_shift_is_held_out_and_then_adopted() -> None:
    """Its windows are set apart until the event of reason `drift`, and trained on from then on."""
    made = engine(PureTrainer(), **TUNED)
    events = feed(made, shifted(range(280), 200, 12.0))
    kept = the(made).reservoir
    assert adoptions(events) == []
    learned = kept.slot[reservoir.recent(kept)] - FIRST
    assert np.count_nonzero(learned >= 200) < 5
    assert len(reservoir.apart(kept)) > 60
    events = feed(made, shifted(range(280, 330), 200, 12.0))
    (event,) = adoptions(events)
    assert abs(event.at // 1800 - FIRST - 296) <= 8
    assert abs(event.started_at // 1800 - FIRST - 200) <= 8
    assert (event.state, event.notify) == ("closed", True)
    assert len(reservoir.apart(kept)) < 5
    assert row_of(made, "a")["anomalies"].tolist()[5] == 1
    assert the(made).episodes.open == {}


def test_without_drift_all_is_trained_on() -> None:
    """`drift.enabled: false` holds nothing out, adopts nothing and asks for nothing."""
    made = engine(PureTrainer(), **(TUNED | {"drift": {"enabled": False}}))
    events = feed(made, shifted(range(330), 200, 12.0))
    kept = the(made).reservoir
    assert adoptions(events) == []
    assert len(reservoir.apart(kept)) == 0
    assert kept.slot[reservoir.recent(kept)].max() - FIRST > 320


def test_a_regime_asks_for_a_training_at_once() -> None:
    """Not only when the next one is due."""
    trainer = PureTrainer()
    made = engine(trainer, **(TUNED | {"model": TUNED["model"] | {"retrain_every": 1000}}))
    feed(made, shifted(range(400), 200, 12.0))
    slots = [call.slot - FIRST for call in trainer.calls if call.kind == "tune"]
    assert any(290 <= slot <= 350 for slot in slots), slots


def test_a_regime_may_be_learned_from_the_beginning() -> None:
    """`drift.anew`: the training that adoption asks for, and no other, starts from random weights; it passes the gate.

    No window that the gate judges by is in it, and the statistics go on in the scale of its errors.
    """
    trainer = PureTrainer()
    made = engine(trainer, **(TUNED | {"drift": {"adopt_after": 96 * 1800, "anew": True}}))
    feed(made, shifted(range(460), 200, 12.0))
    fresh = [call for call in trainer.calls if call.kind == "fresh"]
    assert len(fresh) == 2
    first, anew = fresh
    assert first.parent is None
    assert anew.parent is not None
    assert 290 <= anew.slot - FIRST <= 350
    assert anew.recent < len(anew.x)
    learner = the(made).learner
    assert learner.outcomes["rejected"] == 0
    assert [call.kind for call in trainer.calls][-1] == "tune", "then tunings go on from it"
    scale = learner.serving.error_scale.copy()
    assert (scale < 0.9).all(), scale
    assert row_of(made, "a")["scale"].tolist() == scale.tolist()
    loaded = Engine(PureTrainer())
    loaded.load(made.dump())
    assert loaded.dump() == made.dump()
