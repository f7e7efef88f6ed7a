"""An operator's label, given or taken back, brought to the engine with what the recorded events say of its period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from daemon.engine.detection.rules import JUDGED
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import LabelKind, Labelled
from daemon.presentation.words import instant
from daemon.runtime.durable import DurableEngine
from daemon.store import EventFilter, Store

ALARMS = {reason.word for reason in JUDGED}
"""Reasons of episodes; a gap or an adopted regime is no alarm of a reading."""
YEAR_10000 = 253_402_300_800  # epoch seconds
LONGEST_NOTE = 500


@dataclass(frozen=True, slots=True)
class WantedLabel:
    """What an operator says.

    Attributes:
        stream: Name of the stream.
        series: Name of the series.
        kind: What it was.
        since: Beginning of the period, epoch seconds.
        until: Start of its last slot, or an instant within; None up to the newest reading.
        note: Why, for people.
    """

    stream: str
    series: str
    kind: LabelKind
    since: int
    until: int | None = None
    note: str = ""


def label(durable: DurableEngine, wanted: WantedLabel, now_ms: int) -> dict[str, Any]:
    """Have the engine learn from a label, through the journal.

    A label that begins at the same slot takes the place of the one before.

    Args:
        durable: The engine with its memory.
        wanted: The label.
        now_ms: Wall clock, epoch milliseconds.

    Returns:
        Stream, series, kind, period and note; `threshold`, the rarity from which the series alarms now, and
        `threshold_before`.

    Raises:
        ValueError: It cannot be applied, or is given already; nothing was journaled.
    """
    stream = durable.engine.streams.get(wanted.stream)
    if stream is None:
        raise ValueError(f"there is no stream {wanted.stream!r}")
    check_bounds(wanted.since, wanted.until, wanted.note)
    slot, at = stream.slots.slot, stream.slots.at
    since, until = at(slot(wanted.since)), at(stream.schedule.greatest if wanted.until is None else slot(wanted.until))
    stream.check_label(wanted.series, since, until)
    item = _counted_of(
        durable.store,
        Labelled(wanted.stream, wanted.series, wanted.kind, since, until, wanted.note, received_at_ms=now_ms),
    )
    return _given(durable, item)


@dataclass(frozen=True, slots=True)
class UnwantedLabel:
    """A label that an operator takes back.

    Attributes:
        stream: Name of the stream.
        series: Name of the series.
        since: Beginning of its period, epoch seconds.
        kind: What it said; None whatever it said.
        note: Why, for people.
    """

    stream: str
    series: str
    since: int
    kind: LabelKind | None = None
    note: str = ""


def take_back(durable: DurableEngine, unwanted: UnwantedLabel, now_ms: int) -> dict[str, Any]:
    """Take a label back, through the journal; returns what `label` does, of kind `none`.

    Raises:
        ValueError: No such label holds, or its series is gone; nothing was journaled.
    """
    stream = durable.engine.streams.get(unwanted.stream)
    if stream is None:
        raise ValueError(f"there is no stream {unwanted.stream!r}")
    check_bounds(unwanted.since, None, unwanted.note)
    since, series = stream.slots.at(stream.slots.slot(unwanted.since)), unwanted.series
    given = [each for each in durable.store.labels(unwanted.stream, series) if each.since == since]
    if not given or given[-1].kind == "none" or unwanted.kind not in (None, given[-1].kind):
        what = f"labelled {unwanted.kind}" if unwanted.kind else "labelled"
        raise ValueError(f"{series} is not {what} from {instant(since)} on; tidegauge label list shows what is")
    until = max(each.until for each in given)
    stream.check_label(series, since, until)
    item = Labelled(unwanted.stream, series, "none", since, until, unwanted.note, received_at_ms=now_ms)
    return _given(durable, counted(item, given, []))


def _given(durable: DurableEngine, item: Labelled) -> dict[str, Any]:
    """Have the engine learn from a label, and say what came of it."""
    stream = durable.engine.streams[item.stream]
    before = stream.threshold_of(item.series)
    durable.apply([item], {}, item.received_at_ms)
    given = {name: getattr(item, name) for name in ("stream", "series", "kind", "since", "until", "note")}
    return given | {"threshold_before": before, "threshold": stream.threshold_of(item.series)}


def check_bounds(since: int, until: int | None, note: str) -> None:
    """Whether instants and note are of a size that everything which keeps them can keep; raises ValueError."""
    if not all(0 <= at < YEAR_10000 for at in (since, until or 0)):
        raise ValueError("the period lies before 1970 or after 9999")
    if len(note) > LONGEST_NOTE or not note.isprintable():
        raise ValueError(f"a note is one line of at most {LONGEST_NOTE} characters")


def _counted_of(store: Store, item: Labelled) -> Labelled:
    """The label as the recorded events and the labels before it count it."""
    earlier = [each for each in store.labels(item.stream, item.series) if each.since == item.since]
    if earlier and (earlier[-1].kind, earlier[-1].until) == (item.kind, item.until):
        raise ValueError(f"{item.series} is labelled {item.kind} for this period already")
    found = store.events(EventFilter(stream=item.stream, series=item.series, since=item.since, until=item.until + 1))
    return counted(item, earlier, [event for _, event in found])


def counted(item: Labelled, earlier: Sequence[Labelled], events: Sequence[Event]) -> Labelled:
    """The label with what follows from events.

    Args:
        item: The label.
        earlier: Those that begin at its slot, whose place it takes.
        events: The last revisions of the events of its series that reach into its period.
    """
    true = sum(bool(ALARMS & {*event.reasons}) for event in events) if item.kind == "fault" else 0
    return replace(
        item,
        halvings=_halvings(item, events) - sum(each.halvings for each in earlier),
        true_alarms=true - sum(each.true_alarms for each in earlier),
    )


def _halvings(item: Labelled, events: Sequence[Event]) -> int:
    """A false alarm by rarity halves the rate of such alarms, a fault of which nothing was said doubles it."""
    if item.kind == "fault":
        return 0 if events else -1
    if item.kind == "none":
        return 0
    return int(any("model" in event.reasons and event.rarity >= event.threshold for event in events))
