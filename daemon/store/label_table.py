"""Operators' labels: every one ever given, keyed by its journal entry. The last of a period is the one that holds."""

from __future__ import annotations

from daemon.engine.messages.inputs import Labelled
from daemon.store.database import Database, Row
from daemon.store.sealed_rows import find, put
from daemon.store.tables import LABELS


def record(database: Database, seq: int, item: Labelled) -> None:
    """Record the label that entry `seq` gave; one that is there stays as it is."""
    head = (seq, item.stream, item.series, item.kind, item.since, item.until, item.note)
    put(database, LABELS, [(*head, item.halvings, item.true_alarms, item.received_at_ms)], "OR IGNORE")


def rows(database: Database, through: int) -> list[Row]:
    """Rows in order of entries, up to one."""
    return find(database, LABELS, "WHERE seq <= ? ORDER BY seq", [through])


def select(database: Database, after: int, stream: str | None, series: str | None) -> list[Labelled]:
    """Labels of the entries after one, of a stream and a series (of all where None is given), as they were given."""
    chosen = [(text, value) for text, value in (("stream = ?", stream), ("series = ?", series)) if value is not None]
    where = " AND ".join(["seq > ?", *(text for text, _ in chosen)])
    found = find(database, LABELS, f"WHERE {where} ORDER BY seq", [after, *(value for _, value in chosen)])
    return [Labelled(*row[1:]) for row in found]
