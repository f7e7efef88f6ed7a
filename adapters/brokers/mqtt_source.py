"""MQTT as a source: QoS 1 in a session that the broker keeps, acknowledged when the readings are durable."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from paho.mqtt.client import MQTTMessage, topic_matches_sub
from paho.mqtt.subscribeoptions import SubscribeOptions

from adapters.base import Position
from adapters.brokers.subscription import Received, Subscription
from adapters.mqtt_connection import Broker, MqttConnection
from adapters.name_template import template
from adapters.source_kind import Surroundings

_SHARED = "$share/"
_HEADER_BYTES = 1 << 17
"""Room for a packet's topic and properties beside its payload."""
_FAILED = 128
_NOTHING = "tidegauge/nothing"
"""A topic that is not subscribed to; the answer to giving it up shows how far the broker has read."""
_ANSWER_S = 1.0
"""How long an end waits for that answer; without it what was acknowledged last may come again, and is known."""
_KNOWN_TIMES = 4
"""How many times `in_flight` messages a position may name; then the broker's answer is waited for."""


class _Known(NamedTuple):
    """A message by what tells it from others.

    Attributes:
        mark: Which it is of all that were taken.
        number: The broker's, which it has while it is under way.
        digest: Of its topic and payload.
    """

    mark: int
    number: int
    digest: str


