"""What an operator's label teaches: what to train on, what is usual, and how rare an alarm must be.

A fault: its windows leave training and are set apart, where the gate judges by them, and no regime takes them back.
Normal: its windows are trained on, a fault remembered from it is forgotten, and where the series is still in it, it is
adopted as `daemon.engine.kernel.regime` adopts what lasts. What is called normal is no longer part of an earlier fault.
Taken back: thresholds and the measured rate are as without the label, and a fault's windows are where they were. What
`normal` brought into training, and a level that was adopted by it, stay: these cannot be told apart from the rest.

Source:
    Tax and Duin 2004, doi:10.1023/B:MACH.0000008084.60811.49: a description of what is normal, tightened by outliers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.slots import NEVER, SlotClock
from daemon.engine.learning import reservoir
from daemon.engine.learning.reservoir import Period, Reservoir
from daemon.engine.messages.inputs import Labelled
from daemon.engine.table.series import READY, STATUS, SeriesTable

MOST_COUNTED = 30_000  # halvings, or doublings, more than there are
MOST_FAULTS = 256  # periods of a series; of more, the oldest are no longer told from what is normal


class Labels:
    """The labels of one stream, and what they teach.

    Args:
        table: Its series.
        kept: Windows to train on.
        slots: From instants to slots.

    Attributes:
        faults: Periods of each series, by row, that are called a fault; first and last slot.
    """

    def __init__(self, table: SeriesTable, kept: Reservoir, slots: SlotClock) -> None:
        self.table, self.reservoir, self.slots = table, kept, slots
        self.faults: dict[int, list[Period]] = {}

    def check(self, series: str, since: int, until: int) -> None:
        """Whether the slots from `since` to `until`, epoch seconds, of a series can be labelled.

        Raises:
            ValueError: They cannot; the message says why.
        """
        row = self.table.row_of.get(series)
        if row is None:
            raise ValueError(f"there is no series {series!r}; it never reported, or was silent until it was forgotten")
        s = self.table.arrays.rows[row]
        if s["status"] != READY:
            raise ValueError(
                f"{series} is {STATUS[s['status']]}, nothing has been learned from it; label it when it is ready"
            )
        if self.slots.slot(until) < self.slots.slot(since):
            raise ValueError("the period ends before it begins")
        if self.slots.slot(until) < s["first"]:
            raise ValueError(f"{series} had no reading in that period yet; label what it has reported")
        if self.slots.slot(since) > s["last"]:
            raise ValueError(
                f"{series} has no reading from that period on yet; what is known beforehand is a window of maintenance"
            )

    def learn(self, item: Labelled, row: int, opened: int | None, day: int) -> None:
        """Learn from a label that `check` has passed.

        Args:
            item: The label.
            row: The series' row.
            opened: First slot of the series' open episode, None where none is.
            day: Slots from before a regime began whose windows are adopted with it.
        """
        s = self.table.arrays.rows[row]
        s["halved"] = min(max(s["halved"] + item.halvings, -MOST_COUNTED), MOST_COUNTED)
        period = self.slots.slot(item.since), self.slots.slot(item.until)
        faults = self.faults.get(row, [])
        if item.kind == "fault":
            faults = [*faults, period]
            reservoir.take_out(self.reservoir, row, period)
        else:
            faults = [left for fault in faults for left in _without(fault, period)]
            if item.kind == "none":
                reservoir.give_back(self.reservoir, row, faults)
            else:
                reservoir.put_back(self.reservoir, row, _adopted(s, period, opened, day), faults)
        faults = faults[-MOST_FAULTS:]
        self.faults = {each: kept for each, kept in (self.faults | {row: faults}).items() if kept}
        newest = max((until for _, until in faults), default=NEVER)
        s["fault_until"] = NEVER if newest == NEVER else newest + self.table.window - 1

    def forget(self, rows: npt.NDArray[np.int64]) -> None:
        """The series of these rows are gone."""
        for row in rows.tolist():
            self.faults.pop(row, None)

    def state(self) -> list[tuple[int, list[Period]]]:
        """JSON that `restore` continues from."""
        return sorted(self.faults.items())

    def restore(self, state: list[tuple[int, list[Period]]]) -> None:
        """Continue from what `state` returned."""
        self.faults = {row: [(since, until) for since, until in faults] for row, faults in state}


def _without(fault: Period, normal: Period) -> list[Period]:
    """What is left of a fault beside what is none: nothing, one period or two."""
    parts = (fault[0], min(fault[1], normal[0] - 1)), (max(fault[0], normal[1] + 1), fault[1])
    return [part for part in dict.fromkeys(parts) if part[0] <= part[1]]


def _adopted(s: Any, period: Period, opened: int | None, day: int) -> Period:
    """Forget a fault that is remembered from the period, and adopt it where the series is still in it.

    Returns:
        The period whose windows are to be trained on.
    """
    since, until = period
    if s["regime"]["first"] <= until and s["regime"]["seen"] >= since:
        s["regime"]["fault"] = 0.0
    departed = int(s["regime"]["since"])
    begun = opened if departed == NEVER else departed
    if begun is None or begun > until or until < s["last"]:
        return period
    r = s["regime"]
    r["usual"], r["off"], r["since"], r["fault"] = r["lately"], 0.0, NEVER, 0.0
    s["episode"], s["reasons"], s["quiet"] = 0, 0, 0
    return min(since, begun - day), int(s["last"])
