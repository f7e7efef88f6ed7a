"""Freezing a daemon at random instants, and what it is doing then."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.processes import Daemon, freeze
from tests.e2e.test_kill import at_work

KINDS = {"in a commit": 6, "in a checkpoint": 4, "in a training": 4, "while it starts": 2, "idle": 2}
"""What kills are aimed at, and in what proportion."""
AIM_S = 6.0
PAUSE_S = {"in a checkpoint": 0.002}
"""The longest between two instants that are looked at, shorter for what is rare; `PAUSE_S_ELSE` for other kinds."""
PAUSE_S_ELSE = 0.01
_WRITE_LOCK = 120  # byte of SQLite's WAL index that a writer locks from the first page to the end of its commit


def doing(daemon: Daemon, state: Path) -> str:
    """What a frozen daemon is doing: the first of `KINDS` that holds."""
    if "state loaded" not in daemon.said():
        return "while it starts"
    return next((kind for kind, holds in _SIGNS.items() if holds(daemon, state)), "idle")


def _commits(daemon: Daemon, state: Path) -> bool:
    return _locked(daemon.pid, state / "tidegauge.db-shm")


def _checkpoints(_daemon: Daemon, state: Path) -> bool:
    return any((state / "checkpoints").glob("*.tmp"))


def _locked(pid: int, index: Path) -> bool:
    try:
        inode = index.stat().st_ino
    except FileNotFoundError:
        return False
    for each in Path("/proc/locks").read_text().splitlines():
        found = re.search(r"POSIX +\S+ +WRITE (\d+) \S+:(\d+) (\d+) (\d+)$", each)
        if found and (int(found[1]), int(found[2])) == (pid, inode) and int(found[3]) <= _WRITE_LOCK <= int(found[4]):
            return True
    return False


def _trains(daemon: Daemon, _state: Path) -> bool:
    return at_work(daemon) is not None


_SIGNS: dict[str, Callable[[Daemon, Path], bool]] = {
    "in a commit": _commits,
    "in a checkpoint": _checkpoints,
    "in a training": _trains,
}


def kill_when(daemon: Daemon, wanted: str, state: Path, chance: random.Random) -> str:
    """Freeze the daemon at random instants until it is found doing what is wanted, and kill -9; what it was doing.

    It is frozen first and looked at then, since a commit is over before a signal arrives that follows the sight of it.
    After `AIM_S` it is killed whatever it does.
    """
    deadline = time.monotonic() + AIM_S
    sign = _SIGNS.get(wanted, lambda daemon, state: True)
    while True:
        time.sleep(chance.uniform(0, PAUSE_S.get(wanted, PAUSE_S_ELSE)))
        freeze(daemon.pid)
        late = time.monotonic() > deadline
        if late or sign(daemon, state):
            kind = doing(daemon, state)
            if late or kind == wanted:
                daemon.end(signal.SIGKILL)
                return kind
        os.kill(daemon.pid, signal.SIGCONT)
