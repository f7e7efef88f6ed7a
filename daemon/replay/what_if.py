"""What if: the recorded past repeated under another configuration, beside what happened.

Readings, ticks and operators' words are those of the journal; the configuration is another. Nothing is written.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from daemon.config.change import RefusedError
from daemon.config.file import effective, from_effective
from daemon.config.settings import Settings
from daemon.engine.detection.rules import JUDGED
from daemon.engine.kernel.slots import NEVER
from daemon.engine.machine.engine import Engine, StepResult
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Configured, Excluded, Input, Labelled, Promoted
from daemon.presentation.words import instant, plural
from daemon.replay.replay import begun
from daemon.runtime.label_evidence import counted
from daemon.runtime.recovery import states
from daemon.runtime.repetition import Progress, repeat
from daemon.runtime.versions import promotion
from daemon.store import EventFilter, JournalGap, StoreView, open_reader
from daemon.trainer.trainer import InlineTrainer

AS_RECORDED = ("format", "sources", "clock", "arrival", "settle")
"""Keys of a stream that say how readings came in: the journal has them as they came, so these stay as they were."""
_MEANT = ("format", "clock", "arrival")
"""Those of them whose change somebody may have meant something by."""

_EPISODE = {reason.word for reason in JUDGED}
_DAY_S = 86_400
MOST_DAYS = 3660
"""Days that are compared at most."""


@dataclass(frozen=True)
class WhatIf:
    """What came of it.

    Attributes:
        entries: Journal entries that were repeated.
        whole: Whether from the very beginning; else what was learned before was learned under the old configuration.
        since: Episodes that ended before are left out, epoch seconds.
        until: Newest slot that any stream came to, epoch seconds.
        happened: The recorded events as they were last, in the order in which they began.
        imagined: Those of the other configuration.
        gained: Of `imagined`, those that nothing recorded goes with.
        lost: Of `happened`, those that nothing imagined goes with.
        notes: What was not changed or left out, a sentence each.
    """

    entries: int
    whole: bool
    since: int
    until: int
    happened: list[Event]
    imagined: list[Event]
    gained: list[Event]
    lost: list[Event]
    notes: list[str]

    @property
    def days(self) -> float:
        """Length of the time that is compared."""
        return max(self.until - self.since, 1) / _DAY_S

    def alarms(self) -> list[tuple[int, int, int]]:
        """For each day of UTC: its beginning, epoch seconds, and how many events told somebody, then and imagined."""
        then, now = (Counter(e.started_at // _DAY_S for e in found if e.notified) for found in self._both())
        days = range(self.since // _DAY_S, self.until // _DAY_S + 1)
        return [(day * _DAY_S, then[day], now[day]) for day in days]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        told, imagined = (sum(event.notified for event in found) for found in self._both())
        return {
            "entries": self.entries,
            "whole": self.whole,
            "since": self.since,
            "until": self.until,
            "events": len(self.happened),
            "events_what_if": len(self.imagined),
            "alarms": told,
            "alarms_what_if": imagined,
            "alarms_a_day": told / self.days,
            "alarms_a_day_what_if": imagined / self.days,
            "days": [{"at": at, "alarms": then, "alarms_what_if": now} for at, then, now in self.alarms()],
            "gained": [event.to_json() for event in self.gained],
            "lost": [event.to_json() for event in self.lost],
            "notes": self.notes,
        }

    def _both(self) -> tuple[list[Event], list[Event]]:
        return self.happened, self.imagined


@dataclass
class _Start:
    """An engine under the other settings.

    Attributes:
        engine: The engine.
        after: Journal entry that its state includes.
        whole: Whether that is none, so that all was learned under the other settings.
        since: From when on events are compared, epoch seconds; None for all.
        notes: See `WhatIf`.
    """

    engine: Engine
    after: int
    whole: bool
    since: int | None
    notes: list[str] = field(default_factory=list)


def what_if(
    directory: Path,
    settings: Settings,
    progress: Progress = lambda done, total: None,
    *,
    since: int | None = None,
    ago: int | None = None,
    on_engine: Callable[[Engine], None] = lambda engine: None,
) -> WhatIf:
    """Repeat the journal of a state directory, whose daemon may run, under other settings.

    Without an instant it is repeated from its beginning, as if the settings had always held. With one it is repeated
    from the newest checkpoint before, as if they had come then.

    Args:
        directory: The state directory; nothing in it is changed.
        settings: The other settings; how readings came in stays as recorded, see `AS_RECORDED`.
        progress: Called with entries done and in all.
        since: Instant from which events are compared, epoch seconds.
        ago: The same as seconds before the newest slot.
        on_engine: Called with the engine before it takes the first entry.

    Raises:
        RefusedError: The settings need a state of their own, which the journal does not reach back to make.
        BundleError: A model that the settings name cannot be read or does not fit.
        JournalGap: Entries are lost, so the past cannot be repeated.
        StoreError: The directory holds no readable state.
    """
    with open_reader(directory) as reader:
        last = reader.last_seq
        known = (_settings_of(each) for each in reversed(reader.configurations()))
        old = next((each for each in known if each is not None), None)
        start = _begin(reader, settings, old, since, ago)
        if lost := [run for run in reader.lost_runs if run[1] > start.after]:
            raise JournalGap(f"{directory}: journal entries {lost[0][0]} to {lost[0][1]} are lost, so what was after "
                             "them cannot be repeated; ask for less with --since")  # fmt: skip
        for _, item in reader.excluded():
            if item.stream in start.engine.streams:
                start.engine.step(item)
        on_engine(start.engine)
        run = _Run(start, old)
        for _ in repeat(reader, run.step, start.after, progress, last):
            pass
        recorded = [event for _, event in reader.events(EventFilter())]
    return run.compare(recorded, start.since, ago)


class _Run:
    """Applies entries to the engine, and keeps what it says of them.

    Args:
        start: The engine.
        old: The settings under which the journal was written; None where it does not say.
    """

    def __init__(self, start: _Start, old: Settings | None) -> None:
        self._start, self._engine, self._old = start, start.engine, old
        self._last: dict[str, Event] = {}
        self._labels: dict[tuple[str, str, int], list[Labelled]] = {}
        self._left_out: Counter[str] = Counter()
        self._first: int | None = None
        self._entries = 0

    def step(self, seq: int, item: Input) -> StepResult:
        """Apply an entry, unless the other configuration takes its place."""
        self._entries += 1
        if isinstance(item, Configured | Excluded):  # what is excluded is known from the beginning
            return StepResult([])
        if (stream := getattr(item, "stream", None)) is not None and stream not in self._engine.streams:
            self._left_out[f"of stream {stream}, which the configuration does not have"] += 1
            return StepResult([])
        if isinstance(item, Batch) and self._first is None and len(item):
            self._first = int(item.at_ms[:2].min()) // 1000
        if isinstance(item, Promoted):
            return self._promoted(item)
        return self._applied(self._recounted(item) if isinstance(item, Labelled) else item)

    def _applied(self, item: Input) -> StepResult:
        result = self._engine.step(item)
        self._last |= {event.id: event for event in result.events}
        return result

    def _promoted(self, item: Promoted) -> StepResult:
        """An operator's choice among models stands where the model is configured as it was, and where it fits."""
        if item.reason == "bundle":
            return StepResult([])
        old, new = (None if s is None else s.streams.get(item.stream) for s in (self._old, self._engine.settings))
        if old is not None and new is not None and old.model == new.model:
            with contextlib.suppress(ValueError):
                return self._applied(item)
        self._left_out[f"by which an operator chose a model of {item.stream}, which is another here"] += 1
        return StepResult([])

    def _recounted(self, item: Labelled) -> Labelled:
        """A label, as the events that there are here count it."""
        same = self._labels.setdefault((item.stream, item.series, item.since), [])
        events = [
            event
            for event in self._last.values()
            if (event.stream, event.series) == (item.stream, item.series)
            and event.ended_at >= item.since
            and event.started_at <= item.until
        ]
        same.append(counted(replace(item, halvings=0, true_alarms=0), same, events))
        return same[-1]

    def compare(self, recorded: Sequence[Event], since: int | None, ago: int | None) -> WhatIf:
        """Hold what was said here against what was recorded, as far as the one or the other can have it."""
        reached = {
            name: stream.slots.at(stream.schedule.greatest)
            for name, stream in self._engine.streams.items()
            if stream.schedule.greatest != NEVER
        }
        until = max(reached.values(), default=0)
        if since is None:
            since = (self._first or 0) if ago is None else until - ago
        since = max(since, until - MOST_DAYS * _DAY_S)
        found = [event for event in recorded if event.started_at <= reached.get(event.stream, -1)]
        happened, imagined = (
            sorted(
                (event for event in events if event.ended_at >= since),
                key=lambda e: (e.started_at, e.series or "", e.id),
            )
            for events in (found, self._last.values())
        )
        notes = self._start.notes + [
            f"{plural(count, 'journal entry')} left out, {what}" for what, count in self._left_out.items()
        ]
        return WhatIf(
            self._entries,
            self._start.whole,
            since,
            until,
            happened,
            imagined,
            gained=unmatched(imagined, happened),
            lost=unmatched(happened, imagined),
            notes=notes,
        )


