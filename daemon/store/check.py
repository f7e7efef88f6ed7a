"""A full check of a state directory: every page, every entry, every checksum."""

from __future__ import annotations

from pathlib import Path

from daemon.store import journal, model_store
from daemon.store.checkpoints import DIRECTORY, Checkpoints
from daemon.store.database import Database
from daemon.store.errors import CheckpointDamaged, ModelChecksum, StoreError


def problems(database: Database, directory: Path) -> list[str]:
    """What is wrong, one line each, each naming its file; empty when all is sound."""
    return (
        _database(database) + _checkpoints(directory / DIRECTORY) + _models(database, directory / model_store.DIRECTORY)
    )


def _database(database: Database) -> list[str]:
    try:
        found = [text for (text,) in database.rows("PRAGMA integrity_check") if text != "ok"]
        if not found and (why := journal.diagnose(database, 0)):
            found.append(why)
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
