"""A model whose errors are of another size: the statistics of every series go on in its scale."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.engine.kernel import regime
from daemon.engine.kernel.error_scale import carry_over
from daemon.engine.kernel.parameters import parameters
from daemon.engine.kernel.statistics import advance, begin
from daemon.engine.learning import handover
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Promoted
from daemon.engine.table.series import SERIES
from models.bundle import Bundle
from models.training import train
from tests.daemon.engine.small_engines import (
    STREAM,
    PureTrainer,
    Row,
    batch,
    engine,
    feed,
    noise,
    row_of,
    the,
    together,
)

SETTINGS = {"warm_up": 192 * 1800, "model": {"copies": 2, "retrain_every": 100, "apply_after": 4}}
FRESH = 480
"""Slot at which another model takes over."""
P = parameters(192, 1800)


def rows(slots: range) -> list[Row]:
    """Two series."""
    return together(noise(slots), noise(slots, "b"))


@cache
def settled() -> bytes:
    """The dump of an engine that has been tuned twice, just before the other model."""
    made = engine(PureTrainer(), **SETTINGS)
    feed(made, rows(range(FRESH)))
    return made.dump()


def loaded() -> Engine:
    made = Engine(PureTrainer())
    made.load(settled())
    return made


@cache
def crude() -> Bundle:
    """A model trained on few of the same windows, and so with greater errors."""
    made = engine(trainer := PureTrainer(), **SETTINGS)
    feed(made, rows(range(210)))
    request = trainer.calls[0]
    few = {name: getattr(request, name)[:100] for name in ("x", "observed", "calendar")}
    return train(replace(request, seed=7, **few))


def alarms(made: Engine, slots: range) -> int:
    """Anomalous slots of a stretch, over both series."""
    before = the(made).table.rows["anomalies"].sum()
    feed(made, rows(slots))
    return int(the(made).table.rows["anomalies"].sum() - before)


def promote(made: Engine, model: Bundle) -> None:
    made.step(Promoted(STREAM, model.to_bytes()))


def test_a_model_with_other_errors_makes_no_burst_of_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors rise by half and more, alarms do not; without the change of scale they would."""
    made, control = loaded(), loaded()
    promote(made, crude())
    assert (the(made).learner.serving.error_scale > 1.5).all(), the(made).learner.serving.error_scale
    quiet = alarms(made, range(FRESH, FRESH + 96))
    with monkeypatch.context() as patched:
        patched.setattr(handover, "ratio", lambda *_: np.ones(2))
        promote(control, crude())
    assert alarms(control, range(FRESH, FRESH + 96)) > 10
    assert quiet <= 1


def test_going_back_restores_the_scale() -> None:
    """The ratio back is the inverse of the ratio there; a tuning and its parent share a scale."""
    made = loaded()
    learner = the(made).learner
    champion = learner.champion
    assert champion is not None
    promote(made, crude())
    assert (learner.serving.error_scale > 1.5).all()
    promote(made, champion)
    assert learner.serving.error_scale == pytest.approx([1, 1], rel=1e-5)
    promote(made, replace(champion, manifest=replace(champion.manifest, parent=champion.digest)))
    assert learner.serving.error_scale == pytest.approx([1, 1], rel=1e-5)


def test_a_series_changes_its_scale_at_its_next_reading() -> None:
    """No step does more than its readings ask for; one that was silent through several changes makes up for all."""
    made = loaded()
    usual = row_of(made, "b")["regime"]["usual"].copy()
    promote(made, crude())
    feed(made, noise(range(FRESH, FRESH + 1)))
    scale = the(made).learner.serving.error_scale
    assert row_of(made, "a")["scale"].tolist() == scale.tolist()
    assert row_of(made, "b")["scale"].tolist() == [1, 1]
    assert row_of(made, "b")["regime"]["usual"] == usual
    the(made).learner.serving.error_scale[:] *= 2
    feed(made, noise(range(FRESH, FRESH + 1), "b"))
    assert row_of(made, "b")["regime"]["usual"] == pytest.approx(usual * 2 * scale[0] / 2, rel=0.03)


def test_cuts_and_dumps_do_not_matter() -> None:
    """Reading by reading, all at once, or loaded in between: the same state."""
    dumps = set()
    for size in (1, 7, 100):
        made = loaded()
        promote(made, crude())
        wanted = rows(range(FRESH, FRESH + 50))
        for start in range(0, len(wanted), size):
            made.step(batch(wanted[start : start + size]))
            again = Engine(PureTrainer())
            again.load(made.dump())
            made = again
        dumps.add(made.dump())
    assert len(dumps) == 1


def test_the_detectors_begin_anew_with_another_network() -> None:
    """What they counted is another network's; a tuning of the one in service goes on with it."""
    made = loaded()
    drift, champion = the(made).learner.drift, the(made).learner.champion
    assert champion is not None
    counted = int(drift.errors.number.sum())
    assert counted > 0
    promote(made, replace(champion, manifest=replace(champion.manifest, parent=champion.digest)))
    assert drift.errors.number.sum() == counted
    promote(made, crude())
    assert drift.errors.number.sum() == drift.errors.total.sum() == 0
    assert np.isnan(drift.errors.single).all()


def test_another_scale_is_no_drift() -> None:
    """The detectors begin anew: errors of another network say nothing about the readings."""
    made = loaded()
    before = the(made).learner.drift.detections
    promote(made, crude())
    feed(made, rows(range(FRESH, FRESH + 200)))
    assert the(made).learner.drift.detections == before


@settings(deadline=None, max_examples=40)
@given(st.floats(0.02, 50), st.floats(0.02, 50), st.integers(60, 300))
def test_statistics_go_on_as_if_all_errors_had_been_in_the_new_scale(newest: float, window: float, at: int) -> None:
    """The rank of each reading is the same, whatever the ratio; errors are far above the least spread there is."""
    rng = np.random.default_rng(at)
    errors = rng.exponential(500.0, (400, 2)) + 100.0
    table = np.zeros(2, SERIES)
    for row in table:
        begin(row["statistics"], 600.0, 600.0)
        regime.begin(row["regime"], 600.0)
        row["scale"] = 1
        row["odd"] = 600.0
    plain, scaled = table
    usual = np.full(1, 600.0)
    ranks = []
    for i, (e, r) in enumerate(errors):
        if i == at:
            carry_over(scaled, usual, np.array([newest, window], np.float32))
        by = (newest, window) if i >= at else (1.0, 1.0)
        rank, _ = advance(plain["statistics"], P, e, r, 0.0, i % 24, 3)
        again, _ = advance(scaled["statistics"], P, e * by[0], r * by[1], 0.0, i % 24, 3)
        ranks.append((rank, again))
    wanted, got = np.array(ranks).T
    assert got == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    assert usual[0] == pytest.approx(600.0 * newest)
    assert scaled["odd"] == pytest.approx(600.0 * newest)
    assert scaled["regime"]["usual"] == pytest.approx(plain["regime"]["usual"] * newest)


def test_networks_that_cannot_be_compared_keep_the_scale() -> None:
    """Too few windows, or a network without errors."""
    made = engine(PureTrainer(), **SETTINGS)
    feed(made, rows(range(230)))
    learner = the(made).learner
    empty = learner.promoting.gate.sample(np.zeros(0, np.int64), 0)
    assert learner.serving.scorer is not None
    assert handover.ratio(learner.serving.scorer, learner.serving.scorer, empty).tolist() == [1, 1]
