"""Which model serves a stream: candidates judged, promotions on probation, and models from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.config.settings import StreamSettings
from daemon.engine.kernel.slots import NEVER
from daemon.engine.learning import handover
from daemon.engine.learning.drift import Drift
from daemon.engine.learning.judgement import Gate, Judged, Probation, RolledBack
from daemon.engine.learning.service_model import ServiceModel
from daemon.engine.learning.subject import Subject
from daemon.engine.table.series import READY
from models import gate
from models.bundle import Bundle, BundleError
from models.scorer import Scorer
from models.training_request import TrainingRequest


def check_fit(bundle: Bundle, stream: str, settings: StreamSettings) -> None:
    """Whether a bundle could serve a stream of these settings.

    Raises:
        ValueError: It was made for another shape or interval.
    """
    wanted = {"window": settings.model.window, "width": settings.format.width, "interval_s": settings.interval}
    for key, value in wanted.items():
        if getattr(bundle.manifest, key) != value:
            was = getattr(bundle.manifest, key)
            raise ValueError(f"bundle {bundle.digest[:12]} has {key} {was}, stream {stream} {value}")


def _akin(one: Bundle, other: Bundle) -> bool:
    """Whether one is a tuning of the other, or they are the same: then the statistics follow by themselves."""
    return one.digest in (other.digest, other.manifest.parent) or one.manifest.parent == other.digest


class Promotion:
    """The model in service of one stream, and how another takes its place.

    Args:
        subject: The stream.
        settings: Its section of the configuration.
        drift: Its detectors.
        episodes: How many episodes the stream has opened.

    Attributes:
        serving: The model in service.
        gate: Judges candidates.
        seen_to: Newest slot that a training saw which held nothing back: the gate judges by later windows only.
        probation: A promotion that may still be taken back.
        rollbacks: Promotions taken back.
        judged, rolled_back: Since `take_results`; part of a step's result, not of the state.
    """

    def __init__(
        self,
        subject: Subject,
        settings: StreamSettings,
        drift: Drift,
        episodes: Callable[[], int],
    ) -> None:
        self.stream, self.table, self.reservoir, self.slots = subject
        self.drift, self._episodes = drift, episodes
        self.serving = ServiceModel(self.slots)
        self.seen_to = NEVER
        self.probation: Probation | None = None
        self.rollbacks = 0
        self.judged: list[Judged] = []
        self.rolled_back: list[RolledBack] = []
        self.configure(settings)

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings."""
        self.settings = settings
        self.gate = Gate(settings, self.table.window, self.reservoir, self.slots)

    def admit(self, candidate: Bundle, request: TrainingRequest, slot: int) -> bool:
        """Judge a training's bundle; whether it passed and serves now."""
        before = self.serving.champion
        try:
            scorer = Scorer(candidate)
        except BundleError as error:
            verdict = gate.unusable(error)
        else:
            outdated = before is not None and (request.parent is None or request.parent.digest != before.digest)
            verdict = gate.outdated() if outdated else self._judge(scorer, slot)
        self.judged.append(Judged(self.stream, request.id, verdict))
        if not verdict.passed:
            return False
        if request.parent is None:
            self.has_seen(request.trained_to)
        if before is not None:
            self.probation = Probation(before, slot, self._episodes())
        self._serve(candidate, scorer, slot)
        return True

    def has_seen(self, trained_to: int | None) -> None:
        """A training saw all windows up to this instant (epoch seconds): they judge nothing any more."""
        if trained_to is not None:
            self.seen_to = trained_to // self.settings.interval

    def _judge(self, candidate: Scorer, slot: int) -> gate.Verdict:
        return self.gate.judge(self.serving.scorer, candidate, slot, self.seen_to)

    def _serve(self, bundle: Bundle, scorer: Scorer, slot: int) -> None:
        """Put a model into service; unless it continues the one before, the statistics change their error scale."""
        before = self.serving
        if before.champion is not None and before.scorer is not None and not _akin(before.champion, bundle):
            sample = self.gate.comparable(slot, self.seen_to)
            before.error_scale[:] *= handover.ratio(before.scorer, scorer, sample)
            self.drift.restart()
        before.serve(bundle, scorer, slot)

    def reconsider(self, slot: int) -> None:
        """Take the last promotion back when its alarms leave the budget and the model before would do better."""
        trial, rule = self.probation, self.settings.model.rollback
        if trial is None or trial.is_over(slot, rule):
            self.probation = None
            return
        assert self.serving.champion is not None and self.serving.scorer is not None
        series = int(np.count_nonzero(self.table.rows["status"] == READY))
        sample = self.gate.since(trial.slot, slot)
        numbers = trial.numbers(self._episodes(), series, self.settings, self.serving.scorer, sample)
        if numbers is None:
            return
        gone = self.serving.champion.digest
        self.rolled_back.append(RolledBack(self.stream, gone, trial.previous.digest, numbers))
        self.rollbacks += 1
        self.probation = None
        self._serve(trial.previous, Scorer(trial.previous), slot)

    def adopt(self, bundle: Bundle, slot: int) -> None:
        """Take a model from outside into service at once. Raises as `check_fit`."""
        check_fit(bundle, self.stream, self.settings)
        m = bundle.manifest
        self.probation = None
        self._serve(bundle, Scorer(bundle), slot)
        if m.kind == "fresh" or m.stream != self.stream:
            self.has_seen(m.trained_to)

    def take_results(self) -> tuple[list[Judged], list[RolledBack]]:
        """Verdicts and rollbacks since the last call."""
        taken = self.judged, self.rolled_back
        self.judged, self.rolled_back = [], []
        return taken

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON and arrays that `restore` continues from."""
        meta: dict[str, Any] = {"seen_to": self.seen_to, "rollbacks": self.rollbacks}
        meta["serving"], arrays = self.serving.state()
        if self.probation is not None:
            meta["probation"], arrays["previous"] = self.probation.state()
        return meta, arrays

    def restore(self, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Continue from what `state` returned."""
        self.seen_to, self.rollbacks = meta["seen_to"], meta["rollbacks"]
        self.serving.restore(meta["serving"], arrays)
        if "previous" in arrays:
            self.probation = Probation.restored(meta["probation"], arrays["previous"])
