"""What is learned from readings that were decided on: errors for the look for drift, windows for training.

The second compiled pass over a chunk's entries, in the same order as `daemon.engine.detection.decision.decide`, which
wrote down what each window is for. Nothing here changes what is decided.
"""

from __future__ import annotations

from typing import NamedTuple

from daemon.engine.detection.decision import APART, FAULT, Decisions
from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.slots import NEVER
from daemon.engine.learning.drift import Errors, collect
from daemon.engine.learning.reservoir import Reservoir, add, called_fault, is_sampled, release, set_apart
from daemon.engine.table.entries import Entries
from daemon.engine.table.series import Arrays


class Uptake(NamedTuple):
    """Where scored readings go that are learned from, and the rules for it."""

    day: int  # slots before the start of an adopted regime whose windows are trained on too
    sample_rate: int
    reservoir: Reservoir
    errors: Errors


@compiled
def take_up(a: Arrays, e: Entries, entries: int, decided: Decisions, to: Uptake) -> None:
    """Learn from scored readings in order, and set windows apart that must not be learned.

    Args:
        a: The table's arrays.
        e: Entries that `allot` wrote.
        entries: How many.
        decided: What `decide` wrote of them.
        to: Written: where they go.
    """
    for i in range(entries):
        k = e.window[i]
        if k < 0:
            continue
        row, slot = e.row[i], e.slot[i]
        collect(to.errors, row, slot, decided.error[i])
        if decided.regime[i] != NEVER:
            release(to.reservoir, row, decided.regime[i] - to.day)
        if not is_sampled(a.rows[row].stagger, slot, to.sample_rate):
            continue
        if decided.use[i] == FAULT:
            set_apart(to.reservoir, called_fault(row), e.x[k], e.observed[k], slot)
        elif decided.use[i] == APART:
            set_apart(to.reservoir, row, e.x[k], e.observed[k], slot)
        else:
            add(to.reservoir, row, e.x[k], e.observed[k], slot)
