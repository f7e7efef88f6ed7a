"""An operator's label, brought to the engine with what the recorded events say of its period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from daemon.engine.detection.rules import JUDGED
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import LabelKind, Labelled
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
    before = stream.threshold_of(wanted.series)
    durable.apply([item], {}, now_ms)
    given = asdict(wanted) | {"since": since, "until": until}
    return given | {"threshold_before": before, "threshold": stream.threshold_of(wanted.series)}


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
    return int(any("model" in event.reasons and event.rarity >= event.threshold for event in events))
