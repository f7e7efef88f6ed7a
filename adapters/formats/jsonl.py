"""JSON lines: one object a line.

The value is a JSON number; the stamp is a number or text; the series is text or a whole number. Keys that no setting
names are ignored. A key that occurs twice is `malformed` if a setting names it. NaN and Infinity tokens, which JSON has
not, and numbers beyond float64 make a line `not_finite` where they stand for a value, else `malformed`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from math import isfinite
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from adapters.base import Readings
from adapters.format_kind import FormatChoices
from adapters.formats.rows import (
    IGNORED,
    Lines,
    Row,
    Rows,
    checked,
    checked_all,
    read_lines,
    read_series,
    suspect_bytes,
    to_text,
)
from adapters.formats.stamps import REASON, StampReader

_BLANK = b" \t"


class JsonlFormat:
    """Readings from JSON lines.

    The header in force is "" from the first line on, so that a BOM counts only at a place's start.

    Args:
        time: Key of the stamp.
        value: Key of the value, or one key per variable.
        series: Key of the series' name; None: the chunk's series.
        width: Number of variables, where one key holds a list of them; a list of one is taken for a number.
        timezone: IANA zone of stamps that name none.
        series_bytes: Longest name of a series, in bytes of UTF-8.
        vouch: False takes every line through the slow path; for tests.

    Raises:
        ValueError: `width` differs from the number of keys in `value`.
    """

    def __init__(
        self,
        *,
        time: str = "timestamp",
        value: str | Sequence[str] = "value",
        series: str | None = None,
        width: int | None = None,
        timezone: str = "UTC",
        series_bytes: int = 256,
        vouch: bool = True,
    ) -> None:
        self._time = time
        self._values = [value] if isinstance(value, str) else list(value)
        self._series = series
        self._width = len(self._values) if width is None else width
        if len(self._values) > 1 and self._width != len(self._values):
            raise ValueError(f"width is {width}, but value names {len(self._values)} keys; leave width out")
        self._stamps = StampReader(timezone)
        self._series_bytes = series_bytes
        self._vouch = vouch
        self._keys = [time, *self._values, *([] if series is None else [series])]
        self._quoted = [orjson.dumps(key) for key in self._keys]
        self._suspects = suspect_bytes(without='"')
        self._cells = itemgetter(*self._keys)
        self._kinds: list[set[type]] = [{str, int, float}, *[{int, float}] * len(self._values)]
        if series is not None:
            self._kinds.append({str})

    @property
    def width(self) -> int:
        """Number of variables of a reading."""
        return self._width

    def parse(self, data: bytes, series: str, header: str | None) -> tuple[Readings, str | None]:
        """See `Format.parse`; about 2 microseconds a line on the fast path, 6 on the slow one."""
        fast = partial(self._fast, series) if self._vouch and len(self._values) == self._width else None
        return read_lines(data, header, self._width, fast, partial(self._slow, series))

    def _slow(self, series: str, raw: bytes) -> Row | int:
        """One line without its newline: a row, or the reason there is none."""
        if not raw.strip(_BLANK):
            return IGNORED
        text = to_text(raw)
        if isinstance(text, int):
            return text
        item = self._load(raw)
        if not isinstance(item, dict):
            return REASON["malformed"]
        if len(self._values) < self._width:
            numbers = _read_list(item.get(self._values[0]), self._width)
        else:
            numbers = [_read_cell(item.get(key)) for key in self._values]
        name = (
            read_series(series, self._series_bytes)
            if self._series is None
            else self._series_name(item.get(self._series))
        )
        row = Row.of(name, self._stamps.read_cell(item.get(self._time)), numbers)
        if isinstance(row, Row) and item.get(_NOT_FINITE):
            return REASON["malformed"]
        return row

    def _load(self, raw: bytes) -> Any:
        """The line's object; None when it is not JSON or names one of our keys twice."""
        plain = b"\\" not in raw and all(raw.count(key) == 1 for key in self._quoted)
        try:
            item = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return self._load_pairs(raw, lenient=True)
        return item if plain or not isinstance(item, dict) else self._load_pairs(raw, lenient=False)

    def _load_pairs(self, raw: bytes, *, lenient: bool) -> Any:
        """Python's slower reader, which shows repeated keys and takes what is not finite: such lines are marked."""
        constants: list[float] = []

        def number(token: str) -> float:
            value = float(token)
            if not isfinite(value):
                constants.append(value)
            return value

        def whole(token: str) -> float:
            return int(token) if len(token) < 20 else number(token)

        try:
            item = json.loads(raw, object_pairs_hook=_Pairs, parse_constant=number, parse_float=number, parse_int=whole)
        except (ValueError, RecursionError):
            return None
        if not isinstance(item, _Pairs) or (lenient and not constants):
            return None
        names = [key for key, _ in item.pairs]
        if any(names.count(key) > 1 for key in self._keys):
            return None
        found: dict[Any, Any] = dict(item.pairs)
        if constants:
            found[_NOT_FINITE] = True
        return found

    def _series_name(self, cell: Any) -> tuple[str, int]:
        if type(cell) is int:
            cell = str(cell)
        return read_series(cell, self._series_bytes) if type(cell) is str else ("", REASON["bad_label"])

    def _fast(self, series: str, lines: Lines, rows: Rows) -> npt.NDArray[np.bool_]:
        """Read whole columns of the lines that are plain objects, and say which, shape (lines,), bool."""
        plain: npt.NDArray[np.bool_] = ~lines.suspect(self._suspects)
        texts = lines.texts(plain)[:-1].split("\n") if plain.any() else []
        numbers = np.flatnonzero(plain)
        loaded = self._load_all(texts)
        columns = self._checked(loaded)
        fit = [index for index, cells in enumerate(loaded) if cells is not None]
        taken = numbers if len(fit) == len(loaded) else numbers[fit]
        plain[:] = False
        plain[taken] = True
        if not len(taken):
            return plain
        rows.put_name(taken, series, self._series_bytes)
        if self._series is not None:
            rows.put_names(taken, list(columns[-1]), self._series_bytes)
        rows.put_stamps(taken, list(columns[0]), self._stamps)
        for variable in range(self._width):
            values = np.array(columns[1 + variable], np.float64)
            rows.put_values(taken, variable, *checked_all(values))
        return plain

    def _checked(self, loaded: list[tuple[Any, ...] | None]) -> list[tuple[Any, ...]]:
        """Columns of the loaded lines; a line with a cell of another type becomes None in `loaded`."""
        columns = list(zip(*(cells for cells in loaded if cells is not None), strict=True))
        if all(set(map(type, column)) <= kinds for column, kinds in zip(columns, self._kinds, strict=False)):
            return columns
        for index, cells in enumerate(loaded):
            if cells is not None and not all(type(c) in k for c, k in zip(cells, self._kinds, strict=True)):
                loaded[index] = None
        return list(zip(*(cells for cells in loaded if cells is not None), strict=True))

    def _load_all(self, texts: list[str]) -> list[tuple[Any, ...] | None]:
        """Cells of each line, `(stamp, value, ..., series)`; None where the slow path must look."""
        quoted = [key.decode() for key in self._quoted]
        joined = "\n".join(texts)
        found = list(map(self._load_one, texts))
        if None not in found and all(joined.count(key) == len(texts) for key in quoted):
            return found  # every line has every key, so none has one twice
        return [
            cells if cells is not None and all(text.count(key) == 1 for key in quoted) else None
            for text, cells in zip(texts, found, strict=True)
        ]

    def _load_one(self, text: str) -> tuple[Any, ...] | None:
        try:
            cells: tuple[Any, ...] = self._cells(orjson.loads(text))
        except (ValueError, KeyError, TypeError):
            return None
        return cells


class _Pairs:
    """An object's keys and values in order, repeated keys kept."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


_NOT_FINITE = object()


def _read_cell(cell: Any) -> tuple[float, int]:
    """`(value, reason)` of a JSON value."""
    if type(cell) is list and len(cell) == 1:
        cell = cell[0]
    if type(cell) is int or type(cell) is float:
        try:
            value = float(cell)
        except OverflowError:
            return 0.0, REASON["not_finite"]
        return checked(value)
    return 0.0, REASON["missing_value" if cell is None or cell == "" else "bad_value"]


def _read_list(cell: Any, width: int) -> list[tuple[float, int]]:
    """`(value, reason)` of each variable of a list."""
    if type(cell) is not list:
        return [_read_cell(cell)] if cell is None else [(0.0, REASON["width"])]
    return [_read_cell(number) for number in cell] if len(cell) == width else [(0.0, REASON["width"])]


def made(choices: FormatChoices, timezone: str, series_bytes: int) -> JsonlFormat:
    """As the configuration has it."""
    assert not isinstance(choices.series, list), "the configuration refuses it"
    return JsonlFormat(
        time=choices.time, value=choices.value, series=choices.series, timezone=timezone, series_bytes=series_bytes
    )
