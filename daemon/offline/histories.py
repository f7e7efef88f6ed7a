"""Recorded readings for the offline trainer: CSV, JSON lines or Parquet files, or a state directory's journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daemon.config.settings import Settings, StreamSettings
from daemon.engine.inputs import Batch
from daemon.engine.slots import SlotClock
from daemon.replay.replay import batches, infer_interval
from daemon.runtime.adapting import make_format
from models.offline.history import History, HistoryError

MOST_SLOTS = 20_000_000  # of one series' grid: 38 years of minutes
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet", ".pq")
PARQUET_ROWS = 1 << 16  # read at once

Progress = Callable[[int, int], None]


@dataclass
class _Series:
    """What was read of one series so far."""

    slots: list[npt.NDArray[np.int64]] = field(default_factory=list)
    values: list[npt.NDArray[np.float64]] = field(default_factory=list)


def of_file(path: Path, settings: Settings, stream: str, interval_s: int | None, progress: Progress) -> list[History]:
    """The series of one file, by label.

    Args:
        path: `.csv`, `.jsonl`, `.ndjson` or `.parquet`; any other is read in the stream's format.
        settings: The configuration.
        stream: Which of its streams says how the file is read.
        interval_s: Seconds between two readings; None: the most frequent difference in this file.
        progress: Called with what is read and what there is.

    Raises:
        HistoryError: No reading was accepted, or the file is not what its name says.
        OSError: The file cannot be read.
    """
    own = _of_suffix(path, settings.streams[stream])
    if path.suffix in PARQUET_SUFFIXES:
        read = list(_parquet(path, stream, own, progress))
        found = interval_s or _most_frequent_step(read)
    else:
        fmt = make_format(own, settings.limits)
        found = interval_s or infer_interval(path, fmt)
        read = list(batches(stream, path, fmt, settings.limits.line_bytes, None, 0, progress))
    if not any(len(batch) for batch in read):
        rejected = {reason: n for batch in read for reason, n in batch.rejected.items()}
        raise HistoryError(f"{path}: no reading was accepted, rejected were {rejected}; look at the columns' names")
    if found is None:
        raise HistoryError(f"{path}: no interval can be inferred from one reading a series; give --interval")
    return _on_grid(read, SlotClock(found, own.timezone, own.stamp), str(path))


def of_journal(directory: Path, settings: StreamSettings, stream: str, progress: Progress) -> list[History]:
    """The series of a stream as a daemon's journal holds them; the daemon may run.

    Raises:
        HistoryError: The journal has no reading of the stream.
        StoreError: The directory holds no readable state.
    """
    from daemon.store import open_reader

    read = []
    with open_reader(directory) as reader:
        last = reader.last_seq
        for seq, item in reader.entries():
            if isinstance(item, Batch) and item.stream == stream:
                read.append(item)
            progress(seq, last)
    if not any(len(batch) for batch in read):
        raise HistoryError(f"{directory}: its journal holds no reading of stream {stream}")
    return _on_grid(read, SlotClock(settings.interval, settings.timezone, settings.stamp), str(directory))


def _of_suffix(path: Path, stream: StreamSettings) -> StreamSettings:
    """The stream's settings with the format that the file's name says."""
    kind = "jsonl" if path.suffix in JSON_SUFFIXES else "csv" if path.suffix == ".csv" else stream.format.type
    if kind == stream.format.type:
        return stream
    return stream.model_copy(update={"format": stream.format.model_copy(update={"type": kind, "columns": None})})


def _parquet(path: Path, stream: str, settings: StreamSettings, progress: Progress) -> Iterator[Batch]:
    """A Parquet file's rows; stamps are instants, local time in the stream's zone, or text as in a CSV."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    f = settings.format
    names = [f.value] if isinstance(f.value, str) else f.value
    columns = [f.time, *names, *_listed(f.series)]
    try:
        with pq.ParquetFile(path) as file:
            if missing := sorted(set(columns) - set(file.schema_arrow.names)):
                raise HistoryError(
                    f"{path}: has no column {', '.join(missing)}; it has {', '.join(file.schema_arrow.names)}"
                )
            done = 0
            for rows in file.iter_batches(PARQUET_ROWS, columns=columns):
                yield _parquet_rows(rows, stream, settings, names, path.stem)
                done += len(rows)
                progress(done, file.metadata.num_rows)
    except pa.ArrowException as error:
        raise HistoryError(f"{path}: not a Parquet file that can be read: {' '.join(str(error).split())}") from error


