"""A database of an earlier version, copied row by row into one of this version."""

from __future__ import annotations

import logging
import shutil
from contextlib import closing
from pathlib import Path

from daemon.store import salvage, tables
from daemon.store.database import Database
from daemon.store.sealed_rows import Unsound
from models.atomic_file import sync_directory

log = logging.getLogger(__name__)


def migrate(path: Path) -> list[Unsound]:
    """Bring an older database up to date, keeping a copy; rows of it that were unsound, and are not in the new one.

    Whatever dies meanwhile, one of the two has the name.
    """
    with closing(Database(path)) as database:
        version = database.value("PRAGMA user_version")
        if version == tables.VERSION:
            return []
        database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        database.rows("PRAGMA journal_mode=DELETE")  # it can be read without its log from now on
    kept = path.with_name(f"{path.name}.version-{version}")
    kept.unlink(missing_ok=True)
    _name(path, kept)
    kept.chmod(tables.MODE)
    sync_directory(path.parent)

    bad: list[Unsound] = []

    def fill(fresh: Database) -> None:
        bad.extend(salvage.copy(kept, fresh))

    tables.create(path, lambda name: None, fill)
    log.warning("database migrated", extra={"file": str(path), "copy": str(kept)})
    return bad


def _name(path: Path, other: Path) -> None:
    """Give a file a second name, or where a file has but one, copy it."""
    try:
        other.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, other)
