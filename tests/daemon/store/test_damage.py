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
from daemon.store.database import Database
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
    "entry missing": sql("DELETE FROM journal WHERE seq = 5"),
    "bit flipped in an entry": sql("UPDATE journal SET blob = zeroblob(length(blob)) WHERE seq = 6"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_database_is_set_aside(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The database is renamed with a loud line; state, positions, models and numbering go on from the checkpoint."""
    fill(tmp_path)
    DAMAGES[damage](tmp_path / "tidegauge.db")
    with caplog.at_level(logging.ERROR), Store.open(tmp_path) as store:
        assert [r.message for r in caplog.records] == ["database quarantined"]
        assert (store.quarantined, len(list(tmp_path.glob("tidegauge.db.quarantined-1")))) == (1, 1)
        assert store.load_checkpoint() == (4, b"state 4")
        assert store.positions("f") == {"p": {"offset": 4}}
        assert store.read_model("taxi", 1) == b"bytes"
        assert store.labels() == [LABEL]
        assert (store.sink_position("file"), store.events()) == ((0, 77), [])
        assert list(store.entries(4)) == []
        assert store.append([batch(1)], {}, 1) == [5]
        assert store.check() == []
    with Store.open(tmp_path) as store:
        assert (store.quarantined, store.load_checkpoint()) == (0, (4, b"state 4"))
        assert [seq for seq, _ in store.entries(4)] == [5]


def test_a_second_bad_database_gets_its_own_name(tmp_path: Path) -> None:
    """Nothing set aside is ever overwritten, and the write-ahead log goes with its database."""
    for _ in range(2):
        (tmp_path / "tidegauge.db").write_bytes(b"x" * 100)
        (tmp_path / "tidegauge.db-wal").write_bytes(b"y")
        Store.open(tmp_path).close()
    kept = sorted(path.name for path in tmp_path.glob("*.quarantined-*"))
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
    """Database and checkpoints all bad: an empty store; model files of before are kept under another name."""
    fill(tmp_path)
    (tmp_path / "tidegauge.db").write_bytes(b"x" * 5000)
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(b"x" * 5000)
    with Store.open(tmp_path) as store:
        assert (store.load_checkpoint(), store.last_seq, store.positions("f")) == (None, 0, {})
        assert store.quarantined == 3
        assert store.put_model("taxi", "r1", b"new", digest="d", manifest={}, outcome="promoted") == 1
    assert (tmp_path / "models" / "taxi-0001.safetensors.quarantined-1").read_bytes() == b"bytes"


def test_damage_found_in_use_is_quarantined_at_the_next_start(tmp_path: Path) -> None:
    """An old entry that start-up does not read fails loudly when read; the next start cannot fail so."""
    fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / "tidegauge.db")) as connection, connection:
        connection.execute("UPDATE journal SET blob = zeroblob(length(blob)) WHERE seq = 2")
    with Store.open(tmp_path) as store:
        assert store.quarantined == 0
        with pytest.raises(StoreDamaged, match="journal entry 2 does not have the checksum"):
            list(store.entries(0))
    with Store.open(tmp_path) as store:
        assert (store.quarantined, store.load_checkpoint()) == (1, (4, b"state 4"))
    with Store.open(tmp_path) as store:
        assert store.quarantined == 0


def test_an_older_database_is_migrated_and_a_copy_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Migration runs step by step, keeps everything, and leaves the file of before beside it."""
    fill(tmp_path)
    old = tables.VERSION
    steps = {
        old: lambda db: db.rows("ALTER TABLE sinks ADD COLUMN note TEXT"),
        old + 1: lambda db: db.rows("UPDATE sinks SET note = 'three'"),
    }
    monkeypatch.setattr(tables, "VERSION", old + 2)
    monkeypatch.setattr(tables, "MIGRATIONS", steps)
    with Store.open(tmp_path) as store:
        assert store._database.rows("SELECT name, note FROM sinks") == [("file", "three")]
        assert (store.quarantined, store.last_seq, store.check()) == (0, 6, [])
    with closing(Database(tmp_path / f"tidegauge.db.version-{old}")) as copy:
        assert copy.value("PRAGMA user_version") == old
        assert copy.value("SELECT max(seq) FROM journal") == 6


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
    edit(tmp_path / "checkpoints" / "checkpoint-000000000002.tgc", 200, b"\xff")
    (tmp_path / "models" / "taxi-0001.safetensors").unlink()
    with open_reader(tmp_path) as reader:
        first, second, third = reader.check()
    assert "journal entry 1 does not have the checksum" in first
    assert "checkpoint-000000000002.tgc: does not have the SHA-256" in second
    assert "taxi-0001.safetensors: cannot be read" in third
