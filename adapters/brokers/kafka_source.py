"""Kafka as a source: partitions that are assigned here, read from offsets that are kept with the readings.

An extra, `tidegauge[kafka]`: confluent-kafka is imported where a source is made.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any
from urllib.parse import urlsplit

from adapters.base import Chunk, Notice, Position, Span, unnoticed
from adapters.brokers.subscription import WAITING_BYTES, cut_lines
from adapters.name_template import template
from adapters.peer_source import PeerSource
from adapters.source_kind import Surroundings

FETCH_WAIT_MS = 100
"""How long a broker waits for more before it answers; so long it may take to know that there is no more."""
_CONNECT_S = 10.0
_LOOK_EVERY_S = 60.0
"""Between two looks for partitions that were added."""
_SILENT_S = 5.0
"""A partition that has not been read to its end and gives nothing for so long holds back no other any more."""
_AT_ONCE = 1000
_POLL_S = 0.1
_LEAVE_S = 5.0
_OVERHEAD = 256

Partition = tuple[str, int]
"""A topic and a number."""


@dataclass(slots=True)
class _Message:
    """One that waits to be given; `next` is the offset after it."""

    series: str
    data: bytes
    next: int
    discarded: Mapping[str, int]


@dataclass(slots=True)
class _Queue:
    """What was fetched of a partition and not yet given.

    Attributes:
        given: The offset after what was given.
        fetched: The offset after what was fetched.
        ended: Whether all that the broker has of it was fetched.
        came_at: `time.monotonic()` of the last sign of it.
        lag: Messages that the broker has beyond what was fetched.
    """

    given: int
    fetched: int
    came_at: float
    messages: deque[_Message] = field(default_factory=deque)
    held: int = 0
    ended: bool = False
    paused: bool = False
    lag: int = 0


class KafkaSource(PeerSource):
    """Messages of some topics, each partition a place of its own, in the partition's order.

    A position is `{"offset": next}`, the broker's number of the next message to read. It is kept with the readings, not
    in a group of the broker, so a message counts exactly once, whoever is killed. Partitions are assigned here: no
    group decides who reads what. What lies in several partitions is merged by event time while they are behind, as
    files are.

    When all brokers are lost, `poll` fails, and whoever supervises the source makes it anew where its positions are.

    Args:
        name: Name of the source, unique within its stream.
        url: `kafka://host:port` of any broker, or `kafkas://host:port`.
        topics: Their names; each must be there.
        consumer: Under which name it shows at the brokers.
        series: Template of a series' name over `topic` and `key`; None: the key, or the topic of a message without.
        user, password, mechanism: For SASL; None where none is asked for.
        ca: File with authorities (PEM) of the brokers' certificates; None: those of the system.
        certificate, key: Files (PEM) with the client's own; None: it shows none.
        line_bytes: Longest line; a longer one is dropped.
        waiting_bytes: Bytes of messages that may wait, shared by the partitions.
        wake: Called when messages have come, from its own thread.
        notice: Takes what an operator should read.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        topics: Collection[str],
        consumer: str,
        series: str | None = None,
        user: str | None = None,
        password: str | None = None,
        mechanism: str = "plain",
        ca: str | None = None,
        certificate: str | None = None,
        key: str | None = None,
        line_bytes: int = 1 << 20,
        waiting_bytes: int = WAITING_BYTES,
        wake: Callable[[], None] = lambda: None,
        notice: Notice = unnoticed,
    ) -> None:
        super().__init__(name, notice)
        self._url, self._topics, self._line_bytes, self._most = url, list(topics), line_bytes, waiting_bytes
        self._series = _key_or_topic if series is None else template(series)
        self._wake = wake
        self._options = _options(url, consumer, user, password, mechanism, (ca, certificate, key), waiting_bytes)
        self._lock = threading.Lock()
        self._queues: dict[Partition, _Queue] = {}
        self._saved: dict[Partition, int] = {}
        self._error, self._said, self._connected = "", "", False
        self._ending, self._thread = threading.Event(), threading.Thread()
        self._counts.update(dict.fromkeys(("messages", "lines", "tombstones", "messages_gone"), 0))

    # The pipeline's thread

    def open(self, positions: Mapping[str, Position]) -> None:
        """Begin to connect; whether that can be done, `poll` and `status` say."""
        for place, position in positions.items():
            topic, _, number = place.removeprefix(f"{self.name}:").rpartition("/")
            if topic in self._topics and number.isdecimal():
                self._saved[topic, int(number)] = position["offset"]
            else:
                self._forgotten.append(place)
        self._thread = threading.Thread(target=self._run, name=f"source {self.name}", daemon=True)
        self._thread.start()

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """See `Source.poll`; messages are given whole, so the last one may go beyond the limit.

        Raises:
            OSError: The brokers are lost, or could not be had, or have no such topic.
        """
        if self._error:
            raise OSError(self._error)
        chunks = []
        with self._lock:
            for partition, queue in list(self._queues.items()):
                if limit_bytes <= 0:
                    break
                if queue.messages and self._place(partition) not in skip:
                    chunks.append(self._chunk(partition, queue, limit_bytes))
                    limit_bytes -= len(chunks[-1].data) + 1
                    self._queues[partition] = self._queues.pop(partition)  # the next turn begins with the others
        return chunks

    def _place(self, partition: Partition) -> str:
        return f"{self.name}:{partition[0]}/{partition[1]}"

    def _chunk(self, partition: Partition, queue: _Queue, limit_bytes: int) -> Chunk:
        """The next messages of a partition; one of which a line was dropped is the last."""
        given: list[_Message] = []
        while queue.messages and limit_bytes > 0 and not (given and given[-1].discarded):
            given.append(queue.messages.popleft())
            limit_bytes -= len(given[-1].data) + 1
            queue.held -= len(given[-1].data) + _OVERHEAD
        data, ends = b"".join(each.data for each in given), list(accumulate(len(each.data) for each in given))
        begin, queue.given = queue.given, given[-1].next
        self._counts["lines"] += data.count(b"\n") + sum(given[-1].discarded.values())

        def position_at(offset: int, header: str | None) -> Position:
            count = len(given) if offset == len(data) else bisect_right(ends, offset)
            return {"offset": given[count - 1].next if count else begin}

        spans = tuple(Span(end, each.series) for end, each in zip(ends, given, strict=True))
        dropped = dict(given[-1].discarded)
        return Chunk(self._place(partition), data, "", None, position_at, dropped, spans=spans)

    def backlog(self) -> frozenset[str]:
        """Partitions of which more is known to come; one that a broker is silent about holds nobody back."""
        since = time.monotonic() - _SILENT_S
        with self._lock:
            return frozenset(
                self._place(partition)
                for partition, queue in self._queues.items()
                if queue.messages or not (queue.ended or queue.came_at < since)
            )

    def status(self) -> dict[str, float]:
        """`up`, bytes that wait here, messages that wait at the brokers, and counts since the start."""
        with self._lock:
            return {
                "up": float(self._connected and not self._error),
                "lag_bytes": float(sum(len(each.data) for queue in self._queues.values() for each in queue.messages)),
                "lag_messages": float(sum(queue.lag for queue in self._queues.values())),
                **{name: float(count) for name, count in self._counts.items()},
            }

    def close(self) -> None:
        """End the connection."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(_LEAVE_S)

    # Its own thread

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # whatever it is ends this connection, and `poll` says so
            said = f"{error}; {self._said}" if self._said else str(error)
            self._error = " ".join(said.split()) or type(error).__name__
        finally:
            self._connected = False
        self._wake()

    def _serve(self) -> None:
        from confluent_kafka import Consumer, KafkaError

        def failed(error: Any) -> None:
            self._said = error.str()
            if error.code() == KafkaError._ALL_BROKERS_DOWN and self._connected:
                self._error = f"{self._url} is lost: {self._said}"

        silent = logging.getLogger("adapters.brokers.kafka_source.librdkafka")
        silent.propagate = False  # what matters comes by `failed`
        silent.addHandler(logging.NullHandler())
        consumer = Consumer({**self._options, "error_cb": failed}, logger=silent)
        try:
            look_at = time.monotonic()
            while not self._ending.is_set() and not self._error:
                if time.monotonic() >= look_at:
                    self._assign(consumer)
                    self._connected, look_at = True, time.monotonic() + _LOOK_EVERY_S
                first = consumer.poll(_POLL_S)
                if first is not None:
                    self._note(consumer, [first, *consumer.consume(_AT_ONCE, 0)], KafkaError._PARTITION_EOF)
                self._hold(consumer)
        finally:
            consumer.close()

    def _assign(self, consumer: Any) -> None:
        """Take up partitions that are not read yet, where the readings end."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            known = consumer.list_topics(timeout=_CONNECT_S).topics
            for topic in self._topics:
                if topic not in known or known[topic].error is not None:
                    raise OSError(f"{self._url} has no topic {topic}; make it, or name another")
            new = [(topic, n) for topic in self._topics for n in known[topic].partitions]
            with self._lock:
                added = [each for each in new if each not in self._queues]
            for partition in added:
                low, high = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=_CONNECT_S)
                at = self._begin(partition, low, high)
                with self._lock:
                    self._queues[partition] = _Queue(at, at, time.monotonic(), ended=at >= high, lag=high - at)
                consumer.incremental_assign([TopicPartition(*partition, at)])
        except KafkaException as error:
            raise OSError(f"{self._url} does not answer: {error.args[0].str()}") from None

    def _begin(self, partition: Partition, low: int, high: int) -> int:
        """The offset to read a partition from."""
        saved = self._saved.get(partition, low)
        if saved < low:
            self._counts["messages_gone"] += low - saved
            self._say("the broker has dropped messages that were not read", place=self._place(partition))
        elif saved > high:
            self._say(
                "the broker's partition ends before what is durable of it; it is read from its start",
                place=self._place(partition),
            )
        return saved if low <= saved <= high else low

    def _note(self, consumer: Any, messages: Collection[Any], end: int) -> None:
        moved: set[Partition] = set()
        for each in messages:
            partition = (each.topic(), each.partition())
            if (error := each.error()) is None:
                moved.add(partition)
                self._queue(partition, each)
            elif error.code() == end:
                with self._lock:
                    queue = self._queues[partition]
                    queue.ended, queue.lag, queue.came_at = True, 0, time.monotonic()
            else:
                raise OSError(f"{self._url} refuses {each.topic()}: {error.str()}")
        for queue, high in self._marks(consumer, moved):
            queue.lag = (
                0 if queue.ended else max(0, high - (queue.messages[-1].next if queue.messages else queue.given))
            )
        self._wake()

    def _marks(self, consumer: Any, partitions: Collection[Partition]) -> Iterator[tuple[_Queue, int]]:
        """The end of each partition, as the last answer had it."""
        from confluent_kafka import TopicPartition

        for partition in partitions:
            yield self._queues[partition], consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)[1]

    def _queue(self, partition: Partition, message: Any) -> None:
        payload, key = message.value(), message.key()
        with self._lock:
            queue = self._queues[partition]
            if message.offset() < queue.fetched:
                return
            queue.fetched, queue.ended, queue.came_at = message.offset() + 1, False, time.monotonic()
            if payload is None:  # says that what had this key before is to be forgotten
                self._counts["tombstones"] += 1
                return
            data, discarded = cut_lines(payload, self._line_bytes)
            labels = {"topic": partition[0], "key": "" if key is None else key.decode(errors="replace")}
            self._counts["messages"] += 1
            queue.messages.append(_Message(self._series(labels), data, message.offset() + 1, discarded))
            queue.held += len(data) + _OVERHEAD

    def _hold(self, consumer: Any) -> None:
        """Fetch no more of partitions that have their share waiting, until half of it is given."""
        from confluent_kafka import TopicPartition

        share = self._most // max(1, len(self._queues))
        for partition, queue in list(self._queues.items()):
            if queue.paused != (queue.held > (share // 2 if queue.paused else share)):
                queue.paused = not queue.paused
                (consumer.pause if queue.paused else consumer.resume)([TopicPartition(*partition)])


def _key_or_topic(labels: Mapping[str, str]) -> str:
    return labels["key"] or labels["topic"]


def _options(
    url: str,
    consumer: str,
    user: str | None,
    password: str | None,
    mechanism: str,
    files: tuple[str | None, str | None, str | None],
    waiting_bytes: int,
) -> dict[str, Any]:
    """What librdkafka is configured with; nothing is committed to a group, and no group is joined."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    secured = parts.scheme == "kafkas"
    sasl = {} if user is None else {"sasl.mechanism": mechanism.upper(), "sasl.username": user}
    sasl |= {} if password is None else {"sasl.password": password}
    names = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location")
    return {
        "bootstrap.servers": f"{host}:{parts.port or 9092}",
        "client.id": consumer,
        "group.id": consumer,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": FETCH_WAIT_MS,
        "queued.max.messages.kbytes": waiting_bytes >> 10,
        "security.protocol": ("sasl_" if sasl else "") + ("ssl" if secured else "plaintext"),
        **sasl,
        **{name: file for name, file in zip(names, files, strict=True) if file is not None},
    }


def made(name: str, settings: Any, surroundings: Surroundings) -> KafkaSource:
    """As an entry of `sources` has it."""
    return KafkaSource(
        name,
        settings.url,
        topics=settings.topics,
        consumer=settings.consumer,
        series=settings.series,
        user=settings.user,
        password=settings.password.get_secret_value() if settings.password else None,
        mechanism=settings.mechanism,
        ca=settings.ca,
        certificate=settings.tls.certificate,
        key=settings.tls.key,
        line_bytes=surroundings.line_bytes,
        wake=surroundings.inboxes.wake,
        notice=surroundings.notice,
    )
