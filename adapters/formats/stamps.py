"""Time stamps: epoch numbers and ISO 8601, in a zone whose clocks change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from adapters.base import REJECTIONS

OK = 255
REASON = {name: index for index, name in enumerate(REJECTIONS)}

Stamp = tuple[int, int, int]
"""`(at_ms, fold_s, reason)`; the reason is OK or an index into `REJECTIONS`."""

_EPOCH = datetime(1970, 1, 1)
LAST_MS = 7_258_118_400_000  # 2200-01-01
_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_DAY_S = 86_400
_NUMBER = re.compile(r"\d+(\.\d*)?([eE]\+?\d{1,2})?", re.ASCII)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r" ?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?)?",
    re.ASCII,
)
_BAD: Stamp = (0, 0, REASON["bad_time"])
_DIGITS = (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)
_FEW = 64
"""Below so many distinct stamps a column is not worth the arrays."""


class StampReader:
    """Reads time stamps of one stream.

    Accepted: epoch seconds (whole or with a fraction), epoch milliseconds (any number of 1e11 and more), and ISO 8601
    dates with or without a time (`T` or a space between them), a fraction of seconds and a zone (`Z`, `+hh:mm`,
    `+hhmm`, `+hh`). A date alone is its midnight. What lies beyond milliseconds is cut off in ISO, rounded in numbers.

    Args:
        timezone: IANA zone of stamps that name none.
    """

    def __init__(self, timezone: str) -> None:
        self._zone = None if timezone in ("UTC", "Etc/UTC") else ZoneInfo(timezone)

    def read(self, text: str) -> Stamp:
        """`(at_ms, fold_s, reason)` of a stamp; milliseconds and seconds, both 0 unless the reason is OK."""
        text = text.strip(" \t")
        match = _ISO.fullmatch(text)
        if match:
            return self._iso(match)
        if _NUMBER.fullmatch(text) and len(text) <= 40:
            return self.epoch(int(text) if text.isdigit() else float(text))
        return _BAD

    def read_cell(self, cell: Any) -> Stamp:
        """`read` of a text, `epoch` of a number, and `bad_time` of anything else."""
        if type(cell) is str:
            return self.read(cell)
        return self.epoch(cell) if type(cell) is int or type(cell) is float else _BAD

    def read_cells(self, cells: Sequence[Any]) -> npt.NDArray[np.int64]:
        """`read_cell` of many distinct cells, shape (N, 3), int64."""
        stamps = np.zeros((len(cells), 3), np.int64)
        left = np.ones(len(cells), bool)
        if len(cells) >= _FEW and set(map(type, cells)) == {str} and "".join(cells).isascii():
            left = ~self._read_plain(np.array(cells, "S"), stamps)
        rest = np.flatnonzero(left).tolist()
        if rest:
            stamps[rest] = [self.read_cell(cells[index]) for index in rest]
        return stamps

    @staticmethod
    def epoch(number: float) -> Stamp:
        """The stamp of an epoch number: seconds, or milliseconds from 1e11 up."""
        if not 0 <= number < LAST_MS:  # also not a number
            return _BAD
        at_ms = round(number if number >= 1e11 else number * 1000)
        return (at_ms, 0, OK) if at_ms < LAST_MS else _BAD

    def _iso(self, match: re.Match[str]) -> Stamp:
        year, month, day, hour, minute, second, fraction, utc, sign, zone_h, zone_m = match.groups()
        try:
            local = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
        except ValueError:
            return _BAD
        offset, fold_s = timedelta(), 0
        if sign:
            if int(zone_h) > 23 or int(zone_m or 0) > 59:
                return _BAD
            offset = timedelta(hours=int(zone_h), minutes=int(zone_m or 0)) * (1 if sign == "+" else -1)
        elif not utc and self._zone is not None:
            offset, after = _offsets(local, self._zone)
            if offset < after:  # the clock was put forward over this stamp
                return (0, 0, REASON["nonexistent_time"])
            fold_s = round((offset - after).total_seconds())
        at_ms = (local - _EPOCH - offset) // _MILLISECOND + int((fraction or "0").ljust(3, "0")[:3])
        return (at_ms, fold_s, OK) if 0 <= at_ms < LAST_MS else _BAD

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
        plain &= (year > 1970) & (year < 2199) & (month >= 1) & (month <= 12)  # the edges are for the slow way
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


def _offsets(local: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Offsets from UTC of a local stamp read as before and as after a change of the clock; equal away from changes."""
    before = local.replace(tzinfo=zone).utcoffset()
    after = local.replace(tzinfo=zone, fold=1).utcoffset()
    assert before is not None and after is not None
    return before, after
