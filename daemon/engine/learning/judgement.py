"""The gate's side in the engine: which windows it judges by, and a promotion's probation after it.

Both work in the step, not in the training: their windows are then those of this slot, so they need not be kept in the
state between T and T + apply_after, and a verdict follows from the state and the bundle alone in every run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.config.model_settings import RollbackSettings
from daemon.config.settings import StreamSettings
from daemon.engine.kernel.calibration import MONTH_S
from daemon.engine.kernel.slots import SlotClock
from daemon.engine.learning import reservoir
from daemon.engine.table.ring import GREATEST, LOWEST
from models import gate
from models.bundle import Bundle
from models.gate import GateRule, Verdict
from models.gate_windows import GateSample, clean_error
from models.scorer import Scorer

LEAST_GROUPS = 2  # of the stretches among which one is held back: a long window's must not all be too old


@dataclass(frozen=True, slots=True)
class Judged:
    """The gate's verdict on a training's bundle."""

    stream: str
    request_id: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A promotion that the engine took back.

    Attributes:
        stream: The stream's name.
        gone: Digest of the bundle that no longer serves.
        serving: Digest of the one before it, which serves again.
        numbers: `alarms` since the promotion, `budget` for the whole probation, `windows`, and the errors on them:
            `gone_error`, `serving_error`.
    """

    stream: str
    gone: str
    serving: str
    numbers: dict[str, float] = field(default_factory=dict)


class Gate:
    """Judges candidates of one stream by its reservoir."""

    def __init__(self, settings: StreamSettings, window: int, kept: reservoir.Reservoir, slots: SlotClock) -> None:
        self.settings, self.window, self.reservoir, self.slots = settings, window, kept, slots

    def judge(self, champion: Scorer | None, candidate: Scorer, slot: int, seen_to: int) -> Verdict:
        """Whether `candidate` may serve; `seen_to` is the newest slot that a training saw which held nothing back."""
        rule = self.settings.model.gate
        verdict = gate.judge(
            champion if rule.enabled else None,
            candidate,
            self.held_back(slot, seen_to),
            self._faults(slot),
            GateRule(rule.worse_error, rule.worse_detection),
        )
        return verdict if rule.enabled or not verdict.passed else gate.off()

    def held_back(self, slot: int, seen_to: int) -> GateSample:
        """Recent windows that no training saw, evenly spread when too many.

        Recent is what a tuning counts as recent, in slots: the ring of a single series reaches much further back, and a
        network that follows a change would be judged by the time before it.
        """
        r = self.reservoir
        index = reservoir.recent(r)
        slots = r.slot[index]
        since = max(seen_to, slot - max(reservoir.RECENT_SLOTS, LEAST_GROUPS * gate.HELD_BACK * self.window))
        return self.sample(index[gate.held_back(slots, self.window, self.settings.seed) & (slots > since)], slot)

    def comparable(self, slot: int, seen_to: int) -> GateSample:
        """Windows to compare the errors of two networks on: held-back ones, all recent ones where those are too few."""
        held = self.held_back(slot, seen_to)
        return held if len(held.x) >= gate.LEAST_WINDOWS else self.sample(reservoir.recent(self.reservoir), slot)

    def _faults(self, slot: int) -> GateSample:
        """Windows of episodes, which no training saw either."""
        return self.sample(reservoir.apart(self.reservoir), slot)

    def since(self, slot: int, now: int) -> GateSample:
        """Windows newer than `slot`, those of episodes too."""
        r = self.reservoir
        index = np.concatenate([reservoir.recent(r), reservoir.apart(r)])
        return self.sample(index[r.slot[index] > slot], now)

    def sample(self, index: npt.NDArray[np.int64], slot: int) -> GateSample:
        """The reservoir's windows at `index` as the gate takes them."""
        r = self.reservoir
        if len(index) > gate.MOST_WINDOWS:
            index = index[np.linspace(0, len(index) - 1, gate.MOST_WINDOWS).astype(np.int64)]
        return GateSample(
            x=r.x[index],
            observed=r.observed[index],
            local_s=self.slots.local_s(r.slot[index]),
            lowest=LOWEST,
            greatest=GREATEST,
            seed=(self.settings.seed, slot % 2**64),
        )


@dataclass(frozen=True)
class Probation:
    """A promotion that may still be taken back.

    Attributes:
        previous: The bundle that served before.
        slot: Slot of the promotion.
        episodes: Episodes the stream had opened by then.
    """

    previous: Bundle
    slot: int
    episodes: int

    def is_over(self, slot: int, rule: RollbackSettings) -> bool:
        """Whether the promotion stands."""
        return not rule.enabled or slot - self.slot > rule.slots

    def numbers(
        self, episodes: int, series: int, settings: StreamSettings, serving: Scorer, sample: GateSample
    ) -> dict[str, float] | None:
        """The numbers to take the promotion back for, None where it stands.

        Alarms alone do not: a fault that begins just after a promotion raises them too, so the model before must have
        the smaller error on the windows since.
        """
        rule, alarms = settings.model.rollback, episodes - self.episodes
        budget = settings.alerts.false_alarms_per_month * series * rule.slots * settings.interval / MONTH_S
        if alarms == 0 or alarms <= rule.times_budget * budget or len(sample.x) < gate.LEAST_WINDOWS:
            return None
        before, now = clean_error(Scorer(self.previous), sample), clean_error(serving, sample)
        if now <= before * (1 + rule.worse_error):
            return None
        found = {"alarms": alarms, "budget": budget, "windows": len(sample.x)}
        return {key: float(value) for key, value in found.items()} | {"gone_error": now, "serving_error": before}

    def state(self) -> tuple[dict[str, Any], npt.NDArray[np.uint8]]:
        """JSON and the bundle's bytes."""
        return {"slot": self.slot, "episodes": self.episodes}, np.frombuffer(self.previous.to_bytes(), np.uint8)

    @classmethod
    def restored(cls, meta: dict[str, Any], previous: npt.NDArray[np.uint8]) -> Probation:
        """What `state` was made of."""
        return cls(Bundle.from_bytes(previous.tobytes()), **meta)
