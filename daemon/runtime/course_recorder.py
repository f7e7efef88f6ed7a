"""Keeps the courses of all series: it observes what the engine makes of each reading, and changes nothing of it.

What is kept follows from the inputs alone, so recovery, which repeats the journal, writes what is there already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daemon.engine.detection.decision import Decisions, Scored
from daemon.engine.detection.threshold import thresholds
from daemon.engine.kernel.slots import NEVER
from daemon.engine.machine.engine import Engine
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.events import RULE_SCORE
from daemon.engine.table.entries import Entries
from daemon.runtime.logs import RateLimited
from daemon.store.course_cells import FACTOR, LINES, VARIABLES, Cells, cell, keys, levels, short, summarize
from daemon.store.course_file import CourseFile, course_path

MOST_BYTES = 4 << 30
"""Room that all courses may take, unless the configuration says otherwise."""
_AT_ONCE = 8192  # cells that are collected before they are written
_RELEASED = 1 << 18  # cells written between two times at which their pages are given back

_limited = RateLimited()
Slots = npt.NDArray[np.int64]


class CourseRecorder:
    """The courses of an engine's series.

    Args:
        directory: The state directory.

    Attributes:
        most_bytes: Room that they may take together; of series for which there is none nothing is kept.
    """

    def __init__(self, directory: Path) -> None:
        self._directory, self.most_bytes = directory, MOST_BYTES
        self._streams: dict[str, _StreamCourses] = {}

    def watch(self, engine: Engine) -> None:
        """Observe streams that it does not observe yet; those of an engine that takes another's place, too."""
        for name, stream in engine.streams.items():
            known = self._streams.get(name)
            if known is None or known.stream is not stream:
                if known is not None:
                    known.flush()
                self._streams[name] = _StreamCourses(self._directory, stream, self._may_grow)

    def flush(self) -> None:
        """Write what was collected."""
        for each in self._streams.values():
            each.flush()

    def _may_grow(self, more: int) -> bool:
        return sum(each.size for each in self._streams.values()) + more <= self.most_bytes


