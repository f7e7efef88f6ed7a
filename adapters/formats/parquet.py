"""Recorded readings in a Parquet file, by the same rules as lines of text.

A stamp is an instant, a local time without a zone, text or a number as in `adapters.formats.stamps`. A value is a
number or text. A series is text or a whole number. A row that breaks a rule is rejected for the reason a line would be.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from adapters.base import DocumentError, Progress, Readings
from adapters.format_kind import FormatChoices
from adapters.formats.number_text import NumberReader, Numbers, checked_all, numbers_of
from adapters.formats.qualities import QualityReader
from adapters.formats.rows import Rows
from adapters.formats.stamps import FIRST_MS, LAST_MS, OK, REASON, StampReader
from adapters.text import series_of

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1 << 16  # read at once


@dataclass(frozen=True)
class ParquetFormat:
    """Which columns of a Parquet file make a reading.

    Attributes:
        time: Column of the stamp.
        values: Column of each variable.
        series: Columns of the series' name, joined by commas; none: the file's stem.
        timezone: IANA zone of stamps that name none.
        series_bytes: Longest series in bytes of UTF-8.
        time_format: See `StampReader`; of stamps that are text or numbers.
        numbers: Reads values that are text, and says which numbers stand for none.
        quality: Column of the quality; None: all are actual.
        qualities: Reads the qualities.
        series_of: See `FormatChoices.series_of`; for files without a series column.
    """

    time: str
    values: Sequence[str]
    series: Sequence[str] = ()
    timezone: str = "UTC"
    series_bytes: int = 256
    time_format: str | None = None
    numbers: NumberReader = field(default_factory=NumberReader)
    quality: str | None = None
    qualities: QualityReader = field(default_factory=QualityReader)
    series_of: Callable[[str, str], str] = lambda path, otherwise: otherwise

    @property
    def width(self) -> int:
        """Number of variables of a reading."""
        return len(self.values)

    def read(self, path: Path, progress: Progress = lambda done, total: None) -> Iterator[Readings]:
        """See `DocumentFormat.read`; some ten thousand rows at a time.

        Raises:
            DocumentError: It is no Parquet file, is damaged, or lacks a column; or pyarrow is not installed.
            OSError: It cannot be read.
        """
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ModuleNotFoundError:
            raise DocumentError(
                f"{path}: reading Parquet needs pyarrow, which a plain install leaves out; install tidegauge[offline], "
                f"or run: {sys.executable} -m pip install pyarrow"
            ) from None
        columns = [self.time, *self.values, *self.series, *([] if self.quality is None else [self.quality])]
        try:
            with pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
                if missing := [name for name in columns if name not in names]:
                    raise DocumentError(f"{path}: has no column {', '.join(missing)}; it has {', '.join(names)}")
                done = 0
                for rows in file.iter_batches(ROWS, columns=list(dict.fromkeys(columns))):
                    yield self._readings(rows, self.series_of(str(path), series_of(path)))
                    done += len(rows)
                    progress(done, file.metadata.num_rows)
        except pa.ArrowException as error:
            said = " ".join(str(error).split())
            raise DocumentError(f"{path}: not a Parquet file that can be read: {said}") from error

    def _readings(self, table: pa.RecordBatch, stem: str) -> Readings:
        count = len(table)
        rows = Rows(np.arange(1, count + 1, dtype=np.int64), len(self.values))
        lines = np.arange(count)
        if self.series:
            texts = [_texts(table.column(name)) for name in self.series]
            rows.put_names(lines, [",".join(each) for each in zip(*texts, strict=True)], self.series_bytes)
        else:
            rows.put_name(lines, stem, self.series_bytes)
        rows.put_instants(lines, *self._stamps(table.column(self.time)))
        if self.quality is not None:
            rows.put_qualities(lines, *self.qualities.read_column(_texts(table.column(self.quality))))
        for variable, name in enumerate(self.values):
            rows.put_values(lines, variable, *self._numbers(table.column(name)))
        return rows.finish()

    def _stamps(self, column: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """Epoch milliseconds, seconds of a repeated hour, and reasons, shape (N,) each."""
        import pyarrow as pa

        reader, kind = StampReader(self.timezone, self.time_format), column.type
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            at_ms = column.cast(pa.timestamp("ms", "UTC"), safe=False).cast(pa.int64()).fill_null(-1)
            found: npt.NDArray[np.int64] = at_ms.to_numpy(zero_copy_only=False)
            bad = (found < FIRST_MS) | (found >= LAST_MS)
            reasons = np.where(bad, REASON["bad_time"], OK).astype(np.uint8)
            return np.where(bad, 0, found), np.zeros(len(found), np.int32), reasons
        if pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp("ms"), safe=False)
        if pa.types.is_temporal(kind) or pa.types.is_dictionary(kind):
            column = column.cast(pa.string())
        cells = column.to_pylist()
        code_of = {cell: code for code, cell in enumerate(dict.fromkeys(cells))}
        stamps = reader.read_cells(list(code_of))[[code_of[cell] for cell in cells]]
        return stamps[:, 0], stamps[:, 1].astype(np.int32), stamps[:, 2].astype(np.uint8)

    def _numbers(self, column: pa.Array) -> Numbers:
        """Values and reasons, shape (N,) each."""
        import pyarrow as pa

        kind: Any = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return self.numbers.read_column([text or "" for text in column.to_pylist()])
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            return np.zeros(len(column)), np.full(len(column), REASON["bad_value"], np.uint8)
        missing = column.is_null().to_numpy(zero_copy_only=False)
        values = column.cast(pa.float64(), safe=False).fill_null(0.0).to_numpy(zero_copy_only=False)
        values, reasons = self.numbers.judge_all(*checked_all(values))
        return values, np.where(missing, REASON["missing_value"], reasons).astype(np.uint8)


def _texts(column: pa.Array) -> list[str]:
    """Names; what is neither text nor a whole number is empty, which no series may be."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        return [""] * len(column)
    return [text or "" for text in column.cast(pa.string()).to_pylist()]


def made(choices: FormatChoices, timezone: str, series_bytes: int) -> ParquetFormat:
    """As the configuration has it."""
    assert isinstance(choices.time, str), "the configuration refuses it"
    series = choices.series_columns
    return ParquetFormat(
        time=choices.time,
        values=[choices.value] if isinstance(choices.value, str) else choices.value,
        series=series if isinstance(series, list) else [] if series is None else [series],
        timezone=timezone,
        series_bytes=series_bytes,
        time_format=choices.time_format,
        numbers=numbers_of(choices),
        quality=choices.quality_column,
        qualities=QualityReader(choices.quality_words),
        series_of=choices.series_of,
    )
