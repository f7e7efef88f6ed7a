"""The daemon's one working thread: sources to journal to engine to events, turn by turn.

Everything here runs on that thread but `post`, `stop` and the read-only attributes. Not reading is the backpressure:
a turn takes at most one chunk of each place, so memory does not depend on how much is waiting. A stream that waits for
a training holds back itself alone: it is read and journaled within a bound, and what needs it as it will be waits too.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, BinaryIO, cast

from adapters.uploads.inbox import Inboxes
from daemon.clock import wall_ms, wall_s
from daemon.config.settings import Settings
from daemon.engine.messages.inputs import Delivered, Tick
from daemon.engine.messages.training_port import AskableTrainer
from daemon.intake.quotas import Census
from daemon.metrics.collector import Durations, Picture
from daemon.runtime.durable import DurableEngine
from daemon.runtime.precompilation import warm
from daemon.runtime.recorded_trainer import StoppedError
from daemon.service.delivery import Delivery
from daemon.service.jobs import Jobs, Settled
from daemon.service.metric_writer import MetricWriters
from daemon.service.picture import picture_of
from daemon.service.readiness import Readiness
from daemon.service.source_set import SourceSet
from daemon.store import Store, StoreError, StoreFull
from daemon.store.faults import Reached, nowhere

log = logging.getLogger(__name__)

IDLE_S = 0.1  # wait after a turn without work
FULL_S = 1.0  # wait after a turn that found no room on the disk
LOOK_ENTRIES = 64  # journal entries between two looks at the room that is taken
PUBLISH_S = 0.5  # least time between two pictures while there is work


class Pipeline:
    """Sources, engine and sinks of one configuration.

    Args:
        settings: The configuration.
        trainer: Runs trainings; `stop` closes it.
        durations: Where it says how long things took.
        stdout: Where events for standard output go.
        reached: Called with the name of each fault point of the store as it is passed.

    Attributes:
        picture: The newest picture for metrics and page, replaced as a whole.
        readiness: Whether readings are taken in, and why not.
        inboxes: Its sources of posted bodies.
        beat: `time.monotonic()` of the last sign of progress.
        down: Why each source that is down is; replaced as a whole.
        behind: What each stream waits for that is behind the journal; replaced as a whole.
        process: What the service adds to the picture's `process`; replaced as a whole.
        finished: Set when the thread has ended.
        error: Why it ended, None when it was asked to or its input is over.
    """

    def __init__(
        self,
        settings: Settings,
        trainer: AskableTrainer,
        durations: Durations,
        stdout: BinaryIO | None = None,
        reached: Reached = nowhere,
    ) -> None:
        self.settings, self.durations = settings, durations
        self._trainer, self._reached = trainer, reached
        self._durable: DurableEngine | None = None
        self.readiness = Readiness()
        self.beat = time.monotonic()
        self.finished = threading.Event()
        self.error: BaseException | None = None
        self._stdout = stdout or _unbuffered()
        self._jobs: Jobs[Pipeline] = Jobs()
        self._checkpoint_due = False
        self._wake, self._stopping = threading.Event(), threading.Event()
        self.inboxes = Inboxes(self._wake.set)
        self._sourcing = SourceSet(settings, self.inboxes)
        self.process: Mapping[str, object] = {}
        self.down: Mapping[str, str] = {}
        self.behind: Mapping[str, Mapping[str, Any]] = {}
        self._started_at, self._turns, self._published = wall_s(), 0, 0.0
        self._looked_at = 0
        self._delivery: Delivery | None = None
        self._writers = MetricWriters(lambda: self.picture)
        self.picture = self._picture()

    # -- any thread --------------------------------------------------------------------------------------------------

    def post(self, job: Callable[[Pipeline], None]) -> None:
        """Have `job` run between two turns; once, however often it was posted while it waited."""
        self._jobs.post(job)
        self._wake.set()

    def stop(self) -> None:
        """End after the turn in progress, with a checkpoint; returns at once.

        A stream that waits for a training ends in the middle: the journal has its batches, and the next start repeats
        them.
        """
        self._stopping.set()
        self._wake.set()
        if (durable := self._durable) is not None:
            durable.trainer.close()

    @property
    def ready(self) -> bool:
        """Whether state is loaded, sources are open, the disk has room and the machine knows the time."""
        return not self.readiness.why_not

    @property
    def waiting(self) -> bool:
        """Whether the thread itself waits for a training, which has a time limit of its own."""
        return self._durable is not None and self._durable.trainer.waiting_for is not None

    # -- the thread --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Recover, then take turns until stopped, until every source has ended, or until something breaks."""
        try:
            # SQLite's connection belongs to the thread that opens it
            with self._open_store() as store:
                store.when_full = self._wait_for_room
                self._durable = DurableEngine(store, self._trainer, self.durations.observe, self._wake.set)
                self._durable.repeating = lambda done, total: self._starting(f"repeating: {done} of {total} entries")
                if not self._stopping.is_set():  # otherwise `stop` saw no engine whose training to end
                    self._work()
        except StoppedError as work:
            log.info("stopped in the middle, the next start takes it up", extra={"work": str(work)})
        except BaseException as error:
            self.error = error
            log.error("pipeline stopped", extra={"error": str(error), "kind": type(error).__name__})
        finally:
            self.readiness.phase = "stopping"
            self.finished.set()

    def _open_store(self) -> Store:
        while True:
            try:
                return Store.open(self.settings.state_dir, reached=self._reached)
            except StoreFull as error:
                self._wait_for_room(error)

    def _work(self) -> None:
        try:
            self._open()
            while not self._stopping.is_set():
                worked = self.turn()
                if not worked:
                    if self._sourcing.done() and not self.durable.behind:
                        break
                    self._wake.wait(IDLE_S)
                    self._wake.clear()
            self.checkpoint()
            if behind := sorted(self.durable.behind):
                raise StoppedError(f"streams {', '.join(behind)}")
        finally:
            self._close()

    def _open(self) -> None:
        began = time.monotonic()
        if warm(lambda: self._starting("compiling")):
            log.info("compiled", extra={"seconds": round(time.monotonic() - began, 3)})
        self.durable.courses.most_bytes = self.settings.history.courses
        repeated = self.durable.recover(
            lambda done, total: self._starting(f"recovering: {done} of {total} journal entries")
        )
        self.durable.configure(self.settings, wall_ms())
        self._delivery = delivery = Delivery(self._store, self._stdout)
        delivery.take_over(delivery.prepare(self.settings.events))
        self._writers.take_over(self._writers.prepare(self.settings.metrics))
        self._sourcing.open(self._store, self._census)
        self._resume_deliveries()
        log.info("state loaded", extra={"entries_repeated": repeated, "seconds": round(time.monotonic() - began, 3)})
        self.readiness.note_room("")
        self._note_clock(wall_ms())
        self.readiness.phase = ""
        self.publish()

    def _resume_deliveries(self) -> None:
        """Have intakes that are new go on with deliveries of which the engine holds readings."""
        streams, behind = self.durable.engine.streams.items(), self.durable.behind
        unfinished = [name for name, stream in streams if len(stream.held) or name in behind]
        self._sourcing.resume(unfinished, self._store)

    def _starting(self, what: str) -> None:
        self.readiness.phase, self.beat = what, time.monotonic()
        if self._stopping.is_set():
            raise StoppedError(what)

    def turn(self) -> bool:
        """One turn; returns whether there was anything to do."""
        worked = self._jobs.run(self, self._may)
        worked |= self.durable.advance()
        if self._checkpoint_due and not self.durable.behind:
            self.checkpoint()
        now_ms = wall_ms()
        self._note_clock(now_ms)
        resting = self._resting()
        taken = self._sourcing.poll(now_ms, resting)
        items = [item for each in taken for item in each.inputs]
        items += [Delivered(stream, now_ms) for stream in self._sourcing.quiet(resting)]
        if items:
            worked = True
            positions = {source: places for each in taken for source, places in each.positions.items()}
            self.durable.apply(items, positions, wall_ms())
            self._sourcing.committed(taken)
            self._keep_within()
        if gone := list(self._sourcing.forgotten()):
            self._store.drop_positions(gone)
        if self._delivery is not None:
            self._delivery.wake()
            self._delivery.record()
        self.readiness.note_room("")
        self._turns += 1
        self.beat = time.monotonic()
        if not worked or self.beat - self._published > PUBLISH_S:
            self.durable.courses.flush()
            self.publish()
        return worked

    def _census(self, name: str) -> Census:
        """What there is of a stream's series, for the quotas of its sources."""
        stream, settled = self.durable.engine.streams.get(name), name not in self.durable.behind
        if stream is None:
            return Census((), {}, {}, settled)
        return Census(stream.table.row_of, stream.table.owned, stream.table.expected, settled)

    # -- streams that are behind -------------------------------------------------------------------------------------

    def _may(self, job: Callable[[Pipeline], None]) -> bool:
        """Whether a job need not wait for a stream that is behind."""
        return not isinstance(job, Settled) or not self._waits_for(job.stream)

    def _waits_for(self, stream: str | None) -> bool:
        behind = self.durable.behind
        return bool(behind) if stream is None else stream in behind

    def _resting(self) -> list[str]:
        """Streams that are behind and are not read any further for now."""
        behind = self.durable.behind
        jobs = [job for job in self._jobs.held if isinstance(job, Settled)]
        waited_for = {name for name in behind if any(job.stream in (None, name) for job in jobs)}
        return [
            name for name, each in behind.items() if not each.may_be_read(self._checkpoint_due or name in waited_for)
        ]

    def _wait_for_room(self, error: StoreFull) -> None:
        """Called by the store until there is room: scoring pauses, nothing is lost, `ready` says so."""
        if self._stopping.is_set():
            raise StoppedError("no room in the state directory") from error
        self.readiness.note_room(str(error), str(self.settings.state_dir))
        self.beat = time.monotonic()
        self.picture = replace(self.picture, process=self._process(), taken_at=wall_s())  # the engine is in mid-step
        history = self.settings.history
        if self._durable is not None and self._store.make_room(history.keep, history.max_bytes, wall_ms()):
            return
        self._wake.wait(FULL_S)
        self._wake.clear()

    def _note_clock(self, now_ms: int) -> None:
        self.readiness.note_clock(now_ms, self._sourcing.without_time(now_ms))

    # -- jobs --------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let the wall clock notice silence."""
        if not self.readiness.no_time and any(stream.clock == "wall" for stream in self.settings.streams.values()):
            self.durable.apply([Tick(wall_ms())], {}, wall_ms())

    def checkpoint(self) -> None:
        """Write the state to disk, now or when no stream is behind.

        A failure is counted and logged; the journal has everything.
        """
        self._checkpoint_due = bool(self.durable.behind)
        if self._checkpoint_due:  # it is made when none is behind: a checkpoint is the state after one entry
            return
        began = time.monotonic()
        try:
            self.durable.checkpoint()
        except StoreError as error:
            log.error("checkpoint failed", extra={"error": str(error)})
        else:
            self.durations.observe("checkpoint", time.monotonic() - began)

    def tidy(self) -> None:
        """Drop journal and checkpoints beyond what the configuration keeps."""
        history = self.settings.history
        try:
            self._store.prune(history.keep, history.max_bytes, wall_ms())
        except StoreError as error:
            log.error("pruning failed", extra={"error": str(error)})

    def _keep_within(self) -> None:
        """Drop what is too much as soon as it is written; where recovery needs it, a new checkpoint comes first."""
        if self._store.last_seq < self._looked_at + LOOK_ENTRIES:
            return
        self._looked_at = self._store.last_seq
        most = self.settings.history.max_bytes
        if self._store.exceeds(most):
            self.tidy()
            if self._store.exceeds(most) and self._store.is_worth_a_checkpoint:
                self.checkpoint()
                self.tidy()

    def take_over(self, settings: Settings) -> None:
        """Go on under new settings, of which `daemon.service.reload.refusals` has none.

        Raises:
            OSError, StoreError, BundleError: They cannot be taken over; everything is as it was before.
        """
        before, delivery = self.settings, self._delivery
        assert delivery is not None
        prepared = delivery.prepare(settings.events)
        try:
            writers = self._writers.prepare(settings.metrics)
            self._sourcing.replace(settings, self._store)
            try:
                self.durable.configure(settings, wall_ms())
            except BaseException:
                self._sourcing.replace(before, self._store)
                self._resume_deliveries()
                raise
            self._resume_deliveries()
        except BaseException:
            delivery.abandon(prepared)
            raise
        delivery.take_over(prepared)
        self._writers.take_over(writers)
        self.durable.courses.most_bytes = settings.history.courses
        self.settings = settings
        self.publish()

    # -- inside ------------------------------------------------------------------------------------------------------

    @property
    def durable(self) -> DurableEngine:
        """The engine; there is none before the thread has opened the state directory."""
        assert self._durable is not None
        return self._durable

    @property
    def _store(self) -> Store:
        return self.durable.store

    def publish(self) -> None:
        """Take a picture now; in the pipeline's thread, between two turns."""
        self.picture, self._published = self._picture(), time.monotonic()

    def _picture(self) -> Picture:
        self.down = self._sourcing.down()
        self.behind = {} if self._durable is None else {n: each.status() for n, each in self._durable.behind.items()}
        return picture_of(
            self._durable,
            self._sourcing,
            self.settings,
            self.durations,
            self._process(),
            self._sinks(),
            self._writers.status(),
        )

    def _sinks(self) -> dict[str, dict[str, float]]:
        return {} if self._delivery is None else self._delivery.status()

    def _process(self) -> dict[str, Any]:
        return {
            "ready": self.ready,
            "full": bool(self.readiness.no_room),
            "started_at": self._started_at,
            "turns": self._turns,
            "queue_depth": len(self._jobs),
            "down": self.down,
            "behind": self.behind,
            **self.process,
        }

    def _close(self) -> None:
        self._sourcing.close()
        if self._delivery is not None:
            self._delivery.close()
        self._writers.close()


def _unbuffered() -> BinaryIO:
    """Standard output without a buffer, which Python would flush, and wait for its reader, when the process ends."""
    return cast("BinaryIO", open(sys.stdout.fileno(), "wb", buffering=0, closefd=False))
