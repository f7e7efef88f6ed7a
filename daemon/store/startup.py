"""How a state directory is opened: locked, and its database taken, migrated, or set aside for a fresh one."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from pathlib import Path
from typing import Any

from daemon.store import checkpoints, journal, label_table, lock, model_store, tables
from daemon.store.access import exposure, make_private, refusal
from daemon.store.checkpoints import Checkpoints
from daemon.store.database import COMPANIONS, DAMAGED, NAME, Database
from daemon.store.errors import StoreDamaged, StoreError, StoreUnusable
from daemon.store.faults import Reached
from daemon.store.files import disk_error, quarantine, remove_temporaries

log = logging.getLogger(__name__)


def enter(directory: Path) -> lock.Lock:
    """Make `directory` when there is none, and lock it.

    Raises:
        StoreUnusable: Anybody may write to it.
        StoreError: It or something in it may not be written or read, and is none to be set aside for that.
    """
    folders = [directory / checkpoints.DIRECTORY, directory / model_store.DIRECTORY]
    written = [directory, *(directory / name for name in (lock.NAME, NAME, *(NAME + end for end in COMPANIONS)))]
    why = refusal([*written, *folders], writing=True)
    if why is None:
        why = refusal(
            (path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())), writing=False
        )
    if why is not None:
        raise StoreError(why)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (why := exposure(directory)) is not None:
            raise StoreUnusable(why)
        held = lock.Lock(directory)
    except OSError as error:
        raise disk_error(error, directory) from error
    try:
        for folder in folders:
            folder.mkdir(mode=0o700, exist_ok=True)
            remove_temporaries(folder)
    except OSError as error:
        held.release()
        raise disk_error(error, directory) from error
    return held


def database(directory: Path, files: Checkpoints, reached: Reached) -> tuple[Database, int]:
    """The connection, and how many databases were quarantined on the way to it (0 or 1)."""
    path = directory / NAME
    why = tables.diagnose(path) if path.exists() else None
    if why is None and path.exists():
        if (copy := tables.migrate(path)) is not None:
            log.warning("database migrated", extra={"file": str(path), "copy": str(copy)})
        why = _diagnose_tail(path, files)
    if why is not None:
        moved = quarantine(path, COMPANIONS)
        log.error("database quarantined", extra={"file": str(path), "moved_to": str(moved), "why": why})
    path.with_name(DAMAGED).unlink(missing_ok=True)
    if opened := make_private([path, *(path.with_name(NAME + end) for end in COMPANIONS)], tables.MODE):
        log.warning("database was readable by others, and is no more", extra={"files": [str(file) for file in opened]})
    if not path.exists():
        _make(directory, files, reached)
    return Database(path, reached=reached), int(why is not None)


def _diagnose_tail(path: Path, files: Checkpoints) -> str | None:
    """What is wrong with the entries that recovery reads, from the newest checkpoint but one (from any, with fewer)."""
    after = [*files.sequences(), 0, 0][1]
    try:
        with closing(Database(path)) as connection:
            return journal.diagnose(connection, after)
    except StoreDamaged as error:
        return f"is malformed ({error.__cause__ or error})"


def _make(directory: Path, files: Checkpoints, reached: Reached) -> None:
    """A fresh database: empty, or going on from the newest sound checkpoint when there is one."""
    path = directory / NAME
    if any(path.with_name(path.name + suffix).exists() for suffix in COMPANIONS):
        quarantine(path, COMPANIONS)  # a log without its database would be taken for the fresh one's
    newest = files.newest_sound(0, None)
    if newest is not None:
        log.warning("database made from checkpoint", extra={"seq": newest.seq, "file": str(files.path(newest.seq))})

    def fill(fresh: Database) -> None:
        if newest is not None:
            restore(fresh, newest.seq, newest.carried)

    tables.create(path, reached, fill)
    _set_unrecorded_aside(directory)


def _set_unrecorded_aside(directory: Path) -> None:
    """Model files that the fresh database does not know are kept under another name, never overwritten."""
    with closing(Database(directory / NAME)) as fresh:
        known = {record.file for record in model_store.records(fresh)}
    for path in sorted((directory / model_store.DIRECTORY).iterdir()):
        if path.suffix in model_store.SUFFIXES and path.name not in known:
            log.warning("model file without a record set aside", extra={"file": str(quarantine(path))})


def carry(source: Database, seq: int) -> dict[str, Any]:
    """What a checkpoint of entry `seq` carries for the case that the database is lost.

    Positions moved after `seq` are left out: a source that starts over gives duplicates, which the engine knows; one
    that skipped ahead would lose readings.
    """
    positions = source.rows("SELECT source, place, position, seq FROM positions WHERE seq <= ?", [seq])
    return {
        "positions": [[s, place.decode("utf-8", "surrogatepass"), json.loads(p), at] for s, place, p, at in positions],
        "sinks": [list(row) for row in source.rows("SELECT name, committed_bytes FROM sinks")],
        "labels": [list(row) for row in label_table.rows(source, seq)],
        "models": [list(row) for row in source.rows(f"SELECT {model_store.COLUMNS} FROM models ORDER BY rowid")],
    }


def restore(fresh: Database, seq: int, carried: dict[str, Any]) -> None:
    """Put into a fresh database what a checkpoint of entry `seq` carries; its journal goes on after `seq`."""
    fresh.rows("UPDATE meta SET value = ? WHERE name = 'floor'", [seq])
    places = [
        (s, place.encode("utf-8", "surrogatepass"), json.dumps(p), at) for s, place, p, at in carried["positions"]
    ]
    fresh.many("INSERT INTO positions VALUES (?, ?, ?, ?)", places)
    fresh.many("INSERT INTO sinks VALUES (?, 0, ?)", carried["sinks"])
    label_table.insert(fresh, [tuple(row) for row in carried.get("labels", [])])
    model_store.insert(fresh, [tuple(row) for row in carried["models"]])
