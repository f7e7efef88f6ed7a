"""What an operator's label teaches: what to train on, what is usual, and how rare an alarm must be.

A fault: its windows leave training and are set apart, where the gate judges by them, and no regime takes them back.
Normal: its windows are trained on, a fault remembered from it is forgotten, and where the series is still in it, it is
adopted as `daemon.learning.regime` adopts what lasts.

Source:
    Tax and Duin 2004, doi:10.1023/B:MACH.0000008084.60811.49: a description of what is normal, tightened by outliers.
"""

from __future__ import annotations

from typing import Any

from daemon.detection.threshold import MOST_HALVED
from daemon.engine.inputs import Labelled
from daemon.engine.series import READY, STATUS, SeriesTable
from daemon.engine.slots import NEVER, SlotClock
from daemon.learning.reservoir import Reservoir, put_back, take_out


def check(table: SeriesTable, slots: SlotClock, series: str, since: int, until: int) -> None:
    """Whether the slots from `since` to `until`, epoch seconds, of a series can be labelled.

    Raises:
        ValueError: They cannot; the message says why.
    """
    row = table.row_of.get(series)
    if row is None:
        raise ValueError(f"there is no series {series!r}; it never reported, or was silent until it was forgotten")
    s = table.arrays.rows[row]
    if s["status"] != READY:
        raise ValueError(
            f"{series} is {STATUS[s['status']]}, nothing has been learned from it; label it when it is ready"
        )
    if slots.slot(until) < slots.slot(since):
        raise ValueError("the period ends before it begins")
    if slots.slot(since) > s["last"]:
        raise ValueError(f"{series} has no reading from that period on yet; label what it has reported")


def learn(table: SeriesTable, kept: Reservoir, slots: SlotClock, opened: int | None, day: int, item: Labelled) -> None:
    """Learn from a label that `check` has passed.

    Args:
        table: The stream's series.
        kept: Windows to train on.
        slots: From instants to slots.
        opened: First slot of the series' open episode, None where none is.
        day: Slots from before a regime began whose windows are adopted with it.
        item: The label.
    """
    row = table.row_of[item.series]
    s = table.arrays.rows[row]
    s["halved"] = min(max(s["halved"] + item.halvings, -MOST_HALVED), MOST_HALVED)
    since, until = slots.slot(item.since), slots.slot(item.until)
    tail = table.window - 1  # slots after the last whose windows have it inside
    if item.kind == "fault":
        take_out(kept, row, since, until)
        s["fault_until"] = max(s["fault_until"], until + tail)
        return
    if since <= s["fault_until"] - tail <= until:
        s["fault_until"] = NEVER
    if s["regime"]["first"] <= until and s["regime"]["seen"] >= since:
        s["regime"]["fault"] = 0.0
    departed = int(s["regime"]["since"])
    begun = opened if departed == NEVER else departed
    if begun is not None and begun <= until and s["last"] >= since:
        _adopt(s)
        since, until = min(since, begun - day), int(s["last"])
    put_back(kept, row, since, until)


def _adopt(s: Any) -> None:
    """End the episode, and take the errors of now for the usual ones."""
    r = s["regime"]
    r["usual"], r["off"], r["since"], r["fault"] = r["lately"], 0.0, NEVER, 0.0
    s["episode"], s["reasons"], s["quiet"] = 0, 0, 0
