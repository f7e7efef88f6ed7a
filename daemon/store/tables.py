"""The database's tables, its version, and how a fresh one is made and an existing one looked at."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from daemon.store.database import Database
from daemon.store.errors import StoreDamaged, StoreUnusable
from daemon.store.faults import Reached
from daemon.store.sealed_rows import SealedTable, put
from models.atomic_file import TEMPORARY, sync_directory

APPLICATION_ID = 0x54444741  # "TDGA"
VERSION = 3
LOOKED_AT = 256 << 20
"""Bytes of database up to which a start looks at all of it; of a larger one it leaves out the journal's older part."""
MODE = 0o600  # of the database and of what SQLite makes beside it
_MAGIC = b"SQLite format 3\0"
_TEXT, _NUMBER, _BYTES = "TEXT NOT NULL", "INTEGER NOT NULL", "BLOB NOT NULL"

META = SealedTable("meta", ("name", "value"), ("TEXT PRIMARY KEY NOT NULL", _NUMBER))
JOURNAL = SealedTable(
    "journal",
    ("seq", "kind", "stream", "received_at_ms", "bytes_through", "header", "blob"),
    ("INTEGER PRIMARY KEY", _TEXT, "TEXT", _NUMBER, _NUMBER, _BYTES, _BYTES),
)
POSITIONS = SealedTable(
    "positions",
    ("source", "place", "position", "seq"),
    (_TEXT, _BYTES, _TEXT, _NUMBER),
    ", PRIMARY KEY (source, place)",
)
EVENTS = SealedTable(
    "events",
    ("row", "id", "revision", "stream", "series", "state", "started_at", "ended_at", "reasons", "body"),
    ("INTEGER PRIMARY KEY", _TEXT, _NUMBER, _TEXT, "TEXT", _TEXT, _NUMBER, _NUMBER, _TEXT, _TEXT),
    ", UNIQUE (id, revision)",
)
SINKS = SealedTable("sinks", ("name", "last_row", "committed_bytes"), ("TEXT PRIMARY KEY NOT NULL", _NUMBER, _NUMBER))
MODELS = SealedTable(
    "models",
    (
        *("request_id", "stream", "version", "status", "digest", "sha256", "file", "manifest"),
        *("reason", "detail", "seq", "at_ms"),
    ),
    (
        *("TEXT PRIMARY KEY NOT NULL", _TEXT, "INTEGER", _TEXT, "TEXT", "TEXT", "TEXT", "TEXT"),
        *("TEXT", "TEXT", _NUMBER, _NUMBER),
    ),
    ", UNIQUE (stream, version)",
)
LABELS = SealedTable(
    "labels",
    ("seq", "stream", "series", "kind", "since", "until", "note", "halvings", "true_alarms", "at_ms"),
    ("INTEGER PRIMARY KEY", _TEXT, _TEXT, _TEXT, _NUMBER, _NUMBER, _TEXT, _NUMBER, _NUMBER, _NUMBER),
)
TABLES = (META, JOURNAL, POSITIONS, EVENTS, SINKS, MODELS, LABELS)

_INDEXES = (
    "CREATE INDEX events_stream ON events (stream)",
    "CREATE INDEX events_series ON events (stream, series)",
    "CREATE INDEX events_ended ON events (ended_at)",
)


def create(path: Path, reached: Reached, fill: Callable[[Database], None]) -> None:
    """Make a fresh database at `path`, `fill` it, and only then give it its name."""
    temporary = path.with_name(path.name + TEMPORARY)
    for leftover in path.parent.glob(f"{temporary.name}*"):
        leftover.unlink()
    os.close(
        os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, MODE)
    )  # its log gets this mode too
    with closing(Database(temporary)) as database:
        database.rows("PRAGMA auto_vacuum=INCREMENTAL")
        database.rows("PRAGMA journal_mode=OFF")  # nobody sees it before it is whole
        database.rows("BEGIN IMMEDIATE")
        for statement in (*(table.definition for table in TABLES), *_INDEXES):
            database.rows(statement)
        put(database, META, [("floor", 0), ("base", 0)])
        database.rows(f"PRAGMA application_id={APPLICATION_ID}")
        database.rows(f"PRAGMA user_version={VERSION}")
        fill(database)
        database.rows("COMMIT")
        database.rows("PRAGMA journal_mode=WAL")
    descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    reached("database.before_rename")
    temporary.replace(path)
    sync_directory(path.parent)


def diagnose(path: Path, noted: int | None) -> str | None:
    """What is wrong with the database at `path` as a whole, None when it is sound and of this version or an older one.

    Rows are looked at elsewhere (`daemon.store.repair`), and so are the journal's pages: there may be gigabytes.

    Args:
        path: The file.
        noted: Version of the database that was last open here, by what stands beside it; None where nothing says.

    Raises:
        StoreUnusable: A newer Tidegauge wrote it. It is left alone: what looks like damage may be its progress.
    """
    if path.stat().st_size == 0:
        return "is empty"
    with path.open("rb") as file:  # before sqlite sees it: closing a connection may remove the log of a broken file
        if file.read(len(_MAGIC)) != _MAGIC:
            return "is not a database"
    try:
        with closing(Database(path)) as database:
            return _diagnose(database, noted)
    except StoreDamaged as error:
        return f"is malformed ({error.__cause__ or error})"


def _diagnose(database: Database, noted: int | None) -> str | None:
    if database.value("PRAGMA application_id") != APPLICATION_ID:
        return "is not a Tidegauge database"
    version = database.value("PRAGMA user_version")
    if noted == VERSION and (version ^ VERSION).bit_count() == 1:
        return f"says that it is of version {version}, one bit from the {VERSION} that was open here last"
    if version > VERSION:
        raise StoreUnusable(
            f"{database.path}: was written by a newer Tidegauge (version {version} of the database, this one knows "
            f"{VERSION}); install that one again, or set another state_dir"
        )
    if version < 1:
        return f"is of version {version}, which never was"
    if version < VERSION:
        return None
    return foreign_tables(database) or _check_pages(database)


def foreign_tables(database: Database) -> str | None:
    """What is wrong with the tables' definitions, None when they are those of this version."""
    found = {text for (text,) in database.rows("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    same = found == {*(table.definition for table in TABLES), *_INDEXES}
    return None if same else "has other tables than those it was made with"


def is_small(database: Database) -> bool:
    """Whether a start looks at all of a database."""
    pages, size = database.value("PRAGMA page_count"), database.value("PRAGMA page_size")
    return bool(pages * size <= LOOKED_AT)


def _check_pages(database: Database) -> str | None:
    looked_at = [""] if is_small(database) else [f"('{table.name}')" for table in TABLES if table is not JOURNAL]
    for which in looked_at:
        if (found := database.value(f"PRAGMA integrity_check{which}")) != "ok":
            return f"is malformed ({' '.join(found.split())})"
    return None
