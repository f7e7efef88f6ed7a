"""Readings in order of arrival as series on their grids of slots, made as the engine makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.config.settings import StreamSettings
from daemon.engine.kernel.slots import SlotClock
from daemon.engine.messages.inputs import Batch
from models.offline.history import History, HistoryError

MOST_SLOTS = 20_000_000  # of one series' grid: 38 years of minutes

Aggregate = Literal["none", "mean", "sum", "last"]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class _Arrivals(NamedTuple):
    """Readings of one series in order of arrival, N of them."""

    series: str
    slots: Ints  # (N,)
    shifts: Ints  # (N,) slots to add where the slot is taken: the second pass of a repeated local hour
    values: Floats  # (N, F)


def on_grid(read: Sequence[Batch], settings: StreamSettings, interval_s: int, where: str) -> list[History]:
    """The series of batches, by name: aggregated, and increases where the stream is of counters.

    A reading that came late is in its slot, also where the engine would not have waited for it.

    Args:
        read: Batches of one stream and one width, in order of arrival.
        settings: The stream's; their interval is not looked at.
        interval_s: Seconds between two slots.
        where: What messages call the readings' origin.

    Raises:
        HistoryError: A series spans too many slots.
    """
    clock = SlotClock(interval_s, settings.timezone, settings.stamp, settings.holidays)
    found = []
    for series in _by_series(read, clock):
        slots, values = aggregated(_settled(series, settings.aggregate), series.values, settings.aggregate)
        if slots[-1] - slots[0] >= MOST_SLOTS:
            raise HistoryError(
                f"{where}: {series.series} spans {int(slots[-1] - slots[0]):,} slots of {interval_s} s, more than "
                f"{MOST_SLOTS:,}; look for a wrong stamp, or give a longer --interval"
            )
        if settings.kind == "counter":
            slots, values = increases(slots, values)
        if not len(slots):
            continue
        grid = np.full((int(slots[-1] - slots[0]) + 1, values.shape[1]), np.nan)
        grid[slots - slots[0]] = values
        local_s = clock.local_s(np.arange(slots[0], slots[-1] + 1))
        found.append(History(series.series, interval_s, int(slots[0]), grid, local_s))
    return found


def _by_series(read: Sequence[Batch], clock: SlotClock) -> Iterator[_Arrivals]:
    """Each series' readings, by name."""
    index: dict[str, int] = {}
    rows = [np.array([index.setdefault(series, len(index)) for series in batch.series], np.int64) for batch in read]
    codes = np.concatenate([own[batch.codes] for own, batch in zip(rows, read, strict=True)])
    slots = np.concatenate([clock.slots(batch.at_ms) for batch in read])
    shifts = np.concatenate([batch.fold_s.astype(np.int64) // clock.interval_s for batch in read])
    values = np.concatenate([batch.values for batch in read])
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(index) + 1))
    for series, code in sorted(index.items()):
        own = order[ends[code] : ends[code + 1]]
        if len(own):
            yield _Arrivals(series, slots[own], shifts[own], values[own])


def _settled(series: _Arrivals, aggregate: Aggregate) -> Ints:
    """The slot of each reading: one of a repeated local hour is of the second when the first is taken, shape (N,)."""
    slots = series.slots.copy()
    greatest = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(slots)[:-1]])
    moved = np.iinfo(np.int64).min  # greatest of the slots that readings were moved to
    for i in np.flatnonzero(series.shifts):
        last = max(int(greatest[i]), moved)
        if slots[i] < last or (slots[i] == last and aggregate == "none"):
            slots[i] += series.shifts[i]
            moved = max(moved, int(slots[i]))
    return slots


def aggregated(slots: Ints, values: Floats, aggregate: Aggregate) -> tuple[Ints, Floats]:
    """One value for each slot; without an aggregate the first reading counts.

    Args:
        slots: Of each reading, in order of arrival, shape (N,).
        values: Shape (N, F).

    Returns:
        The slots, rising, shape (M,), and their values, shape (M, F).

    >>> aggregated(np.array([3, 4, 3]), np.array([[1.0], [2.0], [5.0]]), "mean")[1].tolist()
    [[3.0], [2.0]]
    """
    if aggregate == "last":
        kept, from_end = np.unique(slots[::-1], return_index=True)
        return kept, values[len(slots) - 1 - from_end]
    kept, first, place, count = np.unique(slots, return_index=True, return_inverse=True, return_counts=True)
    if aggregate == "none":
        return kept, values[first]
    total = np.zeros((len(kept), values.shape[1]))
    np.add.at(total, place, values)
    return kept, total / count[:, None] if aggregate == "mean" else total


def increases(slots: Ints, values: Floats) -> tuple[Ints, Floats]:
    """A counter's increase per slot since the reading before; after a reset, since zero. The first reading has none.

    >>> increases(np.array([0, 1, 3]), np.array([[5.0], [9.0], [6.0]]))[1].tolist()
    [[4.0], [3.0]]
    """
    rise = np.where(values[1:] < values[:-1], values[1:], values[1:] - values[:-1])
    return slots[1:], rise / np.diff(slots)[:, None]
