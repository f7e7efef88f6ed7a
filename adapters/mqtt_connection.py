"""One connection to an MQTT broker, from its making to its loss, driven by the thread that owns it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from adapters.client_tls import client_context

PORTS = {"mqtt": 1883, "mqtts": 8883}
"""Schemes of addresses, each with its usual port; `mqtts` is TLS."""
PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}
CONNECT_S = 10.0
"""How long a connection may take to be made, and its broker to answer."""
_KEEPALIVE_S = 30
_UNKNOWN = "Unspecified error"
"""What paho says of a connection that was closed without a word."""
_FOR_EVER = 0xFFFF_FFFF
LONGEST_BYTES = 268_435_455
"""Of any packet of MQTT."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where an MQTT broker is, and who connects.

    Attributes:
        url: `mqtt://host:port` or `mqtts://host:port`.
        user, password: None where it asks for none.
        ca: File with authorities (PEM) of its certificate; None: those of the system.
        certificate, key: Files (PEM) with the client's own; None: it shows none.
        protocol: Of `PROTOCOLS`.
    """

    url: str
    user: str | None = None
    password: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    protocol: str = "5"

    @classmethod
    def of(cls, settings: Any, certificate: str | None, key: str | None) -> Broker:
        """As an entry of the configuration has it; where that names a certificate differs from entry to entry."""
        password = settings.password.get_secret_value() if settings.password else None
        return cls(settings.url, settings.user, password, settings.ca, certificate, key, settings.protocol)

    def context(self) -> ssl.SSLContext | None:
        """What `mqtts` checks and shows; raises OSError where a file cannot be used."""
        if urlsplit(self.url).scheme != "mqtts":
            return None
        return client_context(self.ca, self.certificate, self.key)


class _Client(Client):
    """Paho's, which would leave a socket open whose handshake failed."""

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        assert self._ssl_context is not None
        made = self._ssl_context.wrap_socket(tcp_sock, server_hostname=self._host, do_handshake_on_connect=False)
        try:
            made.settimeout(self.connect_timeout)
            made.do_handshake()
        except BaseException:
            made.close()
            raise
        return made


class MqttConnection:
    """A connection that is made once; when it is lost, so is this.

    All but `wake` belongs to the thread that owns it. `client` is paho's, for callbacks, subscriptions and messages.

    Args:
        broker: Its other side.
        client: Client identifier; "" lets the broker choose one.
        session: Whether the broker keeps the session, so that it goes on the next time.
        receive_maximum: Messages that the broker may have sent and not yet heard of (5 only).
        packet_bytes: Longest packet that the broker may send (5 only).
        answer_s: How long it may take to be connected, and then to be let in.
    """

    def __init__(
        self,
        broker: Broker,
        client: str = "",
        *,
        session: bool = False,
        receive_maximum: int = 65535,
        packet_bytes: int = LONGEST_BYTES,
        answer_s: float = CONNECT_S,
    ) -> None:
        self._broker, self._context = broker, broker.context()
        self._five, self._kept, self._answer_s = broker.protocol == "5", session, answer_s
        self._receive_maximum, self._packet_bytes = receive_maximum, packet_bytes
        self.session_present = False
        self.properties: Any = None
        self.client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=client,
            clean_session=None if self._five else not self._kept,
            protocol=PROTOCOLS[broker.protocol],
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self.client.connect_timeout = answer_s
        if self._context is not None:
            self.client.tls_set_context(self._context)
        if broker.user is not None:
            self.client.username_pw_set(broker.user, broker.password)
        self._answer = self._lost = ""
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self._lock = threading.Lock()
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.session_present, self.properties = bool(flags.session_present), properties
        self._answer = f"refused: {reason}" if reason.is_failure else "taken"

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._lost = self._lost or ("" if str(reason) == _UNKNOWN else str(reason))

    def open(self, ending: Callable[[], bool] = lambda: False) -> None:
        """Connect, and wait for the broker's answer.

        Args:
            ending: Whether it is not wanted any more.

        Raises:
            OSError: It cannot be had, or the broker refused it.
        """
        parts = urlsplit(self._broker.url)
        assert parts.hostname is not None
        port = parts.port or PORTS[parts.scheme]
        if self._five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = _FOR_EVER if self._kept else 0
            properties.ReceiveMaximum = self._receive_maximum
            properties.MaximumPacketSize = min(self._packet_bytes, LONGEST_BYTES)
            self.client.connect(parts.hostname, port, _KEEPALIVE_S, clean_start=not self._kept, properties=properties)
        else:
            self.client.connect(parts.hostname, port, _KEEPALIVE_S)
        until = time.monotonic() + self._answer_s
        while not self._answer and not ending():
            if time.monotonic() > until:
                raise OSError(f"{self._broker.url} does not answer")
            self.serve(min(0.5, self._answer_s))
        if self._answer not in ("", "taken"):
            raise OSError(f"{self._broker.url} {self._answer}")

    def serve(self, timeout_s: float, read: bool = True) -> None:
        """Send what is to be sent, and take one packet if one comes in time, or return when woken.

        Args:
            timeout_s: How long to wait.
            read: Whether to read; an unread connection holds its broker back.

        Raises:
            OSError: The connection is lost.
        """
        sock: Any = self.client.socket()
        if sock is None:
            raise self._loss()
        waiting = read and isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        poller = select.poll()
        poller.register(self._alarm, select.POLLIN)
        wanted = select.POLLIN * read | select.POLLOUT * self.client.want_write()
        poller.register(sock, wanted)
        found = dict(poller.poll(0 if waiting else timeout_s * 1000))
        if self._alarm in found:
            os.eventfd_read(self._alarm)
        events = found.get(sock.fileno(), 0)
        if waiting or (read and events & (select.POLLIN | select.POLLHUP | select.POLLERR)):
            self._check(self.client.loop_read())
        self.flush()
        self._check(self.client.loop_misc())

    def flush(self) -> None:
        """Send what the connection takes; raises OSError where it is lost."""
        if self.client.want_write():
            self._check(self.client.loop_write())

    def _check(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self.client.socket() is None:
            raise self._loss()

    def _loss(self) -> OSError:
        if self._answer not in ("", "taken"):
            return OSError(f"{self._broker.url} {self._answer}")
        said = self._lost or "closed; if that goes on, another may use its client identifier"
        return OSError(f"the connection to {self._broker.url} is lost: {said}")

    def wake(self) -> None:
        """Have `serve` return, from any thread."""
        with self._lock:
            if self._alarm >= 0:
                os.eventfd_write(self._alarm, 1)

    def close(self) -> None:
        """Say goodbye where that can be done at once, and let go."""
        if self.client.socket() is not None:
            self.client.disconnect()
            with contextlib.suppress(OSError):
                self.flush()
        self.client._reset_sockets()  # paho has no other way to let go of a connection that is not lost
        with self._lock:
            os.close(self._alarm)
            self._alarm = -1
