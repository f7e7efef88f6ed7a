"""The sources of one stream as batches: poll, parse, merge a backlog by event time, remember where to resume."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from adapters.base import Chunk, DocumentFormat, Format, Live, Position, Readings, Source
from adapters.merge import EventTimeMerge
from adapters.uploads.inbox import Inboxes
from daemon.config.format_settings import FormatSettings
from daemon.config.settings import Limits, StreamSettings
from daemon.config.shard_settings import ShardSettings
from daemon.config.source_settings import SourceSettings
from daemon.engine.messages.inputs import Batch, Delivered, Input
from daemon.intake.arrival_pattern import ArrivalPattern
from daemon.intake.construction import make_own_format, make_reader, make_source, to_batch
from daemon.intake.deliveries import Deliveries
from daemon.intake.health import Health
from daemon.intake.messages import read_messages
from daemon.intake.quotas import Quotas
from daemon.intake.refusals import Refusals, log_refusal
from daemon.intake.shards import Shard
from daemon.runtime.logs import RateLimited

log = logging.getLogger(__name__)

Reader = Format | DocumentFormat
POLL_BYTES = 1 << 20  # read from one source at a time
Remake = Callable[[str], Source]
Resume = Callable[[str], Mapping[str, Position]]
Positions = Mapping[str, Mapping[str, Position]]
"""Source name -> place -> position."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch, and what is said about its sources once it is durable.

    Attributes:
        batch: The engine's input.
        positions: Where sources resume; kept with the batch.
        counts: How far live sources got; told to them by `Intake.committed`.
        after_end: Whether the delivery before it ended, because this is of another file.
        ends: Whether its delivery ends with it.
    """

    batch: Batch
    positions: Positions
    counts: Positions
    after_end: bool = False
    ends: bool = False

    @property
    def inputs(self) -> list[Input]:
        """What the engine is given."""
        end = Delivered(self.batch.stream, self.batch.received_at_ms)
        return [*[end] * self.after_end, self.batch, *[end] * self.ends]


class Intake:
    """Reads the sources of one stream.

    Args:
        stream: Name of the stream.
        sources: Not yet open; the name of each begins every place it gives, before a colon.
        fmt: Parser of their lines, or reader of their documents.
        choices: What the configuration says of the format.
        own: Parsers of those that make lines of their own, by name.
        monotonic: Clock for quiet, and of the pauses before a source that failed is tried again.
        shard: Which series are taken in; readings of the others are passed over.
    """

    def __init__(
        self,
        stream: str,
        sources: list[Source],
        fmt: Reader,
        choices: FormatSettings,
        own: Mapping[str, Format | None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        shard: ShardSettings | None = None,
    ) -> None:
        self.stream, self.sources = stream, sources
        self._format, self._choices, self._own = fmt, choices, dict(own or {})
        self.refusals = Refusals(choices, log_refusal)
        self.quotas = Quotas(RateLimited(log).warning)
        self._shard = Shard(shard or ShardSettings())
        self._merge = EventTimeMerge()
        self._monotonic = monotonic
        self._deliveries: Deliveries | None = None
        self._pattern: ArrivalPattern | None = None
        self._headers: dict[str, str | None] = {}
        self._leaving: set[tuple[str, str]] = set()
        self._health: dict[str, Health] = {}
        self._remake: Remake | None = None
        self._resume: Resume = lambda name: {}

    @classmethod
    def of(
        cls,
        stream: str,
        settings: StreamSettings,
        limits: Limits,
        inboxes: Inboxes,
        shard: ShardSettings | None = None,
    ) -> Intake:
        """The intake of a configured stream."""
        entries, reader = named(stream, settings.sources), make_reader(settings, limits)
        sources = [make_source(name, each, limits, inboxes, reader, settings.format.encoding) for name, each in entries]
        own = {name: make_own_format(each, limits) for name, each in entries}
        made = cls(stream, sources, reader, settings.format, own, shard=shard)
        made.configure(settings)
        return made

    def configure(self, settings: StreamSettings) -> None:
        """Take over how readings arrive, and how many series each source may bring in."""
        shares = {name: settings.series_share(source) for name, source in named(self.stream, settings.sources)}
        self.quotas.limits = {name: share for name, share in shares.items() if share < settings.max_series}
        self._pattern = None
        if settings.arrival == "live":
            self._deliveries = None
            self._pattern = ArrivalPattern(settings.interval, settings.lateness + settings.gap_after)
        elif self._deliveries is None:
            self._deliveries = Deliveries(settings.settle, self._monotonic)
        else:
            self._deliveries.settle_s = settings.settle

    def resume(self, positions: Positions) -> None:
        """The engine holds readings of a delivery that had not ended when these positions became durable."""
        if self._deliveries is not None:
            self._deliveries.resume(list(places)[-1] for places in positions.values() if places)

    def supervise(self, remake: Remake, resume: Resume) -> None:
        """From now on a source that fails goes down by itself, and is made anew after growing pauses.

        Args:
            remake: Makes a source of a name, not yet open.
            resume: Its positions that are durable.
        """
        self._remake, self._resume = remake, resume

    def open(self, positions: Positions) -> None:
        """Open every source at the positions that are durable.

        Raises:
            OSError: A source cannot be opened, and nothing supervises it.
        """
        for source in self.sources:
            with self._bounded(source):
                _open(source, positions.get(source.name, {}))

    def add(
        self, source: Source, positions: Mapping[str, Position], own: Format | None = None, *, again: bool = False
    ) -> None:
        """Open one more source, at its positions that are durable; `own` parses lines that it makes itself.

        Args:
            source: The source.
            positions: Its positions.
            again: Whether it was one of these before: then it may be down.

        Raises:
            OSError: It cannot be opened; the others are as they were.
        """
        self._own[source.name] = own
        if again:
            self.sources.append(source)
            with self._bounded(source):
                _open(source, positions)
            return
        try:
            _open(source, positions)
        except BaseException:
            source.close()
            raise
        self.sources.append(source)

    def leave(self, names: Collection[str]) -> None:
        """Close some sources; what they had read ahead is let go, to be read again from their durable positions."""
        for source in [source for source in self.sources if source.name in names]:
            self._drop(source)
            self.sources.remove(source)
            self._health.pop(source.name, None)

    def poll(self, now_ms: int) -> Taken | None:
        """The next batch, or None when nothing is new. Never blocks, and reads no more than one chunk of each place."""
        backlog: set[str] = set()
        self._try_again()
        for source in self._up():
            with self._bounded(source):
                backlog |= self._read(source)
        after_end = ends = False
        if self._deliveries is None:
            merged = self._merge.release(backlog)
        else:
            waiting = self._merge.waiting()
            places = self._deliveries.next(waiting, backlog, self._live())
            merged = self._merge.merged(places) if places else None
            after_end, ends = self._deliveries.took(waiting, places, self._live())
        if merged is None:
            return None
        positions: dict[str, dict[str, Position]] = {}
        for place, position in merged.positions.items():
            positions.setdefault(place.split(":", 1)[0], {})[place] = position
        live = self._live()
        counts = {name: places for name, places in positions.items() if name in live}
        positions = {name: places for name, places in positions.items() if name not in live or live[name].resumes}
        batch = to_batch(self.stream, merged, merged.rejected, now_ms, self.quotas.owners(merged.series))
        self._look_at_arrival(batch)
        return Taken(batch, positions, counts, after_end, ends)

    def _look_at_arrival(self, batch: Batch) -> None:
        """Say once when readings come in deliveries, and the stream is not told so."""
        found = None if self._pattern is None else self._pattern.arrived(batch.at_ms, self._monotonic())
        if found is not None:
            self._pattern = None
            log.warning(
                "readings come in deliveries; set arrival: batch, or series are taken for silent that are not",
                extra={"stream": self.stream, "rows": found},
            )

    def quiet(self) -> bool:
        """Whether a delivery has ended because nothing came for long enough, or nothing more can come; told once."""
        if self._deliveries is None or self._merge.held():
            return False
        return self._deliveries.quiet({place for source in self._up() for place in source.backlog()}, self._all_done())

    def _read(self, source: Source) -> frozenset[str]:
        """Have what a source gives merged; the places of which more is to come."""
        fmt = self._own.get(source.name) or self._format
        for chunk in source.poll(POLL_BYTES, self._merge.held()):
            header = self._headers.get(chunk.place, chunk.header)
            readings, header = self._parsed(fmt, chunk, header)
            self._headers[chunk.place] = header
            had = len(readings) > 0
            readings = self._shard.own(readings, source.name)
            readings = self.quotas.admit(source.name, readings, bool(self._merge.held()))
            self.refusals.note(source.name, chunk, readings, header, had_readings=had)
            if isinstance(source, Live):
                source.parsed(chunk.place, len(readings), Counter(readings.rejected()) + Counter(chunk.discarded))
            self._merge.add(chunk, readings, header)
        return source.backlog()

    def _parsed(self, fmt: Reader, chunk: Chunk, header: str | None) -> tuple[Readings, str | None]:
        """What a chunk holds, and the header in force after it."""
        if chunk.parsed is not None:
            return chunk.parsed, None
        assert not isinstance(fmt, DocumentFormat), "the configuration refuses it"
        if chunk.spans:
            headed = fmt is self._format and self._choices.headed
            return read_messages(fmt, chunk, partial(self._choices.series_of, chunk.path), headed=headed), None
        return fmt.parse(chunk.data, self._choices.series_of(chunk.path, chunk.series), header)

    def committed(self, taken: Taken) -> None:
        """What was taken is durable."""
        live = self._live()
        for name, places in taken.counts.items():
            if name in live:
                with self._bounded(live[name]):
                    live[name].committed(places)

    def reload(self, names: Collection[str]) -> None:
        """Have those of these sources that are live read their certificates again.

        Raises:
            OSError: Those of one cannot be read; it goes on with what it had, the others were read.
        """
        failed: OSError | None = None
        for name, source in self._live().items():
            try:
                if name in names:
                    source.reload()
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    def forgotten(self) -> list[tuple[str, str]]:
        """`(source, place)` of places whose positions need not be kept: nothing is held of them, nothing will come."""
        for source in self._up():
            with self._bounded(source):
                self._leaving.update((source.name, place) for place in source.forgotten())
        if not self._leaving:
            return []
        held = self._merge.held()
        gone = sorted(item for item in self._leaving if item[1] not in held)
        for _, place in gone:
            self._headers.pop(place, None)
        self._merge.forget([place for _, place in gone])
        self._leaving.difference_update(gone)
        return gone

    def done(self) -> bool:
        """True when there are sources, none of them can give anything more, and no delivery has to end yet."""
        if self._merge.held() or (self._deliveries is not None and self._deliveries.under_way):
            return False
        return self._all_done()

    def status(self) -> dict[str, dict[str, float]]:
        """Gauges of each source."""
        found = {}
        for source in self.sources:
            gauges = None
            if not self._of(source).error:
                with self._bounded(source):
                    gauges = source.status()
            counts = self.refusals.counts.get(source.name)
            refused = {"rejected_lines": float(counts.total() if counts else 0)}
            own, shared = self._of(source).status(gauges), self._shard.status(source.name)
            found[source.name] = {**own, **refused, **shared, **self.quotas.status(source.name)}
        return found

    def down(self) -> dict[str, str]:
        """Why each source that is down is."""
        return {name: each.error for name, each in self._health.items() if each.error}

    def close(self) -> None:
        """Close every source."""
        for source in self._up():
            with self._bounded(source):
                source.close()

    def _live(self) -> dict[str, Live]:
        return {source.name: source for source in self._up() if isinstance(source, Live)}

    def _all_done(self) -> bool:
        up = self._up()
        return bool(up) and len(up) == len(self.sources) and all(source.done() for source in up)

    # -- the boundary of a source ------------------------------------------------------------------------------------

    def _of(self, source: Source) -> Health:
        return self._health.setdefault(source.name, Health())

    def _up(self) -> list[Source]:
        return [source for source in self.sources if not self._of(source).error]

    @contextmanager
    def _bounded(self, source: Source) -> Iterator[None]:
        """Whatever fails in here brings down this source alone."""
        try:
            yield
        except Exception as error:
            if self._remake is None:
                raise
            self._drop(source)
            pause_s = self._of(source).fail(error, self._monotonic())
            log.error(
                "source is down",
                extra={
                    "source": source.name,
                    "error": self._of(source).error,
                    "kind": type(error).__name__,
                    "again_in_s": pause_s,
                },
            )

    def _drop(self, source: Source) -> None:
        """Close a source and let go of what it had read ahead."""
        try:
            source.close()
        except Exception as error:
            if self._remake is None:
                raise
            log.error("source cannot be closed", extra={"source": source.name, "error": str(error)})
        self._merge.drop(source.name)
        self._headers = {k: v for k, v in self._headers.items() if not k.startswith(f"{source.name}:")}
        self._leaving = {item for item in self._leaving if item[0] != source.name}

    def _try_again(self) -> None:
        """Make those anew that are down and due, where their positions are durable."""
        now = self._monotonic()
        for i, source in enumerate(self.sources):
            if self._remake is None or not self._of(source).is_due(now):
                continue
            self.sources[i] = made = self._remake(source.name)
            with self._bounded(made):
                _open(made, self._resume(made.name))
                self._of(made).recover()
                log.info("source is up again", extra={"source": made.name})


def named(stream: str, sources: Sequence[SourceSettings]) -> list[tuple[str, SourceSettings]]:
    """A stream's sources with their names, `stream/0`, `stream/1`, ...; positions are kept under these."""
    return [(f"{stream}/{i}", each) for i, each in enumerate(sources)]


def _open(source: Source, positions: Mapping[str, Position]) -> None:
    source.open(positions)
    if isinstance(source, Live):
        log.info("source listens", extra={"source": source.name, "address": source.address})
