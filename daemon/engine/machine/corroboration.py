"""Whether a stamp far beyond what a stream has seen moves the stream: not before others say the same, or it goes on.

A reading that is more than a few slots ahead of the stream claims that the stream has come further. One wrong clock
claims that too, and closing slots, silence, retiring and training all go by how far a stream has come. So a claim is
believed when

- three series that are known make it, or all that are known and alive where there are fewer; or
- it goes on: three slots of it where no other series is alive, `CONTINUED` where others are, without a reading of
  another series from where the stream is; or
- it lies within reach, and no other series is alive, whom it could harm.

Within reach is a warm-up, or two weeks. Readings there are taken by their own series in any case. Those beyond are of
the future until their claim is believed.

The first reading of all is taken as it is. Where two others that agree show that it was of the future, the stream
begins again with them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.slots import NEVER
from daemon.engine.table.series import FREE, SeriesTable

AGREEING = 3
"""Series that must make a claim."""
GOES_ON = 3
"""Slots after which a claim of the only series alive is believed."""
CONTINUED = 256
"""The same where others are alive, and say nothing of where the stream is."""
_CLAIMS = 8


@dataclass
class Claim:
    """That a stream has come as far as `front`.

    Attributes:
        front: Greatest slot of its readings.
        run: Slots by which it went on since another series was heard of where the stream is.
        series: Series that make it.
        known: Those of them that had readings in the stream before.
        at: How far the stream was when it was last made.
    """

    front: int
    run: int
    series: list[str]
    known: list[str]
    at: int


class Corroboration:
    """The claims on one stream. Everything here is part of the state.

    Args:
        table: The stream's series.
        reach: Slots within which claims agree, and within which a reading is taken by its series at once.

    Attributes:
        first: Series and slot of the stream's first reading.
        begun: Whether another one has confirmed it, or two others that agree have shown it to be wrong.
    """

    def __init__(self, table: SeriesTable, reach: int) -> None:
        self._table, self.reach = table, reach
        self.claims: list[Claim] = []
        self.first: tuple[str, int] | None = None
        self.begun = False

    def __bool__(self) -> bool:
        return bool(self.claims)

    def begins(self, series: str, slot: int) -> bool:
        """Whether a reading confirms the first one, so that the stream has begun."""
        assert self.first is not None
        self.begun = (series, slot) != self.first and abs(slot - self.first[1]) <= self.reach
        return self.begun

    def believe(self, series: str, slot: int, greatest: int) -> int | None:
        """A reading claims that a stream at `greatest` has come to `slot`.

        Returns:
            How far the stream has come, because the claim is believed; None: it stays where it is.
        """
        if self.begun:  # a claim that the stream has gone beyond says nothing any more
            self.claims = [one for one in self.claims if one.front > greatest]
        row = self._table.row_of.get(series)
        claim = self._strengthened(series, slot, greatest, known=row is not None and self._lasts()[row] != NEVER)
        front, claim.front = claim.front, max(claim.front, slot)
        if not self._is_believed(claim, slot, greatest):
            return None
        self.claims = [one for one in self.claims if one is not claim and one.front > front]
        self.begun = True
        return min(slot, front)

    def is_far(self, series: str, slot: int, greatest: int) -> bool:
        """Whether a reading is too far ahead of the stream and of its own series to be taken."""
        row = self._table.row_of.get(series)
        return slot - max(greatest, NEVER if row is None else int(self._lasts()[row])) > self.reach

    def contradict(self, series: Collection[str], greatest: int) -> None:
        """Some series were heard of where the stream is, at `greatest`."""
        for one in self.claims:
            one.run = 0
            one.series = [name for name in one.series if name not in series]
            one.known = [name for name in one.known if name not in series]
        self.claims = [one for one in self.claims if one.series and greatest - one.at <= self.reach]

    def _strengthened(self, series: str, slot: int, greatest: int, known: bool) -> Claim:
        """The claim that a reading makes or strengthens."""
        claim = next((one for one in self.claims if abs(slot - one.front) <= self.reach), None)
        if claim is None:
            claim = Claim(slot, 0, [], [], greatest)
            self.claims = [*self.claims, claim][-_CLAIMS:]
        claim.run += claim.run == 0 or slot > claim.front
        claim.at = greatest
        if series not in claim.series and len(claim.series) < AGREEING:
            claim.series.append(series)
        if known and series not in claim.known and len(claim.known) < AGREEING:
            claim.known.append(series)
        return claim

    def _is_believed(self, claim: Claim, slot: int, greatest: int) -> bool:
        """Whether a claim is; the first two readings of a stream that agree say where it begins."""
        if not self.begun:
            return claim.run >= 2 or len(claim.series) >= 2
        alive = (self._table.rows["silent"] == 0) & (self._lasts() >= greatest - self.reach)
        claiming = sum(bool(alive[self._table.row_of[name]]) for name in claim.known if name in self._table.row_of)
        others = int(np.count_nonzero(alive)) > claiming
        if len(claim.known) >= 2 and (len(claim.known) >= AGREEING or not others):
            return True
        if others:
            return claim.run >= CONTINUED
        return claim.run >= GOES_ON or slot - greatest <= self.reach

    def _lasts(self) -> npt.NDArray[np.int64]:
        """Last slot of each row, NEVER where there is none, shape (S,)."""
        used = self._table.used
        last: npt.NDArray[np.int64] = np.maximum(self._table.rows["last"], self._table.arrays.pending_slot[:used])
        return np.where(self._table.rows["status"] == FREE, NEVER, last)

    def state(self) -> dict[str, Any]:
        """JSON that `restore` continues from."""
        return {"claims": [asdict(one) for one in self.claims], "first": self.first, "begun": self.begun}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.claims = [Claim(**one) for one in state["claims"]]
        self.first = None if state["first"] is None else (state["first"][0], state["first"][1])
        self.begun = state["begun"]


def lead_of(gap_after: int) -> int:
    """Slots by which one reading may move a stream: too few for others to be taken for silent."""
    return max(1, gap_after - 1)


def reach_of(warm_up_slots: int, interval_s: int) -> int:
    """Slots beyond which a reading is far from where a stream is."""
    return max(warm_up_slots, 14 * 86400 // interval_s)
