"""A mock cluster of librdkafka's own on the loopback: brokers of one process, which forget all when it ends.

It speaks the protocol, keeps partitions in order and knows offsets; it has no TLS, no passwords and no disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from confluent_kafka import Producer

PARTITIONS = 4
"""Of each topic, which is made when it is first published to."""


class KafkaCluster:
    """One broker, within this process."""

    def __init__(self) -> None:
        self._producer = Producer({"test.mock.num.brokers": 1, "log_level": 2, "linger.ms": 0})
        (broker,) = self._producer.list_topics(timeout=10).brokers.values()
        self.url = f"kafka://{broker.host}:{broker.port}"

    def publish(self, messages: Iterable[tuple[str, str | None, bytes | None]], partition: int = 0) -> None:
        """Publish topics, keys and payloads in order to one partition; returns when the broker has them."""
        for topic, key, payload in messages:
            self._producer.produce(topic, payload, key=key, partition=partition)
        assert self._producer.flush(20) == 0

    def end(self) -> None:
        """End it."""
        del self._producer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
