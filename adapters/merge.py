"""Merges places by event time, so that a backlog of several files reads like one stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adapters.base import REJECTIONS, Chunk, Position, Readings
from adapters.formats.rows import compact

_NEVER = -(1 << 62)


@dataclass(frozen=True, slots=True)
class Merged:
    """Readings that may go on, and what a journal entry of them must hold.

    Attributes:
        series: Distinct series, in the order of their first reading where places were merged.
        codes: Index into `series`, shape (N,), int32.
        at_ms: Event time, epoch milliseconds, shape (N,), int64.
        fold_s: See `Readings.fold_s`, shape (N,), int32.
        values: Shape (N, F), float64.
        quality: See `Readings.quality`, shape (N,), int8.
        rejected: Rejected and discarded lines by reason.
        positions: Where each place that moved resumes after these readings.
    """

    series: list[str]
    codes: npt.NDArray[np.int32]
    at_ms: npt.NDArray[np.int64]
    fold_s: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int8]
    rejected: Mapping[str, int]
    positions: Mapping[str, Position]

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class WaitingChunk:
    """A chunk that nothing has gone out of.

    Attributes:
        place: Its place.
        first: Key of its first row, as `EventTimeMerge` has it; before all others where it has none.
        last: Whether its place ends with it.
    """

    place: str
    first: int
    last: bool


@dataclass(slots=True)
class _Held:
    """A parsed chunk of which the first `row` readings and `bad` rejections went out already."""

    chunk: Chunk
    readings: Readings
    header: str | None
    keys: npt.NDArray[np.int64]
    row: int = 0
    bad: int = 0


class EventTimeMerge:
    """Releases readings in order of event time over all places that still have a backlog.

    Rows of one place keep their order: the key of a row is the greatest time its place has shown up to the end of its
    line. Rows go out by (key, order, place), so where the chunks were cut does not matter. A place whose backlog is not
    read yet may still show rows from its last key on; nothing beyond that goes out. Places without backlog hold nobody
    back.

    It keeps one chunk of each place: poll with `skip=merge.held()`.
    """

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._last: dict[str, int] = {}

    def add(self, chunk: Chunk, readings: Readings, header: str | None) -> None:
        """Take a parsed chunk.

        Args:
            chunk: As the source gave it.
            readings: What the format made of it.
            header: The header in force after it.

        Raises:
            ValueError: A chunk of this place is held still.
        """
        if chunk.place in self._held:
            raise ValueError(f"a chunk of {chunk.place} is held already; poll with skip=merge.held()")
        last = self._last.get(chunk.place, _NEVER)
        keys = np.maximum(np.maximum.accumulate(readings.at_ms), last) if len(readings) else readings.at_ms
        if (np.diff(readings.ends) == 0).any():  # readings of one line go on together
            keys = keys[np.searchsorted(readings.ends, readings.ends, side="right") - 1]
        self._last[chunk.place] = int(keys[-1]) if len(keys) else last
        self._held[chunk.place] = _Held(chunk, readings, header, keys)

    def held(self) -> frozenset[str]:
        """Places of which a chunk has not gone out entirely."""
        return frozenset(self._held)

    def forget(self, places: Collection[str]) -> None:
        """Places that will never give a chunk again."""
        for place in places:
            if place not in self._held:
                self._last.pop(place, None)

    def drop(self, source: str) -> None:
        """Let go of what is held of a source's places: it is read again by whoever reads them next."""
        for kept in (self._held, self._last):
            for place in [place for place in kept if place.startswith(f"{source}:")]:
                del kept[place]

    def waiting(self) -> list[WaitingChunk]:
        """The chunks that are held whole, in the order in which they came."""
        return [
            WaitingChunk(place, int(held.keys[0]) if len(held.keys) else _NEVER, held.chunk.last)
            for place, held in self._held.items()
        ]

    def merged(self, places: Sequence[str]) -> Merged:
        """The chunks of these places, one after the other; they are held whole."""
        taken = [self._held.pop(place) for place in places]
        if len(taken) == 1:
            return _whole(taken[0])
        for at, held in enumerate(taken):
            held.keys = np.full(len(held.keys), at, np.int64)
        parts = [_advance(held, len(held.readings)) for held in taken]
        return _join([part for part in parts if part is not None])

    def release(self, backlog: Collection[str]) -> Merged | None:
        """All that may go out now; None when that is nothing.

        Args:
            backlog: Places with unread bytes, as their sources say.
        """
        bound = min(((self._last.get(place, _NEVER), place) for place in backlog), default=None)
        if len(self._held) == 1:
            (place, held), *_ = self._held.items()
            if held.row == held.bad == 0 and _allowed(held, place, bound) == len(held.readings):
                del self._held[place]
                return _whole(held)
        parts: list[_Part] = []
        for place in sorted(self._held, key=lambda place: (self._held[place].chunk.order, place)):
            held = self._held[place]
            part = _advance(held, _allowed(held, place, bound))
            if part is not None:
                parts.append(part)
            if held.row == len(held.readings):
                del self._held[place]
        return _join(parts) if parts else None


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows `start` to `stop` of a held chunk, with the rejections between them."""

    held: _Held
    start: int
    stop: int
    rejected: Counter[str]
    position: Position


def _allowed(held: _Held, place: str, bound: tuple[int, str] | None) -> int:
    """Rows of a chunk that may have gone out: those up to `bound`, a (key, place)."""
    if bound is None:
        return len(held.keys)
    return int(np.searchsorted(held.keys, bound[0], side="right" if place <= bound[1] else "left"))


def _advance(held: _Held, stop: int) -> _Part | None:
    """Move a chunk on to row `stop`, with all rejections up to there; None when nothing moved."""
    start, readings = held.row, held.readings
    rejected: Counter[str] = Counter()
    if stop == len(readings):  # the rest of the chunk goes with its last row
        end, bad = held.chunk.length, len(readings.bad_ends)
        rejected.update(held.chunk.discarded)
    elif stop == start:
        return None
    else:
        end = int(readings.ends[stop - 1])
        bad = int(np.searchsorted(readings.bad_ends, end, side="right"))
    for reason, count in zip(*np.unique(readings.bad_reasons[held.bad : bad], return_counts=True), strict=True):
        rejected[REJECTIONS[int(reason)]] += int(count)
    held.row, held.bad = stop, bad
    return _Part(held, start, stop, rejected, held.chunk.position_at(end, held.header))


def _whole(held: _Held) -> Merged:
    """A chunk as it came, nothing copied."""
    readings, chunk = held.readings, held.chunk
    rejected = Counter(readings.rejected())
    rejected.update(chunk.discarded)
    positions = {chunk.place: chunk.position_at(chunk.length, held.header)}
    r = readings
    return Merged(r.series, r.codes, r.at_ms, r.fold_s, r.values, r.quality, dict(rejected), positions)


def _join(parts: Sequence[_Part]) -> Merged:
    """Rows of several chunks by (key, place); `parts` are in the order of their places."""
    rows = concatenate([_slice(part.held.readings, part.start, part.stop) for part in parts])
    if len(parts) > 1:
        order = np.argsort(np.concatenate([p.held.keys[p.start : p.stop] for p in parts]), kind="stable")
    else:
        order = np.arange(len(rows))
    series, codes = compact(rows.series, rows.codes[order])
    rejected: Counter[str] = Counter()
    for part in parts:
        rejected.update(part.rejected)
    positions = {part.held.chunk.place: part.position for part in parts}
    return Merged(
        series,
        codes,
        rows.at_ms[order],
        rows.fold_s[order],
        rows.values[order],
        rows.quality[order],
        dict(rejected),
        positions,
    )


def _slice(readings: Readings, start: int, stop: int) -> Readings:
    """Rows `start` to `stop`, without rejections."""
    return Readings(
        readings.series,
        readings.codes[start:stop],
        readings.at_ms[start:stop],
        readings.fold_s[start:stop],
        readings.values[start:stop],
        readings.quality[start:stop],
        readings.ends[start:stop],
        readings.bad_reasons[:0],
        readings.bad_ends[:0],
    )


def concatenate(parts: Sequence[Readings]) -> Readings:
    """Several readings as one, their series merged into one dictionary; `parts` has at least one.

    `ends` and `bad_ends` run on as if the chunks stood one behind the other, each as long as its last line end.
    """
    index: dict[str, int] = {}
    codes, ends, bad_ends, base = [], [], [], 0
    for part in parts:
        renamed = np.fromiter((index.setdefault(x, len(index)) for x in part.series), np.int32, len(part.series))
        codes.append(renamed[part.codes] if len(renamed) else part.codes)
        ends.append(part.ends + base)
        bad_ends.append(part.bad_ends + base)
        base = max([base, *(int(e[-1]) for e in (ends[-1], bad_ends[-1]) if len(e))])
    return Readings(
        list(index),
        np.concatenate(codes),
        np.concatenate([part.at_ms for part in parts]),
        np.concatenate([part.fold_s for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.quality for part in parts]),
        np.concatenate(ends),
        np.concatenate([part.bad_reasons for part in parts]),
        np.concatenate(bad_ends),
    )
