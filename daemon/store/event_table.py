"""The event list: every revision of every event, keyed by (id, revision), in the order it was said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.engine.messages.events import Event, State
from daemon.store.database import Database, Row
from daemon.store.sealed_rows import find, put
from daemon.store.tables import EVENTS, SINKS

ROW = "row"
"""In `meta`: rows up to this number were given out, though the table has lost the last of them."""

_LATEST = "NOT EXISTS (SELECT 1 FROM events AS later WHERE later.id = events.id AND later.revision > events.revision)"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted; all conditions hold, and what is None is none.

    Attributes:
        stream: Of this stream only.
        series: Of this series only.
        reason: With this among the reasons.
        since: Episodes whose last slot so far is at or after this, epoch seconds.
        until: Episodes whose first slot is before this, epoch seconds.
        state: In this state; with `latest_only`, in this state now.
        beginning: Whose id begins with this.
        before_row: Recorded in a row before this one.
        latest_only: The newest revision of each event, or all revisions.
    """

    stream: str | None = None
    series: str | None = None
    reason: str | None = None
    since: int | None = None
    until: int | None = None
    state: State | None = None
    beginning: str | None = None
    before_row: int | None = None
    latest_only: bool = True


def record(database: Database, events: Sequence[Event]) -> list[Row]:
    """Add `events` in one transaction; revisions already there stay as they are. The rows that were added."""
    rows: list[Row] = []
    with database.transaction("events"):
        number = last_row(database)
        known: set[tuple[str, int]] = set()
        for event in events:
            key = (event.id, event.revision)
            there = database.rows("SELECT 1 FROM events WHERE id = ? AND revision = ?", key)
            if key not in known and not there:
                known.add(key)
                rows.append(_row(number := number + 1, event))
        put(database, EVENTS, rows)
    return rows


def last_row(database: Database) -> int:
    """Greatest number of a row that was ever given out."""
    given = database.value("SELECT value FROM meta WHERE name = ?", [ROW])
    return max(given or 0, database.value("SELECT max(row) FROM events") or 0)


def select(
    database: Database, wanted: EventFilter, *, after_row: int = 0, limit: int | None = None, newest_first: bool = False
) -> list[tuple[int, Event]]:
    """`(row, event)` in order of rows, or against it; see `StoreView.events`."""
    where, args = _where(wanted, after_row)
    order = "row DESC" if newest_first else "row"
    rows = find(database, EVENTS, f"WHERE {where} ORDER BY {order} LIMIT ?", [*args, -1 if limit is None else limit])
    return [(row[0], Event.from_json(json.loads(row[-1]))) for row in rows]


def begun_by_day(database: Database, most: int) -> dict[int, int]:
    """How many of the newest so many rows are first revisions, by the day of their beginning, its number since 1970."""
    newest = "SELECT CAST(started_at AS INTEGER) / 86400 AS day, revision FROM events ORDER BY row DESC LIMIT ?"
    sql = f"SELECT day, count(*) FROM ({newest}) WHERE revision = 0 GROUP BY day"
    return {int(day): int(count) for day, count in database.rows(sql, [most])}


def row_before_newest(database: Database, wanted: EventFilter, count: int) -> int:
    """Row after which only the newest `count` of the wanted events come."""
    where, args = _where(wanted)
    sql = f"SELECT row FROM events WHERE {where} ORDER BY row DESC LIMIT 1 OFFSET ?"
    return int(database.value(sql, [*args, count]) or 0)


def _where(wanted: EventFilter, after_row: int = 0) -> tuple[str, list[Any]]:
    """The condition for rows, and its values."""
    conditions: list[tuple[str, Any]] = [
        ("row > ?", after_row or None),
        ("row < ?", wanted.before_row),
        ("stream = ?", wanted.stream),
        ("series = ?", wanted.series),
        ("instr(' ' || reasons || ' ', ' ' || ? || ' ')", wanted.reason),
        ("ended_at >= ?", wanted.since),
        ("started_at < ?", wanted.until),
        ("state = ?", wanted.state),
        ("id >= ?", wanted.beginning),
        ("id < ?", None if wanted.beginning is None else wanted.beginning + "~"),
    ]
    chosen = [(text, value) for text, value in conditions if value is not None]
    where = [text for text, _ in chosen] + ([_LATEST] if wanted.latest_only else [])
    return " AND ".join(where) or "1", [value for _, value in chosen]


def reasons_in(body: str) -> str:
    """What the column `reasons` has for an event as JSON. Raises ValueError when it is none."""
    try:
        return " ".join(json.loads(body)["reasons"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no event: {error}") from error


def _row(number: int, event: Event) -> Row:
    """Floats of the body have their shortest exact form. Raises ValueError for NaN and infinity, which JSON lacks."""
    body = json.dumps(event.to_json(), allow_nan=False)
    facts = (event.id, event.revision, event.stream, event.series, event.state, event.started_at, event.ended_at)
    return (number, *facts, " ".join(event.reasons), body)


def revisions(database: Database, event: str) -> list[Event]:
    """All revisions of an event, oldest first."""
    rows = find(database, EVENTS, "WHERE id = ? ORDER BY revision", [event])
    return [Event.from_json(json.loads(row[-1])) for row in rows]


def sink_position(database: Database, name: str) -> tuple[int, int] | None:
    """`(last_row, committed_bytes)` of a sink, None when it has no record."""
    rows = find(database, SINKS, "WHERE name = ?", [name])
    return (rows[0][1], rows[0][2]) if rows else None


def set_sink_position(database: Database, name: str, last_row: int, committed_bytes: int) -> None:
    """Record how far a sink has come."""
    with database.transaction("sink"):
        put(database, SINKS, [(name, last_row, committed_bytes)], "OR REPLACE")
