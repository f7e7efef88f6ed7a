"""Row 17 of the file tail's fault table: the disk is full, in earnest, during each kind of write."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.file import load
from daemon.replay.replay import replay
from daemon.trainer.trainer import InlineTrainer
from tests.conftest import ROOT, need_mounting
from tests.daemon.store.make_fixture import reading
from tests.e2e.processes import TIDEGAUGE, Daemon, until
from tests.e2e.small_disk import SmallDisk

MIB = 1 << 20
CONFIGURATION = """\
version: 1
state_dir: disk/state
streams:
  tide:
    sources: [{type: file, path: tide.csv}]
    interval: 1h
    clock: event
    warm_up: 4d
    max_series: 2
    model: {window: 8, copies: 1, retrain_every: 60}
    alerts: {refractory: 1h, limits: {max: 100}}
events: {file: disk/events.jsonl}
checkpoint: {every: 1s}
http: {listen: "127.0.0.1:0"}
log: {format: plain}
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    need_mounting()
    (tmp_path / "disk").mkdir()
    with SmallDisk(tmp_path / "disk", 16 * MIB) as disk:
        yield disk


ATTEMPTS = """
import sys
from pathlib import Path
from daemon.store import Store, StoreFull
from tests.daemon.store.contents import batch, event

disk = Path(sys.argv[1])
store = Store.open(disk / "state")
store.append([batch(1)], {"f": {"p": {"offset": 1}}}, 1)
store.record_events([event("e")])
store.write_checkpoint(1, b"state")
put = dict(digest="d", manifest={}, outcome="promoted")
store.put_model("taxi", "r1", b"model", **put)
large = 14 << 20  # more than is held in reserve
attempts = {
    "journal": lambda: store.append([batch(2, 100_000)], {"f": {"p": {"offset": 2}}}, 2),
    "checkpoint": lambda: store.write_checkpoint(1, bytes(large)),
    "model": lambda: store.put_model("taxi", "r2", bytes(1 << 20), **put),
    "events": lambda: store.record_events([event(f"e{n}") for n in range(5000)]),
}

def fill():
    with (disk / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

def expect(last, events, models):
    assert store.check() == [], store.check()
    assert (store.last_seq, store.positions("f")) == (last, {"p": {"offset": last}})
    assert store.load_checkpoint()[0] == 1
    assert (len(store.events()), len(store.models())) == (events, models)

fill()
for name, attempt in attempts.items():
    try:
        attempt()
        sys.exit(f"{name}: no error")
    except StoreFull:
        expect(1, 1, 1)
assert store.load_checkpoint() == (1, b"state")
store.write_checkpoint(1, bytes(1 << 20))  # of what is held in reserve
expect(1, 1, 1)
(disk / "ballast").unlink()
large = 1 << 20
for attempt in attempts.values():
    attempt()
expect(2, 5001, 2)
store.close()
store = Store.open(disk / "state")
expect(2, 5001, 2)
assert store.quarantined == 0
"""


def test_row_17_every_kind_of_write(tmp_path: Path, disk: SmallDisk) -> None:
    """Journal, checkpoint, model and events on a full tmpfs: each says so, changes nothing, and works when repeated.

    A checkpoint that fits into the reserve is written all the same.
    """
    (tmp_path / "disk").chmod(0o700)
    run_inside(disk, sys.executable, "-W", "error", "-c", ATTEMPTS, str(disk.directory))


CUT_LOG = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)')"
"""Otherwise a few megabytes of log, allocated already, take what is written."""


def run_inside(disk: SmallDisk, *command: str) -> str:
    """What a command prints that sees the disk."""
    done = subprocess.run([*disk.enter(ROOT), *command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ready(daemon: Daemon) -> bool:
    try:
        with urllib.request.urlopen(f"{daemon.address()}/-/ready", timeout=10):
            return True
    except urllib.error.HTTPError as error:
        assert error.code == 503
        return False


def test_row_17_the_daemon_waits_for_room(tmp_path: Path, disk: SmallDisk) -> None:
    """With no room it is not ready and says so in a metric; killed and started so, it waits; freed, nothing is lost."""
    config, file = tmp_path / "tidegauge.yaml", tmp_path / "tide.csv"
    config.write_text(CONFIGURATION)
    file.write_bytes(b"timestamp,value\n" + b"".join(map(reading, range(150))))
    written = 150

    def write(rows: int) -> None:
        nonlocal written
        with file.open("ab") as out:
            out.write(b"".join(map(reading, range(written, written + rows))))
        written += rows

    def full(daemon: Daemon) -> bool:
        return daemon.metric("tidegauge_state_full") == {"": 1.0}

    def fill_and_write(daemon: Daemon) -> None:
        def one_more() -> bool:
            write(1)
            return full(daemon)

        run_inside(disk, sys.executable, "-c", CUT_LOG, str(disk.directory / "state/tidegauge.db"))
        disk.fill()
        until("it is full", one_more, every_s=0.05)
        assert not ready(daemon)

    with Daemon(config, prefix=disk.enter(tmp_path)) as daemon:
        until("read", lambda: daemon.has_read(written))
        assert (ready(daemon), full(daemon)) == (True, False)
        fill_and_write(daemon)
        disk.free()
        until("room", lambda: ready(daemon) and daemon.has_read(written))
        fill_and_write(daemon)
        daemon.end(signal.SIGKILL)
    with Daemon(config, prefix=disk.enter(tmp_path)) as daemon:
        until("it says so", lambda: "no room in the state directory" in daemon.said())
        assert not ready(daemon)
        write(20)
        disk.free()
        until("read", lambda: daemon.has_read(written))
        assert (ready(daemon), full(daemon)) == (True, False)
        assert daemon.end() == 0, daemon.said()
    digest = run_inside(disk, str(TIDEGAUGE), "status", "--digest", "--config", str(config))
    assert digest == replay(file, load(config), "tide", InlineTrainer()).state_sha256
