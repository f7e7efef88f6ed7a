"""What all formats share: the rule for series and the rows they fill; `stamps` and `number_text` have the other rules.

A format looks at a chunk twice. The fast path takes whole columns of the lines it can vouch for; every other line goes
through the slow path one by one. Both apply the rules of this file to the same texts, so they agree to the bit.

When a line breaks several rules its reason is the first of: binary, encoding, malformed, then series, time, and the
values in the order of their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.base import Readings
from adapters.formats.stamps import OK, REASON, Stamp, StampReader
from adapters.text import is_name

IGNORED = 254
"""A blank line or a header: neither read nor rejected."""
BOM = b"\xef\xbb\xbf"

ACTUAL = (0, OK)
"""The quality of a value of which nothing is said, as `(index into QUALITIES, reason)`."""


def read_series(text: str, series_bytes: int) -> tuple[str, int]:
    """`(series, reason)`: spaces and tabs around a name do not count; what is no name (`adapters.text`) is refused."""
    series = text.strip(" \t")
    if not is_name(series) or (len(series) * 4 > series_bytes and len(series.encode()) > series_bytes):
        return "", REASON["bad_series"]
    return series, OK


@dataclass(frozen=True, slots=True)
class Row:
    """One line the slow path has read."""

    series: str
    at_ms: int
    fold_s: int
    values: Sequence[float]
    quality: int = 0

    @classmethod
    def of(
        cls,
        series: tuple[str, int],
        stamp: Stamp,
        numbers: Sequence[tuple[float, int]],
        quality: tuple[int, int] = ACTUAL,
    ) -> Row | int:
        """The row of what the rules made of a line's parts, or the first reason there is none."""
        for reason in (series[1], stamp[2], quality[1], *(reason for _, reason in numbers)):
            if reason != OK:
                return reason
        return cls(series[0], stamp[0], stamp[1], [value for value, _ in numbers], quality[0])


