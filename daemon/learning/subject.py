"""The stream that is learned from, as all parts of its learner know it."""

from __future__ import annotations

from typing import NamedTuple

from daemon.engine.series import SeriesTable
from daemon.engine.slots import SlotClock
from daemon.learning.reservoir import Reservoir


class Subject(NamedTuple):
    """What all parts of one stream's learner share; what they change in it, all of them see."""

    stream: str  # its name
    table: SeriesTable
    reservoir: Reservoir  # windows to train on and to judge by
    slots: SlotClock
