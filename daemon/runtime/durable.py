"""The engine with its memory: every input is journaled before it is applied, and recovery repeats the journal.

    state now = last checkpoint + journal since then

This is the only place where engine, store and trainer meet; the daemon, `train --from` and `replay --state` all use it.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from adapters.base import Position
from daemon.config.changing import RefusedError
from daemon.config.file import effective
from daemon.config.settings import Settings
from daemon.engine.engine import Engine, StepResult, essential
from daemon.engine.events import Event
from daemon.engine.inputs import Batch, Command, Configured, Input, Promoted, PromotionReason
from daemon.engine.training_port import Trainer, TrainingFailed, failed_as_recorded
from daemon.learning.promoting import check_fit
from daemon.runtime.loading import load, start_over
from daemon.store import ModelChecksum, ModelRecord, ModelUnknown, Store
from models.bundle import Bundle, BundleError, Scorer, read_bundle
from models.training import TrainingRequest

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with entries done and entries in all."""


class Observe(Protocol):
    """Takes how long something took."""

    def __call__(self, name: str, seconds: float, stream: str = "") -> None:
        """`name` is `journal` or `scoring`."""


class StoppedError(Exception):
    """The daemon is to stop and must not wait; what it was about is journaled, so the next start takes it up."""


class RememberingTrainer:
    """Runs trainings and records what became of each, so that recovery takes the same outcome and need not train again.

    Args:
        inner: Really trains.
        store: Keeps model files and outcomes.
    """

    def __init__(self, inner: Trainer, store: Store) -> None:
        self._inner, self._store = inner, store
        self._submitted: dict[str, tuple[TrainingRequest, float]] = {}
        self.waiting_for: str | None = None
        self._interrupted = threading.Event()

    def close(self) -> None:
        """From any thread: end what is being trained; from now on only recorded outcomes are given out."""
        self._interrupted.set()  # before the trainer is closed, whose `killed` must not count as a failure
        self._inner.close()

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """Begin a training, unless its outcome is recorded already."""
        self._submitted[request.id] = (request, time_limit_s)
        if self._store.outcome(request.id) is None:
            self._begin(request, time_limit_s)

    def result(self, request_id: str) -> Bundle | TrainingFailed:
        """The outcome, recorded before it is given out.

        Raises:
            StoppedError: There is none, and `close` was called.
        """
        request, time_limit_s = self._submitted.pop(request_id)
        recorded = self._recorded(request_id)
        if recorded is not None:
            return recorded
        if self._store.outcome(request_id) is not None:  # recorded, but its file is gone or damaged: train it again
            self._begin(request, time_limit_s)
        outcome = self._wait(request_id)
        self._record(request, outcome)
        return outcome

    def _begin(self, request: TrainingRequest, time_limit_s: float) -> None:
        try:
            self._inner.submit(request, time_limit_s)
        except RuntimeError:  # it is closed
            if not self._interrupted.is_set():
                raise

    def _wait(self, request_id: str) -> Bundle | TrainingFailed:
        if self._interrupted.is_set():
            raise StoppedError(f"training {request_id}")
        self.waiting_for = request_id
        try:
            outcome = self._inner.result(request_id)
        finally:
            self.waiting_for = None
        if isinstance(outcome, TrainingFailed) and self._interrupted.is_set():
            raise StoppedError(f"training {request_id}")
        return outcome

    def _recorded(self, request_id: str) -> Bundle | TrainingFailed | None:
        record = self._store.outcome(request_id)
        if record is None:
            return None
        if record.status == "failed":
            return failed_as_recorded(record.reason, record.detail)
        try:
            return Bundle.from_file_bytes(self._store.read_model_of(request_id), record.sha256)
        except ModelUnknown:
            return None  # no longer kept
        except (ModelChecksum, BundleError, OSError) as error:
            log.error("model file damaged, training it again", extra={"request": request_id, "error": str(error)})
            return None

    def _record(self, request: TrainingRequest, outcome: Bundle | TrainingFailed) -> None:
        if isinstance(outcome, TrainingFailed):
            log.warning("training failed", extra={"request": request.id, **asdict(outcome)})
            self._store.record_failure(request.stream, request.id, outcome.reason, outcome.detail)
            return
        self._store.put_model(
            request.stream,
            request.id,
            outcome.to_file_bytes(),
            digest=outcome.digest,
            manifest=asdict(outcome.manifest),
            outcome="candidate",  # until the engine's gate has judged it, within the same step
        )


