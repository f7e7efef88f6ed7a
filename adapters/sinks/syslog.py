"""Events as syslog messages (RFC 5424), over UDP, TCP or TLS."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from adapters.client_tls import client_context
from adapters.sinks.contract import Opening
from adapters.sinks.gist import figures, instant, summary
from adapters.sinks.syslog_link import DatagramLink, Link, StreamLink
from adapters.text import printable

FACILITIES: Mapping[str, int] = {"user": 1, "daemon": 3, **{f"local{n}": 16 + n for n in range(8)}}
"""Those that a daemon may use, by name."""

PORTS: Mapping[str, int] = {"udp": 514, "tcp": 514, "tls": 6514}
"""Where receivers listen by default, by the scheme of an address."""

_CRITICAL, _WARNING, _NOTICE, _INFORMATIONAL = 2, 4, 5, 6
_ELEMENT = "tidegauge@32473"  # the number that is reserved for whoever has none of his own (RFC 5612)


class Syslog:
    """Sends each revision of an event as a message.

    A message's structured data (`tidegauge@32473`) have `id`, `revision`, `state`, `stream`, `series`, `reasons`,
    `severity`, the instants and the figures; its text is a sentence for people. Of syslog's own severities it has
    `critical` for what should wake somebody and is critical, `warning` for anything else that should, `notice` for any
    other revision and `informational` for the end of an episode.

    Args:
        link: To the receiver.
        facility: A name of `FACILITIES`.
        host: Which host the messages are of.
        clock: Epoch seconds.
    """

    def __init__(self, link: Link, facility: str, host: str, clock: Callable[[], float] = time.time) -> None:
        self._link, self._facility, self._clock = link, FACILITIES[facility], clock
        self._host = host if re.fullmatch(r"[!-~]{1,255}", host) else "-"
        self._too_long = 0

    def deliver(self, lines: list[bytes]) -> None:
        """See `Sink.deliver`."""
        self._too_long += self._link.send([self._message(orjson.loads(line)) for line in lines])

    def _message(self, event: Mapping[str, Any]) -> bytes:
        priority = 8 * self._facility + severity_of(event)
        head = f"<{priority}>1 {instant(self._clock())} {self._host} tidegauge {os.getpid()} {event['state']}"
        return f"{head} {_element(event)} {_text(event)}".encode(errors="replace")

    def status(self) -> Mapping[str, float]:
        """Events refused: those that no datagram can hold."""
        return {"refused": self._too_long}

    def close(self) -> None:
        """Nothing to release."""


def severity_of(event: Mapping[str, Any]) -> int:
    """How severe a revision is, by syslog's numbers."""
    if event["state"] == "closed":
        return _INFORMATIONAL
    if not event["notify"]:
        return _NOTICE
    return _CRITICAL if event["severity"] == "critical" else _WARNING


def _element(event: Mapping[str, Any]) -> str:
    """The structured data."""
    said = {"id": event["id"], "revision": str(event["revision"]), "state": event["state"], "stream": event["stream"]}
    if event["series"] is not None:
        said["series"] = event["series"]
    said |= {"reasons": ",".join(event["reasons"]), "severity": event["severity"]}
    said |= {key: instant(event[key]) for key in ("at", "started_at", "ended_at")}
    said |= figures(event)
    pairs = [f'{name}="{_escaped(value)}"' for name, value in said.items()]
    return f"[{_ELEMENT} {' '.join(pairs)}]"


def _escaped(value: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", printable(value))


def _text(event: Mapping[str, Any]) -> str:
    """A sentence for people, on one line."""
    figured = ", ".join(f"{name} {value}" for name, value in figures(event).items())
    return printable(f"{summary(event, event['state'])}: {', '.join(event['reasons'])}; {figured}".rstrip("; "))


def made(settings: Any, opening: Opening) -> Syslog:
    """As an entry of `events.syslog` has it."""
    parts = urlsplit(settings.url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    if parts.scheme == "udp":
        return Syslog(DatagramLink(host, port), settings.facility, socket.gethostname())
    tls = None
    if parts.scheme == "tls":
        tls = client_context(settings.ca, settings.certificate, settings.key)
    return Syslog(StreamLink(host, port, settings.timeout, tls), settings.facility, socket.gethostname())
