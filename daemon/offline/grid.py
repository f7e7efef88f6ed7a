"""Readings in order of arrival as series on their grids of slots, made as the engine makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from daemon.config.settings import StreamSettings
from daemon.engine.detection.policies import policies, policy_of
from daemon.engine.kernel.slots import SlotClock
from daemon.engine.messages.inputs import Batch
from daemon.engine.table.registers import Meter, increases, meter_of
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
    actual: npt.NDArray[np.bool_]  # (N,) False where the sender did not measure it


def on_grid(read: Sequence[Batch], settings: StreamSettings, interval_s: int, where: str) -> list[History]:
    """The series of batches, by name: aggregated, and increases where the stream is of counters.

    A reading that came late is in its slot, also where the engine would not have waited for it. What is not to be
    learned from (estimated, beyond the physical limits, misread by a register) is a gap.

    Args:
        read: Batches of one stream and one width, in order of arrival.
        settings: The stream's; their interval is not looked at.
        interval_s: Seconds between two slots.
        where: What messages call the readings' origin.

    Raises:
        HistoryError: A series spans too many slots.
    """
    clock = SlotClock(interval_s, settings.timezone, settings.stamp, settings.holidays)
    rules = policies(settings)
    found = []
    for series in _by_series(read, clock):
        slots = _settled(series, settings.aggregate)
        values = aggregated(pd.DataFrame(series.values, slots), settings.aggregate)
        if (span := int(values.index[-1] - values.index[0])) >= MOST_SLOTS:
            raise HistoryError(
                f"{where}: {series.series} spans {span:,} slots of {interval_s} s, more than "
                f"{MOST_SLOTS:,}; look for a wrong stamp, or give a longer --interval"
            )
        known = values.where(_measured(series.actual, slots, settings.aggregate), axis=0)
        made = _risen(known.dropna(), meter_of(settings)) if settings.kind == "counter" else known
        rule = rules[policy_of(settings.alerts, series.series)]
        possible = made[((made >= rule["lowest"]) & (made <= rule["greatest"])).all(axis=1)]
        if possible.empty:
            continue
        grid_slots = pd.RangeIndex(possible.index[0], values.index[-1] + 1)
        grid = np.ascontiguousarray(possible.reindex(grid_slots).to_numpy())
        found.append(History(series.series, interval_s, grid_slots[0], grid, clock.local_s(grid_slots.to_numpy())))
    return found


def _by_series(read: Sequence[Batch], clock: SlotClock) -> Iterator[_Arrivals]:
    """Each series' readings, by name."""
    index: dict[str, int] = {}
    rows = [np.array([index.setdefault(series, len(index)) for series in batch.series], np.int64) for batch in read]
    codes = np.concatenate([own[batch.codes] for own, batch in zip(rows, read, strict=True)])
    slots = np.concatenate([clock.slots(batch.at_ms) for batch in read])
    shifts = np.concatenate([batch.fold_s.astype(np.int64) // clock.interval_s for batch in read])
    values = np.concatenate([batch.values for batch in read])
    actual = np.concatenate([np.full(len(b), True) if b.quality is None else b.quality == 0 for b in read])
    own = pd.Series(codes).groupby(codes).indices  # code -> its readings, in order of arrival
    for series, code in sorted(index.items()):
        if code in own:
            mine = own[code]
            yield _Arrivals(series, slots[mine], shifts[mine], values[mine], actual[mine])


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


def aggregated(values: pd.DataFrame, aggregate: Aggregate) -> pd.DataFrame:
    """One row for each slot, the slots rising; without an aggregate the first reading counts.

    Args:
        values: A row for each reading, in order of arrival; the index is its slot.
        aggregate: How the readings of a slot become one.

    >>> aggregated(pd.DataFrame([1.0, 2.0, 5.0], [3, 4, 3]), "mean")[0].to_dict()
    {3: 3.0, 4: 2.0}
    """
    if aggregate in ("none", "last"):
        kept: Literal["first", "last"] = "first" if aggregate == "none" else "last"
        return values[~values.index.duplicated(kept)].sort_index()
    slots, index, count = np.unique(values.index, return_inverse=True, return_counts=True)
    total = np.zeros((len(slots), values.shape[1]))
    np.add.at(total, index, values.to_numpy())  # as the engine adds; pandas' sums compensate rounding
    return pd.DataFrame(total / count[:, None] if aggregate == "mean" else total, slots)


def _measured(actual: npt.NDArray[np.bool_], slots: Ints, aggregate: Aggregate) -> pd.Series[bool]:
    """Of each slot, rising: whether the readings that count in it were measured."""
    by_slot = pd.Series(actual, slots).groupby(level=0)
    return by_slot.first() if aggregate == "none" else by_slot.all()


def _risen(values: pd.DataFrame, meter: Meter) -> pd.DataFrame:
    """A register's increase per slot, as the engine reads it; NaN where there is none."""
    if values.empty:
        return values
    return pd.DataFrame(increases(values.index.to_numpy(), values.to_numpy(), meter), values.index)
