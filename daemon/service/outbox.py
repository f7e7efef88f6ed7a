"""What waits for a sink: the rows of the event table after its position, as far as it wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from daemon.engine.messages.events import SEVERITIES, Event, Severity
from daemon.store import EventFilter, StoreView

OPEN_MOST = 10_000  # open episodes that a sink is told again


@dataclass(frozen=True, slots=True)
class Waiting:
    """The next events for a sink, in order.

    Attributes:
        lines: Each as JSON; may be none, where it wants none of the rows.
        rows: The row of each.
        through: The last row looked at: with these lines delivered, all up to it is done.
    """

    lines: list[bytes]
    rows: list[int]
    through: int


@dataclass(frozen=True, slots=True)
class Outbox:
    """What one sink wants.

    Attributes:
        send: `all` revisions, or those that `notify`, with the end of each episode that did.
        most: Rows that may wait; beyond, the oldest are left out. None: without end.
        at_once: Rows looked at at a time.
        there: Revisions that it has, whatever its position says.
        severity: Events less severe are not wanted; one that becomes so severe is from then on.
    """

    send: Literal["notify", "all"] = "all"
    most: int | None = None
    at_once: int = 1000
    there: frozenset[tuple[str, int]] = frozenset()
    severity: Severity = "info"

    def left_out(self, reader: StoreView, after: int) -> int:
        """How many rows after a row are too many to be delivered, 0 when none is."""
        return 0 if self.most is None else max(0, reader.last_event_row - after - self.most)

    def next(self, reader: StoreView, after: int) -> Waiting | None:
        """What is wanted of the next rows; None when there are none."""
        rows = reader.events(EventFilter(latest_only=False), after_row=after, limit=self.at_once)
        if not rows:
            return None
        wanted = [(row, event) for row, event in rows if self._wants(reader, event)]
        return Waiting([_line(event) for _, event in wanted], [row for row, _ in wanted], rows[-1][0])

    def open(self, reader: StoreView) -> list[bytes]:
        """The newest revision of each episode that is open and was wanted."""
        rows = reader.events(EventFilter(state="open"), limit=OPEN_MOST, newest_first=True)
        severe = [event for _, event in rows if self._is_severe(event)]
        told = [event for event in severe if self.send == "all" or _notified(reader.revisions(event.id), event)]
        return [_line(event) for event in reversed(told)]

    def _wants(self, reader: StoreView, event: Event) -> bool:
        if (event.id, event.revision) in self.there:
            return False
        if not self._is_severe(event):
            return False
        if self.send == "all" or event.notify:
            return True
        if event.state == "open" and self.severity == SEVERITIES[0]:
            return False
        revisions = reader.revisions(event.id)
        before = [each for each in revisions if each.revision < event.revision and self._is_severe(each)]
        known = any(_notified(revisions, each) for each in before)
        return known if event.state == "closed" else not known and _notified(revisions, event)

    def _is_severe(self, event: Event) -> bool:
        return SEVERITIES.index(event.severity) >= SEVERITIES.index(self.severity)


def _notified(revisions: Sequence[Event], event: Event) -> bool:
    """Whether any of an event's revisions up to this one should have woken somebody."""
    return any(each.notify for each in revisions if each.revision <= event.revision)


def key_of(event: Any) -> tuple[str, int] | None:
    """What tells one revision of an event, as JSON, from all others; None for what is no event."""
    try:
        return str(event["id"]), int(event["revision"])
    except (KeyError, TypeError, ValueError):
        return None


def _line(event: Event) -> bytes:
    return orjson.dumps(event.to_json())
