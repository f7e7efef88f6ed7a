"""A receiver of octet-counted syslog on the loopback, which reads to the end of each connection, or as it is told."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self


class SyslogReceiver:
    """Keeps whole messages in order.

    Attributes:
        messages: What came, without its counts.
        ways: How the next connections are treated, used up one by one: "close" closes at once, "part" reads ten bytes
            and closes, "stall" reads nothing until `let_go`. With none left it reads to the end, then closes.
    """

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.ways: list[str] = []
        self.let_go = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                way = self.ways.pop(0) if self.ways else "read"
                if way == "part":
                    peer.recv(10)
                elif way == "stall":
                    self.let_go.wait(20)
                elif way == "read":
                    with peer.makefile("rb") as file:
                        self.messages += frames(file.read())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def frames(data: bytes) -> list[bytes]:
    """Messages of an octet-counted transfer; the test fails where a count is wrong."""
    found = []
    while data:
        count, _, rest = data.partition(b" ")
        assert len(rest) >= int(count)
        found.append(rest[: int(count)])
        data = rest[int(count) :]
    return found
