"""The connection to `tidegauge.db`: transactions, and sqlite's errors as the store's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from daemon.store.access import refusal
from daemon.store.errors import StoreDamaged, StoreError, StoreFull
from daemon.store.faults import Reached, nowhere
from daemon.store.files import is_full

NAME = "tidegauge.db"
DAMAGED = NAME + ".damaged"
"""Marker beside the database: a running daemon found damage, so the next start mends it. What it says: see `ROWS`."""
ROWS = "rows"
"""In the marker: rows are damaged. Anything else: the file is; a name is that of the file that was set aside."""

COMPANIONS = ("-wal", "-shm")

Row = tuple[Any, ...]

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PERHAPS_FULL = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_TRUNCATE)
"""What SQLite says of a quota that is used up, but also of a broken disk: which it is, a write of our own tells."""


class Database:
    """One connection, for the thread that made it.

    Attributes:
        left_out: Rows that were asked for and are not what was written, in words.
    """

    def __init__(
        self, path: Path, *, read_only: bool = False, create: bool = False, reached: Reached = nowhere
    ) -> None:
        """Connect to a file, to an existing one unless `create`."""
        self.path = path
        self.left_out: set[str] = set()
        self._reached = reached
        self._read_only = read_only
        mode = "ro" if read_only else "rwc" if create else "rw"
        if read_only and _frozen(path) and not path.with_name(path.name + COMPANIONS[0]).exists():
            mode += "&immutable=1"  # nobody has it open, and SQLite could not make the files by which it tells
        with self._translated():
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None
            )
        self._connection.text_factory = _text
        try:
            with self._translated():
                self._connection.execute("PRAGMA busy_timeout=5000")
                if not read_only:
                    self._connection.execute("PRAGMA synchronous=FULL")
                    self._connection.execute("PRAGMA journal_size_limit=67108864")
                    self._connection.execute("PRAGMA secure_delete=OFF")  # else what is dropped is written once more
        except BaseException:
            self._connection.close()
            raise

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """All rows of one statement."""
        with self._translated():
            return self._connection.execute(sql, args).fetchall()

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        """First column of the first row, None when there is none."""
        rows = self.rows(sql, args)
        return rows[0][0] if rows else None

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        """One statement for each of `rows`."""
        with self._translated():
            self._connection.executemany(sql, rows)

    def script(self, sql: str) -> None:
        """Statements run to their end; `rows` takes only one step of a statement that gives no columns."""
        with self._translated():
            self._connection.executescript(sql)

    @contextmanager
    def transaction(self, fault_point: str) -> Iterator[None]:
        """All of the block's statements or none; `reached` is called just before and just after the commit."""
        self.rows("BEGIN IMMEDIATE")
        try:
            yield
            self._reached(f"{fault_point}.before_commit")
            self.rows("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._reached(f"{fault_point}.after_commit")

    def damaged(self, what: str, marker: str = "") -> StoreDamaged:
        """The error for `what` was found; a writer also leaves the marker that makes the next start mend it."""
        if not self._read_only:
            with suppress(OSError):
                self.path.with_name(DAMAGED).write_text(marker)
        return StoreDamaged(f"{self.path}: {what}; restart the daemon: it sets that aside and goes on with the rest")

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self._connection.close()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except UnicodeDecodeError as error:  # SQLite quotes what it cannot read
            raise self.damaged(f"is malformed ({error.object!r})") from error
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0)
            if code & 0xFF in _DAMAGE:
                raise self.damaged(f"is malformed ({error})") from error
            if code & 0xFF == sqlite3.SQLITE_FULL or (code in _PERHAPS_FULL and self._no_room()):
                raise StoreFull(
                    f"{self.path}: no room to write ({error}); nothing was changed; free space on this file system"
                ) from error
            involved = [self.path.parent, self.path, *(self.path.with_name(NAME + end) for end in COMPANIONS)]
            why = refusal(involved, writing=not self._read_only) or self._log_left()
            text = f"{self.path}: {error}; check the disk and the directory's owner and mode" if why is None else why
            raise StoreError(text) from error

    def _no_room(self) -> bool:
        return any(is_full(self.path.with_name(self.path.name + end)) for end in ("", COMPANIONS[0]))

    def _log_left(self) -> str | None:
        """What keeps a database from being read where nothing can be written: entries that are in its log still."""
        log = self.path.with_name(NAME + COMPANIONS[0])
        if not (self._read_only and log.exists() and _frozen(self.path)):
            return None
        return (
            f"{log}: has entries that its daemon left when it was killed, and reading them takes a directory that can "
            "be written to; copy the state directory, and name the copy with --state"
        )


def _text(found: bytes) -> str:
    """Text of a column: bytes that are no UTF-8 are damage, which the row's checksum tells."""
    return found.decode("utf-8", "surrogateescape")


def _frozen(path: Path) -> bool:
    """Whether this process cannot write beside a file."""
    return refusal([path.parent], writing=True) is not None
