"""A database brought back to what is known of it: unsound rows set aside, lost ones put back as far as they are known.

What is known from elsewhere: the mark (what was committed last), the ledger (recent events), and what the newest sound
checkpoint carries.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.store import event_table, journal, ledger
from daemon.store.checkpoints import Checkpoint, Checkpoints
from daemon.store.database import NAME, Database, Row
from daemon.store.files import free_name
from daemon.store.mark import Noted
from daemon.store.sealed_rows import SealedTable, Unsound, put, unsound
from daemon.store.tables import EVENTS, JOURNAL, LABELS, MODELS, POSITIONS, SINKS, TABLES, is_small
from models.atomic_file import sync_directory

ROWS = NAME + ".rows"
"""Rows set aside are in `tidegauge.db.rows.quarantined-N`, a line of JSON each."""

log = logging.getLogger(__name__)


@dataclass
class Repair:
    """What was wrong and has been mended.

    Attributes:
        files: Files that rows were set aside in.
        lost: First and last numbers of runs of journal entries that are lost.
    """

    files: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)


def mend(
    database: Database,
    files: Checkpoints,
    noted: Noted | None,
    *,
    thorough: bool = False,
    fresh: bool = False,
    bad: Sequence[Unsound] = (),
) -> Repair:
    """Set aside what is unsound, and put back what is lost.

    Args:
        database: Open for writing; sound as a file.
        files: The checkpoints.
        noted: What was committed last.
        thorough: Whether all of the journal is looked at, not only what recovery reads.
        fresh: Whether the database has been made anew.
        bad: Rows found unsound when it was made, which it does not have.
    """
    done = Repair()
    after = 0 if thorough or fresh or is_small(database) else [*files.sequences(), 0, 0][1]
    found = [row for table in TABLES for row in _unsound(database, table, after)]
    if found or bad:
        set_aside(database.path.parent, [*bad, *found])
        done.files = 1
    last = journal.bounds(database)[2]
    if last == 0 and fresh:
        last = _begin_late(database, files, noted)
    reached = max(last, noted.seq) if noted else _last_of([*bad, *found], last)
    is_behind = noted is not None and (last < noted.seq or _newest_row(database) < noted.row)
    newest = files.newest_sound(0, reached) if found or fresh or is_behind else None
    database.rows("BEGIN IMMEDIATE")
    _delete(database, found)
    _complete_meta(database, noted, newest)
    if newest is not None:
        _carry_over(database, newest, newer=newest.seq > last)
    done.lost = _mark_lost(database, after, reached)
    if noted is not None:
        _put_sinks_forward(database, noted)
    if found or fresh or is_behind:
        _put_events_back(database, files.directory.parent, noted)
    database.rows("COMMIT")
    for first, to in done.lost:
        log.error("journal entries lost", extra={"first": first, "last": to, "file": str(database.path)})
    return done


def _last_of(found: Sequence[Unsound], last: int) -> int:
    """Number up to which unsound entries go on from the last sound one."""
    numbers = {row.rowid for row in found if row.table == JOURNAL.name}
    while last + 1 in numbers:
        last += 1
    return last


def _begin_late(database: Database, files: Checkpoints, noted: Noted | None) -> int:
    """Have an empty journal begin after the newest checkpoint, or where it had come to; the entry before its first."""
    newest = files.newest_sound(0, None)
    if newest is not None:
        log.warning("database made from checkpoint", extra={"seq": newest.seq, "file": str(files.path(newest.seq))})
        journal.set_meta(database, "floor", newest.seq)
        return newest.seq
    seq = noted.seq if noted else 0
    if seq:
        log.error("journal entries lost", extra={"first": 1, "last": seq, "file": str(database.path)})
    for name in ("floor", "base"):
        journal.set_meta(database, name, seq)
    return seq


def _newest_row(database: Database) -> int:
    return int(database.value("SELECT max(row) FROM events") or 0)


def _unsound(database: Database, table: SealedTable, after: int) -> list[Unsound]:
    return list(unsound(database, table, after if table is JOURNAL else None))


def set_aside(directory: Path, found: Sequence[Unsound]) -> None:
    """Write rows to a file of their own, and say so."""
    path = free_name(directory / ROWS)
    with path.open("x", encoding="ascii") as file:
        path.chmod(0o600)
        for table, rowid, values in found:
            file.write(json.dumps({"table": table, "rowid": rowid, "values": [_plain(v) for v in values]}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)
    counts: dict[str, int] = {}
    for row in found:
        counts[row.table] = counts.get(row.table, 0) + 1
    log.error("damaged rows set aside", extra={"rows": counts, "moved_to": str(path)})


def _plain(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _delete(database: Database, found: Sequence[Unsound]) -> None:
    for table, rowid, _ in found:
        database.rows(f"DELETE FROM {table} WHERE rowid = ?", [rowid])


def _complete_meta(database: Database, noted: Noted | None, newest: Checkpoint | None) -> None:
    """Put back what the database says of itself where that is lost."""
    known = {name for (name,) in database.rows("SELECT name FROM meta")}
    first = database.value("SELECT min(seq) FROM journal")
    if "floor" not in known:
        floor = noted.floor if noted else newest.seq if newest else 0
        journal.set_meta(database, "floor", floor if first is None else first - 1)
    if "base" not in known:
        journal.set_meta(database, "base", noted.base if noted else 0)
    if noted is not None and noted.said > journal.meta(database).get("said", 0):
        journal.set_meta(database, "said", noted.said)


def _carry_over(database: Database, newest: Checkpoint, *, newer: bool) -> None:
    """Put in what a checkpoint carries, in the place of what is there where the checkpoint is the newer of the two."""
    otherwise = "OR REPLACE" if newer else "OR IGNORE"
    carried = newest.carried
    places = [
        (source, place.encode("utf-8", "surrogatepass"), json.dumps(position), seq)
        for source, place, position, seq in carried["positions"]
    ]
    put(database, POSITIONS, places, otherwise)
    put(database, SINKS, sink_rows(carried["sinks"]), "OR IGNORE")
    put(database, LABELS, carried.get("labels", []), "OR IGNORE")
    if newer:
        for row in carried["models"]:
            database.rows("DELETE FROM models WHERE request_id = ?", row[:1])
    put(database, MODELS, carried["models"], "OR IGNORE")


def _mark_lost(database: Database, after: int, reached: int) -> list[tuple[int, int]]:
    """Have a row stand for each run of entries that should be there and is not."""
    floor, _, last = journal.bounds(database)
    runs = [(first, to) for first, to, _ in journal.diagnose(database, after)]
    if reached > max(last, floor):
        runs.append((max(last, floor) + 1, reached))
    for first, to in runs:
        put(database, JOURNAL, [journal.lost_entry(database, first, to)])
    return runs


def _put_events_back(database: Database, directory: Path, noted: Noted | None) -> None:
    """Events that the table lacks and the ledger has, under their numbers, which are not given out again."""
    given = max(noted.row if noted else 0, event_table.last_row(database))
    rows = ledger.read(directory)
    put(database, EVENTS, rows, "OR IGNORE")
    delivered = database.value("SELECT max(last_row) FROM sinks") or 0
    given = max([given, delivered, *(row[0] for row in rows)])
    if given > _newest_row(database):
        journal.set_meta(database, event_table.ROW, given)


def _put_sinks_forward(database: Database, noted: Noted) -> None:
    """What a sink has delivered is never delivered again because the database forgot it."""
    for name, (row, size) in noted.sinks.items():
        found = event_table.sink_position(database, name)
        if found is None or found[0] < row:
            put(database, SINKS, [(name, row, size)], "OR REPLACE")


def sink_rows(carried: Sequence[Sequence[Any]]) -> list[Row]:
    """Rows of sinks that a checkpoint carries; earlier versions left out the row that was reached."""
    return [(row[0], row[1], row[2]) if len(row) == 3 else (row[0], 0, row[1]) for row in carried]
