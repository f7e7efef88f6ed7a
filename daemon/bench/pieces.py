"""Long real series cut into pieces that run side by side: equally long, all moved to begin on the same Monday."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.bench.meter_faults import KINDS, Fault, put

PIECE_DAYS = 90
LEAST_OBSERVED = 0.9  # of a piece's slots
MONDAY = 4  # days from the epoch to the first Monday
START_DAY = 19_723  # 2024-01-01, a Monday

Floats = npt.NDArray[np.float64]


class Pieces(NamedTuple):
    """N pieces side by side.

    Attributes:
        series: Name of the series that each was cut from.
        names: Name of each, one line a piece.
        values: Shape (T, N); NaN is a gap.
        first: Slot of the first row.
        interval_s: Length of a slot.
    """

    series: tuple[str, ...]
    names: tuple[str, ...]
    values: Floats
    first: int
    interval_s: int


def cut(series: dict[str, tuple[npt.NDArray[np.int64], Floats]], interval_s: int, most: int | None) -> Pieces:
    """Pieces of all series.

    Args:
        series: Instants, epoch seconds on the local clock, and values of each, by name.
        interval_s: Length of a slot.
        most: Pieces of each series at most, spread evenly over it; None: all.
    """
    day = 86400 // interval_s
    of, names, columns = [], [], []
    for name, (at, values) in series.items():
        slots = at // interval_s
        dense = np.full(int(slots.max() - slots.min()) + 1, np.nan)
        dense[slots - slots.min()] = values
        shift = -int(slots.min() - MONDAY * day) % (7 * day)
        length = PIECE_DAYS * day
        starts = range(shift, len(dense) - length + 1, 7 * day * (PIECE_DAYS // 7 + 1))
        whole = [s for s in starts if np.isfinite(dense[s : s + length]).mean() >= LEAST_OBSERVED]
        chosen = whole if most is None or most >= len(whole) else [whole[i * len(whole) // most] for i in range(most)]
        for s in chosen:
            of.append(name)
            names.append(f"{name}@{s // day}")
            columns.append(dense[s : s + length])
    return Pieces(tuple(of), tuple(names), np.stack(columns, 1), START_DAY * day, interval_s)


def with_faults(pieces: Pieces, seed: int) -> tuple[Pieces, list[Fault]]:
    """A copy of every piece for every kind of fault, with one fault each, and what is in it."""
    day = 86400 // pieces.interval_s
    of, names, columns, faults = [], [], [], []
    count = len(pieces.names)
    for kind in KINDS:
        for i in range(count):
            others = [j for j in range(count) if pieces.series[j] != pieces.series[i]] or [
                j for j in range(count) if j != i
            ]
            other = pieces.values[:, others[(7 * i + 3) % len(others)]] if others else pieces.values[::-1, i]
            changed, fault = put(pieces.values[:, i], other, kind, pieces.first, day, i, seed)
            of.append(pieces.series[i])
            names.append(f"{pieces.names[i]}/{kind}")
            columns.append(changed)
            faults.append(fault)
    return Pieces(tuple(of), tuple(names), np.stack(columns, 1), pieces.first, pieces.interval_s), faults
