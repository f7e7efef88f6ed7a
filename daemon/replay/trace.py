"""What the engine made of every reading of a few series, kept while a file is replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daemon.engine.detection.decision import Decisions, Scored
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.events import REASONS
from daemon.engine.table.entries import Entries

if TYPE_CHECKING:
    import pandas as pd

MOST_SERIES = 8

Floats = npt.NDArray[np.float64]

_NUMBERS = ("value", "expected", "lower", "upper", "error", "rank", "rarity")


@dataclass(frozen=True, eq=False)
class ReadingTrace:
    """One series, one number for each of N readings; NaN where a reading was not scored.

    Attributes:
        series: The series.
        at: Epoch seconds of its slot.
        value: The first variable.
        expected, lower, upper: What the network expected of it, and the bounds of what is usual.
        error: Reconstruction error of the newest slot, mean over variables, scaled.
        rank, rarity: See docs/architecture.md.
        reasons: Bits in the order of `events.REASONS`.
    """

    series: str
    at: npt.NDArray[np.int64]
    value: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    error: Floats
    rank: Floats
    rarity: Floats
    reasons: npt.NDArray[np.int64]


class Tracer:
    """Observes a stream; of its first series everything is kept.

    Args:
        stream: The stream.
        most: How many series.
    """

    def __init__(self, stream: Stream, most: int = MOST_SERIES) -> None:
        self._stream, self._most = stream, most
        self._chunks: list[tuple[npt.NDArray[Any], ...]] = []
        self._names: dict[int, str] = {}
        stream.scoring.observers.append(self._record)

    def _record(self, e: Entries, count: int, scored: Scored, out: Decisions) -> None:
        index = np.flatnonzero(e.row[:count] < self._most)
        row, window = e.row[index].astype(np.int64), e.window[index]
        for each in np.unique(row).tolist():
            self._names[each] = self._stream.table.names[each] or ""
        a = self._stream.table.arrays
        origin, scale = a.origin[row, 0], a.scale[row, 0]
        expected, error = np.full(len(index), np.nan), np.full(len(index), np.nan)
        has = window >= 0
        expected[has] = origin[has] + scale[has] * scored.expected[window[has], 0]
        error[has] = scored.newest[window[has]].mean(-1)
        around = np.where(has, scale * out.around[index, 0], np.nan)
        rank, rarity = (np.where(has, column[index], np.nan) for column in (out.rank, out.rarity))
        reasons = out.reasons[index].astype(np.int64)
        self._chunks.append(
            (row, e.slot[index].copy(), e.value[index, 0].copy(), expected, expected - around, expected + around, error,
             rank, rarity, reasons)
        )  # fmt: skip

    def drain(self) -> list[ReadingTrace]:
        """`traces`, which are forgotten here."""
        found = self.traces()
        self._chunks, self._names = [], {}
        return found

    def traces(self) -> list[ReadingTrace]:
        """Each series' readings in order of time."""
        if not self._chunks:
            return []
        columns = [np.concatenate(parts) for parts in zip(*self._chunks, strict=True)]
        found = []
        for row, series in sorted(self._names.items()):
            own = np.flatnonzero(columns[0] == row)
            own = own[np.argsort(columns[1][own], kind="stable")]
            slot, *rest = (column[own] for column in columns[1:])
            found.append(ReadingTrace(series, slot * self._stream.slots.interval_s, *rest))
        return found


def to_frame(traces: Sequence[ReadingTrace]) -> pd.DataFrame:
    """A row for each reading, series by series, with a column for each attribute of a trace.

    `at` is of UTC and knows it, `reasons` are joined by commas.
    """
    import pandas as pd

    from daemon.presentation.frame import utc

    columns: dict[str, Any] = {name: _joined(traces, name, np.float64) for name in _NUMBERS}
    words = [", ".join(name for i, name in enumerate(REASONS) if bits >> i & 1) for bits in range(1 << len(REASONS))]
    series = np.repeat(np.array([trace.series for trace in traces], object), [len(trace.at) for trace in traces])
    reasons = np.array(words, object)[_joined(traces, "reasons", np.int64)]
    columns = {"series": series, "at": utc(_joined(traces, "at", np.int64))} | columns | {"reasons": reasons}
    return pd.DataFrame(columns).astype({"series": "string", "reasons": "string"})


def _joined(traces: Sequence[ReadingTrace], name: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *(getattr(trace, name) for trace in traces)])
