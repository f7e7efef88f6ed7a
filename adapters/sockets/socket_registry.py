"""Peers as sources, by type."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.source_kind import SourceKind

_CONNECTIONS = frozenset({"max_connections", "line_timeout", "idle_timeout", "ack"})

SOCKETS: Mapping[str, SourceKind] = {
    "tcp": SourceKind(
        maker="adapters.sockets.tcp:made",
        sample='{type: tcp, listen: "127.0.0.1:9899", ack: true}',
        beside=("format: {series: series}", "interval: 30m"),
        keys=_CONNECTIONS | {"listen", "allow", "tls"},
        needs={"listen": "127.0.0.1:9899"},
        claims="listen",
    ),
    "udp": SourceKind(
        maker="adapters.sockets.udp:made",
        sample='{type: udp, listen: "127.0.0.1:9899"}',
        beside=("format: {columns: [timestamp, series, value], series: series}", "interval: 30m"),
        keys=frozenset({"listen", "allow"}),
        needs={"listen": "127.0.0.1:9899"},
        claims="listen",
    ),
    "unix": SourceKind(
        maker="adapters.sockets.unix:made",
        sample='{type: unix, path: /run/tidegauge/readings.sock, mode: "0660"}',
        beside=("format: {series: series}", "interval: 30m"),
        keys=_CONNECTIONS | {"path", "mode", "group"},
        needs={"path": "/run/tidegauge/readings.sock"},
        claims="path",
    ),
}
