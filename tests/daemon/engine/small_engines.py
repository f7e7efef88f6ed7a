"""Small engines and the readings that drive them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Configured
from daemon.engine.messages.training_port import Outcome, Trainer, TrainingFailed
from daemon.trainer.trainer import InlineTrainer
from models.bundle import Bundle
from models.training_request import TrainingRequest

STREAM = "s"
INTERVAL = 1800
FIRST = 946_684_800 // INTERVAL
"""Slot of 2000-01-01T00:00Z."""

Row = tuple[str, int, Sequence[float] | float] | tuple[str, int, Sequence[float] | float, int]
"""Label, slot counted from `FIRST`, value or values, and perhaps the fold in seconds."""


class PureTrainer(InlineTrainer):
    """Trains in this process, each request once: training is a pure function, so its results may be kept.

    Attributes:
        calls: Every request submitted, by any engine.
    """

    _known: ClassVar[dict[str, Outcome]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[TrainingRequest] = []

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """Remember the request."""
        self.calls.append(request)
        super().submit(request, time_limit_s)

    def result(self, request_id: str) -> Outcome:
        """The outcome of this request, or of an equal one."""
        key = hashlib.sha256(self._requests[request_id].to_bytes()).hexdigest()
        if key not in self._known:
            self._known[key] = super().result(request_id)
        self._requests.pop(request_id, None)
        return self._known[key]


class FailingTrainer(PureTrainer):
    """Fails its first `failures` trainings."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def result(self, request_id: str) -> Outcome:
        """A failure, until there were enough of them."""
        if self.failures > 0:
            self.failures -= 1
            del self._requests[request_id]
            return TrainingFailed("killed", "as the test asks")
        return super().result(request_id)


def config(**stream: Any) -> dict[str, Any]:
    """An effective configuration of one small stream; `model` and `alerts` are merged into the small defaults."""
    small: dict[str, Any] = {"interval": INTERVAL, "warm_up": 16 * INTERVAL, "clock": "event", "max_series": 16}
    model = {"window": 8, "masked": 2, "copies": 1, "retrain_every": 0, "apply_after": 4} | stream.pop("model", {})
    given = {"version": 1, "streams": {STREAM: small | stream | {"model": model}}}
    return Settings.model_validate(given).model_dump(mode="json")


def engine(trainer: Trainer | None = None, **stream: Any) -> Engine:
    """A new engine configured by `config`."""
    made = Engine(trainer or PureTrainer())
    made.step(Configured(config(**stream)))
    return made


def the(made: Engine) -> Stream:
    """The engine's only stream."""
    return made.streams[STREAM]


def row_of(made: Engine, series: str) -> Any:
    """The record of a series."""
    stream = the(made)
    return stream.table.rows[stream.table.row_of[series]]


def batch(
    rows: Iterable[Row],
    *,
    received_at_ms: int = 0,
    rejected: dict[str, int] | None = None,
    width: int = 1,
    interval: int = INTERVAL,
    end: bool = False,
) -> Batch:
    """Readings as the engine takes them; `end` stamps them at their interval's end."""
    rows = list(rows)
    names = list(dict.fromkeys(row[0] for row in rows))
    slots = np.array([row[1] + FIRST + end for row in rows], np.int64)
    return Batch(
        stream=STREAM,
        received_at_ms=received_at_ms,
        series=names,
        codes=np.array([names.index(row[0]) for row in rows], np.int32),
        at_ms=slots * interval * 1000,
        fold_s=np.array([row[3] if len(row) > 3 else 0 for row in rows], np.int32),
        values=np.array([np.atleast_1d(row[2]) for row in rows], np.float64).reshape(len(rows), width),
        rejected=rejected or {},
    )


def feed(made: Engine, rows: Iterable[Row], **how: Any) -> list[Event]:
    """Events that readings cause, in one batch."""
    return made.step(batch(rows, **how)).events


def noise(slots: Iterable[int], series: str = "a", seed: int = 0) -> list[tuple[str, int, float]]:
    """One series: a daily sine and a little noise, a pure function of series, slot and seed."""
    rows: list[tuple[str, int, float]] = []
    for slot in slots:
        rng = np.random.default_rng([seed, slot + 10_000, *series.encode()])
        rows.append((series, slot, float(10 + 3 * np.sin(slot * 2 * np.pi / 48) + 0.2 * rng.standard_normal())))
    return rows


def together(*series: Iterable[Row]) -> list[Row]:
    """Readings of several series in order of their slots."""
    return sorted((row for rows in series for row in rows), key=lambda row: row[1])


def bundle(**stream: Any) -> Bundle:
    """A bundle trained on one warm-up of the small stream."""
    made = engine(PureTrainer(), **stream)
    width = the(made).table.width
    feed(made, [(series, slot, [value] * width) for series, slot, value in noise(range(30))], width=width)
    champion = the(made).learner.champion
    assert champion is not None
    return champion
