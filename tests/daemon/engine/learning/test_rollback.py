"""A promotion that makes alarms is taken back, whoever is to blame for it; one that a fault follows is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daemon.config.file import from_effective
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Configured
from daemon.engine.messages.training_port import Outcome
from daemon.runtime.durable import DurableEngine
from daemon.store import Store
from models.bundle import Bundle
from tests.daemon.engine.small_engines import FIRST, STREAM, PureTrainer, batch, config, engine, feed, noise, the

SLOTS, BAD = 420, 300
SETTINGS = {
    "warm_up": 96 * 1800,
    "model": {
        "retrain_every": 100,
        "apply_after": 4,
        "copies": 2,
        "gate": {"enabled": False},
        "rollback": {"slots": 96},
    },
    "alerts": {"false_alarms_per_month": 3},
}


class BadTrainer(PureTrainer):
    """The training of slot `BAD` makes a network whose weights are noise."""

    def result(self, request_id: str) -> Outcome:
        """Its outcome, spoilt when its time has come."""
        made = super().result(request_id)
        if isinstance(made, Bundle) and int(request_id.partition("@")[2].partition("-")[0]) - FIRST in spoilt():
            rng = np.random.default_rng(0)
            weights = {n: (w + rng.normal(0, 0.5, w.shape)).astype(np.float32) for n, w in made.weights.items()}
            return replace(made, weights=weights)
        return made


def spoilt() -> range:
    """Slots of trainings that go wrong: the third one."""
    return range(BAD - 10, BAD + 10)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A state directory."""
    with Store.open(tmp_path / "state") as opened:
        yield opened


def test_a_bad_promotion_is_taken_back(store: Store) -> None:
    """The one before serves again, statistics go on, and the record says why with its numbers."""
    durable = DurableEngine(store, BadTrainer())
    durable.configure(from_effective(config(**SETTINGS)), 0)
    for start in range(0, SLOTS, 10):
        durable.apply([batch(noise(range(start, start + 10)))], {}, 0)
    learner = durable.engine.streams[STREAM].learner
    assert learner.promoting.rollbacks == 1
    bad, good = store.models(STREAM)[2], store.models(STREAM)[1]
    assert (bad.status, good.status) == ("rolled_back", "promoted")
    numbers = bad.manifest["rollback"]
    assert numbers["alarms"] > 3 * numbers["budget"]
    assert numbers["gone_error"] > 1.1 * numbers["serving_error"]
    assert learner.champion is not None
    digest, records = durable.digest(), store.models(STREAM)
    again = DurableEngine(store, trainer := PureTrainer())
    again.recover()
    assert (again.digest(), store.models(STREAM), trainer.calls) == (digest, records, [])


def test_cuts_and_dumps_do_not_matter_to_a_rollback() -> None:
    """Reading by reading, at once, or loaded in the midst of the probation: the same state."""
    dumps = set()
    for size in (SLOTS, 1, 37):
        made, rolled_back = engine(BadTrainer(), **SETTINGS), []
        for start in range(0, SLOTS, size):
            rolled_back += made.step(batch(noise(range(start, min(start + size, SLOTS))))).rolled_back
        assert len(rolled_back) == 1
        dumps.add(made.dump())
    first = engine(BadTrainer(), **SETTINGS)
    feed(first, noise(range(308)))
    loaded = Engine(BadTrainer())
    loaded.load(first.dump())
    assert the(loaded).learner.promoting.probation is not None
    feed(loaded, noise(range(308, SLOTS)))
    dumps.add(loaded.dump())
    assert len(dumps) == 1


def test_a_fault_after_a_good_promotion_does_not_take_it_back() -> None:
    """Alarms leave the budget, but the model before would do no better."""
    made = engine(PureTrainer(), **SETTINGS)
    rows = [(label, slot, value + 15.0 * (slot > 310)) for label, slot, value in noise(range(SLOTS))]
    events = feed(made, rows)
    assert any(event.started_at // 1800 - FIRST > 304 for event in events)
    assert the(made).learner.promoting.rollbacks == 0


def test_rollback_can_be_turned_off() -> None:
    """`model.rollback.enabled: false`: the bad model serves until the next training."""
    model = SETTINGS["model"] | {"rollback": {"enabled": False}}  # type: ignore[operator]
    made = engine(BadTrainer(), **(SETTINGS | {"model": model}))
    feed(made, noise(range(SLOTS)))
    assert the(made).learner.promoting.rollbacks == 0


def test_settings_change_what_a_probation_asks() -> None:
    """A reload applies to a promotion that is on probation already."""
    made = engine(BadTrainer(), **SETTINGS)
    feed(made, noise(range(306)))
    model = SETTINGS["model"] | {"rollback": {"enabled": False}}  # type: ignore[operator]
    made.step(Configured(config(**(SETTINGS | {"model": model}))))
    feed(made, noise(range(306, SLOTS)))
    assert the(made).learner.promoting.rollbacks == 0