def unmatched(events: Sequence[Event], others: Sequence[Event]) -> list[Event]:
    """Those with which none of the others goes: of the same series and kind, and at the same time in part.

    An episode is one kind, whatever its reasons; a gap, a drift and the rest are each their own.
    """
    spans: dict[tuple[str, str | None, str], list[Event]] = {}
    for other in others:
        spans.setdefault(_kind(other), []).append(other)
    return [
        event
        for event in events
        if not any(
            other.started_at <= event.ended_at and other.ended_at >= event.started_at
            for other in spans.get(_kind(event), ())
        )
    ]


def _kind(event: Event) -> tuple[str, str | None, str]:
    return event.stream, event.series, "episode" if _EPISODE & {*event.reasons} else "+".join(event.reasons)


def _begin(reader: StoreView, settings: Settings, old: Settings | None, since: int | None, ago: int | None) -> _Start:
    """The engine with which the repetition begins: that of a checkpoint, or an empty one."""
    whole = reader.journal_is_whole
    if whole and since is None and ago is None:
        return _from_nothing(settings, old)
    earliest: _Start | None = None
    for found in states(reader, InlineTrainer()):
        engine = found.engine
        if since is None and ago is not None:
            since = _reached(engine) - ago
        earliest = _Start(engine, found.seq, whole=False, since=since)
        if since is not None and _reached(engine) <= since:
            break
    else:
        if whole:
            return replace(_from_nothing(settings, old), since=since)
        if earliest is None:
            raise RefusedError(
                f"{reader.directory}: the journal begins at entry {reader.first_seq}, and there is no checkpoint from "
                "which it could be repeated; set history.keep longer, and ask again when it reaches back far enough"
            )
    assert earliest is not None
    _bring_under(earliest, settings, old, whole)
    return earliest


