"""Readings as they arrive in the field, made: a half-hourly meter, and whole runs of the engine on its defaults."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Configured
from daemon.trainer.trainer import InlineTrainer

STREAM = "m"
INTERVAL = 1800
DAY = 86400 // INTERVAL
START = 1_704_067_200
"""2024-01-01T00:00Z, a Monday."""

Values = npt.NDArray[np.float64]


def household(days: int, seed: int = 0) -> Values:
    """Half-hourly use of a household: low at night, a hump in the morning, one in the evening, noise by the level."""
    hour = np.arange(days * DAY) % DAY * 24 / DAY
    rng = np.random.default_rng(seed)
    shape = 0.15 + 0.3 * np.exp(-(((hour - 7.5) / 1.5) ** 2)) + 0.6 * np.exp(-(((hour - 19) / 2.5) ** 2))
    return shape * np.exp(0.12 * rng.standard_normal(len(hour)))


def slot(day: int, hour: float) -> int:
    """The slot of an hour of a day, counted from `START`."""
    return int(day * DAY + hour * DAY / 24)


def instant(day: int, hour: float) -> int:
    """Epoch seconds of the same."""
    return START + slot(day, hour) * INTERVAL


def begun(interval: int = INTERVAL, **stream: Any) -> Engine:
    """An engine of one stream with default settings but for `stream`."""
    settings = {"interval": interval, "clock": "event", "max_series": 8} | stream
    given = {"version": 1, "streams": {STREAM: settings}}
    made = Engine(InlineTrainer())
    made.step(Configured(Settings.model_validate(given).model_dump(mode="json")))
    return made


def at_slots(count: int, interval: int = INTERVAL) -> npt.NDArray[np.int64]:
    """Stamps of so many slots, epoch milliseconds."""
    stamps: npt.NDArray[np.int64] = (START + np.arange(count, dtype=np.int64) * interval) * 1000
    return stamps


def readings(at_ms: npt.NDArray[np.int64], values: Values, series: str = "a", **columns: Any) -> Batch:
    """One series' readings as the engine takes them."""
    n = len(at_ms)
    zeros = np.zeros(n, np.int32)
    return Batch(STREAM, 0, [series], zeros, at_ms, zeros, np.asarray(values, np.float64).reshape(n, 1), {}, **columns)


def events_of(values: Values, *, missing: slice | None = None, interval: int = INTERVAL, **stream: Any) -> list[Event]:
    """All event revisions of one series; `missing` slots never arrive."""
    at_ms = at_slots(len(values), interval)
    kept = np.ones(len(values), np.bool_)
    if missing is not None:
        kept[missing] = False
    return begun(interval, **stream).step(readings(at_ms[kept], values[kept])).events


def opened(events: list[Event], *without: str) -> list[Event]:
    """The first revision of each event that has none of these reasons."""
    return [event for event in events if event.revision == 0 and not set(without) & set(event.reasons)]
