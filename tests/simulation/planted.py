"""Faults planted in the product while a simulation runs: each must be found by the seed that stands beside it.

`python -m tests.simulation --plant all` looks for the first seed that finds each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from adapters.sinks.json_lines_file import JsonLinesFile
from daemon.engine.messages.inputs import Labelled
from daemon.intake.intake import Intake
from daemon.runtime import durable, repetition
from daemon.runtime.durable import DurableEngine
from daemon.service.delivery import Courier
from daemon.service.pipeline import Pipeline
from daemon.store import database, journal, mark
from daemon.store.database import Database
from daemon.store.store import Store

Change = tuple[Any, str, Any]
"""Whose attribute, its name, what takes its place."""


@dataclass(frozen=True)
class Plant:
    """A fault.

    Attributes:
        words: What is wrong.
        changes: How it is made so.
        seed: One that finds it.
    """

    words: str
    changes: Callable[[], Sequence[Change]]
    seed: int


@contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """The product with a fault."""
    with ExitStack() as stack:
        for whose, name, instead in plant.changes():
            stack.enter_context(patch.object(whose, name, instead))
        yield


def _positions_apart() -> Sequence[Change]:
    whole = journal.append

    def append(database: Database, last: int, items: Any, positions: Any, received_at_ms: int) -> list[int]:
        numbers = whole(database, last, items, {}, received_at_ms)
        whole(database, numbers[-1] if numbers else last, [], positions, received_at_ms)
        return numbers

    return [(journal, "append", append)]


def _pragma(statement: str) -> Callable[[], Sequence[Change]]:
    def changes() -> Sequence[Change]:
        whole = Database.__init__

        def made(self: Database, *args: Any, **how: Any) -> None:
            whole(self, *args, **how)
            self.rows(statement)

        return [(Database, "__init__", made)]

    return changes


def _step_before_journal() -> Sequence[Change]:
    def apply(self: DurableEngine, items: Any, positions: Any, now_ms: int) -> Any:
        results = [self._offer(self.seq + 1, item) for item in items]
        self.store.record_events([event for result in results for event in result.events])
        self.store.append(items, positions, now_ms)
        return results

    return [(DurableEngine, "_apply", apply)]


def _checkpoint_one_less() -> Sequence[Change]:
    whole = Store.write_checkpoint
    return [(Store, "write_checkpoint", lambda self, seq, data: whole(self, max(0, seq - 1), data))]


def _any_failure_is_full() -> Sequence[Change]:
    return [(database, "is_full", lambda path: True), (database, "_PERHAPS_FULL", (778, 1034, 1290, 1546, 4874))]


def _waiting_stream_skips() -> Sequence[Change]:
    whole = repetition.concerning
    return [
        (
            durable,
            "concerning",
            lambda store, engine, stream, after, through: whole(store, engine, stream, after + 1, through),
        )
    ]


def _label_twice() -> Sequence[Change]:
    whole = repetition.repeat

    def repeat(store: Any, step: Callable[[int, Any], Any], after: int, progress: Any) -> Any:
        def again(seq: int, item: Any) -> Any:
            if isinstance(item, Labelled):
                step(seq, item)
            return step(seq, item)

        return whole(store, again, after, progress)

    return [(durable, "repeat", repeat)]


def _half_reload() -> Sequence[Change]:
    whole = Pipeline.take_over

    def take_over(self: Pipeline, settings: Any) -> None:
        self.durable.configure(settings, 0)
        whole(self, settings)

    return [(Pipeline, "take_over", take_over)]


def _acknowledged_early() -> Sequence[Change]:
    whole = Intake.poll

    def poll(self: Intake, now_ms: int) -> Any:
        if (taken := whole(self, now_ms)) is not None:
            self.committed(taken)
        return taken

    return [(Intake, "poll", poll)]


def _delivered_before_it_is() -> Sequence[Change]:
    whole = Courier._deliver_all

    def deliver_all(self: Courier, reader: Any) -> None:
        before, self.delivered = self.delivered, (reader.last_event_row, self.delivered[1])
        waiting = self._outbox.next(reader, before[0])
        if waiting and waiting.lines:
            self.delivered = (self.delivered[0], self._sink.deliver(waiting.lines) or 0)
        whole(self, reader)

    return [(Courier, "_deliver_all", deliver_all)]


def _cut_back() -> Sequence[Change]:
    def keep(self: JsonLinesFile, committed_bytes: int | None) -> None:
        if committed_bytes is not None and committed_bytes < self._committed:
            os.ftruncate(self._fd, committed_bytes // 2)
            self._committed = self._size()

    return [(JsonLinesFile, "_keep", keep)]


PLANTS: dict[str, Plant] = {
    "positions-apart": Plant("a position is committed apart from its batch", _positions_apart, 2),
    "no-sync": Plant("the log is never synced", _pragma("PRAGMA synchronous=OFF"), 1),
    "late-sync": Plant(
        "the log is synced with the next checkpoint of SQLite's only, so a checkpoint is newer than the journal",
        _pragma("PRAGMA synchronous=NORMAL"),
        1,
    ),
    "step-before-journal": Plant(
        "inputs are applied, and events recorded, before they are journaled", _step_before_journal, 1
    ),
    "applied-twice": Plant("a checkpoint says one entry less, which is repeated after a kill", _checkpoint_one_less, 1),
    "any-failure-is-full": Plant("EIO is taken for a full disk", _any_failure_is_full, 6),
    "waiting-stream-skips": Plant("a stream that waited skips its next input", _waiting_stream_skips, 15),
    "label-twice": Plant("a label is applied twice when the journal is repeated", _label_twice, 1),
    "half-reload": Plant("a refused reload has configured the engine", _half_reload, 1),
    "acknowledged-early": Plant("a peer is told before its lines are durable", _acknowledged_early, 3),
    "delivered-before-it-is": Plant(
        "a sink's position moves before the delivery, which may fail", _delivered_before_it_is, 1
    ),
    "cut-back": Plant("the file of events is cut back at a start", _cut_back, 4),
    "name-not-synced": Plant(
        "the directory of a new file of events is not synced",
        lambda: [(JsonLinesFile, "_sync_name", lambda self: None)],
        1,
    ),
    "failure-not-recorded": Plant(
        "a failed training is not recorded", lambda: [(Store, "record_failure", lambda self, *args: None)], 2
    ),
    "lost-in-silence": Plant(
        "nothing notes what was committed last, so the end of SQLite's log is lost in silence",
        lambda: [(mark, "read", lambda directory: None)],
        22,
    ),
}