class Rows:
    """The lines of a chunk while they are read: one entry per line, filled by columns or one by one.

    Args:
        ends: Offset just after each line, shape (N,), int64.
        width: Number of variables of a reading.
    """

    def __init__(self, ends: npt.NDArray[np.int64], width: int) -> None:
        count = len(ends)
        self.ends = ends
        self.reasons = np.full(count, IGNORED, np.uint8)
        self._codes = np.zeros(count, np.int32)
        self._at_ms = np.zeros(count, np.int64)
        self._fold_s = np.zeros(count, np.int32)
        self._values = np.zeros((count, width), np.float64)
        self._quality = np.zeros(count, np.int8)
        self._index: dict[str, int] = {}
        self._several: dict[int, list[Row | int]] = {}

    def put_several(self, line: int, found: Sequence[Row | int]) -> None:
        """What the slow path made of a line that holds several readings."""
        if len(found) == 1:
            self.put(line, found[0])
        elif found:
            self._several[line] = list(found)
        else:
            self.reasons[line] = IGNORED

    def put(self, line: int, row: Row | int) -> None:
        """What the slow path made of a line: a row, or the reason there is none."""
        if isinstance(row, int):
            self.reasons[line] = row
            return
        self.reasons[line] = OK
        self._codes[line] = self._index.setdefault(row.series, len(self._index))
        self._at_ms[line] = row.at_ms
        self._fold_s[line] = row.fold_s
        self._values[line] = row.values
        self._quality[line] = row.quality

    def put_name(self, lines: npt.NDArray[np.intp], series: str, series_bytes: int) -> None:
        """One series for many lines."""
        clean, reason = read_series(series, series_bytes)
        self.reasons[lines] = reason
        if reason == OK:
            self._codes[lines] = self._index.setdefault(clean, len(self._index))

    def put_names(self, lines: npt.NDArray[np.intp], texts: list[str], series_bytes: int) -> None:
        """A column of series; each distinct text is judged once."""
        code_of: dict[str, int] = {}
        for text in dict.fromkeys(texts):
            name, reason = read_series(text, series_bytes)
            code_of[text] = self._index.setdefault(name, len(self._index)) if reason == OK else -1
        codes = np.fromiter(map(code_of.__getitem__, texts), np.int32, len(texts))
        self._codes[lines] = codes
        self.reasons[lines] = np.where(codes >= 0, OK, REASON["bad_series"])

    def put_stamps(self, lines: npt.NDArray[np.intp], cells: list[Any], reader: StampReader) -> None:
        """A column of stamps; each distinct cell is read once, for many series share a stamp."""
        code_of = {cell: code for code, cell in enumerate(dict.fromkeys(cells))}
        stamps = reader.read_cells(list(code_of))
        taken = stamps[np.fromiter(map(code_of.__getitem__, cells), np.intp, len(cells))]
        self.put_instants(lines, taken[:, 0], taken[:, 1], taken[:, 2].astype(np.uint8))

    def put_instants(
        self,
        lines: npt.NDArray[np.intp],
        at_ms: npt.NDArray[np.int64],
        fold_s: npt.NDArray[np.integer],
        reasons: npt.NDArray[np.uint8],
    ) -> None:
        """A column of stamps that were read already."""
        self._at_ms[lines] = at_ms
        self._fold_s[lines] = fold_s
        self._blame(lines, reasons)

    def put_values(
        self,
        lines: npt.NDArray[np.intp],
        variable: int,
        values: npt.NDArray[np.float64],
        reasons: npt.NDArray[np.uint8],
    ) -> None:
        """A column of values of one variable."""
        self._values[lines, variable] = values
        self._blame(lines, reasons)

    def put_qualities(
        self, lines: npt.NDArray[np.intp], quality: npt.NDArray[np.int8], reasons: npt.NDArray[np.uint8]
    ) -> None:
        """A column of qualities, indices into `QUALITIES`."""
        self._quality[lines] = quality
        self._blame(lines, reasons)

    def _blame(self, lines: npt.NDArray[np.intp], reasons: npt.NDArray[np.uint8]) -> None:
        """Add reasons to lines that had none so far."""
        before = self.reasons[lines]
        self.reasons[lines] = np.where(before == OK, reasons, before)

    def finish(self) -> Readings:
        """The readings, with series in the order of their first reading; those of one line have its end in common."""
        if self._several:
            return self._spread().finish()
        good: Any = self.reasons == OK
        bad = self.reasons < IGNORED
        if good.all():
            good = np.s_[:]
        series, codes = compact(list(self._index), self._codes[good])
        columns = (self._at_ms[good], self._fold_s[good], self._values[good], self._quality[good], self.ends[good])
        return Readings(series, codes, *columns, self.reasons[bad], self.ends[bad])

    def _spread(self) -> Rows:
        """These rows with one for each reading of the lines that hold several."""
        counts = np.ones(len(self.ends), np.int64)
        for line, found in self._several.items():
            counts[line] = len(found)
        taken = np.repeat(np.arange(len(counts)), counts)
        spread = Rows(self.ends[taken], self._values.shape[1])
        for name in ("reasons", "_codes", "_at_ms", "_fold_s", "_values", "_quality"):
            setattr(spread, name, getattr(self, name)[taken])
        spread._index = self._index
        starts = np.cumsum(counts) - counts
        for line, found in self._several.items():
            for step, row in enumerate(found):
                spread.put(int(starts[line]) + step, row)
        return spread


