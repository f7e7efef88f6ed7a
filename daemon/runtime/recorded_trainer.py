"""Trainings whose outcomes are recorded before the engine sees them, so that recovery takes the same ones."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict

from daemon.engine.messages.training_port import AskableTrainer, Outcome, TrainingFailed, failed_as_recorded
from daemon.store import ModelChecksum, ModelUnknown, Store
from models.bundle import Bundle, BundleError
from models.training_request import TrainingRequest

log = logging.getLogger(__name__)


class StoppedError(Exception):
    """The daemon is to stop and must not wait; what it was about is journaled, so the next start takes it up."""


class RecordedTrainer:
    """Runs trainings and records what became of each, so that recovery takes the same outcome and need not train again.

    Args:
        inner: Really trains.
        store: Keeps model files and outcomes.

    Attributes:
        waiting_for: The training that `result` waits for, read by any thread; None while it waits for none.
    """

    def __init__(self, inner: AskableTrainer, store: Store) -> None:
        self._inner, self._store = inner, store
        self._submitted: dict[str, tuple[TrainingRequest, float]] = {}
        self._awaited: set[str] = set()
        self.waiting_for: str | None = None
        self._interrupted = threading.Event()

    def close(self) -> None:
        """From any thread: end what is being trained; from now on only recorded outcomes are given out."""
        self._interrupted.set()  # before the trainer is closed, whose `killed` must not count as a failure
        self._inner.close()

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """Begin a training, unless its outcome is recorded already."""
        self._submitted[request.id] = (request, time_limit_s)
        self._awaited.discard(request.id)
        if self._store.outcome(request.id) is None:
            self._begin(request, time_limit_s)

    def result(self, request_id: str) -> Outcome:
        """The outcome, recorded before it is given out.

        Raises:
            StoppedError: There is none, and `close` was called.
        """
        if (recorded := self._known(request_id)) is not None:
            return recorded
        outcome = self._wait(request_id)
        self._record(self._leave(request_id), outcome)
        return outcome

    def look(self, request_id: str, call: Callable[[], None]) -> Outcome | None:
        """As `result`, but None where there is none yet: `call` is called, from any thread, once there is."""
        first = request_id not in self._awaited
        if (recorded := self._known(request_id)) is not None:
            return recorded
        if self._interrupted.is_set():
            raise StoppedError(f"training {request_id}")
        return self.result(request_id) if self._inner.ready(request_id, call if first else None) else None

    def _known(self, request_id: str) -> Outcome | None:
        """The outcome where it is recorded; looked for when it is first asked for, then the training is awaited."""
        if request_id in self._awaited:
            return None
        recorded = self._recorded(request_id)
        if recorded is not None:
            self._leave(request_id)
            return recorded
        if self._store.outcome(request_id) is not None:  # recorded, but its file is gone or damaged: train it again
            self._begin(*self._submitted[request_id])
        self._awaited.add(request_id)
        return None

    def _leave(self, request_id: str) -> TrainingRequest:
        self._awaited.discard(request_id)
        return self._submitted.pop(request_id)[0]

    def _begin(self, request: TrainingRequest, time_limit_s: float) -> None:
        log.info("training begins", extra={"request": request.id, "stream": request.stream, "windows": len(request.x)})
        try:
            self._inner.submit(request, time_limit_s)
        except RuntimeError:  # it is closed
            if not self._interrupted.is_set():
                raise

    def _wait(self, request_id: str) -> Outcome:
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

    def _recorded(self, request_id: str) -> Outcome | None:
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

    def _record(self, request: TrainingRequest, outcome: Outcome) -> None:
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
