"""What is outside of the daemon: a writer of files, a peer of a socket, a receiver of events, whoever trains."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import random
import socket
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from io import RawIOBase
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from daemon.engine.messages.training_port import Outcome, TrainingFailed
from daemon.trainer.worker import outcome_of
from models.training_request import TrainingRequest
from tests.simulation.clock import CLOCK
from tests.simulation.disk import KilledError

INTERVAL = 1800
BEGIN = int(datetime(2024, 10, 25, tzinfo=UTC).timestamp())
"""First slot; the clocks of Berlin are put back two days and an hour later."""
ZONE = ZoneInfo("Europe/Berlin")

Reading = tuple[str, int, float]
"""Series, epoch seconds, value."""


def value(series: str, slot: int) -> float:
    """A day's sine with noise, and something odd now and then; the same in every simulation."""
    noise = math.sin(slot * 12.9898 + len(series) * 7.1) * 43758.5453 % 1.0
    odd = (9.0 if slot % 41 == 37 else 0.0) + (60.0 if slot % 89 == 70 else 0.0)
    return round(20 + 6 * math.sin(slot * math.tau / 48) + noise + (odd if len(series) % 2 else 0.0), 3)


class Writer:
    """Appends lines of CSV with local times to a file that is rotated, and stops anywhere within a line.

    Attributes:
        written: All readings whose lines are whole in a file, in order.
    """

    def __init__(self, path: Path, series: tuple[str, ...], chance: random.Random) -> None:
        self._path, self._series, self._chance = path, series, chance
        self.written: list[Reading] = []
        self._pending: deque[tuple[Reading, bytes]] = deque()
        self._rest = b"timestamp,series,value\n"

    def measure(self, slot: int) -> None:
        """A reading of each series is there to be written."""
        for series in self._series:
            at = BEGIN + slot * INTERVAL
            local = datetime.fromtimestamp(at, ZONE).strftime("%Y-%m-%d %H:%M")
            reading = (series, at, value(series, slot))
            self._pending.append((reading, f"{local},{series},{reading[2]!r}\n".encode()))

    def write(self, *, all_of_it: bool = False) -> None:
        """Write some of what is there, or all."""
        while self._rest or self._pending:
            if not self._rest:
                self._rest = self._pending[0][1]
            size = (
                len(self._rest) if all_of_it or self._chance.random() < 0.8 else self._chance.randrange(len(self._rest))
            )
            with self._path.open("ab") as file:
                file.write(self._rest[:size])
            self._rest = self._rest[size:]
            if self._rest:
                return
            if self._pending and self._path.stat().st_size > len("timestamp,series,value\n"):
                self.written.append(self._pending.popleft()[0])
            if not all_of_it and self._chance.random() < 0.15:
                return

    def rotate(self) -> None:
        """Rename the file, and those renamed before, at the end of a line; a new one begins with its header."""
        if self._rest or not self._path.exists():
            return
        number = 1
        while self._path.with_name(f"{self._path.name}.{number}").exists():
            number += 1
        for each in range(number, 1, -1):
            self._path.with_name(f"{self._path.name}.{each - 1}").rename(
                self._path.with_name(f"{self._path.name}.{each}")
            )
        self._path.rename(self._path.with_name(f"{self._path.name}.1"))
        self._rest = b"timestamp,series,value\n"

    @property
    def idle(self) -> bool:
        """Whether all is written."""
        return not self._rest and not self._pending


