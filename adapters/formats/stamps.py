"""Time stamps: epoch numbers and texts of a date and a clock, in a zone whose clocks change."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from adapters.base import REJECTIONS
from adapters.formats import clock_text
from adapters.formats.clock_text import ClockText, Pattern

OK = 255
REASON = {name: index for index, name in enumerate(REJECTIONS)}

Stamp = tuple[int, int, int]
"""`(at_ms, fold_s, reason)`; the reason is OK or an index into `REJECTIONS`."""

_EPOCH = datetime(1970, 1, 1)
_EXCEL = datetime(1899, 12, 30)
EXCEL = "excel"
"""The `time_format` of day numbers."""
FIRST_MS, LAST_MS = 631_152_000_000, 4_102_444_800_000  # 1990-01-01, 2100-01-01
_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_DAY_S = 86_400
_NUMBER = re.compile(r"\d+(\.\d*)?([eE]\+?\d{1,2})?", re.ASCII)
_COMPACT_DIGITS = frozenset((8, 12, 14, 17))
BLANKS = " \t\u00a0\u2007\u202f\ufeff"
"""What does not count around a cell: spaces, those that do not break among them, tabs, a mark of byte order."""
_WIDE_BLANKS = str.maketrans(dict.fromkeys("\t\u00a0\u2007\u2009\u202f", " "))
_BAD: Stamp = (0, 0, REASON["bad_time"])
_DIGITS = (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)
_FEW = 64
"""Below so many distinct stamps a column is not worth the arrays."""
_ZONES: Mapping[str, int] = {
    **dict.fromkeys(("UTC", "GMT", "WET"), 0),
    **dict.fromkeys(("CET", "WEST", "MEZ", "BST"), 60),
    **dict.fromkeys(("CEST", "EET", "MESZ", "SAST"), 120),
    **dict.fromkeys(("EEST", "MSK"), 180),
    **{"EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420},
    **{"AKST": -540, "AKDT": -480, "HST": -600, "AST": -240, "ADT": -180, "JST": 540, "KST": 540},
    **{"AWST": 480, "ACST": 570, "ACDT": 630, "AEST": 600, "AEDT": 660, "NZST": 720, "NZDT": 780},
}
"""Minutes east of UTC of zone names as people write them; the names of the stream's own zone go before."""


