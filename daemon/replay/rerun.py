"""Repeating a recorded run from its journal: the proof that state and events follow from the inputs alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from daemon.engine.machine.engine import Engine, StepResult
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Excluded, Input
from daemon.engine.messages.training_port import Outcome, failed_as_recorded
from daemon.runtime.past import Past
from daemon.runtime.repetition import Progress, repeat
from daemon.store import EventFilter, JournalGap, StoreView, open_reader
from daemon.trainer.trainer import InlineTrainer
from models.training_request import TrainingRequest


@dataclass(frozen=True)
class Rerun:
    """A repeated run.

    Attributes:
        entries: Journal entries applied.
        events: Every revision raised, each stream's in order, and the streams among each other as recorded.
        recorded: Every revision that the store holds, in order.
        state_sha256: SHA-256 of the engine's dump at the end.
    """

    entries: int
    events: list[Event]
    recorded: list[Event]
    state_sha256: str


class _RecordedTrainer:
    """Trains again, but fails where the recorded run failed: failures depend on the machine, results do not."""

    def __init__(self, reader: StoreView) -> None:
        self._reader, self._inner = reader, InlineTrainer()

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """Keep the request."""
        self._inner.submit(request, time_limit_s)

    def result(self, request_id: str) -> Outcome:
        """The recorded failure, or the training's result."""
        record = self._reader.outcome(request_id)
        if record is not None and record.status == "failed":
            return failed_as_recorded(record.reason, record.detail)
        return self._inner.result(request_id)

    def close(self) -> None:
        """See Trainer.close."""
        self._inner.close()


def rerun(directory: Path, progress: Progress) -> Rerun:
    """Apply the whole journal of a state directory to a new engine.

    Raises:
        JournalGap: The journal's beginning was pruned, or entries are lost, so the run cannot be repeated.
        StoreError: The directory holds no readable state.
    """
    with open_reader(directory) as reader:
        if reader.first_seq > 1:
            raise JournalGap(
                f"{directory}: the journal begins at entry {reader.first_seq}, earlier ones were pruned; "
                "set history.keep longer than a run that is to be repeated"
            )
        if lost := reader.lost_runs:
            first, last = lost[0]
            raise JournalGap(f"{directory}: journal entries {first} to {last} are lost, so the run cannot be repeated")
        trainer = _RecordedTrainer(reader)
        engine, events, entries = Engine(trainer), [], 0
        past = Past(reader, trainer, checkpoints=False)
        for _, result in repeat(reader, lambda seq, item: _step(engine, past, seq, item), 0, progress):
            events += result.events
            entries += 1
        recorded = [event for _, event in reader.events(EventFilter(latest_only=False))]
    return Rerun(entries, _arranged(events, recorded), recorded, engine.digest())


def _step(engine: Engine, past: Past, seq: int, item: Input) -> StepResult:
    """Apply an entry; one that takes a period out has the past repeated without it."""
    if not isinstance(item, Excluded):
        return engine.step(item)
    stream = engine.streams[item.stream]
    engine.streams[item.stream], events = past.without(stream, stream.exclusion(item), seq)
    return StepResult(events)


def _arranged(events: list[Event], recorded: list[Event]) -> list[Event]:
    """Each stream's events in their order, and the streams among each other as recorded: none waits for another."""
    of_stream: dict[str, deque[Event]] = {}
    for event in events:
        of_stream.setdefault(event.stream, deque()).append(event)
    found = [raised.popleft() for event in recorded if (raised := of_stream.get(event.stream))]
    return found + [event for raised in of_stream.values() for event in raised]
