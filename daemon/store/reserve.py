"""Room held back on the disk, so that a full one leaves enough to drop what is not needed any more."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NAME = "tidegauge.reserve"
LEAST = 8 << 20
"""Bytes held back: SQLite's log of some 4 MiB must fit into the database, and that of dropping entries beside it."""
_STEP = 256 << 10


def hold(directory: Path) -> bool:
    """Take the room, or as much of it as there is; whether all of it is held now."""
    try:
        descriptor = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        for start in range(0, LEAST, _STEP):
            os.posix_fallocate(descriptor, start, _STEP)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def give_back(directory: Path) -> None:
    """Let the room go, for work that makes more of it."""
    with contextlib.suppress(OSError):
        (directory / NAME).unlink(missing_ok=True)
