"""Readings of a delivery that has not ended, and the order in which they take effect when it has.

By slot, then by series, then by stamp, and those of one series and stamp as they came. So a file sorted by meter and
one sorted by time are the same delivery, and what follows from it, rows of the table included, is the same to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.slots import NEVER, SlotClock
from daemon.engine.machine.corroboration import AGREEING
from daemon.engine.messages.inputs import Batch

MOST_NUMBERS = 1 << 23
"""Numbers held at most, four a reading beside its values' others: 64 MiB, two million single values."""

_COLUMNS = ("codes", "at_ms", "fold_s", "values", "quality")


class HeldReadings:
    """What came of a delivery so far.

    Args:
        stream: Name of the stream.
        width: Variables of a reading.
        slots: From stamps to slots.

    Attributes:
        reach: Greatest corroborated slot of what was taken up of the delivery, NEVER before that.
        most: Readings that are held at most; more are taken up in pieces.
    """

    def __init__(self, stream: str, width: int, slots: SlotClock) -> None:
        self.stream, self.width, self.slots = stream, width, slots
        self.most = MOST_NUMBERS // (3 + width)
        self.reach = NEVER
        self._index: dict[str, int] = {}
        self._parts: list[dict[str, npt.NDArray[Any]]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, batch: Batch) -> Batch:
        """Hold what there is room for; returns the rest."""
        now, rest = batch.part(0, self.most - self._count), batch.part(self.most - self._count, len(batch))
        if not len(now):
            return rest
        found, first = np.unique(now.codes, return_index=True)
        renamed = np.zeros(len(batch.series), np.int32)
        for code in found[np.argsort(first)].tolist():  # in order of arrival, or cuts of batches would matter
            renamed[code] = self._index.setdefault(batch.series[code], len(self._index))
        quality = np.zeros(len(now), np.int8) if now.quality is None else now.quality
        columns = renamed[now.codes], now.at_ms, now.fold_s, now.values, quality
        self._parts.append(dict(zip(_COLUMNS, columns, strict=True)))
        self._count += len(now)
        return rest

    def release(self, last_slot: dict[str, int]) -> Batch:
        """All that is held, in the order in which it takes effect; nothing is held any more.

        Args:
            last_slot: Greatest slot so far of each series of these that has one.
        """
        columns, names = self._joined(), list(self._index)
        order = sorted(range(len(names)), key=names.__getitem__)
        rank = np.empty(len(names), np.int32)
        rank[order] = np.arange(len(names), dtype=np.int32)
        series = [names[at] for at in order]
        codes, at_ms = rank[columns["codes"]], columns["at_ms"].copy()
        if columns["fold_s"].any():
            last = np.array([last_slot.get(name, NEVER) for name in series], np.int64)
            self._unfold(codes, at_ms, columns["fold_s"], last)
        slots = self.slots.slots(at_ms)
        by = np.lexsort((at_ms, codes, slots))
        self._index, self._parts, self._count = {}, [], 0
        self.reach = max(self.reach, _corroborated(codes, slots))
        none = np.zeros(len(by), np.int32)
        return Batch(
            self.stream, 0, series, codes[by], at_ms[by], none, columns["values"][by], {}, columns["quality"][by]
        )

    def end(self) -> int:
        """Greatest slot of the delivery, which has ended; NEVER where it had no reading."""
        reach, self.reach = self.reach, NEVER
        return reach

    def _unfold(
        self,
        codes: npt.NDArray[np.int32],
        at_ms: npt.NDArray[np.int64],
        fold_s: npt.NDArray[np.int32],
        last: npt.NDArray[np.int64],
    ) -> None:
        """Move stamps of a repeated local hour to its second pass where the first is taken; `at_ms` is changed.

        It is taken by a reading of the same series and stamp before it in the delivery, or by one of an earlier
        delivery.
        """
        at = np.flatnonzero(fold_s)
        by = np.lexsort((at, at_ms[at], codes[at]))
        at = at[by]
        again = np.zeros(len(at), np.bool_)
        again[1:] = (np.diff(codes[at]) == 0) & (np.diff(at_ms[at]) == 0)
        taken = again | (self.slots.slots(at_ms[at]) <= last[codes[at]])
        at_ms[at[taken]] += fold_s[at[taken]].astype(np.int64) * 1000

    def _joined(self) -> dict[str, npt.NDArray[Any]]:
        empty = {
            "codes": np.zeros(0, np.int32),
            "at_ms": np.zeros(0, np.int64),
            "fold_s": np.zeros(0, np.int32),
            "values": np.zeros((0, self.width)),
            "quality": np.zeros(0, np.int8),
        }
        return {name: np.concatenate([none, *(part[name] for part in self._parts)]) for name, none in empty.items()}

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON and arrays that `restore` continues from."""
        joined = self._joined()
        self._parts = [joined] if self._count else []
        return {"series": list(self._index), "reach": self.reach}, joined

    def restore(self, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Continue from what `state` returned."""
        self._index = {series: code for code, series in enumerate(meta["series"])}
        self.reach, self._count = meta["reach"], len(arrays["codes"])
        self._parts = [{name: arrays[name] for name in _COLUMNS}] if self._count else []


def _corroborated(codes: npt.NDArray[np.int32], slots: npt.NDArray[np.int64]) -> int:
    """Greatest slot that `AGREEING` series have come to, or nearly; of fewer series, that so many slots have.

    A wrong clock in one meter must not close slots that the others have not reached.
    """
    if not len(slots):
        return NEVER
    by_series = np.full(int(codes.max()) + 1, NEVER, np.int64)
    np.maximum.at(by_series, codes, slots)
    reached = by_series if len(by_series) >= AGREEING else np.unique(slots)
    agreed = np.sort(reached)[-min(AGREEING, len(reached))]
    return int(slots[slots <= agreed + AGREEING].max())
