"""Sinks by the key of the configuration's section `events` that switches them on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast
from urllib.parse import urlsplit

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
    """

    maker: str
    name: Callable[[Any], str]
    sample: str
    size: Callable[[Any], int] | None = None
    several: bool = False
    from_now: bool = False

    def make(self, settings: Any, opening: Opening) -> Sink:
        """A sink, from the key's value or an item of it; raises OSError where it cannot be opened."""
        made: Any = resolve_name(self.maker)
        return cast("Sink", made(settings, opening))

    def chosen(self, value: Any) -> list[Any]:
        """The settings of each sink that the key's value switches on."""
        items = value if self.several else [value]
        return [item for item in items if item not in (None, False) and getattr(item, "url", "") is not None]


def _address(kind: str) -> Callable[[Any], str]:
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
        name=_address("webhook"),
        sample='webhook: [{url: "http://127.0.0.1:8080/alarms", send: all}]',
        several=True,
        from_now=True,
    ),
    "alertmanager": SinkKind(
        maker="adapters.sinks.alertmanager:made",
        name=_address("alertmanager"),
        sample='alertmanager: [{url: "http://127.0.0.1:9093", labels: [severity=warning]}]',
        several=True,
        from_now=True,
    ),
}