def _reached(engine: Engine) -> int:
    """The newest slot that a stream has come to, epoch seconds."""
    found = (each.slots.at(each.schedule.greatest) for each in engine.streams.values())
    return max((at for at in found if at >= 0), default=0)


def _from_nothing(settings: Settings, old: Settings | None) -> _Start:
    notes: list[str] = []
    return _Start(begun(_as_recorded(settings, old, notes), InlineTrainer()), 0, whole=True, since=None, notes=notes)


def _bring_under(start: _Start, settings: Settings, old: Settings | None, whole: bool) -> None:
    """Bring the state of a checkpoint under the other settings."""
    engine, before = start.engine, start.engine.settings
    assert before is not None
    for name in set(engine.streams) - set(settings.streams):
        del engine.streams[name], engine.config["streams"][name]
    taken = _as_recorded(settings, old or before, start.notes)
    try:
        engine.step(Configured(effective(taken)))
    except RefusedError as error:
        rest = "leave --since out" if whole else "the journal would have to go back to the very beginning for that"
        raise RefusedError(f"{str(error).partition(';')[0]}; {rest}") from None
    for name, each in taken.streams.items():
        changed = name not in before.streams or before.streams[name].model != each.model
        if changed and (item := promotion(name, each)) is not None:
            engine.step(item)
    reached = max(_reached(engine), 0)
    start.since = reached if start.since is None else max(start.since, reached)
    start.notes.append(
        f"begins with the state that there was after journal entry {start.after}, of {instant(reached)}; what was "
        "learned before is as it was"
    )


def _as_recorded(settings: Settings, old: Settings | None, notes: list[str]) -> Settings:
    """The settings, but with what says how readings came in as it was; what cannot be had is noted."""
    if old is None:
        return settings
    config, recorded = effective(settings), effective(old)
    for name, stream in config["streams"].items():
        if (known := recorded["streams"].get(name)) is None:
            notes.append(f"of stream {name} nothing is recorded")
            continue
        if differing := [f"streams.{name}.{key}" for key in _MEANT if stream[key] != known[key]]:
            notes.append(f"{', '.join(differing)} as recorded: the journal has readings, not the lines they came in")
        stream |= {key: known[key] for key in AS_RECORDED}
    return from_effective(config)


def _settings_of(config: dict[str, Any]) -> Settings | None:
    """A journaled configuration; None where this version does not read it."""
    try:
        return from_effective(config)
    except ValueError:
        return None
