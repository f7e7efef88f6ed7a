"""The wall clock: nothing else in the daemon reads it. The engine has none: the time comes to it in its inputs.

How long something took is measured by `time.monotonic`, which says nothing of the time of day.
"""

from __future__ import annotations

import time

EARLIEST_MS = 1_704_067_200_000
"""2024-01-01: a wall clock that shows an earlier time has not been set yet, as on a machine without a battery."""


def wall_ms() -> int:
    """Milliseconds since the epoch, by the wall clock."""
    return time.time_ns() // 1_000_000


def wall_s() -> float:
    """Seconds since the epoch, by the wall clock."""
    return time.time()
