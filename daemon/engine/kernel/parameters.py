"""What the settings and the warm-up's length fix for the statistics of all series of a stream."""

from __future__ import annotations

from typing import NamedTuple

EXCESSES = 15  # most values above a tail's own threshold
NO_CAP = 1 << 40  # readings before a cap applies, where none ever does


class Parts(NamedTuple):
    """Which units are in use; `model.statistics` in the configuration."""

    time_of_day: bool = True
    caps: bool = True
    likelihood: bool = True
    tail: bool = True
    level: bool = True


class Parameters(NamedTuple):
    """What the warm-up's length p (slots) fixes for all series of a stream.

    Attributes:
        parts: Units in use.
        hourly: Whether errors are divided by what is usual at their hour (warm-up of 1.5 days and more).
        cap_start: Readings before a cap applies.
        tail_history: Readings a tail looks back on.
        tail_start: Readings before a tail is fitted.
        tail_fraction: Fraction of readings above the tail's own threshold.
    """

    parts: Parts
    hourly: bool
    cap_start: int
    tail_history: int
    tail_start: int
    tail_fraction: float


def parameters(warm_up_slots: int, interval_s: int, parts: Parts = Parts()) -> Parameters:  # noqa: B008 - immutable
    """Parameters for a warm-up of `warm_up_slots` slots of `interval_s` seconds."""
    history = max(100, int(0.67 * warm_up_slots))
    return Parameters(
        parts=parts,
        hourly=parts.time_of_day and warm_up_slots * interval_s >= 1.5 * 86400,
        cap_start=max(50, warm_up_slots // 4) if parts.caps else NO_CAP,
        tail_history=history,
        tail_start=min(100, warm_up_slots // 2),
        tail_fraction=min(0.03, EXCESSES / history),
    )
