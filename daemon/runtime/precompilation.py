"""Compiles all compiled code before the first reading needs it, by driving a small engine that is thrown away.

After an install or an upgrade this takes about half a minute of one core; the cache
(`daemon.engine.kernel.compiled`) remembers it. It is done by a process of its own, for a compiler does not give back
the 450 MB it takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Batch, Configured, Tick
from daemon.trainer.trainer import InlineTrainer

_INTERVAL_S, _WINDOW, _AT_ONCE = 1800, 8, 7
_SLOTS = 6 * _WINDOW
_MARK = "complete"


def warm(progress: Callable[[], None] = lambda: None) -> bool:
    """Compile what is not in the cache yet; returns whether there was anything to do.

    Args:
        progress: Called every now and then, as long as it goes on.
    """
    cache = Path(numba.config.CACHE_DIR)  # type: ignore[attr-defined]
    if (cache / _MARK).exists():
        return False
    if not _fill_elsewhere(cache, progress):  # such as where no process may be started
        fill(progress)
    (cache / _MARK).touch()
    return True


def _fill_elsewhere(cache: Path, progress: Callable[[], None]) -> bool:
    """Have another process fill the cache; returns whether it did. What `progress` raises ends it."""
    program = f"from {__name__} import fill; fill(lambda: print(flush=True))"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache.parent)}
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", program],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # what a terminal sends to the daemon's group is the daemon's business
        )
    except OSError:
        return False
    with child:
        assert child.stdout is not None
        try:
            for _ in child.stdout:
                progress()
        except BaseException:
            child.kill()
            raise
    return child.returncode == 0


def fill(progress: Callable[[], None]) -> None:
    """Compile in this process: two series go through warm-up, training, scoring, an anomaly, a gap and their end."""
    engine = Engine(InlineTrainer())
    engine.step(Configured(_config()))
    for start in range(0, _SLOTS, _AT_ONCE):
        for stream in ("single", "mean"):
            progress()
            engine.step(_batch(stream, start, min(start + _AT_ONCE, _SLOTS)))
    progress()
    engine.step(Tick((_SLOTS + 10) * _INTERVAL_S * 1000))
    progress()
    engine.step(_batch("single", _SLOTS + 100, _SLOTS + 102))


def _config() -> dict[str, object]:
    model = {"window": _WINDOW, "masked": 2, "copies": 1, "retrain_every": _WINDOW, "apply_after": 2}
    stream = {
        "interval": _INTERVAL_S,
        "warm_up": 2 * _WINDOW * _INTERVAL_S,
        "retire_after": 50 * _INTERVAL_S,
        "max_series": 4,
        "model": model,
    }
    streams = {"single": stream, "mean": stream | {"aggregate": "mean"}}
    return Settings.model_validate({"version": 1, "streams": streams}).model_dump(mode="json")


def _batch(stream: str, start: int, stop: int) -> Batch:
    """Readings of two series, a sine each, with one value that is far out."""
    slots = np.repeat(np.arange(start, stop), 2)
    values = np.sin(slots)[:, None]
    values[slots == _SLOTS - 2] = 100.0
    return Batch(
        stream=stream,
        received_at_ms=stop * _INTERVAL_S * 1000,
        series=["a", "b"],
        codes=np.tile(np.arange(2, dtype=np.int32), stop - start),
        at_ms=slots * _INTERVAL_S * 1000,
        fold_s=np.zeros(len(slots), np.int32),
        values=values,
    )
