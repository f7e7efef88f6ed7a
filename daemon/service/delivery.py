"""Handing recorded events to the sinks: at least once each, in the order of the store's table.

Each sink has a thread and a reader of its own, so one that hangs holds up neither readings nor the other sinks. How far
each has come is written by the pipeline's thread, the store's only writer; what was delivered after the last time that
was done is delivered again after a crash.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from adapters.sinks import SINKS, Keeping, Opening, PartlyError, Repeating, Sink, SinkKind
from daemon.config.sink_settings import FILE_KEYS, EventSettings
from daemon.service.outbox import Outbox, key_of
from daemon.store import Store, StoreError, StoreView, open_reader

log = logging.getLogger(__name__)

SEVERAL_AT_ONCE = 100  # events handed on in one delivery to another server
RETRY_S, RETRY_MOST_S = 0.5, 30.0  # pause after a failure, doubled up to the second
LEAVE_S = 5.0  # how long an end waits for sinks that do not return


class Courier:
    """One sink, fed by a thread of its own.

    Args:
        name: Under which its position is kept.
        sink: Closed by the thread when it ends.
        directory: The state directory, whose event table it reads.
        delivered: Last row delivered before, and the committed length after it.
        outbox: What it wants of the events; all by default.
        settings: What the configuration says of it.

    Attributes:
        delivered: Last row delivered and the committed length after it; replaced as a whole.
        failures: Deliveries that failed in a row.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        directory: Path,
        delivered: tuple[int, int],
        outbox: Outbox | None = None,
        settings: object = None,
    ) -> None:
        self.name, self._sink, self._directory, self.settings = name, sink, directory, settings
        self._outbox = outbox or Outbox()
        self.delivered = delivered
        self.failures = self._failed = self._events = self._left_out = 0
        self._told_at = float("-inf")
        self._damaged: set[str] = set()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink {name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def status(self, last_row: int) -> dict[str, float]:
        """Gauges and counts since the start: `up`, `waiting`, `delivered`, `failures`, `left_out_<reason>`.

        Args:
            last_row: Newest row of the event table.
        """
        left_out = {"outbox_full": float(self._left_out), **self._sink.status()}
        return {
            "up": float(not self.failures),
            "waiting": float(max(0, last_row - self.delivered[0])),
            "delivered": float(self._events),
            "failures": float(self._failed),
            **{f"left_out_{reason}": count for reason, count in left_out.items()},
        }

    def wake(self) -> None:
        """There may be events to deliver; a pause after a failure is kept all the same."""
        self._wake.set()

    def stop(self) -> None:
        """End once all recorded events are delivered, or a delivery fails; returns at once."""
        self._stopping.set()
        self._wake.set()

    def ended(self, patience_s: float) -> bool:
        """Whether the thread has ended, waiting at most so long."""
        if self._thread.ident is None:
            self._sink.close()
            return True
        self._thread.join(max(0.0, patience_s))
        return not self._thread.is_alive()

    def _run(self) -> None:
        reader: StoreView | None = None  # a connection belongs to the thread that opens it
        while True:
            self._wake.clear()  # before the look: what is recorded after it wakes once more
            stopping = self._stopping.is_set()
            reader = self.attempt(reader)
            if stopping:
                break
            if self.failures:
                self._stopping.wait(min(RETRY_MOST_S, RETRY_S * 2.0 ** min(self.failures - 1, 10)))
            else:
                self._wake.wait(self._sink.every_s if isinstance(self._sink, Repeating) else None)
        self._sink.close()
        if reader is not None:
            reader.close()

    def attempt(self, reader: StoreView | None) -> StoreView | None:
        """Deliver what waits, as far as the sink takes it; the reader, opened where there was none."""
        try:
            reader = reader or open_reader(self._directory)
            self._deliver_all(reader)
            self._repeat(reader)
        except Exception as error:  # whatever it is stays in this sink
            self._note_failure(error)
        else:
            if self.failures:
                log.info("sink works again", extra={"sink": self.name, "failures": self.failures})
            self.failures = 0
        return reader

    def _deliver_all(self, reader: StoreView) -> None:
        if left_out := self._outbox.left_out(reader, self.delivered[0]):
            self._left_out += left_out
            self.delivered = (self.delivered[0] + left_out, self.delivered[1])
            log.error("sink was away too long, events are left out", extra={"sink": self.name, "events": left_out})
        while waiting := self._outbox.next(reader, self.delivered[0]):
            committed = self.delivered[1]
            if waiting.lines:
                try:
                    committed = self._sink.deliver(waiting.lines) or 0
                except PartlyError as error:
                    if error.done:
                        self._events += error.done
                        self.delivered = (waiting.rows[error.done - 1], committed)
                    raise
                self._events += len(waiting.lines)
            self.delivered = (waiting.through, committed)
        if damaged := reader.left_out - self._damaged:
            self._damaged |= damaged
            log.error("damaged events are not delivered", extra={"sink": self.name, "rows": sorted(damaged)})

    def _repeat(self, reader: StoreView) -> None:
        """Tell a sink that forgets what is open, when it is time."""
        if isinstance(self._sink, Repeating) and time.monotonic() - self._told_at >= self._sink.every_s:
            self._sink.repeat(self._outbox.open(reader))
            self._told_at = time.monotonic()

    def _note_failure(self, error: Exception) -> None:
        if not self.failures:
            facts = {"sink": self.name, "error": str(error) or type(error).__name__}
            log.error("sink failed, its events wait in the store", extra=facts)
        self.failures += 1
        self._failed += 1


def _there(sink: Sink) -> frozenset[tuple[str, int]]:
    """Revisions that a sink has beyond what is recorded of it."""
    lines = sink.beyond if isinstance(sink, Keeping) else []
    return frozenset(key for line in lines if (key := key_of(orjson.loads(line))) is not None)


class Delivery:
    """All sinks of a configuration.

    Args:
        store: Holds the events and how far each sink is; written by `record` and `close` alone.
        stdout: Where events for standard output go.
    """

    def __init__(self, store: Store, stdout: BinaryIO) -> None:
        self._store, self._stdout = store, stdout
        self._couriers: dict[str, Courier] = {}
        self._recorded: dict[str, tuple[int, int]] = {}
        self._left: dict[str, Courier] = {}  # those that did not end in time, by the name of their sink
        self._seen, self._last_row = -1, 0

    def prepare(self, settings: EventSettings) -> dict[str, Courier]:
        """Couriers for the sinks of a configuration: those at work where they stay, opened ones where they are new.

        Raises:
            OSError: A sink cannot be opened, or hangs still since it was last taken away; nothing has changed.
        """
        prepared: dict[str, Courier] = {}
        try:
            for key, kind in SINKS.items():
                for value in kind.chosen(getattr(settings, key)):
                    name = kind.name(value)
                    prepared[name] = self._kept(name, value) or self._new(name, kind, value)
        except BaseException:
            self.abandon(prepared)
            raise
        return prepared

    def _kept(self, name: str, value: Any) -> Courier | None:
        """The courier at work for a sink that is as it was, files that its settings name included."""
        courier = self._couriers.get(name)
        files = [key for key in FILE_KEYS if getattr(value, key, None)]
        return courier if courier is not None and courier.settings == value and not files else None

    def _new(self, name: str, kind: SinkKind, value: Any) -> Courier:
        if (left := self._left.get(name)) is not None and not left.ended(0):  # one that is replaced ends first
            raise OSError(f"{name} still hangs in a delivery from before, and two must not write; see to its reader")
        known = self._store.sink_position(name)
        newest = self._store.last_event_row if kind.from_now else 0
        sink = kind.make(value, Opening(known[1] if known else None, self._stdout))
        there = _there(sink)
        outbox = Outbox(there=there)
        if kind.several:
            outbox = Outbox(value.send, value.outbox, SEVERAL_AT_ONCE, there, value.severity)
        at = known or (newest, kind.size(value) if kind.size else 0)
        return Courier(name, sink, self._store.directory, at, outbox, value)

    def abandon(self, prepared: Mapping[str, Courier]) -> None:
        """Let go what `prepare` opened."""
        for courier in prepared.values():
            if courier not in self._couriers.values():
                courier.ended(0)

    def take_over(self, prepared: dict[str, Courier]) -> None:
        """Start what is new, and end what is not wanted any more."""
        before, self._couriers = self._couriers, prepared
        self._end([courier for courier in before.values() if courier not in prepared.values()])
        for name, courier in prepared.items():
            if (old := before.get(name)) is courier:
                continue
            if old is not None:
                courier.delivered = old.delivered
            self._store.set_sink_position(name, *courier.delivered)  # a crash before the first record cuts to this
            self._recorded[name] = courier.delivered
            courier.start()
        self._last_row = self._store.last_event_row

    def wake(self) -> None:
        """Have every sink deliver what has been recorded since the last call."""
        if self._seen != self._store.recorded:
            self._seen, self._last_row = self._store.recorded, self._store.last_event_row
            for courier in self._couriers.values():
                courier.wake()

    def status(self) -> dict[str, dict[str, float]]:
        """`Courier.status` of each sink, by its name."""
        return {name: courier.status(self._last_row) for name, courier in self._couriers.items()}

    def record(self) -> None:
        """Write down how far each sink has come."""
        for courier in self._couriers.values():
            self._record(courier)

    def close(self) -> None:
        """Deliver what is recorded, as far as the sinks take it, and end."""
        self._end(list(self._couriers.values()))
        self._couriers = {}

    def _end(self, couriers: list[Courier]) -> None:
        for courier in couriers:
            courier.stop()
        until = time.monotonic() + LEAVE_S
        for courier in couriers:
            if not courier.ended(until - time.monotonic()):
                self._left[courier.name] = courier
                log.error("sink hangs and is left, its events wait in the store", extra={"sink": courier.name})
            try:
                self._record(courier)
            except StoreError as error:  # it is delivered again
                log.error("sink position not recorded", extra={"sink": courier.name, "error": str(error)})

    def _record(self, courier: Courier) -> None:
        at = courier.delivered
        if at[0] != self._recorded.get(courier.name, (0, 0))[0]:
            self._store.set_sink_position(courier.name, *at)
            self._recorded[courier.name] = at
