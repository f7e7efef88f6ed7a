"""Write requests as senders make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cramjam

from adapters.uploads import write_request
from adapters.uploads.protocol import V1, V2
from adapters.uploads.write_request import STALE

__all__ = ["STALE", "Sample", "headers", "packed", "request"]

Sample = tuple[int, float]
"""Epoch milliseconds and value."""


def request(series: Sequence[tuple[Mapping[str, str], Sequence[Sample]]], version: int = 1) -> bytes:
    """A body with these series, labels in the order of their names."""
    made: Any = write_request._classes()[V1 if version == 1 else V2]()
    symbols: dict[str, int] = {"": 0}
    for labels, samples in series:
        entry = made.timeseries.add()
        for pair in sorted(labels.items()):
            if version == 1:
                entry.labels.add(name=pair[0], value=pair[1])
            else:
                entry.labels_refs.extend([symbols.setdefault(text, len(symbols)) for text in pair])
        for at_ms, value in samples:
            entry.samples.add(timestamp=at_ms, value=value)
    if version == 2:
        made.symbols.extend(symbols)
    return packed(made.SerializeToString())


def packed(data: bytes) -> bytes:
    """A snappy block."""
    return bytes(cramjam.snappy.compress_raw(data))


def headers(version: int = 1) -> dict[str, str]:
    """Those of a sender of this version."""
    parameter = "" if version == 1 else f";proto={V2}"
    return {"Content-Type": f"application/x-protobuf{parameter}", "Content-Encoding": "snappy"}
