"""The sources of one stream as batches: poll, parse, merge a backlog by event time, remember where to resume."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.base import Format, Live, Position, Source
from adapters.merge import EventTimeMerge
from daemon.config.settings import Limits, StreamSettings
from daemon.engine.inputs import Batch
from daemon.runtime.adapting import make_format, make_source, to_batch

log = logging.getLogger(__name__)

POLL_BYTES = 1 << 20  # read from one source at a time
Positions = Mapping[str, Mapping[str, Position]]
"""Source name -> place -> position."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch, and what is said about its sources once it is durable.

    Attributes:
        batch: The engine's input.
        positions: Where sources resume; kept with the batch.
        counts: How far live sources got; told to them by `Intake.committed`.
    """

    batch: Batch
    positions: Positions
    counts: Positions


class Intake:
    """Reads the sources of one stream.

    Args:
        stream: Name of the stream.
        sources: Not yet open; the name of each begins every place it gives, before a colon.
        fmt: Parser of their lines.
    """

    def __init__(self, stream: str, sources: list[Source], fmt: Format) -> None:
        self.stream, self.sources = stream, sources
        self._format = fmt
        self._merge = EventTimeMerge()
        self._headers: dict[str, str | None] = {}
        self._leaving: set[tuple[str, str]] = set()
        self._live: dict[str, Live] = {source.name: source for source in sources if isinstance(source, Live)}

    @classmethod
    def of(cls, stream: str, settings: StreamSettings, limits: Limits) -> Intake:
        """The intake of a configured stream; its sources are named `stream/0`, `stream/1`, ..."""
        sources = [make_source(f"{stream}/{i}", each, limits) for i, each in enumerate(settings.sources)]
        return cls(stream, sources, make_format(settings, limits))

    def open(self, positions: Positions) -> None:
        """Open every source at the positions that are durable.

        Raises:
            OSError: A source cannot be opened.
        """
        for source in self.sources:
            source.open(positions.get(source.name, {}))
            if isinstance(source, Live):
                log.info("source listens", extra={"source": source.name, "address": source.address})

    def take(self, now_ms: int) -> Taken | None:
        """The next batch, or None when nothing is new. Never blocks, and reads no more than one chunk of each place."""
        backlog: set[str] = set()
        for source in self.sources:
            for chunk in source.poll(POLL_BYTES, self._merge.held()):
                header = self._headers.get(chunk.place, chunk.header)
                readings, header = self._format.parse(chunk.data, chunk.label, header)
                self._headers[chunk.place] = header
                self._merge.add(chunk, readings, header)
            backlog |= source.backlog()
        merged = self._merge.release(backlog)
        if merged is None:
            return None
        positions: dict[str, dict[str, Position]] = {}
        for place, position in merged.positions.items():
            positions.setdefault(place.split(":", 1)[0], {})[place] = position
        counts = {name: positions.pop(name) for name in self._live if name in positions}
        return Taken(to_batch(self.stream, merged, merged.rejected, now_ms), positions, counts)

    def committed(self, taken: Taken) -> None:
        """What was taken is durable."""
        for name, places in taken.counts.items():
            self._live[name].committed(places)

    def reload(self) -> None:
        """Have live sources read their certificates again.

        Raises:
            OSError: Those of one cannot be read; it goes on with what it had, the others were read.
        """
        failed: OSError | None = None
        for source in self._live.values():
            try:
                source.reload()
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    def forgotten(self) -> list[tuple[str, str]]:
        """`(source, place)` of places whose positions need not be kept: nothing is held of them, nothing will come."""
        for source in self.sources:
            self._leaving.update((source.name, place) for place in source.forgotten())
        gone = sorted(item for item in self._leaving if item[1] not in self._merge.held())
        for _, place in gone:
            self._headers.pop(place, None)
        self._merge.forget([place for _, place in gone])
        self._leaving.difference_update(gone)
        return gone

    def done(self) -> bool:
        """True when there are sources, and none of them can give anything more."""
        return bool(self.sources) and all(source.done() for source in self.sources) and not self._merge.held()

    def status(self) -> dict[str, dict[str, float]]:
        """Gauges of each source."""
        return {source.name: source.status() for source in self.sources}

    def close(self) -> None:
        """Close every source."""
        for source in self.sources:
            source.close()
