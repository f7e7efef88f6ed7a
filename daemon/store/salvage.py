"""What can still be read of a database that is malformed, or of an earlier version: row by row into a fresh one."""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from daemon.store import event_table
from daemon.store.database import Database, Row
from daemon.store.errors import StoreError
from daemon.store.sealed_rows import SealedTable, Unsound, is_sound, put
from daemon.store.tables import EVENTS, JOURNAL, TABLES

PROBES = 100_000
"""Row numbers tried one by one where a table cannot be read in order."""
_PAGE = 64

log = logging.getLogger(__name__)


def copy(path: Path, fresh: Database) -> list[Unsound]:
    """Put the rows of the database at `path` into a fresh one; those that are not what was written.

    The rows of each table that can be read are taken, in their order; nothing is raised for what cannot.
    """
    bad: list[Unsound] = []
    try:
        with closing(_open(path)) as source:
            for table in TABLES:
                _copy(source, table, fresh, bad)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if not _is_damage(error):
            raise StoreError(f"{path}: {error}; check the disk") from error
        log.error("nothing more can be read of the database", extra={"file": str(path), "error": str(error)})
    return bad


def _is_damage(error: Exception) -> bool:
    """Whether an error comes from what the file says; a disk that fails to read is another matter."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, 0)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.text_factory = lambda found: found.decode("utf-8", "surrogateescape")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _copy(source: sqlite3.Connection, table: SealedTable, fresh: Database, bad: list[Unsound]) -> None:
    present = [row[1] for row in source.execute(f"PRAGMA table_info({table.name})")]
    reader = _reader(table, present)
    if reader is None:
        return
    fresh.rows(f"DELETE FROM {table.name}")
    batch: list[Row] = []
    for rowid, found in _rows(source, table.name, present):
        row = reader(found)
        if row is None:
            bad.append(Unsound(table.name, rowid, found))
            continue
        batch.append(row)
        if len(batch) == _PAGE:
            put(fresh, table, batch, "OR IGNORE")
            batch = []
    put(fresh, table, batch, "OR IGNORE")


def _reader(table: SealedTable, present: Sequence[str]) -> Callable[[Row], Row | None] | None:
    """What makes a row of `table.columns` of one with the columns that are present, or None of one that is unsound."""
    if present == [*table.columns, "crc"]:
        return lambda row: tuple(row[:-1]) if is_sound(table, row) else None
    if {*table.columns} - {*present} <= {"reasons"} and "crc" not in {*present} - {*table.columns, "crc"}:
        return lambda row: _of_earlier(table, dict(zip(present, row, strict=True)))
    return None


def _of_earlier(table: SealedTable, values: Mapping[str, Any]) -> Row | None:
    """A row of version 1 or 2, which had checksums in the journal alone."""
    facts = dict(values)
    try:
        if table is JOURNAL and zlib.crc32(facts["blob"], zlib.crc32(facts["header"])) != facts["crc"]:
            return None
        if table is EVENTS:
            facts["reasons"] = event_table.reasons_in(facts["body"])
    except (ValueError, TypeError):
        return None
    return tuple(facts[column] for column in table.columns)


def _rows(source: sqlite3.Connection, table: str, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    """Every row that can be read, with its number: in order, and beyond what cannot be read one by one."""
    listed = ", ".join(columns)
    try:
        source.execute(f"SELECT rowid FROM {table} LIMIT 0")
    except sqlite3.OperationalError:  # a table of an earlier version that has none
        yield from _unnumbered(source, f"SELECT {listed} FROM {table}")
        return
    at, probes = -(2**63), 0
    while True:
        try:
            page = source.execute(
                f"SELECT rowid, {listed} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {_PAGE}", [at]
            ).fetchall()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not _is_damage(error):
                raise
            found = None
            at = max(at, 0)
            while found is None and probes < PROBES:
                at, probes = at + 1, probes + 1
                with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
                    found = source.execute(f"SELECT rowid, {listed} FROM {table} WHERE rowid = ?", [at]).fetchone()
            if found is None:
                return
            yield found[0], tuple(found[1:])
            continue
        if not page:
            return
        for rowid, *row in page:
            if rowid <= at:  # a page of the file that leads in circles
                return
            at = rowid
            yield rowid, tuple(row)


def _unnumbered(source: sqlite3.Connection, statement: str) -> Iterator[tuple[int, Row]]:
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        yield from enumerate(map(tuple, source.execute(statement)))
