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
from typing import BinaryIO

import orjson

from adapters.sinks import SINKS, Opening, Sink
from daemon.config.settings import EventSettings
from daemon.store import Store, StoreError, StoreView, open_reader

log = logging.getLogger(__name__)

AT_ONCE = 1000  # events handed on in one delivery
RETRY_S, RETRY_MOST_S = 0.5, 30.0  # pause after a failure, doubled up to the second
LEAVE_S = 5.0  # how long an end waits for sinks that do not return


class Courier:
    """One sink, fed by a thread of its own.

    Args:
        name: Under which its position is kept.
        sink: Closed by the thread when it ends.
        directory: The state directory, whose event table it reads.
        delivered: Last row delivered before, and the committed length after it.

    Attributes:
        delivered: Last row delivered and the committed length after it; replaced as a whole.
        failures: Deliveries that failed in a row.
    """

    def __init__(self, name: str, sink: Sink, directory: Path, delivered: tuple[int, int]) -> None:
        self.name, self._sink, self._directory = name, sink, directory
        self.delivered = delivered
        self.failures = 0
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink {name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

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
            try:
                reader = reader or open_reader(self._directory)
                self._deliver_all(reader)
            except Exception as error:  # whatever it is stays in this sink
                self._note_failure(error)
            else:
                if self.failures:
                    log.info("sink works again", extra={"sink": self.name, "failures": self.failures})
                self.failures = 0
            if stopping:
                break
            if self.failures:
                self._stopping.wait(min(RETRY_MOST_S, RETRY_S * 2.0 ** min(self.failures - 1, 10)))
            else:
                self._wake.wait()
        self._sink.close()
        if reader is not None:
            reader.close()

    def _deliver_all(self, reader: StoreView) -> None:
        while rows := reader.events(latest_only=False, after_row=self.delivered[0], limit=AT_ONCE):
            committed = self._sink.deliver([orjson.dumps(event.to_json()) for _, event in rows])
            self.delivered = (rows[-1][0], committed or 0)

    def _note_failure(self, error: Exception) -> None:
        if not self.failures:
            facts = {"sink": self.name, "error": str(error) or type(error).__name__}
            log.error("sink failed, its events wait in the store", extra=facts)
        self.failures += 1


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
        self._seen = -1

    def prepare(self, settings: EventSettings) -> dict[str, Courier]:
        """Couriers for the sinks of a configuration: those at work where they stay, opened ones where they are new.

        Raises:
            OSError: A sink cannot be opened, or hangs still since it was last taken away; nothing has changed.
        """
        prepared: dict[str, Courier] = {}
        try:
            for key, kind in SINKS.items():
                value = getattr(settings, key)
                if value is None or value is False:
                    continue
                name = kind.name(value)
                if (left := self._left.get(name)) is not None and not left.ended(0):
                    raise OSError(
                        f"{name} still hangs in a delivery from before, and two must not write; see to its reader"
                    )
                row, committed = self._store.sink_position(name, kind.size(value) if kind.size else 0)
                prepared[name] = self._couriers.get(name) or Courier(
                    name, kind.make(value, Opening(committed, self._stdout)), self._store.directory, (row, committed)
                )
        except BaseException:
            self.abandon(prepared)
            raise
        return prepared

    def abandon(self, prepared: Mapping[str, Courier]) -> None:
        """Let go what `prepare` opened."""
        for courier in prepared.values():
            if courier not in self._couriers.values():
                courier.ended(0)

    def take_over(self, prepared: dict[str, Courier]) -> None:
        """Start what is new, and end what is not wanted any more."""
        before, self._couriers = self._couriers, prepared
        for name, courier in prepared.items():
            if name not in before:
                self._store.set_sink_position(name, *courier.delivered)  # a crash before the first record cuts to this
                self._recorded[name] = courier.delivered
                courier.start()
        self._end([courier for name, courier in before.items() if name not in prepared])

    def wake(self) -> None:
        """Have every sink deliver what has been recorded since the last call."""
        if self._seen != self._store.recorded:
            self._seen = self._store.recorded
            for courier in self._couriers.values():
                courier.wake()

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
