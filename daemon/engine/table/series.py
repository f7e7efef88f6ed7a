"""All series of a stream as arrays: one record a series, and the rings beside it.

Rows are given out in order of arrival, the smallest free one first, so that equal inputs give equal tables.
"""

from __future__ import annotations

import heapq
import zlib
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.calibration import CALIBRATION
from daemon.engine.kernel.due_hours import REPORTED, begin
from daemon.engine.kernel.regime import REGIME
from daemon.engine.kernel.slots import NEVER
from daemon.engine.kernel.statistics import STATISTICS
from daemon.engine.messages.events import Reason
from daemon.engine.table.exclusions import Exclusions

NO_PHASE = -(1 << 31)
NUMBERS, SLOTS = 5, 4  # of a counter's registers, and their slots
FREE, WARMING, QUEUED, READY = 0, 1, 2, 3
STATUS = ("free", "warming", "queued", "ready")
NO_SERIES, UNKNOWN = -1, -2  # rows of series the table has no room for, and of those it has not seen

SERIES = np.dtype(
    [
        ("status", "i1"),
        ("silent", "i1"),  # 1 while a gap is open
        ("episode", "i1"),  # of `hysteresis`, 0 while no episode is open
        ("reasons", "u1"),  # bits of the open episode's reasons
        ("halved", "i2"),  # times that labels have halved the rate of its alarms by rarity; below 0 doubled it
        ("frozen_run", "i1"),  # 1 while the constant run began in the warm-up: a constant meter is no fault
        ("doubts", "i1"),  # doubted register readings in a row that agree with each other, see `registers`
        ("strays", "i1"),  # stamps in a row far from its phase
        ("phase", "i4"),  # milliseconds from its slots' beginnings to its stamps, see `phases`
        ("policy", "i4"),  # 0 the stream's alert settings, n the n-th exception
        ("stagger", "i4"),  # CRC-32 of the name, for whatever must not happen to all series at once
        ("first", "i8"),  # first slot
        ("last", "i8"),  # greatest slot with a reading
        ("mature", "i8"),  # slot at which the warm-up is looked at next
        ("readings", "i8"),  # slots filled in order
        ("buffer", "i4"),  # row of the warm-up's values, -1 when released
        ("run", "i4"),  # slots the value has been constant
        ("longest_run", "i4"),  # longest constant run so far that was no episode
        ("quiet", "i4"),  # slots in a row below the closing bound while an episode is open
        ("silent_group", "i8"),  # key of the stream event this gap belongs to, NEVER for a gap of its own
        ("alarmed", "i8"),  # slot of the last alarm: the first that was rare in its episode, or after a calm
        ("ended", "i8"),  # last odd slot of the open episode
        ("odd", "f8"),  # greatest own error of a reading of the open episode
        ("peak", "f8"),  # greatest rarity of the open episode
        ("said", "f8"),  # rarity at the last revision of the open episode
        ("notified", "i8"),  # slot of the last notification
        ("owed", "i1"),  # whether the alarm of the open episode was not told because of maintenance
        ("notified_peak", "f8"),  # greatest rarity of the episode it was about
        ("rank", "f4"),
        ("rarity", "f4"),
        ("score", "f4"),
        ("error", "f4"),  # reconstruction error
        ("scale", "f4", (2,)),  # the error scale of its statistics, see `ErrorScale`; states have it by this name
        ("anomalies", "i4", (len(Reason),)),  # anomalous slots by reason
        ("late", "i4"),
        ("fault_until", "i8"),  # last slot whose window has a reading that an operator called a fault
        ("due", REPORTED),
        ("regime", REGIME),
        ("statistics", STATISTICS),
        ("calibration", CALIBRATION),
    ],
    align=True,
)


