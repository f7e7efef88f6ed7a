"""The database's tables, its version, how a fresh one is made and an older one brought up to date."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from daemon.store.database import DAMAGED, Database
from daemon.store.errors import StoreDamaged, StoreUnusable
from daemon.store.faults import Reached
from models.atomic_file import TEMPORARY, sync_directory

APPLICATION_ID = 0x54444741  # "TDGA"
VERSION = 2
MODE = 0o600  # of the database and of what SQLite makes beside it
_MAGIC = b"SQLite format 3\0"

_LABELS = """CREATE TABLE labels (
    seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, series TEXT NOT NULL, kind TEXT NOT NULL, since INTEGER NOT NULL,
    until INTEGER NOT NULL, note TEXT NOT NULL, halvings INTEGER NOT NULL, true_alarms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL)"""

_STATEMENTS = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, stream TEXT, received_at_ms INTEGER NOT NULL,
    bytes_through INTEGER NOT NULL, crc INTEGER NOT NULL, header BLOB NOT NULL, blob BLOB NOT NULL)""",
    """CREATE TABLE positions (
    source TEXT NOT NULL, place BLOB NOT NULL, position TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (source, place)) WITHOUT ROWID""",
    """CREATE TABLE events (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL, revision INTEGER NOT NULL, stream TEXT NOT NULL, series TEXT,
    state TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, body TEXT NOT NULL,
    UNIQUE (id, revision))""",
    """CREATE TABLE sinks (
    name TEXT PRIMARY KEY, last_row INTEGER NOT NULL, committed_bytes INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE models (
    request_id TEXT PRIMARY KEY, stream TEXT NOT NULL, version INTEGER, status TEXT NOT NULL, digest TEXT,
    sha256 TEXT, file TEXT, manifest TEXT, reason TEXT, detail TEXT, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    UNIQUE (stream, version))""",
    _LABELS,
    "INSERT INTO meta VALUES ('floor', 0), ('base', 0)",
)

TABLES = ("meta", "journal", "positions", "events", "sinks", "models", "labels")


def _add_labels(database: Database) -> None:
    database.rows(_LABELS)


MIGRATIONS: Mapping[int, Callable[[Database], None]] = {1: _add_labels}
"""From a version to the next: statements inside one transaction that also sets the new version."""


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
        database.rows("BEGIN IMMEDIATE")
        for statement in _STATEMENTS:
            database.rows(statement)
        database.rows(f"PRAGMA application_id={APPLICATION_ID}")
        database.rows(f"PRAGMA user_version={VERSION}")
        fill(database)
        database.rows("COMMIT")
        database.rows("PRAGMA journal_mode=WAL")
    reached("database.before_rename")
    temporary.replace(path)
    sync_directory(path.parent)


def diagnose(path: Path) -> str | None:
    """What is wrong with the database at `path`, None when it is sound and of this version or an older one.

    Raises:
        StoreUnusable: A newer Tidegauge wrote it. It is left alone: what looks like damage may be its progress.

    The journal's blobs are not all read (there may be gigabytes): what recovery needs of them is checked by
    `journal.diagnose`, and damage found later leaves a marker that is honoured here.
    """
    if path.with_name(DAMAGED).exists():
        return "was found malformed while it was in use"
    if path.stat().st_size == 0:
        return "is empty"
    with path.open("rb") as file:  # before sqlite sees it: closing a connection may remove the log of a broken file
        if file.read(len(_MAGIC)) != _MAGIC:
            return "is not a database"
    try:
        with closing(Database(path)) as database:
            return _diagnose(database)
    except StoreDamaged as error:
        return f"is malformed ({error.__cause__ or error})"


def _diagnose(database: Database) -> str | None:
    if database.value("PRAGMA application_id") != APPLICATION_ID:
        return "is not a Tidegauge database"
    version = database.value("PRAGMA user_version")
    if version > VERSION:
        raise StoreUnusable(
            f"{database.path}: was written by a newer Tidegauge (version {version} of the database, this one knows "
            f"{VERSION}); install that one again, or set another state_dir"
        )
    if version < VERSION:
        possible = all(step in MIGRATIONS for step in range(version, VERSION))
        return None if possible else f"is of version {version}, which this Tidegauge cannot migrate"
    present = {name for (name,) in database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if missing := [name for name in TABLES if name not in present]:
        return f"has no table {missing[0]}"
    return _check_pages(database)


def _check_pages(database: Database) -> str | None:
    for table in TABLES:
        if table != "journal" and (found := database.value(f"PRAGMA quick_check('{table}')")) != "ok":
            return f"is malformed ({found})"
    return None


def migrate(path: Path) -> Path | None:
    """Bring an older database up to `VERSION`; the path of the copy that is kept, None when there was nothing to do."""
    with closing(Database(path)) as database:
        version = database.value("PRAGMA user_version")
        if version == VERSION:
            return None
        copy = path.with_name(f"{path.name}.version-{version}")
        copy.unlink(missing_ok=True)
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, MODE))
        database.rows("VACUUM INTO ?", [str(copy)])
        sync_directory(path.parent)
        for step in range(version, VERSION):
            database.rows("BEGIN IMMEDIATE")
            MIGRATIONS[step](database)
            database.rows(f"PRAGMA user_version={step + 1}")
            database.rows("COMMIT")
        return copy
