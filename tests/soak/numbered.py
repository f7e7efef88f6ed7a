"""Readings that carry their number, and what a run over all of them that nobody interrupts comes to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daemon.config.file import effective, load
from daemon.engine.machine.engine import Engine
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Configured
from daemon.runtime.durable import DurableEngine
from daemon.store import EventFilter, Store
from daemon.trainer.trainer import InlineTrainer
from models.archive import pack

SERIES = ("north", "south", "west")
BEGIN_S, INTERVAL_S = 1_767_225_600, 60
CONFIGURATION = """\
version: 1
state_dir: disk/state
streams:
  files:
    sources: [{{type: file, path: meter.csv}}]
    format: {{series: series}}
    <<: STREAM
  net:
    sources: [{{type: tcp, listen: "127.0.0.1:{port}", ack: true}}]
    format: {{columns: [timestamp, series, value], series: series}}
    <<: STREAM
events: {{file: events.jsonl}}
checkpoint: {{every: 1s}}
http: {{listen: "127.0.0.1:0"}}
log: {{format: plain}}
"""
STREAM = """interval: 1m
    clock: event
    warm_up: 5h
    max_series: 4
    model: {window: 16, copies: 4, retrain_every: 200}
    alerts: {false_alarms_per_month: 600, refractory: 1h, limits: {max: 130}}"""


def configuration(port: int) -> str:
    """The daemon's configuration: one stream of files, one of a peer that is told what is durable."""
    return CONFIGURATION.format(port=port).replace("<<: STREAM", STREAM)


def value(number: int) -> float:
    """A tide with noise, and something unusual now and then."""
    slot = number // len(SERIES)
    noise = math.sin(number * 12.9898) * 43758.5453 % 1.0
    return round(50 + 30 * math.sin(slot * math.tau / 140) + 3 * noise + (90 if slot % 977 == 700 else 0), 4)


def line(number: int) -> bytes:
    """Reading `number` as CSV."""
    at = BEGIN_S + INTERVAL_S * (number // len(SERIES))
    return f"{at},{SERIES[number % len(SERIES)]},{value(number)!r}\n".encode()


def numbers(batch: Batch) -> Iterator[int]:
    """Which readings a batch holds."""
    names = [SERIES.index(name) for name in batch.series]
    for code, at_ms in zip(batch.codes, batch.at_ms, strict=True):
        yield (int(at_ms) // 1000 - BEGIN_S) // INTERVAL_S * len(SERIES) + names[code]


def all_of(stream: str, count: int) -> Batch:
    """Readings 0 to `count` as one batch."""
    number = np.arange(count)
    return Batch(
        stream=stream,
        received_at_ms=0,
        series=list(SERIES),
        codes=(number % len(SERIES)).astype(np.int32),
        at_ms=(BEGIN_S + INTERVAL_S * (number // len(SERIES))).astype(np.int64) * 1000,
        fold_s=np.zeros(count, np.int32),
        values=np.array([[value(n)] for n in range(count)]).reshape(count, 1),
    )


@dataclass(frozen=True)
class Outcome:
    """What became of one stream.

    Attributes:
        seen: How often each reading was journaled, as far as the journal goes back.
        kept_from: The first of them: those before were dropped, for a disk was full; 0 where none was.
        accepted: Readings that had an effect.
        rejected: By reason.
        state: The stream's state but for what was rejected or came again, as bytes.
        events: Every revision.
    """

    seen: Counter[int]
    kept_from: int
    accepted: int
    rejected: dict[str, int]
    state: bytes
    events: list[Event]


def _state(stream: Stream) -> bytes:
    meta, arrays = stream.state()
    counters: dict[str, Any] = meta["counters"] | {"rejected": {}, "repeated": 0}
    return pack(meta | {"counters": counters}, arrays)


def found(state: Path) -> dict[str, Outcome]:
    """What a state directory holds of each stream, after the recovery that a start would do."""
    seen: dict[str, Counter[int]] = {}
    with Store.open(state) as store:
        assert store.check() == []
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        assert store.quarantined == 0
        dropped = next(iter(store.entries()))[0] > 1
        for _, item in store.entries():
            if isinstance(item, Batch):
                seen.setdefault(item.stream, Counter()).update(numbers(item))
        events = [event for _, event in store.events(EventFilter(latest_only=False))]
        return {
            name: Outcome(
                seen[name],
                min(seen[name]) if dropped else 0,
                stream.counters.accepted,
                dict(stream.counters.rejected),
                _state(stream),
                [event for event in events if event.stream == name],
            )
            for name, stream in durable.engine.streams.items()
        }


def expected(config: Path, counts: dict[str, int]) -> dict[str, Outcome]:
    """What an engine comes to that is given each stream's readings once, in order."""
    engine = Engine(InlineTrainer())
    engine.step(Configured(effective(load(config))))
    outcomes = {}
    for name, count in counts.items():
        events = engine.step(all_of(name, count)).events
        stream = engine.streams[name]
        accepted = stream.counters.accepted
        outcomes[name] = Outcome(Counter(range(count)), 0, accepted, {}, _state(stream), events)
    return outcomes
