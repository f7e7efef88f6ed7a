"""Sinks by the key of the configuration's section `events` that switches them on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast
from urllib.parse import urlsplit

from adapters.extra import Extra
from adapters.sinks.contract import Opening, Sink


@dataclass(frozen=True)
class SinkKind:
    """One kind of sink.

    Attributes:
        maker: Module and function `made(settings, opening)`, as `pkgutil.resolve_name` takes them. It raises OSError
            where the sink cannot be opened.
        name: Under which name its position is kept, by its settings; another name is another sink.
        sample: What stands in `events:` to have one, as YAML.
        size: Bytes already there before the first record of them, None where there is no such thing.
        several: Whether the key has a list, each item of which is a sink.
        from_now: Whether a new one begins with what is recorded from then on; otherwise with all there is.
        extra: What it needs that a plain install leaves out.
    """

    maker: str
    name: Callable[[Any], str]
    sample: str
    size: Callable[[Any], int] | None = None
    several: bool = False
    from_now: bool = False
    extra: Extra | None = None

    def make(self, settings: Any, opening: Opening) -> Sink:
        """A sink, from the key's value or an item of it; raises OSError where it cannot be opened."""
        made: Any = resolve_name(self.maker)
        return cast("Sink", made(settings, opening))

    def chosen(self, value: Any) -> list[Any]:
        """The settings of each sink that the key's value switches on."""
        items = value if self.several else [value]
        return [item for item in items if item not in (None, False) and getattr(item, "url", "") is not None]


def _topic(settings: Any) -> str:
    """The name of one that publishes; another topic at one broker is another sink."""
    digest = hashlib.sha256(f"{settings.url} {settings.topic}".encode()).hexdigest()[:8]
    return f"mqtt:{urlsplit(settings.url).hostname}#{digest}"


def _service(settings: Any) -> str:
    """The name of one of Apprise's addresses, whose host, too, may be a secret."""
    url = settings.url.get_secret_value()
    return f"apprise:{url.partition(':')[0]}#{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def address(kind: str) -> Callable[[Any], str]:
    """Names that tell addresses apart without showing them: a path or a query may hold a secret."""

    def name(settings: Any) -> str:
        digest = hashlib.sha256(settings.url.encode()).hexdigest()[:8]
        return f"{kind}:{urlsplit(settings.url).hostname}#{digest}"

    return name


SINKS: Mapping[str, SinkKind] = {
    "file": SinkKind(
        maker="adapters.sinks.json_lines_file:made",
        name=lambda path: f"file:{path}",
        size=lambda path: Path(path).stat().st_size if Path(path).is_file() else 0,
        sample="file: events.jsonl",
    ),
    "stdout": SinkKind(
        maker="adapters.sinks.standard_output:made",
        name=lambda _: "stdout",
        sample="stdout: true",
    ),
    "webhook": SinkKind(
        maker="adapters.sinks.webhook:made",
        name=address("webhook"),
        sample='webhook: [{url: "http://127.0.0.1:8080/alarms", send: all}]',
        several=True,
        from_now=True,
    ),
    "alertmanager": SinkKind(
        maker="adapters.sinks.alertmanager:made",
        name=address("alertmanager"),
        sample='alertmanager: [{url: "http://127.0.0.1:9093", labels: [severity=warning]}]',
        several=True,
        from_now=True,
    ),
    "syslog": SinkKind(
        maker="adapters.sinks.syslog:made",
        name=address("syslog"),
        sample='syslog: [{url: "tcp://127.0.0.1:514", facility: local0}]',
        several=True,
        from_now=True,
    ),
    "mqtt": SinkKind(
        maker="adapters.sinks.mqtt_sink:made",
        name=_topic,
        sample='mqtt: [{url: "mqtt://127.0.0.1:1883", topic: "tidegauge/{stream}/{series}", send: all}]',
        several=True,
        from_now=True,
    ),
    "apprise": SinkKind(
        maker="adapters.sinks.apprise_sink:made",
        name=_service,
        sample='apprise: [{url: "json://127.0.0.1:8080/alarms", send: all}]',
        several=True,
        from_now=True,
        extra=Extra("apprise", "apprise", "apprise"),
    ),
}
