"""Ways to a syslog receiver: datagrams, and octet-counted frames over TCP or TLS."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

_READ_BYTES = 4096
_CLOSED = 7  # TCP_CLOSE of Linux' tcp_states.h: both sides have ended, and both ends were acknowledged, or reset
_LOOK_EVERY_S = 0.005


class Link(Protocol):
    """Takes messages to the receiver."""

    def send(self, messages: Sequence[bytes]) -> int:
        """Send messages in order; returns how many were too long to be sent at all.

        Raises:
            OSError: They may not have arrived; send them again.
        """


class DatagramLink:
    """RFC 5426: a datagram each. What gets lost on the way nobody knows; that nobody listens is known on this machine.

    Args:
        host, port: The receiver.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    def send(self, messages: Sequence[bytes]) -> int:
        """See `Link.send`."""
        too_long = 0
        family, kind, protocol, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as out:
            out.connect(address)  # so that a refusal comes back
            for message in messages:
                try:
                    out.send(message)
                except OSError as error:
                    if error.errno != errno.EMSGSIZE:
                        raise
                    too_long += 1
            out.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                out.recv(1)
        return too_long


class StreamLink:
    """RFC 6587 octet counting over TCP; RFC 5425 over TLS.

    Syslog has no answers, so a connection is made for each delivery, and ended on this side: messages count as
    delivered when the receiver has ended it too, which it does when it has read to the end, and has acknowledged all.
    One that dies with something unread resets the connection instead, and one that stalls ends nothing.

    Args:
        host, port: The receiver; a certificate must be for `host`.
        timeout_s: From the connection's beginning to its end.
        tls: None: in the clear.
    """

    def __init__(self, host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
        self._host, self._port, self._timeout_s, self._tls = host, port, timeout_s, tls

    def send(self, messages: Sequence[bytes]) -> int:
        """See `Link.send`."""
        if not messages:
            return 0
        until = time.monotonic() + self._timeout_s
        with self._connected(until) as peer:
            try:
                peer.sendall(b"".join(b"%d %s" % (len(message), message) for message in messages))
                self._end(peer, until)
            except TimeoutError:
                raise OSError(f"it did not read all of them within {self._timeout_s:g} s") from None
        return 0

    @contextlib.contextmanager
    def _connected(self, until: float) -> Iterator[socket.socket]:
        with socket.create_connection((self._host, self._port), timeout=_left(until)) as plain:
            plain.settimeout(_left(until))
            if self._tls is None:
                yield plain
                return
            with self._tls.wrap_socket(plain, server_hostname=self._host) as secured:
                secured.settimeout(_left(until))
                yield secured

    def _end(self, peer: socket.socket, until: float) -> None:
        """End this side, and wait for the end of the other, and for it to have all of ours.

        A receiver that closes before it has read everything ends, too; what it did not read comes back as a reset, but
        perhaps after the end.
        """
        peer.settimeout(_left(until))
        if isinstance(peer, ssl.SSLSocket):
            with contextlib.suppress(ssl.SSLEOFError):  # rsyslog ends without TLS' own end
                peer.unwrap()
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(_READ_BYTES):
            peer.settimeout(_left(until))
        while peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _CLOSED:
            time.sleep(min(_LOOK_EVERY_S, _left(until)))
        if number := peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, "it closed before it had read all of them")


def _left(until: float) -> float:
    """Seconds until then; raises TimeoutError when there are none."""
    if (left := until - time.monotonic()) <= 0:
        raise TimeoutError
    return left
