"""What waits for a sink: the rows of the event table after its position, as far as it wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from daemon.engine.messages.events import Event
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
    """

    send: Literal["notify", "all"] = "all"
    most: int | None = None
    at_once: int = 1000
    there: frozenset[tuple[str, int]] = frozenset()

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
        told = [event for _, event in rows if self.send == "all" or _notified(reader, event)]
        return [_line(event) for event in reversed(told)]

    def _wants(self, reader: StoreView, event: Event) -> bool:
        if (event.id, event.revision) in self.there:
            return False
        return self.send == "all" or event.notify or (event.state == "closed" and _notified(reader, event))


def _notified(reader: StoreView, event: Event) -> bool:
    """Whether any revision of an event up to this one should have woken somebody."""
    return any(each.notify for each in reader.revisions(event.id) if each.revision <= event.revision)


def key_of(event: Any) -> tuple[str, int] | None:
    """What tells one revision of an event, as JSON, from all others; None for what is no event."""
    try:
        return str(event["id"]), int(event["revision"])
    except (KeyError, TypeError, ValueError):
        return None


def _line(event: Event) -> bytes:
    return orjson.dumps(event.to_json())
