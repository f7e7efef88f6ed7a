"""Freezing a daemon at random instants, and what it is doing then."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path

from tests.e2e.running import Daemon, cpu_ns

KINDS = {"in a commit": 6, "in a checkpoint": 4, "in a training": 4, "while it starts": 2, "idle": 2}
"""What a kill is aimed at, with weights."""
AIM_S = 4.0
_WRITE_LOCK = 120  # byte of SQLite's WAL index that a writer locks from the first page to the end of its commit


def freeze(daemon: Daemon) -> None:
    """SIGSTOP, and wait until it has stopped."""
    os.kill(daemon.pid, signal.SIGSTOP)
    stat = Path(f"/proc/{daemon.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] not in "TZ":
        time.sleep(0.0005)


def doing(daemon: Daemon, state: Path) -> str:
    """What a frozen daemon is doing: the first of `KINDS` that holds."""
    if "state loaded" not in daemon.said():
        return "while it starts"
    if _locked(daemon.pid, state / "tidegauge.db-shm"):
        return "in a commit"
    if any((state / "checkpoints").glob("*.tmp")):
        return "in a checkpoint"
    return "in a training" if _trains(daemon) else "idle"


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


def _trains(daemon: Daemon) -> bool:
    """Whether the worker, which does nothing but train once it has started, uses the processor."""
    worker = daemon.worker()
    if worker is None or "libtorch" not in Path(f"/proc/{worker}/maps").read_text():
        return False
    before = cpu_ns(worker)
    time.sleep(0.004)
    return cpu_ns(worker) > before


def kill_when(daemon: Daemon, wanted: str, state: Path, chance: random.Random) -> str:
    """Freeze at random instants until the daemon does what is wanted, then kill -9; what it was doing."""
    deadline = time.monotonic() + AIM_S
    while True:
        freeze(daemon)
        kind = doing(daemon, state)
        if kind == wanted or time.monotonic() > deadline:
            daemon.end(signal.SIGKILL)
            return kind
        os.kill(daemon.pid, signal.SIGCONT)
        time.sleep(chance.uniform(0, 0.012))
