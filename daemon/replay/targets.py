"""Where `replay --to` plays a file: another file, or a daemon that listens."""

from __future__ import annotations

import re
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from daemon.config.addresses import split_address

_UNTOLD_BYTES = 16 << 20
"""Bytes sent and not told to be durable; beyond it the sender waits for an answer."""
_PATIENCE_S = 60.0
_PAUSE_S = 0.2
_BROKEN = (ConnectionError, TimeoutError)
_ANSWER = re.compile(rb"ok ([0-9]{1,18})\n")


class TargetError(OSError):
    """A target cannot be played to: where, why, and what to do."""


class Target(Protocol):
    """Takes lines."""

    def write(self, line: bytes) -> None:
        """Send one line, with its newline; waits while the other side does. Raises OSError."""

    def finish(self) -> None:
        """Wait until the other side has everything, as far as it says so. Raises OSError."""

    def close(self) -> None:
        """Release the descriptor."""


class FileTarget:
    """Appends to a file; made when there is none."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def write(self, line: bytes) -> None:
        """See `Target.write`."""
        self._file.write(line)

    def finish(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class DatagramTarget:
    """Sends each line as a datagram of its own; whether it arrives, nobody says."""

    def __init__(self, host: str, port: int) -> None:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._sock = socket.socket(family, kind)
        self._sock.connect(address)

    def write(self, line: bytes) -> None:
        """See `Target.write`."""
        self._sock.send(line)

    def finish(self) -> None:
        """Nothing to wait for: nobody answers."""

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class StreamTarget:
    """Sends lines over a connection that the other side closes when it has everything.

    With `ack` it keeps each line until the daemon has told that it is durable. When the connection breaks it connects
    again and repeats those lines, after the header, for a new connection knows none.

    Args:
        connect: Makes a connection.
        name: Of the target, for messages.
        ack: Whether the source it sends to has `ack: true`.
        header: Header line of the file, b"" when it has none.
        patience_s: How long it waits for a connection, or for an answer.
        sleep: Waits so many seconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        name: str,
        *,
        ack: bool = False,
        header: bytes = b"",
        patience_s: float = _PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect, self._name, self._ack, self._header = connect, name, ack, header
        self._patience_s, self._sleep, self._clock = patience_s, sleep, clock
        self._untold: deque[bytes] = deque()
        self._untold_bytes = 0
        self._told = 0  # lines of this connection that are durable, the repeated header included
        self._answers = b""
        self._sock = connect()

    def write(self, line: bytes) -> None:
        """See `Target.write`."""
        if not self._ack:
            self._sock.sendall(line)
            return
        self._untold.append(line)
        self._untold_bytes += len(line)
        try:
            self._sock.sendall(line)
            self._listen(0.0)
        except _BROKEN:
            self._repeat()
        if self._untold_bytes > _UNTOLD_BYTES:
            self._wait(_UNTOLD_BYTES // 2)

    def finish(self) -> None:
        """See `Target.finish`.

        Raises:
            TargetError: The daemon never said that it has everything.
        """
        if self._ack:
            self._wait(0)
        self._sock.shutdown(socket.SHUT_WR)
        self._sock.settimeout(self._patience_s)
        try:
            while self._sock.recv(65536):
                pass
        except TimeoutError:
            raise TargetError(f"{self._name} did not close the connection in {self._patience_s:g} s") from None

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def _wait(self, most_bytes: int) -> None:
        """Wait until at most so many bytes are not told to be durable."""
        deadline, left = self._clock() + self._patience_s, self._untold_bytes
        while self._untold_bytes > most_bytes:
            try:
                self._listen(_PAUSE_S)
            except _BROKEN:
                self._repeat()
            if self._untold_bytes < left:
                deadline, left = self._clock() + self._patience_s, self._untold_bytes
            elif self._clock() > deadline:
                raise TargetError(
                    f"{self._name} has told nothing for {self._patience_s:g} s of {len(self._untold)} lines; "
                    "is ack: true set for that source?"
                )

    def _listen(self, seconds: float) -> None:
        """Read what the daemon tells, waiting so long for it. Raises OSError when the connection is broken."""
        self._sock.settimeout(seconds)
        try:
            answer = self._sock.recv(65536)
        except (BlockingIOError, TimeoutError):
            return
        finally:
            self._sock.settimeout(None)
        if not answer:
            raise ConnectionResetError(f"{self._name} closed the connection")
        whole, newline, self._answers = (self._answers + answer).rpartition(b"\n")
        numbers = _ANSWER.findall(whole + newline)
        if newline and not numbers:
            raise TargetError(f"{self._name} does not answer like a source with ack: true")
        for told in map(int, numbers[-1:]):
            for _ in range(told - self._told):
                self._untold_bytes -= len(self._untold.popleft())
            self._told = told

    def _repeat(self) -> None:
        """Connect again, as often as patience allows, and send what is not known to be durable."""
        deadline = self._clock() + self._patience_s
        while True:
            self._sock.close()
            try:
                self._sock = self._connect()
                self._answers, self._told = b"", 1 if self._header else 0
                for line in (self._header, *self._untold):
                    self._sock.sendall(line)
                return
            except OSError as error:
                if self._clock() > deadline:
                    raise TargetError(f"{self._name}: {error.strerror or error}") from error
                self._sleep(_PAUSE_S)


def open_target(text: str, *, ack: bool = False, header: bytes = b"") -> Target:
    """The target that `text` names: `file:PATH`, `tcp://HOST:PORT`, `udp://HOST:PORT` or `unix://PATH`.

    Raises:
        ValueError: `text` names none.
        OSError: It cannot be opened or reached.
    """
    kind, _, rest = text.partition(":")
    where = rest.removeprefix("//")
    if kind == "file" and rest:
        return FileTarget(Path(rest))
    if kind == "unix" and rest.startswith("//") and where:
        return StreamTarget(lambda: _connect_unix(where), text, ack=ack, header=header)
    address = split_address(where) if rest.startswith("//") else None
    if kind == "tcp" and address is not None:
        return StreamTarget(lambda: socket.create_connection(address), text, ack=ack, header=header)
    if kind == "udp" and address is not None:
        return DatagramTarget(*address)
    raise ValueError(f"{text} is no target; write file:PATH, tcp://HOST:PORT, udp://HOST:PORT or unix://PATH")


def _connect_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock
