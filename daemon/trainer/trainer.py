"""Where trainings run: in this process, or in a niced worker process that may hang, die or be killed.

The worker is started by the first request and ends when it has had none for a minute: it takes two seconds to start,
and hundreds of megabytes as long as it is there. A thread of its own starts it, feeds it one request at a time and
kills it when a request passes its time limit; it must be one thread for the worker's whole life, because the kernel's
death signal follows the parent *thread*. While a training keeps others waiting for long there are spare workers. The
worker's own code is in `daemon.trainer.worker`.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess

from daemon.engine.messages.training_port import Outcome, TrainingFailed
from daemon.trainer.worker import (
    BUNDLE,
    GROUP_SIGNALS,
    failure_of,
    one_line,
    outcome_of,
    work,
)
from models.bundle import Bundle
from models.training_request import TrainingRequest


class InlineTrainer:
    """Trains in this process when the result is asked for; time limits do not apply."""

    def __init__(self) -> None:
        self._requests: dict[str, TrainingRequest] = {}

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """See Trainer.submit; `time_limit_s` has no effect."""
        self._requests[request.id] = request

    def result(self, request_id: str) -> Outcome:
        """See Trainer.result."""
        return outcome_of(self._requests.pop(request_id))

    def ready(self, request_id: str, call: Callable[[], None] | None = None) -> bool:
        """See AskableTrainer.ready; nobody else trains, so there is nothing to wait for."""
        return request_id in self._requests

    def close(self) -> None:
        """See Trainer.close."""
        self._requests.clear()


@dataclass(frozen=True)
class _Job:
    request: TrainingRequest
    time_limit_s: float
    outcome: Future[Outcome]
    begun: threading.Event


_CLOSED = TrainingFailed("killed", "the trainer was closed")

WORKERS = 4
"""Most workers at a time; more than one are there only while a training keeps others waiting."""
SPARE_AFTER_S = 5.0
"""Seconds that a training waits for others before a spare worker is started for it."""
IDLE_S = 60.0
"""Seconds without a training after which a worker ends."""


class WorkerTrainer:
    """Trains in a worker process, started when first needed, and anew when it has died, was killed or was idle.

    A training that hangs must not hold back those of other streams: where one has waited for long, a spare worker
    takes it.

    Args:
        start_limit_s: Seconds a worker may take to start or to accept a request before it is killed.
        observe: Called with the stream and the seconds of each training, from a thread of its own.
        spare_after_s: Seconds that a training waits before a spare worker is started.
    """

    def __init__(
        self,
        start_limit_s: float = 120.0,
        observe: Callable[[str, float], None] = lambda stream, seconds: None,
        spare_after_s: float = SPARE_AFTER_S,
    ) -> None:
        self._spare_after_s = spare_after_s
        self._outcomes: dict[str, Future[Outcome]] = {}
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing, self._lock = threading.Event(), threading.Lock()
        self._lane = partial(_Lane, self._jobs, self._closing, start_limit_s, observe)
        self._lanes = [self._lane(spare=False)]
        # before multiprocessing's own exit handler, which waits for workers that ignore its SIGTERM
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        """Process id of the worker that is no spare one; None while there is none."""
        worker = self._lanes[0].worker
        return None if worker is None else worker.pid

    def running(self) -> str | None:
        """Id of a training that runs now; None when idle."""
        return next((lane.running for lane in self._lanes if lane.running is not None), None)

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """See Trainer.submit.

        Raises:
            RuntimeError: The trainer is closed.
        """
        if self._closing.is_set():
            raise RuntimeError(f"{request.id} was submitted to a trainer that is closed")
        job = _Job(request, time_limit_s, Future(), threading.Event())
        waits = any(not outcome.done() for outcome in self._outcomes.values())
        self._outcomes[request.id] = job.outcome
        self._jobs.put(job)
        if waits:
            self._help_later(job)

    def _help_later(self, job: _Job) -> None:
        timer = threading.Timer(self._spare_after_s, self._help, [job])
        timer.daemon = True
        timer.start()

    def _help(self, job: _Job) -> None:
        """Start a spare worker if a job still waits, and not for a worker that starts: so would a spare."""
        with self._lock:
            self._lanes[1:] = [lane for lane in self._lanes[1:] if lane.thread.is_alive()]
            if job.begun.is_set() or self._closing.is_set() or len(self._lanes) >= WORKERS:
                return
            if any(lane.starting for lane in self._lanes):
                self._help_later(job)
            else:
                self._lanes.append(self._lane(spare=True))

    def result(self, request_id: str) -> Outcome:
        """See Trainer.result."""
        outcome = self._outcomes[request_id].result()
        self._outcomes.pop(request_id, None)
        return outcome

    def ready(self, request_id: str, call: Callable[[], None] | None = None) -> bool:
        """See AskableTrainer.ready."""
        outcome = self._outcomes[request_id]
        if outcome.done():
            return True
        if call is not None:
            outcome.add_done_callback(lambda _: call())
        return False

    def close(self) -> None:
        """See Trainer.close."""
        atexit.unregister(self.close)
        self._closing.set()
        with self._lock:
            lanes = list(self._lanes)
        for lane in lanes:
            if (worker := lane.worker) is not None:
                worker.kill()
            self._jobs.put(None)
        for lane in lanes:
            lane.thread.join()


class _Lane:
    """A thread that keeps one worker and gives it one job at a time.

    Args:
        jobs: What is to be done, for all lanes.
        closing: Set when the trainer is closed.
        start_limit_s, observe: As the trainer's.
        spare: Whether it ends with its worker when there is nothing to do.
    """

    def __init__(
        self,
        jobs: queue.SimpleQueue[_Job | None],
        closing: threading.Event,
        start_limit_s: float,
        observe: Callable[[str, float], None],
        *,
        spare: bool,
    ) -> None:
        self._jobs, self._closing, self._start_limit_s, self._observe = jobs, closing, start_limit_s, observe
        self._spare = spare
        self.running: str | None = None
        self.worker: _Worker | None = None
        self.starting = False
        self._start_error = ""
        self.thread = threading.Thread(target=self._serve, name="trainer", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        """The thread: gives its worker one job at a time, and ends it when there has been none for long."""
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_S if self._spare or self.worker is not None else None)
            except queue.Empty:
                self._discard()
                if self._spare:
                    return None
                continue
            if job is None:
                return self._discard()
            job.begun.set()
            began = time.monotonic()
            outcome = self._run(job)
            self._observe(job.request.stream, time.monotonic() - began)
            self.running = None
            job.outcome.set_result(outcome)

    def _run(self, job: _Job) -> Outcome:
        """One job's outcome; whatever goes wrong becomes a TrainingFailed, so that nobody waits for ever."""
        if self._closing.is_set():
            return _CLOSED
        try:
            worker = self._begin(job.request.to_bytes())
            if worker is None:
                outcome: Outcome = TrainingFailed("error", self._start_error)
            else:
                self.running = job.request.id
                outcome = worker.outcome(job.request.id, job.time_limit_s)
        except (OSError, EOFError) as error:
            outcome = self._death(error)
        except Exception as error:  # the thread must outlive anything, such as a request that cannot be packed
            outcome = TrainingFailed("error", one_line(error))
        if isinstance(outcome, TrainingFailed):
            if self._closing.is_set():
                return _CLOSED
            if outcome.reason in ("killed", "timeout"):
                self._discard()
        return outcome

    def _begin(self, request: bytes) -> _Worker | None:
        """The worker that began on a request; None when none could be started.

        A worker that was killed while idle may look alive until it is given a request, because the kernel ends a
        process thread by thread. No training is lost with it, so the request goes to a new worker.

        Raises:
            OSError, EOFError: The new worker died, too.
        """
        if self.worker is not None:
            try:
                self.worker.assign(request, self._start_limit_s)
            except (OSError, EOFError):
                if self._closing.is_set():
                    raise
            else:
                return self.worker
        self.starting = True
        try:
            self._restart()
            if self.worker is not None:
                self.worker.assign(request, self._start_limit_s)
        finally:
            self.starting = False
        return self.worker

    def _death(self, error: BaseException) -> TrainingFailed:
        """What is known of a worker whose pipe broke."""
        worker = self.worker
        if worker is None:
            return TrainingFailed("killed", one_line(error))
        worker.process.join(1)
        return TrainingFailed("killed", f"the worker process died with exit code {worker.process.exitcode}")

    def _restart(self) -> None:
        self._discard()
        try:
            # Before the worker, because starting it would unblock the signals again. What is blocked here is blocked in
            # the worker from its first instruction, so that Ctrl-C on the daemon's terminal cannot hit it at its start.
            resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
            self.worker = _Worker()
        except Exception as error:  # the next job tries again and reports it
            self._start_error = f"no worker process could be started: {one_line(error)}"
        if self._closing.is_set():
            self._discard()

    def _discard(self) -> None:
        if self.worker is not None:
            self.worker.close()
            self.worker = None