class Arrays(NamedTuple):
    """The table's arrays as compiled code takes them. S rows, window W, width F, warm-up of p slots."""

    rows: npt.NDArray[Any]  # (S,) SERIES
    ring: npt.NDArray[np.float32]  # (S, W, F) scaled values by slot modulo W; NaN is a gap, infinite not for use
    value: npt.NDArray[np.float64]  # (S, F) last value
    registers: npt.NDArray[np.float64]  # (S, 5, F) of counters, see `registers`; no rows where there are none
    register_slots: npt.NDArray[np.int64]  # (S, 4) of counters
    origin: npt.NDArray[np.float64]  # (S, F) the warm-up's minimum
    scale: npt.NDArray[np.float64]  # (S, F) the warm-up's range
    median: npt.NDArray[np.float64]  # (S, F) the warm-up's median, scaled
    low: npt.NDArray[np.float64]  # (S, F) smallest value seen
    high: npt.NDArray[np.float64]  # (S, F) greatest value seen
    usual: npt.NDArray[np.float64]  # (S, F) usual error of each variable, scaled
    expected: npt.NDArray[np.float32]  # (S, F)
    lower: npt.NDArray[np.float32]  # (S, F)
    upper: npt.NDArray[np.float32]  # (S, F)
    pending: npt.NDArray[np.float64]  # (S, F) sum of the readings of the slot being aggregated
    pending_slot: npt.NDArray[np.int64]  # (S,) that slot, NEVER when none
    pending_count: npt.NDArray[np.int64]  # (S,)
    pending_quality: npt.NDArray[np.int8]  # (S,) the greatest of that slot's readings
    passed: npt.NDArray[np.int64]  # (S,) greatest slot passed on by aggregation
    history: npt.NDArray[np.float64]  # (B, p, F) values of series in warm-up by slot modulo p; as in the ring


