"""Which windows the gate judges by: recent ones, that no training saw."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.config.model_settings import RollbackSettings
from daemon.config.settings import Settings
from daemon.engine.kernel.slots import SlotClock
from daemon.engine.learning import reservoir
from daemon.engine.learning.judgement import Gate, Probation
from models.gate import held_back
from tests.daemon.engine.small_engines import FIRST, INTERVAL, STREAM, bundle, config


def gate_of(window: int, slots: int, series: int = 1) -> tuple[Gate, reservoir.Reservoir]:
    """A gate whose reservoir holds a window of each of `slots` slots and each series."""
    settings = Settings.model_validate(config(model={"window": window}, warm_up=4 * window * INTERVAL)).streams[STREAM]
    kept = reservoir.reservoir(window, 1, 0)
    x, observed = np.zeros((window, 1), np.float32), np.ones(window, np.bool_)
    for slot in range(FIRST, FIRST + slots):
        for _ in range(series):
            reservoir.add(kept, 0, x, observed, slot)
    return Gate(settings, window, kept, SlotClock(INTERVAL, "UTC", "start")), kept


@pytest.mark.parametrize("series", [1, 4])
def test_held_back_windows_are_recent(series: int) -> None:
    """However far back the ring reaches: a network that follows a change is not judged by the time before it."""
    gate, _ = gate_of(32, 3500, series)
    now = FIRST + 3500
    slots = gate.held_back(now, 0).local_s // INTERVAL
    assert now - slots.min() <= reservoir.RECENT_SLOTS
    assert now - slots.max() < 16 * 32
    assert held_back(slots, 32, 0).all()
    assert len(slots) >= 90
    after = gate.held_back(now, now - 300).local_s // INTERVAL
    assert (after > now - 300).all()


def test_long_windows_have_some_held_back_too() -> None:
    """Two groups of stretches are looked back on, so that one held back is among them."""
    gate, _ = gate_of(128, 3500)
    assert len(gate.held_back(FIRST + 3500, 0).x) >= 100


def test_a_probation_lasts_its_slots_and_ends_after_them() -> None:
    """At the last of them a promotion may still be taken back; one slot later, or where that is off, it stands."""
    rule = RollbackSettings(slots=100)
    probation = Probation(bundle(), FIRST, 0)
    assert not probation.is_over(FIRST + 100, rule)
    assert probation.is_over(FIRST + 101, rule)
    assert probation.is_over(FIRST + 1, RollbackSettings(enabled=False))
