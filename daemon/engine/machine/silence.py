"""Gaps as events: one series that stops reporting, or many at once as one event of the stream."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from daemon.engine.kernel.slots import NEVER
from daemon.engine.machine.episodes import telling
from daemon.engine.machine.maintenance import Maintenance
from daemon.engine.messages.events import Event, Reason, event_id
from daemon.engine.table.overdue import BACK, Silences
from daemon.engine.table.series import SeriesTable

GROUP_LEAST = 5  # series that fall silent together
GROUP_FRACTION = 0.2  # of the stream's series
MEMBERS_NAMED = 20

SlotTime = Callable[[int], int]
"""Slot to epoch seconds of its start."""


def gap_event(
    stream: str,
    series: str | None,
    since: int,
    at: int,
    hushed: bool,
    told: dict[str, Any],
    members: dict[str, Any] | None = None,
) -> Event:
    """The opening of a gap whose first missing slot starts at `since` and that was noticed at `at`, epoch seconds.

    Where it is `hushed`, nobody is told of it now; `told` as `episodes.telling` has it.
    """
    return Event(
        id=event_id(stream, series, Reason.GAP.word, since),
        revision=0,
        stream=stream,
        series=series,
        state="open",
        reasons=(Reason.GAP.word,),
        started_at=since,
        ended_at=at,
        at=at,
        **told,
        maintenance=hushed,
        score=0.0,
        rarity=0.0,
        threshold=0.0,
        reconstruction_error=0.0,
        value=None,
        expected=None,
        lower=None,
        upper=None,
        members=members,
    )


class Silence:
    """Open gaps of one stream.

    Attributes:
        single: Open gap event by row.
        groups: Open stream event with the rows still silent, by the slot it was noticed at, or the next number free.
        total: Gaps ever opened.
        ended: As `Episodes` has it.
    """

    def __init__(self, stream: str, table: SeriesTable, slot_at: SlotTime, maintenance: Maintenance) -> None:
        self.stream, self.table, self.slot_at, self.maintenance = stream, table, slot_at, maintenance
        self.single: dict[int, Event] = {}
        self.groups: dict[int, tuple[Event, set[int]]] = {}
        self.total = 0
        self.ended: list[Event] | None = None

    def tell(self, found: Silences, count: int) -> list[tuple[int, Event]]:
        """Events of the first `count` silences, each with the arrival index that caused it."""
        out: list[tuple[int, Event]] = []
        i = 0
        while i < count:
            if found.kind[i] == BACK:
                out += [(int(found.arrival[i]), e) for e in self.back(int(found.row[i]), int(found.slot[i]) - 1)]
                i += 1
                continue
            j = i
            while j < count and found.kind[j] != BACK and found.arrival[j] == found.arrival[i]:
                j += 1
            rows = [int(row) for row in found.row[i:j]]
            lasts = [int(last) for last in found.last[i:j]]
            out += [
                (int(found.arrival[i]), e) for e in self._open(rows, lasts, int(found.slot[i]), int(found.known[i]))
            ]
            i = j
        return out

    def tell_owed(self, slot: int) -> list[Event]:
        """Gaps that are open at `slot` still, and were not told because of maintenance that is over by now."""
        told: list[Event] = []
        for row, event in sorted(self.single.items()):
            if event.maintenance and (at := self._over_at([row], event, slot)) is not None:
                self.single[row] = self._told(event, at)
                told.append(self.single[row])
        for group, (event, rows) in sorted(self.groups.items()):
            if event.maintenance and (at := self._over_at(rows, event, slot)) is not None:
                self.groups[group] = (self._told(event, at), rows)
                told.append(self.groups[group][0])
        return told

    def _over_at(self, rows: Collection[int], event: Event, slot: int) -> int | None:
        """The slot at which the first of these is in no window any more; None where that is beyond `slot`."""
        since = self.maintenance.slots.slot(event.at)
        found = [self.maintenance.until(row, since) for row in sorted(rows)]
        return min((at for at in found if at is not None and at <= slot), default=None)

    def _told(self, event: Event, slot: int) -> Event:
        at = self.slot_at(slot)
        times: dict[str, Any] = {"at": at, "ended_at": at}
        return replace(event, revision=event.revision + 1, maintenance=False, **times, **telling(True, self.ended))

    def keep_told(self, row: int, told: Event) -> None:
        """A gap has been told, of the series of a row or of many."""
        if row in self.single and self.single[row].id == told.id:
            self.single[row] = told
        for group, (event, rows) in self.groups.items():
            if event.id == told.id:
                self.groups[group] = (told, rows)

    def _open(self, rows: list[int], lasts: list[int], slot: int, known: int) -> list[Event]:
        self.total += len(rows)
        self.table.arrays.rows["anomalies"][rows, Reason.GAP] += 1
        if len(rows) >= max(GROUP_LEAST, GROUP_FRACTION * known):
            return [self._open_group(rows, min(lasts), slot)]
        events = []
        for row, last in sorted(zip(rows, lasts, strict=True)):
            hushed = self.maintenance.holds(row, slot)
            times = self.slot_at(last + 1), self.slot_at(slot)
            event = gap_event(self.stream, self.table.names[row], *times, hushed, telling(not hushed, self.ended))
            self.single[row] = event
            events.append(event)
        return events

    def _open_group(self, rows: list[int], last: int, slot: int) -> Event:
        names = sorted(str(self.table.names[row]) for row in rows)
        members = {"count": len(rows), "series": names[:MEMBERS_NAMED]}
        hushed = all(self.maintenance.holds(row, slot) for row in rows)
        times, told = (self.slot_at(last + 1), self.slot_at(slot)), telling(not hushed, self.ended)
        event = gap_event(self.stream, None, *times, hushed, told, members)
        group = slot
        while group in self.groups:  # after a return from the past more may fall silent at the same slot
            group += 1
        self.groups[group] = (event, set(rows))
        self.table.arrays.rows["silent_group"][rows] = group
        return event

    def back(self, row: int, last_missing: int) -> list[Event]:
        """Events of a series that reports again (or is forgotten), `last_missing` being its last empty slot."""
        record = self.table.arrays.rows[row]
        group = int(record["silent_group"])
        record["silent_group"] = NEVER
        if group == NEVER:
            return [self._closed(self.single.pop(row), last_missing)]
        event, rows = self.groups[group]
        rows.discard(row)
        if rows:
            return []
        del self.groups[group]
        return [self._closed(event, last_missing)]

    def _closed(self, event: Event, last_missing: int) -> Event:
        # a backlog that fills the gap from its beginning leaves none of it
        at = max(self.slot_at(last_missing), event.started_at)
        closed = replace(event, revision=event.revision + 1, state="closed", ended_at=at, at=at, notify=False)
        if self.ended is not None and (closed.withheld or closed.notified):
            self.ended.append(closed)
        return closed

    def state(self) -> dict[str, Any]:
        """JSON that `restore` continues from."""
        return {
            "single": {str(row): e.to_json() for row, e in sorted(self.single.items())},
            "groups": {str(s): [e.to_json(), sorted(rows)] for s, (e, rows) in sorted(self.groups.items())},
            "total": self.total,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.single = {int(row): Event.from_json(e) for row, e in state["single"].items()}
        self.groups = {int(s): (Event.from_json(e), set(rows)) for s, (e, rows) in state["groups"].items()}
        self.total = state["total"]
