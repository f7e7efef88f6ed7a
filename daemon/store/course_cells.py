"""The course of a series: what was read, expected and scored, a cell for each slot and for ever longer runs of slots.

A level is a ring of `LINES` cells a series. A cell of level 0 is a slot, one of the next level `FACTOR` cells of the
level below, until a ring spans `SPAN_S`. So each series takes the same room for ever, and a year is drawn of as few
cells as a day. A cell knows whose and when it is by its key: what is left from another lap of the ring, from a series
that had the row before, or of another history is no cell of this one, and nothing ever has to be cleared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LINES, FACTOR = 512, 6
SPAN_S = 366 * 86400
VARIABLES = 4
"""Of a wider stream's readings the first so many are kept."""

_MULTIPLIER = 0x9E3779B1  # 2^32 over the golden ratio: neighbouring buckets get keys far apart
_MOST = 60_000.0  # of what is kept as a short float

Cells = npt.NDArray[Any]


def cell(width: int) -> np.dtype[Any]:
    """A cell of a stream of so many variables. `value` is the mean of the readings, `low` and `high` their bounds."""
    w = (min(width, VARIABLES),)
    wide = [(name, "<f4", w) for name in ("value", "low", "high", "expected", "around")]
    return np.dtype([("key", "<u4"), *wide, ("score", "<f2"), ("threshold", "<f2")])


def levels(interval_s: int) -> int:
    """How many levels a stream has."""
    count = 1
    while LINES * FACTOR ** (count - 1) * interval_s < SPAN_S:
        count += 1
    return count


def keys(stagger: npt.NDArray[Any] | int, bucket: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """Keys of the cells of series, known by the CRC-32 of their names, at buckets; never 0."""
    mixed = (np.asarray(stagger, np.uint64) ^ (bucket.astype(np.uint64) * np.uint64(_MULTIPLIER))) & np.uint64(
        0xFFFFFFFF
    )
    found: npt.NDArray[np.uint32] = np.maximum(mixed, np.uint64(1)).astype(np.uint32)
    return found


def short(values: npt.NDArray[Any]) -> npt.NDArray[np.float16]:
    """Numbers that need few digits, within what a short float holds."""
    found: npt.NDArray[np.float16] = np.clip(values, -_MOST, _MOST).astype(np.float16)
    return found


def summarize(cells: Cells, valid: npt.NDArray[np.bool_]) -> Cells:
    """One cell of each `FACTOR` of the level below, shape (N, FACTOR), of which some are there; keys are left 0.

    What is greatest counts for scores, since a short anomaly must not drown in a long calm.
    """
    out = np.zeros(len(cells), cells.dtype)
    there = valid[..., None]
    for name in ("value", "expected", "around"):
        known = there & ~np.isnan(cells[name])
        total = np.where(known, cells[name], 0.0).sum(1, dtype=np.float64)
        count = known.sum(1)
        out[name] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    out["low"] = np.where(there, cells["low"], np.inf).min(1)
    out["high"] = np.where(there, cells["high"], -np.inf).max(1)
    for name in ("score", "threshold"):
        known = valid & ~np.isnan(cells[name])
        most = np.where(known, cells[name], -np.inf).max(1)
        out[name] = np.where(known.any(1), most, np.nan)
    return out
