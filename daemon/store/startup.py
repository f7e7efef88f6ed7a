"""How a state directory is opened: locked, and its database taken, migrated, or set aside for a fresh one."""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.store import (
    checkpoints,
    event_table,
    journal,
    label_table,
    lock,
    mark,
    migration,
    model_store,
    repair,
    salvage,
    tables,
)
from daemon.store.access import exposure, make_private, refusal
from daemon.store.checkpoints import Checkpoints
from daemon.store.database import COMPANIONS, DAMAGED, NAME, ROWS, Database
from daemon.store.errors import StoreError, StoreUnusable
from daemon.store.faults import Reached
from daemon.store.files import disk_error, free_name, quarantine, remove_temporaries
from daemon.store.mark import Mark, Noted
from daemon.store.sealed_rows import Unsound, find
from models.atomic_file import sync_directory

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
        _sync_names(directory, folders)
    except OSError as error:
        held.release()
        raise disk_error(error, directory) from error
    return held


def _sync_names(directory: Path, folders: list[Path]) -> None:
    """Have every file that is there keep its name over a power cut: who gave it the name may have died before that."""
    for each in (*folders, directory):
        sync_directory(each)
    with contextlib.suppress(PermissionError):  # it may be another's
        sync_directory(directory.absolute().parent)


@dataclass(frozen=True, slots=True)
class OpenDatabase:
    """An open database, and what was wrong with it.

    Attributes:
        database: The connection.
        quarantined: Files set aside on the way to it.
        lost: Journal entries that are lost.
        mark: Where commits are noted.
    """

    database: Database
    quarantined: int
    lost: int
    mark: Mark


def database(directory: Path, files: Checkpoints, reached: Reached) -> OpenDatabase:
    """The database, mended where it has to be, or a fresh one with what can be known of the one before."""
    path = directory / NAME
    noted = mark.read(directory)
    damage = _marker(path)
    aside, why = _left_aside(path, damage), None
    if aside is None and path.exists() and (why := _diagnose(path, damage, noted)) is not None:
        aside = _set_aside(path, why)
    made = not path.exists()
    bad = _make(path, aside, reached) if made else migration.migrate(path)
    path.with_name(DAMAGED).unlink(missing_ok=True)
    if opened := make_private([path, *(path.with_name(NAME + end) for end in COMPANIONS)], tables.MODE):
        log.warning("database was readable by others, and is no more", extra={"files": [str(file) for file in opened]})
    connection = Database(path, reached=reached)
    try:
        done = repair.mend(connection, files, noted, thorough=damage == ROWS, fresh=made, bad=bad)
        if made or done.files:
            _set_unrecorded_aside(directory, connection)
    except BaseException:
        connection.close()
        raise
    lost = sum(to - first + 1 for first, to in done.lost)
    return OpenDatabase(connection, int(why is not None) + done.files, lost, Mark(directory, _noted(connection)))


def _marker(path: Path) -> str | None:
    """What the marker says that damage was found while the database was in use; None where there is none."""
    try:
        return path.with_name(DAMAGED).read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def _left_aside(path: Path, damage: str | None) -> Path | None:
    """The database that a start had set aside when it was killed, before the fresh one had its name."""
    if path.exists() or not damage or not damage.startswith(f"{NAME}.quarantined-"):
        return None
    left = path.with_name(damage)
    return left if left.exists() and left.parent == path.parent else None


def _diagnose(path: Path, damage: str | None, noted: Noted | None) -> str | None:
    """What is wrong with the file as a whole."""
    if damage is not None and damage != ROWS:
        return "was found malformed while it was in use"
    return tables.diagnose(path, noted.version if noted else None)


def _set_aside(path: Path, why: str) -> Path:
    """Quarantine a database; the marker says where it is, until a fresh one has its name."""
    moved = free_name(path)
    path.with_name(DAMAGED).write_text(moved.name)
    quarantine(path, COMPANIONS)
    log.error("database quarantined", extra={"file": str(path), "moved_to": str(moved), "why": why})
    return moved


def _make(path: Path, aside: Path | None, reached: Reached) -> list[Unsound]:
    """A fresh database with what can be read of the one that was set aside, if any; rows that were unsound in it."""
    if any(path.with_name(path.name + suffix).exists() for suffix in COMPANIONS):
        quarantine(path, COMPANIONS)  # a log without its database would be taken for the fresh one's
    bad: list[Unsound] = []

    def fill(fresh: Database) -> None:
        if aside is not None:
            bad.extend(salvage.copy(aside, fresh))

    tables.create(path, reached, fill)
    return bad


def _noted(connection: Database) -> Noted:
    """What there is to note of a database that is sound."""
    known = journal.meta(connection)
    sinks = {name: (row, size) for name, row, size in find(connection, tables.SINKS)}
    return Noted(
        version=tables.VERSION,
        seq=journal.bounds(connection)[2],
        floor=known["floor"],
        base=known["base"],
        said=known.get("said", 0),
        row=event_table.last_row(connection),
        sinks=sinks,
    )


def _set_unrecorded_aside(directory: Path, connection: Database) -> None:
    """Model files that the database does not know are kept under another name, never overwritten."""
    known = {record.file for record in model_store.records(connection)}
    for path in sorted((directory / model_store.DIRECTORY).iterdir()):
        if path.suffix in model_store.SUFFIXES and path.name not in known:
            log.warning("model file without a record set aside", extra={"file": str(quarantine(path))})


def carry(source: Database, seq: int) -> dict[str, Any]:
    """What a checkpoint of entry `seq` carries for the case that the database is lost.

    Positions moved after `seq` are left out: a source that starts over gives duplicates, which the engine knows; one
    that skipped ahead would lose readings.
    """
    positions = find(source, tables.POSITIONS, "WHERE seq <= ?", [seq])
    return {
        "positions": [[s, place.decode("utf-8", "surrogatepass"), json.loads(p), at] for s, place, p, at in positions],
        "sinks": [list(row) for row in find(source, tables.SINKS)],
        "labels": [list(row) for row in label_table.rows(source, seq)],
        "models": [list(row) for row in find(source, tables.MODELS, "ORDER BY rowid")],
    }
