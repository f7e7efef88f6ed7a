"""The engine with its memory: every input is journaled before it is applied, and recovery repeats the journal.

    state now = last checkpoint + journal since then

The daemon, `train --from` and `replay --state` drive an engine that has a state directory by `DurableEngine`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from adapters.base import Position
from daemon.config.change import RefusedError
from daemon.config.file import effective
from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine, StepResult, essential
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Command, Configured, Input, Labelled, Promoted, PromotionReason
from daemon.engine.messages.training_port import Trainer
from daemon.runtime.recorded_trainer import RecordedTrainer
from daemon.runtime.recovery import load, start_over
from daemon.runtime.repetition import Progress, repeat
from daemon.runtime.versions import Versions, champion, configured
from daemon.store import ModelRecord, Store
from models.bundle_errors import BundleError, OwnModelError


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

    Attributes:
        engine: The engine; read it between calls only.
        seq: Journal entry that the engine's state includes.
    """

    def __init__(
        self, store: Store, trainer: Trainer, observe: Observe = lambda name, seconds, stream="": None
    ) -> None:
        self.store, self._observe = store, observe
        self.trainer = RecordedTrainer(trainer, store)
        self.engine = Engine(self.trainer)
        self.versions = Versions(store)
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
            for seq, result in repeat(self.store, self._step, start, progress):
                if seq > said:
                    self.store.record_events(result.events)
        except (ValueError, KeyError, TypeError, BundleError) as error:
            if self.seq >= said or isinstance(error, OwnModelError):
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
        wanted, promotions = effective(settings), configured(self.engine, settings, now_ms)
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
        """As `apply`; what the engine made of each input."""
        began = time.monotonic()
        numbers = self.store.append(items, positions, now_ms)
        self._observe("journal", time.monotonic() - began)
        results: list[StepResult] = []
        for seq, item in zip(numbers, items, strict=True):
            began = time.monotonic()
            results.append(self._step(seq, item))
            if isinstance(item, Batch):
                self._observe("scoring", time.monotonic() - began, item.stream)
        self.store.record_events([event for result in results for event in result.events])
        return results

    def _step(self, seq: int, item: Input) -> StepResult:
        """Apply an entry of the journal and record what it means for models and labels; again, it records the same."""
        before = champion(self.engine, item.stream) if isinstance(item, Promoted) else None
        result = self.engine.step(item)
        self.seq = seq
        self.versions.record(self.engine, seq, item, before, result)
        if isinstance(item, Labelled):
            self.store.record_label(seq, item)
        return result

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
        """Write the state to disk. Raises StoreError when that fails; earlier checkpoints are as they were."""
        self.store.write_checkpoint(self.seq, self.engine.dump())
        for stream in self.engine.streams:
            self.versions.retain(self.engine, stream)

    def digest(self) -> str:
        """SHA-256 of the engine's dump: equal states, equal digests."""
        return hashlib.sha256(self.engine.dump()).hexdigest()
