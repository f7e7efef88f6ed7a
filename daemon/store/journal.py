"""The journal: every input of the engine, numbered, written before it is applied; and the positions that go with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.base import Position
from daemon.engine.messages.inputs import Input, decode, encode
from daemon.store.database import ROWS, Database, Row
from daemon.store.errors import JournalGap
from daemon.store.sealed_rows import find, is_sound, put, walk
from daemon.store.tables import JOURNAL, META, POSITIONS

LOST = "lost"
"""Kind of an entry that stands for a run of entries that are lost, up to its own number; nothing is applied for it."""


def meta(database: Database) -> dict[str, int]:
    """Name -> value of what the database says of itself."""
    found: dict[str, int] = dict(find(database, META))
    return {"floor": 0, "base": 0} | found


def set_meta(database: Database, name: str, value: int) -> None:
    """Change one of these."""
    put(database, META, [(name, value)], "OR REPLACE")


def bounds(database: Database) -> tuple[int, int, int]:
    """`(floor, base, last)`: entries up to `floor` are gone, the empty state is at `base`, `last` is the newest."""
    known = meta(database)
    last = database.value("SELECT max(seq) FROM journal")
    return known["floor"], known["base"], known["floor"] if last is None else last


def append(
    database: Database,
    last: int,
    items: Sequence[Input],
    positions: Mapping[str, Mapping[str, Position]],
    received_at_ms: int,
) -> list[int]:
    """Entries after `last` for `items`, and `positions`, in one transaction; the new numbers."""
    total = _newest_through(database, last) or 0
    rows: list[Row] = []
    for seq, item in enumerate(items, last + 1):
        kind, header, blob = encode(item)
        total += len(header) + len(blob)
        rows.append((seq, kind, getattr(item, "stream", None), received_at_ms, total, header, blob))
    seq = last + len(rows)
    places = [
        (source, place.encode("utf-8", "surrogatepass"), json.dumps(position, allow_nan=False), seq)
        for source, by_place in positions.items()
        for place, position in by_place.items()
    ]
    with database.transaction("journal"):
        put(database, JOURNAL, rows)
        put(database, POSITIONS, places, "OR REPLACE")
    return list(range(last + 1, seq + 1))


def lost_entry(database: Database, first: int, last: int) -> Row:
    """A row that stands for entries from `first` to `last`."""
    header = json.dumps({"first": first}).encode()
    return (last, LOST, None, 0, _newest_through(database, last - 1) or 0, header, b"")


def first_of(row: Sequence[Any]) -> int:
    """First number that a sound row stands for."""
    return int(json.loads(row[5])["first"]) if row[1] == LOST else int(row[0])


def entries(
    database: Database, after: int, through: int | None = None, stream: str | None = None
) -> Iterator[tuple[int, Input]]:
    """Entries after `after` in order, a few in memory at a time; entries appended meanwhile come too.

    Entries known to be lost are passed over, and with `stream` those of other streams: they are not even decoded.

    Raises:
        JournalGap: Entries after `after` were dropped.
        StoreDamaged: An entry is not what was written.
    """
    floor, _, _ = bounds(database)
    if after < floor:
        raise JournalGap(
            f"{database.path}: entries {after + 1} to {floor} are no longer in the journal; ask for those after {floor}"
        )
    for seq, row in walk(database, JOURNAL, after, through):
        _, kind, of, *_, header, blob = row[:-1]
        if not is_sound(JOURNAL, row):
            raise database.damaged(f"journal entry {seq} does not have the checksum recorded", ROWS)
        if first_of(row) > after + 1:
            raise database.damaged(f"journal entry {after + 1} is missing", ROWS)
        after = seq
        if kind == LOST or (stream is not None and of not in (stream, None)):
            continue
        try:
            yield seq, decode(kind, header, blob)
        except (ValueError, KeyError, TypeError) as error:
            raise database.damaged(f"journal entry {seq} cannot be read ({error})", ROWS) from error


def configurations(database: Database) -> list[dict[str, Any]]:
    """The effective configurations of the entries there are, oldest first."""
    rows = find(database, JOURNAL, "WHERE kind = 'configured' ORDER BY seq")
    return [json.loads(header)["config"] for *_, header, _ in rows]


def of_kind(database: Database, kind: str, after: int = 0) -> list[tuple[int, Input]]:
    """`(number, input)` of the entries of a kind after one."""
    rows = find(database, JOURNAL, "WHERE kind = ? AND seq > ? ORDER BY seq", [kind, after])
    return [(row[0], decode(row[1], row[5], row[6])) for row in rows]


def lost_runs(database: Database) -> list[tuple[int, int]]:
    """First and last numbers of the runs of entries that are known to be lost."""
    return [(first_of((*row, 0)), row[0]) for row in find(database, JOURNAL, "WHERE kind = ? ORDER BY seq", [LOST])]


def diagnose(database: Database, after: int) -> Iterator[tuple[int, int, str]]:
    """What is wrong with the entries after `after`: `(first, last, why)`, `last` having a row unless it is missing."""
    floor, _, _ = bounds(database)
    at = max(after, floor)
    for seq, row in walk(database, JOURNAL, at):
        sound = is_sound(JOURNAL, row)
        first = first_of(row) if sound else seq
        if first > at + 1:
            yield at + 1, first - 1, "is missing"
        if not sound:
            yield seq, seq, "does not have the checksum recorded"
        at = seq


def positions(database: Database, source: str) -> dict[str, Position]:
    """Place -> position of one source; the place that was read last comes last."""
    rows = find(database, POSITIONS, "WHERE source = ? ORDER BY seq, place", [source])
    return {place.decode("utf-8", "surrogatepass"): json.loads(position) for _, place, position, _ in rows}


def drop_positions(database: Database, places: Sequence[tuple[str, str]]) -> None:
    """Forget places in one transaction."""
    rows = [(source, place.encode("utf-8", "surrogatepass")) for source, place in places]
    with database.transaction("positions"):
        database.many("DELETE FROM positions WHERE source = ? AND place = ?", rows)


def size(database: Database) -> int:
    """Bytes of all entries."""
    floor, _, last = bounds(database)
    return _through(database, floor, last) - _through(database, floor, floor)


def droppable(database: Database, before_ms: int, max_bytes: int) -> int:
    """Greatest number up to which entries are older than `before_ms`, or beyond the newest `max_bytes`."""
    floor, _, last = bounds(database)
    young = _sound_one(database, "received_at_ms >= ? ORDER BY seq", before_ms)
    by_age = last if young is None else int(young[0]) - 1
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
    if seq > floor and (through := _newest_through(database, seq)) is not None:
        return through
    first = _sound_one(database, "seq > ? ORDER BY seq", floor)
    return 0 if first is None else int(first[4]) - len(first[5]) - len(first[6])


def _newest_through(database: Database, seq: int) -> int | None:
    """`bytes_through` of the newest entry up to `seq`."""
    row = _sound_one(database, "seq <= ? ORDER BY seq DESC", seq)
    return None if row is None else int(row[4])


def _sound_one(database: Database, where: str, *args: int) -> Row | None:
    """The first sound entry that `where` finds in its order; recovery does not look at those before its checkpoint."""
    sql = f"SELECT {JOURNAL.listed} FROM journal WHERE {where} LIMIT 1 OFFSET ?"
    offset = 0
    while rows := database.rows(sql, [*args, offset]):
        if is_sound(JOURNAL, rows[0]):
            return rows[0]
        offset += 1
    return None


def drop(database: Database, through: int, rows: int = 100) -> None:
    """Drop entries up to `through`, `rows` of them in a transaction; later entries take the room that is free then."""
    floor, _, last = bounds(database)
    while floor < min(through, last):
        floor = min(floor + rows, through, last)
        with database.transaction("prune"):
            database.rows("DELETE FROM journal WHERE seq <= ?", [floor])
            set_meta(database, "floor", floor)


def shrink(database: Database, pages: int = 16384) -> None:
    """Give free pages back to the file system, at most so many, which takes some room itself."""
    database.script(f"PRAGMA incremental_vacuum({pages})")
