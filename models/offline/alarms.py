"""Errors against a threshold that saw no test reading: alarms, episodes, and how they meet labelled windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.evaluation import match_events
from models.offline.history import History
from models.offline.measures import Judgement, judge
from models.offline.windows import Windows
from models.rank_measures import vus_pr

QUANTILE = 0.995  # of validation errors: the static threshold
QUIET = 3  # readings in a row at or below the threshold that end an episode, as in the engine
_DAY_S, _MONTH_S = 86400, 30 * 86400
_LEVELS = 100  # thresholds tried

Floats = npt.NDArray[np.float64]
Spans = Sequence[tuple[float, float]]


class Alarms(NamedTuple):
    """How the errors of the test part meet labelled windows.

    Attributes:
        judgement: Reading by reading.
        vus_pr: With buffers of up to a day; mean over series that have a labelled reading, NaN where none has.
        event_recall: Share of the labelled windows in the test part that an episode overlaps; NaN where there are none.
        windows, found: How many labelled windows there are, and are found.
        false_episodes: Episodes that overlap none.
        found_in_budget: Labelled windows found at the best threshold with at most one false episode a month and series.
        median_delay_slots: From a found window's start to its first alarm; NaN where none is found.
    """

    judgement: Judgement
    vus_pr: float
    event_recall: float
    windows: int
    found: int
    false_episodes: int
    found_in_budget: int
    median_delay_slots: float


def static_threshold(
    histories: Sequence[History], windows: Windows, errors: Floats, labelled: Sequence[Spans], size: int
) -> float:
    """The static threshold: a high quantile of the validation part's errors, known anomalies left out.

    Args:
        histories: The series.
        windows: The validation part's windows.
        errors: Of each window, shape (M,).
        labelled: As in `meet`; a window with a slot in one of them does not count.
        size: Slots in a window.
    """
    normal = np.ones(len(errors), np.bool_)
    for index, (history, spans) in enumerate(zip(histories, labelled, strict=True)):
        rows = np.flatnonzero(windows.series == index)
        ends = history.at[windows.slot[rows]]
        begins = ends - (size - 1) * history.interval_s
        for first, last in spans:
            normal[rows] &= (ends < first) | (begins > last)
    return float(np.quantile(errors[normal] if normal.any() else errors, QUANTILE))


def label_of(history: History, slots: npt.NDArray[np.int64], spans: Spans) -> npt.NDArray[np.bool_]:
    """Whether each slot, counted from the series' first, lies in a labelled window, shape (M,)."""
    at = history.at[slots]
    inside = np.zeros(len(slots), np.bool_)
    for first, last in spans:
        inside |= (at >= first) & (at <= last)
    return inside


def episodes(slots: npt.NDArray[np.int64], anomalous: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last anomalous slot of each run of alarms; fewer than `QUIET` quiet slots between two join them.

    >>> episodes(np.arange(8), np.array([1, 0, 1, 0, 0, 0, 1, 0], bool))
    [(0, 2), (6, 6)]
    """
    runs: list[tuple[int, int]] = []
    for slot in slots[anomalous].tolist():
        if runs and slot - runs[-1][1] <= QUIET:
            runs[-1] = (runs[-1][0], slot)
        else:
            runs.append((slot, slot))
    return runs


def meet(
    histories: Sequence[History], windows: Windows, errors: Floats, threshold: float, labelled: Sequence[Spans]
) -> Alarms:
    """Hold the test part's errors against labelled windows.

    Args:
        histories: The series.
        windows: The test part's windows.
        errors: Of each window, shape (M,).
        threshold: Errors above are alarms.
        labelled: Of each series, first and last instant of its labelled windows, epoch seconds.
    """
    truth = np.zeros(len(errors), np.bool_)
    areas, delays = [], []
    for index, (history, spans) in enumerate(zip(histories, labelled, strict=True)):
        rows = np.flatnonzero(windows.series == index)
        if not len(rows):
            continue
        at = history.at[windows.slot[rows]]
        truth[rows] = label_of(history, windows.slot[rows], spans)
        areas.append(vus_pr(errors[rows], truth[rows], max(1, _DAY_S // history.interval_s)))
        for start, end in _inside(at, spans):
            alarms = at[(errors[rows] > threshold) & (at >= start) & (at <= end)]
            if len(alarms):
                delays.append((float(alarms[0]) - max(start, float(at[0]))) / history.interval_s)
    known = [area for area in areas if not np.isnan(area)]
    total, found, false = _overlaps(histories, windows, errors, threshold, labelled)
    return Alarms(
        judge(errors, truth, threshold),
        float(np.mean(known)) if known else float("nan"),
        found / total if total else float("nan"),
        total,
        found,
        false,
        _found_in_budget(histories, windows, errors, labelled),
        float(np.median(delays)) if delays else float("nan"),
    )


def _inside(at: npt.NDArray[np.int64], spans: Spans) -> list[tuple[float, float]]:
    """The labelled windows that the instants `at` reach into."""
    return [span for span in spans if span[1] >= at[0] and span[0] <= at[-1]]


def _overlaps(
    histories: Sequence[History], windows: Windows, errors: Floats, threshold: float, labelled: Sequence[Spans]
) -> tuple[int, int, int]:
    """How many labelled windows there are, how many an episode overlaps, and how many episodes overlap none."""
    total, found, false = 0, 0, 0
    for index, (history, spans) in enumerate(zip(histories, labelled, strict=True)):
        rows = np.flatnonzero(windows.series == index)
        if not len(rows):
            continue
        inside = _inside(history.at[windows.slot[rows]], spans)
        runs = episodes(windows.slot[rows], errors[rows] > threshold)
        match = match_events(inside, [(float(history.at[a]), float(history.at[b])) for a, b in runs])
        total, found, false = total + len(inside), found + match.windows_found, false + match.false_episodes
    return total, found, false


def _found_in_budget(histories: Sequence[History], windows: Windows, errors: Floats, labelled: Sequence[Spans]) -> int:
    """What the errors alone could reach: the threshold is chosen in hindsight, among high quantiles of the errors."""
    slots = np.array([len(np.unique(windows.slot[windows.series == i])) for i in range(len(histories))])
    months = sum(n * h.interval_s for n, h in zip(slots.tolist(), histories, strict=True)) / _MONTH_S
    levels = np.unique(np.quantile(errors, 1 - np.geomspace(1 / len(errors), 0.2, _LEVELS)))
    met = [_overlaps(histories, windows, errors, float(level), labelled) for level in levels]
    return max((found for _, found, false in met if false <= months), default=0)
