"""Periods that an operator has taken out of all that is learned: their readings fill their slots and teach nothing.

They mean what a maintenance window with `learn: false` means, but are known only afterwards: whoever adds one to a
state that has come to it already repeats the past without it (`daemon.runtime.past`).
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_KNOWN_MOST = 100_000  # series whose periods are remembered


class Exclusion(NamedTuple):
    """One period: of which series, and its first and last slot."""

    series: str  # a pattern with * and ?
    first: int
    last: int


class Exclusions:
    """Those of one stream, in the order in which they were given.

    Attributes:
        periods: They.
    """

    def __init__(self) -> None:
        self.periods: list[Exclusion] = []
        self._meant: dict[str, list[int]] = {}

    def add(self, period: Exclusion) -> None:
        """Add one, unless it is there."""
        if period not in self.periods:
            self.periods.append(period)
            self._meant.clear()

    def before(self, slot: int) -> int:
        """How many begin at `slot` or before: so often has what there is by then been learned anew."""
        return sum(each.first <= slot for each in self.periods)

    def among(
        self, names: list[str | None], rows: npt.NDArray[np.int32], slots: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Which readings are of such a period, shape (N,).

        Args:
            names: The series of each row.
            rows: Row of each reading, shape (N,).
            slots: Its slot, shape (N,).
        """
        found = np.zeros(len(slots), np.bool_)
        for number, period in enumerate(self.periods):
            within = (slots >= period.first) & (slots <= period.last)
            if within.any():
                there, whose = np.unique(rows[within], return_inverse=True)
                meant = np.array([number in self._of(names[row]) for row in there.tolist()], np.bool_)
                found[within] |= meant[whose]
        return found

    def state(self) -> list[list[str | int]]:
        """JSON that `restore` continues from."""
        return [list(each) for each in self.periods]

    def restore(self, state: Iterable[tuple[str, int, int]]) -> None:
        """Continue from what `state` returned."""
        self.periods = [Exclusion(*each) for each in state]
        self._meant.clear()

    def _of(self, name: str | None) -> list[int]:
        """Numbers of the periods that a series is meant by."""
        if name is None:
            return []
        if (known := self._meant.get(name)) is None:
            if len(self._meant) > _KNOWN_MOST:
                self._meant.clear()
            known = [i for i, each in enumerate(self.periods) if fnmatchcase(name, each.series)]
            self._meant[name] = known
        return known
