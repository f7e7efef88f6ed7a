"""Brokers as sources, by type."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.extra import Extra
from adapters.source_kind import SourceKind

_SHARED = frozenset({"url", "series", "user", "password", "ca", "tls"})

BROKERS: Mapping[str, SourceKind] = {
    "mqtt": SourceKind(
        maker="adapters.brokers.mqtt_source:made",
        sample='{type: mqtt, url: "mqtt://127.0.0.1:1883", client: tidegauge-quay, topics: [meters/+]}',
        keys=_SHARED | {"in_flight", "client", "topics", "protocol", "stamp", "field", "body_bytes"},
        needs={"url": "mqtt://127.0.0.1:1883", "client": "tidegauge-quay", "topics": "[meters/+]"},
        claims="client",
        own_lines=lambda settings: bool(settings.stamp == "arrival"),
        schemes=("mqtt", "mqtts"),
    ),
    "nats": SourceKind(
        maker="adapters.brokers.nats_source:made",
        sample='{type: nats, url: "nats://127.0.0.1:4222", subject: "meters.>", consumer: tidegauge-quay}',
        keys=_SHARED | {"in_flight", "subject", "consumer"},
        needs={"url": "nats://127.0.0.1:4222", "subject": '"meters.>"', "consumer": "tidegauge-quay"},
        claims="consumer",
        schemes=("nats", "tls"),
    ),
    "kafka": SourceKind(
        maker="adapters.brokers.kafka_source:made",
        sample='{type: kafka, url: "kafka://127.0.0.1:9092", consumer: tidegauge-quay, topics: [meters]}',
        keys=_SHARED | {"topics", "consumer", "mechanism"},
        needs={"url": "kafka://127.0.0.1:9092", "consumer": "tidegauge-quay", "topics": "[meters]"},
        claims="consumer",
        schemes=("kafka", "kafkas"),
        extra=Extra("kafka", "confluent_kafka", "confluent-kafka"),
    ),
}
