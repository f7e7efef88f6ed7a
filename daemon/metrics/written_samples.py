"""The samples of all metrics as remote write has them, and which series have ended since the last ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import Metric

from adapters.uploads.write_request import STALE, Labels


class WrittenSamples:
    """Turns what a scrape would see into series with a sample each.

    A scraper notes by itself when a series is gone, such as the severity of an episode that has ended. A store that is
    written to does not, and shows its last sample for minutes; so what was there last time and is not now is given once
    more, as stale.

    Args:
        labels: Added to every sample; a metric's own labels come first.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = dict(labels)
        self._last: set[Labels] = set()

    def next(self, metrics: Iterable[Metric]) -> Iterator[tuple[Labels, float]]:
        """Pairs of name and value in the order of names, as the protocol has it, and the sample; at most once each."""
        there: set[Labels] = set()
        for metric in metrics:
            for sample in metric.samples:
                labels = tuple(sorted((n, v) for n, v in self._all(sample.name, sample.labels) if v))
                if labels not in there:
                    there.add(labels)
                    yield labels, sample.value
        yield from ((labels, STALE) for labels in sorted(self._last - there))
        self._last = there

    def _all(self, name: str, own: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        return (self._labels | {"__name__": name, **own}).items()
