"""NEM12: interval data of Australia's electricity market, as AEMO's "Meter Data File Format Specification" has it.

A 200 record names a channel of a meter (NMI, suffix, length of interval), each 300 record after it has one day of
values and a quality, and 400 records say the quality of parts of a day whose own is V. Times are of UTC+10 all year; a
value is stamped with the start of its interval. 500 records (reads of the register) are left out. A series is called
`NMI/SUFFIX`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from adapters.base import DocumentError, Progress, Readings
from adapters.format_kind import FormatChoices
from adapters.formats.meter_rows import MeterRows, worst
from adapters.formats.number_text import NumberReader
from adapters.formats.qualities import QualityReader
from adapters.formats.stamps import FIRST_MS, LAST_MS, REASON
from adapters.text_file import AUTO, numbered_lines

_EPOCH = datetime(1970, 1, 1)
_MARKET = timedelta(hours=10)
_DAY_MIN = 1440
_UNCOVERED = (0, REASON["bad_quality"])


@dataclass(slots=True)
class _Channel:
    """What a 200 record says."""

    name: str
    interval_min: int

    @property
    def intervals(self) -> int:
        return _DAY_MIN // self.interval_min


@dataclass(slots=True)
class _Day:
    """A 300 record, waiting for the 400 records that may follow it."""

    channel: _Channel
    at_ms: int
    texts: list[str]
    qualities: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Nem12Format:
    """NEM12 files.

    Attributes:
        numbers: Says which numbers stand for a missing value.
        series_bytes: Longest name of a series, in bytes of UTF-8.
        encoding: See `Recoder`.
        series_of: See `FormatChoices.series_of`; a name it gives goes in place of the NMI.
    """

    numbers: NumberReader = field(default_factory=NumberReader)
    series_bytes: int = 256
    encoding: str = AUTO
    series_of: Callable[[str, str], str] = lambda path, otherwise: otherwise

    width = 1

    def read(self, path: Path, progress: Progress = lambda done, total: None) -> Iterator[Readings]:
        """See `DocumentFormat.read`; a few hundred days at a time.

        Raises:
            DocumentError: It is no NEM12 file.
            OSError: It cannot be read.
        """
        pieces, given = MeterRows(self.series_bytes), self.series_of(str(path), "")
        channel: _Channel | None = None
        day: _Day | None = None
        begun = False
        for number, text in numbered_lines(path, self.encoding, progress):
            fields = [each.strip().strip('"') for each in text.split(",")]
            kind = fields[0]
            if not kind and not any(fields):
                continue
            if not begun and (kind not in ("100", "200") or (kind == "100" and fields[1:2] != ["NEM12"])):
                raise DocumentError(
                    f"{path}: not a NEM12 file: line {number} is {text[:60]!r}, not a record 100 of NEM12"
                )
            begun = True
            if kind == "400":
                if day is None or not _amend(day, fields):
                    pieces.refuse("malformed")
                continue
            if day is not None:
                self._put(pieces, day)
                day = None
            if kind == "200":
                channel = _channel(fields, given)
            if kind == "300" and channel is not None:
                day = _day(fields, channel)
            if (
                (kind == "200" and channel is None)
                or (kind == "300" and day is None)
                or kind not in ("100", "200", "300", "500", "900")
            ):
                pieces.refuse("malformed")
            if pieces.full:
                yield pieces.drain()
        if not begun:
            raise DocumentError(f"{path}: not a NEM12 file: it is empty")
        if day is not None:
            self._put(pieces, day)
        yield pieces.drain()

    def _put(self, pieces: MeterRows, day: _Day) -> None:
        """The readings of a day."""
        count, step_ms = day.channel.intervals, day.channel.interval_min * 60_000
        values, reasons = self.numbers.read_column(day.texts)
        quality = np.array([code for code, _ in day.qualities], np.int8)
        flags = np.array([reason for _, reason in day.qualities], np.uint8)
        at_ms = day.at_ms + step_ms * np.arange(count, dtype=np.int64)
        pieces.add(day.channel.name, at_ms, values, quality, worst(flags, reasons))


def _channel(fields: list[str], given: str) -> _Channel | None:
    """The channel of a 200 record; None when it is malformed."""
    if len(fields) < 9 or not fields[1] or not fields[8].isascii() or not fields[8].isdigit():
        return None
    interval = int(fields[8])
    if not interval or _DAY_MIN % interval:
        return None
    return _Channel("/".join(part for part in (given or fields[1], fields[4]) if part), interval)


_WORDS = QualityReader()


def _day(fields: list[str], channel: _Channel) -> _Day | None:
    """The day of a 300 record; None when it is malformed."""
    count = channel.intervals
    if len(fields) < 3 + count:
        return None
    try:
        midnight = datetime.strptime(fields[1], "%Y%m%d")
    except ValueError:
        return None
    at_ms = (midnight - _MARKET - _EPOCH) // timedelta(milliseconds=1)
    if not FIRST_MS <= at_ms < LAST_MS - _DAY_MIN * 60_000:
        return None
    return _Day(channel, at_ms, fields[2 : 2 + count], [_quality(fields[2 + count])] * count)


def _amend(day: _Day, fields: list[str]) -> bool:
    """Take over a 400 record; whether it is one."""
    if len(fields) < 4 or not (fields[1].isdigit() and fields[2].isdigit()):
        return False
    first, last = int(fields[1]), int(fields[2])
    if not 1 <= first <= last <= len(day.qualities):
        return False
    day.qualities[first - 1 : last] = [_quality(fields[3])] * (last - first + 1)
    return True


def _quality(text: str) -> tuple[int, int]:
    """`(index into QUALITIES, reason)` of a quality with its method, such as E52; V is for 400 records to say."""
    return _UNCOVERED if not text or text[0] not in "AEFNS" else _WORDS.read(text[0])


def made(choices: FormatChoices, timezone: str, series_bytes: int) -> Nem12Format:
    """As the configuration has it; the market has a zone of its own."""
    return Nem12Format(NumberReader(missing=choices.missing), series_bytes, choices.encoding, choices.series_of)
