"""Whatever is found in the state directory, the store opens: sound parts are used, the rest is set aside, loudly."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from daemon.engine.messages.inputs import Labelled, Tick
from daemon.store import (
    Store,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreUnusable,
    open_reader,
    tables,
)
from daemon.store.lock import Lock
from tests.daemon.store.contents import REPOSITORY, batch, event

LABEL = Labelled("taxi", "a", "fault", 3600, 7200, "a strike", -1, 2, 1_700_000_000_000)


def fill(directory: Path, entries: int = 6) -> None:
    """A directory with checkpoints of entries 2 and 4, a model, a label and an event."""
    with Store.open(directory) as store:
        for number in range(1, entries + 1):
            store.append([batch(number, 2000)], {"f": {"p": {"offset": number}}}, number)
            if number in (2, 4):
                store.write_checkpoint(number, b"state %d" % number)
            if number == 1:
                store.put_model("taxi", "r1", b"bytes", digest="d", manifest={"a": 1}, outcome="promoted")
                store.set_sink_position("file", 1, 77)
                store.record_events([event("e")])
                store.record_label(number, LABEL)


def edit(path: Path, offset: int, data: bytes) -> None:
    """Overwrite bytes in place."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def sql(statement: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    return damage


DAMAGES = {
    "empty": lambda path: os.truncate(path, 0),
    "noise": lambda path: path.write_bytes(b"\x07" * 10_000),
    "header": lambda path: edit(path, 0, b"gone"),
    "truncated": truncate,
    "cut inside a page": lambda path: os.truncate(path, 5000),
    "zeroed pages": lambda path: edit(path, 4096, bytes(5 * 4096)),
    "version 0": sql("PRAGMA user_version=0"),
    "foreign": sql("PRAGMA application_id=1"),
    "no table": sql("DROP TABLE sinks"),
}


WHOLE = ("version 0", "foreign", "no table")
"""Damages of the file that leave every entry readable."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_database_is_set_aside(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The file is renamed with a loud line; what can be read of it, and all that is known from elsewhere, goes on."""
    fill(tmp_path)
    DAMAGES[damage](tmp_path / "tidegauge.db")
    with caplog.at_level(logging.ERROR), Store.open(tmp_path) as store:
        assert caplog.records[0].message == "database quarantined"
        assert (store.quarantined, len(list(tmp_path.glob("tidegauge.db.quarantined-1")))) == (1, 1)
        assert store.load_checkpoint() == (4, b"state 4")
        whole = damage in WHOLE
        assert ("journal entries lost" in [r.message for r in caplog.records], store.lost) == (not whole, 2 - 2 * whole)
        assert store.positions("f") == {"p": {"offset": 6 if whole else 4}}
        assert store.read_model("taxi", 1) == b"bytes"
        assert store.labels() == [LABEL]
        assert (store.sink_position("file"), store.events()) == ((1, 77), [(1, event("e"))])
        assert [seq for seq, _ in store.entries(4)] == ([5, 6] if whole else [])
        assert store.append([batch(1)], {}, 1) == [7], "a number is never given out twice"
        assert store.check() == []
    with Store.open(tmp_path) as store:
        assert (store.quarantined, store.lost, store.load_checkpoint()) == (0, 0, (4, b"state 4"))
        assert [seq for seq, _ in store.entries(4)] == ([5, 6, 7] if whole else [7])