def _parquet_rows(rows: object, stream: str, settings: StreamSettings, names: list[str], stem: str) -> Batch:
    """A record batch as readings; rows without a stamp or with a value that is not finite are left out."""
    import pandas as pd

    f = settings.format
    frame: pd.DataFrame = rows.to_pandas()  # type: ignore[attr-defined]
    stamps = pd.to_datetime(frame[f.time], errors="coerce")
    if stamps.dt.tz is None:
        stamps = stamps.dt.tz_localize(settings.timezone, ambiguous="NaT", nonexistent="NaT")
    values = frame[names].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    kept = np.asarray(stamps.notna()) & np.isfinite(values).all(1)
    at_ms = stamps[kept].dt.tz_convert("UTC").astype("datetime64[ms, UTC]").astype("int64").to_numpy()
    named = [frame[column][kept].astype(str) for column in _listed(f.series)]
    labels = pd.Series([stem] * int(kept.sum())) if not named else named[0].str.cat(named[1:], sep=",")
    codes, distinct = pd.factorize(labels)
    return Batch(
        stream=stream,
        received_at_ms=0,
        labels=[str(label) for label in distinct],
        codes=codes.astype(np.int32),
        at_ms=at_ms,
        fold_s=np.zeros(len(at_ms), np.int32),
        values=values[kept],
        rejected={"bad_value": int((~kept).sum())} if not kept.all() else {},
    )


def _listed(names: str | list[str] | None) -> list[str]:
    """One or several columns as a list."""
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def _most_frequent_step(read: Sequence[Batch]) -> int | None:
    """Most frequent difference between two readings of a series, seconds."""
    steps = []
    for batch in read[:1]:
        order = np.lexsort((batch.at_ms, batch.codes))
        same = np.diff(batch.codes[order]) == 0
        steps = (np.diff(batch.at_ms[order])[same] // 1000).tolist()
    whole = [step for step in steps if step > 0]
    return max(set(whole), key=whole.count) if whole else None


def _on_grid(read: Sequence[Batch], clock: SlotClock, where: str) -> list[History]:
    """Each series on its grid of slots; of several readings in a slot the first counts, as in the engine."""
    series: dict[str, _Series] = {}
    for batch in read:
        slots = clock.slots(batch.at_ms)
        for code, label in enumerate(batch.labels):
            rows = batch.codes == code
            found = series.setdefault(label, _Series())
            found.slots.append(slots[rows])
            found.values.append(batch.values[rows])
    return [_history(label, found, clock, where) for label, found in sorted(series.items()) if found.slots]


def _history(label: str, found: _Series, clock: SlotClock, where: str) -> History:
    slots, values = np.concatenate(found.slots), np.concatenate(found.values)
    kept, first_at = np.unique(slots, return_index=True)
    if kept[-1] - kept[0] >= MOST_SLOTS:
        raise HistoryError(
            f"{where}: {label} spans {int(kept[-1] - kept[0]):,} slots of {clock.interval_s} s, more than "
            f"{MOST_SLOTS:,}; look for a wrong stamp, or give a longer --interval"
        )
    grid = np.full((int(kept[-1] - kept[0]) + 1, values.shape[1]), np.nan)
    grid[kept - kept[0]] = values[first_at]
    numbers = np.arange(kept[0], kept[-1] + 1)
    return History(label, clock.interval_s, int(kept[0]), grid, clock.local_s(numbers))
