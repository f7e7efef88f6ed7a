"""Operators' labels: every one ever given, keyed by its journal entry. The last of a period is the one that holds."""

from __future__ import annotations

from daemon.engine.messages.inputs import Labelled
from daemon.store.database import Database, Row

COLUMNS = "seq, stream, series, kind, since, until, note, halvings, true_alarms, at_ms"  # seq, then Labelled's fields


def insert(database: Database, rows: list[Row]) -> None:
    """Add rows of `COLUMNS`; an entry that is there stays as it is."""
    marks = ", ".join("?" * len(COLUMNS.split(", ")))
    database.many(f"INSERT OR IGNORE INTO labels ({COLUMNS}) VALUES ({marks})", rows)


def record(database: Database, seq: int, item: Labelled) -> None:
    """Record the label that entry `seq` gave."""
    head = (seq, item.stream, item.series, item.kind, item.since, item.until, item.note)
    insert(database, [(*head, item.halvings, item.true_alarms, item.received_at_ms)])


def rows(database: Database, through: int | None = None) -> list[Row]:
    """Rows of `COLUMNS` in order of entries, up to one."""
    most = database.value("SELECT max(seq) FROM labels") if through is None else through
    return database.rows(f"SELECT {COLUMNS} FROM labels WHERE seq <= ? ORDER BY seq", [most or 0])


def select(database: Database, after: int, stream: str | None, series: str | None) -> list[Labelled]:
    """Labels of the entries after one, of a stream and a series (of all where None is given), as they were given."""
    chosen = [(text, value) for text, value in (("stream = ?", stream), ("series = ?", series)) if value is not None]
    where = " AND ".join(["seq > ?", *(text for text, _ in chosen)])
    found = database.rows(
        f"SELECT {COLUMNS} FROM labels WHERE {where} ORDER BY seq", [after, *(value for _, value in chosen)]
    )
    return [Labelled(*row[1:]) for row in found]