class MqttSource(Subscription):
    """Messages of some topics of an MQTT broker.

    The broker keeps a message until it is acknowledged, and sends it again, marked as a duplicate and with the number
    it had, when the connection was lost before. A position is `{"offset": messages, "known": pairs, "topics": filters}`
    with number and digest of each durable message of which the broker may not know that yet. So one that it sends again
    counts once, for as long as it keeps the session.

    What the broker knows is found out by a request after the acknowledgements, which it answers in turn.

    Args:
        broker: Where it is.
        client: Client identifier, which names the session.
        topics: Filters that are subscribed to.
        series: Template of a series' name over `topic`, `level1`, `level2`, ...; None: the topic.
        stamped: Whether payloads have stamps, as the stream's format reads them. Otherwise a payload is one number, of
            now, and becomes a line as `adapters.source_kind.OWN_LINES` has it.
        field: Key of the number in a JSON payload without a stamp, dots for what lies deeper; None: the payload is it.
        body_bytes: Longest payload; the broker drops longer ones.
        clock: Epoch seconds.
        given: What a `Subscription` takes.
    """

    def __init__(
        self,
        name: str,
        broker: Broker,
        *,
        client: str,
        topics: Sequence[str],
        series: str | None = None,
        stamped: bool = True,
        field: str | None = None,
        body_bytes: int = 1 << 20,
        clock: Callable[[], float] = time.time,
        **given: Any,
    ) -> None:
        super().__init__(name, broker.url, **given)
        self._broker, self._client, self._topics = broker, client, list(topics)
        self._series = (lambda labels: labels["topic"]) if series is None else template(series)
        self._stamped, self._field, self._body_bytes, self._clock = stamped, field, body_bytes, clock
        self._position = {"offset": 0, "known": [], "topics": self._topics}
        self._link: MqttConnection | None = None
        self._seen: dict[int, tuple[int, str]] = {}  # mark and digest of messages taken, by their number
        self._known: list[_Known] = []  # those given, without those that are confirmed
        self._marks = self._acknowledged = self._earlier_mark = 0
        self._asked: tuple[int, int] | None = None  # number of a request, and the mark that its answer confirms
        self._earlier: list[str] = []
        self._filters = [_unshared(topic) for topic in topics]
        self._counts.update(dict.fromkeys(("retained_ignored", "unsubscribed_ignored", "unreadable_topics"), 0))

    # The pipeline's thread

    def _begin(self, positions: Mapping[str, Position]) -> None:
        self._forgotten += [place for place in positions if place != self._place]
        if (position := positions.get(self._place)) is not None:
            self._position, mark = position, position["offset"]
            self._marks = self._acknowledged = self._earlier_mark = mark
            self._known = [_Known(mark, number, digest) for number, digest in position["known"]]
            self._seen = {each.number: (mark, each.digest) for each in self._known}
            self._earlier = [topic for topic in position["topics"] if topic not in self._topics]
        self._link = MqttConnection(
            self._broker,
            self._client,
            session=True,
            receive_maximum=self._in_flight,
            packet_bytes=self._body_bytes + _HEADER_BYTES,
        )

    def _room(self) -> int:
        """See `Subscription._room`: positions stay short.

        One more may always be given where nothing is under way: only what is new asks the broker what it knows.
        """
        room = _KNOWN_TIMES * self._in_flight - len(self._known)
        idle = self._asked is None and not self._given and not self._durable
        return max(room, 1) if idle else room

    def _positions(self, given: list[Received]) -> Callable[[int], Position]:
        new, topics = [each.handle for each in given], self._topics
        with self._lock:
            before = list(self._known)
            self._known += [each for each in new if each is not None]

        def after(count: int) -> Position:
            durable = before + [each for each in new[:count] if each is not None]
            known = [[each.number, each.digest] for each in durable]
            return {"offset": given[count - 1].mark, "known": known, "topics": topics}

        return after

    def _interrupt(self) -> None:
        if self._link is not None:
            self._link.wake()

    def close(self) -> None:
        """See `Subscription.close`."""
        super().close()
        if self._link is not None and not self._thread.is_alive():
            self._link.close()
            self._link = None

    # Its own thread

    def _serve(self) -> None:
        link = self._link
        assert link is not None
        link.client.on_message = self._on_message
        link.client.on_subscribe = self._on_subscribe
        link.client.on_unsubscribe = self._on_unsubscribe
        link.client.suppress_exceptions = False
        link.open(self._ending.is_set)
        if self._ending.is_set():
            return
        if not link.session_present and self._seen:
            self._confirm(self._marks)  # its numbers begin anew
            self._say("the broker has forgotten the session; what was published since is known to others alone")
        if self._earlier:
            link.client.unsubscribe(self._earlier)
        five = self._broker.protocol == "5"
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        wanted: Any = [(topic, options if five else 1) for topic in self._topics]
        link.client.subscribe(wanted)
        while not self._ending.is_set():
            self._acknowledge(link)
            link.serve(1.0, read=not self._full)
        self._acknowledge(link)
        until = time.monotonic() + _ANSWER_S
        # a connection that is closed with something unread may take back what was sent last
        while self._asked is not None and time.monotonic() < until:
            link.serve(0.1)
            self._acknowledge(link)

    def _acknowledge(self, link: MqttConnection) -> None:
        """Acknowledge what is durable, and ask for an answer unless one is awaited.

        What an earlier connection took comes again before anything new, so it is not confirmed before that.
        """
        for each in self._acknowledgeable():
            self._acknowledged = each.mark
            if each.handle is not None:
                link.client.ack(each.handle.number, 1)
        new = self._acknowledged > self._earlier_mark
        if self._asked is None and new and self._known and self._known[0].mark <= self._acknowledged:
            _, number = link.client.unsubscribe(_NOTHING)
            self._asked = (number or 0, self._acknowledged)

    def _on_unsubscribe(self, client: Any, userdata: Any, number: int, reasons: Any, properties: Any) -> None:
        if self._asked is not None and number == self._asked[0]:
            self._confirm(self._asked[1])
            self._asked = None

    def _confirm(self, mark: int) -> None:
        """The broker knows that messages up to this mark are durable."""
        with self._lock:
            self._known = [each for each in self._known if each.mark > mark]
        self._seen = {number: known for number, known in self._seen.items() if known[0] > mark}

    def _on_subscribe(self, client: Any, userdata: Any, number: int, reasons: Any, properties: Any) -> None:
        for topic, reason in zip(self._topics, reasons, strict=False):
            if reason.value >= _FAILED:
                raise OSError(f"{self._broker.url} refuses the topic {topic}: {reason}")
            if reason.value < 1:
                self._say("the broker gives this topic at QoS 0 only, so messages may be lost", topic=topic)
        self._connected = True

    def _on_message(self, client: Any, userdata: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._ignore(message, "unreadable_topics")
            return
        if not any(topic_matches_sub(wanted, topic) for wanted in self._filters):
            self._ignore(message, "unsubscribed_ignored")
        elif message.retain and not self._stamped:  # nobody knows of when it is
            self._ignore(message, "retained_ignored")
        else:
            self._accept(message, topic)

    def _ignore(self, message: MQTTMessage, why: str) -> None:
        self._counts[why] += 1
        if message.qos and self._link is not None:
            self._link.client.ack(message.mid, message.qos)

    def _accept(self, message: MQTTMessage, topic: str) -> None:
        payload, handle = bytes(message.payload), None
        self._marks += 1
        if message.qos:
            handle = _Known(self._marks, message.mid, _digest(topic, payload))
            mark, digest = self._seen.get(message.mid, (0, ""))
            if message.dup and digest == handle.digest:
                self._repeat(message.mid, mark)
                return
            self._seen[message.mid] = (handle.mark, handle.digest)
        labels = {"topic": topic} | {f"level{n}": level for n, level in enumerate(topic.split("/"), 1)}
        series = self._series(labels)
        self._receive(payload if self._stamped else self._line(series, payload), series, self._marks, handle)

    def _repeat(self, number: int, mark: int) -> None:
        """One that was taken before: what waits to be durable is acknowledged then, the rest at once."""
        self._counts["repeated"] += 1
        if mark <= self._acknowledged and self._link is not None:
            self._link.client.ack(number, 1)

    def _line(self, series: str, payload: bytes) -> bytes:
        """A payload without a stamp, as a line; one that is none stays as it is, to be rejected."""
        value: Any = payload.decode("utf-8", "replace").strip()
        if self._field is not None:
            try:
                value = orjson.loads(payload)
            except orjson.JSONDecodeError:
                return payload
            for part in self._field.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        return orjson.dumps({"s": series, "t": int(self._clock() * 1000), "v": value})


def _digest(topic: str, payload: bytes) -> str:
    return hashlib.blake2b(topic.encode() + b"\0" + payload, digest_size=8).hexdigest()


def _unshared(topic: str) -> str:
    """The filter of a shared subscription, `$share/GROUP/FILTER`, or of any other."""
    return topic.split("/", 2)[2] if topic.startswith(_SHARED) else topic


def made(name: str, settings: Any, surroundings: Surroundings) -> MqttSource:
    """As an entry of `sources` has it."""
    return MqttSource(
        name,
        Broker.of(settings, settings.tls.certificate, settings.tls.key),
        client=settings.client,
        topics=settings.topics,
        series=settings.series,
        stamped=settings.stamp == "payload",
        field=settings.field,
        body_bytes=settings.body_bytes,
        line_bytes=surroundings.line_bytes,
        in_flight=settings.in_flight,
        wake=surroundings.inboxes.wake,
        notice=surroundings.notice,
    )
