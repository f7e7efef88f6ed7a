"""Which series of a picture are asked for, in order and in pages: one pass over the names, whatever there are."""

from __future__ import annotations

import base64
import fnmatch
import heapq
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.metrics.collector import Picture
from daemon.metrics.snapshot import SeriesColumns, StreamSnapshot

Place = tuple[float, str, str]
"""Where a series stands: minus its score (0 where names are the order), its name, its stream."""


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """Which series are wanted; all conditions hold, and what is None is none.

    Attributes:
        stream: Of this stream.
        q: Whose name has this in it, in any case; with `*` and `?` the whole name is meant.
        state: `anomalous`, `silent`, or a status.
        reason: With something open for this reason.
        order: `score`, the greatest first, or `name`.
    """

    stream: str | None = None
    q: str | None = None
    state: str | None = None
    reason: str | None = None
    order: str = "score"


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """A page of a search.

    Attributes:
        rows: `(stream, entry)` of each, an entry being an index into the stream's columns.
        total: How many there are on all pages.
        next: Where the next page goes on; None behind the last.
    """

    rows: list[tuple[StreamSnapshot, int]]
    total: int
    next: str | None


def search(picture: Picture, wanted: SeriesFilter, limit: int, cursor: str | None = None) -> SeriesPage:
    """The first so many of what is wanted, behind a cursor where one is given.

    Raises:
        LookupError: The cursor is none that a search gave.
    """
    after = None if cursor is None else _place(cursor)
    matching = [(each, _matching(each.series, wanted)) for each in _streams(picture, wanted.stream)]
    total = sum(len(index) for _, index in matching)
    by_score = wanted.order == "score"
    places: Iterator[tuple[Place, StreamSnapshot, int]] = (
        candidate for each, index in matching for candidate in _candidates(each, index, by_score, after, limit)
    )
    best = heapq.nsmallest(limit + 1, places, key=lambda found: found[0])
    more = _cursor(best[limit - 1][0]) if len(best) > limit else None
    return SeriesPage([(each, entry) for _, each, entry in best[:limit]], total, more)


def find(picture: Picture, stream: str, series: str) -> tuple[StreamSnapshot, int] | None:
    """One series; None where it is not there."""
    snapshot = picture.streams.get(stream)
    if snapshot is None:
        return None
    try:
        return snapshot, snapshot.series.name.index(series)
    except ValueError:
        return None


def open_reasons(series: SeriesColumns, entry: int) -> tuple[str, ...]:
    """Reasons of what is open of a series."""
    episode = series.episodes.get(entry)
    return (*(episode.reasons if episode is not None else ()), *(("gap",) if series.silent[entry] else ()))


def _streams(picture: Picture, stream: str | None) -> list[StreamSnapshot]:
    return [each for name, each in picture.streams.items() if stream is None or name == stream]


def _matching(series: SeriesColumns, wanted: SeriesFilter) -> npt.NDArray[np.int64]:
    """Entries that are wanted."""
    chosen = np.ones(len(series), np.bool_)
    if wanted.state == "anomalous":
        chosen &= series.anomalous
    elif wanted.state == "silent":
        chosen &= series.silent
    elif wanted.state is not None:
        chosen &= np.fromiter((each == wanted.state for each in series.status), np.bool_, len(series))
    if wanted.reason is not None:
        having = [entry for entry, each in series.episodes.items() if wanted.reason in each.reasons]
        open_for_it = np.zeros(len(series), np.bool_)
        open_for_it[having] = True
        chosen &= (open_for_it | series.silent) if wanted.reason == "gap" else open_for_it
    index = np.flatnonzero(chosen)
    if wanted.q:
        has, names = _has(wanted.q), series.name
        index = np.array([entry for entry in index.tolist() if has(names[entry])], np.int64)
    return index


def _has(text: str) -> Callable[[str], Any]:
    """Whether a name is meant."""
    lower = text.lower()
    if "*" in text or "?" in text:
        return re.compile(fnmatch.translate(lower), re.IGNORECASE).match
    return lambda name: lower in name.lower()


def _candidates(
    stream: StreamSnapshot, index: npt.NDArray[np.int64], by_score: bool, after: Place | None, limit: int
) -> Iterator[tuple[Place, StreamSnapshot, int]]:
    """Those of a stream among which the first `limit + 1` behind a place are."""
    names = stream.series.name
    if not by_score:
        for entry in index.tolist():
            place = (0.0, names[entry], stream.name)
            if after is None or place > after:
                yield place, stream, entry
        return
    score = -np.nan_to_num(stream.series.score[index].astype(np.float64), nan=0.0)
    if after is not None:
        beyond = score >= after[0]
        index, score = index[beyond], score[beyond]
    order, left = np.argsort(score, kind="stable"), limit + 1
    worst = None
    for at in order.tolist():
        place = (float(score[at]), names[int(index[at])], stream.name)
        if after is not None and place <= after:
            continue
        if left <= 0 and place[0] != worst:  # those of equal score are told apart by their names: all are candidates
            return
        left, worst = left - 1, place[0]
        yield place, stream, int(index[at])


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        score, name, stream = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        if not (isinstance(score, float) and isinstance(name, str) and isinstance(stream, str)):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise LookupError("there is no such cursor; begin without one") from None
    return score, name, stream
