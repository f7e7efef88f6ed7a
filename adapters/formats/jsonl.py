"""JSON lines: one object a line.

The value is a JSON number, or one in quotes; the stamp is a number or text; the series is text or a whole number. A key
with dots (`fields.usage_idle`) is the key of that very name, or else the way through the objects that its parts name. A
list of objects on that way, or in place of the line's object, gives a reading for each. Keys that no setting names are
ignored. A key that occurs twice is `malformed` if a setting names it. NaN and Infinity tokens, which JSON has
not, and numbers beyond float64 make a line `not_finite` where they stand for a value, else `malformed`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from adapters.base import Readings
from adapters.format_kind import FormatChoices
from adapters.formats.key_paths import KeyPaths
from adapters.formats.number_text import NumberReader, checked_all, numbers_of
from adapters.formats.qualities import QualityReader
from adapters.formats.rows import ACTUAL, IGNORED, Lines, Row, Rows, read_lines, read_series, suspect_bytes, to_text
from adapters.formats.stamps import REASON, Stamp, StampReader, join_parts

_BLANK = b" \t"


class JsonlFormat:
    """Readings from JSON lines.

    The header in force is "" from the first line on, so that a BOM counts only at a place's start.

    Args:
        time: Key of the stamp, or the keys of its date and its time of day.
        value: Key of the value, or one key per variable.
        series: Key of the series' name; None: the chunk's series.
        quality: Key of the quality; None: all are actual.
        width: Number of variables, where one key holds a list of them; a list of one is taken for a number.
        timezone: IANA zone of stamps that name none.
        time_format: See `StampReader`.
        numbers: Reads values in quotes, and says which numbers stand for none.
        qualities: Reads the qualities.
        series_bytes: Longest name of a series, in bytes of UTF-8.
        vouch: False takes every line through the slow path; for tests.

    Raises:
        ValueError: `width` differs from the number of keys in `value`.
    """

    def __init__(
        self,
        *,
        time: str | Sequence[str] = "timestamp",
        value: str | Sequence[str] = "value",
        series: str | None = None,
        quality: str | None = None,
        width: int | None = None,
        timezone: str = "UTC",
        time_format: str | None = None,
        numbers: NumberReader | None = None,
        qualities: QualityReader | None = None,
        series_bytes: int = 256,
        vouch: bool = True,
    ) -> None:
        self._times = [time] if isinstance(time, str) else list(time)
        self._values = [value] if isinstance(value, str) else list(value)
        self._series, self._quality = series, quality
        self._width = len(self._values) if width is None else width
        if len(self._values) > 1 and self._width != len(self._values):
            raise ValueError(f"width is {width}, but value names {len(self._values)} keys; leave width out")
        self._stamps = StampReader(timezone, time_format)
        self._numbers = numbers or NumberReader()
        self._qualities = qualities or QualityReader()
        self._series_bytes = series_bytes
        others = [key for key in (series, quality) if key is not None]
        self._keys = KeyPaths([*self._times, *self._values, *others])
        # the fast path takes whole columns: of one key each, and of one stamp
        self._vouch = vouch and len(self._values) == self._width and len(self._times) == 1 and quality is None
        self._suspects = suspect_bytes(without='"')
        self._kinds: list[set[type]] = [{str, int, float}, *[{int, float}] * len(self._values)]
        if series is not None:
            self._kinds.append({str})

    @property
    def width(self) -> int:
        """Number of variables of a reading."""
        return self._width

    def parse(self, data: bytes, series: str, header: str | None) -> tuple[Readings, str | None]:
        """See `Format.parse`; about 2 microseconds a line on the fast path, 6 on the slow one."""
        fast = partial(self._fast, series) if self._vouch else None
        return read_lines(data, header, self._width, fast, partial(self._slow, series))

    def _slow(self, series: str, raw: bytes) -> list[Row | int]:
        """One line without its newline: its rows, and the reasons where there is none."""
        if not raw.strip(_BLANK):
            return [IGNORED]
        text = to_text(raw)
        if isinstance(text, int):
            return [text]
        item = self._load(raw)
        if type(item) is dict and not self._keys.nested:
            return [self._row(series, item)]
        items = None if item is None else self._keys.items(item)
        return [_MALFORMED] if items is None else [self._row(series, each) for each in items]

    def _row(self, series: str, item: Any) -> Row | int:
        """What an object holds: a row, or the reason there is none."""
        if not isinstance(item, dict):
            return _MALFORMED
        get = self._keys.get
        if len(self._values) < self._width:
            numbers = self._read_list(get(item, self._values[0]))
        else:
            numbers = [self._read_number(get(item, key)) for key in self._values]
        name = (
            read_series(series, self._series_bytes)
            if self._series is None
            else self._series_name(get(item, self._series))
        )
        quality = ACTUAL if self._quality is None else self._qualities.read_cell(get(item, self._quality))
        row = Row.of(name, self._stamp([get(item, key) for key in self._times]), numbers, quality)
        return _MALFORMED if isinstance(row, Row) and item.get(_NOT_FINITE) else row

    def _stamp(self, cells: list[Any]) -> Stamp:
        if len(cells) == 1:
            return self._stamps.read_cell(cells[0])
        whole = all(type(cell) in (str, int) for cell in cells)
        return self._stamps.read(join_parts([str(cell) for cell in cells]) if whole else "")

    def _read_number(self, cell: Any) -> tuple[float, int]:
        """`(value, reason)` of a JSON value."""
        if type(cell) is list and len(cell) == 1:
            cell = cell[0]
        if type(cell) is str:
            return self._numbers.read(cell)
        if type(cell) is int or type(cell) is float:
            try:
                return self._numbers.judge(float(cell))
            except OverflowError:
                return 0.0, REASON["not_finite"]
        return 0.0, REASON["missing_value" if cell is None else "bad_value"]

    def _read_list(self, cell: Any) -> list[tuple[float, int]]:
        """`(value, reason)` of each variable of a list."""
        if cell is None:
            return [self._read_number(cell)]
        if type(cell) is not list or len(cell) != self._width:
            return [(0.0, REASON["width"])]
        return [self._read_number(number) for number in cell]

    def _load(self, raw: bytes) -> Any:
        """The line's object or list; None when it is not JSON or names one of our keys twice in an object."""
        plain = b"\\" not in raw and all(raw.count(key) == 1 for key in self._keys.quoted)
        try:
            item = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return self._load_pairs(raw, lenient=True)
        return item if plain or not isinstance(item, (dict, list)) else self._load_pairs(raw, lenient=False)

    def _load_pairs(self, raw: bytes, *, lenient: bool) -> Any:
        """Python's slower reader, which shows repeated keys and takes what is not finite: such objects are marked."""
        odd: list[float] = []
        twice: list[str] = []

        def number(token: str) -> float:
            value = float(token)
            if not isfinite(value):
                odd.append(value)
            return value

        def whole(token: str) -> float:
            return int(token) if len(token) < 20 else number(token)

        def gathered(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
            found: dict[Any, Any] = dict(pairs)
            if len(found) < len(pairs):
                names = [key for key, _ in pairs]
                twice.extend(key for key in self._keys.names if names.count(key) > 1)
            return found

        try:
            item = json.loads(
                raw, object_pairs_hook=gathered, parse_constant=number, parse_float=number, parse_int=whole
            )
        except (ValueError, RecursionError):
            return None
        if twice or not isinstance(item, (dict, list)) or (lenient and not odd):
            return None
        for each in item if isinstance(item, list) else [item]:
            if odd and isinstance(each, dict):
                each[_NOT_FINITE] = True
        return item

    def _series_name(self, cell: Any) -> tuple[str, int]:
        if type(cell) is int:
            cell = str(cell)
        return read_series(cell, self._series_bytes) if type(cell) is str else ("", REASON["bad_series"])

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
            values, reasons = checked_all(np.array(columns[1 + variable], np.float64))
            rows.put_values(taken, variable, *self._numbers.judge_all(values, reasons))
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
        quoted = [key.decode() for key in self._keys.quoted]
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
            cells: tuple[Any, ...] = self._keys.cells(orjson.loads(text))
        except (ValueError, KeyError, TypeError):
            return None
        return cells


_NOT_FINITE = object()
_MALFORMED = REASON["malformed"]


def made(choices: FormatChoices, timezone: str, series_bytes: int) -> JsonlFormat:
    """As the configuration has it."""
    series = choices.series_columns
    assert not isinstance(series, list), "the configuration refuses it"
    return JsonlFormat(
        time=choices.time,
        value=choices.value,
        series=series,
        quality=choices.quality_column,
        timezone=timezone,
        time_format=choices.time_format,
        numbers=numbers_of(choices),
        qualities=QualityReader(choices.quality_words),
        series_bytes=series_bytes,
    )
