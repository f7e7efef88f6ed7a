"""Readings that have their slots: scored by the networks in service, decided on, and said where they are anomalous."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.config.settings import StreamSettings
from daemon.engine.detection.decision import Decisions, Scored, Standing, decide
from daemon.engine.detection.policies import policies
from daemon.engine.kernel import calibration
from daemon.engine.kernel.parameters import Parameters
from daemon.engine.kernel.regime import Adoption
from daemon.engine.kernel.slots import NEVER, SlotClock
from daemon.engine.learning.learner import Learner
from daemon.engine.learning.uptake import Uptake, take_up
from daemon.engine.machine.arrivals import Allotted
from daemon.engine.machine.episodes import Decided, Episodes, revisions_of
from daemon.engine.machine.maintenance import Maintenance
from daemon.engine.messages.events import Event
from daemon.engine.table.entries import Entries
from daemon.engine.table.series import SeriesTable

Observer = Callable[[Entries, int, Scored, Decisions], None]
"""Takes a chunk's entries, how many, their scores and decisions: every reading, where events are for anomalies only.
The arrays are used again: what is kept must be copied."""


class Assessment:
    """Scores one stream's readings and decides on them.

    Args:
        settings: The stream's section of the configuration.
        table: Its series; changed.
        slots: From slots to hours.
        parameters: Parameters of the statistics.
        learner: Has the model in service, and learns from what is scored.
        episodes: The open episodes; changed.
        maintenance: When nobody is told.

    Attributes:
        rates: What the stream knows of its rates; part of the state.
        policies: Alert settings as `decide` takes them.
        observers: Called with every chunk.
    """

    def __init__(
        self,
        settings: StreamSettings,
        table: SeriesTable,
        slots: SlotClock,
        parameters: Parameters,
        learner: Learner,
        episodes: Episodes,
        maintenance: Maintenance,
    ) -> None:
        self.table, self.slots, self.parameters = table, slots, parameters
        self.learner, self.episodes, self.maintenance = learner, episodes, maintenance
        self.rates = calibration.rates(settings.interval, settings.model.statistics.calibration)
        self.observers: list[Observer] = []
        self.configure(settings)

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings."""
        self.policies = policies(settings)
        self.adoption = Adoption(settings.adopt_slots, max(settings.model.window, 86400 // settings.interval))

    def assess(self, allotted: Allotted) -> tuple[list[tuple[int, Event]], int]:
        """Score the entries of a chunk and decide on them in order.

        Returns:
            The event revisions they caused, each with its arrival index, and how many could not be scored.
        """
        e, count = allotted.entries, allotted.filled
        scores, hours = self._score(e, count, allotted.windows)
        columns, errors = self._columns(scores), None if scores is None else scores.slot_error
        out = Decisions.room(count, self.table.width)
        hushed = self.maintenance.covers(e.row[:count], e.slot[:count])
        unscored = decide(
            self.table.arrays,
            self.parameters,
            self.rates,
            self.policies,
            e,
            count,
            columns,
            hours,
            hushed,
            Standing(self.adoption, self.learner.serving.error_scale),
            out,
        )
        take_up(self.table.arrays, e, count, out, self._uptake())
        if (out.regime[:count] != NEVER).any():
            self.learner.ask("regime")
        for observe in self.observers:
            observe(e, count, columns, out)

        revisions = revisions_of(allotted.notes, allotted.noted)

        def networks(k: int, slot: int) -> list[tuple[str, float]]:
            return self.learner.serving.networks(e.x[k : k + 1], e.observed[k : k + 1], slot)

        decided = Decided(e, count, out, columns, errors, self.policies, hushed, networks)
        return self.episodes.tell(decided, revisions), unscored

    def _score(self, e: Entries, count: int, windows: int) -> tuple[Any, npt.NDArray[np.int64]]:
        """Scores of the chunk's windows (None when there are none), and the local hour of each."""
        if not windows:
            return None, np.zeros(0, np.int64)
        slots = e.slot[:count][e.window[:count] >= 0]
        return self.learner.serving.score(e.x[:windows], e.observed[:windows], slots), self.slots.hours(slots)

    def _columns(self, scores: Any) -> Scored:
        if scores is None:
            none = np.zeros((0, self.table.width), np.float32)
            return Scored(none, np.zeros(0, np.float32), none)
        return Scored(scores.newest, scores.rms, scores.expected)

    def _uptake(self) -> Uptake:
        learner = self.learner
        return Uptake(self.adoption.day, learner.sample_rate, learner.reservoir, learner.drift.errors)
