"""The engine with its memory: every input is journaled before it is applied, and recovery repeats the journal.

    state now = last checkpoint + journal since then

A stream whose next step needs the outcome of a training falls behind where the caller does not want to wait: what comes
for it is journaled, the others go on, and `advance` takes it up again (`daemon.runtime.backlog`).

The daemon, `train --from` and `replay --state` drive an engine that has a state directory by `DurableEngine`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from adapters.base import Position
from daemon.config.change import RefusedError
from daemon.config.file import effective
from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine, StepResult, essential
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import (
    Batch,
    Command,
    Configured,
    Excluded,
    Input,
    Labelled,
    Promoted,
    PromotionReason,
)
from daemon.engine.messages.training_port import AskableTrainer, Outcome
from daemon.runtime.backlog import Behind, Work
from daemon.runtime.course_recorder import CourseRecorder
from daemon.runtime.past import NoPastError, Past
from daemon.runtime.recorded_trainer import RecordedTrainer
from daemon.runtime.recovery import load, start_over
from daemon.runtime.repetition import Progress, concerning, repeat
from daemon.runtime.versions import Versions, champion, configured
from daemon.store import ModelRecord, Store
from models.bundle_errors import BundleError, OwnModelError

log = logging.getLogger(__name__)

SLICE_S = 0.1
"""About how long one stream that makes up for what it has not applied keeps the others waiting."""


class Observe(Protocol):
    """Takes how long something took."""

    def __call__(self, name: str, seconds: float, stream: str = "") -> None:
        """`name` is `journal` or `scoring`."""


class DurableEngine:
    """An engine whose inputs are journaled and whose events are recorded.

    Args:
        store: The state directory, open for writing.
        trainer: Runs trainings.
        observe: Called with `journal` or `scoring`, the seconds it took, and the stream it was for.
        wake: Called from any thread when `advance` finds something to do; None: calls wait for trainings, and no
            stream falls behind.

    Attributes:
        engine: The engine; read it between calls only. A stream that is behind may be in the middle of an input.
        seq: Journal entry that the engine's state includes, but of streams that are behind.
        behind: Those, by name.
        repeating: Called with entries done and in all while a past is repeated without what was taken out.
        courses: What was read, expected and scored of each series, kept for charts.
    """

    def __init__(
        self,
        store: Store,
        trainer: AskableTrainer,
        observe: Observe = lambda name, seconds, stream="": None,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self.store, self._observe, self._wake = store, observe, wake
        self.behind: dict[str, Behind] = {}
        self.repeating: Progress = lambda done, total: None
        self._said = 0
        self.trainer = RecordedTrainer(trainer, store)
        self.engine = Engine(self.trainer)
        self.versions = Versions(store)
        self.courses = CourseRecorder(store.directory)
        self.seq = 0

    def recover(self, progress: Progress = lambda done, total: None) -> int:
        """Load the last sound checkpoint and repeat the journal since; returns the number of entries repeated.

        A state of another version is rebuilt from the journal (`daemon.runtime.recovery`).

        Raises:
            RefusedError: A configuration in the state or the journal cannot be taken here; the directory is as it was.
        """
        try:
            loaded = load(self.store, self.trainer)
            self.engine, self.seq = loaded.engine, loaded.seq
            self.courses.watch(self.engine)
            return self._repeat(progress)
        except RefusedError as error:
            raise RefusedError(
                f"state in {self.store.directory}, after entry {self.seq} of its journal: {error}; or start the "
                "tidegauge that wrote it, on a machine like its own"
            ) from error

    def _repeat(self, progress: Progress) -> int:
        """Apply the journal's entries that the state lacks; returns how many."""
        start, self._said = self.seq, self.store.said_through
        try:
            for seq, result in repeat(self.store, self._offer, start, progress):
                self._record(seq, result)
        except (ValueError, KeyError, TypeError, BundleError) as error:
            if self.seq >= self._said or isinstance(error, OwnModelError):
                raise
            fresh = start_over(self.store, self.trainer, error)
            self.engine, self.seq = fresh.engine, fresh.seq
            self.courses.watch(self.engine)
        return self.seq - start

    def configure(self, settings: Settings, now_ms: int) -> None:
        """Bring the engine under `settings`: journal them when they differ, and put configured bundles into service.

        Raises:
            RefusedError: A key changed that the state was built on, or memory is too small; nothing is changed then.
            BundleError: A configured bundle cannot be read or does not fit; nothing is changed then.
        """
        wanted, promotions = effective(settings), configured(self.engine, settings, now_ms)
        if self.behind and (promotions or essential(wanted) != self.engine.config):
            self.settle()
            promotions = configured(self.engine, settings, now_ms)
        if essential(wanted) != self.engine.config:
            self._check(wanted)
            self.apply([Configured(wanted, now_ms)], {}, now_ms)
        for item in promotions:
            self.apply([item], {}, now_ms)

    def _check(self, config: dict[str, Any]) -> None:
        """Whether the engine can be brought under a configuration: what is journaled must be applicable."""
        try:
            self.engine.check(config)
        except RefusedError as error:
            raise RefusedError(f"state in {self.store.directory}: {error}") from error

    def apply(
        self, items: Sequence[Input], positions: Mapping[str, Mapping[str, Position]], now_ms: int
    ) -> list[Event]:
        """Journal inputs with the positions they bring the sources to, apply them, and record their events.

        Raises:
            StoreError: The store failed, for lack of room too where `store.when_full` gives up; the process should end
                and recover, for the inputs may be journaled already.
        """
        return [event for result in self._apply(items, positions, now_ms) for event in result.events]

    def _apply(
        self, items: Sequence[Input], positions: Mapping[str, Mapping[str, Position]], now_ms: int
    ) -> list[StepResult]:
        """As `apply`; what the engine made of each input so far."""
        began = time.monotonic()
        numbers = self.store.append(items, positions, now_ms)
        self._observe("journal", time.monotonic() - began)
        results = [self._offer(seq, item) for seq, item in zip(numbers, items, strict=True)]
        self.store.record_events([event for result in results for event in result.events])
        return results

    def _offer(self, seq: int, item: Input) -> StepResult:
        """Apply an entry of the journal to the streams that it concerns and that are not behind."""
        if isinstance(item, Configured):
            self.settle()
            result = self.engine.step(item)
            self.courses.watch(self.engine)
        elif isinstance(item, Excluded):
            result = self._without(seq, item)
        else:
            parts = [self._give(name, seq, item) for name in self.engine.concerned(item)]
            result = StepResult.of(part for part in parts if part is not None)
        self.seq = seq
        return result

    def _without(self, seq: int, item: Excluded) -> StepResult:
        """Take a period out of what a stream has learned: repeat its past without it; again, the same."""
        self._settle(item.stream)
        stream = self.engine.streams[item.stream]
        past = Past(self.store, self.trainer, on_entry=self.versions.record, progress=self.repeating)
        try:
            self.engine.streams[item.stream], events = past.without(stream, stream.exclusion(item), seq)
        except NoPastError as error:
            log.error("what was learned of an excluded period stays", extra={"entry": seq, "error": str(error)})
            return self.engine.step(item)
        self.courses.watch(self.engine)
        self.store.withdraw_models(item.stream, item.since, seq)
        if (serving := champion(self.engine, item.stream)) is not None:
            self.store.serve_model(item.stream, serving, seq)
        return StepResult(events)

    def _give(self, stream: str, seq: int, item: Input) -> StepResult | None:
        """Apply an entry to one stream; None where that is to be done later."""
        if (behind := self.behind.get(stream)) is not None:
            behind.journaled(item)
            return None
        work = self._work(stream, seq, item)
        result = self._go_on(stream, work)
        if result is None:
            self.behind[stream] = behind = Behind(work, seq)
            behind.wait()
        return result

    def _work(self, stream: str, seq: int, item: Input) -> Work:
        before = champion(self.engine, stream) if isinstance(item, Promoted) else None
        return Work(seq, item, self.engine.begin(stream, item), before)

    def _go_on(self, stream: str, work: Work, *, wait: bool = False) -> StepResult | None:
        """Go on with an input up to its end, and record what it means for models and labels; again, the same.

        None where the next outcome is not there yet, unless `wait`.
        """
        began, outcome = time.monotonic(), None
        try:
            while work.asked is None or (outcome := self._outcome(work.asked, wait)) is not None:
                work.asked = next(work.steps) if outcome is None else work.steps.send(outcome)
        except StopIteration as done:
            result: StepResult = done.value
        else:
            work.spent_s += time.monotonic() - began
            return None
        if isinstance(work.item, Batch):
            self._observe("scoring", work.spent_s + time.monotonic() - began, stream)
        self.versions.record(self.engine, work.seq, work.item, work.champion, result)
        if isinstance(work.item, Labelled):
            self.store.record_label(work.seq, work.item)
        return result

    def _outcome(self, request_id: str, wait: bool) -> Outcome | None:
        """A training's outcome; what another version has said already is repeated as a whole, before anything else."""
        if self._wake is None or wait or self.seq < self._said:
            return self.trainer.result(request_id)
        return self.trainer.look(request_id, self._wake)

    def _record(self, seq: int, result: StepResult) -> None:
        """Record events, unless another version has said what the entry causes."""
        if seq > self._said:
            self.store.record_events(result.events)

    # -- streams that are behind -------------------------------------------------------------------------------------

    def advance(self) -> bool:
        """Go on with each stream that is behind for a moment, if it can; returns whether one could."""
        went_on = [self._catch_up(name, SLICE_S) for name in sorted(self.behind)]
        return any(went_on)

    def settle(self) -> None:
        """Wait until no stream is behind any more."""
        for name in sorted(self.behind):
            self._settle(name)

    def _settle(self, stream: str) -> None:
        while stream in self.behind:
            self._catch_up(stream, SLICE_S, wait=True)

    def _catch_up(self, stream: str, for_s: float, *, wait: bool = False) -> bool:
        """Apply what waits for a stream, up to the next outcome that is not there and not for much longer than `for_s`.

        Returns:
            Whether there was anything to do.
        """
        behind, until, done = self.behind[stream], time.monotonic() + for_s, False
        while True:
            if (work := behind.work) is not None:
                asked = work.asked
                if (result := self._go_on(stream, work, wait=wait)) is None:
                    if asked != work.asked:
                        behind.wait()
                    return done or asked != work.asked
                behind.applied()
                self._record(work.seq, result)
                done = True
            elif time.monotonic() >= until:
                return True
            elif (found := self._next(stream, behind)) is None:
                del self.behind[stream]
                return True
            else:
                behind.put(self._work(stream, *found))

    def _next(self, stream: str, behind: Behind) -> tuple[int, Input] | None:
        """The next input of a stream that is behind, from the journal; None when all are applied."""
        found = next(behind.entries, None)
        while found is None and behind.through < self.seq:
            after, behind.through = behind.through, self.seq
            behind.entries = concerning(self.store, self.engine, stream, after, self.seq)
            found = next(behind.entries, None)
        return found

    def version(self, stream: str) -> int | None:
        """Number of the model in service among the stream's versions; None where no model serves."""
        return self.versions.serving(self.engine, stream)

    def serve(self, stream: str, version: int | None, now_ms: int) -> ModelRecord:
        """What an operator asks for: `promote` a version, or `roll_back` where none is named."""
        return self.roll_back(stream, now_ms) if version is None else self.promote(stream, version, now_ms)

    def promote(self, stream: str, version: int, now_ms: int) -> ModelRecord:
        """Put a recorded model into service, through the journal; its statistics stay the stream's.

        Raises:
            ModelUnknown, ModelChecksum, BundleError: As `Versions.promotion`; nothing was journaled.
        """
        return self._serve(stream, version, "promote", now_ms)

    def roll_back(self, stream: str, now_ms: int) -> ModelRecord:
        """Put the last promoted version before the one in service back, through the journal; raises as `promote`."""
        return self._serve(stream, self.versions.before(self.engine, stream), "rollback", now_ms)

    def _serve(self, stream: str, version: int, reason: PromotionReason, now_ms: int) -> ModelRecord:
        self.apply([self.versions.promotion(self.engine, stream, version, reason, now_ms)], {}, now_ms)
        return next(record for record in self.store.models(stream) if record.version == version)

    def warm_up(self, streams: Iterable[str], now_ms: int) -> int:
        """End the warm-up of streams with the history there is; returns how many series became ready."""
        ended = [self._apply([Command("warm_up", stream, now_ms)], {}, now_ms) for stream in streams]
        return sum(result.joined for results in ended for result in results)

    def checkpoint(self) -> None:
        """Write the state to disk, and wait for streams that are behind before.

        Raises:
            StoreError: It cannot be written; earlier checkpoints are as they were.
        """
        self.settle()
        self.courses.flush()
        self.store.write_checkpoint(self.seq, self.engine.dump())
        for stream in self.engine.streams:
            self.versions.retain(self.engine, stream)

    def digest(self) -> str:
        """SHA-256 of the engine's state: equal states, equal digests."""
        return self.engine.digest()
