"""The learner of one stream: trainings at their slots, promotion, and series joining the model in service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from daemon import joining, reservoir
from daemon.placing import GREATEST, LOWEST
from daemon.series import QUEUED, READY, SeriesTable
from daemon.settings import StreamSettings
from daemon.slots import SlotClock
from daemon.statistics import NEVER, Parameters
from models import gate
from models.architectures import LABELLED
from models.bundle import Bundle, BundleError, Scorer, Scores
from models.combining import Contributions
from models.features import calendar
from models.gate import GateRule, GateSample, Verdict
from models.network import Option
from models.training import TrainingRequest

FRESH_SERIES = 256  # series that a first training sees
FRESH_WINDOWS = 16_384  # windows that it sees
OUTCOMES = ("promoted", "rejected", "failed", "skipped")


class Trainer(Protocol):
    """Runs trainings elsewhere. The engine knows this much of it; `daemon.trainer` has the real ones."""

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """Begin a training; returns at once."""

    def result(self, request_id: str) -> object:
        """The finished training: a `Bundle`, or anything else when it failed. Waits for it."""


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


@dataclass(frozen=True, slots=True)
class Judged:
    """The gate's verdict on a training's bundle."""

    stream: str
    request_id: str
    verdict: Verdict


@dataclass
class Learner:
    """The model in service and what is being trained.

    Attributes:
        champion: Bundle in service, None before the first.
        pending: Training under way; its result takes effect at slot `apply_at`.
        next_training: Slot of the next fine-tuning, None when none is planned.
        version: Promotions so far.
        sample_rate: One window in so many goes into the reservoir; set where something is due, so that no cut matters.
        seen_to: Newest slot that a training saw which held nothing back: the gate judges by later windows only.
        outcomes: Trainings by outcome.
        judged: Verdicts since `take_judged`; part of a step's result, not of the state.
    """

    stream: str
    settings: StreamSettings
    table: SeriesTable
    reservoir: reservoir.Reservoir
    slots: SlotClock
    parameters: Parameters
    trainer: Trainer
    champion: Bundle | None = None
    scorer: Scorer | None = None
    pending: TrainingRequest | None = None
    apply_at: int = 0
    next_training: int | None = None
    trained_windows: int = 0
    version: int = 0
    promoted_slot: int | None = None
    sample_rate: int = 1
    seen_to: int = NEVER
    judged: list[Judged] = field(default_factory=list)
    _contributions: Contributions | None = None
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))

    # -- schedule ------------------------------------------------------------------------------------------------

    def due(self, closed: int) -> int | None:
        """Next slot at which something happens, given the last closed slot."""
        dues = []
        waiting = bool((self.table.rows["status"] == QUEUED).any())
        if self.pending is not None:
            dues.append(self.apply_at)
        elif self.next_training is not None and (self.champion is not None or waiting):
            dues.append(self.next_training)
        if self.champion is not None and waiting:
            dues.append(closed + 1)
        return min(dues, default=None)

    def plan(self, slot: int, anew: bool = False) -> None:
        """Plan the next fine-tuning of a model in service, or none; `anew` when the settings have changed."""
        every = self.settings.model.retrain_every
        if self.champion is None or self.pending is not None:
            return
        if not every or self.champion.manifest.architecture in LABELLED:
            self.next_training = None
        elif self.next_training is None or (anew and self.next_training > slot + every):
            self.next_training = slot + every

    def act(self, slot: int, upto: int) -> None:
        """Do what is due at `slot`: first the result of a training, then series joining, then the next training.

        No reading comes before slot `upto` is closed too.
        """
        self.sample_rate = max(1, len(self.table) // reservoir.PER_SLOT)
        if self.pending is not None and slot >= self.apply_at:
            self.apply(slot)
        if self.champion is None:
            if self.pending is None and bool((self.table.rows["status"] == QUEUED).any()) and self._may_start(slot):
                self._start_fresh(slot)
            return
        self.join_some(slot)
        self.plan(slot)
        if self.pending is None and self.next_training is not None and slot >= self.next_training:
            self._tune(slot, upto)

    def _may_start(self, slot: int) -> bool:
        return self.next_training is None or slot >= self.next_training

    # -- training ------------------------------------------------------------------------------------------------

    def start(self, request: TrainingRequest, slot: int) -> None:
        """Hand a request to the trainer; its result takes effect `apply_after` slots later."""
        self.pending, self.apply_at = request, slot + self.settings.model.apply_after
        self.trained_windows = int(self.reservoir.seen[0])
        self.trainer.submit(request, self.settings.model.time_limit)

    def apply(self, slot: int) -> None:
        """Take the pending training's result: a bundle that passes the gate serves, else things stay as they are.

        The gate works here, in the step, and not in the training: its held-back windows are then those of this slot,
        so they need not be kept in the state between T and T + apply_after, and the verdict follows from the state and
        the bundle alone in every run, whatever trained it. It costs less than the training's own 20 steps.
        """
        assert self.pending is not None
        request, self.pending = self.pending, None
        every = self.settings.model.retrain_every
        self.next_training = request.slot + every if every else None
        result = self.trainer.result(request.id)
        if isinstance(result, Bundle):
            self._admit(result, request, slot)
        else:
            self.outcomes["failed"] += 1
        if self.champion is None:  # there is nothing to fall back to: try again soon
            self.next_training = slot + max(1, self.table.warm_up_slots // 8)

    def _admit(self, candidate: Bundle, request: TrainingRequest, slot: int) -> None:
        """Judge a training's bundle, and promote it when it passes."""
        try:
            scorer = Scorer(candidate)
        except BundleError as error:
            verdict = gate.unusable(error)
        else:
            verdict = self._judge(scorer, slot)
        self.judged.append(Judged(self.stream, request.id, verdict))
        self.outcomes["promoted" if verdict.passed else "rejected"] += 1
        if not verdict.passed:
            return
        if request.kind == "fresh" and request.trained_to is not None:
            self.seen_to = request.trained_to // self.settings.interval
        self._serve(candidate, scorer, slot)

    def _judge(self, candidate: Scorer, slot: int) -> Verdict:
        rule = self.settings.model.gate
        champion = self.scorer if rule.enabled else None
        verdict = gate.judge(
            champion, candidate, self._gate_sample(slot), GateRule(rule.worse_error, rule.worse_detection)
        )
        return verdict if rule.enabled or not verdict.passed else gate.off()

    def _gate_sample(self, slot: int) -> GateSample:
        """Held-back windows among the reservoir's recent ones that no training saw, evenly spread when too many."""
        r = self.reservoir
        seen = int(r.seen[0])
        index = np.arange(max(0, seen - reservoir.RECENT), seen) % reservoir.RECENT
        slots = r.slot[index]
        index = index[gate.held_back(slots, self.table.window, self.settings.seed) & (slots > self.seen_to)]
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

    def take_judged(self) -> list[Judged]:
        """Verdicts since the last call."""
        taken, self.judged = self.judged, []
        return taken

    def _serve(self, bundle: Bundle, scorer: Scorer, slot: int) -> None:
        """Put a bundle into service."""
        self.champion, self.scorer = bundle, scorer
        self.version += 1
        self.promoted_slot = slot

    def check(self, bundle: Bundle) -> None:
        """Whether a model from outside could serve here; raises as `check_fit`."""
        check_fit(bundle, self.stream, self.settings)

    def adopt(self, bundle: Bundle, slot: int) -> None:
        """Take a model from outside into service at once; a training under way is dropped, statistics are kept.

        Raises:
            ValueError: See `check`.
        """
        self.check(bundle)
        m = bundle.manifest
        self.pending = self.next_training = None
        self._serve(bundle, Scorer(bundle), slot)
        if m.trained_to is not None and (m.kind == "fresh" or m.stream != self.stream):
            self.seen_to = m.trained_to // self.settings.interval
        if slot != NEVER:  # else a tuning is planned when the first series joins
            self.plan(slot)

    def _start_fresh(self, slot: int) -> None:
        """A first training on the warm-ups of up to `FRESH_SERIES` series; those without a window wait longer."""
        self._drop_empty(slot)
        queued = np.flatnonzero(self.table.rows["status"] == QUEUED)
        if len(queued):
            spread = np.linspace(0, len(queued) - 1, min(len(queued), FRESH_SERIES))
            self.start(self._fresh(queued[np.unique(spread.astype(np.int64))], slot), slot)

    def _drop_empty(self, slot: int) -> None:
        """Send those back to their warm-up who fell silent while they waited, or report too rarely for one window."""
        queued = np.flatnonzero(self.table.rows["status"] == QUEUED)
        empty = [joining.countable(self.table, int(row))[1] == 0 for row in queued]
        joining.wait(self.table, queued[np.array(empty, np.bool_)], slot)

    def _fresh(self, rows: npt.NDArray[np.int64], slot: int) -> TrainingRequest:
        parts = [joining.windows(self.table, int(row)) for row in rows]
        x, observed, slots = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        most = min(FRESH_WINDOWS, reservoir.most_windows(self.table.window, self.table.width))
        if len(x) > most:
            rng = np.random.default_rng((self.settings.seed, slot))
            keep = np.sort(rng.choice(len(x), most, replace=False))
            x, observed, slots = x[keep], observed[keep], slots[keep]
        return self._request("fresh", slot, x, observed, slots, recent=0)

    def _tune(self, slot: int, upto: int) -> None:
        """A fine-tuning on the reservoir; all up to slot `upto` are skipped when nothing came since the last."""
        r = self.reservoir
        index, recent = self._draw(slot)
        if int(r.seen[0]) == self.trained_windows or not len(index):
            every = self.settings.model.retrain_every
            skipped = (upto - slot) // every + 1
            self.outcomes["skipped"] += skipped
            self.next_training = slot + skipped * every
            return
        if not self.settings.model.gate.enabled:
            self.seen_to = int(r.slot[index].max())
        self.start(self._request("tune", slot, r.x[index], r.observed[index], r.slot[index], recent), slot)

    def _draw(self, slot: int) -> tuple[npt.NDArray[np.int64], int]:
        """Windows to tune on, the recent ones last, and how many those are; none that the gate will judge by."""
        ready = int(np.count_nonzero(self.table.rows["status"] == READY))
        span = reservoir.RECENT_SLOTS * max(1, min(ready, reservoir.PER_SLOT))
        index, recent = reservoir.draw(self.reservoir, span, (self.settings.seed, slot))
        if not self.settings.model.gate.enabled:
            return index, recent
        keep = ~gate.held_back(self.reservoir.slot[index], self.table.window, self.settings.seed)
        return index[keep], int(np.count_nonzero(keep[len(index) - recent :]))

    def _request(
        self,
        kind: Literal["fresh", "tune"],
        slot: int,
        x: npt.NDArray[np.float32],
        observed: npt.NDArray[np.bool_],
        slots: npt.NDArray[np.int64],
        recent: int,
    ) -> TrainingRequest:
        model, span_s = self.settings.model, self.settings.warm_up
        daily, weekly = (model.calendar and span_s >= days * 86400 for days in (2, 14))
        architecture, masked, copies = str(model.architecture), model.masked, model.copies
        options: dict[str, Option] = {}
        if kind == "tune" and self.champion is not None:  # a tuning keeps the shape of what it continues
            m = self.champion.manifest
            daily, weekly, architecture, masked, copies = m.daily, m.weekly, m.architecture, m.masked, m.copies
            options = m.options
        return TrainingRequest(
            stream=self.stream,
            slot=slot,
            seed=self.settings.seed,
            kind=kind,
            architecture=architecture,
            window=model.window,
            width=self.table.width,
            masked=masked,
            copies=copies,
            options=options,
            interval_s=self.settings.interval,
            daily=daily,
            weekly=weekly,
            trained_from=self.slots.at(int(slots.min())) if len(slots) else None,
            trained_to=self.slots.at(int(slots.max())) if len(slots) else None,
            parent=self.champion if kind == "tune" else None,
            x=x,
            observed=observed,
            calendar=calendar(self.slots.local_s(slots), daily, weekly),
            recent=recent,
        )

    # -- scoring and joining ---------------------------------------------------------------------------------------

    def score(
        self, x: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_], slots: npt.NDArray[np.int64]
    ) -> Scores:
        """Errors and expected values of windows whose newest slots are `slots`."""
        assert self.scorer is not None
        assert self.champion is not None
        manifest = self.champion.manifest
        return self.scorer.score(x, observed, calendar(self.slots.local_s(slots), manifest.daily, manifest.weekly))

    def networks(
        self, x: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_], slot: int
    ) -> list[tuple[str, float]]:
        """What each network of an ensemble in service adds to the error of one window; none for a single network."""
        champion = self.champion
        assert champion is not None
        if self._contributions is None or self._contributions.bundle is not champion:
            self._contributions = Contributions(champion)
        m = champion.manifest
        at = calendar(self.slots.local_s(np.array([slot], np.int64)), m.daily, m.weekly)
        return self._contributions.shares(x, observed, at)

    def join_some(self, slot: int) -> None:
        """Let the series whose turn it is join."""
        for row in joining.joiners(self.table):
            self._join(int(row), slot)
        self.table.shrink()

    def _join(self, row: int, slot: int) -> None:
        w = joining.windows(self.table, row)
        if not len(w.x):  # it fell silent while it waited
            joining.wait(self.table, np.array([row]), slot)
            return
        scores = self.score(w.x, w.observed, w.slot)
        hours = self.slots.hours(w.slot)
        joining.join(
            self.table, row, self.parameters, w, scores.newest, scores.rms, hours, self.reservoir, self.sample_rate
        )

    def end_warm_up(self, slot: int) -> int:
        """Train and join at once with what history there is; returns the number of series that joined."""
        self.apply_pending(slot)
        rows = np.flatnonzero(self.table.rows["readings"] >= 2 * self.table.window)
        waiting = rows[self.table.rows["status"][rows] < READY]
        joining.queue(self.table, waiting[self.table.rows["status"][waiting] > 0])
        if self.champion is None and bool((self.table.rows["status"] == QUEUED).any()):
            self._start_fresh(slot)
            self.apply_pending(slot)
        before = int(np.count_nonzero(self.table.rows["status"] == READY))
        if self.champion is not None:
            for row in np.flatnonzero(self.table.rows["status"] == QUEUED):
                self._join(int(row), slot)
            self.table.shrink()
        return int(np.count_nonzero(self.table.rows["status"] == READY)) - before

    def apply_pending(self, slot: int) -> None:
        """Apply a training under way now, whenever it was due."""
        if self.pending is not None:
            self.apply(slot)

    # -- state -------------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON and arrays that `restore` continues from."""
        meta = {
            "apply_at": self.apply_at,
            "next_training": self.next_training,
            "trained_windows": self.trained_windows,
            "version": self.version,
            "promoted_slot": self.promoted_slot,
            "sample_rate": self.sample_rate,
            "seen_to": self.seen_to,
            "outcomes": self.outcomes,
        }
        arrays: dict[str, npt.NDArray[Any]] = {}
        if self.champion is not None:
            arrays["champion"] = np.frombuffer(self.champion.to_bytes(), np.uint8)
        if self.pending is not None:
            arrays["pending"] = np.frombuffer(self.pending.to_bytes(), np.uint8)
        return meta, arrays

    def restore(self, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Continue from what `state` returned; a training that was under way is submitted again."""
        self.apply_at, self.next_training = meta["apply_at"], meta["next_training"]
        self.trained_windows, self.version = meta["trained_windows"], meta["version"]
        self.promoted_slot, self.outcomes = meta["promoted_slot"], meta["outcomes"]
        self.sample_rate, self.seen_to = meta["sample_rate"], meta["seen_to"]
        if "champion" in arrays:
            self.champion = Bundle.from_bytes(arrays["champion"].tobytes())
            self.scorer = Scorer(self.champion)
        if "pending" in arrays:
            self.pending = TrainingRequest.from_bytes(arrays["pending"].tobytes())
            self.trainer.submit(self.pending, self.settings.model.time_limit)
