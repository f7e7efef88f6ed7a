"""What Prometheus, and whatever speaks its remote write, sends: samples become lines, series get names."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

import orjson

from adapters.name_template import template
from adapters.source_kind import Surroundings
from adapters.uploads.inbox import Inbox, Inboxes
from adapters.uploads.selector import notation, selector
from adapters.uploads.write_request import STALE_BYTES, Labels, series_of, unpacked

_NAMES_KEPT = 100_000
_SECONDS_BELOW = 100_000_000_000
"""A smaller number is read as seconds (`adapters.formats.stamps`), so such milliseconds are written as a fraction."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a write request holds.

    Attributes:
        lines: Samples that were chosen, as lines of JSON (`adapters.source_kind.OWN_LINES`).
        samples, histograms, exemplars: How many there are of each, chosen or not.
    """

    lines: bytes
    samples: int
    histograms: int
    exemplars: int


class RemoteWrite(Inbox):
    """An inbox for write requests.

    Series that no selector takes, and staleness markers, are no readings: they are counted and go no further. Native
    histograms and exemplars are not read.

    Args:
        match: Selectors, one of which must take a series; none: all are taken.
        series: Template of a series' name; None: as Prometheus shows it.
    """

    def __init__(
        self, name: str, inboxes: Inboxes, *, match: Sequence[str] = (), series: str | None = None, **given: Any
    ) -> None:
        super().__init__(name, "prometheus", inboxes, **given)
        self._selectors = [selector(text) for text in match]
        self._name: Callable[[Mapping[str, str]], str] = notation if series is None else template(series)
        self._names: dict[Labels, bytes | None] = {}
        self._counts.update({"unmatched_samples": 0, "stale_markers": 0, "histograms_ignored": 0})

    def written(self, body: bytes, message: str) -> Written:
        """The readings of a request, as it was sent; from any thread.

        Args:
            body: A snappy block.
            message: `V1` or `V2`.

        Raises:
            RequestError: It is no such message.
            TooLargeError: It unpacks to more than `body_bytes`.
        """
        data = unpacked(body, self.body_bytes)
        lines: list[bytes] = []
        samples = unmatched = stale = histograms = exemplars = 0
        for each in series_of(data, message):
            count = len(each.samples)
            samples, histograms, exemplars = samples + count, histograms + each.histograms, exemplars + each.exemplars
            name = self._named(each.labels)
            if name is None:
                unmatched += count
                continue
            for sample in each.samples:
                value = sample.value
                if isnan(value) and struct.pack("<d", value) == STALE_BYTES:
                    stale += 1
                else:
                    lines.append(b'{"s":%b,"t":%b,"v":%b}\n' % (name, _stamp(sample.timestamp), _number(value)))
        with self._lock:
            self._counts["unmatched_samples"] += unmatched
            self._counts["stale_markers"] += stale
            self._counts["histograms_ignored"] += histograms
        return Written(b"".join(lines), samples, histograms, exemplars)

    def _named(self, labels: Labels) -> bytes | None:
        """A series' name as JSON, None where it is not wanted; remembered, for the same ones come again and again."""
        try:
            return self._names[labels]
        except KeyError:
            pass
        by_name = dict(labels)
        wanted = not self._selectors or any(chooses(by_name) for chooses in self._selectors)
        name = orjson.dumps(self._name(by_name)) if wanted else None
        if len(self._names) >= _NAMES_KEPT:
            self._names.clear()
        self._names[labels] = name
        return name


def _stamp(at_ms: int) -> bytes:
    return b"%d" % at_ms if at_ms >= _SECONDS_BELOW else b"%.3f" % (at_ms / 1000)


def _number(value: float) -> bytes:
    """As JSON; what is not finite as Python's reader takes it, so that it is rejected for that reason."""
    if isfinite(value):
        return repr(value).encode()
    return b"NaN" if isnan(value) else b"Infinity" if value > 0 else b"-Infinity"


def made(name: str, settings: Any, surroundings: Surroundings) -> RemoteWrite:
    """As an entry of `sources` has it."""
    return RemoteWrite(
        name,
        surroundings.inboxes,
        match=settings.match,
        series=settings.series,
        line_bytes=surroundings.line_bytes,
        body_bytes=settings.body_bytes,
        notice=surroundings.notice,
    )
