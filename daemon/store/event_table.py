"""The event list: every revision of every event, keyed by (id, revision), in the order it was said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from daemon.engine.messages.events import Event, State
from daemon.store.database import Database

_INSERT = (
    "INSERT OR IGNORE INTO events (id, revision, stream, series, state, started_at, ended_at, body) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_LATEST = "NOT EXISTS (SELECT 1 FROM events AS later WHERE later.id = events.id AND later.revision > events.revision)"


def record(database: Database, events: Sequence[Event]) -> None:
    """Add `events` in one transaction; revisions already there stay as they are."""
    rows = [(e.id, e.revision, e.stream, e.series, e.state, e.started_at, e.ended_at, _dump(e)) for e in events]
    with database.transaction("events"):
        database.many(_INSERT, rows)


def select(
    database: Database,
    *,
    stream: str | None = None,
    series: str | None = None,
    since: int | None = None,
    until: int | None = None,
    state: State | None = None,
    latest_only: bool = True,
    after_row: int = 0,
    limit: int | None = None,
    newest_first: bool = False,
) -> list[tuple[int, Event]]:
    """`(row, event)` in order of rows, or against it; see `StoreView.events`."""
    conditions: list[tuple[str, Any]] = [
        ("stream = ?", stream),
        ("series = ?", series),
        ("ended_at >= ?", since),
        ("started_at < ?", until),
        ("state = ?", state),
    ]
    chosen = [(text, value) for text, value in conditions if value is not None]
    where = ["row > ?", *(text for text, _ in chosen)] + ([_LATEST] if latest_only else [])
    order = "row DESC" if newest_first else "row"
    sql = f"SELECT row, body FROM events WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?"
    args = [after_row, *(value for _, value in chosen), -1 if limit is None else limit]
    return [(row, Event.from_json(json.loads(body))) for row, body in database.rows(sql, args)]


def _dump(event: Event) -> str:
    """JSON with every float's shortest exact form. Raises ValueError for NaN and infinity, which JSON cannot hold."""
    return json.dumps(event.to_json(), allow_nan=False)


def revisions(database: Database, event: str) -> list[Event]:
    """All revisions of an event, oldest first."""
    rows = database.rows("SELECT body FROM events WHERE id = ? ORDER BY revision", [event])
    return [Event.from_json(json.loads(body)) for (body,) in rows]


def last_row(database: Database) -> int:
    """Number of the newest row, 0 before the first."""
    return int(database.value("SELECT MAX(row) FROM events") or 0)


def sink_position(database: Database, name: str, default: tuple[int, int]) -> tuple[int, int]:
    """`(last_row, committed_bytes)` of a sink; `default` where nothing is recorded of it."""
    rows = database.rows("SELECT last_row, committed_bytes FROM sinks WHERE name = ?", [name])
    return (rows[0][0], rows[0][1]) if rows else default


def set_sink_position(database: Database, name: str, last_row: int, committed_bytes: int) -> None:
    """Record how far a sink has come."""
    with database.transaction("sink"):
        database.rows("INSERT OR REPLACE INTO sinks VALUES (?, ?, ?)", [name, last_row, committed_bytes])
