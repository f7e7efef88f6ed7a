"""What a file of readings is like: counts, statistics of its values, interval, gaps and seasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.base import Progress
from daemon.replay.replay import LINE_BYTES, Reader, chunks
from daemon.replay.unread import unread

BINS = 40
MOST_GAPS = 10  # shown, the longest
WHISKER = 1.5  # interquartile ranges (Tukey 1977)
SEASON_SLOTS = 200_000  # newest slots that seasons are looked for in
LEAST_STRENGTH = 0.3  # autocorrelation of a season
LEAST_RISE = 0.2  # of the autocorrelation, from its lowest point before a season's peak
NEARLY = 0.8  # of the strongest season: the shortest one that is as strong as this is named too

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class DescribingError(ValueError):
    """A file that cannot be described; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Values:
    """Statistics of all values. `std` divides by count - 1; quartiles interpolate between neighbours.

    Attributes:
        lower, upper: Whiskers of the box plot: the outermost values within 1.5 interquartile ranges of the box.
        outside: Values beyond the whiskers.
        bins: Values in each of equal parts between `min` and `max`, shape (40,).
    """

    count: int
    mean: float
    std: float
    min: float
    q25: float
    median: float
    q75: float
    max: float
    lower: float
    upper: float
    outside: int
    bins: list[int]


@dataclass(frozen=True, slots=True)
class Gap:
    """Slots without a reading between two of a series; `after` and `before` are those two, epoch seconds."""

    series: str
    after: int
    before: int
    slots: int


@dataclass(frozen=True, slots=True)
class Season:
    """A period after which values come again; `strength` is the autocorrelation there, at most 1."""

    period_s: int
    strength: float


@dataclass(frozen=True, slots=True)
class Description:
    """What was found.

    Attributes:
        series: Readings by series.
        rejected: Lines that are no readings, by reason.
        first_at, last_at: Epoch seconds.
        interval_s: Most frequent step between readings of one series, seconds.
        regular: Share of steps that are the interval, 0 to 1.
        repeated: Readings of a slot that already had one.
        missing: Slots without a reading, from each series' first to its last.
        gaps: How many runs of such slots there are.
        longest_gaps: The longest of them.
        gap_slots_q99: 99 % of the gaps are at most so many slots long; 0 without gaps.
        long_gaps: Gaps of three slots and more.
        long_gaps_per_month: The same per series and 30 days.
        rising: Whether the values only ever rise, but for a few resets, like a counter's.
        seasons: Of the series with the most readings, the strongest first; of its increases where it is rising.
    """

    file: str
    rows: int
    series: dict[str, int]
    rejected: dict[str, int]
    first_at: int
    last_at: int
    interval_s: int
    regular: float
    repeated: int
    missing: int
    gaps: int
    longest_gaps: list[Gap]
    gap_slots_q99: int
    long_gaps: int
    long_gaps_per_month: float
    rising: bool
    values: Values
    seasons: list[Season]

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


class Columns(NamedTuple):
    """All readings of a file, N of them, by series and then by time."""

    labels: list[str]
    codes: Ints  # (N,)
    at_s: Ints  # (N,)
    values: Floats  # (N,)
    rejected: dict[str, int]


def describe(path: Path, fmt: Reader, progress: Progress = lambda done, total: None) -> Description:
    """Describe a file of single values.

    Raises:
        DescribingError: It holds no readings, or no two of one series.
        DocumentError: It should be a document of some kind, and is not.
        OSError: It cannot be read.
    """
    columns = _read(path, fmt, progress)
    if not len(columns.codes):
        raise DescribingError(unread(path, fmt, columns.rejected))
    steps, same = np.diff(columns.at_s), np.diff(columns.codes) == 0
    positive = steps[same & (steps > 0)]
    if not len(positive):
        raise DescribingError(
            f"{path}: no series has two readings at different times, so there is no interval; give a longer history, "
            "or name the columns with --time, --value and --series"
        )
    interval = int(Counter(positive.tolist()).most_common(1)[0][0])
    slots = columns.at_s // interval
    jump = np.where(same, np.diff(slots), 1)
    after = np.flatnonzero(jump > 1)
    lengths = jump[after] - 1
    order = after[np.argsort(-lengths, kind="stable")][:MOST_GAPS]
    counts = np.bincount(columns.codes, minlength=len(columns.labels))
    months = max((columns.at_s[1:] - columns.at_s[:-1])[same].sum() / (30 * 86400), 1e-9)
    rises = np.diff(columns.values)[same]
    rising = len(rises) >= 100 and bool((rises >= 0).mean() >= 0.999 and (rises > 0).mean() >= 0.2)
    return Description(
        file=str(path),
        rows=len(columns.codes),
        series={label: int(n) for label, n in zip(columns.labels, counts, strict=True)},
        rejected=columns.rejected,
        first_at=int(columns.at_s.min()),
        last_at=int(columns.at_s.max()),
        interval_s=interval,
        regular=float((positive == interval).mean()),
        repeated=int((jump == 0).sum()),
        missing=int(lengths.sum()),
        gaps=len(after),
        longest_gaps=[_gap(columns, int(i), int(jump[i]) - 1) for i in order],
        gap_slots_q99=int(np.ceil(np.quantile(lengths, 0.99))) if len(lengths) else 0,
        long_gaps=int((lengths >= 3).sum()),
        long_gaps_per_month=float((lengths >= 3).sum() / months),
        rising=rising,
        values=statistics(columns.values),
        seasons=_seasons(columns, slots, int(counts.argmax()), interval, rising),
    )


