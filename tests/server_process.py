"""A real server on the loopback that a test starts, stalls and ends; it keeps its port over several lives."""

from __future__ import annotations

import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from tests.conftest import need
from tests.e2e.processes import freeze, until


class ServerProcess(ABC):
    """What such servers have in common. A test without the program is skipped, or fails in CI.

    Args:
        directory: For its files.

    Attributes:
        program: Its name.
        port: Where it listens.
    """

    program: ClassVar[str]

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._path = need(self.program)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def arguments(self) -> list[str]:
        """What its command has behind the program."""

    def ready(self) -> bool:
        """Whether it takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def log(self) -> str:
        """What it has said, over all its lives."""
        return self._log.read_text(errors="replace")

    @property
    def _log(self) -> Path:
        return self.directory / f"{self.program}.log"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([str(self._path), *self.arguments()], stdout=log, stderr=log)
        until(f"{self.program} is ready", self._is_ready, every_s=0.02)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return self.ready()

    def stall(self) -> None:
        """Have it do nothing, as a machine does whose disk hangs, until it ends or goes on."""
        assert self._process is not None
        freeze(self._process.pid)

    def go_on(self) -> None:
        """Have it go on."""
        self._send(signal.SIGCONT)

    def end(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal and wait until it has ended, also where it is stalled; by default as `kill -9` does."""
        if self._process is not None and self._process.poll() is None:
            self._send(number)
            self._send(signal.SIGCONT)
            self._process.wait()

    def _send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
