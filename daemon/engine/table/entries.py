"""What comes with readings into the table, and what comes out of it: entries to judge, and notes on others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MISREAD, METER_REPLACED, VALUE_REVISED = 0, 1, 2  # kinds of notes


class Beside(NamedTuple):
    """What comes with N readings beside row, slot and value, and the physical limits of each policy (P, 2)."""

    phase: npt.NDArray[np.int32]  # (N,) of the series after each, see `phases`
    strays: npt.NDArray[np.int8]  # (N,)
    quality: npt.NDArray[np.int8]  # (N,) 0 actual; else it fills its slot, and nothing more
    limits: npt.NDArray[np.float64]


class Entries(NamedTuple):
    """Readings that filled a new slot, in order of arrival; E of them, K with a window to score."""

    row: npt.NDArray[np.int32]  # (E,)
    slot: npt.NDArray[np.int64]  # (E,)
    value: npt.NDArray[np.float64]  # (E, F)
    arrival: npt.NDArray[np.int64]  # (E,) index of the reading
    window: npt.NDArray[np.int32]  # (E,) index of its window, -1 when it is not scored
    x: npt.NDArray[np.float32]  # (K, W, F)
    observed: npt.NDArray[np.bool_]  # (K, W)

    @classmethod
    def room(cls, n: int, window: int, width: int) -> Entries:
        """Room for `n` entries, all with windows."""
        return cls(
            row=np.empty(n, np.int32),
            slot=np.empty(n, np.int64),
            value=np.empty((n, width)),
            arrival=np.empty(n, np.int64),
            window=np.empty(n, np.int32),
            x=np.empty((n, window, width), np.float32),
            observed=np.empty((n, window), np.bool_),
        )


class Notes(NamedTuple):
    """What is to be said of readings that are no entries, in order of arrival."""

    kind: npt.NDArray[np.int8]
    row: npt.NDArray[np.int32]
    first: npt.NDArray[np.int64]  # slot of the first reading meant
    last: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int64]  # at which that turned out
    arrival: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]  # (N, F) of the first reading meant
    expected: npt.NDArray[np.float64]  # (N, F) NaN where there is none

    @classmethod
    def room(cls, n: int, width: int) -> Notes:
        """Room for `n` of them."""
        return cls(
            np.empty(n, np.int8),
            np.empty(n, np.int32),
            np.empty(n, np.int64),
            np.empty(n, np.int64),
            np.empty(n, np.int64),
            np.empty(n, np.int64),
            np.empty((n, width)),
            np.empty((n, width)),
        )