@pytest.mark.parametrize("seq", [2, 5, 6])
@pytest.mark.parametrize("statement", ["DELETE FROM journal", "UPDATE journal SET blob = zeroblob(length(blob))"])
def test_a_bad_entry_is_set_aside(statement: str, seq: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An entry that is gone or is not what was written is lost, loudly; those before and after it go on."""
    fill(tmp_path)
    sql(f"{statement} WHERE seq = {seq}")(tmp_path / "tidegauge.db")
    with caplog.at_level(logging.ERROR), Store.open(tmp_path) as store:
        last = [] if seq == 6 and "DELETE" in statement else ["journal entries lost"]
        assert last == [] or last[0] in [r.message for r in caplog.records]
        assert store.lost == 1
        assert [n for n, _ in store.entries(0)] == [n for n in range(1, 7) if n != seq]
        assert store.positions("f") == {"p": {"offset": 6}}
        assert store.append([batch(7)], {}, 7) == [7]
        assert store.check() == []
    aside = list(tmp_path.glob("tidegauge.db.rows.quarantined-1"))
    assert len(aside) == ("UPDATE" in statement)


def test_a_second_bad_database_gets_its_own_name(tmp_path: Path) -> None:
    """Nothing set aside is ever overwritten, and the write-ahead log goes with its database."""
    for _ in range(2):
        (tmp_path / "tidegauge.db").write_bytes(b"x" * 100)
        (tmp_path / "tidegauge.db-wal").write_bytes(b"y")
        Store.open(tmp_path).close()
    kept = sorted(path.name for path in tmp_path.glob("*.quarantined-*") if not path.name.endswith("-shm"))
    assert kept == [f"tidegauge.db.quarantined-{n}{suffix}" for n in (1, 2) for suffix in ("", "-wal")]


def test_a_log_without_its_database_is_not_taken_for_the_fresh_ones(tmp_path: Path) -> None:
    """When only the database file is gone, its log is set aside too and the checkpoint serves."""
    fill(tmp_path)
    (tmp_path / "tidegauge.db").unlink()
    (tmp_path / "tidegauge.db-wal").write_bytes(b"old")
    with Store.open(tmp_path) as store:
        assert (store.load_checkpoint(), store.check()) == ((4, b"state 4"), [])
    assert (tmp_path / "tidegauge.db.quarantined-1-wal").read_bytes() == b"old"


def test_with_nothing_sound_it_starts_afresh(tmp_path: Path) -> None:
    """Database and checkpoints all bad: an empty state, numbers go on, model files are kept under another name."""
    fill(tmp_path)
    (tmp_path / "tidegauge.db").write_bytes(b"x" * 5000)
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(b"x" * 5000)
    with Store.open(tmp_path) as store:
        assert (store.load_checkpoint(), store.last_seq, store.positions("f")) == (None, 6, {})
        assert store.quarantined == 3
        assert store.put_model("taxi", "r1", b"new", digest="d", manifest={}, outcome="promoted") == 1
    assert (tmp_path / "models" / "taxi-0001.safetensors.quarantined-1").read_bytes() == b"bytes"


def test_damage_found_in_use_is_mended_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old entry that a start does not look at fails loudly when read; the next start cannot fail so."""
    monkeypatch.setattr(tables, "LOOKED_AT", 0)
    fill(tmp_path)
    sql("UPDATE journal SET blob = zeroblob(length(blob)) WHERE seq = 2")(tmp_path / "tidegauge.db")
    with Store.open(tmp_path) as store:
        assert store.quarantined == 0
        with pytest.raises(StoreDamaged, match="journal entry 2 does not have the checksum"):
            list(store.entries(0))
    with Store.open(tmp_path) as store:
        assert (store.quarantined, store.lost, store.load_checkpoint()) == (1, 1, (4, b"state 4"))
        assert [seq for seq, _ in store.entries(0)] == [1, 3, 4, 5, 6]
    with Store.open(tmp_path) as store:
        assert store.quarantined == 0


def test_a_newer_database_that_is_one_bit_away_is_damage(tmp_path: Path) -> None:
    """A version that differs in one bit from that which was open here last is a flipped bit, and mended."""
    fill(tmp_path)
    sql(f"PRAGMA user_version={tables.VERSION ^ 64}")(tmp_path / "tidegauge.db")
    with Store.open(tmp_path) as store:
        assert (store.quarantined, store.lost, store.last_seq) == (1, 0, 6)


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """What a newer version wrote is no damage: one line says so, and nothing is set aside, not even in part."""
    fill(tmp_path)
    sql(f"PRAGMA user_version={tables.VERSION + 1}")(tmp_path / "tidegauge.db")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(StoreUnusable, match=r"written by a newer Tidegauge \(.*\); install that one again"):
        Store.open(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    sql(f"PRAGMA user_version={tables.VERSION}")(tmp_path / "tidegauge.db")
    with Store.open(tmp_path) as store:
        assert (store.quarantined, store.last_seq) == (0, 6)


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o702])
def test_a_directory_that_anybody_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever may write into the state directory could plant a state: it is refused, with the command that mends it."""
    directory = tmp_path / "state"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(StoreUnusable, match=r"anybody may write here \(mode 07.*run chmod o-w"):
        Store.open(directory)
    directory.chmod(mode & ~0o002)
    Store.open(directory).close()


def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    """Database, log and the copy kept by a migration have mode 0600 whatever the umask; an older one's is mended."""
    before = os.umask(0)
    try:
        with Store.open(tmp_path) as store:
            store.append([Tick(1)], {}, 1)
            assert modes(tmp_path) == {0o600}
        for path in tmp_path.glob("tidegauge.db*"):
            path.chmod(0o644)
        with Store.open(tmp_path) as store:
            store.append([Tick(2)], {}, 2)
            assert modes(tmp_path) == {0o600}
    finally:
        os.umask(before)


