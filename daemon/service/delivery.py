"""Handing recorded events to the sinks: at least once each, in the order of the store's table."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import BinaryIO

import orjson

from adapters.sinks.outputs import JsonLinesFile, Sink, StandardOutput
from daemon.config.settings import EventSettings
from daemon.store import Store

log = logging.getLogger(__name__)

AT_ONCE = 1000  # events handed on in one delivery


class Delivery:
    """All sinks of a configuration.

    A sink that fails keeps its place in the table and is tried again at the next call; the others go on.

    Args:
        settings: Which sinks there are.
        store: Holds the events and how far each sink is.
        stdout: Where events for standard output go.
    """

    def __init__(self, settings: EventSettings, store: Store, stdout: BinaryIO) -> None:
        self._store = store
        self._sinks: dict[str, Sink] = {}
        if settings.file is not None:
            self._sinks[f"file:{settings.file}"] = self._open_file(settings.file)
        if settings.stdout:
            self._sinks["stdout"] = StandardOutput(stdout)
        self._rows = {name: store.sink_position(name)[0] for name in self._sinks}
        self.failures = dict.fromkeys(self._sinks, 0)

    def _open_file(self, path: Path) -> JsonLinesFile:
        """The file sink, cut to the length up to which it was committed."""
        size = path.stat().st_size if path.is_file() else 0
        _, committed = self._store.sink_position(f"file:{path}", default_bytes=size)
        return JsonLinesFile(path, committed)

    def deliver(self) -> int:
        """Hand on all events not delivered yet; returns how many deliveries failed."""
        failed = 0
        for name, sink in self._sinks.items():
            try:
                self._deliver(name, sink)
            except OSError as error:
                failed += 1
                if not self.failures[name]:
                    log.error("sink failed, its events wait in the store", extra={"sink": name, "error": str(error)})
                self.failures[name] += 1
            else:
                self.failures[name] = 0
        return failed

    def _deliver(self, name: str, sink: Sink) -> None:
        while True:
            rows = self._store.events(latest_only=False, after_row=self._rows[name], limit=AT_ONCE)
            if not rows:
                return
            committed = sink.deliver([orjson.dumps(event.to_json()) for _, event in rows])
            self._store.set_sink_position(name, rows[-1][0], committed or 0)
            self._rows[name] = rows[-1][0]

    def close(self) -> None:
        """Close every sink."""
        for sink in self._sinks.values():
            sink.close()
