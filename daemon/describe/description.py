"""What a file of readings is like: counts, statistics of its values, interval, gaps and seasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from adapters.base import Progress
from daemon.config.format_settings import FormatSettings
from daemon.config.settings import StreamSettings
from daemon.describe.seasons import Season, seasons_of
from daemon.describe.value_summary import Values, sentinels, statistics
from daemon.intake.arrival_pattern import ArrivalPattern
from daemon.intake.refusals import Refusals, refused_words
from daemon.replay.replay import LINE_BYTES, Reader, chunks, likely_interval
from daemon.replay.unread import unread

MOST_GAPS = 10  # shown, the longest

Ints = npt.NDArray[np.int64]


class DescribingError(ValueError):
    """A file that cannot be described; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Slots without a reading between two of a series; `after` and `before` are those two, epoch seconds."""

    series: str
    after: int
    before: int
    slots: int


@dataclass(frozen=True, slots=True)
class Description:
    """What was found.

    Attributes:
        series: Readings by series.
        rejected: Lines that are no readings, by reason.
        first_at, last_at: Epoch seconds.
        interval_s: Most frequent step between readings of one series, seconds.
        regular: Share of steps that are the interval, or near it where stamps jitter, 0 to 1.
        jitter_s: How far stamps lie beside the grid of the interval, seconds; 0 where they do not.
        estimated: Readings that are said to be estimated or substituted.
        sentinels: Values that stand for what is missing, by all that can be seen.
        repeated: Readings of a slot that already had one.
        by_series: Whether the rows come series by series, as in files of many meters for a day.
        missing: Slots without a reading, from each series' first to its last.
        gaps: How many runs of such slots there are.
        longest_gaps: The longest of them.
        gap_slots_q99: 99 % of the gaps are at most so many slots long; 0 without gaps.
        long_gaps: Gaps of three slots and more.
        long_gaps_per_month: The same per series and 30 days.
        rising: Whether the values only ever rise, but for a few resets, like a counter's.
        refused: What share of the file was refused, and one of its lines; "" where nothing was.
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
    jitter_s: int
    estimated: int
    sentinels: list[float]
    repeated: int
    by_series: bool
    missing: int
    gaps: int
    longest_gaps: list[Gap]
    gap_slots_q99: int
    long_gaps: int
    long_gaps_per_month: float
    rising: bool
    values: Values
    refused: str
    seasons: list[Season]

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def describe(
    path: Path, fmt: Reader, choices: FormatSettings, progress: Progress = lambda done, total: None
) -> Description:
    """Describe a file of single values, read by `fmt` as `choices` have it.

    Raises:
        DescribingError: It holds no readings, or no two of one series.
        DocumentError: It should be a document of some kind, and is not.
        OSError: It cannot be read.
    """
    refusals = Refusals(choices)
    frame, at_s, rejected, estimated = _read(path, fmt, choices, refusals, progress)
    shown = next(iter(refusals.first.values()), None)
    if frame.empty:
        raise DescribingError(unread(path, fmt, rejected, shown))
    by_series = frame.groupby("series", observed=True)
    steps = by_series["at_s"].diff()  # NaN for the first reading of a series
    interval, jitter, regular = _spacing(steps, path)
    frame["slot"] = (frame["at_s"] + (interval // 2 if jitter else 0)) // interval
    jumps = by_series["slot"].diff()
    gaps = _gaps(frame, jumps)
    long_gaps = int((gaps["slots"] >= 3).sum())
    counts = frame["series"].value_counts(sort=False)
    rises = by_series["value"].diff().dropna()
    rising = len(rises) >= 100 and bool((rises >= 0).mean() >= 0.999 and (rises > 0).mean() >= 0.2)
    return Description(
        file=str(path),
        rows=len(frame),
        series={name: int(n) for name, n in counts.items()},
        rejected=rejected,
        first_at=int(frame["at_s"].min()),
        last_at=int(frame["at_s"].max()),
        interval_s=interval,
        regular=regular,
        jitter_s=jitter,
        estimated=estimated,
        sentinels=sentinels(frame["value"].to_numpy()),
        repeated=int((jumps == 0).sum()),
        by_series=len(counts) > 1 and _come_by_series(at_s, interval),
        missing=int(gaps["slots"].sum()),
        gaps=len(gaps),
        longest_gaps=[Gap(**row) for row in gaps.nlargest(MOST_GAPS, "slots").to_dict("records")],
        gap_slots_q99=0 if gaps.empty else int(np.ceil(gaps["slots"].quantile(0.99))),
        long_gaps=long_gaps,
        long_gaps_per_month=float(long_gaps / max(steps.sum() / (30 * 86400), 1e-9)),
        rising=rising,
        values=statistics(frame["value"]),
        refused=refused_words(rejected, len(frame), shown),
        seasons=seasons_of(frame[frame["series"] == counts.idxmax()], interval, rising),
    )


def _spacing(steps: pd.Series[Any], path: Path) -> tuple[int, int, float]:
    """Seconds between two readings of a series, by how many they stray, and the share that is regular."""
    positive = steps[steps > 0]
    if positive.empty:
        raise DescribingError(
            f"{path}: no series has two readings at different times, so there is no interval; give a longer history, "
            "or name the columns with --time, --value and --series"
        )
    interval = likely_interval(positive.to_numpy(np.int64))
    near = np.abs(positive - interval) <= interval // 20
    if near.mean() < 0.8:
        return interval, 0, float((positive == interval).mean())
    jitter = int(np.ceil(np.abs(positive[near] - interval).quantile(0.99) / 2))
    return interval, jitter, float((near if jitter else positive == interval).mean())


def _read(
    path: Path, fmt: Reader, choices: FormatSettings, refusals: Refusals, progress: Progress
) -> tuple[pd.DataFrame, Ints, dict[str, int], int]:
    """All readings, by series and then by time, and what else there is to say of them.

    The columns are `series` (categories, in order of appearance), `at_s` (epoch seconds) and `value`.

    Returns:
        The readings; their instants in the order of rows; the lines that are none, by reason; how many are not actual.
    """
    codes, at, folds, values, rejected = [], [], [], [], Counter[str]()
    index: dict[str, int] = {}
    estimated = 0
    for readings, bad in chunks(path, fmt, LINE_BYTES, progress, choices, refusals):
        own = np.array([index.setdefault(name, len(index)) for name in readings.series], np.int64)
        if len(readings):
            codes.append(own[readings.codes])
            at.append(readings.at_ms // 1000)
            folds.append(readings.fold_s)
            values.append(readings.values[:, 0])
            estimated += int(np.count_nonzero(readings.quality))
        rejected.update(bad)
    if not codes:
        return pd.DataFrame(), np.empty(0, np.int64), dict(rejected), 0
    code, at_s = np.concatenate(codes), np.concatenate(at)
    _settle(code, at_s, np.concatenate(folds))
    series = pd.Categorical.from_codes(code, pd.Index(list(index), dtype=object))
    frame = pd.DataFrame({"series": series, "at_s": at_s, "value": np.concatenate(values)})
    ordered = frame.sort_values(["series", "at_s"], kind="stable", ignore_index=True)
    return ordered, at_s, dict(rejected), estimated


def _come_by_series(at_s: Ints, interval_s: int) -> bool:
    """Whether instants in the order of rows go back again and again, further than a live stream would bear."""
    defaults = StreamSettings.model_fields
    pattern = ArrivalPattern(interval_s, defaults["lateness"].default + defaults["gap_after"].default)
    pattern.add(at_s * 1000)
    return pattern.by_series


def _gaps(frame: pd.DataFrame, jumps: pd.Series) -> pd.DataFrame:
    """A row for each gap, as `Gap` has it.

    Args:
        frame: Readings by series and time.
        jumps: Of each, the slots since the reading of its series before; NaN for the first.
    """
    before = jumps > 1
    after = before.shift(-1, fill_value=False)
    return pd.DataFrame(
        {
            "series": frame["series"][after].to_numpy(),
            "after": frame["at_s"][after].to_numpy(),
            "before": frame["at_s"][before].to_numpy(),
            "slots": jumps[before].to_numpy(np.int64) - 1,
        }
    )


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
