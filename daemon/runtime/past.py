"""One stream's past, repeated without a period that was taken out of all that was learned.

An exclusion is an entry of the journal, and no entry is ever changed. The state after it is that of the entries so far
with all exclusions among them known from the beginning: so it does not matter from where the past is repeated, and a
daemon that is killed meanwhile repeats it at its next start, to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from daemon.engine.kernel.slots import NEVER
from daemon.engine.machine.engine import Engine, StepResult, alone
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.events import Event, event_id
from daemon.engine.messages.inputs import Configured, Excluded, Input
from daemon.engine.messages.training_port import Trainer, finish
from daemon.engine.table.exclusions import Exclusion
from daemon.runtime.recovery import Loaded, states
from daemon.runtime.repetition import Progress
from daemon.store import StoreView

OnEntry = Callable[[Engine, int, Input, str | None, StepResult], None]
"""Told of each entry that is repeated: the engine, its number, the input, the model that served before, the result."""


class NoPastError(ValueError):
    """There is no state from before the period, or not every entry since."""


class Past:
    """One stream's past, repeated.

    Args:
        store: Whose journal, and whose checkpoints.
        trainer: Runs the trainings.
        checkpoints: Whether it may begin with one; else with the empty state.
        on_entry: See `OnEntry`.
        progress: Called with entries done and in all.
    """

    def __init__(
        self,
        store: StoreView,
        trainer: Trainer,
        *,
        checkpoints: bool = True,
        on_entry: OnEntry = lambda engine, seq, item, champion, result: None,
        progress: Progress = lambda done, total: None,
    ) -> None:
        self._store, self._trainer, self._checkpoints = store, trainer, checkpoints
        self._on_entry, self._progress = on_entry, progress

    def without(self, stream: Stream, period: Exclusion, seq: int) -> tuple[Stream, list[Event]]:
        """The stream as it would be had a period never been learned from, and what is to be said of the difference.

        Args:
            stream: As it is after the entry before `seq`; left as it is.
            period: What is taken out.
            seq: Number of the exclusion's entry.

        Raises:
            NoPastError: It cannot be repeated from before the period.
        """
        wanted = [*(each for each in stream.table.excluded.periods if each != period), period]
        begun = self.beginning(stream.name, wanted, seq)
        engine = begun.engine
        for each in self._store.entries(begun.seq, seq - 1, stream.name):
            self._apply(engine, stream.name, wanted, *each)
            self._progress(each[0] - begun.seq, seq - 1 - begun.seq)
        after = engine.streams[stream.name]
        return after, _differences(stream, after, len(wanted))

    def beginning(self, name: str, wanted: list[Exclusion], seq: int) -> Loaded:
        """The newest state before the entry `seq` that has learned from none of the periods which it does not know.

        Raises:
            NoPastError: There is none.
        """
        found = next(self._beginnings(name, wanted, seq), None)
        if found is None:
            raise NoPastError(
                f"no state of {name} from before the period is kept, nor the journal from its beginning; keep more of "
                "it with history.keep, and label the period meanwhile: tidegauge label fault"
            )
        if any(last > found.seq and first < seq for first, last in self._store.lost_runs):
            raise NoPastError("journal entries since the period are lost, so what came after them cannot be repeated")
        return found

    def _beginnings(self, name: str, wanted: list[Exclusion], seq: int) -> Iterator[Loaded]:
        found = states(self._store, self._trainer, before=seq, only=name) if self._checkpoints else ()
        for loaded in found:
            stream = loaded.engine.streams[name]
            known = stream.table.excluded.periods
            missing = wanted[len(known) :]
            if known == wanted[: len(known)] and all(_newest(stream) < each.first for each in missing):
                stream.table.excluded.restore(wanted)
                yield loaded
        if self._store.journal_is_whole:
            yield Loaded(Engine(self._trainer), 0)

    def _apply(self, engine: Engine, name: str, wanted: list[Exclusion], seq: int, item: Input) -> None:
        """Repeat one entry."""
        if isinstance(item, Configured):
            if name in item.config["streams"]:
                engine.step(Configured(alone(item.config, name), item.received_at_ms))
                engine.streams[name].table.excluded.restore(wanted)
        elif name in engine.streams and not isinstance(item, Excluded):
            champion = engine.streams[name].learner.champion
            result = finish(engine.begin(name, item), self._trainer.result)
            self._on_entry(engine, seq, item, None if champion is None else champion.digest, result)


def _newest(stream: Stream) -> int:
    """The greatest slot of which anything is in the state; NEVER where there is nothing."""
    used, a = slice(0, stream.table.used), stream.table.arrays
    found = (int(each[used].max(initial=NEVER)) for each in (a.rows["last"], a.passed, a.pending_slot))
    return max(stream.schedule.greatest, *found)


def _differences(before: Stream, after: Stream, times: int) -> list[Event]:
    """What is said where open events differ: those that are none are closed, those that nobody knows are opened.

    One that is open in both goes on under its number. One that is open only now has an id of its own: under the usual
    one an episode may have been closed before.
    """
    at = before.slots.at(before.schedule.greatest) if before.schedule.greatest != NEVER else 0
    closed: list[Event] = []
    opened: list[Event] = []
    for were, are in (
        (before.episodes.open, after.episodes.open),
        (before.silence.single, after.silence.single),
    ):
        was = {event.id: event for event in were.values()}
        for row, event in sorted(are.items()):
            if (known := was.pop(event.id, None)) is not None:
                are[row] = replace(event, revision=max(event.revision, known.revision))
            else:
                own = event_id(event.stream, event.series, f"{event.reasons[0]} {times}", event.started_at)
                are[row] = replace(event, id=own, revision=0, notify=event.notified)
                opened.append(are[row])
        closed += [
            replace(event, revision=event.revision + 1, state="closed", at=max(at, event.at), notify=False)
            for _, event in sorted(was.items())
        ]
    return closed + opened
