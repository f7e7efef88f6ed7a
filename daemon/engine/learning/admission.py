"""How a series joins its stream: from its warm-up's values to scale, ring and seeded statistics."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel import regime, variables
from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.parameters import Parameters
from daemon.engine.kernel.slots import NEVER
from daemon.engine.kernel.statistics import advance, begin
from daemon.engine.learning.reservoir import Reservoir, add, is_sampled
from daemon.engine.learning.service_model import ServiceModel
from daemon.engine.learning.subject import Subject
from daemon.engine.table.ring import GREATEST, LOWEST, MOST_MISSING, fill_window
from daemon.engine.table.series import QUEUED, READY, WARMING, Arrays, SeriesTable

LEAST_OBSERVED = 0.2  # of the warm-up's slots; below it the warm-up goes on
LEAST_PER_SLOT = 256  # series that may join in one slot, or more where the stream is large
FEW = 0.02  # of a warm-up's values, at either end, that do not set its range by themselves
REACH = 3.0  # widths of all the others that they may lie outside and still be a part of it
OF_LEVEL = 0.01  # of its level: the range of a series that was constant
SPREAD_SLOTS = 48  # slots over which a large stream's series join


class WarmUpWindows(NamedTuple):
    """All windows of one series' warm-up that can be scored, oldest first; M of them."""

    x: npt.NDArray[np.float32]  # (M, W, F)
    observed: npt.NDArray[np.bool_]  # (M, W)
    slot: npt.NDArray[np.int64]  # (M,)


def mature(table: SeriesTable, closed: int, upto: int) -> npt.NDArray[np.int64]:
    """Rows whose warm-up has reached its length by slot `closed`; those with too many gaps wait an eighth longer.

    No reading comes before slot `upto` is closed too, so nobody is looked at twice until then.
    """
    rows, p = table.rows, table.warm_up_slots
    due = np.flatnonzero((rows["status"] == WARMING) & (rows["mature"] <= closed) & (rows["last"] != NEVER))
    enough = np.zeros(len(due), np.bool_)
    for i, row in enumerate(due.tolist()):
        observed, scored = countable(table, row)
        enough[i] = observed >= LEAST_OBSERVED * p and scored >= table.window
    wait(table, due[~enough], max(closed, upto))
    return due[enough]


