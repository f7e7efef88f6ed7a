"""The lives of a daemon, one after the other: frozen, its disk filled and freed, killed -9 or restarted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tests.e2e.processes import Daemon, freeze
from tests.e2e.small_disk import SmallDisk
from tests.soak.freezes import KINDS, kill_when

STOP_EVERY, FILL_EVERY, RESTART_EVERY = 6, 7, 10  # lives with a SIGSTOP, lives with a full disk, lives before a restart


class Lives:
    """Starts a daemon again and again, and ends it at instants of every kind.

    Args:
        config: Its configuration; the state is in `disk/state` beside it.
        disk: Where the state is; None when no file system of its own can be mounted, and so none be filled.
        chance: Draws the instants.

    Attributes:
        instants: What the daemon was doing when it was killed.
        did: How often what else was done to it.
    """

    def __init__(self, config: Path, disk: SmallDisk | None, chance: random.Random) -> None:
        self._config, self._disk, self._chance = config, disk, chance
        self._prefix = disk.enter(config.parent) if disk else []
        self.state = (disk.seen if disk else config.parent / "disk") / "state"
        self.instants: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self.did: Counter[str] = Counter({"SIGSTOP": 0, "disk filled": 0, "killed with the disk full": 0, "restart": 0})
        self._full = False
        self._start_s = 1.0

    def daemon(self) -> Daemon:
        """The next life."""
        return Daemon(self._config, prefix=self._prefix)

    def live(self, number: int) -> None:
        """One life to its kill, at the kind of instant that has had the least of its share, and maybe a restart."""
        with self.daemon() as daemon:
            wanted = min(KINDS, key=lambda kind: (self.instants[kind] / KINDS[kind], self._chance.random()))
            if wanted == "while it starts":
                time.sleep(self._chance.uniform(0, 1) * self._start_s)
            else:
                self._trouble(daemon, number)
            self.instants[kill_when(daemon, wanted, self.state, self._chance)] += 1
        self.did["killed with the disk full"] += self._full
        if number % RESTART_EVERY == 0:
            self._restart()

    def _trouble(self, daemon: Daemon, number: int) -> None:
        """Wait until it runs, then freeze it or fill its disk when it is time for that."""
        self._load(daemon)
        time.sleep(self._chance.uniform(0, 0.5))
        if number % STOP_EVERY == 0:
            self.did["SIGSTOP"] += 1
            freeze(daemon.pid)
            time.sleep(self._chance.uniform(0.2, 1.5))
            os.kill(daemon.pid, signal.SIGCONT)
        if self._disk and number % FILL_EVERY == 0:
            self.did["disk filled"] += 1
            self._disk.fill()
            self._full = True
            time.sleep(self._chance.uniform(0.2, 1.5))
            if self._chance.random() < 0.5:  # else it dies with the disk full, and starts so
                self.free()

    def _restart(self) -> None:
        """A life that ends when it is asked to."""
        with self.daemon() as daemon:
            self._load(daemon)
            self.did["restart"] += 1
            assert daemon.end() == 0, daemon.said()

    def _load(self, daemon: Daemon) -> None:
        began = time.monotonic()
        if self._full:  # the one before died so; this one may get as far as it can
            time.sleep(self._chance.uniform(0.5, 1.5) * self._start_s)
            self.free()
        daemon.loaded()
        self._start_s = time.monotonic() - began

    def free(self) -> None:
        """Give the disk's room back."""
        if self._disk:
            self._disk.free()
        self._full = False


def small_disk(directory: Path, size_bytes: int) -> AbstractContextManager[SmallDisk | None]:
    """A disk that can be filled, where this process may mount one: as root, outside of most containers."""
    may_mount = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
    return SmallDisk(directory, size_bytes) if may_mount else nullcontext()
