"""How much of a state directory is kept, and how room is made on a full disk."""

from __future__ import annotations

import logging
from pathlib import Path

from daemon.store import journal, reserve
from daemon.store.checkpoints import Checkpoints
from daemon.store.database import Database
from daemon.store.errors import StoreFull
from daemon.store.files import room_on, size_of
from daemon.store.mark import Mark

log = logging.getLogger(__name__)

ENOUGH = 4 << 20
"""Bytes left free for SQLite's log where the disk is full; it empties the log when it has come to about so much."""
SHRUNK_AT_ONCE = 1024
"""Pages given back to the file system at a time, which are written to the log first."""


class Retention:
    """Drops what is old or too much of one state directory, but nothing that recovery needs.

    Args:
        directory: The state directory.
        database: Its database; entries of the journal are dropped.
        files: Its checkpoints; those not kept are dropped.
        models: Its directory of models, whose bytes count.
        mark: Told from where the journal begins.
    """

    def __init__(self, directory: Path, database: Database, files: Checkpoints, models: Path, mark: Mark) -> None:
        self._directory, self._database, self._files = directory, database, files
        self._models, self._mark = models, mark
        self._room_made_at = -1

    def prune(self, keep_s: float, max_bytes: int, now_ms: int) -> None:
        """Drop entries older than `keep_s` or beyond what checkpoints and models leave of `max_bytes`.

        Checkpoints that old go too, but for the newest two; every entry after the older of these stays.
        """
        since_ms = now_ms - int(keep_s * 1000)
        self._drop(journal.droppable(self._database, since_ms, self._left_of(max_bytes)), since_ms)
        journal.shrink(self._database)

    def exceeds(self, max_bytes: int) -> bool:
        """Whether journal, checkpoints and models are more than `max_bytes` together."""
        return journal.size(self._database) > self._left_of(max_bytes)

    def make_room(self, keep_s: float, max_bytes: int, now_ms: int) -> bool:
        """On a full disk: drop what `prune` would, else half of what recovery does not need, as far as it takes.

        The room that is held in reserve is used for it, and taken again. Room for SQLite's log is left: without it the
        database could not even use its own free pages.

        Returns:
            Whether it is worth to try again what found no room.
        """
        floor, _, last = journal.bounds(self._database)
        reserve.give_back(self._directory)
        try:
            self._empty_log()
            if room_on(self._directory) < reserve.LEAST + ENOUGH:
                self._drop_some(keep_s, max_bytes, now_ms)
                journal.shrink(self._database, SHRUNK_AT_ONCE)
                self._empty_log()
        except StoreFull as error:
            log.error("no room to drop what is old", extra={"error": str(error)})
        reserve.hold(self._directory)
        dropped = journal.bounds(self._database)[0]
        if dropped > floor:
            log.warning("disk full, the oldest entries of the journal were dropped", extra={"up_to": dropped})
        went_on, self._room_made_at = last != self._room_made_at, last
        return dropped > floor or (went_on and room_on(self._directory) > 0)

    def _drop_some(self, keep_s: float, max_bytes: int, now_ms: int) -> None:
        """Drop what is beyond the limits, else half of what could go, where the database has no free pages to use."""
        since_ms = now_ms - int(keep_s * 1000)
        floor = journal.bounds(self._database)[0]
        self._drop(journal.droppable(self._database, since_ms, self._left_of(max_bytes)), since_ms)
        free = self._database.value("PRAGMA freelist_count") * self._database.value("PRAGMA page_size")
        if journal.bounds(self._database)[0] == floor and free < ENOUGH:
            self._drop((floor + min(self._needed(), default=floor) + 1) // 2, 0)

    def _needed(self) -> list[int]:
        """Entries of the checkpoints kept that the journal continues."""
        floor, base, last = journal.bounds(self._database)
        return [seq for seq in self._files.sequences() if max(floor, base) <= seq <= last]

    def _empty_log(self) -> None:
        """Have the database take over its log, whose room is then free."""
        self._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def _drop(self, through: int, since_ms: int) -> None:
        """Drop entries up to one, as far as no checkpoint kept needs them, and checkpoints of before."""
        self._files.retain(since_ms, through)
        kept = self._needed()
        journal.drop(self._database, min([through, *kept]) if kept else 0)
        self._mark.note(floor=journal.bounds(self._database)[0])

    def _left_of(self, max_bytes: int) -> int:
        """Bytes that the journal may have where checkpoints and models count too."""
        files = [path for folder in (self._files.directory, self._models) for path in folder.iterdir()]
        return max(0, max_bytes - sum(size_of(path) for path in files))
