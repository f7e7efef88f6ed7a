"""All metrics written to stores that speak Prometheus' remote write (1.0), on a thread a store.

What is written is what a scrape would see at that instant, so it is a picture and no event: what is missed in between
is not made up for, and what is open is in every one of them.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from prometheus_client import Metric

from adapters.sinks.http_post import HttpPost, headers_of
from adapters.sinks.sink_registry import address
from daemon.clock import EARLIEST_MS, wall_ms
from daemon.config.metric_settings import MetricsSettings, RemoteWriteSettings
from daemon.metrics.collector import Picture, make_registry

log = logging.getLogger(__name__)

AT_ONCE = 2000  # samples in one request; Prometheus' own senders have as many
RETRY_S, RETRY_MOST_S = 0.5, 30.0  # pause after a failure, doubled up to the second
LEAVE_S = 5.0  # how long an end waits for stores that do not answer
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "tidegauge",
}
_name = address("remote_write")


class Request(NamedTuple):
    """A body that waits, and how many samples it has."""

    body: bytes
    samples: int


class MetricWriter:
    """Writes to one store.

    A request that was not answered, or with 429 or 5xx, waits and is sent again, in order; any other answer but 2xx
    speaks of the request, which is left out and counted. What waits is bounded in bytes; beyond, the oldest goes.

    Args:
        settings: Where to, and how often.
        metrics: Gives what a scrape would see.
        clock: Epoch milliseconds.

    Attributes:
        settings: As given.

    Raises:
        OSError: A file of certificates cannot be used.
    """

    def __init__(
        self,
        settings: RemoteWriteSettings,
        metrics: Callable[[], Iterable[Metric]],
        clock: Callable[[], int] = wall_ms,
    ) -> None:
        self.settings, self._metrics, self._clock = settings, metrics, clock
        self._post = HttpPost(settings.url or "", headers_of(settings.headers), settings.timeout, settings.ca)
        labels = {"job": "tidegauge", "instance": socket.gethostname()}
        from daemon.metrics.written_samples import WrittenSamples  # and with it protobuf, which few daemons need

        self._samples = WrittenSamples(labels | dict(pair.split("=", 1) for pair in settings.labels))
        self._waiting: deque[Request] = deque()
        self._waiting_bytes = 0
        self._failures = 0  # in a row
        self._up = True
        self._counts = {"samples": 0, "failures": 0, "left_out_refused": 0, "left_out_buffer_full": 0}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"remote write {_name(settings)}", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def status(self) -> dict[str, float]:
        """`up`, `waiting_bytes`, and counts since the start: `samples`, `failures`, `left_out_<reason>`."""
        return {"up": float(self._up), "waiting_bytes": float(self._waiting_bytes), **self._counts}

    def stop(self) -> None:
        """End once all that waits is written, or a request fails; returns at once."""
        self._stopping.set()

    def ended(self, patience_s: float) -> bool:
        """Whether the thread has ended, waiting at most so long."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, patience_s))
        return not self._thread.is_alive()

    def _run(self) -> None:
        collect_at = send_at = time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            if now >= collect_at:
                self._guarded(self.collect)
                collect_at = max(collect_at + self.settings.every, now)
            if self._waiting and time.monotonic() >= send_at and not self._guarded(self.send):
                send_at = time.monotonic() + min(RETRY_MOST_S, RETRY_S * 2.0 ** min(self._failures - 1, 10))
            until = min(collect_at, send_at) if self._waiting else collect_at
            self._stopping.wait(max(0.0, until - time.monotonic()))
        while self._waiting and self._guarded(self.send):
            pass

    def collect(self) -> None:
        """Make requests of what a scrape would see now."""
        at_ms = self._clock()
        if at_ms < EARLIEST_MS:  # the clock is not set yet, and what is written once cannot be older later
            return
        from adapters.uploads.write_request import packed

        samples = self._samples.next(self._metrics())
        while part := list(islice(samples, AT_ONCE)):
            self._waiting.append(Request(packed(part, at_ms), len(part)))
            self._waiting_bytes += len(self._waiting[-1].body)
        while self._waiting_bytes > self.settings.buffer:
            self._counts["left_out_buffer_full"] += self._pop().samples

    def send(self) -> None:
        """Send the oldest request that waits; raises OSError where it is to be sent again."""
        answer = self._post.post(self._waiting[0].body, _HEADERS)
        if answer.status == 429 or answer.status >= 500:
            raise OSError(f"answered {answer.status}: {answer.said}")
        samples = self._pop().samples
        taken = 200 <= answer.status < 300
        self._counts["samples" if taken else "left_out_refused"] += samples
        if not taken and self._up:
            facts = {"sink": _name(self.settings), "status": answer.status, "said": answer.said}
            log.error("samples are refused and left out", extra=facts)
        self._failures, self._up = 0, taken

    def _pop(self) -> Request:
        request = self._waiting.popleft()
        self._waiting_bytes -= len(request.body)
        return request

    def _guarded(self, work: Callable[[], None]) -> bool:
        """Do it; whatever goes wrong stays with this store."""
        try:
            work()
        except Exception as error:
            if not self._failures:
                facts = {"sink": _name(self.settings), "error": str(error) or type(error).__name__}
                log.error("remote write failed, samples wait", extra=facts)
            self._failures += 1
            self._counts["failures"] += 1
            self._up = False
            return False
        return True


class MetricWriters:
    """The stores of a configuration.

    Args:
        picture: The newest picture; called from any thread.
    """

    def __init__(self, picture: Callable[[], Picture]) -> None:
        self._registry = make_registry(picture)
        self._writers: dict[str, MetricWriter] = {}

    def prepare(self, settings: MetricsSettings) -> dict[str, MetricWriter]:
        """Writers for a configuration: those at work where they stay, new ones otherwise.

        Raises:
            OSError: A file of certificates cannot be used; nothing has changed.
        """
        prepared = {}
        for each in settings.remote_write:
            if each.url is not None:
                old = self._writers.get(_name(each))
                stays = old is not None and old.settings == each and each.ca is None
                prepared[_name(each)] = old if old is not None and stays else self._made(each)
        return prepared

    def _made(self, settings: RemoteWriteSettings) -> MetricWriter:
        return MetricWriter(settings, self._registry.collect)

    def take_over(self, prepared: dict[str, MetricWriter]) -> None:
        """End what is not wanted any more, and start what is new."""
        before, self._writers = self._writers, prepared
        _end([writer for writer in before.values() if writer not in prepared.values()])
        for writer in prepared.values():
            if writer not in before.values():
                writer.start()

    def status(self) -> dict[str, Mapping[str, float]]:
        """`MetricWriter.status` of each store, by its name."""
        return {name: writer.status() for name, writer in self._writers.items()}

    def close(self) -> None:
        """Write what waits, as far as it is taken, and end."""
        _end(list(self._writers.values()))
        self._writers = {}


def _end(writers: list[MetricWriter]) -> None:
    for writer in writers:
        writer.stop()
    until = time.monotonic() + LEAVE_S
    for writer in writers:
        if not writer.ended(until - time.monotonic()):
            log.error("remote write hangs and is left", extra={"sink": _name(writer.settings)})
