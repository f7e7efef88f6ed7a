"""Questions and commands to the daemon that holds a state directory, over the socket in it."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET = "control.sock"
PATIENCE_S = 60.0


class NoDaemonError(Exception):
    """No daemon answers at the socket."""


class CommandRefusedError(Exception):
    """The daemon did not do it; the message says why."""


@contextmanager
def reachable(directory: Path) -> Iterator[str]:
    """The socket's path, short enough for the kernel's 108 bytes however long the directory's is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


class _Connection(http.client.HTTPConnection):
    def __init__(self, directory: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._directory = directory

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        with reachable(self._directory) as path:
            self.sock.connect(path)


def status(directory: Path) -> dict[str, Any]:
    """How the daemon is doing, as `/api/v1/status` says it; raises as `command` does."""
    return _ask(directory, "GET", "/status")


def command(directory: Path, path: str, **arguments: Any) -> dict[str, Any]:
    """Have the daemon do something; its answer.

    Args:
        directory: Its state directory.
        path: What to do, such as `/models/serve`.
        arguments: With what.

    Raises:
        NoDaemonError: None listens there.
        CommandRefusedError: It did not do it, or not yet.
    """
    return _ask(directory, "POST", path, json.dumps(arguments))


def _ask(directory: Path, method: str, path: str, body: str | None = None) -> dict[str, Any]:
    connection = _Connection(directory)
    try:
        connection.request(method, path, body, {} if body is None else {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise NoDaemonError(f"{directory / SOCKET}: {error}") from error
    finally:
        connection.close()
    try:
        found = json.loads(text)
    except ValueError:
        found = {"error": text.strip()}
    if answer.status != http.HTTPStatus.OK or not isinstance(found, dict):
        raise CommandRefusedError(str(found.get("error", text)) if isinstance(found, dict) else text)
    return found
