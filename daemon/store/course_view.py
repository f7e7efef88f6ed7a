"""The course of one series in a range of time, read beside the daemon: a few reads, however long the range."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.store.course_cells import FACTOR, LINES, Cells, cell, keys, levels, summarize
from daemon.store.course_file import course_path, read_ring


@dataclass(frozen=True, slots=True)
class CourseOf:
    """Which course.

    Attributes:
        stream: Its stream.
        series: The series.
        row: Its row in the stream's table.
        width: Variables of the stream's readings.
        interval_s: Length of a slot.
        newest: Where its newest slot begins, epoch seconds.
    """

    stream: str
    series: str
    row: int
    width: int
    interval_s: int
    newest: int


@dataclass(frozen=True, eq=False)
class Course:
    """N points of a series; V variables.

    Attributes:
        step_s: What a point stands for: a slot, or a run of slots.
        at: Where each begins, epoch seconds, shape (N,).
        value, low, high: Mean, smallest and greatest reading, shape (N, V).
        expected, around: Expected value and its distance to either bound, shape (N, V); NaN where nothing was scored.
        score, threshold: Greatest score, and the rarity from which the series alarmed, shape (N,); NaN likewise.
    """

    step_s: int
    at: npt.NDArray[np.int64]
    value: npt.NDArray[Any]
    low: npt.NDArray[Any]
    high: npt.NDArray[Any]
    expected: npt.NDArray[Any]
    around: npt.NDArray[Any]
    score: npt.NDArray[Any]
    threshold: npt.NDArray[Any]


def read_course(directory: Path, of: CourseOf, since: int, until: int) -> Course:
    """What is known of a series from `since` up to `until` (exclusive), epoch seconds: at most `LINES` points.

    The finest level that holds all of the range is shown. Raises OSError where a file cannot be read.
    """
    coarsest = levels(of.interval_s) - 1
    level = 0
    # short enough to be drawn, and the ring has not gone beyond where the range begins
    while level < coarsest and max(until, of.newest) - since > (LINES - 1) * step(of, level):
        level += 1
    bucket_s = step(of, level)
    first, last = since // bucket_s, -(-until // bucket_s) - 1
    buckets, cells = _level(directory, of, level)
    within = (buckets >= first) & (buckets <= last)
    buckets, cells = buckets[within], cells[within]
    columns = {name: cells[name].astype(np.float32) for name in cells.dtype.names or () if name != "key"}
    return Course(bucket_s, buckets * bucket_s, **columns)


def step(of: CourseOf, level: int) -> int:
    """Seconds of a cell."""
    return int(of.interval_s * FACTOR**level)


def _level(directory: Path, of: CourseOf, level: int) -> tuple[npt.NDArray[np.int64], Cells]:
    """Buckets of a level in order, with their cells; those not summed up yet are made of the level below."""
    ring = read_ring(course_path(directory, of.stream, level), of.width, of.interval_s, of.row)
    if ring is None:
        ring = np.zeros(LINES, cell(of.width))
    newest = of.newest // step(of, level)
    buckets = np.arange(newest - LINES + 1, newest + 1)
    cells = ring[buckets % LINES]
    there = cells["key"] == keys(zlib.crc32(of.series.encode()) & 0x7FFFFFFF, buckets)
    buckets, cells = buckets[there], cells[there]
    if level:
        below, parts = _level(directory, of, level - 1)
        fresh = np.unique(below // FACTOR)
        # the oldest of them may have lost parts to the ring; what was summed up while it was whole is better
        fresh = fresh[~np.isin(fresh, buckets)]
        if len(fresh):
            index = np.searchsorted(below, fresh[:, None] * FACTOR + np.arange(FACTOR))
            inside = np.minimum(index, len(below) - 1)
            valid = below[inside] == fresh[:, None] * FACTOR + np.arange(FACTOR)
            buckets, cells = np.concatenate([buckets, fresh]), np.concatenate([cells, summarize(parts[inside], valid)])
    order = np.argsort(buckets, kind="stable")
    return buckets[order], cells[order]