class SeriesTable:
    """Name to row, and the arrays of all rows.

    Args:
        max_series: Rows; memory is touched only as they are used.
        window: Slots of a window.
        width: Variables of a reading.
        warm_up_slots: Slots of the warm-up.
        ranged: Whether values are scaled by the warm-up's range.
        counter: Whether readings are registers.

    Attributes:
        names: Name of the series of each row; None where the row is free.
        row_of: Row of each series.
        owner_of: Source that brought in the series of a row, of those whose source may bring in so many only.
        owned: How many rows each source has in `owner_of`.
        expected: Series -> source that brings it in, where it has no row yet.
        excluded: Periods of its series of which nothing is learned.
    """

    def __init__(
        self, max_series: int, window: int, width: int, warm_up_slots: int, ranged: bool = True, counter: bool = False
    ) -> None:
        self.max_series, self.window, self.width, self.warm_up_slots = max_series, window, width, warm_up_slots
        self.ranged = ranged
        self.names: list[str | None] = []
        self.row_of: dict[str, int] = {}
        self.owner_of: dict[int, str] = {}
        self.owned: Counter[str] = Counter()
        self.expected: dict[str, str] = {}
        self.excluded = Exclusions()
        self._free: list[int] = []
        self._free_buffers: list[int] = []
        s, f = max_series, width
        self.arrays = Arrays(
            rows=np.zeros(s, SERIES),
            ring=np.zeros((s, window, f), np.float32),
            pending_slot=np.zeros(s, np.int64),
            pending_count=np.zeros(s, np.int64),
            pending_quality=np.zeros(s, np.int8),
            passed=np.zeros(s, np.int64),
            history=np.zeros((0, warm_up_slots, f), np.float64),
            value=np.zeros((s, f)),
            registers=np.zeros((s if counter else 0, NUMBERS, f)),
            register_slots=np.zeros((s if counter else 0, SLOTS), np.int64),
            origin=np.zeros((s, f)),
            scale=np.zeros((s, f)),
            median=np.zeros((s, f)),
            low=np.zeros((s, f)),
            high=np.zeros((s, f)),
            pending=np.zeros((s, f)),
            usual=np.zeros((s, f)),
            expected=np.zeros((s, f), np.float32),
            lower=np.zeros((s, f), np.float32),
            upper=np.zeros((s, f), np.float32),
        )

    def __len__(self) -> int:
        return len(self.row_of)

    @property
    def used(self) -> int:
        """Rows that have ever been used; all arrays are untouched beyond."""
        return len(self.names)

    @property
    def rows(self) -> npt.NDArray[Any]:
        """The records of the used rows, a view."""
        return self.arrays.rows[: self.used]

    def lookup(self, names: list[str]) -> npt.NDArray[np.int32]:
        """Row of each series, UNKNOWN where it has none yet."""
        get = self.row_of.get
        return np.fromiter((get(name, UNKNOWN) for name in names), np.int32, len(names))

    def unbegun(self, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which of N readings, in these rows, are of series that have no slot filled yet, shape (N,)."""
        unbegun: npt.NDArray[np.bool_] = rows == UNKNOWN
        if self.used:
            unbegun |= (rows >= 0) & (self.rows["last"][np.maximum(rows, 0)] == NEVER)
        return unbegun

    def admit(self, name: str) -> int:
        """Row of a new series in warm-up, NO_SERIES when the table is full."""
        if self._free:
            row = heapq.heappop(self._free)
            self.names[row] = name
        elif self.used < self.max_series:
            row = self.used
            self.names.append(name)
        else:
            return NO_SERIES
        self.row_of[name] = row
        if (owner := self.expected.pop(name, None)) is not None:
            self.owner_of[row] = owner
            self.owned[owner] += 1
        self._clear(row)
        record = self.arrays.rows[row]
        record["status"] = WARMING
        record["stagger"] = zlib.crc32(name.encode()) & 0x7FFFFFFF
        record["buffer"] = self._take_buffer()
        return row

    def release_buffer(self, row: int) -> None:
        """Give back the warm-up's values of a series."""
        record = self.arrays.rows[row]
        if record["buffer"] >= 0:
            heapq.heappush(self._free_buffers, int(record["buffer"]))
            record["buffer"] = -1

    def shrink(self) -> None:
        """Give the warm-up's memory back once no series is in warm-up."""
        if len(self._free_buffers) == len(self.arrays.history):
            self.arrays = self.arrays._replace(history=self.arrays.history[:0].copy())
            self._free_buffers = []

    def retire(self, row: int) -> str:
        """Forget a series and free its row; returns its name."""
        name = self.names[row]
        assert name is not None
        self.release_buffer(row)
        del self.row_of[name]
        if (owner := self.owner_of.pop(row, None)) is not None:
            self.owned[owner] -= 1
        self.names[row] = None
        self._clear(row)
        heapq.heappush(self._free, row)
        return name

    def bytes_per_series(self) -> int:
        """Bytes of state a series takes once it is ready."""
        return sum(a[:1].nbytes for name, a in self.arrays._asdict().items() if name != "history")

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What `restore` needs: JSON and arrays of the used rows."""
        arrays = {n: a[: self.used] for n, a in self.arrays._asdict().items() if n != "history"}
        return {"labels": self.names}, {**arrays, "history": self.arrays.history}

    def provenance(self) -> dict[str, Any]:
        """JSON that `restore_provenance` continues from: which source brought in what; empty where none is limited."""
        found = {"rows": {str(row): owner for row, owner in sorted(self.owner_of.items())}, "expected": self.expected}
        return {name: part for name, part in found.items() if part}

    def restore_provenance(self, meta: dict[str, Any]) -> None:
        """Continue from what `provenance` returned."""
        self.owner_of = {int(row): owner for row, owner in meta.get("rows", {}).items()}
        self.owned = Counter(self.owner_of.values())
        self.expected = dict(meta.get("expected", {}))

    def restore(self, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Continue from what `state` returned. Raises ValueError when the arrays do not fit this table."""
        if len(meta["labels"]) > self.max_series:
            raise ValueError(f"state holds {len(meta['labels'])} series, but max_series is {self.max_series}")
        self.names = list(meta["labels"])
        self.row_of = {name: row for row, name in enumerate(self.names) if name is not None}
        for name, own in self.arrays._asdict().items():
            if name != "history":
                if arrays[name].dtype != own.dtype or arrays[name].shape[1:] != own.shape[1:]:
                    raise ValueError(f"state's {name} does not fit this configuration's")
                own[: self.used] = arrays[name]
        self.arrays = self.arrays._replace(history=arrays["history"])
        self._free = [row for row, name in enumerate(self.names) if name is None]
        taken = set(self.rows["buffer"][self.rows["status"] != FREE].tolist())
        self._free_buffers = [b for b in range(len(self.arrays.history)) if b not in taken]

    def _clear(self, row: int) -> None:
        for name, array in self.arrays._asdict().items():
            if name != "history" and len(array):
                array[row] = np.zeros((), array.dtype)
        record = self.arrays.rows[row]
        for name in ("first", "last", "notified", "silent_group", "fault_until"):
            record[name] = NEVER
        record["buffer"] = -1
        begin(record["due"])
        record["phase"] = NO_PHASE
        self.arrays.register_slots[row : row + 1] = NEVER
        self.arrays.pending_slot[row] = self.arrays.passed[row] = NEVER

    def _take_buffer(self) -> int:
        if not self._free_buffers:
            old = self.arrays.history
            grown = np.zeros((max(64, 2 * len(old)), *old.shape[1:]))
            grown[: len(old)] = old
            self._free_buffers = list(range(len(old), len(grown)))
            self.arrays = self.arrays._replace(history=grown)
        buffer = heapq.heappop(self._free_buffers)
        self.arrays.history[buffer] = np.nan
        return buffer
