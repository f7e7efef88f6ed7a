"""Trainings: taken at their slot, in effect at a fixed slot, counted by outcome, never in the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Batch, Command, Configured, Promoted
from tests.daemon.engine.small_engines import (
    FIRST,
    INTERVAL,
    STREAM,
    FailingTrainer,
    PureTrainer,
    batch,
    bundle,
    config,
    engine,
    feed,
    noise,
    row_of,
    the,
    together,
)

TUNED: dict[str, Any] = {"model": {"retrain_every": 20, "apply_after": 4}}


def step_by_step(made: Engine, slots: range) -> list[int]:
    """Slots whose reading brought a model into service."""
    found = []
    for slot in slots:
        before = the(made).learner.serving.promoted_slot
        feed(made, noise([slot]))
        if the(made).learner.serving.promoted_slot != before:
            found.append(slot)
    return found


def test_a_training_takes_effect_at_its_slot() -> None:
    """Taken at the close of slot T, in service at the close of T + apply_after, the next one at T + retrain_every."""
    trainer = PureTrainer()
    made = engine(trainer, **TUNED)
    promoted = step_by_step(made, range(70))
    assert [call.slot - FIRST for call in trainer.calls] == [15, 35, 55]
    assert [call.kind for call in trainer.calls] == ["fresh", "tune", "tune"]
    # a slot closes with the first reading after it
    assert promoted == [20, 40, 60]
    assert the(made).learner.outcomes == {"promoted": 3, "rejected": 0, "failed": 0, "skipped": 0}


def test_a_tuning_continues_the_model_in_service() -> None:
    """The parent of each tuning is the champion of its time."""
    trainer = PureTrainer()
    made = engine(trainer, **TUNED)
    feed(made, noise(range(70)))
    parents = [call.parent.manifest.kind for call in trainer.calls if call.parent is not None]
    assert parents == ["fresh", "tune"]


def test_a_failed_first_training_is_tried_again() -> None:
    """A failure is counted; with no model yet the next attempt is an eighth of the warm-up later, until one works."""
    trainer = FailingTrainer(2)
    made = engine(trainer, **TUNED)
    promoted = step_by_step(made, range(50))
    # taken at 15; failed at 19, again at 21; failed at 25, again at 27; in service at 31
    assert [call.slot - FIRST for call in trainer.calls if call.kind == "fresh"] == [15, 21, 27]
    assert promoted[0] == 32
    assert the(made).learner.outcomes["failed"] == 2
    assert row_of(made, "a")["status"] == 3


def test_a_failed_tuning_leaves_the_model_in_service() -> None:
    """The champion stays, and the next tuning comes in its turn."""
    trainer = FailingTrainer(0)
    made = engine(trainer, **TUNED)
    feed(made, noise(range(30)))
    champion = the(made).learner.champion
    trainer.failures = 1
    feed(made, noise(range(30, 41)))
    assert the(made).learner.champion is champion
    assert the(made).learner.outcomes["failed"] == 1
    feed(made, noise(range(41, 61)))
    assert the(made).learner.outcomes["promoted"] == 2


def test_nothing_new_is_not_trained_on() -> None:
    """When no window came since the last training, the next one is skipped and counted."""
    trainer = PureTrainer()
    made = engine(trainer, **TUNED)
    feed(made, noise(range(57)))
    feed(made, noise([150]))
    assert [call.slot - FIRST for call in trainer.calls] == [15, 35, 55, 75]
    assert the(made).learner.outcomes["skipped"] == 3


def test_without_retraining_there_is_one_training() -> None:
    """`retrain_every: 0` never trains after the first."""
    trainer = PureTrainer()
    feed(engine(trainer), noise(range(100)))
    assert len(trainer.calls) == 1


def test_a_configured_bundle_is_tuned_too() -> None:
    """A bundle that was there before the first reading is fine-tuned `retrain_every` slots after series joined it."""
    trainer = PureTrainer()
    made = engine(trainer, **TUNED)
    made.step(Promoted(STREAM, bundle().to_bytes()))
    feed(made, noise(range(60)))
    assert [(call.kind, call.slot - FIRST) for call in trainer.calls] == [("tune", 35), ("tune", 55)]


def test_a_reload_turns_retraining_on_and_off() -> None:
    """`retrain_every` is live: from 0 it plans a tuning from now on, to 0 it drops the planned one."""
    trainer = PureTrainer()
    made = engine(trainer)
    feed(made, noise(range(40)))
    made.step(Configured(config(**TUNED)))
    feed(made, noise(range(40, 80)))
    assert [call.slot - FIRST for call in trainer.calls] == [15, 58, 78]
    feed(made, noise(range(80, 90)))
    made.step(Configured(config()))
    feed(made, noise(range(90, 130)))
    assert len(trainer.calls) == 3
    assert the(made).learner.outcomes["skipped"] == 0


def test_a_model_from_outside_serves_at_once() -> None:
    """A promotion takes effect with its input; what a training under way makes continues another model: refused."""
    made = engine(**TUNED)
    feed(made, noise(range(37)))
    assert the(made).learner.pending is not None
    taken = bundle(seed=1)
    made.step(Promoted(STREAM, taken.to_bytes()))
    assert the(made).learner.champion == taken
    judged = made.step(batch(noise(range(37, 45)))).judged
    assert [one.verdict.reason for one in judged] == ["outdated"]
    assert the(made).learner.champion == taken


@pytest.mark.parametrize(("key", "other"), [("window", {"model": {"window": 12}}), ("interval_s", {"interval": 900})])
def test_a_bundle_that_does_not_fit_is_refused(key: str, other: dict[str, Any]) -> None:
    """A bundle made for another window or interval raises, names what differs, and changes nothing."""
    made = engine(**{"warm_up": 24 * INTERVAL, **other})
    before = made.dump()
    with pytest.raises(ValueError, match=f"has {key}"):
        made.step(Promoted(STREAM, bundle().to_bytes()))
    assert made.dump() == before


def test_a_training_under_way_survives_a_dump() -> None:
    """A loaded engine submits the pending training again and applies its result at the same slot."""
    made, trainer = engine(**TUNED), PureTrainer()
    feed(made, noise(range(37)))
    loaded = Engine(trainer)
    loaded.load(made.dump())
    assert [call.slot - FIRST for call in trainer.calls] == [35]
    assert step_by_step(loaded, range(37, 45)) == step_by_step(made, range(37, 45)) == [40]
    assert loaded.dump() == made.dump()


def test_the_warm_up_command_trains_with_what_there_is() -> None:
    """`warm_up` makes every series with two windows of readings ready at once; a second command finds none."""
    made = engine(warm_up=100 * INTERVAL)
    feed(made, together(noise(range(20), "a"), noise(range(10, 20), "b")))
    assert made.step(Command("warm_up", STREAM)).joined == 1
    assert row_of(made, "a")["status"] == 3
    assert row_of(made, "b")["status"] == 1
    assert made.step(Command("warm_up", STREAM)).joined == 0


def test_the_warm_up_command_without_readings_does_nothing() -> None:
    """Nothing to train on: no series joins, no training runs."""
    trainer = PureTrainer()
    made = engine(trainer)
    assert made.step(Command("warm_up", STREAM)).joined == 0
    feed(made, noise(range(3)))
    assert made.step(Command("warm_up", STREAM)).joined == 0
    assert trainer.calls == []


def test_a_warm_up_command_whose_training_fails_is_tried_again() -> None:
    """The command's failed training is counted, and an attempt follows on its own."""
    trainer = FailingTrainer(1)
    made = engine(trainer, warm_up=100 * INTERVAL)
    feed(made, noise(range(20)))
    assert made.step(Command("warm_up", STREAM)).joined == 0
    assert the(made).learner.outcomes["failed"] == 1
    feed(made, noise(range(20, 40)))
    assert row_of(made, "a")["status"] == 3


def test_a_year_without_readings_is_passed_over_at_once() -> None:
    """Trainings due in a time jump are skipped together and counted: at one-second slots there are millions of them."""
    made = engine(interval=1, warm_up=60, model={"retrain_every": 8})
    first, year = 1_000_000_000, 365 * 86400

    def put(stamps: list[int]) -> None:
        n = len(stamps)
        values = np.random.default_rng(0).random((n, 1))
        at_ms = np.array(stamps, np.int64) * 1000
        made.step(Batch(STREAM, 0, ["a"], np.zeros(n, np.int32), at_ms, np.zeros(n, np.int32), values))

    put([first + i for i in range(100)])
    put([first + year + i for i in range(3)])  # it is believed once it goes on
    assert the(made).learner.outcomes["skipped"] == pytest.approx(year / 8, abs=20)
