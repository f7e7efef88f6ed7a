"""The learner of one stream: trainings at their slots, what becomes of them, and when series join."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from daemon.config.settings import StreamSettings
from daemon.engine.kernel.parameters import Parameters
from daemon.engine.kernel.slots import NEVER
from daemon.engine.learning import admission, reservoir
from daemon.engine.learning.drift import Drift
from daemon.engine.learning.promotion import Promotion, check_fit
from daemon.engine.learning.requests import Requests
from daemon.engine.learning.subject import Subject
from daemon.engine.messages.training_port import Awaiting, FailureReason, Trainer
from daemon.engine.table.series import QUEUED, READY
from models.architecture_names import UNTUNED
from models.bundle import Bundle
from models.training_request import TrainingRequest

Asked = Literal["drift", "regime", "label"]
OUTCOMES = ("promoted", "rejected", "failed", "skipped")
FAILURES: tuple[str, ...] = get_args(FailureReason)


class Learner:
    """What is being trained, and what becomes of it.

    Args:
        subject: The stream.
        settings: Its section of the configuration.
        parameters: Parameters of the statistics.
        episodes: How many episodes the stream has opened.
        trainer: Runs its trainings.

    Attributes:
        promoting: What becomes of trainings.
        serving: The model in service.
        pending: Training under way; its result takes effect at slot `apply_at`.
        next_training: Slot of the next fine-tuning, None when none is planned.
        sample_rate: One window in so many goes into the reservoir; set where something is due, so that no cut matters.
        asked: What asks for an early training: `drift`, an adopted `regime`, a `label`, or nothing.
        early: Slot of the last early training.
        outcomes: Trainings by outcome.
        failures: Failed trainings by reason.
    """

    def __init__(
        self,
        subject: Subject,
        settings: StreamSettings,
        parameters: Parameters,
        episodes: Callable[[], int],
        trainer: Trainer,
    ) -> None:
        self.subject, self.trainer = subject, trainer
        self.stream, self.table, self.reservoir, _ = subject
        self.drift = Drift(self.table.window, settings.interval)
        self.promoting = Promotion(subject, settings, self.drift, episodes)
        self.serving = self.promoting.serving
        self.joining = admission.Admission(subject, parameters, self.serving)
        self.configure(settings)
        self.pending: TrainingRequest | None = None
        self.apply_at = self.trained_windows = 0
        self.next_training: int | None = None
        self.sample_rate = 1
        self.early = NEVER
        self.asked: Asked | None = None
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.failures = dict.fromkeys(FAILURES, 0)

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings."""
        self.settings = settings
        self.requests = Requests(self.subject, settings)
        self.promoting.configure(settings)

    @property
    def champion(self) -> Bundle | None:
        """Bundle in service, None before the first."""
        return self.serving.champion

    # -- schedule ------------------------------------------------------------------------------------------------

    def due(self, closed: int) -> int | None:
        """Next slot at which something happens, given the last closed slot."""
        dues = []
        waiting = bool((self.table.rows["status"] == QUEUED).any())
        if self.pending is not None:
            dues.append(self.apply_at)
        elif self.next_training is not None and (self.champion is not None or waiting):
            dues.append(self.next_training)
        if self.champion is not None:
            dues += [closed + 1] if waiting else []
            dues += [] if self.drift.due is None else [self.drift.due]
        return min(dues, default=None)

    def plan(self, slot: int, anew: bool = False) -> None:
        """Plan the next fine-tuning of a model in service, or none; `anew` when the settings have changed."""
        every = self.settings.model.retrain_every
        if self.champion is None or self.pending is not None:
            return
        if not every or self.champion.manifest.architecture in UNTUNED:
            self.next_training = None
        elif self.next_training is None or (anew and self.next_training > slot + every):
            self.next_training = slot + every

    def act(self, slot: int, upto: int) -> Awaiting[None]:
        """Do what is due at `slot`: the result of a training, series joining, the look for drift, the next training.

        No reading comes before slot `upto` is closed too.
        """
        self.sample_rate = max(1, len(self.table) // reservoir.PER_SLOT)
        if self.pending is not None and slot >= self.apply_at:
            yield from self.apply(slot)
        if self.champion is None:
            if self.pending is None and bool((self.table.rows["status"] == QUEUED).any()) and self._may_start(slot):
                self._start_fresh(slot)
            return
        self.joining.join_some(slot, self.sample_rate)
        self.plan(slot)
        self.drift.begin(slot)
        looks = self.drift.due is not None and slot >= self.drift.due
        asked = self._look(slot, upto) if looks else None
        if self.pending is None and self.next_training is not None and slot >= self.next_training:
            self._retrain(slot, upto, anew=asked == "regime" and self.settings.drift.anew)

    def _may_start(self, slot: int) -> bool:
        return self.next_training is None or slot >= self.next_training

    def _look(self, slot: int, upto: int) -> Asked | None:
        """Look for drift and at the promotion on probation; all slots up to `upto` are closed.

        Returns:
            What a training is due for now, None when none is due early.
        """
        if self.drift.look(slot, upto, self.table.used) and self.settings.drift.enabled:
            self.asked = self.asked or "drift"
        self.promoting.reconsider(slot)
        may = self.pending is None and self.next_training is not None
        may = may and int(self.reservoir.seen[0]) != self.trained_windows
        if not may or slot - self.early < self.settings.drift.cooldown // self.settings.interval:
            return None
        asked, self.asked = self.asked, None
        if asked is not None:
            self.next_training = self.early = slot
        return asked

    def ask(self, why: Literal["regime", "label"]) -> None:
        """A new regime was adopted, or an operator said what to learn: train at the next look, cooldown or not."""
        self.asked = "regime" if self.asked == "regime" else why  # which may ask for a training anew
        self.early = NEVER

    # -- training ------------------------------------------------------------------------------------------------

    def start(self, request: TrainingRequest, slot: int) -> None:
        """Hand a request to the trainer; its result takes effect `apply_after` slots later."""
        self.pending, self.apply_at = request, slot + self.settings.model.apply_after
        self.trained_windows = int(self.reservoir.seen[0])
        self.trainer.submit(request, self.settings.model.time_limit)

    def apply(self, slot: int) -> Awaiting[None]:
        """Take the pending training's result: a bundle that passes the gate serves, else things stay as they are."""
        assert self.pending is not None
        result = yield self.pending.id
        request, self.pending = self.pending, None
        every = self.settings.model.retrain_every
        self.next_training = request.slot + every if every else None
        if isinstance(result, Bundle):
            self.outcomes["promoted" if self.promoting.admit(result, request, slot) else "rejected"] += 1
        else:
            self.outcomes["failed"] += 1
            self.failures[result.reason] += 1
        if self.champion is None:  # there is nothing to fall back to: try again soon
            self.next_training = slot + max(1, self.table.warm_up_slots // 8)

    def check(self, bundle: Bundle) -> None:
        """Whether a model from outside could serve here; raises as `check_fit`."""
        check_fit(bundle, self.stream, self.settings)

    def adopt(self, bundle: Bundle, slot: int) -> None:
        """Take a model from outside into service at once; what a training under way makes will be outdated.

        Raises:
            ValueError: See `check`.
        """
        self.promoting.adopt(bundle, slot)
        if self.pending is None:
            self.next_training = None
            if slot != NEVER:  # else a tuning is planned when the first series joins
                self.plan(slot)

    def _start_fresh(self, slot: int) -> None:
        request = self.requests.fresh(slot)
        if request is not None:
            self.start(request, slot)

    def _retrain(self, slot: int, upto: int, anew: bool) -> None:
        """A training on the reservoir; all up to slot `upto` are skipped when nothing came since the last.

        It is a fine-tuning, or begins `anew`.
        """
        assert self.champion is not None
        changed = int(self.reservoir.seen[0]) != self.trained_windows
        request = self.requests.retrain(slot, self.champion, anew) if changed else None
        if request is None:
            every = self.settings.model.retrain_every
            skipped = (upto - slot) // every + 1
            self.outcomes["skipped"] += skipped
            self.next_training = slot + skipped * every
            return
        if not self.settings.model.gate.enabled:
            self.promoting.has_seen(request.trained_to)
        self.start(request, slot)

    # -- commands --------------------------------------------------------------------------------------------------

    def end_warm_up(self, slot: int) -> Awaiting[int]:
        """Train and join at once with what history there is; returns the number of series that joined."""
        yield from self.apply_pending(slot)
        rows = np.flatnonzero(self.table.rows["readings"] >= 2 * self.table.window)
        waiting = rows[self.table.rows["status"][rows] < READY]
        admission.queue(self.table, waiting[self.table.rows["status"][waiting] > 0])
        if self.champion is None and bool((self.table.rows["status"] == QUEUED).any()):
            self._start_fresh(slot)
            yield from self.apply_pending(slot)
        before = int(np.count_nonzero(self.table.rows["status"] == READY))
        if self.champion is not None:
            self.joining.join_all(slot, self.sample_rate)
        return int(np.count_nonzero(self.table.rows["status"] == READY)) - before

    def apply_pending(self, slot: int) -> Awaiting[None]:
        """Apply a training under way now, whenever it was due."""
        if self.pending is not None:
            yield from self.apply(slot)

    # -- state -------------------------------------------------------------------------------------------------------

    _PLAIN = (
        "apply_at",
        "next_training",
        "trained_windows",
        "sample_rate",
        "asked",
        "early",
        "outcomes",
        "failures",
    )

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON and arrays that `restore` continues from."""
        meta = {name: getattr(self, name) for name in self._PLAIN}
        meta["promoting"], arrays = self.promoting.state()
        meta["drift"], drift = self.drift.state()
        arrays |= {f"drift/{name}": array for name, array in drift.items()}
        if self.pending is not None:
            arrays["pending"] = np.frombuffer(self.pending.to_bytes(), np.uint8)
        return meta, arrays

    def restore(self, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Continue from what `state` returned; a training that was under way is submitted again."""
        for name in self._PLAIN:
            setattr(self, name, meta[name])
        self.promoting.restore(meta["promoting"], arrays)
        self.drift.restore(meta["drift"], {n.removeprefix("drift/"): a for n, a in arrays.items() if "drift/" in n})
        if "pending" in arrays:
            self.pending = TrainingRequest.from_bytes(arrays["pending"].tobytes())
            self.trainer.submit(self.pending, self.settings.model.time_limit)
