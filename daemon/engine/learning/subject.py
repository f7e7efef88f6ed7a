"""The stream that is learned from, as all parts of its learner know it."""

from __future__ import annotations

from typing import NamedTuple

from daemon.engine.kernel.slots import SlotClock
from daemon.engine.learning.reservoir import Reservoir
from daemon.engine.table.series import SeriesTable


class Subject(NamedTuple):
    """What all parts of one stream's learner share; what they change in it, all of them see."""

    stream: str  # its name
    table: SeriesTable
    reservoir: Reservoir  # windows to train on and to judge by
    slots: SlotClock
