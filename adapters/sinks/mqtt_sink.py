"""Events as messages to an MQTT broker: QoS 1, in order, retained where that is wanted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson

from adapters.mqtt_connection import Broker, MqttConnection
from adapters.name_template import template
from adapters.sinks.contract import Opening, PartlyError

REFUSALS = frozenset({144, 149, 153})
"""Reasons of version 5 that speak of the message: its topic, its length, its payload. It would be refused again."""
_HEADER_BYTES = 64
"""Bytes of a packet beside topic and payload, at most."""
_KEYS = ("stream", "series", "id", "state")


class MqttSink:
    """Publishes each event as JSON, and goes on when the broker has acknowledged it.

    A connection is made for each delivery and ended after it. A broker that is gone, stalls or does not take a message
    loses nothing: what it has not acknowledged is published again. So an event may come twice, but none comes first
    after one that is newer. What can never be taken is left out and counted, under version 5, which says so.

    Args:
        broker: Where to.
        topic: Template of the topic over `stream`, `series`, `id` and `state`; what no topic may have, or
            the event has not, becomes `_`.
        retain: Whether the broker keeps the last message of each topic.
        client: Client identifier; "" lets the broker choose one.
        timeout_s: How long it may take to answer.

    Raises:
        OSError: A file of certificates cannot be used.
    """

    def __init__(
        self, broker: Broker, *, topic: str, retain: bool = False, client: str = "", timeout_s: float = 10.0
    ) -> None:
        broker.context()
        self._broker, self._retain, self._client, self._timeout_s = broker, retain, client, timeout_s
        self._topic = template(topic) if "{" in topic else lambda labels: topic
        self._counts = {"refused": 0}

    def deliver(self, lines: list[bytes]) -> None:
        """See `Sink.deliver`."""
        if not lines:
            return
        answers = _Answers(len(lines))
        link = MqttConnection(self._broker, self._client, answer_s=self._timeout_s)
        try:
            link.client.on_publish = answers.on_publish
            link.open()
            for index, line in enumerate(lines):
                self._publish(link, answers, index, line)
            self._wait(link, answers)
        except OSError as error:
            raise PartlyError(answers.done, str(error)) from None
        finally:
            link.close()
            self._counts["refused"] += answers.refused

    def _publish(self, link: MqttConnection, answers: _Answers, index: int, line: bytes) -> None:
        event = orjson.loads(line)
        topic = self._topic({key: _level(event.get(key)) for key in _KEYS})
        most = getattr(link.properties, "MaximumPacketSize", None)
        if most is not None and len(line) + len(topic.encode()) + _HEADER_BYTES > most:
            answers.refuse(index)
            return
        answers.expect(index, link.client.publish(topic, line, qos=1, retain=self._retain).mid)

    def _wait(self, link: MqttConnection, answers: _Answers) -> None:
        """Until all are answered; each answer begins the time anew."""
        until, done = time.monotonic() + self._timeout_s, answers.done
        while not answers.whole:
            if time.monotonic() > until:
                raise OSError(f"{self._broker.url} did not answer within {self._timeout_s:g} s")
            link.serve(min(0.5, self._timeout_s))
            if answers.done > done:
                until, done = time.monotonic() + self._timeout_s, answers.done

    def status(self) -> Mapping[str, float]:
        """Events refused."""
        return dict(self._counts)

    def close(self) -> None:
        """Nothing to release."""


class _Answers:
    """Which of some messages are answered.

    Attributes:
        done: How many of the first ones are, all of them.
        refused: How many of these the broker will never take.
    """

    def __init__(self, count: int) -> None:
        self.done = self.refused = 0
        self._count = count
        self._waiting: dict[int, int] = {}  # index by the number of the message
        self._answered: dict[int, bool] = {}  # whether it was refused, by index

    @property
    def whole(self) -> bool:
        """Whether all are."""
        return self.done == self._count

    def expect(self, index: int, number: int) -> None:
        """A message was published under this number."""
        self._waiting[number] = index

    def refuse(self, index: int) -> None:
        """A message is not published at all."""
        self._note(index, refused=True)

    def on_publish(self, client: Any, userdata: Any, number: int, reason: Any, properties: Any) -> None:
        """The broker's answer; raises OSError where it may take the message later."""
        index = self._waiting.pop(number)
        if reason.is_failure and reason.value not in REFUSALS:
            raise OSError(f"the broker does not take a message: {reason}")
        self._note(index, refused=reason.is_failure)

    def _note(self, index: int, *, refused: bool) -> None:
        self._answered[index] = refused
        while (found := self._answered.pop(self.done, None)) is not None:
            self.done += 1
            self.refused += found


def _level(value: Any) -> str:
    """A key of an event as part of a topic."""
    return "".join(
        "_" if each in "+#" or not each.isprintable() else each for each in str("_" if value is None else value)
    )


def made(settings: Any, opening: Opening) -> MqttSink:
    """As an entry of `events.mqtt` has it."""
    return MqttSink(
        Broker.of(settings, settings.certificate, settings.key),
        topic=settings.topic,
        retain=settings.retain,
        client=settings.client or "",
        timeout_s=settings.timeout,
    )