def _read(path: Path, fmt: Reader, progress: Progress) -> Columns:
    codes, at, folds, values, rejected = [], [], [], [], Counter[str]()
    index: dict[str, int] = {}
    for readings, bad in chunks(path, fmt, LINE_BYTES, progress):
        own = np.array([index.setdefault(label, len(index)) for label in readings.labels], np.int64)
        if len(readings):
            codes.append(own[readings.codes])
            at.append(readings.at_ms // 1000)
            folds.append(readings.fold_s)
            values.append(readings.values[:, 0])
        rejected.update(bad)
    if not codes:
        return Columns([], np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), dict(rejected))
    code, at_s = np.concatenate(codes), np.concatenate(at)
    _settle(code, at_s, np.concatenate(folds))
    order = np.lexsort((at_s, code))
    return Columns(list(index), code[order], at_s[order], np.concatenate(values)[order], dict(rejected))


def _settle(code: Ints, at_s: Ints, fold_s: npt.NDArray[np.int32]) -> None:
    """Move readings of a repeated local hour to its second pass where the first has been, as the engine does.

    Args:
        code: Series of each reading, in order of arrival, shape (N,).
        at_s: Its instant, epoch seconds; changed in place.
        fold_s: See `adapters.base.Readings`.
    """
    for series in np.unique(code[fold_s > 0]):
        rows = np.flatnonzero(code == series)
        greatest = np.concatenate([[-1], np.maximum.accumulate(at_s[rows])[:-1]])
        moved = -1  # greatest of the instants that readings were moved to
        for row, before in zip(rows[fold_s[rows] > 0], greatest[fold_s[rows] > 0], strict=True):
            if at_s[row] <= max(before, moved):
                at_s[row] += fold_s[row]
                moved = int(at_s[row])


def _gap(columns: Columns, at: int, slots: int) -> Gap:
    label = columns.labels[int(columns.codes[at])]
    return Gap(label, int(columns.at_s[at]), int(columns.at_s[at + 1]), slots)


def statistics(values: Floats) -> Values:
    """Statistics of values, shape (N,), N at least 1.

    >>> statistics(np.array([1.0, 2, 3, 4, 100])).outside
    1
    """
    low, q25, median, q75, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    reach = WHISKER * (q75 - q25)
    inside = values[(values >= q25 - reach) & (values <= q75 + reach)]
    wide = high - low > BINS * np.spacing(max(abs(low), abs(high)))  # else bins have no width
    bins, _ = np.histogram(values, BINS, (low, high) if wide else (low - 0.5, low + 0.5))
    return Values(
        count=len(values),
        mean=float(values.mean()),
        std=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        min=low,
        q25=q25,
        median=median,
        q75=q75,
        max=high,
        lower=float(inside.min()),
        upper=float(inside.max()),
        outside=len(values) - len(inside),
        bins=bins.tolist(),
    )


def _seasons(columns: Columns, slots: Ints, code: int, interval: int, rising: bool) -> list[Season]:
    rows = columns.codes == code
    own, values = slots[rows], columns.values[rows]
    if rising:
        rise = np.diff(values)
        own, values = own[1:], np.where(rise < 0, values[1:], rise)
    grid = np.full(min(int(own[-1] - own[0]) + 1, SEASON_SLOTS), np.nan)
    at = own - own[-1] + len(grid) - 1
    grid[at[at >= 0]] = values[at >= 0]
    return [Season(lag * interval, strength) for lag, strength in seasons(grid)]


def seasons(grid: Floats) -> list[tuple[int, float]]:
    """Periods of a series, in slots, each with its autocorrelation: the strongest, and the shortest nearly as strong.

    A period is a peak of the autocorrelation that rises clearly from the valley before it, within a third of the
    history, so that it was seen three times.

    Args:
        grid: One value a slot, NaN is a gap, shape (N,).

    >>> [lag for lag, _ in seasons(np.sin(np.arange(1000) * 2 * np.pi / 24))]
    [24]
    """
    correlation = _autocorrelation(grid)[: len(grid) // 3]
    if len(correlation) < 5:
        return []
    valley = np.minimum.accumulate(correlation)
    inner = correlation[1:-1]
    peak = (inner > correlation[:-2]) & (inner >= correlation[2:])
    clear = (inner >= LEAST_STRENGTH) & (inner - valley[1:-1] >= LEAST_RISE)
    lags = np.flatnonzero(peak & clear) + 1
    if not len(lags):
        return []
    # among multiples that are equally strong the first
    strongest = int(lags[np.flatnonzero(correlation[lags] >= correlation[lags].max() - 0.01)[0]])
    shortest = int(lags[np.flatnonzero(correlation[lags] >= NEARLY * correlation[strongest])[0]])
    found = (strongest, shortest) if 2 * shortest <= strongest else (strongest,)
    return [(lag, float(correlation[lag])) for lag in found]


def _autocorrelation(grid: Floats) -> Floats:
    """Correlation of a series with itself, by lag, over the pairs that are both there; shape (N,)."""
    seen = ~np.isnan(grid)
    size = 1 << (2 * len(grid) - 1).bit_length()
    x = np.where(seen, grid - np.nanmean(grid), 0.0)
    spectrum, mask = np.fft.rfft(x, size), np.fft.rfft(seen.astype(np.float64), size)
    products = np.fft.irfft(spectrum * spectrum.conj(), size)[: len(grid)]
    pairs = np.fft.irfft(mask * mask.conj(), size)[: len(grid)]
    variance = products[0] / max(pairs[0], 1.0)
    if variance <= 0:
        return np.zeros(len(grid))
    return np.where(pairs > 0.5, products / np.maximum(pairs, 1.0) / variance, 0.0)
