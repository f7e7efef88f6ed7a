"""The journal: every input of the engine, numbered, written before it is applied; and the positions that go with it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence

from adapters.base import Position
from daemon.engine.messages.inputs import Input, decode, encode
from daemon.store.database import Database
from daemon.store.errors import JournalGap

_PAGE = 16
_COLUMNS = "seq, kind, crc, header, blob"
_INSERT = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_UPSERT = (
    "INSERT INTO positions VALUES (?, ?, ?, ?) ON CONFLICT (source, place) "
    "DO UPDATE SET position = excluded.position, seq = excluded.seq"
)


def bounds(database: Database) -> tuple[int, int, int]:
    """`(floor, base, last)`: entries up to `floor` are gone, the empty state is at `base`, `last` is the newest."""
    meta: dict[str, int] = dict(database.rows("SELECT name, value FROM meta"))
    last = database.value("SELECT max(seq) FROM journal")
    return meta["floor"], meta["base"], meta["floor"] if last is None else last


def append(
    database: Database,
    last: int,
    items: Sequence[Input],
    positions: Mapping[str, Mapping[str, Position]],
    received_at_ms: int,
) -> list[int]:
    """Entries after `last` for `items`, and `positions`, in one transaction; the new numbers."""
    through = database.value("SELECT bytes_through FROM journal WHERE seq = ?", [last])
    total = int(through or 0)
    rows = []
    for seq, item in enumerate(items, last + 1):
        kind, header, blob = encode(item)
        total += len(header) + len(blob)
        crc = zlib.crc32(blob, zlib.crc32(header))
        rows.append((seq, kind, getattr(item, "stream", None), received_at_ms, total, crc, header, blob))
    seq = last + len(rows)
    places = [
        (source, place.encode("utf-8", "surrogatepass"), json.dumps(position, allow_nan=False), seq)
        for source, by_place in positions.items()
        for place, position in by_place.items()
    ]
    with database.transaction("journal"):
        database.many(_INSERT, rows)
        database.many(_UPSERT, places)
    return list(range(last + 1, seq + 1))


def entries(database: Database, after: int, through: int | None = None) -> Iterator[tuple[int, Input]]:
    """Entries after `after` in order, a few in memory at a time; entries appended meanwhile come too.

    Raises:
        JournalGap: Entries after `after` were dropped.
        StoreDamaged: An entry is not what was written.
    """
    floor, _, _ = bounds(database)
    if after < floor:
        raise JournalGap(
            f"{database.path}: entries {after + 1} to {floor} are no longer in the journal; ask for those after {floor}"
        )
    for seq, kind, crc, header, blob in _pages(database, after, through):
        if zlib.crc32(blob, zlib.crc32(header)) != crc:
            raise database.damaged(f"journal entry {seq} does not have the checksum recorded")
        try:
            yield seq, decode(kind, header, blob)
        except (ValueError, KeyError, TypeError) as error:
            raise database.damaged(f"journal entry {seq} cannot be read ({error})") from error


def _pages(database: Database, after: int, through: int | None) -> Iterator[tuple[int, str, int, bytes, bytes]]:
    """Rows after `after`, checked to be consecutive; no cursor stays open between two pages."""
    sql = f"SELECT {_COLUMNS} FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {_PAGE}"
    while rows := database.rows(sql, [after, through if through is not None else 2**62]):
        for row in rows:
            if row[0] != after + 1:
                raise database.damaged(f"journal entry {after + 1} is missing")
            after = row[0]
            yield row


def diagnose(database: Database, after: int) -> str | None:
    """What is wrong with the entries after `after` (those that recovery would read), None when all are sound."""
    floor, _, last = bounds(database)
    first = database.value("SELECT min(seq) FROM journal")
    if first is not None and first != floor + 1:
        return f"journal begins with entry {first}, not {floor + 1}"
    at = max(after, floor)
    for seq, _kind, crc, header, blob in _pages(database, at, None):
        if zlib.crc32(blob, zlib.crc32(header)) != crc:
            return f"journal entry {seq} does not have the checksum recorded"
        at = seq
    return None if at >= last else f"journal entry {at + 1} is missing"


def positions(database: Database, source: str) -> dict[str, Position]:
    """Place -> position of one source; the place that was read last comes last."""
    rows = database.rows("SELECT place, position FROM positions WHERE source = ? ORDER BY seq, place", [source])
    return {place.decode("utf-8", "surrogatepass"): json.loads(position) for place, position in rows}


def drop_positions(database: Database, places: Sequence[tuple[str, str]]) -> None:
    """Forget places in one transaction."""
    rows = [(source, place.encode("utf-8", "surrogatepass")) for source, place in places]
    with database.transaction("positions"):
        database.many("DELETE FROM positions WHERE source = ? AND place = ?", rows)


def set_base(database: Database, seq: int) -> None:
    """Declare that the state after entry `seq` is the empty state."""
    database.rows("UPDATE meta SET value = ? WHERE name = 'base'", [seq])


def droppable(database: Database, before_ms: int, max_bytes: int) -> int:
    """Greatest number up to which entries are older than `before_ms`, or beyond the newest `max_bytes`."""
    floor, _, last = bounds(database)
    young = database.value("SELECT seq FROM journal WHERE received_at_ms >= ? ORDER BY seq LIMIT 1", [before_ms])
    by_age = last if young is None else young - 1
    return max(floor, by_age, _beyond(database, floor, last, max_bytes))


def _beyond(database: Database, floor: int, last: int, max_bytes: int) -> int:
    """Smallest number whose following entries fit in `max_bytes`; bisected, as `bytes_through` only grows."""
    total = _through(database, floor, last)
    low, high = floor, last
    while low < high:
        middle = (low + high) // 2
        if total - _through(database, floor, middle) <= max_bytes:
            high = middle
        else:
            low = middle + 1
    return low


def _through(database: Database, floor: int, seq: int) -> int:
    """Bytes of all entries up to `seq`, counted from an origin that is the same for all entries present."""
    if seq > floor:
        rows = database.rows("SELECT bytes_through FROM journal WHERE seq = ?", [seq])
    else:
        rows = database.rows(
            "SELECT bytes_through - length(header) - length(blob) FROM journal WHERE seq = ?", [floor + 1]
        )
        rows = rows or [(0,)]
    if not rows:
        raise database.damaged(f"journal entry {seq} is missing")
    return int(rows[0][0])


def drop(database: Database, through: int, rows: int = 100) -> None:
    """Drop entries up to `through`, `rows` of them in a transaction, and give free pages back to the file system."""
    floor, _, last = bounds(database)
    while floor < min(through, last):
        floor = min(floor + rows, through, last)
        with database.transaction("prune"):
            database.rows("DELETE FROM journal WHERE seq <= ?", [floor])
            database.rows("UPDATE meta SET value = ? WHERE name = 'floor'", [floor])
    database.script("PRAGMA incremental_vacuum(16384)")
