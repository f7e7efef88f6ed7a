"""Readings of a document while it is read: gathered by whole arrays, and given in pieces of a bounded size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adapters.base import Readings
from adapters.formats.rows import Rows
from adapters.formats.stamps import OK, REASON

ROWS = 1 << 16  # in a piece, about


class MeterRows:
    """Gathers the readings of a document, one value each.

    Args:
        series_bytes: Longest name of a series, in bytes of UTF-8.
    """

    def __init__(self, series_bytes: int) -> None:
        self._series_bytes = series_bytes
        self._clear()

    def _clear(self) -> None:
        self._names: list[str] = []
        self._columns: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int8]]] = []
        self._reasons: list[npt.NDArray[np.uint8]] = []

    @property
    def full(self) -> bool:
        """Whether there is enough for a piece."""
        return len(self._names) >= ROWS

    def add(
        self,
        series: str,
        at_ms: npt.NDArray[np.int64],
        values: npt.NDArray[np.float64],
        quality: npt.NDArray[np.int8],
        reasons: npt.NDArray[np.uint8],
    ) -> None:
        """Readings of one series, shape (N,) each; where the reason is not OK there is none."""
        self._names += [series] * len(at_ms)
        self._columns.append((at_ms, values, quality))
        self._reasons.append(reasons)

    def refuse(self, reason: str) -> None:
        """A row that is no reading."""
        bad = np.array([REASON[reason]], np.uint8)
        self.add("-", np.zeros(1, np.int64), np.zeros(1), np.zeros(1, np.int8), bad)

    def drain(self) -> Readings:
        """What was gathered; the ends count rows, those refused too."""
        count = len(self._names)
        rows, lines = Rows(np.arange(1, count + 1, dtype=np.int64), 1), np.arange(count)
        if count:
            at_ms, values, quality = (np.concatenate(parts) for parts in zip(*self._columns, strict=True))
            reasons = np.concatenate(self._reasons)
            rows.put_names(lines, self._names, self._series_bytes)
            rows.put_instants(lines, at_ms, np.zeros(count, np.int32), reasons)
            rows.put_qualities(lines, quality, np.full(count, OK, np.uint8))
            rows.put_values(lines, 0, values, np.full(count, OK, np.uint8))
        self._clear()
        return rows.finish()


def worst(*reasons: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The first reason of each row that is not OK, OK where there is none; shape (N,) each."""
    found = reasons[0].copy()
    for each in reasons[1:]:
        found = np.where(found == OK, each, found).astype(np.uint8)
    return found


def repeated(value: int, count: int, dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[np.integer]:
    """One value for all rows."""
    return np.full(count, value, dtype)


def qualities_of(pairs: Sequence[tuple[int, int]]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint8]]:
    """Indices and reasons of `QualityReader.read`, as arrays."""
    return np.array([q for q, _ in pairs], np.int8), np.array([r for _, r in pairs], np.uint8)
