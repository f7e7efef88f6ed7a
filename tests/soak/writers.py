"""Those who write: a file that is rotated at random, a peer that repeats what was not acknowledged, rude peers."""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import socket
import struct
import threading
import time
from pathlib import Path

from tests.soak.numbered import line

HEADER = b"timestamp,series,value\n"
KEPT = 20_000  # a daemon on a busy machine falls behind by hundreds of files
SEND_S = 240.0  # for what was not acknowledged when all is over
ROTATE_S = {"rename": 12.0, "copytruncate": 3.0}
"""Mean time between two rotations of each kind; a renamed file is waited for five seconds."""


class Worker(threading.Thread):
    """A thread that takes turns until it is told to end."""

    def __init__(self, seed: int) -> None:
        super().__init__(daemon=True)
        self.chance = random.Random(seed)
        self.ending = threading.Event()
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.ending.is_set():
                self.turn()
            self.finish()
        except BaseException as error:
            self.failed = error

    def turn(self) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """What is left to do."""

    def end(self) -> None:
        """Tell it to end, and wait."""
        self.ending.set()
        self.join(SEND_S + 10)
        if self.failed is not None:
            raise self.failed
        assert not self.is_alive()


class RotatingWriter(Worker):
    """Appends readings in writes that rarely end where a line does, and rotates the file between two lines."""

    def __init__(self, path: Path, seed: int) -> None:
        super().__init__(seed)
        self.path, self.written, self.rotations = path, 0, dict.fromkeys(ROTATE_S, 0)
        self.rotating = threading.Event()
        self._number = 0
        self._due = {kind: time.monotonic() + self.chance.expovariate(1 / mean) for kind, mean in ROTATE_S.items()}
        self._file = path.open("ab", buffering=0)
        self._file.write(HEADER)

    def turn(self) -> None:
        for kind, at in self._due.items():
            if self.rotating.is_set() and time.monotonic() >= at:
                self._due[kind] = time.monotonic() + self.chance.expovariate(1 / ROTATE_S[kind])
                self.rotations[kind] += 1
                getattr(self, f"_{kind}")()
        self._write(self.chance.randint(1, 6))
        time.sleep(self.chance.uniform(0, 0.06))

    def finish(self) -> None:
        self._file.close()

    def _write(self, count: int) -> None:
        data = b"".join(line(self.written + k) for k in range(count))
        while data:
            size = self.chance.randint(1, len(data))
            self._file.write(data[:size])
            data = data[size:]
        self.written += count

    def _rotated(self) -> Path:
        self._number += 1
        for old in sorted(self.path.parent.glob(f"{self.path.name}.*"))[:-KEPT]:
            old.unlink()
        return self.path.with_name(f"{self.path.name}.{self._number:06d}")

    def _rename(self) -> None:
        """The writer goes on in the renamed file for a while before it starts the new one."""
        self.path.rename(self._rotated())
        for _ in range(self.chance.randint(0, 3)):
            self._write(self.chance.randint(0, 3))
            time.sleep(self.chance.uniform(0, 0.1))
        self._file.close()
        self._file = self.path.open("ab", buffering=0)
        self._file.write(HEADER)

    def _copytruncate(self) -> None:
        shutil.copyfile(self.path, self._rotated())
        self._file.truncate(0)
        self._file.write(HEADER)


class Sender(Worker):
    """Sends readings over TCP; after a connection it begins again with the first that was not acknowledged."""

    def __init__(self, port: int, seed: int) -> None:
        super().__init__(seed)
        self.port, self.acknowledged, self.sent, self.connections = port, 0, 0, 0
        self.wanted: int | None = None

    def turn(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as sock:
            self.connections += 1
            self._talk(sock, time.monotonic() + self.chance.uniform(0.2, 6))
        time.sleep(0.1)

    def finish(self) -> None:
        """Send on until all that was ever sent is acknowledged."""
        self.wanted = self.sent + 50
        deadline = time.monotonic() + SEND_S
        while self.acknowledged < self.wanted:
            assert time.monotonic() < deadline, f"{self.acknowledged} of {self.wanted} acknowledged"
            self.turn()

    def _talk(self, sock: socket.socket, until: float) -> None:
        began = sent = self.acknowledged
        answers = b""
        sock.settimeout(0.05)
        while time.monotonic() < until:
            if sent - self.acknowledged < 300 and (self.wanted is None or sent < self.wanted):
                count = self.chance.randint(1, 12)
                if self.wanted is not None:
                    count = min(count, self.wanted - sent)
                data = b"".join(line(sent + k) for k in range(count))
                self.sent = max(self.sent, sent + count)
                size = self.chance.randint(1, len(data))
                sock.sendall(data[:size])
                time.sleep(self.chance.choice((0, 0, 0, 0, 0.05, 0.2)))  # in the midst of a line, mostly
                if self.wanted is None and self.chance.random() < 0.01:
                    vanish(sock)
                    return
                sock.sendall(data[size:])
                sent += count
            with contextlib.suppress(TimeoutError):
                got = sock.recv(4096)
                if not got:
                    return
                answers = (answers + got)[-200:]
                told = re.findall(rb"ok (\d+)\n", answers)
                self.acknowledged = max(self.acknowledged, began + int(told[-1])) if told else self.acknowledged
            if self.wanted is not None and self.acknowledged >= self.wanted:
                return


class RudePeer(Worker):
    """Connects, sends half a line or none, stalls, vanishes."""

    def __init__(self, port: int, seed: int) -> None:
        super().__init__(seed)
        self.port = port

    def turn(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as sock:
            sock.sendall(line(0)[: self.chance.randint(0, 15)])
            self.ending.wait(self.chance.uniform(0, 3))
            vanish(sock)
        self.ending.wait(self.chance.uniform(0, 0.5))


def vanish(sock: socket.socket) -> None:
    """Close so that the other side sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
