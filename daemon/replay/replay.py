"""Driving the engine from a file, as fast as it goes: the live path without clock and sources."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapters.base import Chunk, DocumentFormat, Format, Position, Progress, Readings
from adapters.text import series_of
from adapters.text_file import AUTO, cuts
from daemon.config.file import effective
from daemon.config.format_settings import FormatSettings
from daemon.config.settings import Settings, StreamSettings
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Configured, Delivered, Input
from daemon.engine.messages.training_port import Trainer
from daemon.intake.arrival_pattern import ArrivalPattern
from daemon.intake.construction import make_file_format, to_batch
from daemon.intake.refusals import Refusal, Refusals, refused_words
from daemon.intake.shards import Shard
from daemon.runtime.durable import DurableEngine
from daemon.runtime.versions import promotion

INFER_FROM = 10_000  # readings an interval is inferred from
LINE_BYTES = 1 << 20
_ROUND = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_NEAR = 0.05  # of an interval: what a step may be off it

Reader = Format | DocumentFormat


@dataclass
class ReplayReport:
    """What a replay did.

    Attributes:
        readings: Readings accepted.
        offered: Readings that the file held, accepted or not.
        first_at, last_at: Earliest and latest stamp of these, epoch seconds; nothing lies between before the first.
        rejected: Lines and readings rejected, by reason.
        repeated: Readings that came again as they were.
        seconds: Wall time.
        events: Every revision, in order.
        state_sha256: SHA-256 of the engine's dump at the end.
        trainings: Trainings by outcome.
        bytes_per_series: State of one series.
        warnings: Lines for the user.
        by_series: Whether the rows came series by series.
        refused: Lines of the file that were refused, by reason.
        refusal: One of them.
    """

    readings: int = 0
    offered: int = 0
    first_at: float = math.inf
    last_at: float = -math.inf
    rejected: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    seconds: float = 0.0
    events: list[Event] = field(default_factory=list)
    state_sha256: str = ""
    trainings: dict[str, int] = field(default_factory=dict)
    bytes_per_series: int = 0
    warnings: list[str] = field(default_factory=list)
    by_series: bool = False
    refused: Counter[str] = field(default_factory=Counter)
    refusal: Refusal | None = None


def chunks(
    path: Path,
    fmt: Reader,
    line_bytes: int,
    progress: Progress = lambda done, total: None,
    choices: FormatSettings | None = None,
    refusals: Refusals | None = None,
) -> Iterator[tuple[Readings, dict[str, int]]]:
    """The readings of a file, a chunk of whole lines or rows at a time, and those rejected with them, by reason.

    A last line without a newline is complete. Memory is bounded by the chunk and `line_bytes`.

    Args:
        path: The file.
        fmt: How it is read.
        line_bytes: Longest line.
        progress: See `Progress`.
        choices: Say which series readings are of that carry none; None: that of the file's stem.
        refusals: Told of what was refused.

    Raises:
        OSError: The file cannot be read.
        DocumentError: It should be a document of some kind, and is not.
    """
    if isinstance(fmt, DocumentFormat):
        for readings in fmt.read(path, progress):
            if refusals is not None:
                piece = Chunk(str(path), b"", "", None, _nowhere, path=str(path), parsed=readings)
                refusals.note(str(path), piece, readings, None)
            yield readings, readings.rejected()
        return
    where = str(path.absolute())
    own = series_of(path)
    name = own if choices is None else choices.series_of(where, own)
    header: str | None = None
    for cut, line in cuts(path, line_bytes, AUTO if choices is None else choices.encoding, progress):
        readings, header = fmt.parse(cut.data, name, header)
        if refusals is not None:
            chunk = Chunk(where, cut.data, name, header, _nowhere, cut.discarded, path=where, first_line=line)
            refusals.note(where, chunk, readings, header)
        rejected = Counter(readings.rejected())
        rejected.update(cut.discarded)
        yield readings, dict(rejected)


def _nowhere(offset: int, header: str | None) -> Position:
    return {}


def infer_interval(path: Path, fmt: Reader) -> int | None:
    """The most frequent difference between consecutive stamps of one series, seconds; None when there is none."""
    first = next(chunks(path, fmt, LINE_BYTES), None)
    if first is None:
        return None
    readings = first[0]
    codes, at_ms = readings.codes[:INFER_FROM], readings.at_ms[:INFER_FROM]
    order = np.lexsort((at_ms, codes))
    same = np.diff(codes[order]) == 0
    steps: npt.NDArray[np.int64] = np.diff(at_ms[order])[same]
    steps = steps[steps >= 1000]
    return likely_interval(np.round(steps / 1000).astype(np.int64)) if len(steps) else None


def likely_interval(steps: npt.NDArray[np.int64]) -> int:
    """The interval that steps between readings suggest, seconds: the most frequent one.

    Where none is frequent but nearly all are near a round one, as of a sender that is off by seconds, that one.

    Args:
        steps: Seconds between readings of a series, each above 0, at least one, shape (N,).

    >>> likely_interval(np.array([1799, 1802, 1800, 1798, 1801]))
    1800
    """
    most, count = Counter(steps.tolist()).most_common(1)[0]
    if count * 2 >= len(steps):
        return int(most)
    middle = int(np.median(steps))
    nearest = min(_ROUND, key=lambda each: abs(each - middle))
    return nearest if np.mean(np.abs(steps - nearest) <= _NEAR * nearest) >= 0.8 else int(most)


def batches(
    stream: str,
    path: Path,
    fmt: Reader,
    line_bytes: int,
    rows: int | None,
    now_ms: int,
    progress: Progress,
    choices: FormatSettings | None = None,
    refusals: Refusals | None = None,
    shard: Shard | None = None,
) -> Iterator[Batch]:
    """The file as batches of `rows` readings, or of one chunk each; see `chunks`. Of `shard`, where one is given."""
    for readings, rejected in chunks(path, fmt, line_bytes, progress, choices, refusals):
        own = readings if shard is None else shard.own(readings)
        whole = to_batch(stream, own, rejected, now_ms)
        size = rows or max(len(whole), 1)
        for start in range(0, max(len(whole), 1), size):
            yield whole if size >= len(whole) else whole.part(start, start + size)


def replay(
    path: Path,
    settings: Settings,
    stream: str,
    trainer: Trainer,
    *,
    durable: DurableEngine | None = None,
    fmt: Format | DocumentFormat | None = None,
    rows: int | None = None,
    now_ms: int = 0,
    progress: Progress = lambda done, total: None,
    on_event: Callable[[Event], None] = lambda event: None,
    on_engine: Callable[[Engine], None] = lambda engine: None,
) -> ReplayReport:
    """Drive an engine with a file.

    Args:
        path: The file.
        settings: The configuration; `stream` should have `clock: event`.
        stream: Which of its streams the file belongs to.
        trainer: Runs the trainings when there is no `durable`.
        durable: An engine with a journal to go on with; None: a new one in memory.
        fmt: How the file is read; None: as its name says, or else as the stream's lines are.
        rows: Readings in a batch; None: those of a chunk. The result does not depend on it.
        now_ms: Wall clock that `clock: wall` takes for now.
        progress: See `Progress`.
        on_event: Called with each revision as it is raised.
        on_engine: Called with the engine before the first reading.

    Raises:
        OSError: The file cannot be read.
        BundleError: A configured bundle cannot be read or does not fit.
    """
    fmt = fmt or make_file_format(path, settings.streams[stream], settings.limits)
    began, report = time.monotonic(), ReplayReport()
    engine, apply = _engine(settings, trainer, durable, now_ms)
    on_engine(engine)
    before = engine.streams[stream].counters.accepted
    pattern = ArrivalPattern(settings.streams[stream].interval, settings.streams[stream].gap_after)
    choices = settings.streams[stream].format
    refusals, shard, limit = Refusals(choices), Shard(settings.shard), settings.limits.line_bytes
    found = batches(stream, path, fmt, limit, rows, now_ms, progress, choices, refusals, shard)
    for item in _inputs(found, stream, now_ms):
        if isinstance(item, Batch):
            _take_in(report, item)
            pattern.add(item.at_ms)
        for event in apply(item):
            report.events.append(event)
            on_event(event)
    report.refused = sum(refusals.counts.values(), Counter())
    report.refusal = next(iter(refusals.first.values()), None)
    state = engine.streams[stream]
    report.readings = state.counters.accepted - before
    report.rejected, report.repeated = dict(state.counters.rejected), state.counters.repeated
    report.seconds = time.monotonic() - began
    report.state_sha256 = engine.digest()
    report.bytes_per_series = state.table.bytes_per_series()
    report.trainings = dict(state.learner.outcomes)
    report.by_series = pattern.by_series
    report.warnings = [*filter(None, [shard.words()]), *_warnings(report, settings.streams[stream])]
    return report


def _inputs(found: Iterator[Batch], stream: str, now_ms: int) -> Iterator[Input]:
    """The batches of a file, and the end of the delivery that it is."""
    yield from found
    yield Delivered(stream, now_ms)


def _engine(
    settings: Settings, trainer: Trainer, durable: DurableEngine | None, now_ms: int
) -> tuple[Engine, Callable[[Input], list[Event]]]:
    """The engine to drive, configured, and how to apply an input to it."""
    if durable is not None:
        durable.configure(settings, now_ms)
        return durable.engine, lambda item: durable.apply([item], {}, now_ms)
    engine = begun(settings, trainer)
    return engine, lambda item: engine.step(item).events


def begun(settings: Settings, trainer: Trainer) -> Engine:
    """A new engine in memory, configured, with the models that the configuration names.

    Raises:
        BundleError: One of them cannot be read or does not fit.
    """
    engine = Engine(trainer)
    engine.step(Configured(effective(settings)))
    for name, each in settings.streams.items():
        if (item := promotion(name, each)) is not None:
            engine.step(item)
    return engine


def _take_in(report: ReplayReport, batch: Batch) -> None:
    """Count what the file held."""
    report.offered += len(batch)
    if len(batch):
        report.first_at = min(report.first_at, int(batch.at_ms.min()) / 1000)
        report.last_at = max(report.last_at, int(batch.at_ms.max()) / 1000)


def _warnings(report: ReplayReport, stream: StreamSettings) -> list[str]:
    found = []
    if refused := refused_words(report.refused, report.offered, report.refusal):
        found.append(refused)
    taken = report.repeated + report.rejected.get("revision", 0)
    if taken > report.readings:
        found.append(
            f"{taken} of {taken + report.readings} readings fell into a slot that was taken; the interval of "
            f"{stream.interval} s is longer than the readings': set --interval, or aggregate: mean in the configuration"
        )
    elif report.by_series and stream.arrival == "live":
        found.append(
            "the rows come series by series, so most are late and their series taken for silent: set arrival: batch in "
            "the configuration"
        )
    elif report.offered and not report.readings:
        found.append("no reading was accepted; the rejections say why")
    return found
