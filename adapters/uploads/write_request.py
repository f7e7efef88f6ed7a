"""The messages of Prometheus' remote write, 1.0 and 2.0, as far as readings need them.

Their fields are declared here rather than generated: two dozen numbers of the specification, which never change
(https://prometheus.io/docs/specs/prw/remote_write_spec/ and remote_write_spec_2_0). What is only counted is declared as
bytes, so that it is not looked into.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from adapters.uploads.protocol import V1, V2, RequestError, TooLargeError

_KINDS = {"double": 1, "int64": 3, "uint32": 13, "string": 9, "bytes": 12}
_ONE, _MANY, _MESSAGE = 1, 3, 11
_MESSAGES: dict[str, dict[str, list[tuple[str, int, str, bool]]]] = {
    "prometheus": {
        "Label": [("name", 1, "string", False), ("value", 2, "string", False)],
        "Sample": [("value", 1, "double", False), ("timestamp", 2, "int64", False)],
        "TimeSeries": [
            ("labels", 1, ".prometheus.Label", True),
            ("samples", 2, ".prometheus.Sample", True),
            ("exemplars", 3, "bytes", True),
            ("histograms", 4, "bytes", True),
        ],
        "WriteRequest": [("timeseries", 1, ".prometheus.TimeSeries", True)],
    },
    "io.prometheus.write.v2": {
        "Sample": [("value", 1, "double", False), ("timestamp", 2, "int64", False)],
        "TimeSeries": [
            ("labels_refs", 1, "uint32", True),
            ("samples", 2, ".io.prometheus.write.v2.Sample", True),
            ("histograms", 3, "bytes", True),
            ("exemplars", 4, "bytes", True),
        ],
        "Request": [("symbols", 4, "string", True), ("timeseries", 5, ".io.prometheus.write.v2.TimeSeries", True)],
    },
}
"""Package -> message -> its fields: name, number, type, whether repeated."""

Labels = tuple[tuple[str, str], ...]
STALE_BYTES = struct.pack("<Q", 0x7FF0_0000_0000_0002)
STALE: float = struct.unpack("<d", STALE_BYTES)[0]
"""The NaN by which Prometheus says that a series has ended or was not scraped, and its bytes: no reading, but a gap."""


class Series(NamedTuple):
    """What a request has of one series.

    Attributes:
        labels: Pairs of name and value.
        samples: Each with `value` and `timestamp`, epoch milliseconds.
        histograms: How many it has, which are not read.
        exemplars: Likewise.
    """

    labels: Labels
    samples: Any
    histograms: int
    exemplars: int


def unpacked(body: bytes, limit: int) -> bytes:
    """What a snappy block holds; raises RequestError where it is none, TooLargeError beyond the limit."""
    length = shift = 0
    for byte in body[:5]:
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    else:
        raise RequestError("the body is not a snappy block")
    if length > limit:
        raise TooLargeError(f"a body may unpack to {limit} bytes")
    if not length:
        return b""
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise RequestError(f"the body is not a snappy block: {error}") from None


def packed(series: Iterable[tuple[Labels, float]], at_ms: int) -> bytes:
    """The body of a request of 1.0 with one sample each, at one instant; labels must be in the order of their names."""
    request = _classes()[V1]()
    for labels, value in series:
        entry = request.timeseries.add()
        for name, text in labels:
            entry.labels.add(name=name, value=text)
        entry.samples.add(value=value, timestamp=at_ms)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def series_of(data: bytes, message: str) -> Iterator[Series]:
    """The series of an unpacked request of this message; raises RequestError where it is none."""
    request = _classes()[message]()
    try:
        request.ParseFromString(data)
    except DecodeError as error:
        raise RequestError(f"the body is no {message}: {error}") from None
    return _of_v1(request) if message == V1 else _of_v2(request)


def _of_v1(request: Any) -> Iterator[Series]:
    for each in request.timeseries:
        labels = tuple((label.name, label.value) for label in each.labels)
        yield Series(labels, each.samples, len(each.histograms), len(each.exemplars))


def _of_v2(request: Any) -> Iterator[Series]:
    symbols = list(request.symbols)
    for each in request.timeseries:
        refs = list(each.labels_refs)
        if len(refs) % 2:
            raise RequestError("the labels of a series are not pairs of symbols")
        try:
            names = [symbols[ref] for ref in refs]
        except IndexError:
            raise RequestError("a label is not among the symbols") from None
        labels = tuple(zip(names[::2], names[1::2], strict=True))
        yield Series(labels, each.samples, len(each.histograms), len(each.exemplars))


@cache
def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    for package, messages in _MESSAGES.items():
        file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        for name, fields in messages.items():
            made = file.message_type.add(name=name)
            for field, number, kind, many in fields:
                type_ = _KINDS.get(kind, _MESSAGE)
                made.field.add(
                    name=field,
                    number=number,
                    type=type_,
                    label=_MANY if many else _ONE,
                    type_name=kind if type_ == _MESSAGE else None,
                )
        pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in (V1, V2)}
