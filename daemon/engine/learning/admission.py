"""How series join their stream: from their warm-ups' values to scale, ring and seeded statistics, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel import regime, variables
from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.parameters import Parameters
from daemon.engine.kernel.slots import NEVER
from daemon.engine.kernel.statistics import advance, begin
from daemon.engine.learning import warm_up_values
from daemon.engine.learning.reservoir import Reservoir, add, is_sampled
from daemon.engine.learning.service_model import ServiceModel
from daemon.engine.learning.subject import Subject
from daemon.engine.table.series import QUEUED, READY, WARMING, Arrays, SeriesTable
from models.scorer import Scores

LEAST_OBSERVED = 0.2  # of the warm-up's slots; below it the warm-up goes on
LEAST_PER_SLOT = 256  # series that may join in one slot, or more where the stream is large
SPREAD_SLOTS = 48  # slots over which a large stream's series join
AT_ONCE, NUMBERS_AT_ONCE = 1 << 14, 1 << 22  # windows scored at once, and numbers in them: memory of a few megabytes


class WarmUpWindows(NamedTuple):
    """All windows of N series' warm-ups that can be scored, series by series, oldest first; M of them."""

    x: npt.NDArray[np.float32]  # (M, W, F)
    observed: npt.NDArray[np.bool_]  # (M, W)
    slot: npt.NDArray[np.int64]  # (M,)
    begin: npt.NDArray[np.int64]  # (N + 1,) first of each series, and M
    scaled: npt.NDArray[np.float32]  # (N, p, F) the warm-ups, oldest slot first; NaN is a gap, infinite not for use


def mature(table: SeriesTable, closed: int, upto: int) -> npt.NDArray[np.int64]:
    """Rows whose warm-up has reached its length by slot `closed`; those with too many gaps wait an eighth longer.

    No reading comes before slot `upto` is closed too, so nobody is looked at twice until then.
    """
    rows, p = table.rows, table.warm_up_slots
    due = np.flatnonzero((rows["status"] == WARMING) & (rows["mature"] <= closed) & (rows["last"] != NEVER))
    observed, scored = countable(table, due)
    enough = (observed >= LEAST_OBSERVED * p) & (scored >= table.window)
    wait(table, due[~enough], max(closed, upto))
    return due[enough]


def wait(table: SeriesTable, rows: npt.NDArray[np.int64], slot: int) -> None:
    """Let the warm-up of rows go on for an eighth of its length."""
    table.rows["status"][rows] = WARMING
    table.rows["mature"][rows] = slot + max(1, table.warm_up_slots // 8)


def countable(table: SeriesTable, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How many warm-up slots of each series hold a reading, and how many end a window that can be scored, (N,) each."""
    observed, scored = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    warm_up_values.count(table.arrays, rows, table.window, observed, scored)
    return observed, scored


def queue(table: SeriesTable, rows: npt.NDArray[np.int64]) -> None:
    """Mark rows as waiting to join."""
    table.arrays.rows["status"][rows] = QUEUED


def joiners(table: SeriesTable) -> npt.NDArray[np.int64]:
    """Rows that may join in this slot: bounded work, at most about fifteen times an ordinary slot's."""
    waiting = np.flatnonzero(table.rows["status"] == QUEUED)
    return waiting[: max(LEAST_PER_SLOT, -(-len(table) // SPREAD_SLOTS))]


def windows(table: SeriesTable, rows: npt.NDArray[np.int64]) -> WarmUpWindows:
    """Scale series by their warm-ups and cut their windows; calling it again gives the same."""
    p, size, width = table.warm_up_slots, table.window, table.width
    n = len(rows) * p
    scaled, begin = np.empty((len(rows), p, width), np.float32), np.zeros(len(rows) + 1, np.int64)
    x, observed, slot = np.empty((n, size, width), np.float32), np.empty((n, size), np.bool_), np.empty(n, np.int64)
    warm_up_values.scale(table.arrays, rows, table.ranged, scaled)
    warm_up_values.cut(table.arrays, rows, scaled, begin, x, observed, slot)
    found = int(begin[-1])
    return WarmUpWindows(x[:found], observed[:found], slot[:found], begin, scaled)


def portions(table: SeriesTable, rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Rows, as many at a time as have their windows in memory at once."""
    most = min(AT_ONCE, NUMBERS_AT_ONCE // (table.window * table.width))
    step = max(1, most // table.warm_up_slots)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


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


@compiled
def join(
    a: Arrays,
    rows: Any,
    p: Parameters,
    w: WarmUpWindows,
    newest: Any,
    rms: Any,
    hours: Any,
    r: Reservoir,
    sample_rate: int,
) -> None:
    """Make series ready, in order; those without a window stay as they are.

    Args:
        a: The table's arrays.
        rows: The series, scaled by `windows`, shape (N,).
        p: Parameters of the statistics.
        w: Their windows.
        newest: Error of each window's newest entry, by variable, shape (M, F).
        rms: Root mean squared error of each window, shape (M,).
        hours: Local hour of each window's newest slot, shape (M,).
        r: Reservoir that sampled windows are added to.
        sample_rate: One window in so many is.
    """
    size, slots = a.ring.shape[1], w.scaled.shape[1]
    for i in range(len(rows)):
        row, start, stop = rows[i], w.begin[i], w.begin[i + 1]
        if start == stop:
            continue
        s = a.rows[row]
        seed(a, row, p, w.x[start:stop], newest[start:stop], rms[start:stop], hours[start:stop])
        _sample(r, row, s.stagger, sample_rate, w.x[start:stop], w.observed[start:stop], w.slot[start:stop])
        for j in range(size):
            a.ring[row, (s.last - j) % size] = w.scaled[i, slots - 1 - j]
        s.status = READY
        s.frozen_run = 1


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
        self._join(joiners(self.table), slot, sample_rate)

    def join_all(self, slot: int, sample_rate: int) -> None:
        """Let all series join that wait."""
        self._join(np.flatnonzero(self.table.rows["status"] == QUEUED), slot, sample_rate)

    def _join(self, rows: npt.NDArray[np.int64], slot: int, sample_rate: int) -> None:
        for portion in portions(self.table, rows):
            self._join_portion(portion, slot, sample_rate)
        self.table.shrink()

    def _join_portion(self, rows: npt.NDArray[np.int64], slot: int, sample_rate: int) -> None:
        w = windows(self.table, rows)
        none = np.diff(w.begin) == 0
        wait(self.table, rows[none], slot)  # they fell silent while they waited
        scores = self.serving.score(w.x, w.observed, w.slot)
        hours = self.slots.hours(w.slot)
        self._show(rows, w, scores)
        self.table.rows["scale"][rows[~none]] = self.serving.error_scale
        own = self.table.arrays, rows, self.parameters, w
        join(*own, scores.newest, scores.rms, hours, self.reservoir, sample_rate)
        for row in rows[~none].tolist():
            self.table.release_buffer(row)

    def _show(self, rows: npt.NDArray[np.int64], w: WarmUpWindows, scores: Scores) -> None:
        """Tell the observer of series that join."""
        if self.observer is None:
            return
        for i, row in enumerate(rows.tolist()):
            own = slice(int(w.begin[i]), int(w.begin[i + 1]))
            if own.start < own.stop:
                self.observer(Joining(row, w.x[own], scores.newest[own], scores.rms[own], w.slot[own]))
