"""State directories of someone else, or on a read-only file system: one clear line, and nothing is set aside."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.store import Store
from tests.conftest import need, need_mounting
from tests.e2e.processes import TIDEGAUGE

FIXTURE = Path(__file__).parent / "fixtures" / "state-1.tar.xz"
NOBODY = 65534
POWERLESS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Root that may not pass over owners and modes, and so is like any other user."""
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
READING = [["state", "check"], ["events", "list"]]
WRITING = [["run"], ["status", "--digest"]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory, with the configuration beside it."""
    with tarfile.open(FIXTURE) as tar:
        tar.extractall(tmp_path, filter="data")
    with (tmp_path / "tidegauge.yaml").open("a") as file:
        file.write('http: {listen: "127.0.0.1:0"}\nlog: {format: plain}\n')
    Store.open(tmp_path / "state").close()  # brings the database up to this version
    return tmp_path / "state"


@pytest.fixture
def powerless() -> list[str]:
    """Prefix of a command that owners and modes hold for."""
    need("setpriv")
    need_mounting()  # root, that is
    return POWERLESS


@pytest.fixture
def read_only(state: Path) -> list[str]:
    """Prefix of a command that sees the state directory on a file system mounted read-only."""
    need_mounting()
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", READ_ONLY, str(state)]


def run(prefix: Sequence[str], state: Path, *arguments: str, status: int = 1) -> str:
    """What a command says on standard error but for progress: one line, and no traceback."""
    command = [*prefix, str(TIDEGAUGE), *arguments, "--config", str(state.parent / "tidegauge.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, cwd=state.parent)
    assert done.returncode == status, done.stderr
    said = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert len(said) == (status != 0), done.stderr
    return "".join(said)


def give_away(*paths: Path) -> None:
    """Make files someone else's who lets nobody in."""
    for path in paths:
        os.chown(path, NOBODY, NOBODY)
        path.chmod(0o700 if path.is_dir() else 0o600)


def test_a_foreign_directory(state: Path, powerless: list[str]) -> None:
    """Every command says whose the directory is, who asks, and what to do."""
    give_away(state)
    wanted = f"{state}: belongs to nobody (mode 0700), and this is root; run it as nobody or root, or give it to root"
    for arguments in READING + WRITING:
        assert wanted in run(powerless, state, *arguments)


@pytest.mark.parametrize("name", ["tidegauge.db", "checkpoints"])
def test_a_foreign_file(state: Path, powerless: list[str], name: str) -> None:
    """One file that another user left, as a start by root does, is named; what is sound is not set aside for that."""
    path = state / name
    if path.is_dir():
        path = next(path.iterdir())
    give_away(path)
    before = sorted(state.rglob("*"))
    assert f"{path}: belongs to nobody" in run(powerless, state, "run")
    assert sorted(state.rglob("*")) == before


def test_a_read_only_directory_is_read(state: Path, read_only: list[str]) -> None:
    """What only reads works, as on a backup that is mounted; what writes says why it cannot."""
    for arguments in READING:
        run(read_only, state, *arguments, status=0)
    for arguments in WRITING:
        said = run(read_only, state, *arguments)
        assert f"{state}: is on a read-only file system; mount it for writing, or set another state_dir" in said


def test_a_read_only_directory_of_a_killed_daemon(state: Path, read_only: list[str]) -> None:
    """Entries that are in SQLite's log only cannot be read there: the line says to copy the directory."""
    killed = state.parent / "killed"
    connection = sqlite3.connect(state / "tidegauge.db")
    connection.execute("INSERT INTO meta VALUES ('test', 1, 0)")
    connection.commit()
    shutil.copytree(state, killed)
    connection.close()
    shutil.rmtree(state)
    killed.rename(state)
    (state / "tidegauge.db-shm").unlink()
    said = run(read_only, state, "events", "list")
    assert f"{state}/tidegauge.db-wal: has entries that its daemon left" in said
    assert "copy the state directory" in said
    run([], state, "events", "list", status=0)


def test_a_state_directory_that_cannot_be_made(tmp_path: Path, state: Path, powerless: list[str]) -> None:
    """A directory above it that belongs to someone else is named."""
    (state.parent / "srv").mkdir()
    config = state.parent / "tidegauge.yaml"
    config.write_text(config.read_text().replace("state_dir: state", "state_dir: srv/state"))
    give_away(state.parent / "srv")
    assert f"{state.parent}/srv: belongs to nobody" in run(powerless, state, "run")
