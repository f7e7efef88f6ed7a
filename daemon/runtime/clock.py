"""The wall clock. The engine has none: what the time is comes to it in its inputs, and only from here."""

from __future__ import annotations

import time


def wall_ms() -> int:
    """Milliseconds since the epoch, by the wall clock."""
    return time.time_ns() // 1_000_000