def compact(series: Sequence[str], codes: npt.NDArray[np.int32]) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Series in the order of their first use, without unused ones, and the codes that go with them."""
    rows = len(codes)
    first = np.full(len(series), rows, np.int64)
    first[codes[::-1]] = np.arange(rows - 1, -1, -1)
    order = np.argsort(first, kind="stable")[: int(np.count_nonzero(first < rows))]
    if len(order) == len(series) and np.array_equal(order, np.arange(len(series))):
        return list(series), codes
    renamed = np.zeros(len(series), np.int32)
    renamed[order] = np.arange(len(order), dtype=np.int32)
    return [series[i] for i in order], renamed[codes]


def chosen(readings: Readings, kept: npt.NDArray[np.bool_]) -> Readings:
    """Some of the readings, shape (N,), and every rejected line."""
    series, codes = compact(readings.series, readings.codes[kept])
    return replace(
        readings,
        series=series,
        codes=codes,
        at_ms=readings.at_ms[kept],
        fold_s=readings.fold_s[kept],
        values=readings.values[kept],
        quality=readings.quality[kept],
        ends=readings.ends[kept],
    )


@dataclass(frozen=True, slots=True)
class Lines:
    """A chunk cut into lines.

    Attributes:
        data: The chunk.
        starts: Offset of each line, after a BOM that was stripped, shape (N,), int64.
        ends: Offset just after each line's newline, shape (N,), int64.
    """

    data: bytes
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, data: bytes, strip_bom: bool) -> Lines:
        """Cut `data`; an unterminated last line counts as a line too."""
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10).astype(np.int64) + 1
        if data and data[-1] != 10:
            ends = np.append(ends, np.int64(len(data)))
        starts = np.concatenate([np.zeros(1, np.int64), ends])[:-1]
        if strip_bom and data.startswith(BOM):
            starts[0] = len(BOM)
        return cls(data, starts, ends)

    def __len__(self) -> int:
        return len(self.ends)

    def raw(self, line: int) -> bytes:
        """A line without its newline and one CR before it."""
        text = self.data[self.starts[line] : self.ends[line]]
        text = text[:-1] if text.endswith(b"\n") else text
        return text[:-1] if text.endswith(b"\r") else text

    def suspect(self, table: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Lines to look at closely, shape (N,), bool: not text, unterminated, a lone CR, or a byte marked in `table`.

        Args:
            table: True for each byte that is suspect, shape (256,), bool; CR and newline are judged here.
        """
        raw = np.frombuffer(self.data, np.uint8)
        odd = np.zeros(len(self), bool)
        marked = np.flatnonzero(table[raw])
        returns = np.flatnonzero(raw == 13)
        if len(returns):
            after = np.minimum(returns + 1, len(raw) - 1)
            marked = np.concatenate([marked, returns[raw[after] != 10]])
        odd[np.searchsorted(self.ends, marked, side="right")] = True
        if self.data[-1] != 10:
            odd[-1] = True
        if not self.data.isascii() and not _is_text(self.data):
            wide = np.unique(np.searchsorted(self.ends, np.flatnonzero(raw >= 128), side="right"))
            odd[[line for line in wide.tolist() if not _is_text(self.raw(line))]] = True
        return odd

    def texts(self, wanted: npt.NDArray[np.bool_]) -> str:
        """The wanted lines as one text, newline after each, without CR; they must be text."""
        if wanted.all():
            kept = self.data[int(self.starts[0]) :]
        else:
            keep = np.repeat(wanted, np.diff(self.ends, prepend=0))
            keep[: self.starts[0]] = False
            kept = np.frombuffer(self.data, np.uint8)[keep].tobytes()
        text = kept.decode()
        return text.replace("\r\n", "\n") if "\r" in text else text


def read_lines(
    data: bytes,
    header: str | None,
    width: int,
    fast: Callable[[Lines, Rows], npt.NDArray[np.bool_]] | None,
    slow: Callable[[bytes], Sequence[Row | int]],
) -> tuple[Readings, str | None]:
    """`Format.parse` of a format whose lines all say the same: the header in force is "" from the first line on.

    Args:
        data: Whole lines.
        header: None at a place's start, where a BOM counts.
        width: Number of variables of a reading.
        fast: Reads what lines it can vouch for into the rows, and says which, shape (lines,), bool; None: none.
        slow: Reads one line: its row, or the reason there is none; several where it holds several readings.
    """
    if not data:
        return empty(width), header
    lines = Lines.of(data, strip_bom=header is None)
    rows = Rows(lines.ends, width)
    todo = np.ones(len(lines), bool) if fast is None else ~fast(lines, rows)
    for line in np.flatnonzero(todo).tolist():
        rows.put_several(line, slow(lines.raw(line)))
    return rows.finish(), ""


def to_text(raw: bytes) -> str | int:
    """A line as text, or the reason it is none."""
    if b"\0" in raw:
        return REASON["binary"]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return REASON["encoding"]


def _is_text(raw: bytes) -> bool:
    return isinstance(to_text(raw.replace(b"\0", b"")), str)


def suspect_bytes(*, without: str = "") -> npt.NDArray[np.bool_]:
    """Table for `Lines.suspect`: control bytes, quotes and backslashes, but not the characters in `without`."""
    table = np.zeros(256, bool)
    table[:32] = True
    table[[34, 92, 127]] = True
    table[[10, 13, *without.encode()]] = False
    return table


def empty(width: int) -> Readings:
    """No readings of `width` variables."""
    return Rows(np.zeros(0, np.int64), width).finish()
