"""Which slots of which series lie in a maintenance window: there nobody is told, and, if so wanted, nothing learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.config.maintenance_settings import MaintenanceSettings, MaintenanceWindow
from daemon.config.settings import StreamSettings
from daemon.engine.kernel.slots import SlotClock
from daemon.engine.machine.added_windows import AddedWindow, AddedWindows
from daemon.engine.table.series import SeriesTable

_KNOWN_MOST = 100_000  # slots whose windows are remembered
_JOINED_MOST = 1000  # windows that follow one another without a slot between them
_AT_ONCE = 60  # windows whose bits are one number

Mask = npt.NDArray[np.bool_]


class Maintenance:
    """The windows of one stream: those of the configuration, and those that are added, which alone are state.

    A slot is in a window when any part of it is.

    Args:
        table: The stream's series.
        slots: From slots to instants.

    Attributes:
        added: Windows that an operator has added.
    """

    def __init__(self, table: SeriesTable, slots: SlotClock) -> None:
        self.table, self.slots = table, slots
        self.added = AddedWindows()
        self._configured: list[MaintenanceSettings] = []
        self._timezone = "UTC"
        self._windows: list[MaintenanceWindow] = []
        self._meant: dict[str, int] = {}
        self._known: dict[int, int] = {}
        self._unlearned = 0
        self._next: int | None = None
        self._looked = range(0)

    def configure(self, settings: StreamSettings) -> None:
        """Take over new settings."""
        self._configured, self._timezone = settings.maintenance, settings.timezone
        self._begin()

    def put(self, window: AddedWindow, dropped: bool, at: int) -> None:
        """Add a window, or drop it; the stream is at `at`, epoch seconds."""
        self.added.put(window, dropped, at, self._timezone)
        self._begin()

    def restore(self, state: list[Any]) -> None:
        """Continue from what `added.state` returned."""
        self.added.restore(state)
        self._begin()

    def _begin(self) -> None:
        """Look at all windows anew."""
        wanted = [*self._configured, *(each.settings for each in self.added.windows)]
        self._windows = [MaintenanceWindow(each, self._timezone) for each in wanted]
        self._unlearned = sum(1 << i for i, each in enumerate(self._windows) if not each.settings.learn)
        self._meant, self._known, self._looked = {}, {}, range(0)

    def covers(self, rows: npt.NDArray[np.int32], slots: npt.NDArray[np.int64]) -> Mask:
        """Which slots of the series of these rows are in a window, shape (N,) all."""
        return self._among(rows, slots, -1)

    def unlearned(self, rows: npt.NDArray[np.int32], slots: npt.NDArray[np.int64]) -> Mask:
        """Those of which nothing is to be learned: in a window that says so, or taken out by an operator."""
        left = self._among(rows, slots, self._unlearned)
        return left | self.table.excluded.among(self.table.names, rows, slots) if self.table.excluded.periods else left

    def holds(self, row: int, slot: int) -> bool:
        """Whether one slot of one series is in a window."""
        return bool(self._windows) and bool(self._of(row) & self._at(slot))

    def until(self, row: int, slot: int) -> int | None:
        """The first slot from `slot` on that is in none; None where there is none for long."""
        for _ in range(_JOINED_MOST):
            begin, meant = self.slots.at(slot), self._of(row)
            ends = [
                each.end_of(begin, begin + self.slots.interval_s)
                for i, each in enumerate(self._windows)
                if meant >> i & 1
            ]
            if (end := max((each for each in ends if each is not None), default=None)) is None:
                return slot
            slot = -int(-end // self.slots.interval_s)
        return None

    def next_end(self, after: int) -> int | None:
        """The first slot after `after` at which a window is over; None for none within a day."""
        if not self._windows or after < 0:
            return None
        if after not in self._looked:
            ends = [each.next_end(self.slots.at(after)) for each in self._windows]
            interval = self.slots.interval_s
            self._next = min((-int(-end // interval) for end in ends if end is not None), default=None)
            self._looked = range(after, after + max(1, 86400 // interval) if self._next is None else self._next)
        return self._next

    def _among(self, rows: npt.NDArray[np.int32], slots: npt.NDArray[np.int64], which: int) -> Mask:
        if not self._windows or not which:
            return np.zeros(len(slots), np.bool_)
        found, inverse = np.unique(slots, return_inverse=True)
        at = [self._at(slot) & which for slot in found.tolist()]
        found_in: Mask = np.zeros(len(slots), np.bool_)
        if not any(at):
            return found_in
        there, whose = np.unique(rows, return_inverse=True)
        meant = [self._of(row) for row in there.tolist()]
        for first in range(0, len(self._windows), _AT_ONCE):
            found_in |= (_bits(meant, first)[whose] & _bits(at, first)[inverse]) != 0
        return found_in

    def _of(self, row: int) -> int:
        """Bits of the windows that a row's series is meant by."""
        name = self.table.names[row]
        if name is None:
            return 0
        known = self._meant.get(name)
        if known is None:
            known = sum(1 << i for i, each in enumerate(self._windows) if each.is_for(name))
            if len(self._meant) > _KNOWN_MOST:
                self._meant.clear()
            self._meant[name] = known
        return known

    def _at(self, slot: int) -> int:
        """Bits of the windows that a slot is in."""
        known = self._known.get(slot)
        if known is None:
            begin = self.slots.at(slot)
            ends = [each.end_of(begin, begin + self.slots.interval_s) for each in self._windows]
            known = sum(1 << i for i, end in enumerate(ends) if end is not None)
            if len(self._known) > _KNOWN_MOST:
                self._known.clear()
            self._known[slot] = known
        return known


def _bits(of: list[int], first: int) -> npt.NDArray[np.int64]:
    """The bits of `_AT_ONCE` windows from `first` on, shape (N,)."""
    return np.array([each >> first & (1 << _AT_ONCE) - 1 for each in of], np.int64)
