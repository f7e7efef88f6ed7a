"""Brokers as sources, by type."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.source_kind import SourceKind

_SHARED = frozenset({"url", "series", "user", "password", "ca", "tls", "in_flight"})

BROKERS: Mapping[str, SourceKind] = {
    "mqtt": SourceKind(
        maker="adapters.brokers.mqtt_source:made",
        sample='{type: mqtt, url: "mqtt://127.0.0.1:1883", client: tidegauge-quay, topics: [meters/+]}',
        keys=_SHARED | {"client", "topics", "protocol", "stamp", "field", "body_bytes"},
        needs={"url": "mqtt://127.0.0.1:1883", "client": "tidegauge-quay", "topics": "[meters/+]"},
        claims="client",
        own_lines=lambda settings: bool(settings.stamp == "arrival"),
        schemes=("mqtt", "mqtts"),
    ),
    "nats": SourceKind(
        maker="adapters.brokers.nats_source:made",
        sample='{type: nats, url: "nats://127.0.0.1:4222", subject: "meters.>", consumer: tidegauge-quay}',
        keys=_SHARED | {"subject", "consumer"},
        needs={"url": "nats://127.0.0.1:4222", "subject": '"meters.>"', "consumer": "tidegauge-quay"},
        claims="consumer",
        schemes=("nats", "tls"),
    ),
}
