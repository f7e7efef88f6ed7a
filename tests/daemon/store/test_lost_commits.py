"""What was committed and is gone is noticed: SQLite drops the end of a damaged log without a word."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.store import EventFilter, Store, ledger, mark, open_reader
from tests.daemon.store.contents import batch, event, run_child
from tests.daemon.store.full_store import ENTRIES, EVENTS_AN_ENTRY, fill
from tests.daemon.store.test_flipped_bits import flip

KILLED = """
from tests.daemon.store.full_store import fill
store = Store.open(directory, reached=reached)
fill(store)
store._database.rows("PRAGMA wal_checkpoint(PASSIVE)")
store.close()
store = Store.open(directory)
store._database.rows("PRAGMA wal_autocheckpoint=0")
fill(store, 9, 12)
os.kill(os.getpid(), signal.SIGKILL)
"""
LAST = 12


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of a killed daemon: entries 9 to 12, and what goes with them, are in the log only."""
    directory = tmp_path_factory.mktemp("killed")
    run_child(KILLED, directory)
    assert (directory / "tidegauge.db-wal").stat().st_size > 20 * 4096
    return directory


@pytest.fixture
def directory(killed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(killed, tmp_path / "state")


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


LOSSES: dict[str, Callable[[Path], None]] = {
    "truncated": lambda log: os.truncate(log, log.stat().st_size // 2),
    "emptied": lambda log: os.truncate(log, 0),
    "zeroed": zero,
    "a bit in its header": lambda log: flip(log, 20, 3),
    "a bit in its first frame": lambda log: flip(log, 32 + 24 + 100, 0),
    "a bit in its middle": lambda log: flip(log, log.stat().st_size // 2, 6),
    "a bit in its last frame": lambda log: flip(log, log.stat().st_size - 50, 1),
    "removed": lambda log: log.unlink(),
}


def expect_noticed(directory: Path, caplog: pytest.LogCaptureFixture, *, entries: bool = True) -> None:
    """The loss is told; events, sinks and numbers are as if nothing were lost, and no row is given out twice."""
    with open_reader(directory) as reader:
        assert any("was committed" in text for text in reader.check()) or not entries
    with caplog.at_level(logging.ERROR), Store.open(directory) as store:
        assert bool(store.lost) == entries
        assert ("journal entries lost" in [r.message for r in caplog.records]) == entries
        assert store.check() == []
        assert store.last_seq == LAST
        rows = [(row, event.id) for row, event in store.events(EventFilter(latest_only=False))]
        assert rows[-1] == (LAST * EVENTS_AN_ENTRY, f"e{LAST}-3")
        assert [row for row, _ in rows] == list(range(1, LAST * EVENTS_AN_ENTRY + 1))
        assert store.sink_position("file") == (LAST * EVENTS_AN_ENTRY - 1, 77 * LAST)
        assert store.append([batch(1)], {}, 1) == [LAST + 1]
    with Store.open(directory) as store:
        assert (store.lost, store.quarantined) == (0, 0)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_log_that_lost_frames_is_noticed(loss: str, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Truncated, zeroed, flipped or gone: what SQLite passes over is told, and what is known elsewhere is put back."""
    LOSSES[loss](directory / "tidegauge.db-wal")
    (directory / "tidegauge.db-shm").unlink()
    expect_noticed(directory, caplog, entries=loss != "a bit in its last frame")


def test_an_older_copy_put_back_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A database of an hour ago in the place of today's: positions, sinks and events go on as they are known to be."""
    directory, copy = tmp_path / "state", tmp_path / "copy.db"
    with Store.open(directory) as store:
        fill(store, 1, 2)
        store._database.rows("VACUUM INTO ?", [str(copy)])
        fill(store, 3, LAST)
    shutil.copy(copy, directory / "tidegauge.db")
    caplog.clear()
    expect_noticed(directory, caplog)
    with Store.open(directory) as store:
        assert store.load_checkpoint() == (4, b"state 4")
        assert store.positions("f") == {"p": {"offset": 4}, "q": {"offset": 4}}


def test_numbers_of_events_that_are_lost_are_not_given_out_again(tmp_path: Path) -> None:
    """An older copy of the database, and no ledger beside it: it is known how many events sinks may have been given."""
    directory, copy = tmp_path / "state", tmp_path / "copy.db"
    with Store.open(directory) as store:
        store._database.rows("VACUUM INTO ?", [str(copy)])
        store.record_events([event(f"e{number}") for number in range(3)])
    shutil.copy(copy, directory / "tidegauge.db")
    (directory / ledger.NAME).unlink()
    with Store.open(directory) as store:
        store.record_events([event("e99")])
        assert store.last_event_row == 4


def test_nothing_is_lost_that_is_not(directory: Path) -> None:
    """After a kill that took nothing, nothing is said to be lost; nor without the mark, or with a damaged one."""
    for damage in (lambda path: None, lambda path: path.unlink(), zero, lambda path: os.truncate(path, 100)):
        damage(directory / mark.NAME)
        with Store.open(directory) as store:
            assert (store.lost, store.quarantined, store.last_seq) == (0, 0, LAST)
        noted = mark.read(directory)
        assert noted is not None
        assert (noted.seq, noted.row) == (LAST, LAST * EVENTS_AN_ENTRY)


def test_half_a_mark_is_the_one_before(tmp_path: Path) -> None:
    """A write of the mark that was cut short leaves what was noted before it."""
    with Store.open(tmp_path) as store:
        fill(store, 1, 1)
        before = mark.read(tmp_path)
        assert before is not None
        store.append([batch(2)], {}, 2)
        after = mark.read(tmp_path)
        assert after is not None
        assert (before.seq, after.seq) == (1, 2)
        place = store._mark._number % 2 * mark._PLACE
    flip(tmp_path / mark.NAME, place + 40, 2)
    assert mark.read(tmp_path) == before


def test_the_end_of_the_database_is_known_without_it(tmp_path: Path) -> None:
    """Gone altogether: numbers, events, sinks and positions go on from checkpoint, ledger and mark."""
    with Store.open(tmp_path) as store:
        fill(store)
    for path in tmp_path.glob("tidegauge.db*"):
        path.unlink()
    with Store.open(tmp_path) as store:
        assert (store.last_seq, store.lost) == (ENTRIES, ENTRIES - 4)
        assert store.load_checkpoint() == (4, b"state 4")
        rows = [row for row, _ in store.events(EventFilter(latest_only=False))]
        assert rows == list(range(2 * EVENTS_AN_ENTRY + 1, ENTRIES * EVENTS_AN_ENTRY + 1))
        assert store.sink_position("stdout") == (ENTRIES * EVENTS_AN_ENTRY, 0)
