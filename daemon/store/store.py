"""The durable state of one state directory, open for writing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.base import Position
from daemon.clock import wall_s
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Input, Labelled
from daemon.store import checkpoints, event_table, host, journal, label_table, model_store, reserve, startup
from daemon.store.checkpoints import Checkpoint, Checkpoints
from daemon.store.errors import StoreError, StoreFull
from daemon.store.faults import Reached, nowhere
from daemon.store.files import disk_error
from daemon.store.ledger import Ledger
from daemon.store.lock import Lock
from daemon.store.model_store import ModelRecord
from daemon.store.patience import WhenFull, give_up, patient
from daemon.store.retention import Retention
from daemon.store.startup import OpenDatabase
from daemon.store.view import StoreView

log = logging.getLogger(__name__)


class Store(StoreView):
    """Journal, positions, checkpoints, events, labels and models. One process and one thread writes; `open` makes one.

    Attributes:
        quarantined: Databases, rows of them and checkpoints set aside since `open`, in files.
        lost: Journal entries found lost at `open`.
        checkpoint_at_ms: When the last checkpoint was written, epoch milliseconds; None when there is none.
        checkpoint_bytes: Size of the last checkpoint written or loaded.
        checkpoint_failures: Checkpoints that could not be written since `open`.
        checkpoint_mismatches: Checkpoints loaded that other versions or another CPU wrote.
        recorded: Revisions of events recorded since `open`, for whoever waits for new ones.
        when_full: Called when a write finds no room, which is then tried again; raises unless it is replaced.
            Checkpoints and pruning do not wait.
    """

    def __init__(
        self,
        directory: Path,
        opened: OpenDatabase,
        lock: Lock,
        files: Checkpoints,
        *,
        reached: Reached,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(directory, opened.database)
        self._lock, self._files, self._reached, self._clock = lock, files, reached, clock
        self._last = journal.bounds(opened.database)[2]
        self._mark, self._ledger = opened.mark, Ledger(directory)
        self._retention = Retention(directory, opened.database, files, self._models, opened.mark)
        self._quarantined, self.lost = opened.quarantined, opened.lost
        self.when_full: WhenFull = give_up
        self.checkpoint_at_ms: int | None = None
        self.checkpoint_bytes = 0
        self.checkpoint_failures = 0
        self.checkpoint_mismatches = 0
        self.recorded = 0

    @classmethod
    def open(cls, directory: Path, *, reached: Reached = nowhere, clock: Callable[[], float] = wall_s) -> Store:
        """Open `directory` for writing; make it when there is none.

        Args:
            directory: The state directory.
            reached: Called with the name of each fault point as it is passed.
            clock: Epoch seconds.

        Raises:
            StoreLocked: Another process has it open.
            StoreFull: There is no room to open it.
            StoreError: It cannot be read or written; damage is no error, it is quarantined.
        """
        lock = startup.enter(directory)
        try:
            files = Checkpoints(directory / checkpoints.DIRECTORY, reached)
            try:
                opened = startup.database(directory, files, reached)
            except StoreFull:
                reserve.give_back(directory)
                opened = startup.database(directory, files, reached)
        except OSError as error:
            lock.release()
            raise disk_error(error, directory) from error
        except BaseException:
            lock.release()
            raise
        reserve.hold(directory)
        try:
            return cls(directory, opened, lock, files, reached=reached, clock=clock)
        except BaseException:
            opened.mark.close()
            opened.database.close()
            lock.release()
            raise

    @property
    def quarantined(self) -> int:
        """Databases, rows of them and checkpoints set aside since `open`, in files."""
        return self._quarantined + self._files.quarantined

    @property
    def last_seq(self) -> int:
        """Number of the newest entry; 0 before the first."""
        return self._last

    @patient
    def append(
        self, items: Sequence[Input], positions: Mapping[str, Mapping[str, Position]], received_at_ms: int
    ) -> list[int]:
        """Journal `items` and move `positions` (source -> place -> position) in one transaction.

        Returns:
            The entries' numbers, consecutive.

        Raises:
            StoreFull: There is no room; nothing was changed.
        """
        numbers = journal.append(self._database, self._last, items, positions, received_at_ms)
        self._last += len(numbers)
        self._mark.note(seq=self._last)
        return numbers

    @patient
    def drop_positions(self, places: Sequence[tuple[str, str]]) -> None:
        """Forget places, each `(source, place)`: a file that is gone for good, a body that came long ago."""
        journal.drop_positions(self._database, places)

    @patient
    def record_events(self, events: Sequence[Event]) -> None:
        """Add `events` in one transaction, in order; a revision that is already there stays as it is."""
        if events and (rows := event_table.record(self._database, events)):
            self._ledger.add(rows)
            self._mark.note(row=rows[-1][0])
            self.recorded += len(rows)

    @patient
    def record_label(self, seq: int, item: Labelled) -> None:
        """Record the label that entry `seq` gave; one that is already there stays as it is."""
        label_table.record(self._database, seq, item)

    @patient
    def set_sink_position(self, name: str, last_row: int, committed_bytes: int) -> None:
        """Record that a sink has delivered events up to `last_row`, in `committed_bytes`."""
        event_table.set_sink_position(self._database, name, last_row, committed_bytes)
        self._mark.note_sink(name, last_row, committed_bytes)

    def write_checkpoint(self, seq: int, data: bytes) -> None:
        """Write the state after entry `seq` and drop checkpoints no longer needed.

        Raises:
            StoreFull: There is no room; earlier checkpoints are as they were.
        """
        if not 0 <= seq <= self._last:
            raise ValueError(f"checkpoint of entry {seq}, but the journal ends with {self._last}")
        carried, at_ms = startup.carry(self._database, seq), int(self._clock() * 1000)
        try:
            size = self._write(seq, at_ms, carried, data)
        except StoreError:
            self.checkpoint_failures += 1
            raise
        self.checkpoint_at_ms, self.checkpoint_bytes = at_ms, size
        self._ledger.turn()

    def _write(self, seq: int, at_ms: int, carried: dict[str, Any], data: bytes) -> int:
        """Write a checkpoint, into the reserve if need be: without a newer one, no older entry can go."""
        try:
            return self._files.write(seq, at_ms, host.versions(), carried, data)
        except StoreFull:
            reserve.give_back(self.directory)
            try:
                return self._files.write(seq, at_ms, host.versions(), carried, data)
            finally:
                reserve.hold(self.directory)

    def load_checkpoint(self, before: int | None = None) -> tuple[int, bytes] | None:
        """`(seq, data)` of the newest sound checkpoint that the journal continues; None: begin with the empty state.

        Damaged checkpoints are quarantined. When the journal continues none of those left, the newest of them
        serves although entries are lost in between; when none is left, entries up to now no longer count.

        Args:
            before: Only those of earlier entries that the journal continues; without one, None changes nothing.
        """
        floor, base, last = journal.bounds(self._database)
        found = self._files.newest_sound(max(floor, base), last, before)
        if found is None and floor > base and before is None:
            found = self._bridge(base, floor, last)
        if found is None:
            return None
        self.checkpoint_at_ms = found.at_ms
        self.checkpoint_bytes = self._files.path(found.seq).stat().st_size
        self._compare(found.versions)
        return found.seq, found.data

    def _bridge(self, base: int, floor: int, last: int) -> Checkpoint | None:
        """Without a checkpoint that the journal continues: an earlier one, or None for the empty state."""
        found = self._files.newest_sound(base, None)
        if found is None:
            log.error("state lost, starting afresh", extra={"unused_from": floor + 1, "unused_to": last})
            self._set_base(last)
            return None
        log.error("entries lost, going on from an earlier checkpoint", extra={"seq": found.seq, "lost_to": floor})
        self._files.write(floor, found.at_ms, found.versions, found.carried, found.data)
        return replace(found, seq=floor)

    def replace_checkpoints(self, version: Any, data: bytes | None) -> None:
        """Put the state before the oldest entry, if any, in place of all checkpoints, which stay as `*.version-N`."""
        floor = self.first_seq - 1
        self._files.keep_copies(version)
        if data is not None:
            self.write_checkpoint(floor, data)
        self._files.drop_others(None if data is None else floor)

    @property
    def said_through(self) -> int:
        """Entry up to which what entries cause is recorded already; 0 when it is what a repetition finds."""
        return journal.meta(self._database).get("said", 0)

    def set_said_through(self, seq: int) -> None:
        """Declare that what entries up to `seq` caused was said by another version, so that it is not said again."""
        journal.set_meta(self._database, "said", seq)
        self._mark.note(said=seq)

    def start_over(self) -> None:
        """Declare that the state after the newest entry is the empty state."""
        self._set_base(self._last)

    def _set_base(self, seq: int) -> None:
        journal.set_meta(self._database, "base", seq)
        self._mark.note(base=seq)

    def reject_checkpoint(self, seq: int, why: str) -> None:
        """Quarantine a sound checkpoint that the engine cannot load; `load_checkpoint` then gives an earlier one."""
        self._files.set_aside(seq, why)

    @patient
    def put_model(
        self,
        stream: str,
        request_id: str,
        bundle_file_bytes: bytes,
        *,
        digest: str,
        manifest: dict[str, Any],
        outcome: str,
    ) -> int:
        """Keep a model file and record its training's outcome; its version within the stream.

        A request already recorded keeps its version and its file. A file that a crash left unrecorded is replaced.
        """
        record = self._training(stream, request_id, outcome, digest=digest, manifest=json.loads(json.dumps(manifest)))
        kept = model_store.put(self._database, self._models, self._reached, record, bundle_file_bytes)
        return kept.version or 0

    @patient
    def record_failure(self, stream: str, request_id: str, reason: str, detail: str) -> None:
        """Record that a training made no model, and why; a request already recorded stays as it is."""
        record = self._training(stream, request_id, "failed", reason=reason, detail=detail)
        model_store.put_failure(self._database, self._reached, record)

    @patient
    def judge_model(self, request_id: str, status: str, seq: int, verdict: dict[str, Any]) -> None:
        """Record the gate's verdict on a model; `seq` is the journal entry whose step came to it."""
        served = {"served_seq": seq} if status == "promoted" else {}
        model_store.annotate(self._database, request_id, status, gate=verdict, **served)

    @patient
    def serve_model(
        self,
        stream: str,
        digest: str,
        seq: int,
        rolled_back: str | None = None,
        numbers: dict[str, float] | None = None,
    ) -> None:
        """Record that entry `seq` brought a model into service, and which one it took out of it for good.

        Args:
            digest: Digest of the bundle that serves now.
            rolled_back: Digest of the bundle that is rolled back; None where nothing is said about the last one.
            numbers: What it is rolled back for; None where an operator asked for it.
        """
        for record in model_store.records(self._database, stream):
            if record.digest is not None and record.digest == digest:
                model_store.annotate(self._database, record.request_id, "promoted", served_seq=seq)
            elif record.digest is not None and record.digest == rolled_back:
                facts = {} if numbers is None else {"rollback": numbers}
                model_store.annotate(self._database, record.request_id, "rolled_back", **facts)

    @patient
    def withdraw_models(self, stream: str, trained_since: int, seq: int) -> None:
        """Record that entry `seq` takes out what models of a stream had learned from an instant (epoch seconds) on.

        Those recorded after the entry have learned without it.
        """
        for record in model_store.records(self._database, stream):
            own = "configured" not in record.manifest and record.version is not None and record.seq < seq
            if own and (record.manifest.get("trained_to") or trained_since) >= trained_since:
                model_store.annotate(self._database, record.request_id, "rolled_back", excluded=seq)

    @patient
    def retain_models(self, stream: str, keep: int, spare: str | None) -> None:
        """Keep the files of a stream's newest `keep` models and of `spare`; none goes that a checkpoint may need."""
        kept = self._files.sequences()
        model_store.retain(self._database, self._models, stream, keep, spare, min(kept, default=0))

    def prune(self, keep_s: float, max_bytes: int, now_ms: int) -> None:
        """See `Retention.prune`."""
        self._retention.prune(keep_s, max_bytes, now_ms)

    def exceeds(self, max_bytes: int) -> bool:
        """See `Retention.exceeds`."""
        return self._retention.exceeds(max_bytes)

    def make_room(self, keep_s: float, max_bytes: int, now_ms: int) -> bool:
        """See `Retention.make_room`."""
        return self._retention.make_room(keep_s, max_bytes, now_ms)

    @property
    def is_worth_a_checkpoint(self) -> bool:
        """Whether the journal has outgrown the last checkpoint, so that writing one to shorten it costs no more."""
        return journal.size(self._database) >= self.checkpoint_bytes

    def close(self) -> None:
        """Close the database and let the directory go; a second call does nothing."""
        try:
            self._mark.close()
            self._ledger.close()
            super().close()
        finally:
            self._lock.release()

    def _compare(self, written: Mapping[str, str]) -> None:
        here = host.versions()
        differing = sorted(name for name in {*written, *here} if written.get(name) != here.get(name))
        if differing:
            self.checkpoint_mismatches += 1
            log.warning(
                "checkpoint written by other versions, results may differ in their last bits",
                extra={"differing": {name: f"{written.get(name)} -> {here.get(name)}" for name in differing}},
            )

    def _training(self, stream: str, request_id: str, status: str, **facts: Any) -> ModelRecord:
        values: dict[str, Any] = {"digest": None, "version": None, "sha256": None, "file": None} | facts
        at_ms = int(self._clock() * 1000)
        return ModelRecord(request_id=request_id, stream=stream, status=status, seq=self._last, at_ms=at_ms, **values)
