"""One flipped bit, wherever it is: found by the full check, survived at start, and nothing that was said is lost."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.store import EventFilter, Store, StoreError, open_reader, tables
from daemon.store.sealed_rows import SealedTable
from tests.daemon.store.contents import batch, event
from tests.daemon.store.full_store import ENTRIES, EVENTS_AN_ENTRY, content, make

FLIPS = 60
COLUMNS = [(table, column) for table in tables.TABLES for column in (*table.columns, "crc")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with something in every table."""
    directory = tmp_path_factory.mktemp("made")
    make(directory)
    return directory


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "state")


def flipped(value: Any) -> Any:
    """The value with its lowest bit changed; where there is none, a value."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value ^ 1 if abs(value) > 7 else value ^ 1 << 40
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:] if value else b"\0"
    return chr(ord(value[0]) ^ 1) + value[1:] if value else "\1"


def flip_row(path: Path, table: SealedTable, column: str) -> None:
    """Change one value of the table's last row, as a bit in its page would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        last = f"WHERE rowid = (SELECT max(rowid) FROM {table.name})"
        (value,) = connection.execute(f"SELECT {column} FROM {table.name} {last}").fetchone()
        connection.execute(f"UPDATE {table.name} SET {column} = ? {last}", [flipped(value)])


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[f"{table.name}.{column}" for table, column in COLUMNS])
def test_every_column_of_every_table_is_covered(table: SealedTable, column: str, directory: Path) -> None:
    """A changed value is found; its row alone is set aside, told, and put back where something else knows it."""
    flip_row(directory / "tidegauge.db", table, column)
    with open_reader(directory) as reader:
        assert any("checksum" in text or "missing" in text for text in reader.check())
        reader.events(), reader.models(), reader.labels(), reader.positions("f")
    with Store.open(directory) as store:
        assert store.quarantined == 1
        assert store.check() == []
        assert store.lost == (table.name == "journal") * (store.last_seq - ENTRIES + 1)
        assert {name: len(rows) for name, rows in content(store).items()} == expected_rows(table)
        assert max(row for row, _ in store.events()) == ENTRIES * EVENTS_AN_ENTRY
        assert store.sink_position("stdout") == (ENTRIES * EVENTS_AN_ENTRY, 0)
    (aside,) = directory.glob("tidegauge.db.rows.quarantined-*")
    assert [json.loads(line)["table"] for line in aside.read_text().splitlines()] == [table.name]
    with Store.open(directory) as store:
        assert (store.quarantined, store.lost) == (0, 0)


def expected_rows(table: SealedTable) -> dict[str, int]:
    """How many rows of each table are left: what neither checkpoint nor ledger nor mark knows is lost."""
    rows = {"meta": 2, "journal": ENTRIES, "positions": 2 + ENTRIES, "events": ENTRIES * EVENTS_AN_ENTRY}
    rows |= {"sinks": 2, "models": 1, "labels": ENTRIES}
    if table.name in ("positions", "labels"):
        rows[table.name] -= 1
    return rows


def flip(path: Path, offset: int, bit: int) -> None:
    """Change one bit of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


@pytest.mark.parametrize("seed", range(FLIPS))
def test_any_bit_of_the_file(seed: int, made: Path, directory: Path) -> None:
    """Whatever it hits: no surprise for a reader, a start that goes on, and no sink, number or model is lost."""
    draw = random.Random(seed)
    path = directory / "tidegauge.db"
    offset = draw.randrange(4096 if seed % 4 == 0 else path.stat().st_size)
    flip(path, offset, draw.randrange(8))
    found = read(directory)
    with Store.open(directory) as store, Store.open(shutil.copytree(made, directory.with_name("sound"))) as sound:
        assert found or store.quarantined == 0
        assert store.quarantined or content(store) == content(sound)
        expect_going_on(store)
    with Store.open(directory) as store:
        assert (store.quarantined, store.lost, store.check()) == (0, 0, [])


def read(directory: Path) -> list[str]:
    """What a reader finds wrong; it may be refused, in one line."""
    try:
        with open_reader(directory) as reader:
            (
                reader.events(),
                reader.events(EventFilter(stream="taxi"), newest_first=True, limit=3),
                reader.models(),
                reader.labels(),
            )
            return reader.check()
    except StoreError as error:
        return [str(error)]


def expect_going_on(store: Store) -> None:
    """Nothing that a sink, a source or a model relies on is lost, and all that writes works."""
    assert store.check() == []
    assert store.last_seq >= ENTRIES
    assert max(row for row, _ in store.events(EventFilter(latest_only=False))) == ENTRIES * EVENTS_AN_ENTRY
    assert store.sink_position("file") == (ENTRIES * EVENTS_AN_ENTRY - 1, 77 * ENTRIES)
    assert {*store.positions("f")} == {"p", "q"}
    assert store.read_model("taxi", 1) == b"bytes"
    loaded = store.load_checkpoint()
    list(store.entries(loaded[0] if loaded else 0))
    (number,) = store.append([batch(9)], {"f": {"p": {"offset": 9}}}, 9)
    store.record_events([event("z")])
    store.write_checkpoint(number, b"later")
    store.prune(0, 1, 10**15)
