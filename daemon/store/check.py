"""A full check of a state directory: every page, every entry, every checksum."""

from __future__ import annotations

from pathlib import Path

from daemon.store import journal, mark, model_store, sealed_rows, tables
from daemon.store.checkpoints import DIRECTORY, Checkpoints
from daemon.store.database import Database
from daemon.store.errors import CheckpointDamaged, ModelChecksum, StoreError
from daemon.store.mark import Noted


def problems(database: Database, directory: Path) -> list[str]:
    """What is wrong, one line each, each naming its file; empty when all is sound."""
    noted = mark.read(directory)  # before the database, which a daemon may be writing
    return (
        _database(database, noted)
        + _checkpoints(directory / DIRECTORY)
        + _models(database, directory / model_store.DIRECTORY)
    )


def _database(database: Database, noted: Noted | None) -> list[str]:
    try:
        found = [text for (text,) in database.rows("PRAGMA integrity_check") if text != "ok"]
        if (why := tables.foreign_tables(database)) is not None:
            found.append(why)
        found += [f"journal entry {first} {why}" for first, _, why in journal.diagnose(database, 0)]
        for table in tables.TABLES:
            if table is not tables.JOURNAL:
                bad = sealed_rows.unsound(database, table)
                found += [f"row {row.rowid} of {table.name} does not have the checksum recorded" for row in bad]
        last = journal.bounds(database)[2]
        if noted is not None and last < noted.seq:
            found.append(f"journal ends with entry {last}, but entry {noted.seq} was committed")
    except StoreError as error:
        return [str(error)]
    return [f"{database.path}: {text}" for text in found]


def _checkpoints(directory: Path) -> list[str]:
    found = []
    files = Checkpoints(directory)
    for seq in files.sequences():
        try:
            files.read(seq)
        except CheckpointDamaged as error:
            found.append(str(error))
    return found


def _models(database: Database, directory: Path) -> list[str]:
    found = []
    for record in model_store.records(database):
        try:
            if record.file is not None:
                model_store.read(directory, record)
        except ModelChecksum as error:
            found.append(str(error))
    return found