def modes(directory: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in directory.glob("tidegauge.db*")}


@pytest.mark.parametrize(("errno_", "full"), [(errno.EIO, False), (errno.ENOSPC, True), (errno.EDQUOT, True)])
def test_a_broken_disk_is_not_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errno_: int, full: bool
) -> None:
    """SQLite says the same of a used-up quota and of a disk that fails; a write beside it tells which it is."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno_, os.strerror(errno_))

    with Store.open(tmp_path) as store:
        failed = sqlite3.OperationalError("disk I/O error")
        failed.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        monkeypatch.setattr("daemon.store.files.tempfile.TemporaryFile", fail)
        with pytest.raises(StoreError) as caught, store._database._translated():
            raise failed
        assert isinstance(caught.value, StoreFull) is full


def test_one_writer(tmp_path: Path) -> None:
    """A second daemon is told who holds the directory; when the holder dies, however it dies, the lock is free."""
    body = "import sys; from pathlib import Path; from daemon.store import Store; s = Store.open(Path(sys.argv[1]))"
    code = body + "; print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreLocked, match=f"in use by process {holder.pid}; stop it") as caught:
            Store.open(tmp_path)
        assert caught.value.pid == holder.pid
        holder.kill()
        holder.wait()
    Store.open(tmp_path).close()


def test_a_full_disk_does_not_lock_its_own_daemon_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for the process id in it the lock is held all the same, by one, and let go when it should be."""

    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("daemon.store.lock.os.pwrite", no_room)
    held = Lock(tmp_path)
    with pytest.raises(StoreLocked, match="in use by another process"):
        Lock(tmp_path)
    held.release()
    Lock(tmp_path).release()


def test_a_reader_says_what_is_missing(tmp_path: Path) -> None:
    """Without a database, or with one of another version, the reader's error names the file and the remedy."""
    with pytest.raises(StoreMissing, match=r"tidegauge\.db: there is no state here"):
        open_reader(tmp_path)
    fill(tmp_path)
    sql("PRAGMA user_version=9")(tmp_path / "tidegauge.db")
    with pytest.raises(StoreError, match=f"not a Tidegauge database of version {tables.VERSION}"):
        open_reader(tmp_path)


def test_check_finds_what_start_up_does_not_read(tmp_path: Path) -> None:
    """The full check names a bad entry, a bad checkpoint and a bad model file, each with its file."""
    fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / "tidegauge.db")) as connection, connection:
        connection.execute("UPDATE journal SET crc = 0 WHERE seq = 1")
        connection.execute("UPDATE labels SET note = 'another'")
    edit(tmp_path / "checkpoints" / "checkpoint-000000000002.tgc", 200, b"\xff")
    (tmp_path / "models" / "taxi-0001.safetensors").unlink()
    with open_reader(tmp_path) as reader:
        first, label, second, third = reader.check()
    assert "journal entry 1 does not have the checksum" in first
    assert "row 1 of labels does not have the checksum" in label
    assert "checkpoint-000000000002.tgc: does not have the SHA-256" in second
    assert "taxi-0001.safetensors: cannot be read" in third


@pytest.mark.parametrize("table", ["journal", "events"])
def test_a_page_that_is_another_leads_in_no_circles(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier page of a table in the place of a later one, and no look at all pages: told, not read for ever."""
    with Store.open(tmp_path) as store:
        for number in range(1, 60):
            store.append([batch(number, 60)], {"f": {"p": {"offset": number}}}, number)
            store.record_events([event(f"e{number}-{each}", started_at=number) for each in range(9)])
    path = tmp_path / "tidegauge.db"
    with closing(sqlite3.connect(path)) as connection:
        leaves = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path"
        pages = [page for (page,) in connection.execute(leaves, [table])]
    assert len(pages) > 8
    content, earlier, later = path.read_bytes(), pages[1], pages[-2]
    edit(path, (later - 1) * 4096, content[(earlier - 1) * 4096 : earlier * 4096])
    monkeypatch.setattr(tables, "LOOKED_AT", 0)
    with open_reader(tmp_path) as reader:
        assert any("order" in line for line in reader.check())
    if table == "journal":  # of which a start looks at the newest entries only
        with pytest.raises(StoreDamaged, match="rows of journal are not in order"):
            Store.open(tmp_path)
    with Store.open(tmp_path) as store:
        assert store.quarantined == 1
        assert store.last_seq == 59
        assert store.check() == []
