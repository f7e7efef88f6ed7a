"""What goes wrong with meters and sensors, to be put into real series: a seeded library, each kind with its size.

Sizes are in the series' own local spread: the robust deviation of the four weeks before from their median at the same
time of day, weekends apart. Every kind says within which time an event counts as having found it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LIBRARY = "meter-faults-1"
SIZES = (4.0, 6.0, 8.0)  # spreads, in turn
HISTORY_DAYS = 28
TO_DEVIATION = 1.4826  # of a normal, for its median absolute deviation
NIGHT_H = 6.0
NIGHT_TIMES, NIGHT_MOST = 3.0, 6.0  # times the night's median that a baseload rises by, and spreads at most

Floats = npt.NDArray[np.float64]


class Spot(NamedTuple):
    """Where a fault is put and what it goes by.

    Attributes:
        start: First slot.
        day: Slots of a day.
        first: Slot of the series' first value since the epoch, for the time of day.
        spread: Local spread.
        size: How many spreads, where the kind has a size.
        other: Values of another series at the same slots, shape (T,).
        rng: For what is random.
    """

    start: int
    day: int
    first: int
    spread: float
    size: float
    other: Floats
    rng: np.random.Generator


@dataclass(frozen=True)
class MeterFault:
    """One kind of fault.

    Attributes:
        days: Shortest and longest it lasts; 0: one slot.
        within_days: From its start, in which an event counts as having found it.
        change: Values from the start on, shape (L,), and the spot; returns what they become.
    """

    days: tuple[float, float]
    within_days: float
    change: Callable[[Floats, Spot], Floats]


def _spike(x: Floats, p: Spot) -> Floats:
    return x + p.size * p.spread


def _dip(x: Floats, p: Spot) -> Floats:
    return _above_zero(x, x - p.size * p.spread)


def _either(x: Floats, p: Spot) -> Floats:
    return _above_zero(x, x + (p.size if p.rng.random() < 0.5 else -p.size) * p.spread)


def _above_zero(x: Floats, changed: Floats) -> Floats:
    """Consumption does not turn negative by a fault."""
    return np.maximum(changed, 0.0) if np.nanmin(x) >= 0.0 else changed


def _stuck(x: Floats, p: Spot) -> Floats:
    return np.where(np.isnan(x), np.nan, x[0] if not np.isnan(x[0]) else np.nanmedian(x))


def _zero(x: Floats, p: Spot) -> Floats:
    return 0.0 * x


def _times(factor: float) -> Callable[[Floats, Spot], Floats]:
    return lambda x, p: factor * x


def _night(x: Floats, p: Spot) -> Floats:
    night = (p.first + p.start + np.arange(len(x))) % p.day < NIGHT_H / 24 * p.day
    usual = float(np.nanmedian(x[night])) if night.any() else 0.0
    return np.where(night, x + min(NIGHT_TIMES * abs(usual), NIGHT_MOST * p.spread), x)


def _late_by(hours: float) -> Callable[[Floats, Spot], Floats]:
    def change(x: Floats, p: Spot) -> Floats:
        return np.roll(x, max(1, round(hours / 24 * p.day)))

    return change


def _exchanged(x: Floats, p: Spot) -> Floats:
    return p.other[p.start : p.start + len(x)]


def _drift(x: Floats, p: Spot) -> Floats:
    return x + 8.0 * p.spread * np.arange(1, len(x) + 1) / len(x)


def _noise(x: Floats, p: Spot) -> Floats:
    return _above_zero(x, x + p.size / 2 * p.spread * p.rng.standard_normal(len(x)))


def _season(x: Floats, p: Spot) -> Floats:
    return np.roll(x, p.day // 2)


def _missing(x: Floats, p: Spot) -> Floats:
    return np.full(len(x), np.nan)


def _after_vacation(x: Floats, p: Spot) -> Floats:
    """Ten days at the least that the series uses, then nothing."""
    away = 10 * p.day
    low = float(np.nanquantile(x[:away], 0.1)) * (1 + 0.1 * p.rng.standard_normal(len(x)))
    return np.where(np.arange(len(x)) < away, low, 0.0) + 0.0 * x


REST = 1000.0  # days: to the end of the series
HOUR = 1 / 24

KINDS: dict[str, MeterFault] = {
    "spike": MeterFault((0, 0), 1.5 * HOUR, _spike),
    "dip": MeterFault((0, 0), 1.5 * HOUR, _dip),
    "day shift": MeterFault((1, 1), 1, _either),
    "half-day outage": MeterFault((0.5, 0.5), 0.5, _dip),
    "stuck": MeterFault((0.25, 3), 2, _stuck),
    "stuck at zero": MeterFault((0.25, 3), 2, _zero),
    "halved": MeterFault((7, 7), 4, _times(0.5)),
    "doubled": MeterFault((7, 7), 4, _times(2.0)),
    "night baseload": MeterFault((7, 7), 3, _night),
    "phase lost": MeterFault((7, 7), 4, _times(2 / 3)),
    "clock off 1 h": MeterFault((7, 7), 4, _late_by(1)),
    "clock off 6 h": MeterFault((7, 7), 2, _late_by(6)),
    "exchanged": MeterFault((REST, REST), 4, _exchanged),
    "times 1000": MeterFault((1, 1), 1.5 * HOUR, _times(1000.0)),
    "slow drift": MeterFault((14, 14), 14, _drift),
    "noise burst": MeterFault((1, 1), 1, _noise),
    "changed season": MeterFault((3, 3), 2, _season),
    "half a day missing": MeterFault((0.5, 0.5), 0.5, _missing),
    "dead after a vacation": MeterFault((10 + REST, 10 + REST), 14, _after_vacation),
    "dead": MeterFault((REST, REST), 2, _zero),
}
"""By name."""


class Fault(NamedTuple):
    """One that was put into a series; slots count from the series' first."""

    kind: str
    start: int
    end: int
    until: int  # an event that opens in start .. until - 1 has found it