class StampReader:
    """Reads time stamps of one stream.

    Accepted without a pattern: epoch numbers in seconds (whole or with a fraction), milliseconds, microseconds or
    nanoseconds; ISO 8601 dates with or without a time (`T` or a space between them), with `/` or `.` for `-`, with
    digits alone (`202405011030`), with a fraction of seconds and a zone (`Z`, `+hh:mm`, `+hhmm`, `+hh`, `CET`,
    `Europe/Berlin`). A date alone is its midnight, and 24:00 the midnight after it. What lies beyond milliseconds is
    cut off, but rounded in numbers of seconds with a fraction. A stamp outside 1990 to 2100 is none: it is a number
    of something else.

    Args:
        timezone: IANA zone of stamps that name none.
        pattern: How stamps are written, as in `strptime`, or `excel` for day numbers; None: as above.

    Raises:
        ValueError: The pattern cannot be.
    """

    def __init__(self, timezone: str, pattern: str | None = None) -> None:
        self._zone = None if timezone in ("UTC", "Etc/UTC") else ZoneInfo(timezone)
        self._excel = pattern == EXCEL
        self._pattern = None if pattern is None or self._excel else Pattern(pattern)
        self._free = pattern is None

    def read(self, text: str) -> Stamp:
        """`(at_ms, fold_s, reason)` of a stamp; milliseconds and seconds, both 0 unless the reason is OK."""
        text = text.strip(BLANKS)
        if not text.isascii():
            text = text.translate(_WIDE_BLANKS)
        if self._pattern is not None:
            parts = self._pattern.read(text)
        elif self._excel:
            return self._of_days(float(text)) if _NUMBER.fullmatch(text) else _BAD
        else:
            if _NUMBER.fullmatch(text) and len(text) <= 40:
                stamp = self.epoch(int(text)) if text.isdigit() else self.epoch(float(text))
                if stamp[2] == OK:
                    return stamp
            parts = clock_text.read(text)
        return _BAD if parts is None else self._resolved(parts)

    def read_cell(self, cell: Any) -> Stamp:
        """`read` of a text, the stamp of a number, and `bad_time` of anything else."""
        if type(cell) is str:
            return self.read(cell)
        if type(cell) is not int and type(cell) is not float:
            return _BAD
        if self._free:
            return self.epoch(cell)
        return self._of_days(cell) if self._excel else self.read(str(cell))

    def read_cells(self, cells: Sequence[Any]) -> npt.NDArray[np.int64]:
        """`read_cell` of many distinct cells, shape (N, 3), int64."""
        stamps = np.zeros((len(cells), 3), np.int64)
        left = np.ones(len(cells), bool)
        plain = self._free and len(cells) >= _FEW and set(map(type, cells)) == {str}
        if plain and "".join(cells).isascii():
            left = ~self._read_plain(np.array(cells, "S"), stamps)
        rest = np.flatnonzero(left).tolist()
        if rest:
            stamps[rest] = [self.read_cell(cells[index]) for index in rest]
        return stamps

    def epoch(self, number: float) -> Stamp:
        """The stamp of a number: one of the units since 1970, told apart by its size, or a date in digits alone."""
        if not 0 <= number < 1e19:  # also not a number
            return _BAD
        if number < 1e11:
            at_ms = number * 1000 if isinstance(number, int) else round(number * 1000)
        elif number < 1e14:
            at_ms = round(number)
        else:
            at_ms = int(number) // (1000 if number < 1e17 else 1_000_000)
        if FIRST_MS <= at_ms < LAST_MS:
            return at_ms, 0, OK
        digits = str(number) if isinstance(number, int) else ""
        parts = clock_text.read(digits) if len(digits) in _COMPACT_DIGITS else None
        return _BAD if parts is None else self._resolved(parts)

    def _of_days(self, days: float) -> Stamp:
        """The stamp of Excel's number of days, to the second."""
        if not 30_000 < days < 80_000:
            return _BAD
        return self._localised(_EXCEL + timedelta(seconds=round(days * _DAY_S)), 0)

    def _resolved(self, parts: ClockText) -> Stamp:
        """The stamp of a date and a clock."""
        local = datetime(parts.day.year, parts.day.month, parts.day.day)
        try:
            local += _DAY if parts.hour == 24 else timedelta(0, parts.second, 0, 0, parts.minute, parts.hour)
        except OverflowError:
            return _BAD
        millis = int(parts.fraction.ljust(3, "0")[:3]) if parts.fraction else 0
        offset = None if parts.offset_min is None else timedelta(minutes=parts.offset_min)
        if parts.zone:
            named = self._named(parts.zone, local)
            if isinstance(named, ZoneInfo):
                return _localised(local, millis, named)
            if named is None:
                return _BAD
            offset = named
        if offset is None:
            return self._localised(local, millis)
        return _checked((local - _EPOCH - offset) // _MILLISECOND + millis, 0)

    def _localised(self, local: datetime, millis: int) -> Stamp:
        """The stamp of a local time of the stream's zone."""
        if self._zone is None:
            return _checked((local - _EPOCH) // _MILLISECOND + millis, 0)
        return _localised(local, millis, self._zone)

    def _named(self, name: str, local: datetime) -> timedelta | ZoneInfo | None:
        """What a name stands for: what the stream's own zone is called at that time, a usual name, or an IANA zone."""
        if "/" in name:
            return _zone_of(name)
        name = name.upper()
        if self._zone is not None:
            for fold in (0, 1):
                own = local.replace(tzinfo=self._zone, fold=fold)
                if own.tzname() == name:
                    return own.utcoffset()
        minutes = _ZONES.get(name)
        return None if minutes is None else timedelta(minutes=minutes)

    def _read_plain(self, texts: npt.NDArray[np.bytes_], stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Fill in stamps like `2024-05-01T10:30:00` on days when no clock changes, and say which, shape (N,)."""
        if texts.itemsize != 19:
            return np.zeros(len(texts), bool)
        raw = texts.view(np.uint8).reshape(-1, 19)
        digit = raw - np.uint8(48)
        plain: npt.NDArray[np.bool_] = (digit[:, _DIGITS] <= 9).all(1) & (raw[:, [4, 7, 13, 16]] == list(b"--::")).all(
            1
        )
        plain &= (raw[:, 10] == ord("T")) | (raw[:, 10] == ord(" "))
        number = np.where(plain[:, None], digit, 0).astype(np.int64)
        pairs = number[:, :-1] * 10 + number[:, 1:]
        year, month, day = pairs[:, 0] * 100 + pairs[:, 2], pairs[:, 5], pairs[:, 8]
        hour, minute, second = pairs[:, 11], pairs[:, 14], pairs[:, 17]
        plain &= (year > 1990) & (year < 2099) & (month >= 1) & (month <= 12)  # the edges are for the slow way
        plain &= (hour < 24) & (minute < 60) & (second < 60)
        months = np.where(plain, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
        days = months.astype("datetime64[D]").astype(np.int64)
        plain &= (day >= 1) & (day <= (months + 1).astype("datetime64[D]").astype(np.int64) - days)
        days += np.where(plain, day, 1) - 1
        offset_s, steady = self._day_offsets(days)
        plain &= steady
        at_s = days * _DAY_S + hour * 3600 + minute * 60 + second - offset_s
        stamps[plain, 0] = at_s[plain] * 1000
        stamps[plain, 2] = OK
        return plain

    def _day_offsets(self, days: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Offset from UTC of each local day, seconds, and whether it holds all day; both of shape (N,)."""
        if self._zone is None:
            return np.zeros(len(days), np.int64), np.ones(len(days), bool)
        distinct, codes = np.unique(days, return_inverse=True)
        found = []
        for day in distinct.tolist():
            start = _EPOCH + timedelta(days=day)
            offsets = {*_offsets(start, self._zone), *_offsets(start + timedelta(seconds=_DAY_S - 1), self._zone)}
            found.append((min(offsets) // _SECOND, len(offsets) == 1))
        return np.array([o for o, _ in found], np.int64)[codes], np.array([s for _, s in found], bool)[codes]


def join_parts(parts: Sequence[str]) -> str:
    """The stamp of a date and a time of day; "" where one of them is empty, for that is no midnight."""
    return parts[0] if len(parts) == 1 else " ".join(parts) if all(map(str.strip, parts)) else ""


def _localised(local: datetime, millis: int, zone: ZoneInfo) -> Stamp:
    """The stamp of a local time; in an hour that occurs twice its first pass, with the seconds to the second."""
    offset, after = _offsets(local, zone)
    if offset < after:  # the clock was put forward over this stamp
        return (0, 0, REASON["nonexistent_time"])
    return _checked((local - _EPOCH - offset) // _MILLISECOND + millis, round((offset - after).total_seconds()))


def _checked(at_ms: int, fold_s: int) -> Stamp:
    return (at_ms, fold_s, OK) if FIRST_MS <= at_ms < LAST_MS else _BAD


@lru_cache(64)
def _zone_of(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _offsets(local: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Offsets from UTC of a local stamp read as before and as after a change of the clock; equal away from changes."""
    before = local.replace(tzinfo=zone).utcoffset()
    after = local.replace(tzinfo=zone, fold=1).utcoffset()
    assert before is not None and after is not None
    return before, after
