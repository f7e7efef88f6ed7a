"""Recorded readings for the offline trainer: CSV, JSON lines or Parquet files, or a state directory's journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.config.file import from_effective
from daemon.config.settings import Settings, StreamSettings
from daemon.engine.kernel.slots import SlotClock
from daemon.engine.messages.inputs import Batch, Configured, Excluded, Labelled
from daemon.engine.table.exclusions import Exclusion, Exclusions
from daemon.intake.construction import make_file_format
from daemon.offline.grid import on_grid
from daemon.replay.replay import batches, infer_interval
from daemon.replay.unread import unread
from daemon.store import open_reader
from models.offline.history import History, HistoryError

Progress = Callable[[int, int], None]


def of_file(
    path: Path, settings: Settings, stream: str, interval_s: int | None, progress: Progress
) -> tuple[list[History], dict[str, int]]:
    """The series of one file, by name, and the lines or rows that are no readings, by reason.

    Args:
        path: `.csv`, `.jsonl`, `.ndjson` or `.parquet`; any other is read in the stream's format.
        settings: The configuration.
        stream: Which of its streams says how the file is read.
        interval_s: Seconds between two readings; None: the most frequent difference in this file.
        progress: Called with what is read and what there is.

    Raises:
        HistoryError: No reading was accepted, or no interval can be inferred.
        DocumentError: A file is not the document that its name says.
        OSError: The file cannot be read.
    """
    own = settings.streams[stream]
    fmt = make_file_format(path, own, settings.limits)
    read = list(batches(stream, path, fmt, settings.limits.line_bytes, None, 0, progress, own.format))
    found = interval_s or infer_interval(path, fmt)
    rejected = dict(sum((Counter(batch.rejected) for batch in read), Counter[str]()))
    if not any(len(batch) for batch in read):
        raise HistoryError(unread(path, fmt, rejected))
    if found is None:
        raise HistoryError(f"{path}: no interval can be inferred from one reading a series; give --interval")
    return on_grid(read, own, found, str(path)), rejected


def of_journal(
    directory: Path, settings: Settings | None, stream: str | None, progress: Progress
) -> tuple[list[History], str]:
    """The series of a stream as a daemon's journal holds them; the daemon may run.

    What an operator labelled a fault, or excluded, is a gap in them.

    Args:
        directory: The state directory.
        settings: The configuration; None: the one that the daemon last ran under.
        stream: Which of its streams; None where it has one only.
        progress: Called with the journal's entries read and in all.

    Returns:
        The series, and the stream's name.

    Raises:
        HistoryError: The journal has no reading of the stream, or it is not clear which stream is meant.
        StoreError: The directory holds no readable state.
    """
    kept: dict[str, list[Batch]] = {}
    config: dict[str, Any] | None = None
    with open_reader(directory) as reader:
        last = reader.last_seq
        for seq, item in reader.entries():
            if isinstance(item, Batch) and len(item):
                kept.setdefault(item.stream, []).append(item)
            elif isinstance(item, Configured):
                config = item.config
            progress(seq, last)
        labels, excluded = reader.labels(), [item for _, item in reader.excluded()]
    if settings is None and config is None:
        raise HistoryError(f"{directory}: its journal no longer has the configuration it began under; give --config")
    found = settings or from_effective(config or {})
    name = _chosen(found, stream)
    own = found.streams[name]
    said = [item for item in labels if item.stream == name]
    left = [item for item in excluded if item.stream == name]
    read = [part for part in map(partial(_accepted, own, said, left), kept.get(name, [])) if len(part)]
    if not read:
        there = ", ".join(sorted(kept)) or "no stream"
        raise HistoryError(f"{directory}: its journal holds no reading of stream {name}; it has readings of {there}")
    return on_grid(read, own, own.interval, str(directory)), name


def _chosen(settings: Settings, stream: str | None) -> str:
    """The stream meant."""
    names = list(settings.streams)
    if stream is None and len(names) == 1:
        return names[0]
    if stream not in settings.streams:
        raise HistoryError(f"which stream? --stream is one of {', '.join(names)}")
    return stream


def _accepted(
    settings: StreamSettings, labels: Sequence[Labelled], excluded: Sequence[Excluded], batch: Batch
) -> Batch:
    """The readings of a journaled batch that the engine did not reject, but none that is a fault or excluded.

    It rejects those of another width than the stream's, and those in the future.
    """
    kept = np.full(len(batch), batch.values.shape[1] == settings.format.width)
    if settings.clock == "wall":
        kept &= batch.at_ms <= batch.received_at_ms + settings.future * 1000
    clock = SlotClock(settings.interval, settings.timezone, settings.stamp)
    kept &= ~_called_fault(clock, labels, batch) & ~_excluded(clock, excluded, batch)
    return batch.only(kept)


def _excluded(clock: SlotClock, excluded: Sequence[Excluded], batch: Batch) -> npt.NDArray[np.bool_]:
    """Which readings an operator has taken out, shape (N,)."""
    periods = Exclusions()
    for item in excluded:
        periods.add(Exclusion(item.series, clock.slot(item.since), clock.slot(item.until)))
    return periods.among([*batch.series], batch.codes, clock.slots(batch.at_ms))


def _called_fault(clock: SlotClock, labels: Sequence[Labelled], batch: Batch) -> npt.NDArray[np.bool_]:
    """Which readings the last label of their slot calls a fault, shape (N,)."""
    fault = np.zeros(len(batch), np.bool_)
    slots = clock.slots(batch.at_ms)
    for item in labels:
        if item.series in batch.series:
            named = batch.codes == batch.series.index(item.series)
            named &= (slots >= clock.slot(item.since)) & (slots <= clock.slot(item.until))
            fault[named] = item.kind == "fault"
    return fault
