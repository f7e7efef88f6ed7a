"""Rows of the database's tables, each under a checksum of its own: how they are written, read and told apart."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from daemon.store.database import Database, Row

_PAGE, _JOURNAL_PAGE = 256, 16
_LEAST, _GREATEST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class SealedTable:
    """One table.

    Attributes:
        name: Its name.
        columns: Its columns in their order, but for the last one, `crc`.
        rules: What stands behind the columns in its definition.
        types: Types of `columns`.
    """

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    rules: str = ""

    @property
    def definition(self) -> str:
        """The statement that makes it."""
        pairs = ", ".join(f"{column} {kind}" for column, kind in zip(self.columns, self.types, strict=True))
        return f"CREATE TABLE {self.name} ({pairs}, crc INTEGER NOT NULL{self.rules})"

    @property
    def listed(self) -> str:
        """All columns, `crc` last."""
        return ", ".join((*self.columns, "crc"))

    @property
    def marks(self) -> str:
        """As many question marks."""
        return ", ".join("?" * (len(self.columns) + 1))


class Unsound(NamedTuple):
    """A row that is not what was written."""

    table: str
    rowid: int
    values: Row


def checksum(table: SealedTable, values: Sequence[Any]) -> int:
    """CRC-32 of a row: of its table's name, the type of every value and the value."""
    plain = [len(value) if isinstance(value, bytes) else value for value in values]
    crc = zlib.crc32(ascii((table.name, *plain)).encode())
    for value in values:
        if isinstance(value, bytes):
            crc = zlib.crc32(value, crc)
    return crc


def signed(table: SealedTable, values: Sequence[Any]) -> Row:
    """A row with its checksum behind it."""
    return (*values, checksum(table, values))


def is_sound(table: SealedTable, row: Sequence[Any]) -> bool:
    """Whether a row of all columns has the checksum of its values."""
    return bool(row[-1] == checksum(table, row[:-1]))


def put(database: Database, table: SealedTable, rows: Iterable[Sequence[Any]], otherwise: str = "") -> None:
    """Add rows of `table.columns`.

    Args:
        otherwise: What becomes of a row whose key is there already: an error, `OR IGNORE`, or `OR REPLACE`.
    """
    statement = f"INSERT {otherwise} INTO {table.name} ({table.listed}) VALUES ({table.marks})"
    database.many(statement, (signed(table, row) for row in rows))


def change(database: Database, table: SealedTable, key: Mapping[str, Any], row: Sequence[Any]) -> None:
    """Put a row in the place of the one that has `key`."""
    columns = ", ".join(f"{column} = ?" for column in (*table.columns, "crc"))
    where = " AND ".join(f"{column} = ?" for column in key)
    database.many(f"UPDATE {table.name} SET {columns} WHERE {where}", [(*signed(table, row), *key.values())])


def find(database: Database, table: SealedTable, where: str = "", args: Sequence[Any] = ()) -> list[Row]:
    """Sound rows of `table.columns`; those that are not are left out, and `database.left_out` names them.

    Args:
        where: What stands behind the table's name in the statement.
    """
    found = []
    for rowid, *row in database.rows(f"SELECT rowid, {table.listed} FROM {table.name} {where}", args):
        if is_sound(table, row):
            found.append(tuple(row[:-1]))
        else:
            database.left_out.add(f"row {rowid} of {table.name}")
    return found


def walk(
    database: Database, table: SealedTable, after: int | None = None, through: int | None = None
) -> Iterator[tuple[int, Row]]:
    """Every row with its rowid, `crc` last, from one rowid on; no cursor stays open between two pages.

    Raises:
        StoreDamaged: They are not in order, as where a page of the file is another's: going on would go in circles.
    """
    page = _JOURNAL_PAGE if table.name == "journal" else _PAGE
    sql = f"SELECT rowid, {table.listed} FROM {table.name} WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT {page}"
    at, last = _LEAST if after is None else after, _GREATEST if through is None else through
    while rows := database.rows(sql, [at, last]):
        for rowid, *row in rows:
            if rowid <= at:
                raise database.damaged(f"rows of {table.name} are not in order")
            at = rowid
            yield rowid, tuple(row)


def unsound(database: Database, table: SealedTable, after: int | None = None) -> Iterator[Unsound]:
    """Rows after one that are not what was written."""
    for rowid, row in walk(database, table, after):
        if not is_sound(table, row):
            yield Unsound(table.name, rowid, row)
