"""What a disk may do to a file that nobody writes: a flipped bit, an end that is gone, a read of the wrong place."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from tests.simulation.disk import Disk

FRAME = 24 + 4096
"""Bytes of a frame of SQLite's log, behind a header of 32."""


def choose(disk: Disk, state: Path, chance: random.Random) -> str:
    """Damage one thing; what it was, in words."""
    kinds: dict[str, Callable[[], str]] = {
        "flip": lambda: _flip(state, chance),
        "cut": lambda: _cut(state, chance),
        "frame": lambda: _drop_frames(state, chance),
        "misread": lambda: _misread(disk, chance),
    }
    return kinds[chance.choices(list(kinds), [45, 10, 30, 15])[0]]()


def _files(state: Path) -> list[Path]:
    names = ("tidegauge.db", "tidegauge.db-wal", "tidegauge.events", "tidegauge.events.before", "tidegauge.mark")
    found = [state / name for name in names] + sorted(state.glob("checkpoints/*.tgc")) + sorted(state.glob("models/*"))
    return [path for path in found if path.exists() and path.stat().st_size]


def _flip(state: Path, chance: random.Random) -> str:
    if not (files := _files(state)):
        return "nothing"
    path = chance.choice(files)
    data = bytearray(path.read_bytes())
    written = [at for at in range(0, len(data), 64) if any(data[at : at + 64])] or [0]
    at = min(len(data) - 1, chance.choice(written) + chance.randrange(64))
    data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return f"a bit of {path.name} at {at}"


def _cut(state: Path, chance: random.Random) -> str:
    if not (files := _files(state)):
        return "nothing"
    path = chance.choice(files)
    size = chance.randrange(path.stat().st_size)
    os.truncate(path, size)
    return f"{path.name} behind {size}"


def _drop_frames(state: Path, chance: random.Random) -> str:
    path = state / "tidegauge.db-wal"
    frames = (path.stat().st_size - 32) // FRAME if path.exists() else 0
    if frames < 1:
        return "nothing"
    left = max(0, frames - chance.choice([1, 1, 2, 5, frames]))
    os.truncate(path, 32 + left * FRAME)
    return f"the log behind frame {left} of {frames}"


def _misread(disk: Disk, chance: random.Random) -> str:
    disk.misread = chance.randrange(40)
    return f"read {disk.misread}"
