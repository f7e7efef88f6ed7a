"""Room held back on the disk, so that a full one leaves enough to drop what is not needed any more."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NAME = "tidegauge.reserve"
LEAST = 8 << 20
"""Bytes held back: SQLite's log of some 4 MiB must fit into the database, and that of dropping entries beside it."""


def hold(directory: Path) -> bool:
    """Take the room, where it is there to be had; whether it is held now."""
    path = directory / NAME
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, LEAST)
        except OSError:
            path.unlink(missing_ok=True)
        else:
            return True
        finally:
            os.close(descriptor)
    return False


def give_back(directory: Path) -> None:
    """Let the room go, for work that makes more of it."""
    with contextlib.suppress(OSError):
        (directory / NAME).unlink(missing_ok=True)