class _StreamCourses:
    """Those of one stream."""

    def __init__(self, directory: Path, stream: Stream, may_grow: Callable[[int], bool]) -> None:
        self.stream, self._may_grow = stream, may_grow
        self._path, self._width = directory, stream.table.width
        self._interval_s = stream.settings.interval
        self._dtype = cell(self._width)
        self._files: list[CourseFile] = []
        self._collected: list[tuple[npt.NDArray[np.int64], Slots, Cells]] = []
        self._count = self._written = 0
        self._greatest = NEVER
        self._unsummed: list[list[tuple[npt.NDArray[np.int64], Slots]]] = [[] for _ in range(levels(self._interval_s))]
        stream.scoring.observers.append(self.observe)

    @property
    def size(self) -> int:
        """Bytes of all levels."""
        return sum(file.size for file in self._files)

    def observe(self, e: Entries, count: int, scored: Scored, out: Decisions) -> None:
        """Collect a chunk's cells."""
        if not count:
            return
        table, shown = self.stream.table, slice(0, min(self._width, VARIABLES))
        row, slot, window = e.row[:count].astype(np.int64), e.slot[:count].copy(), e.window[:count]
        cells = np.zeros(count, self._dtype)
        cells["value"] = cells["low"] = cells["high"] = e.value[:count, shown]
        origin, scale = table.arrays.origin[row][:, shown], table.arrays.scale[row][:, shown]
        for name in ("expected", "around", "score"):
            cells[name] = np.nan
        records = table.rows
        least = thresholds(self.stream.scoring.policies["threshold"][records["policy"][row]], records["halved"][row])
        cells["threshold"], cells["key"] = short(least), keys(records["stagger"][row], slot)
        has = np.flatnonzero(window >= 0)
        cells["expected"][has] = origin[has] + scale[has] * scored.expected[window[has]][:, shown]
        cells["around"][has] = scale[has] * out.around[has][:, shown]
        cells["score"][has] = short(out.rarity[has] / least[has])
        broken = np.flatnonzero(out.reasons[:count] != 0)
        cells["score"][broken] = short(np.fmax(cells["score"][broken].astype(np.float64), RULE_SCORE + 0.001))
        self._collected.append((row, slot, cells))
        self._count += count
        if self._count >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what was collected, and sum up what has ended by then."""
        if not self._collected:
            return
        row, slot, cells = (np.concatenate(parts) for parts in zip(*self._collected, strict=True))
        self._collected, self._count = [], 0
        try:
            self._make_room(int(row.max()) + 1)
            kept = np.flatnonzero((row < self._rows) & (slot >= 0))
            for part in _within_rings(slot[kept]):
                self._write(row[kept[part]], slot[kept[part]], cells[kept[part]])
        except OSError as error:
            _limited.warning(f"courses {self.stream.name}", "courses cannot be kept", error=str(error))

    @property
    def _rows(self) -> int:
        return min((file.rows for file in self._files), default=0)

    def _make_room(self, rows: int) -> None:
        """Have a place for so many rows, if there may be."""
        if not self._files:
            name = self.stream.name
            self._files = [
                CourseFile(course_path(self._path, name, level), self._width, self._interval_s)
                for level in range(levels(self._interval_s))
            ]
        if rows <= self._rows:
            return
        more = (rows - self._rows) * LINES * self._dtype.itemsize * len(self._files)
        if not self._may_grow(more):
            _limited.warning("courses", "no course is kept of more series: history.courses is reached")
            return
        for file in self._files:
            if file.rows < rows:
                file.grow(rows)

    def _write(self, row: npt.NDArray[np.int64], slot: Slots, cells: Cells) -> None:
        if not len(row):
            return
        file, greatest = self._files[0], int(slot.max())
        file.cells[file.at(row, slot)] = cells
        if self._greatest == NEVER:  # a start: who was recorded before in what has not ended is not known here
            rows = np.arange(self._rows)
            for level in range(1, len(self._files)):
                self._unsummed[level].append((rows, np.full(len(rows), greatest // FACTOR**level)))
        self._greatest = max(self._greatest, greatest)
        if len(self._files) > 1:
            self._unsummed[1].append((row, slot // FACTOR))
        for level in range(1, len(self._files)):
            self._sum_up(level)
        self._written += len(row)
        if self._written > _RELEASED:
            self._written = 0
            for each in self._files:
                each.release()

    def _sum_up(self, level: int) -> None:
        """Write the cells of a level that have ended, or were changed since."""
        waiting = self._unsummed[level]
        current = self._greatest // FACTOR**level
        if not any((bucket < current).any() for _, bucket in waiting):
            if len(waiting) > 4 * FACTOR:
                self._unsummed[level] = [_distinct(waiting)]
            return
        row, bucket = _distinct(waiting)
        ended = bucket < current
        self._unsummed[level] = [(row[~ended], bucket[~ended])]
        row, bucket = row[ended], bucket[ended]
        below, file = self._files[level - 1], self._files[level]
        part = bucket[:, None] * FACTOR + np.arange(FACTOR)
        cells = below.cells[below.at(row[:, None], part)]
        stagger = self.stream.table.rows["stagger"][np.minimum(row, self.stream.table.used - 1)]
        valid = cells["key"] == keys(stagger[:, None], part)
        some = np.flatnonzero(valid.any(1))
        row, bucket = row[some], bucket[some]
        summed = summarize(cells[some], valid[some])
        summed["key"] = keys(stagger[some], bucket)
        file.cells[file.at(row, bucket)] = summed
        if level + 1 < len(self._files):
            self._unsummed[level + 1].append((row, bucket // FACTOR))


def _within_rings(slot: Slots) -> Iterator[npt.NDArray[np.int64]]:
    """Indices in parts, each of which spans so few slots that no cell is lost before it is summed up."""
    if not len(slot):
        return
    part = (slot - slot.min()) // (LINES // 2)
    if not part.any():
        yield np.arange(len(slot))
        return
    order = np.argsort(part, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(part[order])) + 1)


def _distinct(waiting: list[tuple[npt.NDArray[np.int64], Slots]]) -> tuple[npt.NDArray[np.int64], Slots]:
    """Each row and bucket once."""
    row, bucket = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
    mixed = np.unique(bucket << 32 | row)
    return mixed & 0xFFFFFFFF, mixed >> 32