class _Worker:
    """The parent's end of one worker process."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=work, args=(theirs,), name="tidegauge-trainer", daemon=True)
        try:
            self.process.start()
        except BaseException:
            self.pipe.close()
            raise
        finally:
            theirs.close()  # else the worker's death would not end the pipe
        self.pid = self.process.pid
        self._ready = False

    def assign(self, request: bytes, start_limit_s: float) -> None:
        """Gives it a request and waits until it has begun on it.

        Raises:
            OSError, EOFError: It died, or took longer than the limit and was killed.
        """
        with self._killed_after(start_limit_s):  # a worker that is stopped takes no bytes, and send would hang
            if not self._ready:
                self.pipe.recv_bytes()
                self._ready = True
            self.pipe.send_bytes(request)
            self.pipe.recv_bytes()

    def outcome(self, request_id: str, time_limit_s: float) -> Outcome:
        """What comes of the request that it took; past the limit it is killed.

        Raises:
            OSError, EOFError: It died.
        """
        if not self.pipe.poll(time_limit_s):
            self.kill()
            return TrainingFailed("timeout", f"{request_id} ran longer than {time_limit_s:g} s")
        answer = self.pipe.recv_bytes()
        if answer[:1] == BUNDLE:
            return Bundle.from_bytes(answer[1:])
        return failure_of(answer)

    def kill(self) -> None:
        """Any thread may call it, at any time."""
        with contextlib.suppress(ValueError):  # closed meanwhile
            self.process.kill()

    def close(self) -> None:
        self.kill()
        self.process.join()
        self.process.close()
        self.pipe.close()

    @contextlib.contextmanager
    def _killed_after(self, limit_s: float) -> Iterator[None]:
        timer = threading.Timer(limit_s, self.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