class DurableEngine:
    """An engine whose inputs are journaled and whose events are recorded.

    Args:
        store: The state directory, open for writing.
        trainer: Runs trainings.
        observe: Called with `journal` or `scoring`, the seconds it took, and the stream it was for.

    Attributes:
        engine: The engine; read it between calls only.
        seq: Journal entry that the engine's state includes.
    """

    def __init__(
        self, store: Store, trainer: Trainer, observe: Observe = lambda name, seconds, stream="": None
    ) -> None:
        self.store, self._observe = store, observe
        self.trainer = RememberingTrainer(trainer, store)
        self.engine = Engine(self.trainer)
        self.seq = 0
        self._serving: dict[str, tuple[str, int | None]] = {}

    def recover(self, progress: Progress = lambda done, total: None) -> int:
        """Load the last sound checkpoint and repeat the journal since; returns the number of entries repeated.

        A state of another version is rebuilt from the journal (`daemon.runtime.loading`).

        Raises:
            RefusedError: A configuration in the state or the journal cannot be taken here; the directory is as it was.
        """
        try:
            loaded = load(self.store, self.trainer)
            self.engine, self.seq = loaded.engine, loaded.seq
            return self._repeat(progress)
        except RefusedError as error:
            raise RefusedError(
                f"state in {self.store.directory}, after entry {self.seq} of its journal: {error}; or start the "
                "tidegauge that wrote it, on a machine like its own"
            ) from error

    def _repeat(self, progress: Progress) -> int:
        """Apply the journal's entries that the state lacks; returns how many."""
        start, said = self.seq, self.store.said_through
        try:
            for seq, item in self.store.entries(start):
                events = self._step(seq, item).events
                if seq > said:
                    self.store.record_events(events)
                progress(seq - start, self.store.last_seq - start)
        except (ValueError, KeyError, TypeError, BundleError) as error:
            if self.seq >= said:
                raise
            fresh = start_over(self.store, self.trainer, error)
            self.engine, self.seq = fresh.engine, fresh.seq
        return self.seq - start

    def configure(self, settings: Settings, now_ms: int) -> None:
        """Bring the engine under `settings`: journal them when they differ, and put configured bundles into service.

        Raises:
            RefusedError: A key changed that the state was built on, or memory is too small; nothing is changed then.
            BundleError: A configured bundle cannot be read or does not fit; nothing is changed then.
        """
        wanted, promotions = effective(settings), self._promotions(settings, now_ms)
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

    def _promotions(self, settings: Settings, now_ms: int) -> list[Promoted]:
        """Inputs that put configured bundles into service where no model is, each checked before it is journaled."""
        found = []
        for name, stream in settings.streams.items():
            served = name in self.engine.streams and self.engine.streams[name].learner.champion is not None
            if stream.model.bundle is None or served:
                continue
            item = promotion(name, stream.model.bundle, now_ms)
            bundle = Bundle.from_bytes(item.content)
            try:
                check_fit(bundle, name, stream)
            except ValueError as error:
                raise BundleError(f"streams.{name}.model.bundle is {stream.model.bundle}: {error}") from error
            Scorer(bundle)
            found.append(item)
        return found

    def apply(
        self, items: Sequence[Input], positions: Mapping[str, Mapping[str, Position]], now_ms: int
    ) -> list[Event]:
        """Journal inputs with the positions they bring the sources to, apply them, and record their events.

        Raises:
            StoreError: The store failed, for lack of room too where `store.when_full` gives up; the process should end
                and recover, for the inputs may be journaled already.
        """
        began = time.monotonic()
        numbers = self.store.append(items, positions, now_ms)
        self._observe("journal", time.monotonic() - began)
        events: list[Event] = []
        for seq, item in zip(numbers, items, strict=True):
            began = time.monotonic()
            events += self._step(seq, item).events
            if isinstance(item, Batch):
                self._observe("scoring", time.monotonic() - began, item.stream)
        self.store.record_events(events)
        return events

    def _step(self, seq: int, item: Input) -> StepResult:
        """Apply an entry of the journal, and record what that means for the models; repeating it records the same."""
        before = self._champion(item.stream) if isinstance(item, Promoted) else None
        result = self.engine.step(item)
        self.seq = seq
        for judged in result.judged:
            verdict = asdict(judged.verdict)
            if not judged.verdict.passed:
                log.warning("model refused by the gate", extra={"request": judged.request_id, **verdict})
            status = "promoted" if judged.verdict.passed else "rejected"
            self.store.judge_model(judged.request_id, status, seq, verdict)
            self._retain(judged.stream)
        for back in result.rolled_back:
            log.warning("promotion taken back", extra=asdict(back))
            self.store.serve_model(back.stream, back.serving, seq, back.gone, back.numbers)
        if isinstance(item, Promoted):
            self._record_promoted(seq, item, before)
        return result

    def _record_promoted(self, seq: int, item: Promoted, before: str | None) -> None:
        """Record which model an input brought into service; a bundle from elsewhere becomes the stream's next version.

        Args:
            seq: The input's journal entry.
            item: The input.
            before: Digest of the bundle that served until then.
        """
        bundle = self.engine.streams[item.stream].learner.champion
        assert bundle is not None, "it serves since this entry"
        if self._version_of(item.stream, bundle.digest) is None:
            self.store.put_model(
                item.stream,
                f"{item.stream}/bundle/{bundle.digest}",
                bundle.to_file_bytes(),
                digest=bundle.digest,
                manifest=asdict(bundle.manifest) | {"configured": True},
                outcome="promoted",
            )
        gone = before if item.reason == "rollback" and before != bundle.digest else None
        self.store.serve_model(item.stream, bundle.digest, seq, gone)

    def version(self, stream: str) -> int | None:
        """Number of the model in service among the stream's versions; None where no model serves."""
        digest = self._champion(stream)
        if digest is None:
            return None
        known, version = self._serving.get(stream, ("", None))
        if known != digest:
            version = self._version_of(stream, digest)
            self._serving[stream] = digest, version
        return version

    def _version_of(self, stream: str, digest: str) -> int | None:
        """The newest version with this content."""
        return next((r.version for r in reversed(self.store.models(stream)) if r.version and r.digest == digest), None)

    def _retain(self, stream: str) -> None:
        """Delete model files that `model.keep` and recovery no longer ask for."""
        keep = self.engine.streams[stream].settings.model.keep
        self.store.retain_models(stream, keep, self._champion(stream))

    def _champion(self, stream: str) -> str | None:
        """Digest of the bundle in service."""
        bundle = self.engine.streams[stream].learner.champion
        return None if bundle is None else bundle.digest

    def serve(self, stream: str, version: int | None, now_ms: int) -> ModelRecord:
        """What an operator asks for: `promote` a version, or `roll_back` where none is named."""
        return self.roll_back(stream, now_ms) if version is None else self.promote(stream, version, now_ms)

    def promote(self, stream: str, version: int, now_ms: int) -> ModelRecord:
        """Put a recorded model into service, through the journal; its statistics stay the stream's.

        Raises:
            ModelUnknown: There is no such stream or version, or its file is no longer kept.
            ModelChecksum: Its file is damaged.
            BundleError: It does not fit the stream; nothing was journaled.
        """
        return self._serve(stream, version, "promote", now_ms)

    def roll_back(self, stream: str, now_ms: int) -> ModelRecord:
        """Put the last promoted version before the one in service back, through the journal; raises as `promote`."""
        self._check_known(stream)
        serving = self.version(stream)
        if serving is None:
            raise ModelUnknown(f"no version of {stream} is in service, so none is before it; promote one by its number")
        records = self.store.models(stream)
        earlier = [r.version for r in records if r.status == "promoted" and r.version and r.version < serving]
        if not earlier:
            raise ModelUnknown(f"{stream} has no promoted version before {serving}, the one in service")
        return self._serve(stream, max(earlier), "rollback", now_ms)

    def _serve(self, stream: str, version: int, reason: PromotionReason, now_ms: int) -> ModelRecord:
        self._check_known(stream)
        data = self.store.read_model(stream, version)
        bundle = Bundle.from_file_bytes(data)
        try:
            self.engine.streams[stream].learner.check(bundle)
        except ValueError as error:
            raise BundleError(str(error)) from error
        Scorer(bundle)  # raises here, not in the step: what is journaled must be applicable
        self.apply([Promoted(stream, bundle.to_bytes(), now_ms, reason)], {}, now_ms)
        return next(record for record in self.store.models(stream) if record.version == version)

    def _check_known(self, stream: str) -> None:
        if stream not in self.engine.streams:
            raise ModelUnknown(f"{self.store.directory} holds no state of stream {stream} yet, so it has no models")

    def warm_up(self, streams: Iterable[str], now_ms: int) -> int:
        """End the warm-up of streams with the history there is; returns how many series became ready."""
        joined = 0
        for stream in streams:
            command = Command("warm_up", stream, now_ms)
            (seq,) = self.store.append([command], {}, now_ms)
            result = self._step(seq, command)
            self.store.record_events(result.events)
            joined += result.joined
        return joined

    def checkpoint(self) -> None:
        """Write the state to disk. Raises StoreError when that fails; earlier checkpoints are as they were."""
        self.store.write_checkpoint(self.seq, self.engine.dump())
        for stream in self.engine.streams:
            self._retain(stream)

    def digest(self) -> str:
        """SHA-256 of the engine's dump: equal states, equal digests."""
        return hashlib.sha256(self.engine.dump()).hexdigest()


def promotion(stream: str, path: Path, now_ms: int = 0) -> Promoted:
    """The input that puts the bundle in `path` into service. Raises BundleError when it cannot be read."""
    try:
        return Promoted(stream, read_bundle(path).to_bytes(), now_ms)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
