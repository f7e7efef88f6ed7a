"""Reading a corpus in the layout of the Numenta Anomaly Benchmark: files of stamps and values, and labelled windows."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson


class CorpusError(ValueError):
    """The directory or one of its files is not laid out as NAB's; the text says where and what."""


@dataclass(frozen=True)
class CorpusFile:
    """One file: its name in the corpus (`group/file.csv`), its path, its windows in epoch seconds."""

    name: str
    path: Path
    windows: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class CorpusRows:
    """A file's rows: the text of stamp and value as written, and their meaning, shape (N,)."""

    stamps: list[str]
    texts: list[str]
    at: npt.NDArray[np.int64]  # epoch seconds UTC, as written: clocks that were set back go back
    values: npt.NDArray[np.float64]  # shape (N, F) where every column was asked for


def read_corpus(directory: Path, pattern: str | None = None) -> list[CorpusFile]:
    """The files of a corpus, by name.

    Args:
        directory: Has `data/<group>/<file>.csv` and `labels/combined_windows.json`.
        pattern: Shell pattern on `<group>/<file>.csv` or `<file>.csv`; None: all.

    Raises:
        CorpusError: There are no such files, or a file has no entry in the labels.
        OSError: The labels cannot be read.
    """
    labels = directory / "labels" / "combined_windows.json"
    try:
        windows = {name: tuple((_epoch_s(a), _epoch_s(b)) for a, b in w) for name, w in _object(labels).items()}
    except (ValueError, TypeError) as error:
        raise CorpusError(f"{labels}: {error}; expected pairs of stamps by file name") from None
    paths = {p.relative_to(directory / "data").as_posix(): p for p in sorted(directory.glob("data/*/*.csv"))}
    chosen = [n for n in paths if pattern is None or fnmatch(n, pattern) or fnmatch(paths[n].name, pattern)]
    if not chosen:
        raise CorpusError(f"{directory}: no data/<group>/<file>.csv" + (f" matches {pattern}" if pattern else ""))
    for name in chosen:
        if name not in windows:
            raise CorpusError(f"{labels}: has no entry {name}; add one, an empty list for a file without windows")
    return [CorpusFile(name, paths[name], windows[name]) for name in chosen]


def read_rows(path: Path, every: bool = False) -> CorpusRows:
    """The columns `timestamp` and `value` of a file, or `timestamp` and every other.

    Raises:
        CorpusError: A column is missing, or a row is no stamp and finite numbers.
    """
    stamps, texts, at, values = [], [], [], []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        columns = [name for name in reader.fieldnames or () if name != "timestamp"] if every else ["value"]
        for row in reader:
            try:
                stamps.append(row["timestamp"])
                texts.append(row[columns[0]])
                at.append(math.floor(_epoch_s(row["timestamp"])))
                values.append([float(row[name]) for name in columns])
            except (KeyError, ValueError, TypeError, IndexError) as error:
                raise CorpusError(f"{path}:{reader.line_num}: {error!r}; expected columns timestamp, value") from None
    numbers = np.array(values)
    if not at or not np.isfinite(numbers).all():
        raise CorpusError(f"{path}: needs rows of finite values")
    return CorpusRows(stamps, texts, np.array(at, np.int64), numbers if every else numbers[:, 0])


def _object(path: Path) -> dict[str, Any]:
    content = orjson.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise TypeError("not an object")
    return content


def _epoch_s(stamp: str) -> float:
    at = datetime.fromisoformat(stamp)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
