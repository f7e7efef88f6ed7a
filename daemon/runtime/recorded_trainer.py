"""Trainings whose outcomes are recorded before the engine sees them, so that recovery takes the same ones."""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict

from daemon.engine.messages.training_port import Trainer, TrainingFailed, failed_as_recorded
from daemon.store import ModelChecksum, ModelUnknown, Store
from models.bundle import Bundle, BundleError
from models.training import TrainingRequest

log = logging.getLogger(__name__)


class StoppedError(Exception):
    """The daemon is to stop and must not wait; what it was about is journaled, so the next start takes it up."""


class RecordedTrainer:
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
