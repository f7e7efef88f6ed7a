"""What the daemon tells systemd over $NOTIFY_SOCKET (sd_notify(3)). Without that variable every call does nothing."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

from daemon.runtime.logs import log

_DATAGRAM_BYTES = 4096


class Notifier:
    """Sends states to the service manager; a manager that does not listen is logged once and never an error.

    Args:
        environment: Where `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are looked up.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._said = False
        self.watchdog_s = _watchdog_s(environment)

    @property
    def enabled(self) -> bool:
        """Whether a service manager listens."""
        return bool(self._address)

    def ready(self, status: str = "") -> bool:
        """State is loaded and sources are open; also ends a reload."""
        return self._send(READY="1", **_status(status))

    def status(self, text: str) -> bool:
        """A line for `systemctl status`."""
        return self._send(STATUS=_line(text))

    def reloading(self) -> bool:
        """A reload begins; `ready` ends it."""
        return self._send(RELOADING="1", MONOTONIC_USEC=str(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000))

    def watchdog(self) -> bool:
        """The pipeline made progress."""
        return self._send(WATCHDOG="1")

    def extend(self, seconds: int) -> bool:
        """A start or a stop that makes progress may go on for this long from now, whatever the unit allows."""
        return self._send(EXTEND_TIMEOUT_USEC=str(seconds * 1_000_000))

    def stopping(self, status: str = "") -> bool:
        """The daemon is on its way out."""
        return self._send(STOPPING="1", **_status(status))

    def _send(self, **fields: str) -> bool:
        if not self._address:
            return False
        message = "\n".join(f"{key}={value}" for key, value in fields.items()).encode()[:_DATAGRAM_BYTES]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.connect(self._address)
                sender.send(message)
        except OSError as error:
            if not self._said:
                log.warning("the service manager cannot be notified", extra={"error": str(error)})
            self._said = True
            return False
        return True


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Seconds between two notifications, half of what systemd allows; None when it wants none of this process."""
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (usec.isascii() and usec.isdigit() and int(usec) > 0):
        return None
    if pid and pid != str(os.getpid()):
        return None
    return int(usec) / 2_000_000


def _status(text: str) -> dict[str, str]:
    return {"STATUS": _line(text)} if text else {}


def _line(text: str) -> str:
    return " ".join(text.split())
