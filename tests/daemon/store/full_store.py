"""A state directory with something in every table, and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daemon.engine.messages.inputs import Labelled
from daemon.store import Store, tables
from tests.daemon.store.contents import batch, event

LABEL = Labelled("taxi", "a", "fault", 3600, 7200, "a strike", -1, 2, 1_700_000_000_000)
ENTRIES, EVENTS_AN_ENTRY = 8, 4


def fill(store: Store, first: int = 1, last: int = ENTRIES) -> None:
    """Entries from `first` to `last`, each with all that may go with one; checkpoints of entries 2 and 4."""
    for number in range(first, last + 1):
        position = {"offset": number}
        store.append([batch(number, 60)], {"f": {"p": position, "q": position}, f"s{number}": {"": {"x": 1}}}, number)
        store.record_label(number, LABEL)
        if number == 1:
            store.put_model("taxi", "r1", b"bytes", digest="d", manifest={"a": 1}, outcome="promoted")
        store.record_events([event(f"e{number}-{each}", 0, 100 * number) for each in range(EVENTS_AN_ENTRY)])
        store.set_sink_position("file", EVENTS_AN_ENTRY * number - 1, 77 * number)
        store.set_sink_position("stdout", EVENTS_AN_ENTRY * number, 0)
        if number in (2, 4):
            store.write_checkpoint(number, b"state %d" % number)


def make(directory: Path) -> None:
    """A directory that was closed in order."""
    with Store.open(directory) as store:
        fill(store)


def content(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    return {
        table.name: store._database.rows(f"SELECT {table.listed} FROM {table.name} ORDER BY rowid")
        for table in tables.TABLES
    }
