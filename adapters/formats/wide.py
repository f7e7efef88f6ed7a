"""A row a day, a column a period: as Elexon's settlement periods 1 to 48 come, or times of day from 00:00 to 23:30.

Numbered periods count on from local midnight, so that a day on which the clock is put forward has 46 half hours and one
on which it is put back has 50; what a day does not have must be empty. Columns named by times of day are local times.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from adapters.base import DocumentError, Progress, Readings
from adapters.format_kind import FormatChoices
from adapters.formats.csv import split_fields
from adapters.formats.meter_rows import MeterRows
from adapters.formats.number_text import NumberReader, numbers_of
from adapters.formats.qualities import QualityReader
from adapters.formats.stamps import BLANKS, OK, REASON, StampReader
from adapters.text_file import AUTO, numbered_lines

_LEAST_PERIODS = 23
_HEADER_LINES = 200
_NUMBERED = re.compile(r"(\D*?)0*(\d{1,3})", re.ASCII)
_CLOCK = re.compile(r"(\D*?)(\d{1,2}):(\d\d)(?::00)?(?:\s*-\s*\d{1,2}:\d\d(?::00)?)?", re.ASCII)
_DAY_MIN = 1440


@dataclass(frozen=True, slots=True)
class Periods:
    """The columns of a day's periods.

    Attributes:
        columns: Index of each period's column, in the order of the periods.
        interval_min: Minutes of a period.
        clocks: Time of day of each period's stamp, `HH:MM`; None where periods are numbered.
        count: Columns of a row.
    """

    columns: tuple[int, ...]
    interval_min: int
    clocks: tuple[str, ...] | None
    count: int


def periods_of(names: Sequence[str], prefix: str | None = None) -> Periods | None:
    """The periods among the names of columns; None where these are no day's.

    Args:
        names: Names of the columns.
        prefix: What stands before each number or time; None: what most of them have.

    >>> periods_of(["date", *(f"SP{i}" for i in range(1, 51))]).interval_min
    30
    """
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for index, name in enumerate(names):
        if match := _CLOCK.fullmatch(name):
            found.setdefault(("clock", match[1]), []).append((int(match[2]) * 60 + int(match[3]), index))
        elif match := _NUMBERED.fullmatch(name):
            found.setdefault(("number", match[1]), []).append((int(match[2]), index))
    if prefix is not None:
        found = {key: value for key, value in found.items() if key[1].strip() == prefix.strip()}
    if not found:
        return None
    (kind, _), pairs = max(found.items(), key=lambda item: len(item[1]))
    numbers = [number for number, _ in pairs]
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    if len(pairs) < _LEAST_PERIODS or len(steps) != 1 or min(steps) < 1:
        return None
    columns = tuple(index for _, index in pairs)
    if kind == "clock":
        step = min(steps)
        clocks = tuple(f"{number // 60:02}:{number % 60:02}" for number in numbers)
        return Periods(columns, step, clocks, len(names)) if numbers[-1] <= _DAY_MIN and _DAY_MIN % step == 0 else None
    interval = min((5, 10, 15, 30, 60), key=lambda minutes: abs(_DAY_MIN // minutes - len(pairs)))
    fits = abs(_DAY_MIN // interval - len(pairs)) * interval <= 60
    return Periods(columns, interval, None, len(names)) if fits and numbers[0] in (0, 1) and steps == {1} else None


@dataclass(frozen=True)
class WideFormat:
    """Files of a row a day.

    Attributes:
        time: Column of the date.
        prefix: What the names of the periods' columns begin with; None: found.
        series: Column of the series' name; None: `series_of`.
        delimiter: Between columns.
        stamps: Reads the dates.
        timezone: IANA zone of the days.
        numbers: Reads the values.
        quality: Column of the quality of a day's values; None: all are actual.
        qualities: Reads the qualities.
        series_bytes: Longest name of a series, in bytes of UTF-8.
        encoding: See `Recoder`.
        series_of: See `FormatChoices.series_of`.
    """

    time: str
    prefix: str | None
    series: str | None
    delimiter: str
    stamps: StampReader
    timezone: str
    numbers: NumberReader
    quality: str | None = None
    qualities: QualityReader = field(default_factory=QualityReader)
    series_bytes: int = 256
    encoding: str = AUTO
    series_of: Callable[[str, str], str] = lambda path, otherwise: otherwise

    width = 1

    def read(self, path: Path, progress: Progress = lambda done, total: None) -> Iterator[Readings]:
        """See `DocumentFormat.read`.

        Raises:
            DocumentError: None of the first lines has the column of the date and columns of periods.
            OSError: It cannot be read.
        """
        pieces, name = MeterRows(self.series_bytes), self.series_of(str(path), path.stem)
        names: list[str] = []
        periods: Periods | None = None
        number = 0
        for number, text in numbered_lines(path, self.encoding, progress):
            if not text.strip(BLANKS):
                continue
            fields = [each.strip(BLANKS) for each in split_fields(text, self.delimiter) or []]
            if self._is_header(fields):
                names, periods = fields, periods_of(fields, self.prefix)
            elif periods is None and number >= _HEADER_LINES:
                break
            elif periods is not None:
                self._put(pieces, names, periods, fields, name)
                if pieces.full:
                    yield pieces.drain()
            else:
                pieces.refuse("preamble")
        if periods is None:
            raise DocumentError(f"{path}: no line has a column {self.time!r} and columns of a day's periods")
        yield pieces.drain()

    def _is_header(self, fields: list[str]) -> bool:
        wanted = [name for name in (self.time, self.series, self.quality) if name is not None]
        return all(name in fields for name in wanted) and periods_of(fields, self.prefix) is not None

    def _put(self, pieces: MeterRows, names: list[str], periods: Periods, fields: list[str], name: str) -> None:
        """The readings of a row."""
        if len(fields) < periods.count:
            pieces.refuse("malformed")
            return
        series = name if self.series is None else fields[names.index(self.series)]
        quality = (0, OK) if self.quality is None else self.qualities.read(fields[names.index(self.quality)])
        cells = [fields[column] for column in periods.columns]
        midnight = self.stamps.read(fields[names.index(self.time)])
        if midnight[2] != OK:
            pieces.refuse("bad_time")
            return
        at_ms, reasons = self._instants(midnight[0], periods, cells)
        kept = np.flatnonzero(reasons != _ABSENT)
        values, bad = self.numbers.read_column([cells[index] for index in kept.tolist()])
        flags = np.full(len(kept), quality[1], np.uint8)
        own = reasons[kept]
        own = np.where(own != OK, own, np.where(flags != OK, flags, bad)).astype(np.uint8)
        pieces.add(series, at_ms[kept], values, np.full(len(kept), quality[0], np.int8), own)

    def _instants(self, midnight_ms: int, periods: Periods, cells: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The instant of each period and its reason; `_ABSENT` where the day has no such period, and no value of it."""
        zone = ZoneInfo(self.timezone)
        date = datetime.fromtimestamp(midnight_ms / 1000, zone).date()
        if periods.clocks is not None:
            stamps = [self._clocks(f"{date} {clock}") for clock in periods.clocks]
            at_ms = np.array([stamp[0] for stamp in stamps], np.int64)
            reasons = np.array([stamp[2] for stamp in stamps], np.uint8)
            none = reasons == REASON["nonexistent_time"]
        else:
            at_ms = midnight_ms + periods.interval_min * 60_000 * np.arange(len(cells), dtype=np.int64)
            following = datetime.combine(date + timedelta(days=1), datetime.min.time(), zone)
            none = at_ms >= round(following.timestamp() * 1000)
            reasons = np.where(none, REASON["bad_time"], OK).astype(np.uint8)
        empty = np.array([not cell for cell in cells])
        return at_ms, np.where(none & empty, _ABSENT, reasons).astype(np.uint8)

    def _clocks(self, text: str) -> tuple[int, int, int]:
        return StampReader(self.timezone).read(text)


_ABSENT = 253
"""A period that a day does not have; no reason of `REJECTIONS`, and not OK."""


def made(choices: FormatChoices, timezone: str, series_bytes: int) -> WideFormat:
    """As the configuration has it; `value` other than its default is what the periods' names begin with."""
    series = choices.series_columns
    assert isinstance(choices.time, str) and isinstance(choices.value, str) and not isinstance(series, list)
    return WideFormat(
        time=choices.time,
        prefix=None if choices.value == "value" else choices.value,
        series=series,
        delimiter=choices.delimiter,
        stamps=StampReader(timezone, choices.time_format),
        timezone=timezone,
        numbers=numbers_of(choices),
        quality=choices.quality_column,
        qualities=QualityReader(choices.quality_words),
        series_bytes=series_bytes,
        encoding=choices.encoding,
        series_of=choices.series_of,
    )