def wait(table: SeriesTable, rows: npt.NDArray[np.int64], slot: int) -> None:
    """Let the warm-up of rows go on for an eighth of its length."""
    table.rows["status"][rows] = WARMING
    table.rows["mature"][rows] = slot + max(1, table.warm_up_slots // 8)


def countable(table: SeriesTable, row: int) -> tuple[int, int]:
    """How many of a series' warm-up slots hold a reading, and how many end a window that can be scored."""
    record = table.rows[row]
    observed, scored = _count(table.arrays.history[record["buffer"]], int(record["last"]), table.window)
    return int(observed), int(scored)


@compiled
def _count(history: Any, last: int, size: int) -> tuple[int, int]:
    p = len(history)
    observed, scored, within = 0, 0, 0
    for j in range(p):
        here = math.isfinite(history[(last + 1 + j) % p, 0])
        if j >= size and math.isfinite(history[(last + 1 + j - size) % p, 0]):
            within -= 1
        if here:
            observed += 1
            within += 1
            if size - within <= MOST_MISSING * size:
                scored += 1
    return observed, scored


def queue(table: SeriesTable, rows: npt.NDArray[np.int64]) -> None:
    """Mark rows as waiting to join."""
    table.arrays.rows["status"][rows] = QUEUED


def joiners(table: SeriesTable) -> npt.NDArray[np.int64]:
    """Rows that may join in this slot: bounded work, at most about fifteen times an ordinary slot's."""
    waiting = np.flatnonzero(table.rows["status"] == QUEUED)
    return waiting[: max(LEAST_PER_SLOT, -(-len(table) // SPREAD_SLOTS))]


def span(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Least and greatest of a variable's values that no few of them set.

    Sentinels (-999, 9999), bursts and broken readings of a warm-up must not stretch its range. The middle 96 % of the
    values say how wide the series is; what lies further out than `REACH` times that is left out. Where they are all
    the same, as of a meter that mostly reads 0, or a sensor that stands at 50, its level or else the usual size of the
    others takes the width's place.

    Args:
        values: Finite, at least one, shape (N,).
    """
    ordered = np.sort(values)
    few = min(int(np.ceil(FEW * len(ordered))), (len(ordered) - 1) // 2)
    low, high = ordered[few], ordered[len(ordered) - 1 - few]
    reach = REACH * (high - low)
    if reach == 0.0:
        others = np.abs(ordered[ordered != low])
        reach = abs(low) if low != 0.0 else REACH * float(np.median(others)) if len(others) else 0.0
    kept = ordered[(ordered >= low - reach) & (ordered <= high + reach)]
    return float(kept[0]), float(kept[-1])


def scale(table: SeriesTable, row: int) -> npt.NDArray[np.float32]:
    """Set the scale from the warm-up and return its values, scaled, oldest first, (p, F); infinite is not for use."""
    a = table.arrays
    record = a.rows[row]
    history = a.history[record["buffer"]]
    p = len(history)
    values = history[(int(record["last"]) + 1 + np.arange(p)) % p]
    taken = np.isinf(values)  # but not for use
    values[taken] = np.nan
    spans = np.array([span(column[np.isfinite(column)]) for column in values.T])
    low, high = spans[:, 0], spans[:, 1]
    a.low[row], a.high[row], a.origin[row], a.scale[row] = low, high, 0.0, 1.0
    if table.ranged:
        a.origin[row] = low
        a.scale[row] = np.where(high > low, high - low, np.maximum(OF_LEVEL * np.abs(high), 1e-6))
    x = np.clip((values - a.origin[row]) / a.scale[row], LOWEST, GREATEST)
    a.median[row] = np.nanmedian(x, axis=0)
    x[taken] = np.inf
    scaled: npt.NDArray[np.float32] = x.astype(np.float32)
    return scaled


@compiled
def _cut(x: Any, last: int, out_x: Any, out_observed: Any, out_slot: Any) -> int:
    """Write the windows of a scaled warm-up that have few enough gaps and an observed newest slot."""
    p, size = len(x), out_x.shape[1]
    ring = np.full((size, x.shape[1]), np.nan, np.float32)
    found = 0
    for j in range(p):
        slot = last - p + 1 + j
        ring[slot % size] = x[j]
        if not np.isfinite(x[j, 0]):
            continue
        if fill_window(ring, slot, out_x[found], out_observed[found]) <= MOST_MISSING * size:
            out_slot[found] = slot
            found += 1
    return found


def windows(table: SeriesTable, row: int) -> WarmUpWindows:
    """Scale a series by its warm-up and cut its windows; calling it again gives the same."""
    a = table.arrays
    x = scale(table, row)
    size = a.ring.shape[1]
    n = len(x)
    out = WarmUpWindows(
        np.zeros((n, size, x.shape[1]), np.float32), np.zeros((n, size), np.bool_), np.zeros(n, np.int64)
    )
    found = _cut(x, int(a.rows["last"][row]), *out)
    return WarmUpWindows(out.x[:found], out.observed[:found], out.slot[:found])


@compiled
def seed(a: Arrays, row: int, p: Parameters, x: Any, newest: Any, rms: Any, hours: Any) -> None:
    """Run the statistics over the warm-up's own errors."""
    s = a.rows[row]
    width = x.shape[2]
    usual, surprise = a.usual[row], np.empty(width)
    usual[:] = 0.0
    n = len(newest)
    for i in range(n):
        for f in range(width):
            usual[f] += newest[i, f] / n
    total_newest, total_whole = 0.0, 0.0
    for i in range(n):
        combined = variables.combine(newest[i], usual, surprise)
        total_newest += combined
        total_whole += variables.window_error(combined, rms[i], width)
    begin(s.statistics, total_newest / max(n, 1), total_whole / max(n, 1))
    regime.begin(s.regime, total_newest / max(n, 1))
    for i in range(n):
        deviation = 0.0
        for f in range(width):
            deviation += x[i, -1, f] - a.median[row, f]
        combined = variables.combine(newest[i], usual, surprise)
        variables.learn(newest[i], usual)
        regime.warm_up(s.regime, combined)
        whole = variables.window_error(combined, rms[i], width)
        advance(s.statistics, p, combined, whole, deviation / width, hours[i], s.stagger)


@compiled
def _sample(r: Reservoir, row: int, stagger: int, rate: int, x: Any, observed: Any, slots: Any) -> None:
    for i in range(len(slots)):
        if is_sampled(stagger, slots[i], rate):
            add(r, row, x[i], observed[i], slots[i])


def join(
    table: SeriesTable,
    row: int,
    p: Parameters,
    w: WarmUpWindows,
    newest: npt.NDArray[np.float32],
    rms: npt.NDArray[np.float32],
    hours: npt.NDArray[np.int64],
    r: Reservoir,
    sample_rate: int,
) -> None:
    """Make a series ready.

    Args:
        table: The stream's series.
        row: The series, scaled by `windows`.
        p: Parameters of the statistics.
        w: Its windows.
        newest: Error of each window's newest entry, by variable, shape (M, F).
        rms: Root mean squared error of each window, shape (M,).
        hours: Local hour of each window's newest slot, shape (M,).
        r: Reservoir that sampled windows are added to.
        sample_rate: One window in so many is.
    """
    a = table.arrays
    record = a.rows[row]
    seed(a, row, p, w.x, newest, rms, hours)
    _sample(r, row, int(record["stagger"]), sample_rate, w.x, w.observed, w.slot)
    x = scale(table, row)
    last, size = int(record["last"]), a.ring.shape[1]
    a.ring[row, (last - np.arange(size)) % size] = x[::-1][:size]
    record["status"] = READY
    record["frozen_run"] = 1
    table.release_buffer(row)


class Joining(NamedTuple):
    """A series that joins: what its statistics are seeded with. M windows of its warm-up."""

    row: int
    x: npt.NDArray[np.float32]  # (M, W, F) scaled
    newest: npt.NDArray[np.float32]  # (M, F)
    rms: npt.NDArray[np.float32]  # (M,)
    slot: npt.NDArray[np.int64]  # (M,)


class Admission:
    """Lets series join the model in service.

    Attributes:
        observer: Called with every series that joins, scaled already, where one is set.
    """

    def __init__(self, subject: Subject, parameters: Parameters, serving: ServiceModel) -> None:
        _, self.table, self.reservoir, self.slots = subject
        self.parameters, self.serving = parameters, serving
        self.observer: Callable[[Joining], None] | None = None

    def join_some(self, slot: int, sample_rate: int) -> None:
        """Let the series whose turn it is join; one window in `sample_rate` goes into the reservoir."""
        for row in joiners(self.table):
            self._join(int(row), slot, sample_rate)
        self.table.shrink()

    def join_all(self, slot: int, sample_rate: int) -> None:
        """Let all series join that wait."""
        for row in np.flatnonzero(self.table.rows["status"] == QUEUED):
            self._join(int(row), slot, sample_rate)
        self.table.shrink()

    def _join(self, row: int, slot: int, sample_rate: int) -> None:
        w = windows(self.table, row)
        if not len(w.x):  # it fell silent while it waited
            wait(self.table, np.array([row]), slot)
            return
        scores = self.serving.score(w.x, w.observed, w.slot)
        hours = self.slots.hours(w.slot)
        if self.observer is not None:
            self.observer(Joining(row, w.x, scores.newest, scores.rms, w.slot))
        self.table.rows["scale"][row] = self.serving.error_scale
        join(self.table, row, self.parameters, w, scores.newest, scores.rms, hours, self.reservoir, sample_rate)