class Peer:
    """Sends lines over a Unix socket, repeats what was not acknowledged, is cut anywhere and connects again.

    Attributes:
        sent: Readings that were sent at least once.
        acknowledged: Those that it was told are durable.
    """

    def __init__(self, path: Path, series: tuple[str, ...], chance: random.Random) -> None:
        self._path, self._series, self._chance = path, series, chance
        self.sent: set[Reading] = set()
        self.acknowledged: list[Reading] = []
        self._waiting: deque[tuple[Reading, bytes]] = deque()
        self._sock: socket.socket | None = None
        self._heard, self._told = b"", 0
        self._next, self._rest = 0, b""  # of `_waiting`: the next to be sent; and what is left of the one before it

    def measure(self, slot: int) -> None:
        """A reading of each series is there to be sent."""
        for series in self._series:
            reading = (series, BEGIN + slot * INTERVAL, value(series, slot))
            self._waiting.append((reading, f"{reading[1]},{series},{reading[2]!r}\n".encode()))

    def send(self, *, all_of_it: bool = False) -> None:
        """Hear what is durable, and send some of what waits, or all."""
        if self._sock is None and not self._connect():
            return
        self.hear()
        while self._sock is not None and (self._rest or self._next < len(self._waiting)):
            if not self._rest:
                reading, self._rest = self._waiting[self._next]
                self.sent.add(reading)
                self._next += 1
            size = (
                len(self._rest) if all_of_it or self._chance.random() < 0.8 else self._chance.randrange(len(self._rest))
            )
            try:
                self._rest = self._rest[self._sock.send(self._rest[:size]) :]
            except BlockingIOError:
                return
            except OSError:
                self.cut()
                return
            if not all_of_it and self._chance.random() < 0.15:
                return

    def _connect(self) -> bool:
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            sock.connect(str(self._path))
        except OSError:
            sock.close()
            return False
        self._sock, self._heard, self._told, self._next, self._rest = sock, b"", 0, 0, b""
        return True

    def hear(self) -> None:
        """Read what the daemon says."""
        if self._sock is None:
            return
        ended = False
        with contextlib.suppress(BlockingIOError):
            try:
                while data := self._sock.recv(65536):
                    self._heard += data
                ended = True
            except ConnectionError:
                ended = True
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            told = int(line.removeprefix(b"ok "))
            for _ in range(told - self._told):
                self.acknowledged.append(self._waiting.popleft()[0])
                self._next -= 1
            self._told = told
        if ended:
            self._drop()

    def cut(self) -> None:
        """The connection ends, perhaps within a line; what was said is heard."""
        self.hear()
        self._drop()

    def _drop(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock, self._next, self._rest = None, 0, b""

    @property
    def idle(self) -> bool:
        """Whether all is sent and durable."""
        return not self._waiting


class Receiver(RawIOBase):
    """Takes events as lines, at least once each; it may fail for a while, in the middle of a line too.

    Attributes:
        seen: Every revision it was given, by id and number, as it was given.
        failing: Deliveries that fail.
        changed: Revisions that came again and were another thing.
    """

    def __init__(self, dead: Callable[[], bool]) -> None:
        super().__init__()
        self.seen: dict[tuple[str, int], Any] = {}
        self.changed: list[tuple[str, int]] = []
        self.failing = 0
        self._dead = dead

    def write(self, data: Any) -> int:
        """Take whole lines."""
        if self._dead():
            raise KilledError
        if self.failing > 0:
            self.failing -= 1
            raise OSError("the receiver is away")
        for line in bytes(data).splitlines():
            event = json.loads(line)
            key = (event["id"], event["revision"])
            if self.seen.setdefault(key, event) != event:
                self.changed.append(key)
        return len(data)


class SimulatedTrainer:
    """Trains at once, late, or never: what becomes of each training is drawn when it is handed in.

    A training is a pure function of its request, so its results are kept for all simulations in this process.
    """

    _known: ClassVar[dict[str, Outcome]] = {}

    def __init__(self, chance: random.Random, quiet: Callable[[], bool], dead: Callable[[], bool]) -> None:
        self._chance, self._quiet, self._dead = chance, quiet, dead
        self._due: dict[str, tuple[float, TrainingFailed | TrainingRequest]] = {}
        self._calls: list[tuple[float, Callable[[], None]]] = []
        self.closed = False
        self.failures: set[str] = set()

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """See `Trainer`."""
        if self.closed:
            raise RuntimeError("it is closed")
        kind = "good" if self._quiet() else self._chance.choices(["good", "late", "killed", "hung"], [70, 18, 6, 6])[0]
        wait = {"good": 0.0, "killed": 5.0, "late": self._chance.uniform(10, 4 * 3600), "hung": time_limit_s}[kind]
        failures = {"killed": TrainingFailed("killed", "by chance"), "hung": TrainingFailed("timeout", "by chance")}
        self._due[request.id] = (CLOCK.elapsed_s + wait, failures.get(kind, request))

    def ready(self, request_id: str, call: Callable[[], None] | None = None) -> bool:
        """See `AskableTrainer`."""
        due = self._due[request_id][0]
        if due <= CLOCK.elapsed_s:
            return True
        if call is not None:
            self._calls.append((due, call))
        return False

    def result(self, request_id: str) -> Outcome:
        """See `Trainer`; where there is none yet, the time passes until there is."""
        if self.closed:
            return TrainingFailed("killed", "the trainer was closed")
        due, what = self._due.pop(request_id)
        CLOCK.elapsed_s = max(CLOCK.elapsed_s, due)
        if isinstance(what, TrainingFailed):
            if not self._dead():
                self.failures.add(request_id)
            return what
        return trained(what)

    def pass_on(self) -> None:
        """Tell those who wait for what is there by now."""
        due = [call for at, call in self._calls if at <= CLOCK.elapsed_s]
        self._calls = [(at, call) for at, call in self._calls if at > CLOCK.elapsed_s]
        for call in due:
            call()

    def close(self) -> None:
        """See `Trainer`."""
        self.closed = True


def trained(request: TrainingRequest) -> Outcome:
    """What a training comes to that nothing interrupts."""
    key = hashlib.sha256(request.to_bytes()).hexdigest()
    known = SimulatedTrainer._known
    if key not in known:
        known[key] = outcome_of(request)
    return known[key]


class OracleTrainer:
    """Gives those failures out that were recorded, and trains otherwise.

    Args:
        failed: Failures by the id of the request.
    """

    def __init__(self, failed: dict[str, TrainingFailed]) -> None:
        self._failed = failed
        self._requests: dict[str, TrainingRequest] = {}

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """See `Trainer`."""
        self._requests[request.id] = request

    def result(self, request_id: str) -> Outcome:
        """See `Trainer`."""
        return self._failed.get(request_id) or trained(self._requests.pop(request_id))

    def ready(self, request_id: str, call: Callable[[], None] | None = None) -> bool:
        """See `AskableTrainer`."""
        return True

    def close(self) -> None:
        """See `Trainer`."""