def put(values: Floats, other: Floats, kind: str, first: int, day: int, turn: int, seed: int) -> tuple[Floats, Fault]:
    """Put a fault into a series.

    Args:
        values: Shape (T,); NaN is a gap. At least sixty days.
        other: Another series, same shape.
        kind: Of `KINDS`.
        first: Slot of the first value.
        day: Slots of a day.
        turn: Number of the series: sizes and spots go in turn.
        seed: Of everything random; equal arguments give equal bits.

    Returns:
        The changed series and where the fault is: it starts at a reading in the second month.
    """
    which, made = list(KINDS).index(kind), KINDS[kind]
    rng = np.random.default_rng((seed, which, turn))
    start = int(rng.integers(30 * day, min(50 * day, len(values) - 16 * day)))
    while np.isnan(values[start]):
        start += 1
    least, most = made.days
    length = max(1, round((least + (most - least) * rng.random()) * day))
    end = min(start + length, len(values))
    spot = Spot(start, day, first, spread(values[:start], day), SIZES[turn % len(SIZES)], other, rng)
    changed = values.copy()
    changed[start:end] = made.change(values[start:end], spot)
    until = start + max(2, round(made.within_days * day))
    return changed, Fault(kind, start, end, min(until, len(values)))


def spread(before: Floats, day: int) -> float:
    """Robust deviation of the last four weeks from their median at the same time of day, weekends apart, one number.

    Args:
        before: Values up to here, shape (T,); a series starts on a Monday at midnight.
        day: Slots of a day.
    """
    days = len(before) // day
    table = before[: days * day].reshape(days, day)
    weekend = np.arange(days) % 7 >= 5
    table, weekend = table[-HISTORY_DAYS:], weekend[-HISTORY_DAYS:]
    parts = [table[weekend == kind] for kind in (False, True)]
    off = np.concatenate([(part - np.nanmedian(part, axis=0)).ravel() for part in parts if len(part)])
    return float(TO_DEVIATION * np.nanmedian(np.abs(off))) or float(np.nanstd(off)) or 1.0
